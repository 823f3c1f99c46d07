"""Sampling and smoothing of motion at conversion time; nothing here runs in training."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d, maximum_filter1d
from scipy.signal import savgol_filter

from gait_envs.errors import MotionError

MOST_FRAMES = 10_000_000  # of a motion that is written: two days at 60 Hz
MOST_RETARGETED = 200_000  # an hour at 50 Hz: about what a clip holds of the humanoid


def resampled_frames(frames: int, fps: float, new_fps: float, most: int = MOST_FRAMES) -> int:
    """How many frames at `new_fps` fit into the duration of `frames` at `fps`, (frames - 1) / fps; MotionError if they
    are more than `most`."""
    count = np.floor((frames - 1) / fps * new_fps + 1e-9) + 1
    if not count <= most:
        raise MotionError(
            f"{(frames - 1) / fps:g} s at {new_fps:g} Hz are {count:g} frames; at most {most:,} can be made: "
            "ask for a lower rate or a quicker pace, or cut the motion"
        )
    return int(count)


def resample(values: np.ndarray, fps: float, new_fps: float) -> np.ndarray:
    """Values (T, ...) at `fps`, read at `new_fps` over the same span: frame i is at time i / new_fps.

    A natural cubic spline: straight segments would give a 30 fps capture, read at 50 Hz, a velocity that
    jumps at every captured frame. The last new frame is the last that the span still holds. MotionError where that
    makes fewer than three frames, of which no acceleration is known, or more than `MOST_RETARGETED`.
    """
    if len(values) < 2:
        raise ValueError(f"resampling needs at least 2 frames, got {len(values)}")
    count = resampled_frames(len(values), fps, new_fps, MOST_RETARGETED)
    if count < 3:
        raise MotionError(f"{(len(values) - 1) / fps:g} s at {new_fps:g} Hz are fewer than three frames")
    times = np.arange(count) / new_fps
    return CubicSpline(np.arange(len(values)) / fps, values, bc_type="natural")(times)


def derivative(values: np.ndarray, fps: float) -> np.ndarray:
    """Rate of change per second of values (T, ...): central differences, one-sided at the ends."""
    return np.gradient(values, 1.0 / fps, axis=0)


def trend(values: np.ndarray, fps: float, window: float) -> np.ndarray:
    """Running straight-line fit over `window` seconds of values (T, ...).

    With a window of one stride it keeps where a walker turns and drops how the pelvis swings at each
    step. A span shorter than the window has no trend to tell from a swing: it gets its mean.
    """
    frames = max(3, round(window * fps) // 2 * 2 + 1)
    if frames > len(values):
        return np.broadcast_to(values.mean(axis=0), values.shape).copy()
    return savgol_filter(values, frames, 1, axis=0, mode="interp")


def smooth(values: np.ndarray, fps: float, sigma: float) -> np.ndarray:
    """Values (T, ...) without phase shift through a Gaussian of `sigma` seconds; the ends keep their slope."""
    width = sigma * fps
    pad = min(len(values) - 1, int(np.ceil(4 * width)))
    if width <= 0 or pad < 1:
        return values.copy()
    padded = np.pad(values, [(pad, pad)] + [(0, 0)] * (values.ndim - 1), mode="reflect", reflect_type="odd")
    return gaussian_filter1d(padded, width, axis=0)[pad:-pad]


def continuous_signs(quat: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """Quaternions (T, ..., 4) as q or -q, one rotation, whichever is nearer the one before.

    The first keeps its sign, or takes that of `before` (..., 4).
    """
    chain = np.concatenate([quat[:1] if before is None else before[None], quat])
    flips = np.where(np.sum(chain[1:] * chain[:-1], axis=-1) < 0, -1.0, 1.0)
    return quat * np.cumprod(flips, axis=0)[..., None]


def smooth_quaternions(quat: np.ndarray, fps: float, sigma: float) -> np.ndarray:
    """The same for unit quaternions (T, 4), good while they turn little within `sigma`."""
    mean = smooth(continuous_signs(quat), fps, sigma)
    return mean / np.linalg.norm(mean, axis=-1, keepdims=True)


def envelope(values: np.ndarray, frames: int) -> np.ndarray:
    """A smooth curve nowhere below values (T,): the largest within `frames` either way, averaged as widely."""
    window = np.hanning(2 * frames + 3)[1:-1]
    highest = np.pad(maximum_filter1d(values, 2 * frames + 1, mode="nearest"), frames, mode="edge")
    return np.convolve(highest, window / window.sum(), mode="valid")
