"""A walker in one command: a clone of a tracker, trained to commands; of the embedded walk, or of captured ones.

    python scripts/make_walker.py --work runs/walker --seed 0 --export assets/policies

1. **Clone** of `wildrobot_imitation`, which follows the embedded clips and sees their next frames: ten rounds of DAgger
   in `GaitNet/WildRobot-v0`, where a walker sees a command and no clip. It walks, and does not start at every command.
2. **Walker**, 1.6 M steps of PPO with the prior (preset `laptop`), with the statistics of observations that the clone
   was fitted to, and smaller steps and less noise than from elsewhere: it is near the reference already.
3. **Refined**, 2.0 M steps: half of the episodes begin standing; speed, heading and feet that stand still count more.

With `--export`, the walker is written there as the bundle `wildrobot_walk`, and as `wildrobot_clone` what `make demo`
begins with: the tracker's clone by behaviour cloning alone, which falls within seconds. Stages that are complete in the
work folder are not repeated, so that another seed of the walker takes stages 2 and 3 alone.

    gait-data retarget captures --robot wildrobot --stride 0.7 --swing-clearance 0.045 --time froude --out clips \
        --table captures.csv
    python scripts/make_walker.py --clips clips --work runs/captured --seed 0

Captured walks straight ahead take two stages before these: the bundled tracker learns to follow them, with costs for
feet that slide, scuff and rebound, and is recorded along them. The recordings that step as often as their clip does and
do not rebound are the prior; the walker obeys the speeds that they have. The bundle is `wildrobot_captured`.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.cli import run_script
from gait_envs.errors import GaitNetError
from gait_envs.reference.clip import Clip
from gait_envs.reference.library import load_clips
from gait_envs.tasks.config import TRACK_REWARD
from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.record import chosen, record_clips, write_recordings
from gait_trainers.evaluation.style import mean_velocity
from gait_trainers.imitation.from_clips import clone_tracker
from gait_trainers.policies.base import Policy
from gait_trainers.policies.export import export
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train
from gait_trainers.runs.run_folder import Run, RunError

TRACKER, REFERENCE = "wildrobot_imitation", "wildrobot_walk"
SHARED = {"ppo.freeze_obs_after": 0}
STAGES = (  # of PPO, each from the one before
    {
        "run.iterations": 200,
        "ppo.learning_rate": 2e-4,
        "env.kwargs.rsi_probability": 0.6,
        "schedule": [{"iteration": 0, "std": 0.067}, {"iteration": 200, "std": 0.053}],
    },
    {
        "run.iterations": 250,
        "ppo.learning_rate": 1.5e-4,
        "env.kwargs.rsi_probability": 0.5,
        "env.kwargs.reward_weights.tracking_mean_velocity": 6.0,
        "env.kwargs.reward_weights.tracking_heading": 8.0,
        "env.kwargs.reward_weights.slip": -2.0,
        "schedule": [{"iteration": 0, "std": 0.06}],
    },
)
# Of captured walks. Swings far shorter than a step's, when a foot rebounds or is dragged along, cost air time.
FEET = TRACK_REWARD | {"slip": -2.0, "scuff": -1.5, "air_time": 40.0}
AIR_TIME = 2.0  # weight of the same for the walker
SMALLER = 2 / 3  # of the learning rate: in a trial with all of it the KL divergence was twice as high; it unlearned
HELD = {"calm": 1, "noisy": 2}  # recordings of a clip, without and with noise
TRIES = 8  # episodes of each clip with noise
RHYTHM = 0.25  # largest difference of a recording's cadence from its clip's, as a share
REBOUNDS = 0.1  # largest share of a recording's swings that are too short to be steps


def cloned(work: Path, name: str, tracker: Policy, reference: str, **how: int) -> Path:
    """The run folder `name`, in `work`, of a clone of a tracker; `how` many rounds and episodes."""
    run = work / name
    if Run(run).checkpoints():
        return run
    return clone_tracker(tracker, work, reference, name=name, **how)


def stage(preset: str, work: Path, begin: str | Path, name: str, seed: int, settings: Mapping[str, Any]) -> Path:
    """The complete run folder `name` of a training with this seed, begun from the networks of `begin`."""
    own = {"run.init": str(begin), "run.out": str(work), "run.name": name, "run.seed": seed}
    return resume_or_train(load_config(preset=preset, overrides=own | dict(settings))).run.path


def follow(work: Path, clips: str) -> Policy:
    """The bundled tracker, trained on along these clips."""
    settings = {
        "env.kwargs.reference": [clips],
        "env.kwargs.reward_weights": FEET,
        "networks.symmetric": True,
        "ppo.learning_rate": 2e-4,
        "learners": ["resampling"],
        "resampling.max_distance": 0.25,
        "resampling.starts": "failures",
        "run.iterations": 200,
    }
    return load_policy(stage("imitate", work, TRACKER, "tracker", 0, settings))


def check_same(clips: str | None, work: Path) -> None:
    """RunError where the stages in the work folder are of other clips (None: the embedded ones) than these."""
    found = {} if clips is None else {clip.name: sha256(clip.qpos.tobytes()).hexdigest() for clip in load_clips(clips)}
    file, begun = work / "clips.json", (work / "clone").is_dir()
    known = json.loads(file.read_text()) if file.is_file() else {} if begun else found
    if known != found:
        raise RunError(f"{work}: its stages are of other clips than {clips or REFERENCE}; give another --work")
    work.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(found))


def cadences(clips: str) -> dict[str, float]:
    """The cadence of each clip, steps/min, by its name."""
    found = {clip.name: clip.meta.get("quality", {}).get("cadence") for clip in load_clips(clips)}
    if odd := [name for name, steps in found.items() if not steps]:
        raise GaitNetError(f"{clips}: no cadence is known of {', '.join(odd[:5])}; give walks that were retargeted")
    return found


def steps_alike(row: Mapping[str, Any], cadence: float) -> bool:
    """Whether a recording has its clip's cadence, steps/min, and hardly a swing that is no step."""
    return abs(row["cadence"] / cadence - 1.0) <= RHYTHM and (row["rebounds"] or 0.0) <= REBOUNDS


def recorded(tracker: Policy, clips: str, cadence: Mapping[str, float], out: Path) -> Path:
    """The folder `out` of those recordings along the clips that step as often as the clip does, without rebounds."""
    if out.is_dir():
        return out
    kept: list[Clip] = []
    figures: list[dict[str, Any]] = []
    for kind, most in HELD.items():
        tries = TRIES if kind == "noisy" else 1
        found = record_clips(tracker, clips, tries=tries, keep=tries, stochastic=kind == "noisy", seed=1)
        found = chosen(found, lambda row: steps_alike(row, cadence[row["from"]]), most, kind)
        print(f"{kind}: {len(found.clips)} recordings of {len({row['from'] for row in found.figures})} clips")
        kept, figures = kept + found.clips, figures + found.figures
    if not kept:
        raise GaitNetError(f"{clips}: the tracker steps as often as the clip along none")
    write_recordings(out, kept, figures)
    return out


def of_captures(recordings: Path) -> dict[str, Any]:
    """Settings of a walker whose prior is these recordings, at the speeds that they have."""
    speeds = [float(mean_velocity(clip)[0]) for clip in load_clips(str(recordings))]
    low, high = np.round([min(speeds), max(speeds)], 2).tolist()
    return {
        "env.kwargs.reference": [str(recordings)],
        "amp.data": [str(recordings)],
        "env.kwargs.command_low": [low, 0.0, 0.0],
        "env.kwargs.command_high": [high, 0.0, 0.0],
        "env.kwargs.reward_weights.air_time": AIR_TIME,
    }


def smaller(own: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a stage, with smaller steps."""
    return {**own, "ppo.learning_rate": SMALLER * own["ppo.learning_rate"]}


def write_bundle(run: Path, out: Path) -> None:
    """A run as a bundle, its configuration and metrics beside it."""
    export(run, out, force=True)
    for file in ("config.yaml", "metrics.csv"):
        if (run / file).is_file():
            shutil.copy(run / file, out / file)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help="folder of captured walks straight ahead, retargeted to WildRobot")
    parser.add_argument("--work", type=Path, default=Path("runs/walker"), help="folder of all stages")
    parser.add_argument("--seed", type=int, default=0, help="seed of the walker")
    parser.add_argument("--export", type=Path, help="folder to which the bundles are written")
    args = parser.parse_args()

    tracker: Policy = load_policy(asset_path(f"policies/{TRACKER}"))
    settings: dict[str, Any] = dict(SHARED)
    cadence = {} if args.clips is None else cadences(args.clips)  # wrong clips? said before anything is trained
    check_same(args.clips, args.work)
    if args.clips is None:
        run = cloned(args.work, "clone", tracker, REFERENCE, rounds=10, episodes=192)
    else:
        tracker = follow(args.work, args.clips)
        settings |= of_captures(recorded(tracker, args.clips, cadence, args.work / "recorded"))
        run = cloned(args.work, "clone", tracker, args.clips, rounds=10, episodes=210)
    stages = STAGES if args.clips is None else [smaller(own) for own in (*STAGES, STAGES[-1])]  # smaller, so one more
    for number, own in enumerate(stages):
        run = stage("laptop", args.work, run, f"walker_{number}_{args.seed}", args.seed, settings | own)
    if args.export is None:
        return
    if args.clips is None:
        write_bundle(run, args.export / "wildrobot_walk")
        write_bundle(cloned(args.work, "behaviour_clone", tracker, REFERENCE), args.export / "wildrobot_clone")
    else:
        write_bundle(run, args.export / "wildrobot_captured")


if __name__ == "__main__":
    run_script(main)
