"""The pelvis over the foot that stands: a path from side to side that an inverted pendulum could take.

A robot's feet stand further apart than a walker's for its size, and its ankles may not roll. A captured pelvis
then stays too near the middle: the ground would have to push from outside the standing sole.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import solveh_banded

from gait_envs.constants import GRAVITY
from gait_envs.mocap.cleaning.signal import trend
from gait_envs.mocap.retarget.footholds import SoleTarget


def sway(
    pelvis: np.ndarray, soles: Sequence[SoleTarget], yaw: np.ndarray, share: float, fps: float, stride: float
) -> np.ndarray:
    """The pelvis's path (T, 3) m with its swing to the sides in place of the captured one.

    `yaw` (T,) rad is the heading, `stride` (s) what the middle way is averaged over. The ground's push is
    to go from the middle (`share` 0) to the middle of the standing soles (`share` 1), at height h under
    the pelvis; the path y is then that of the linear inverted pendulum (Kajita et al. 2001),
    y - (h/g) y'' = push, with no acceleration beyond the ends.
    """
    left = np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)
    middle = trend(pelvis[:, :2], fps, stride)
    stands = np.stack([sole.contact.any(axis=1) for sole in soles], axis=1).astype(float)  # (T, 2)
    stands[stands.sum(axis=1) == 0] = 1.0  # in flight: neither side
    ankles = np.stack([sole.ankle[:, :2] for sole in soles], axis=1)
    places = np.sum(ankles * stands[..., None], axis=1) / stands.sum(axis=1, keepdims=True)
    push = share * np.sum((places - middle) * left, axis=1)
    out = pelvis.copy()
    lateral = pendulum(push, float(pelvis[:, 2].mean()), fps) - np.sum((pelvis[:, :2] - middle) * left, axis=1)
    out[:, :2] += left * lateral[:, None]
    return out


def pendulum(push: np.ndarray, height: float, fps: float) -> np.ndarray:
    """Path (T,) m of a mass at `height` (m) over a push that is at `push` (T,) m: y - (h/g) y'' = push.

    Second differences make it a system with three diagonals, diagonally dominant and so always solved.
    """
    stiffness = height / GRAVITY * fps**2
    bands = np.empty((2, len(push)))  # above the diagonal, and the diagonal
    bands[0], bands[1] = -stiffness, 1.0 + 2.0 * stiffness
    bands[1, [0, -1]] -= stiffness
    return solveh_banded(bands, push)
