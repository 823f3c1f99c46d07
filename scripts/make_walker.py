"""The bundled walker in one command: a clone of the bundled tracker, trained to commands.

    python scripts/make_walker.py --work runs/walker --seed 0 --export assets/policies

1. **Clone** of `wildrobot_imitation`, which follows the embedded clips and sees their next frames: ten rounds of DAgger
   in `GaitNet/WildRobot-v0`, where a walker sees a command and no clip. It walks, and does not start at every command.
2. **Walker**, 1.6 M steps of PPO with the prior (preset `laptop`), with the statistics of observations that the clone
   was fitted to, and smaller steps and less noise than from elsewhere: it is near the reference already.
3. **Refined**, 2.0 M steps: half of the episodes begin standing; speed, heading and feet that stand still count more.

With `--export`, the walker is written there as the bundle `wildrobot_walk`, and as `wildrobot_clone` what `make demo`
begins with: the tracker's clone by behaviour cloning alone, which falls within seconds. Stages that are complete in the
work folder are not repeated, so that another seed of the walker takes stages 2 and 3 alone.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gait_envs.assets import asset_path
from gait_envs.cli import run_script
from gait_trainers.config.layers import load_config
from gait_trainers.imitation.from_clips import clone_tracker
from gait_trainers.policies.export import export
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train

TRACKER, REFERENCE = "policies/wildrobot_imitation", "wildrobot_walk"
SHARED = {"ppo.freeze_obs_after": 0}
STAGES = (  # of PPO, each from the one before
    {
        "run.iterations": 200,
        "ppo.learning_rate": 2e-4,
        "env.kwargs.rsi_probability": 0.6,
        "schedule": [{"iteration": 0, "std": 0.1}, {"iteration": 200, "std": 0.08}],
    },
    {
        "run.iterations": 250,
        "ppo.learning_rate": 1.5e-4,
        "env.kwargs.rsi_probability": 0.5,
        "env.kwargs.reward_weights.tracking_mean_velocity": 6.0,
        "env.kwargs.reward_weights.tracking_heading": 8.0,
        "env.kwargs.reward_weights.slip": -2.0,
        "schedule": [{"iteration": 0, "std": 0.09}],
    },
)


def cloned(work: Path, name: str, **how: int) -> Path:
    """The run folder `name`, in `work`, of a clone of the bundled tracker; `how` many rounds and episodes."""
    run = work / name
    if (run / "checkpoints").is_dir():
        return run
    return clone_tracker(load_policy(asset_path(TRACKER)), work, REFERENCE, name=name, **how)


def walker(work: Path, begin: Path, name: str, seed: int, settings: Mapping[str, Any]) -> Path:
    """The complete run folder `name` of a walker with this seed, begun from the networks of the run `begin`."""
    own = {"run.init": str(begin), "run.out": str(work), "run.name": name, "run.seed": seed}
    return resume_or_train(load_config(preset="laptop", overrides=own | dict(settings))).run.path


def write_bundle(run: Path, out: Path) -> None:
    """A run as a bundle, its configuration and metrics beside it."""
    export(run, out, force=True)
    for file in ("config.yaml", "metrics.csv"):
        if (run / file).is_file():
            shutil.copy(run / file, out / file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/walker"), help="folder of all stages")
    parser.add_argument("--seed", type=int, default=0, help="seed of the walker")
    parser.add_argument("--export", type=Path, help="folder to which the bundle is written")
    args = parser.parse_args()

    run = cloned(args.work, "clone", rounds=10, episodes=192)
    for number, stage in enumerate(STAGES):
        run = walker(args.work, run, f"walker_{number}_{args.seed}", args.seed, SHARED | stage)
    if args.export is not None:
        write_bundle(run, args.export / "wildrobot_walk")
        write_bundle(cloned(args.work, "behaviour_clone"), args.export / "wildrobot_clone")


if __name__ == "__main__":
    run_script(main)
