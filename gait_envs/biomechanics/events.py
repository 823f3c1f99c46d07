"""When feet stand and when they step: the one place that decides it, by thresholds that each caller states.

Stance is found by what is known of a foot: how high it is and how fast it moves (`stance_by_motion`), the load on it as
one long record (`stance_by_load`), or the loads of many short episodes (`stance`). Steps follow from stance alone.
Sides are ordered left, right; episodes are the second axis of arrays (T, n, …), and `valid` (T, n) marks the frames to
measure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SHORTEST_STEP = 0.1  # s: a captured foot that lifts for less, or lands so soon after the other, has not stepped


# -- runs ----------------------------------------------------------------------------------------------


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Half-open intervals [start, stop) in which a boolean (T,) is true: [0, 1, 1, 0, 1] -> [(1, 3), (4, 5)]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def debounce(mask: np.ndarray, shortest: float) -> np.ndarray:
    """Boolean (T,) without runs shorter than `shortest` frames, gaps closed first; runs at the ends are kept."""
    out = mask.copy()
    for value in (False, True):
        for start, stop in runs(out == value):
            if stop - start < shortest and start > 0 and stop < len(out):
                out[start:stop] = not value
    return out


# -- stance --------------------------------------------------------------------------------------------


def stance_by_motion(height: np.ndarray, speed: np.ndarray, low: float, slow: float, shortest: float) -> np.ndarray:
    """(T,) bool: a part of a foot stands while it is lower than `low` and slower than `slow`.

    height (T,) above the floor and speed (T,), in any units that the thresholds share; `shortest` in frames.
    """
    return debounce((height < low) & (speed < slow), shortest)


def stance_by_load(load: np.ndarray, lands: float, leaves: float, shortest: float) -> np.ndarray:
    """(T,) bool: a foot lands where its load (T,) rises above `lands`, and stands until it falls below `leaves`.

    Both in the load's unit; what is shorter than `shortest` frames is neither stance nor swing.
    """
    decided = np.where(load > lands, 1, np.where(load < leaves, 0, -1))
    decided[:1] = np.maximum(decided[:1], 0)  # until it is decided, in the air
    last = np.maximum.accumulate(np.where(decided >= 0, np.arange(len(load)), 0))
    return debounce(decided[last] == 1, shortest)


def stance(foot_force: np.ndarray, threshold: float | np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(T, n, 2) a foot stands when its toe and heel, of (T, n, 4) N, together carry more than `threshold` newtons, of
    all bodies or of each (n,).

    The majority of three frames decides, so that one bouncing frame is not a step.
    """
    loaded = foot_force.reshape(*foot_force.shape[:-1], 2, 2).sum(-1) > np.asarray(threshold)[..., None]
    before, after = loaded.copy(), loaded.copy()  # the first and last frame of an episode repeat themselves
    before[1:] = loaded[:-1]
    after[:-1] = np.where(valid[1:, :, None], loaded[1:], loaded[:-1])
    return (before & loaded) | (loaded & after) | (before & after)


# -- touchdowns ----------------------------------------------------------------------------------------


def touchdowns(contact: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(T, n, 2) the first frame of each stance that begins inside the measured frames."""
    begins = np.zeros_like(contact)
    begins[1:] = contact[1:] & ~contact[:-1] & (valid[1:] & valid[:-1])[..., None]
    return begins


def touchdown_frames(stands: np.ndarray, shortest: float) -> np.ndarray:
    """Frames (k,) at which a foot (T,) bool lands after at least `shortest` frames in the air.

    What it stands on at first is no touchdown; what was in the air from the first frame on may have been so for long.
    """
    swings = [(start, stop) for start, stop in runs(~stands) if stop < len(stands)]
    return np.array([stop for start, stop in swings if start == 0 or stop - start >= shortest], dtype=np.int64)


def _steps(episode: np.ndarray, frame: np.ndarray, side: np.ndarray, shortest: float) -> np.ndarray:
    """Which of the touchdowns (k,), sorted by episode, then frame, are steps: the other foot's landed just before, by
    at least `shortest` frames.
    """
    same = episode[1:] == episode[:-1]
    return 1 + np.flatnonzero(same & (side[1:] != side[:-1]) & (frame[1:] - frame[:-1] >= shortest))


# -- steps of many episodes ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Events:
    """A flat list of measured quantities, each with its episode and side (0 left, 1 right)."""

    episode: np.ndarray  # (k,) int
    side: np.ndarray  # (k,) int
    values: np.ndarray  # (k, …)

    def mean(self, episodes: int) -> np.ndarray:
        """(n,) mean of one-dimensional values per episode, NaN where there is none."""
        return _mean_by(self.episode, self.values, episodes, at_least=1)

    def asymmetry(self, episodes: int) -> np.ndarray:
        """(n,) |L − R| over the mean of |L| and |R|, 0 … 2; NaN with fewer than two events a side."""
        left, right = (
            _mean_by(self.episode[self.side == s], self.values[self.side == s], episodes, at_least=2) for s in (0, 1)
        )
        middle = (np.abs(left) + np.abs(right)) / 2
        measurable = middle > 0
        return np.where(measurable, np.abs(left - right) / np.where(measurable, middle, 1.0), np.nan)


def _mean_by(key: np.ndarray, values: np.ndarray, size: int, at_least: int) -> np.ndarray:
    count = np.bincount(key, minlength=size)
    total = np.bincount(key, weights=values, minlength=size)
    return np.where(count >= at_least, total / np.maximum(count, 1), np.nan)


def steps(
    contact: np.ndarray, valid: np.ndarray, foot_pos: np.ndarray, yaw: np.ndarray, dt: float
) -> tuple[Events, Events]:
    """Step times (s) and step lengths (m) at every touchdown that follows the other foot's.

    A step is named after the foot that lands; its length is how far ahead of the other foot it lands,
    along the heading at that moment. contact (T, n, 2), foot_pos (T, n, 2, 3), yaw (T, n).
    """
    episode, frame, side = np.nonzero(touchdowns(contact, valid).swapaxes(0, 1))
    step = _steps(episode, frame, side, 1)
    time = (frame[step] - frame[step - 1]) * dt
    episode, frame, side = episode[step], frame[step], side[step]
    ahead = foot_pos[frame, episode, side] - foot_pos[frame, episode, 1 - side]
    heading = yaw[frame, episode]
    length = np.cos(heading) * ahead[:, 0] + np.sin(heading) * ahead[:, 1]
    return Events(episode, side, time), Events(episode, side, length)


def stance_times(contact: np.ndarray, valid: np.ndarray, dt: float) -> Events:
    """Durations (s) of the stances, of (T, n, 2), that begin and end inside the measured frames."""
    change = np.zeros(contact.shape, np.int8)
    change[1:] = np.diff(contact.astype(np.int8), axis=0) * (valid[1:] & valid[:-1])[..., None]
    episode, side, frame = np.nonzero(change.transpose(1, 2, 0))
    begins = change[frame, episode, side] > 0
    whole = begins[:-1] & ~begins[1:] & (episode[1:] == episode[:-1]) & (side[1:] == side[:-1])
    return Events(episode[:-1][whole], side[:-1][whole], (frame[1:] - frame[:-1])[whole] * dt)


def rebounds(contact: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """(n,) share of the swings, of (T, n, 2), shorter than half of an episode's long ones (their 90th percentile): the
    foot touches again before it has stepped, and each counts as a touchdown. NaN with fewer than two swings.
    """
    swings = stance_times(~contact, valid, 1.0)
    of_each = [swings.values[swings.episode == episode] for episode in range(contact.shape[1])]
    return np.array([np.mean(t < 0.5 * np.percentile(t, 90)) if len(t) > 1 else np.nan for t in of_each])


# -- steps of one walk ---------------------------------------------------------------------------------


def step_figures(
    stands: np.ndarray, place: np.ndarray, heading: np.ndarray, fps: float, shortest: float = SHORTEST_STEP
) -> dict[str, float]:
    """Figures of a walk from its feet: left and right `stands` (T, 2) bool, `place` (T, 2, 2) m on the floor.

    A step is the other foot's touchdown after one foot's, and belongs to the foot that lands; a stride is a foot's next
    touchdown after its own. `cadence` is in steps/min. A left step's length is how far the left foot lands ahead,
    along the body's `heading` (T,) rad, of where the right one landed before. Asymmetry is |left - right| over their
    mean, in percent. `shortest` (s) is of a swing, and between the feet's touchdowns. What a clip is too short for is
    left out.
    """
    landed = [touchdown_frames(stands[:, side], shortest * fps) for side in (0, 1)]
    frame, side = np.concatenate(landed), np.repeat([0, 1], [len(landed[0]), len(landed[1])])
    order = np.lexsort((side, frame))
    frame, side = frame[order], side[order]
    step = _steps(np.zeros_like(frame), frame, side, shortest * fps)
    before, after, side = frame[step - 1], frame[step], side[step]
    ahead = np.stack([np.cos(heading[after]), np.sin(heading[after])], axis=1)
    times = (after - before) / fps
    lengths = np.sum((place[after, side] - place[before, 1 - side]) * ahead, axis=1)
    out: dict[str, float] = {}
    if len(times):
        out["cadence"] = 60.0 / float(np.mean(times))
    strides = [np.linalg.norm(np.diff(place[frames, foot], axis=0), axis=1) for foot, frames in enumerate(landed)]
    if sum(map(len, strides)):
        out["stride_length"] = float(np.mean(np.concatenate(strides)))
        out["stride_time"] = float(np.mean(np.concatenate([np.diff(frames) for frames in landed]))) / fps
    for key, values in (("step_time", times), ("step_length", lengths)):
        if (side == 0).any() and (side == 1).any():
            left, right = float(np.mean(values[side == 0])), float(np.mean(values[side == 1]))
            out |= {f"{key}_left": left, f"{key}_right": right}
            out[f"{key}_asymmetry_percent"] = 100.0 * abs(left - right) / max(0.5 * abs(left + right), 1e-9)
    return out
