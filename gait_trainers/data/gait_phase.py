"""What a motion model may be conditioned on: the path of the root, its speed, and the phase of the gait.

Path and phase are read from the whole clip, so they know its future: figures of a model that is given them are those of
a model that is conditioned on where to go and when to step.
"""

from __future__ import annotations

import numpy as np

from gait_envs.biomechanics.events import SHORTEST_STEP, stance, touchdown_frames
from gait_trainers.data.motion_state import YAW

SMOOTHING = 0.2  # s, standard deviation of the Gaussian that takes the sway of the steps out of the path
OFFSETS = (0, 1, 10, 20, 30)  # frames ahead at which the path is seen


def root_path(q: np.ndarray, fps: float) -> np.ndarray:
    """Smoothed x, y (m) and heading (rad) of the root, (T, 3), for coordinates (T, 6 + J)."""
    raw = q[:, [0, 1, YAW]]
    half = max(1, round(3 * SMOOTHING * fps))
    kernel = np.exp(-0.5 * (np.arange(-half, half + 1) / (SMOOTHING * fps)) ** 2)
    kernel /= kernel.sum()
    padded = np.concatenate([_beyond(raw, half)[::-1], raw, _beyond(raw[::-1], half)])
    return np.stack([np.convolve(column, kernel, mode="valid") for column in padded.T], axis=1)


def path_ahead(path: np.ndarray) -> np.ndarray:
    """The path (T, 3) as seen from each of its frames, (T, offsets, 3); it goes on straight after its last frame."""
    last = len(path) - 1
    rows = np.arange(len(path))[:, None] + np.array(OFFSETS)
    beyond = np.maximum(rows - last, 0)[..., None]
    return path[np.minimum(rows, last)] + beyond * (path[-1] - path[-2])


def _beyond(raw: np.ndarray, count: int) -> np.ndarray:
    """`count` rows before the first, nearest first: the first rows reflected in the first one, so that straight lines
    stay straight."""
    rows = np.minimum(np.arange(1, count + 1), len(raw) - 1)
    ahead = 2 * raw[0] - raw[rows]
    missing = np.arange(1, count + 1) - rows  # of a clip shorter than the kernel, which goes on at its mean rate
    return ahead - missing[:, None] * (raw[-1] - raw[0]) / max(len(raw) - 1, 1)


def path_speed(path: np.ndarray, fps: float) -> np.ndarray:
    """Horizontal speed (T,) m/s along a path (T, 3), by backward differences."""
    speed = np.linalg.norm(np.diff(path[:, :2], axis=0), axis=1) * fps
    return np.concatenate([speed[:1], speed])


def gait_cycles(contacts: np.ndarray | None, threshold: float, fps: float) -> np.ndarray | None:
    """Cycles (T,) that have passed: whole numbers where the left foot lands, halves where the right one does, straight
    lines between, at the mean rate before the first and after the last.

    contacts: (T, 4) N under left toe, left heel, right toe, right heel; threshold: N from which a foot stands. None
    where the feet do not land in turn, as in a jump, or land fewer than three times.
    """
    if contacts is None or not np.isfinite(contacts).all():
        return None
    stands = stance(contacts[:, None, :4], threshold, np.ones((len(contacts), 1), dtype=bool))[:, 0]
    landed = [touchdown_frames(stands[:, side], SHORTEST_STEP * fps) for side in (0, 1)]
    frame = np.concatenate(landed)
    side = np.repeat([0, 1], [len(landed[0]), len(landed[1])])
    order = np.argsort(frame, kind="stable")
    frame, side = frame[order], side[order]
    if len(frame) < 3 or (np.diff(side) == 0).any() or np.diff(frame).min() < SHORTEST_STEP * fps:
        return None
    cycle = 0.5 * side[0] + 0.5 * np.arange(len(frame))
    rate = (cycle[-1] - cycle[0]) / (frame[-1] - frame[0])  # cycles per frame
    time = np.arange(len(contacts))
    inside = np.interp(time, frame, cycle)
    return np.where(time < frame[0], cycle[0] + (time - frame[0]) * rate,
                    np.where(time > frame[-1], cycle[-1] + (time - frame[-1]) * rate, inside))  # fmt: skip


def phase_columns(cycles: np.ndarray | None, frames: int) -> np.ndarray:
    """Sine and cosine (frames, 2) of the phase; zeros where there is no gait."""
    if cycles is None:
        return np.zeros((frames, 2))
    return np.stack([np.sin(2 * np.pi * cycles), np.cos(2 * np.pi * cycles)], axis=1)
