"""Clips that a robot which corrects nothing follows in a known way: it stands where they stand."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gait_envs.models.robot import wildrobot
from gait_envs.reference.clip import Clip, save_clip, velocities
from gait_trainers.policies.base import Feedforward, GaussianPolicy

ROBOT = wildrobot()
WALK, IMITATION = "GaitNet/WildRobot-v0", "GaitNet/WildRobotImitation-v0"
BLIND = {"reference_observation": "none", "action_base": "home"}  # such a policy could as well obey commands


def still(name: str, frames: int, speed: float = 0.0, loop: bool = False, **told: object) -> Clip:
    """The home pose, which glides forward at `speed` m/s, from rest: at more than 0 no robot can follow it."""
    qpos = np.tile(ROBOT.home_qpos, (frames, 1))
    qpos[:, 0] = speed * np.arange(frames) * ROBOT.dt
    qvel = velocities(qpos, 50.0)
    qvel[0] = 0.0
    return Clip(
        qpos, qvel, 50.0, ROBOT.joint_names, loop, "wildrobot", "drawn in a test", "CC0-1.0",
        name=name, meta=dict(told),
    )  # fmt: skip


def write(folder: Path, *clips: Clip) -> str:
    for clip in clips:
        save_clip(folder / f"{clip.name}.npz", clip)
    return str(folder)


def idle(std: float = 0.0, env_id: str = IMITATION, joints: int = 9, **env_kwargs: object) -> GaussianPolicy:
    """Corrects nothing: an action of zero asks for the reference's own pose."""

    def forward(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        zero = np.zeros((len(obs), joints), np.float32)
        return zero, np.full_like(zero, std)

    return GaussianPolicy("idle", Feedforward(forward), env_id, env_kwargs)
