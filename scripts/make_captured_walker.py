"""A walker whose prior is captured walks, in one command.

    gait-data retarget captures --robot wildrobot --stride 0.7 --time froude --out clips
    python scripts/make_captured_walker.py clips --work runs/captured --seed 0

1. **Tracker**: `wildrobot_imitation` learns these clips, with costs for feet that slide, scuff and rebound.
2. **Recordings** of it along the clips, without and with noise: what physics makes of the captures. Those whose steps
   are not as many as the clip's are left out: a foot that lands twice would teach the discriminator that walks do so.
3. **Clone** of the tracker by DAgger, in `GaitNet/WildRobot-v0`, where a walker sees a command and no clip.
4. **Walker**: the two stages of PPO with the prior of `make_walker.py`, at the speeds that the recordings have.

Stages that are complete in the work folder are not repeated.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.cli import run_script
from gait_envs.errors import GaitNetError
from gait_envs.reference.clip import Clip
from gait_envs.reference.library import load_clips
from gait_envs.tasks.config import TRACK_REWARD
from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.record import Recorded, record_clips, write_recordings
from gait_trainers.evaluation.style import mean_velocity
from gait_trainers.imitation.from_clips import clone_tracker
from gait_trainers.policies.base import Policy
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train

TRACKER = "wildrobot_imitation"
FEET = {"slip": -2.0, "scuff": -1.5, "air_time": 10.0}  # a rebound is a swing far shorter than it costs nothing
TRIES, HELD = 8, {"calm": 1, "noisy": 2}  # episodes along a clip; recordings of it that are kept, by kind
RHYTHM = 0.25  # largest difference of a recording's cadence from the clip's, as a share
SHARED = {"ppo.freeze_obs_after": 0, "env.kwargs.standing_probability": 0.1}
STAGES = (  # of PPO, each from the one before
    {
        "run.iterations": 200,
        "ppo.learning_rate": 2e-4,
        "env.kwargs.rsi_probability": 0.6,
        "env.kwargs.reward_weights.air_time": 2.0,
        "schedule": [{"iteration": 0, "std": 0.1}, {"iteration": 200, "std": 0.08}],
    },
    {
        "run.iterations": 250,
        "ppo.learning_rate": 1.5e-4,
        "env.kwargs.rsi_probability": 0.5,
        "env.kwargs.reward_weights.tracking_mean_velocity": 6.0,
        "env.kwargs.reward_weights.tracking_heading": 8.0,
        "env.kwargs.reward_weights.slip": -2.0,
        "env.kwargs.reward_weights.air_time": 2.0,
        "schedule": [{"iteration": 0, "std": 0.09}],
    },
)


def trained(preset: str, settings: Mapping[str, Any]) -> Path:
    """The complete run folder: found, continued or trained from its start."""
    return resume_or_train(load_config(preset=preset, overrides=dict(settings))).run.path


def tracker(work: Path, clips: Path, seed: int, threads: int) -> Policy:
    """The bundled tracker, trained on along these clips."""
    settings = {"env.kwargs.reference": [str(clips)], "env.kwargs.reward_weights": {**TRACK_REWARD, **FEET}}
    settings |= {"networks.symmetric": True, "ppo.learning_rate": 2e-4, "run.iterations": 120, "run.init": TRACKER}
    settings |= {"run.checkpoint_every": 50}
    settings |= {"learners": ["resampling"], "resampling.max_distance": 0.25, "resampling.starts": "failures"}
    settings |= {"env.threads": threads, "run.out": str(work), "run.name": "tracker", "run.seed": seed}
    return load_policy(trained("imitate", settings))


def regular(recorded: Recorded, clips: Mapping[str, Clip], kind: str) -> Recorded:
    """The closest `HELD` recordings of each clip that step as often as it does."""
    kept: dict[str, list[int]] = {name: [] for name in clips}
    for i, row in enumerate(recorded.figures):
        steps = clips[row["from"]].meta["quality"]["cadence"]
        if abs(row["cadence"] - steps) <= RHYTHM * steps and len(kept[row["from"]]) < HELD[kind]:
            kept[row["from"]].append(i)
    names = {i: f"{name}_{kind}_{rank}" for name, own in kept.items() for rank, i in enumerate(own)}
    print(f"{kind}: {len(names)} recordings of {sum(map(bool, kept.values()))} of {len(clips)} clips")
    return recorded._replace(
        clips=[replace(recorded.clips[i], name=name) for i, name in names.items()],
        figures=[recorded.figures[i] | {"name": name} for i, name in names.items()],
    )


def recordings(policy: Policy, clips: Path, out: Path, threads: int) -> list[Clip]:
    """The kept recordings; made now unless the folder is there."""
    if not out.is_dir():
        sources = {clip.name: clip for clip in load_clips(str(clips))}
        found = []
        for kind in HELD:
            noisy = kind == "noisy"
            tries = TRIES if noisy else 1
            taken = record_clips(policy, str(clips), tries=tries, keep=tries, stochastic=noisy, seed=1, threads=threads)
            found.append(regular(taken, sources, kind))
        if not any(recorded.clips for recorded in found):
            raise GaitNetError(f"{clips}: the tracker steps along no clip as often as it does")
        write_recordings(out, [c for r in found for c in r.clips], [row for r in found for row in r.figures])
    return list(load_clips(str(out)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder of walks straight ahead, retargeted to WildRobot")
    parser.add_argument("--work", type=Path, default=Path("runs/captured"), help="folder of all stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="of physics; 0: a thread a core")
    parser.add_argument("--begin")
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    policy = tracker(args.work, args.clips, args.seed, args.threads)
    recorded = args.work / "recorded"
    speeds = [float(mean_velocity(clip)[0]) for clip in recordings(policy, args.clips, recorded, args.threads)]
    low, high = np.round([min(speeds), max(speeds)], 2).tolist()
    print(json.dumps({"recordings": len(speeds), "slowest": low, "fastest": high}))
    if args.begin:
        run = Path(args.begin)
    else:
        run = args.work / f"clone_{args.seed}"
        if not (run / "checkpoints").is_dir():
            how: dict[str, Any] = {"name": run.name, "seed": args.seed, "rounds": 10, "episodes": 210}
            run = clone_tracker(policy, args.work, str(args.clips), **how)
    own = {"env.kwargs.reference": [str(recorded)], "amp.data": [str(recorded)], "env.threads": args.threads}
    own |= {"env.kwargs.command_low": [low, 0.0, 0.0], "env.kwargs.command_high": [high, 0.0, 0.0]}
    for number, stage in enumerate(STAGES):
        name = {"run.init": str(run), "run.out": str(args.work), "run.name": f"walker_{number}_{args.seed}"}
        run = trained("laptop", SHARED | own | stage | name | {"run.seed": args.seed})


if __name__ == "__main__":
    run_script(main)
