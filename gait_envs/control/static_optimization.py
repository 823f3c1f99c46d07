"""Muscle redundancy by static optimisation, the baseline of biomechanics, for many simulations at once.

Of all activations between 0 and 1 it finds those that minimise

    Σ a² + w |JtA a − r|²,    r = τ − b

(R. D. Crowninshield and R. A. Brand 1981 for the idea of a cost; squared activations as F. C. Anderson and M. G. Pandy
2001). The torque enters as a strong penalty rather than a constraint, so that one beyond the muscles' reach has a
nearest answer.

Solved through its dual: at the optimum a = clip(JtAᵀ λ, 0, 1) with λ = w (r − JtA a), one λ a joint coordinate. So
instead of a quadratic programme in m muscles there are d equations,

    g(λ) = λ / w + JtA clip(JtAᵀ λ, 0, 1) − r = 0,

piecewise linear, and the gradient of a strictly convex φ. Newton's method on them ends exactly after a few steps: once
the muscles at 0 and at 1 are the right ones, the next step is the solution. A step that does not halve φ's slope goes
as far as φ falls instead. The λ of a moment ago is a good start.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

WEIGHT = 100.0  # (N·m)⁻²; a torque in reach is missed by λ / w, a hundredth of a N·m where muscles are weakest
ROUNDING = 1e-14  # of the sizes that enter the gradient: below it the gradient is zero


class Shares(NamedTuple):
    """The answer, a row for each problem."""

    activations: np.ndarray  # (n, m) in [0, 1]
    multipliers: np.ndarray  # (n, d) λ, a start for the next problem
    converged: np.ndarray  # (n,) bool
    iterations: np.ndarray  # (n,) Newton steps


def share_torque(
    jta: np.ndarray,
    torque: np.ndarray,
    *,
    weight: float = WEIGHT,
    start: np.ndarray | None = None,
    max_iterations: int = 100,
) -> Shares:
    """Activations of least effort for active torques (n, d) N·m (the passive part taken off), JtA being (n, d, m) N·m.

    `start` (n, d) are multipliers of an earlier, similar problem. Each row is solved alone: its bits do not depend
    on its neighbours.
    """
    n, d, _ = jta.shape
    if torque.shape != (n, d):
        raise ValueError(f"torque has shape {torque.shape}, expected {(n, d)}: a row a problem, the dofs of JtA")
    if start is not None and start.shape != (n, d):
        raise ValueError(f"start has shape {start.shape}, expected {(n, d)}")
    if not weight > 0:
        raise ValueError(f"weight is {weight}, expected more than 0")
    multipliers = np.zeros((n, d)) if start is None else np.array(start, dtype=float)
    strength = np.abs(jta).sum(axis=2).max(axis=1)  # N·m, of all muscles together
    iterations, live = np.zeros(n, dtype=int), np.arange(n)
    a, target, lam = jta, torque, multipliers.copy()
    drive, gradient = _gradient(a, lam, target, weight)
    for _ in range(max_iterations + 1):
        size = np.abs(target).max(axis=1) + strength[live] * (1 + np.abs(drive).max(axis=1))
        going = np.abs(gradient).max(axis=1) > ROUNDING * size  # a row of NaN, of a diverged simulation, stops too
        if not going.all():
            live, a, target, lam = live[going], a[going], target[going], lam[going]
            drive, gradient = drive[going], gradient[going]
        if not len(live):
            break
        # Muscles strictly inside answer to λ; those on the edge are counted in, which makes the first step from
        # λ = 0 the unbounded solution.
        free = ((drive >= 0) & (drive <= 1))[:, None, :]
        hessian = np.eye(d) / weight + (a * free) @ a.swapaxes(1, 2)
        step = np.linalg.solve(hessian, -gradient[..., None])[..., 0]
        slope, before, lam = (gradient * step).sum(axis=1), (lam, drive), lam + step
        drive, gradient = _gradient(a, lam, target, weight)
        far = np.flatnonzero(np.abs((gradient * step).sum(axis=1)) > 0.5 * np.abs(slope))
        if len(far):
            a_far, step = a[far], step[far]
            response = _times(a_far.swapaxes(1, 2), step)
            length = _lowest(before[1][far], response, slope[far], (step**2).sum(axis=1) / weight)
            lam[far] = before[0][far] + length[:, None] * step
            drive[far], gradient[far] = _gradient(a_far, lam[far], target[far], weight)
        multipliers[live] = lam
        iterations[live] += 1
    activations = np.clip(_times(jta.swapaxes(1, 2), multipliers), 0, 1)
    return Shares(activations, multipliers, ~np.isin(np.arange(n), live), iterations)


def _gradient(a: np.ndarray, lam: np.ndarray, target: np.ndarray, weight: float) -> tuple[np.ndarray, np.ndarray]:
    """JtAᵀ λ (n, m) and g(λ) (n, d)."""
    drive = _times(a.swapaxes(1, 2), lam)
    return drive, lam / weight + _times(a, np.clip(drive, 0, 1)) - target


def _times(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Matrices (n, i, j) times vectors (n, j)."""
    return (a @ x[..., None])[..., 0]


def _lowest(drive: np.ndarray, response: np.ndarray, descent: np.ndarray, curvature: np.ndarray) -> np.ndarray:
    """How far along a step φ is least, (n,), in steps.

    Its derivative there, descent + t·curvature + Σ response · (clip(drive + t·response, 0, 1) − clip(drive, 0, 1)),
    is a broken line that rises: each muscle adds response² to its slope while it lies between 0 and 1.
    """
    moves = response != 0
    divisor = np.where(moves, response, 1.0)
    ends = np.sort(np.stack([-drive / divisor, (1 - drive) / divisor]), axis=0)  # where a muscle gets in, and out
    breaks = np.concatenate(list(np.where(moves, np.maximum(ends, 0.0), 0.0)), axis=1)
    bends = np.concatenate([response**2, -(response**2)], axis=1)
    order = np.argsort(breaks, axis=1)
    breaks, bends = np.take_along_axis(breaks, order, axis=1), np.take_along_axis(bends, order, axis=1)
    start = np.zeros((len(breaks), 1))
    breaks = np.concatenate([start, breaks], axis=1)
    slope = curvature[:, None] + np.concatenate([start, np.cumsum(bends, axis=1)], axis=1)
    rise = np.cumsum(slope[:, :-1] * np.diff(breaks, axis=1), axis=1)
    derivative = descent[:, None] + np.concatenate([start, rise], axis=1)
    last = np.maximum((derivative < 0).sum(axis=1) - 1, 0)[:, None]  # the last break where φ still falls
    at, falls, bend = (np.take_along_axis(x, last, axis=1)[:, 0] for x in (breaks, derivative, slope))
    bend = np.maximum(bend, curvature)
    return at - np.divide(falls, bend, out=np.zeros_like(falls), where=bend > 0)  # flat: no muscle turns any joint
