"""The bundled walker in one command: the tracker of the embedded walk, its clone, and the clone trained to commands.

    python scripts/make_walker.py --work runs/walker --seed 0 --export assets/policies

1. **Tracker**, 5.1 M steps: that of `scripts/make_motions.py`, found in the work folder or trained now. It follows the
   drawn walks and sees their next frames.
2. **Demonstrations**: the tracker walks in `GaitNet/WildRobot-v0`, observed as a walker is (`gait-train demonstrate`).
3. **Clone**: behaviour cloning of them (`gait-train bc`). It has the gait, and falls within seconds.
4. **Walker**, 3.3 M steps: `gait-train ppo-amp --preset laptop --init CLONE`.
5. **Starts**, 0.8 M steps: the same, begun from the walker, half of the episodes standing, and with more for progress.
   Without it the walker stands where a slow walk is asked of it while it stands.

With `--export`, clone and walker are written there as the bundles `wildrobot_clone` and `wildrobot_walk`. Stages that
are complete in the work folder are not repeated, so that another seed of the walker takes stages 4 and 5 alone.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from make_motions import draw, tracker

from gait_envs.cli import run_script
from gait_envs.models.robot import wildrobot
from gait_trainers.config.layers import load_config
from gait_trainers.imitation.from_clips import clone_tracker
from gait_trainers.policies.export import export
from gait_trainers.rl.train import resume_or_train

STARTS = {"env.kwargs.rsi_probability": 0.5, "env.kwargs.reward_weights.progress": 2.0,
          "ppo.learning_rate": 2e-4, "run.iterations": 100}  # fmt: skip


def cloned(work: Path) -> Path:
    """The run folder of the clone of the tracker in `work`."""
    run = work / "clone"
    if (run / "checkpoints").is_dir():
        return run
    drawn = draw(work / "drawn", wildrobot())
    return clone_tracker(tracker(work, drawn, seed=0), work, str(drawn), name=run.name)


def walker(work: Path, begin: Path, name: str, seed: int, settings: Mapping[str, Any]) -> Path:
    """The complete run folder `name` of a walker with this seed, begun from the networks of the run `begin`."""
    own = {"run.init": str(begin), "run.out": str(work), "run.name": name, "run.seed": seed}
    return resume_or_train(load_config(preset="laptop", overrides=own | dict(settings))).run.path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/walker"), help="folder of all stages")
    parser.add_argument("--seed", type=int, default=0, help="seed of the walker")
    parser.add_argument("--export", type=Path, help="folder to which both bundles are written")
    args = parser.parse_args()

    begin = cloned(args.work)
    whole = walker(args.work, begin, f"walker_{args.seed}", args.seed, {})
    run = walker(args.work, whole, f"starts_{args.seed}", args.seed, STARTS)
    if args.export is not None:
        for trained, name in ((begin, "wildrobot_clone"), (run, "wildrobot_walk")):
            bundle = export(trained, args.export / name, force=True)
            for file in ("config.yaml", "metrics.csv"):  # beside the bundle; nothing reads them
                if (trained / file).is_file():
                    shutil.copy(trained / file, bundle / file)


if __name__ == "__main__":
    run_script(main)
