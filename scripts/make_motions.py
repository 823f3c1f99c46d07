"""Make the embedded reference motion: draw a walk, have it tracked in simulation, keep what physics made of it.

    python scripts/make_motions.py --work runs/motions --out assets/motions/wildrobot_walk

Draws one looping clip a speed (`gait_envs.motion.gait`), trains a tracker on all of them (`gait-train ppo
--preset track`), records it with and without exploration noise, and keeps the recordings that hold speed
and heading. A recording carries its contact forces, and it is followable by construction. Leaves
`metrics.json` beside the clips and a picture; a second run with the same `--work` reuses the tracker.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from gait_envs.models.robot import Robot, wildrobot
from gait_envs.motion.clip import Clip, save_clip
from gait_envs.motion.gait import natural_gait, walk_clip
from gait_trainers.bundle import Policy
from gait_trainers.config import load_config
from gait_trainers.evaluate import load_policy
from gait_trainers.gait_metrics import Rollout, episode_metrics
from gait_trainers.recording import record
from gait_trainers.train import resume, train

SPEEDS = np.round(np.arange(0.2, 0.81, 0.1), 2)  # m/s; beyond, these servos cannot follow the drawing
SETTLE, KEPT = 100, 300  # frames: left out at the start of an episode, kept after that
TRIES = 16  # episodes a speed and mode
HELD = 2  # of them kept
# Learners explore; a reference without noise would give itself away by that alone. One and a half
# times the tracker's own noise moves the servos about as much as an untrained policy's does.
NOISE = 1.5


def draw(folder: Path, robot: Robot) -> Path:
    """The kinematic clips, one a speed; earlier drawings in the folder go."""
    for old in folder.glob("*.npz"):
        old.unlink()
    for speed in SPEEDS:
        clip = walk_clip(natural_gait(float(speed)), robot.joint_names, robot.control_rate)
        save_clip(folder / f"{clip.name}.npz", clip)
    return folder


def tracker(work: Path, drawn: Path, seed: int) -> Policy:
    """The trained tracker of the drawn clips; trained now unless the work folder holds it."""
    run = work / "tracker"
    if (run / "checkpoints").is_dir():
        resume(run)  # at once where it had finished
    else:
        settings = {"env.kwargs.reference": str(drawn), "run.out": str(work), "run.name": "tracker", "run.seed": seed}
        train(load_config(preset="track", overrides=settings))
    return load_policy(run)


def keep(policy: Policy, drawn: Path, robot: Robot, stochastic: bool) -> tuple[list[Clip], list[dict[str, float]]]:
    """The best `HELD` recordings of each speed, with their figures."""
    clips, figures = [], []
    louder = dataclasses.replace(policy, forward=lambda obs: _louder(*policy.forward(obs)))
    speeds = np.repeat(SPEEDS, TRIES)
    commands = np.stack([speeds, 0 * speeds, 0 * speeds], axis=1)
    rollout, ends = record(louder, commands, stochastic=stochastic, seed=1, env_kwargs={"reference": str(drawn)})
    metrics = episode_metrics(rollout)
    error = metrics["speed_error"] + 0.01 * metrics["heading_drift_deg"] + np.where(ends["success"], 0, np.inf)
    for speed in SPEEDS:
        rows = np.flatnonzero(np.isclose(speeds, speed))
        best = rows[np.argsort(error[rows])][:HELD]
        for number, i in enumerate(best[np.isfinite(error[best])]):
            name = f"walk_{round(100 * speed):03d}_{'noisy' if stochastic else 'calm'}_{number}"
            clips.append(recorded_clip(rollout, i, name, robot))
            figures.append({"name": name, "speed": float(speed), **measure(rollout, i, metrics, robot)})
        print(f"{speed:.1f} m/s {'noisy' if stochastic else 'calm '}: {ends['success'][rows].mean():.0%} tracked")
    return clips, figures


def _louder(mean: np.ndarray, std: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return mean, NOISE * std


def recorded_clip(rollout: Rollout, i: int, name: str, robot: Robot) -> Clip:
    """Frames of episode i after it has settled, starting over the origin."""
    frames = slice(SETTLE, SETTLE + KEPT)
    qpos = rollout.qpos[frames, i].copy()
    qpos[:, :2] -= qpos[0, :2]
    return Clip(
        qpos=qpos,
        qvel=rollout.qvel[frames, i],
        fps=robot.control_rate,
        joint_names=robot.joint_names,
        loop=False,
        model="wildrobot",
        source="GaitNet procedural gait, tracked in simulation (scripts/make_motions.py)",
        license="MIT",
        name=name,
        contacts=rollout.foot_force[frames, i],
        meta={"command": float(rollout.command[i, 0])},
    )


def measure(rollout: Rollout, i: int, metrics: dict[str, np.ndarray], robot: Robot) -> dict[str, float]:
    """Can physics follow it? Slip, penetration, load carried and torque of one recording."""
    frames = slice(SETTLE, SETTLE + KEPT)
    carried = rollout.foot_force[frames, i].sum(1).mean() / (rollout.mass * 9.81)
    limit = robot.model.actuator_forcerange[:, 1]
    saturated = (np.abs(rollout.torque[frames, i]) >= 0.999 * limit).mean()
    names = ("forward_velocity", "foot_slip", "step_symmetry", "single_support", "cadence", "heading_drift_deg")
    return {
        **{name: float(metrics[name][i]) for name in names},
        "penetration": float(-rollout.foot_pos[frames, i, :, 2].min()),
        "load_carried": float(carried),
        "torque_rms": float(np.sqrt((rollout.torque[frames, i] ** 2).mean())),
        "torque_saturated": float(saturated),
    }


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
    for stochastic in (False, True):
        more, numbers = keep(policy, drawn, robot, stochastic)
        clips, figures = clips + more, figures + numbers
    if not clips:
        raise SystemExit("the tracker follows no clip to its end; nothing is written")
    for old in args.out.glob("*.npz"):
        old.unlink()
    for clip in clips:
        save_clip(args.out / f"{clip.name}.npz", clip)
    (args.out / "metrics.json").write_text(json.dumps(figures, indent=1) + "\n")
    picture([clip for clip in clips if "calm" in clip.name], args.picture)
    print(f"{len(clips)} clips in {args.out}, a picture in {args.picture}")


if __name__ == "__main__":
    main()
