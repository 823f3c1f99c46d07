"""What a conditioned model is given: path, speed and phase of captured windows, or of a straight walk by a clock."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from gait_trainers.data.gait_phase import OFFSETS
from gait_trainers.data.windows import Windows


def conditions_of(windows: Windows) -> dict[str, Tensor]:
    """Of captured windows."""
    return {key: torch.from_numpy(getattr(windows, key)) for key in ("path", "speed", "phase")}


def straight(
    start: np.ndarray,
    heading: np.ndarray,
    speed: np.ndarray,
    cycle: np.ndarray,
    rate: np.ndarray,
    frames: int,
    fps: float,
) -> dict[str, Tensor]:
    """Paths from places `start` (n, 2) m in directions `heading` (n,) rad, faced all along, at speeds (n,) m/s; clocks
    that show `cycle` (n,) at first and advance at `rate` (n,) cycles/s. Tensors as `Windows` has them, n x frames."""
    time = np.arange(frames) / fps
    ahead = (np.arange(frames)[:, None] + np.array(OFFSETS)) / fps  # (frames, offsets)
    way = speed[:, None, None] * ahead
    path = np.stack(
        [
            start[:, :1, None] + np.cos(heading)[:, None, None] * way,
            start[:, 1:, None] + np.sin(heading)[:, None, None] * way,
            np.broadcast_to(heading[:, None, None], way.shape),
        ],
        axis=-1,
    )
    angle = 2 * np.pi * (cycle[:, None] + rate[:, None] * time)
    told = {
        "path": path,
        "speed": np.repeat(speed[:, None, None], frames, 1),
        "phase": np.stack([np.sin(angle), np.cos(angle)], axis=-1),
    }
    return {key: torch.from_numpy(value.astype(np.float32)) for key, value in told.items()}
