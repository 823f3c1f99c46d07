"""Augmentation of windows of motion: the same movement in the posture of somebody else, larger or smaller.

What is predicted for a stranger must keep the stranger's posture, not return to that of the training's subjects: the
constant part of a pose has to be read from the frames that are given.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gait_trainers.data.motion_state import PITCH, ROLL, Z


@dataclass(frozen=True)
class Style:
    """How far windows are varied. Arrays are (C,), of the coordinates; None varies nothing."""

    mean: np.ndarray | None = None  # about which amplitudes are scaled
    offset: np.ndarray | None = None  # deviation of the constant that is added, m or rad
    scale: np.ndarray | None = None  # largest relative change of the amplitude

    @classmethod
    def of(cls, states: np.ndarray, moving: np.ndarray, offset: float, scale: float) -> Style:
        """From states (m, 2 C) of the training, and which coordinates (C,) move. See `DataConfig`."""
        if not (offset or scale):
            return cls()
        coordinates = states[:, : states.shape[1] // 2]
        joints = moving.copy()
        joints[:6] = False
        posture = joints.copy()
        posture[[Z, PITCH, ROLL]] = True
        return cls(coordinates.mean(0), offset * coordinates.std(0) * posture, scale * joints)

    def vary(self, state: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Windows (n, L, 2 C) float32 in as many styles; each is constant throughout its window."""
        if self.mean is None or self.offset is None or self.scale is None:
            return state
        n, size = len(state), len(self.mean)
        shift = self.offset * rng.standard_normal((n, 1, size))
        factor = 1 + self.scale * rng.uniform(-1, 1, (n, 1, size))
        coordinates = self.mean + factor * (state[..., :size] - self.mean) + shift
        return np.concatenate([coordinates, factor * state[..., size:]], -1).astype(np.float32)
