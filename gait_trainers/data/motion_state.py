"""A clip's frames as states: coordinates and their causal velocities.

A state of a body with J joints has 2 (6 + J) numbers: the coordinates q, then their rates, 112 for the humanoid and 30
for WildRobot. The root counts as six coordinates: position x, y, z (m), and yaw, pitch, roll (rad; turns about z, y, x
one after the other), unwrapped so that a body that turns round keeps counting. The joints follow, rad.

Velocities are backward differences, (q[t] - q[t-1]) fps, so a state knows nothing of the next frame. A clip's own
`qvel` is a central difference: a model that reads it reads the answer.
"""

from __future__ import annotations

import numpy as np

from gait_envs.euler import euler_from_quat, quat_from_euler
from gait_envs.reference.clip import velocities

ROOT = ("root_x", "root_y", "root_z", "root_yaw", "root_pitch", "root_roll")
X, Y, Z, YAW, PITCH, ROLL = range(6)
_AXES = "zyx"


def state_names(joint_names: tuple[str, ...]) -> tuple[str, ...]:
    """A name for each number of a state: coordinates, then `<coordinate>_rate`."""
    names = (*ROOT, *joint_names)
    return (*names, *(f"{name}_rate" for name in names))


def coordinates(qpos: np.ndarray) -> np.ndarray:
    """Coordinates (T, 6 + J) of poses (T, 7 + J) that follow one another in time."""
    angles = np.unwrap(euler_from_quat(qpos[:, 3:7], _AXES), axis=0)
    return np.concatenate([qpos[:, :3], angles, qpos[:, 7:]], axis=1)


def states(qpos: np.ndarray, fps: float) -> np.ndarray:
    """States (T - 1, 2 (6 + J)) of poses (T, 7 + J): all frames but the first, which has no frame before it."""
    q = coordinates(qpos)
    return np.concatenate([q[1:], np.diff(q, axis=0) * fps], axis=1)


def poses(q: np.ndarray) -> np.ndarray:
    """Poses (..., 7 + J) of coordinates (..., 6 + J): the inverse of `coordinates`."""
    return np.concatenate([q[..., :3], quat_from_euler(q[..., 3:6], _AXES), q[..., 6:]], axis=-1)


def clip_arrays(q: np.ndarray, fps: float) -> tuple[np.ndarray, np.ndarray]:
    """Positions (T, 7 + J) and central-difference velocities (T, 6 + J), as clips have them; q: (T, 6 + J)."""
    qpos = poses(q)
    return qpos, velocities(qpos, fps)


def aligned(states: np.ndarray, path: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Windows of states (n, L, d) moved so that their first frames stand at x = y = 0 and face +x.

    path: (n, L, offsets, 3) of x, y (m) and heading (rad), moved with them.
    """
    size = states.shape[-1] // 2
    start, out = states[:, :1], states.copy()
    cos, sin = np.cos(start[..., YAW]), np.sin(start[..., YAW])
    out[..., :2] = _turned(states[..., :2] - start[..., :2], cos, sin)
    out[..., YAW] -= start[..., YAW]
    out[..., size : size + 2] = _turned(states[..., size : size + 2], cos, sin)
    if path is None:
        return out, None
    moved = path.copy()
    moved[..., :2] = _turned(path[..., :2] - start[:, :, None, :2], cos[..., None], sin[..., None])
    moved[..., 2] -= start[:, :, None, YAW]
    return out, moved


def _turned(v: np.ndarray, cos: np.ndarray, sin: np.ndarray) -> np.ndarray:
    """Vectors (n, ..., 2) in the axes of a heading with this cosine and sine, (n, 1, ...)."""
    return np.stack([cos * v[..., 0] + sin * v[..., 1], cos * v[..., 1] - sin * v[..., 0]], axis=-1)
