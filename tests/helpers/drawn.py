"""Small motions of a body of two joints, so that tests know what libraries must answer."""

from __future__ import annotations

from typing import Any

import numpy as np

from gait_envs.reference.clip import Clip, velocities
from gait_envs.reference.library import MotionLibrary
from gait_envs.reference.streaming import StreamingLibrary
from gait_envs.rotations import quat_from_rotvec

JOINTS = ("hip", "knee")


def clip(qpos: np.ndarray, fps: float = 50.0, **changes: Any) -> Clip:
    fields: dict[str, Any] = {
        "qpos": qpos,
        "qvel": velocities(qpos, fps),
        "fps": fps,
        "joint_names": JOINTS,
        "loop": False,
        "model": "body",
        "source": "drawn in a test",
        "license": "MIT",
        "name": "clip",
    }
    return Clip(**fields | changes)


def drift(frames: int = 6, speed: float = 0.5, **changes: Any) -> Clip:
    """Forward at a constant speed (m/s), upright, 50 Hz."""
    qpos = np.zeros((frames, 9))
    qpos[:, 0], qpos[:, 2], qpos[:, 3] = speed / 50 * np.arange(frames), 0.46, 1.0
    qpos[:, 7:] = [0.1, -0.2]
    return clip(qpos, **changes)


def wander(frames: int, seed: int, fps: float = 50.0, **changes: Any) -> Clip:
    """A smooth random motion of everything."""
    rng = np.random.default_rng(seed)
    steps = 0.1 * rng.normal(size=(frames, 8)).cumsum(axis=0)
    root = quat_from_rotvec(steps[:, 3:6])
    return clip(
        np.concatenate([steps[:, :3], root, steps[:, 6:]], axis=1), fps, **{"name": f"wander_{seed}", **changes}
    )


def library(*clips: Clip) -> MotionLibrary:
    return MotionLibrary(clips, JOINTS, clips[0].fps)


def ask(found: MotionLibrary | StreamingLibrary, at: int, *times: float) -> tuple[np.ndarray, np.ndarray]:
    return found.sample(np.full(len(times), at), np.array(times))
