"""Small clips of WildRobot that walk, run and jump by formulas, of several subjects."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gait_envs.models.robot import wildrobot
from gait_envs.reference.clip import Clip, save_clip, velocities


def stroll(
    name: str, frames: int = 120, speed: float = 0.4, subject: str = "A", activity: str = "walk", turn: float = 0.0
) -> Clip:
    """Legs that swing once a second in opposite phase; feet that bear load in turn; along an arc where `turn` (rad/s)
    is not 0."""
    robot = wildrobot()
    time = np.arange(frames) / 50.0
    yaw = turn * time
    qpos = np.zeros((frames, 16))
    step = speed / 50.0
    qpos[1:, 0], qpos[1:, 1] = np.cumsum(step * np.cos(yaw[1:])), np.cumsum(step * np.sin(yaw[1:]))
    qpos[:, 2], qpos[:, 3], qpos[:, 6] = 0.46, np.cos(yaw / 2), np.sin(yaw / 2)
    swing = 0.15 * np.sin(2 * np.pi * time)
    qpos[:, 7:] = robot.home
    for i, joint in enumerate(robot.joint_names):
        sign = 1.0 if joint.startswith("left") else -1.0 if joint.startswith("right") else 0.0
        qpos[:, 7 + i] += sign * swing * (1.0 if "pitch" in joint else 0.1)
    left = np.sin(2 * np.pi * time) < 0
    contacts = 20.0 * np.stack([left, left, ~left, ~left], axis=1)
    return Clip(
        qpos, velocities(qpos, 50.0), 50.0, robot.joint_names, False, "wildrobot", "a test", "MIT",
        name=name, contacts=contacts, meta={"subject": subject, "activity": activity},
    )  # fmt: skip


def strolls(folder: Path, frames: int = 120) -> Path:
    """Six clips of three subjects: two walks of A and of B, a run and a jump of C."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [("a1", 0.3, "A", "walk"), ("a2", 0.4, "A", "walk, slow"), ("b1", 0.5, "B", "walk"),
            ("b2", 0.6, "B", "walk"), ("c1", 0.9, "C", "run/jog"), ("c2", 0.2, "C", "forward jump")]  # fmt: skip
    for name, speed, subject, activity in rows:
        save_clip(folder / f"{name}.npz", stroll(name, frames, speed, subject, activity))
    return folder
