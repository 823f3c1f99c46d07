"""Dense arrays from MuJoCo's sparse ones, for many simulations at once."""

from __future__ import annotations

import numpy as np

from gait_envs.rotations import Array, array_namespace


def dense(values: Array, index: np.ndarray) -> Array:
    """Values (n, k) as (n, *index.shape): element i, j is the value at index[i, j], or 0 where that is k."""
    xp = array_namespace(values)
    padded = xp.concat([values, xp.zeros_like(values[:, :1])], axis=1)
    return xp.reshape(xp.take(padded, index.ravel(), axis=1), (-1, *index.shape))
