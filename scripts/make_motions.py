"""Make the embedded reference motion: draw a walk, have it tracked in simulation, keep what physics made of it.

    python scripts/make_motions.py --work runs/motions --out assets/motions/wildrobot_walk

Draws one looping clip a speed (`gait_envs.synthesis.procedural_walk`), trains a tracker on all of them (`gait-train
imitate`), records it with and without exploration noise, and keeps the closest of the recordings whose steps are
regular and even (`gait-train record`). A recording carries its contact forces, and it is followable by construction.
Leaves `metrics.json` beside the clips and a picture; a second run with the same `--work` reuses the tracker.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from gait_envs.cli import run_script
from gait_envs.models.robot import Robot, wildrobot
from gait_envs.reference.clip import Clip, save_clip
from gait_envs.reference.library import load_clips
from gait_envs.reference.split import save_split
from gait_envs.synthesis.procedural_walk import natural_gait, walk_clip
from gait_envs.tasks.config import TRACK_REWARD
from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.record import Recorded, chosen, record_clips, write_recordings
from gait_trainers.policies.base import Policy
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train

SPEEDS = np.round(np.arange(0.1, 0.91, 0.1), 2)  # m/s ahead
SIDEWAYS = ((0.0, 0.1), (0.0, 0.2), (0.3, 0.1), (0.3, 0.2), (0.5, 0.1), (0.5, 0.2))  # m/s ahead and to the left
TRIES = 16  # episodes a velocity and mode
HELD = {"calm": 1, "noisy": 2}  # of them kept; without noise they are all alike
RHYTHM = 0.2  # largest difference of a recording's cadence from the drawing's, as a share: more, and contacts flicker
UNEVEN = {"calm": 0.10, "noisy": 0.25}  # largest step asymmetry of a recording straight ahead


def draw(folder: Path, robot: Robot) -> Path:
    """The kinematic clips, one a velocity, and standing; earlier drawings in the folder go."""
    for old in folder.glob("*.npz"):
        old.unlink()
    for ahead, left in (*((float(speed), 0.0) for speed in SPEEDS), *SIDEWAYS):
        clip = walk_clip(natural_gait(ahead, left), robot.joint_names, robot.control_rate)
        aside = f"_left_{round(100 * left):03d}" if left else ""
        save_clip(folder / f"walk_{round(100 * ahead):03d}{aside}.npz", clip)
    save_clip(folder / "stand.npz", standing_clip(robot))
    return folder


def standing_clip(robot: Robot) -> Clip:
    """The home pose for a second, over and over."""
    frames = round(robot.control_rate) + 1
    return Clip(
        qpos=np.tile(robot.home_qpos, (frames, 1)),
        qvel=np.zeros((frames, robot.model.nv)),
        fps=robot.control_rate,
        joint_names=robot.joint_names,
        loop=True,
        model=robot.name,
        source="GaitNet home pose",
        license="MIT",
        name="stand",
    )


def tracker(work: Path, drawn: Path, seed: int) -> Policy:
    """The trained tracker of the drawn clips, in two stages; each is trained now unless the work folder holds it.

    The second refines how the feet land, by costs that would only hinder a tracker that cannot walk yet.
    """
    settings = {"env.kwargs.reference": str(drawn), "run.out": str(work), "run.seed": seed}
    settings |= {"networks.symmetric": True}  # the drawings are: no side may be learnt better than the other
    first = trained("tracker", settings | {"run.iterations": 500})
    feet = {"env.kwargs.reward_weights": {**TRACK_REWARD, "slip": -0.5, "scuff": -1.5}}
    refined = {"run.init": str(first), "run.iterations": 120, "ppo.learning_rate": 1e-4}
    return load_policy(trained("refined", settings | feet | refined))


def trained(name: str, settings: dict[str, Any]) -> Path:
    """The complete run folder: found, continued or trained from its start."""
    return resume_or_train(load_config(preset="imitate", overrides=settings | {"run.name": name})).run.path


def clean(recorded: Recorded, drawn: Mapping[str, Clip], kind: str) -> Recorded:
    """The closest `HELD` recordings of each drawing whose steps are as regular and even as drawn."""

    def fits(row: Mapping[str, Any]) -> bool:
        meta = drawn[row["from"]].meta
        steps = 120.0 / meta["cycle"] if "cycle" in meta else 0.0  # /min
        even = row["step_symmetry"] is not None and row["step_symmetry"] <= UNEVEN[kind]
        return abs(row["cadence"] - steps) <= RHYTHM * steps and (even or meta.get("sideways") != 0.0)

    kept = chosen(recorded, fits, HELD[kind], kind)
    for name, share in recorded.success.items():
        print(f"{name} {kind:<5}: {share:.0%} tracked, {sum(row['from'] == name for row in kept.figures)} clean")
    return kept


def picture(clips: list[Clip], path: Path) -> None:
    """Contacts and leg angles of a slow, a normal and a fast recording."""
    chosen = [clips[round(k)] for k in np.linspace(0, len(clips) - 1, 3)]
    figure, axes = plt.subplots(3, 3, figsize=(14, 8), sharex=True)
    for column, clip in zip(axes.T, chosen, strict=True):
        time = np.arange(clip.frames) / clip.fps
        assert clip.contacts is not None
        for side, (toe, heel), color in (("left", (0, 1), "C0"), ("right", (2, 3), "C1")):
            column[0].plot(time, clip.contacts[:, toe] + clip.contacts[:, heel], color, label=side)
            for row, joint in ((1, "hip_pitch"), (2, "knee_pitch")):
                column[row].plot(time, clip.qpos[:, 7 + clip.joint_names.index(f"{side}_{joint}")], color)
                column[row].set_ylabel(f"{joint} (rad)")
        column[0].set(title=f"{clip.name}: {clip.mean_speed:.2f} m/s", ylabel="load on the foot (N)")
        column[2].set(xlabel="time (s)", xlim=(0, 3))
    axes[0, 0].legend()
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=80)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/motions"), help="drawn clips and the tracker's run")
    parser.add_argument("--out", type=Path, default=Path("assets/motions/wildrobot_walk"), help="the recorded clips")
    parser.add_argument("--picture", type=Path, default=Path("docs/images/reference_motion.png"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    robot = wildrobot()
    drawn = draw(args.work / "drawn", robot)
    policy = tracker(args.work, drawn, args.seed)
    clips, figures = [], []
    sources = {clip.name: clip for clip in load_clips(str(drawn))}
    for kind in HELD:
        found = record_clips(policy, str(drawn), tries=TRIES, keep=TRIES, stochastic=kind == "noisy", seed=1)
        found = clean(found, sources, kind)
        clips, figures = clips + found.clips, figures + found.figures
    if not clips:
        raise SystemExit("the tracker follows no clip cleanly to its end; nothing is written")
    write_recordings(args.out, clips, figures)
    walking = sorted(clip.name for clip in clips if not clip.name.startswith("stand"))
    save_split(args.out / "parts.json", args.out, "clip", args.seed, {"walking": walking})
    picture([clip for clip in clips if "calm" in clip.name], args.picture)
    print(f"{len(clips)} clips in {args.out}, a picture in {args.picture}")


if __name__ == "__main__":
    run_script(main)
