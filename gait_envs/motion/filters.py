"""Sampling and smoothing of motion at conversion time; nothing here runs in training."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.signal import savgol_filter


def resample(values: np.ndarray, fps: float, new_fps: float) -> np.ndarray:
    """Values (T, ...) at `fps`, read at `new_fps` over the same span: frame i is at time i / new_fps.

    A natural cubic spline: straight segments would give a 30 fps capture, read at 50 Hz, a velocity that
    jumps at every captured frame. The last new frame is the last that the span still holds.
    """
    if len(values) < 2:
        raise ValueError(f"resampling needs at least 2 frames, got {len(values)}")
    span = (len(values) - 1) / fps
    times = np.arange(int(np.floor(span * new_fps + 1e-9)) + 1) / new_fps
    return CubicSpline(np.arange(len(values)) / fps, values, bc_type="natural")(times)


def derivative(values: np.ndarray, fps: float) -> np.ndarray:
    """Rate of change a second of values (T, ...): central differences, one-sided at the ends."""
    return np.gradient(values, 1.0 / fps, axis=0)


def trend(values: np.ndarray, fps: float, window: float) -> np.ndarray:
    """Running straight-line fit over `window` seconds of values (T, ...).

    With a window of one stride it keeps where a walker turns and drops how the pelvis swings at each
    step. A span shorter than the window is fitted by one line.
    """
    frames = max(3, round(window * fps) // 2 * 2 + 1)
    if frames > len(values):
        frames = len(values) - 1 + len(values) % 2  # the largest odd number that fits
    if frames < 3:
        return np.broadcast_to(values.mean(axis=0), values.shape).copy()
    return savgol_filter(values, frames, 1, axis=0, mode="interp")


def debounce(mask: np.ndarray, frames: int) -> np.ndarray:
    """Boolean (T,) without runs shorter than `frames`, gaps closed first; runs at the ends are kept."""
    out = mask.copy()
    for value in (False, True):
        for start, stop in runs(out == value):
            if stop - start < frames and start > 0 and stop < len(out):
                out[start:stop] = not value
    return out


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Half-open intervals [start, stop) in which a boolean (T,) is true."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
