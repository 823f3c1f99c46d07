"""Steps read from when and where two feet stand: cadence, lengths, and how alike left and right are."""

from __future__ import annotations

import itertools

import numpy as np

_SHORTEST = 0.1  # s, a foot that lifts for less has not stepped


def touchdowns(stands: np.ndarray, fps: float) -> np.ndarray:
    """Frames (k,) at which a foot (T,) bool comes to stand; what it stands on at first is no step."""
    starts = np.flatnonzero(stands[1:] & ~stands[:-1]) + 1
    ends = np.flatnonzero(~stands[1:] & stands[:-1]) + 1
    lifted = [start - max(ends[ends < start], default=-np.inf) for start in starts]
    return starts[np.array(lifted, dtype=float) >= _SHORTEST * fps] if len(starts) else starts


def step_figures(stands: np.ndarray, place: np.ndarray, heading: np.ndarray, fps: float) -> dict[str, float]:
    """Figures of a walk from its feet: left and right `stands` (T, 2) bool, `place` (T, 2, 2) m on the floor.

    A step is the other foot's touch-down after one foot's, and belongs to the foot that lands; a stride is
    a foot's next touch-down after its own. `cadence` is in steps a minute. A left step's length is how far
    the left foot lands ahead, along the body's `heading` (T,) rad, of where the right one landed before.
    Asymmetry is |left - right| over their mean, in percent. What a clip is too short for is left out.
    """
    landed = [touchdowns(stands[:, side], fps) for side in (0, 1)]
    events = sorted((int(frame), side) for side in (0, 1) for frame in landed[side])
    out: dict[str, float] = {}
    times: tuple[list[float], list[float]] = ([], [])
    lengths: tuple[list[float], list[float]] = ([], [])
    for (before, first), (after, second) in itertools.pairwise(events):
        if first != second and after - before >= _SHORTEST * fps:  # feet that land together have not stepped
            times[second].append((after - before) / fps)
            ahead = np.array([np.cos(heading[after]), np.sin(heading[after])])
            lengths[second].append(float((place[after, second] - place[before, first]) @ ahead))
    if times[0] or times[1]:
        out["cadence"] = 60.0 / float(np.mean([*times[0], *times[1]]))
    strides = [np.linalg.norm(np.diff(place[frames, side], axis=0), axis=1) for side, frames in enumerate(landed)]
    if sum(map(len, strides)):
        out["stride_length"] = float(np.mean(np.concatenate(strides)))
        out["stride_time"] = float(np.mean(np.concatenate([np.diff(frames) for frames in landed]))) / fps
    for key, values in (("step_time", times), ("step_length", lengths)):
        if values[0] and values[1]:
            left, right = float(np.mean(values[0])), float(np.mean(values[1]))
            out |= {f"{key}_left": left, f"{key}_right": right}
            out[f"{key}_asymmetry_percent"] = 100.0 * abs(left - right) / max(0.5 * abs(left + right), 1e-9)
    return out
