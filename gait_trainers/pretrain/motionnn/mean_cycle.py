"""The mean gait cycle: each coordinate as a function of phase and speed, fitted to all training frames with a gait.

It is a baseline that a conditioned model must beat, and the pose that a generated motion begins in. A coordinate is
Σ (aₖ + bₖ speed) cos 2πkφ + (cₖ + dₖ speed) sin 2πkφ over the first harmonics; cadence is a straight line in speed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gait_trainers.data.motion_state import YAW
from gait_trainers.data.windows import MotionStream

HARMONICS = 5
RIDGE = 1e-3  # of the mean square of the columns; nothing but a guard where speeds hardly differ


@dataclass(frozen=True)
class MeanCycle:
    """Coefficients of the curves, and the gait rate."""

    weights: np.ndarray  # (columns, C) of coordinates; x and y are left out, yaw is relative to the path's heading
    rate: np.ndarray  # (2,) cycles/s at rest, and more per m/s
    speeds: np.ndarray  # (2,) m/s, 5th and 95th percentile of the frames it was fitted to

    @classmethod
    def fitted(cls, stream: MotionStream) -> MeanCycle:
        """From the frames with a gait that a stream has in memory; all zero where they are too few."""
        frames = stream.frames
        gait = np.abs(frames.phase).sum(1) > 0
        size = frames.state.shape[1] // 2
        phase = np.arctan2(frames.phase[gait, 0], frames.phase[gait, 1])
        speed = frames.speed[gait, 0].astype(np.float64)
        # The rate of the phase: of frames that follow one another within a clip, between which it moves little.
        turn = (np.diff(phase) + np.pi) % (2 * np.pi) - np.pi
        rows = np.flatnonzero(gait)
        follows = (np.diff(rows) == 1) & (np.diff(np.searchsorted(stream.ends, rows, side="right")) == 0)
        steady = follows & (np.abs(turn) < 0.5 * np.pi) & (turn > 0)
        if np.count_nonzero(steady) < 2:  # no line through fewer
            return cls(np.zeros((2 * (2 * HARMONICS + 1), size)), np.zeros(2), np.zeros(2))
        line = np.polyfit(speed[1:][steady], turn[steady] * stream.robot.control_rate / (2 * np.pi), 1)
        target = frames.state[gait, :size].astype(np.float64)
        target[:, YAW] -= frames.path[gait, 0, 2]
        target[:, :2] = 0.0
        columns = _columns(phase, speed)
        gram = columns.T @ columns
        weights = np.linalg.solve(gram + RIDGE * np.diag(np.diag(gram)), columns.T @ target)
        return cls(weights, line[::-1].copy(), np.percentile(speed, [5, 95]))

    def coordinates(self, phase: np.ndarray, speed: np.ndarray, path: np.ndarray) -> np.ndarray:
        """Coordinates (..., C) at phases (...) rad and speeds (...) m/s on a path (..., 3)."""
        q = _columns(phase.ravel(), speed.ravel()) @ self.weights
        q = q.reshape(*phase.shape, -1)
        q[..., :2] += path[..., :2]
        q[..., YAW] += path[..., 2]
        return q

    def cadence(self, speed: float) -> float:
        """Cycles per second at a speed (m/s)."""
        return float(self.rate[0] + self.rate[1] * speed)

    def extras(self) -> dict[str, Any]:
        """For a model's file."""
        return {f"cycle_{key}": getattr(self, key) for key in ("weights", "rate", "speeds")}

    @classmethod
    def of(cls, extras: Mapping[str, Any]) -> MeanCycle | None:
        """The one in a model's file; None where there is none or it is of other sizes."""
        weights, rate, speeds = (np.asarray(extras.get(f"cycle_{key}", ())) for key in ("weights", "rate", "speeds"))
        if weights.ndim != 2 or len(weights) != 2 * (2 * HARMONICS + 1) or rate.shape != (2,) or speeds.shape != (2,):
            return None
        return cls(weights, rate, speeds)


def _columns(phase: np.ndarray, speed: np.ndarray) -> np.ndarray:
    """(m, 2 (2 H + 1)) terms of the curves at phases (m,) rad and speeds (m,) m/s."""
    angle = phase[:, None] * np.arange(1, HARMONICS + 1)
    waves = np.concatenate([np.ones((len(phase), 1)), np.cos(angle), np.sin(angle)], axis=1)
    return np.concatenate([waves, waves * speed[:, None]], axis=1)
