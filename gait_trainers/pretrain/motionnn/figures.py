"""Figures of predicted motion against captured motion: pure functions of arrays.

Predictions and targets are states (n, K, 2 C): coordinates in m and rad, then their rates; frame k is k + 1 frames
after the last one that was given. `moving` (C,) bool marks the coordinates that move at all.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gait_trainers.data.motion_state import PITCH, ROLL, YAW, Z

HORIZONS = (1, 5, 10, 30, 60)
FAST = 6.0  # Hz, above which little of a gait's own motion lies
COLLAPSED = 0.2  # of the captured rates: a body that moves less stands still
LAST = 30  # frames over which the end of a rollout is judged


def mean_square(error: np.ndarray, horizons: Sequence[int] = HORIZONS) -> dict[str, float]:
    """Mean of squared errors (n, K, m) at each horizon, "1", "5", …: of the frame so many after the last given one."""
    return {str(h): float(np.mean(np.square(error[:, h - 1]))) for h in horizons if h <= error.shape[1]}


def errors(
    predicted: np.ndarray, target: np.ndarray, moving: np.ndarray, horizons: Sequence[int] = HORIZONS
) -> dict[str, dict[str, float]]:
    """Squared errors by horizon: of all coordinates and rates in raw units, of the moving joints alone (rad²); mean
    distance of the root over the floor (m) and error of its heading (rad)."""
    size = predicted.shape[-1] // 2
    error = np.asarray(predicted, np.float64) - np.asarray(target, np.float64)
    joints = np.flatnonzero(moving[6:]) + 6
    drift = np.linalg.norm(error[..., :2], axis=-1)
    within = [h for h in horizons if h <= error.shape[1]]
    return {
        "position_mse": mean_square(error[..., :size], horizons),
        "velocity_mse": mean_square(error[..., size:], horizons),
        "joints_mse": mean_square(error[..., joints], horizons),
        "root_drift_m": {str(h): float(drift[:, h - 1].mean()) for h in within},
        "root_heading_error": {str(h): float(np.abs(error[:, h - 1, YAW]).mean()) for h in within},
    }


def r_squared(
    predicted: np.ndarray,
    target: np.ndarray,
    columns: np.ndarray,
    horizons: Sequence[int] = HORIZONS,
    *,
    uniform: bool = False,
) -> dict[str, float]:
    """1 - squared error / variance of the columns (indices) at each horizon over the windows: of all together, the mean
    over the columns weighted by their variances; `uniform`: each column alike, those too that hardly vary. 0 is the
    mean of what was captured; less is worse than that."""
    out = {}
    for h in horizons:
        if h <= target.shape[1]:
            true = np.asarray(target[:, h - 1, columns], np.float64)
            error = np.asarray(predicted[:, h - 1, columns], np.float64) - true
            variance = np.maximum(true.var(0), 1e-12)
            explained = 1 - np.mean(error**2, 0) / variance
            out[str(h)] = float(np.average(explained, weights=None if uniform else variance))
    return out


def normalized_mse(
    predicted: np.ndarray, target: np.ndarray, columns: np.ndarray, horizons: Sequence[int] = HORIZONS
) -> dict[str, float]:
    """Squared error of each of the columns (indices) over its variance in all target frames, meant over the columns."""
    error = np.asarray(predicted[..., columns], np.float64) - target[..., columns]
    variance = np.maximum(np.asarray(target[..., columns], np.float64).var((0, 1)), 1e-12)
    return mean_square(error / np.sqrt(variance), horizons)


def growth(position_mse: dict[str, float]) -> dict[str, float | None]:
    """How the error grows from the first horizon to the last: ratio of mean squares and of their roots, and the slope
    of the logarithm of the root over that of the frames (below 1: slower than linearly)."""
    frames = np.array([int(h) for h in position_mse], dtype=np.float64)
    values = np.array(list(position_mse.values()))
    if len(values) < 2 or values.min() <= 0:
        return {"mse_ratio": None, "rmse_ratio": None, "log_slope": None}
    ratio = float(values[-1] / values[0])
    slope = np.polyfit(np.log(frames), 0.5 * np.log(values), 1)[0]
    return {"mse_ratio": ratio, "rmse_ratio": ratio**0.5, "log_slope": float(slope)}


def stability(predicted: np.ndarray, target: np.ndarray, moving: np.ndarray, fps: float) -> dict[str, float]:
    """Whether rollouts keep their motion. Of the last frames: squared joint rates over the captured ones (1: neither
    gains nor loses), share of windows whose rates have collapsed; and share of the joints' velocity power above 6 Hz,
    predicted and captured."""
    size = predicted.shape[-1] // 2
    joints = np.flatnonzero(moving[6:]) + 6 + size
    own, true = predicted[:, -LAST:, joints], target[:, -LAST:, joints]
    own_energy, true_energy = np.mean(own**2, (1, 2)), np.mean(true**2, (1, 2))
    return {
        "energy_ratio": float(own_energy.mean() / true_energy.mean()),
        "collapsed": float(np.mean(own_energy < COLLAPSED**2 * true_energy)),
        "fast_power": fast_share(predicted[..., joints], fps),
        "fast_power_captured": fast_share(target[..., joints], fps),
    }


def fast_share(rates: np.ndarray, fps: float) -> float:
    """Share of the power of rates (n, K, m) above 6 Hz, of their change about their mean."""
    power = np.abs(np.fft.rfft(rates - rates.mean(1, keepdims=True), axis=1)) ** 2
    fast = np.fft.rfftfreq(rates.shape[1], 1 / fps) > FAST
    return float(power[:, fast].sum() / max(power.sum(), 1e-12))


def free_running(predicted: np.ndarray, target: np.ndarray, moving: np.ndarray) -> dict[str, Any]:
    """Of long rollouts: share that stay upright throughout (height within 0.7 to 1.3 of the captured mean, tilt below
    45 degrees), and joint rates after the first second over the captured ones (root mean square)."""
    size = predicted.shape[-1] // 2
    joints = np.flatnonzero(moving[6:]) + 6 + size
    height = float(target[..., Z].mean())
    tilt = np.maximum(np.abs(predicted[..., PITCH]), np.abs(predicted[..., ROLL]))
    upright = ((np.abs(predicted[..., Z] / height - 1) < 0.3) & (tilt < np.pi / 4)).all(1)
    settled = min(LAST, predicted.shape[1] // 2)
    rates = np.sqrt(np.mean(predicted[:, settled:][..., joints] ** 2, (1, 2)))
    captured = float(np.sqrt(np.mean(target[..., joints] ** 2)))
    return {
        "frames": predicted.shape[1],
        "upright": float(upright.mean()),
        "joint_rates": float(np.sqrt(np.mean(rates**2)) / captured),
        "joint_rates_least": float(rates.min() / captured),
        "joint_rates_most": float(rates.max() / captured),
    }
