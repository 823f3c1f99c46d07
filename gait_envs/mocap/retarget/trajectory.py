"""Inverse kinematics of a whole motion at once: every frame's tasks, and joints that accelerate no more than these ask.

Frame by frame, what the tasks leave undetermined is decided anew in each frame: how a nearly straight leg is turned
about its own length, which of two solutions a knee falls into. The joints then shake although every task is met. Here
the frames share one least-squares problem, in which acceleration has a cost.
"""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
from scipy.linalg import solveh_banded

_SWEEPS = 10  # Gauss-Newton steps at most
_CONVERGED = 2e-3  # m and rad moved in one sweep
_LARGEST = 0.3  # m and rad moved in one sweep at most: further, the linearised tasks mean nothing
_WINDOW, _OVERLAP = 400, 60  # frames solved together, and frames of these that the next window solves again
_DAMPING = 1.0  # of every step: without it, joints at their limits make the feet wander
_PINNED = 1e9  # stiffness that keeps a joint at its limit

Linearised = Callable[[int, np.ndarray], tuple[np.ndarray, np.ndarray]]


def settle(
    qpos: np.ndarray, linearised: Linearised, model: mujoco.MjModel, lower: np.ndarray, upper: np.ndarray, cost: float
) -> np.ndarray:
    """Joint positions (T, nq) that cost least over all frames, starting from `qpos`; hinges after a free root.

    `linearised(t, q)` gives Hessian (nv, nv) and gradient (nv,) of frame t's tasks at q. `cost` weighs what a joint
    moves beyond the mean of both neighbouring frames, 1/rad. Hinges stay within `lower` and `upper` (joints,).
    """
    out = qpos.copy()
    out[:, 7:] = np.clip(out[:, 7:], lower, upper)
    start = 0
    while True:
        stop = len(out) if len(out) - start <= _WINDOW else start + _WINDOW
        _settle_window(out, start, stop, linearised, model, lower, upper, cost)
        if stop == len(out):
            return out
        start = stop - _OVERLAP


def _settle_window(
    qpos: np.ndarray,
    start: int,
    stop: int,
    linearised: Linearised,
    model: mujoco.MjModel,
    lower: np.ndarray,
    upper: np.ndarray,
    cost: float,
) -> None:
    """Settle frames start to stop in place; those before them stay as they are."""
    known = min(start, 2)  # settled frames that the first new ones must continue
    second = cost * np.diff(np.eye(stop - start + known), 2, axis=0)  # (n - 2, n) second differences
    coupling = second.T @ second
    hessian, gradient = np.empty((stop - start, model.nv, model.nv)), np.empty((stop - start, model.nv))
    moved = np.arange(stop - start)  # frames whose tasks must be linearised again
    diagonal = np.arange(model.nv)
    for _ in range(_SWEEPS):
        for t in moved.tolist():
            hessian[t], gradient[t] = linearised(start + t, qpos[start + t])
        joints = qpos[start - known : stop, 7:]
        slope = gradient.copy()
        slope[:, 6:] += (coupling @ joints)[known:]
        pushed_up = (joints[known:] >= upper) & (slope[:, 6:] < 0)
        pushed_down = (joints[known:] <= lower) & (slope[:, 6:] > 0)
        stiff = hessian.copy()
        stiff[:, diagonal, diagonal] += _DAMPING
        stiff[:, diagonal[6:], diagonal[6:]] += _PINNED * (pushed_up | pushed_down)
        step = newton_step(stiff, slope, coupling[known:, known:])
        step *= np.minimum(1.0, _LARGEST / np.maximum(np.abs(step).max(axis=1, keepdims=True), 1e-12))
        step[:, 6:] = np.clip(joints[known:] + step[:, 6:], lower, upper) - joints[known:]
        for t in range(start, stop):
            mujoco.mj_integratePos(model, qpos[t], step[t - start], 1.0)
        moved = np.flatnonzero(np.abs(step).max(axis=1) > _CONVERGED)
        if not len(moved):
            break
        gradient += np.einsum("tij,tj->ti", hessian, step)  # the others hardly moved: linear is exact enough
    qpos[start:stop, 7:] = np.clip(qpos[start:stop, 7:], lower, upper)


def newton_step(hessian: np.ndarray, gradient: np.ndarray, coupling: np.ndarray) -> np.ndarray:
    """Step (T, nv) that minimises the quadratic of frames (T, nv, nv), (T, nv), coupled by (T, T) joint by joint.

    The first six velocities, the free root's, are not coupled. `coupling` reaches two frames at most, so the
    system is a band of 2 nv diagonals on either side.
    """
    frames, size = gradient.shape
    reach = min(2, frames - 1)
    bands = np.zeros((2 * size + 1, frames, size))  # [2 nv - (column - row), column]
    for k in range(size):  # within a frame
        bands[2 * size - k, :, k:] = hessian[:, np.arange(size - k), np.arange(k, size)]
    for k in range(reach + 1):  # from frame to frame
        bands[2 * size - k * size, k:, 6:] += np.diagonal(coupling, k)[:, None]
    return solveh_banded(bands.reshape(2 * size + 1, -1), -gradient.ravel()).reshape(frames, size)
