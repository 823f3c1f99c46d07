"""Captures that hold every pose for several frames, as one of 15 frames a second does that was exported at 30."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gait_envs.mocap.capture import BLOCK, Capture
from gait_envs.mocap.cleaning.repair import body_length

_SAME = 0.01  # of a usual step from pose to pose: less is rounding
_SHARE = 0.15  # of the frames: fewer repeats are single faults, which `repair` looks for
_POSES = 5  # different ones, before a pattern is seen in them
_MOST = 10  # frames that a pose is held
_RATES = (
    5.0,
    6.0,
    8.0,
    10.0,
    12.0,
    12.5,
    15.0,
    20.0,
    24.0,
    25.0,
    30.0,
    40.0,
    48.0,
    50.0,
    60.0,
    90.0,
    100.0,
    120.0,
)  # Hz


def without_repeats(capture: Capture, drop: bool) -> Capture:
    """The capture with each pose once and at its true rate, and a note that says so; itself where none repeats.

    Without `drop` it keeps all its frames, and the note says what drops them.
    """
    steps = _steps(next(capture.blocks(BLOCK)), capture)
    if pattern(steps) is None:
        return capture
    if capture.frames > len(steps) + 1:
        steps = _all_steps(capture)
    kept = pattern(steps)
    if kept is None:  # only at first
        return capture
    rate = _rate(kept, capture.fps)
    said = f"poses are repeated: {rate:.4g} frames a second, stored as {capture.fps:.4g}"
    if not drop:
        return replace(capture, notes=(*capture.notes, f"{said}; all are kept (without --no-repair each pose once)"))

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        at = 0
        for rotations, translations in capture.blocks(size):
            mine = kept[(kept >= at) & (kept < at + len(rotations))] - at
            at += len(rotations)
            if len(mine):
                yield rotations[mine], translations[mine]

    history = (*capture.history, f"{capture.frames - len(kept)} repeated frames dropped: {rate:.4g} Hz")
    notes = (*capture.notes, f"{said}; each pose is kept once (--no-repair keeps all)")
    return replace(capture, blocks=blocks, frames=len(kept), fps=rate, notes=notes, history=history)


def pattern(steps: np.ndarray) -> np.ndarray | None:
    """Frames (k,) to keep, by how far each of the other T - 1 is from the one before it; None: no regular repeats."""
    finite = steps[np.isfinite(steps)]
    usual = float(np.percentile(finite, 90)) if len(finite) else 0.0
    fresh = 1 + np.flatnonzero(steps > _SAME * usual)  # NaN, a gap, is no new pose
    frames = len(steps) + 1
    if usual == 0.0 or len(fresh) < _POSES or len(fresh) > (1 - _SHARE) * (frames - 1):
        return None
    gaps = np.diff(fresh)
    for hold in range(_MOST, 1, -1):  # evenly; whoever stands still meanwhile skips a beat
        if (gaps % hold == 0).all() and np.median(gaps) == hold:
            return np.union1d([0], np.arange(fresh[0] % hold, frames, hold))
    mean = (fresh[-1] - fresh[0]) / len(gaps)
    even = np.abs(fresh - fresh[0] - mean * np.arange(len(fresh))).max() <= 1.0
    return np.union1d([0], fresh) if even and 1 + _SHARE <= mean <= _MOST else None


def _rate(kept: np.ndarray, fps: float) -> float:
    """Of the frames (k,) kept out of `fps` a second: a usual rate, if that is as near as the pattern tells."""
    span = float(kept[-1] - kept[1])  # the first may have begun earlier
    rate = fps * (len(kept) - 2) / span
    usual = min(_RATES, key=lambda known: abs(known - rate))
    return usual if abs(usual - rate) <= fps / span else rate


def _steps(block: tuple[np.ndarray, np.ndarray], capture: Capture) -> np.ndarray:
    """How far each pose (t - 1,) is from the one before: the largest change of any joint."""
    rotations, translations = block
    length = max(body_length(capture.skeleton), 1e-9)
    turned = np.abs(np.diff(rotations, axis=0)).max(axis=(1, 2))
    return np.asarray(turned + np.abs(np.diff(translations, axis=0)).max(axis=(1, 2)) / length)


def _all_steps(capture: Capture) -> np.ndarray:
    """The same between all frames of the capture, read block by block."""
    parts: list[np.ndarray] = []
    last: tuple[np.ndarray, np.ndarray] | None = None
    for block in capture.blocks(BLOCK):
        if last is None:
            parts.append(_steps(block, capture))
        else:
            joined = np.concatenate([last[0], block[0]]), np.concatenate([last[1], block[1]])
            parts.append(_steps(joined, capture))
        last = block[0][-1:], block[1][-1:]
    return np.concatenate(parts)
