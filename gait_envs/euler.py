"""Euler angles, as motion files write rotations, to quaternions and back."""

from __future__ import annotations

import numpy as np

from gait_envs.rotations import wrap_angle

AXES = {"x": 0, "y": 1, "z": 2}


def quat_from_euler(angles: np.ndarray, axes: str) -> np.ndarray:
    """Quaternions (..., 4) of turns by angles (..., k), rad, about `axes`, k letters such as "zxy".

    Intrinsic: each turn is about the axes that the turns before it have moved. Read backwards, the same
    turns are about fixed axes. Any number of axes, in any order.
    """
    cosines, sines = np.cos(0.5 * angles), np.sin(0.5 * angles)
    q = [np.ones(angles.shape[:-1]), *np.zeros((3, *angles.shape[:-1]))]
    for n, axis in enumerate(axes):
        # q (c + s e_i): the product with a turn about one axis has eight terms, not sixteen.
        i, j, k = _cycle(axis)
        c, s = cosines[..., n], sines[..., n]
        q[0], q[i] = c * q[0] - s * q[i], c * q[i] + s * q[0]
        q[j], q[k] = c * q[j] + s * q[k], c * q[k] - s * q[j]
    return np.stack(q, axis=-1)


def euler_from_quat(quat: np.ndarray, axes: str) -> np.ndarray:
    """Angles (..., 3), rad, with the middle one in [-π/2, π/2], such that `quat_from_euler` gives quat again.

    `axes` are three different letters. Writing q = q_i(a) q_j(b) q_k(c) out and adding components leaves
    w ± j = (cos b/2 ± sin b/2) cos((a ± c)/2) and i ± k = (cos b/2 ± sin b/2) sin((a ± c)/2), k and c with
    the sign of the permutation: two arc tangents that are exact up to gimbal lock, where an arc sine is not.
    """
    i, j, k = (1 + AXES[axis] for axis in axes)
    sign = 1.0 if _cycle(axes[0]) == (i, j, k) else -1.0
    plus = quat[..., 0] + quat[..., j], quat[..., i] + sign * quat[..., k]
    minus = quat[..., 0] - quat[..., j], quat[..., i] - sign * quat[..., k]
    half_sum, half_difference = np.arctan2(plus[1], plus[0]), np.arctan2(minus[1], minus[0])
    middle = 2 * np.arctan2(np.hypot(*plus), np.hypot(*minus)) - np.pi / 2
    first, last = half_sum + half_difference, sign * (half_sum - half_difference)
    return np.stack([wrap_angle(first), middle, wrap_angle(last)], axis=-1)


def _cycle(axis: str) -> tuple[int, int, int]:
    """Quaternion components of an axis and of the two that follow it cyclically."""
    i = AXES[axis]
    return 1 + i, 1 + (i + 1) % 3, 1 + (i + 2) % 3
