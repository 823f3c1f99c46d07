"""A walker in one command, the bundled one or one of your own clips: a clone of a tracker, trained to commands.

    python scripts/make_walker.py --work runs/walker --seed 0 --export assets/policies
    python scripts/make_walker.py --work runs/captured --clips clips/walks    # WildRobot's, walking straight ahead

1. **Clone** of `wildrobot_imitation`, which follows the embedded clips and sees their next frames: ten rounds of DAgger
   in `GaitNet/WildRobot-v0`, where a walker sees a command and no clip. It walks, and does not start at every command.
2. **Walker**, 1.6 M steps of PPO with the prior (preset `laptop`), with the statistics of observations that the clone
   was fitted to, and smaller steps and less noise than from elsewhere: it is near the reference already.
3. **Refined**, 2.0 M steps: half of the episodes begin standing; speed, heading and feet that stand still count more.

With `--export`, the walker of the embedded walk is written there as the bundle `wildrobot_walk`, and as
`wildrobot_clone` what `make demo` begins with: the tracker's clone by behaviour cloning alone, which falls within
seconds. Stages that are complete in the work folder are not repeated, so that another seed of the walker takes stages
2 and 3 alone.

With `--clips`, the tracker follows these first, deterministic and with noise, and what it recorded is the reference
instead of the embedded walk: a clip that it does not follow is left out. Stages 2 and 3 then begin with the bundled
walker, which starts and stands already; commands are straight ahead, at the speeds that the clips hold, and to stand. A
tracker of your own clips is made by `make_tracker.py`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gait_envs.cli import run_script
from gait_envs.reference.sources import load_clips, open_clips
from gait_trainers.config.layers import load_config
from gait_trainers.config.section import ConfigError
from gait_trainers.evaluation.record import RecordError, record_clips, write_recordings
from gait_trainers.imitation.from_clips import clone_tracker
from gait_trainers.policies.base import Policy
from gait_trainers.policies.export import export
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train

TRACKER, WALKER, REFERENCE = "wildrobot_imitation", "wildrobot_walk", "wildrobot_walk"  # policies, a set of clips
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


def remember(work: Path, asked: Mapping[str, str]) -> None:
    """ConfigError where the stages in `work` were made for something else."""
    file = work / "asked.json"
    if file.is_file() and (before := json.loads(file.read_text())) != asked:
        raise ConfigError(f"{work}: holds the stages of {before}, not of {dict(asked)}; give another --work")
    work.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asked) + "\n")


def recorded(tracker: Policy, work: Path, clips: Path) -> list[str]:
    """Folders, in `work`, of what the tracker makes of these clips: calm and noisy."""
    ways: dict[str, dict[str, Any]] = {"calm": {}, "noisy": {"stochastic": True, "tries": 16, "keep": 2}}
    for kind, how in ways.items():
        if not (work / kind).is_dir():
            found = record_clips(tracker, str(clips), **how)
            if not found.clips:
                raise RecordError(f"{tracker.name} follows none of {clips} to its end; train it on them first")
            write_recordings(work / kind, found.clips, found.figures)
    return [str(work / kind) for kind in ways]


def along(recordings: list[str]) -> dict[str, Any]:
    """Settings of a walker whose reference these recordings are."""
    speeds = [clip.mean_speed for clip in load_clips(recordings)]
    return {
        "env.kwargs.reference": recordings,
        "amp.data": recordings,
        "env.kwargs.command_low": [round(min(speeds), 2), 0.0, 0.0],
        "env.kwargs.command_high": [round(max(speeds), 2), 0.0, 0.0],
    }


def cloned(tracker: Policy, work: Path, name: str, **how: int) -> Path:
    """The run folder `name`, in `work`, of the tracker's clone; `how` many rounds and episodes."""
    run = work / name
    return run if (run / "checkpoints").is_dir() else clone_tracker(tracker, work, REFERENCE, name=name, **how)


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
    parser.add_argument("--clips", type=Path, help="folder of clips to walk like (default: the embedded walk)")
    parser.add_argument("--tracker", default=TRACKER, help="policy that follows them (default: %(default)s)")
    parser.add_argument("--export", type=Path, help="folder to which the bundle is written")
    args = parser.parse_args()
    if args.clips is not None:
        open_clips(args.clips)  # what is wrong with them is said before anything else
        if args.export is not None:
            parser.error("--export writes the bundled walker; gait-train export RUN --out FOLDER writes one of --clips")

    tracker = load_policy(args.tracker)
    remember(args.work, {"tracker": args.tracker, "clips": str(args.clips or REFERENCE)})
    if args.clips is None:
        run, shared = cloned(tracker, args.work, "clone", rounds=10, episodes=192), SHARED
    else:
        run, shared = Path(WALKER), SHARED | along(recorded(tracker, args.work / "recorded", args.clips))
    for number, stage in enumerate(STAGES):
        run = walker(args.work, run, f"walker_{number}_{args.seed}", args.seed, shared | stage)
    if args.export is not None:
        write_bundle(run, args.export / WALKER)
        write_bundle(cloned(tracker, args.work, "behaviour_clone"), args.export / "wildrobot_clone")
    print(f"the walker is {run}; see it with gait-train play {run}")


if __name__ == "__main__":
    run_script(main)
