"""Gaps and flips in a capture: frames that are missing, zeroed or frozen, joints that turn over and back.

Each fault is recognised by what no body does, and filled from the good frames on both sides: rotations by
slerp, translations along a straight line; at the ends of a capture by the nearest good frame. Joints that went on while
the root alone was elsewhere stay where they were measured. What is longer than
`longest` is not filled: over a tenth of a second a straight line is a guess, over more it is an invention.
Local by design: whether a frame is good depends only on the frames within `repair_margin` of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from gait_envs.biomechanics.events import runs
from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Skeleton
from gait_envs.rotations import quat_conj, quat_rotate, quat_slerp

LONGEST = 0.1  # s
# Out and back within `LONGEST`, what is more than this in one frame is a fault.
_TURN_SPEED, _TURN = 60.0, (np.pi / 2, 5 * np.pi / 6)  # rad/s; at least and at most, rad
_ROOT_SPEED, _ROOT_WAY = 12.0, 0.25  # body lengths (root to tip) a second; at least, body lengths
# A frozen body that moved on meanwhile leaves with a step longer than those about it: at least so many times, and
# at least this part of the steps that it left out.
_FREED, _LEFT_OUT = 1.5, 0.35
_MOST = 100_000  # faults of one capture, before it is given up as broken
_LISTED = 6


@dataclass(frozen=True)
class Fault:
    """Frames [start, stop) of one joint, or of all (None), and whether they were filled."""

    kind: str
    start: int
    stop: int
    joint: str | None
    filled: bool
    joints: int = 1  # how many were alike, if joint is None and the fault is not of all


def longest_frames(longest: float, fps: float) -> int:
    """Frames that may be filled in a row."""
    return int(np.floor(longest * fps + 1e-9))


def repair_margin(longest: float, fps: float) -> int:
    """How far the good and the bad of a frame can be seen: a fault, and another beside it."""
    return 2 * longest_frames(longest, fps) + 5


def body_length(skeleton: Skeleton) -> float:
    """Length of the longest way from the root to a tip, file units."""
    far = np.zeros(len(skeleton.names))
    for node, parent in enumerate(skeleton.parents):
        if parent >= 0:
            far[node] = far[parent] + np.linalg.norm(skeleton.offsets[node])
    return float(far.max())


def repair(
    rotations: np.ndarray,
    translations: np.ndarray,
    skeleton: Skeleton,
    fps: float,
    longest: float = LONGEST,
    ends: tuple[bool, bool] = (True, True),
) -> tuple[np.ndarray, np.ndarray, list[Fault]]:
    """Rotations (T, J, 4) and translations (T, J, 3) with the short faults filled, and the list of all faults.

    `ends` says whether the frames begin and end where the capture does. Nothing is raised: what could not be
    filled is in the list.
    """
    most, limit = longest_frames(longest, fps), _root_limit(skeleton, fps)
    root = _carrier(translations)
    found = {
        "missing": ~(np.isfinite(rotations).all(axis=-1) & np.isfinite(translations).all(axis=-1)),
        "zeroed": _whole(_zeroed(translations[:, root], 0.5 * limit), rotations),
        "frozen": _whole(_frozen(rotations, translations, max(body_length(skeleton), 1e-9)), rotations),
        "flipped": _flipped(rotations, fps, most),
        "jumped": np.zeros(rotations.shape[:2], dtype=bool),
    }
    found["jumped"][:, root] = _jumped(translations[:, root], limit, most)
    bad = np.logical_or.reduce(list(found.values()))
    if not bad.any():
        return rotations, translations, []
    given = translations[:, root]
    rotations, translations = rotations.copy(), translations.copy()
    unfilled = np.zeros_like(bad)
    for joint in np.flatnonzero(bad.any(axis=0)):
        for start, stop in runs(bad[:, joint]):
            if stop - start > most or not _fill(rotations[:, joint], translations[:, joint], start, stop, ends):
                unfilled[start:stop, joint] = True
    for child in np.flatnonzero(skeleton.parents == root):
        alone = found["jumped"][:, root] & ~bad[:, child]
        _stay(translations[:, child], rotations[:, root], translations[:, root], given, runs(alone), limit)
    return rotations, translations, _list(found, unfilled, skeleton.names)


def _whole(mask: np.ndarray, like: np.ndarray) -> np.ndarray:
    """A mask (T,) of frames for every joint, (T, J)."""
    return np.repeat(mask[:, None], like.shape[1], axis=1)


def _fill(rotation: np.ndarray, translation: np.ndarray, start: int, stop: int, ends: tuple[bool, bool]) -> bool:
    """Fill frames [start, stop) of one joint (T, 4), (T, 3) in place; False if there is nothing to fill from."""
    before, after = start - 1, stop
    if before < 0 and ends[0] and after < len(rotation):
        before = after
    elif after >= len(rotation) and ends[1] and before >= 0:
        after = before
    elif before < 0 or after >= len(rotation):
        return False
    u = np.linspace(0.0, 1.0, stop - start + 2)[1:-1]
    a, b = (np.broadcast_to(rotation[i], (len(u), 4)) for i in (before, after))
    rotation[start:stop] = quat_slerp(a, b, u)
    translation[start:stop] = translation[before] + u[:, None] * (translation[after] - translation[before])
    return True


def _stay(
    child: np.ndarray,
    turn: np.ndarray,
    root: np.ndarray,
    given: np.ndarray,
    jumps: list[tuple[int, int]],
    limit: float,
) -> None:
    """Leave a child (T, 3) of the root where it was measured if the root (T, 3) jumped alone; in place.

    The child's place is stored from the root's, and so holds the root's error: that of `given` (T, 3) against `root`.
    """
    for start, stop in jumps:
        about = slice(start - 1, stop + 1)
        before = root[about].copy()
        before[1:-1] = given[start:stop]
        steps = np.linalg.norm(np.diff(before + quat_rotate(turn[about], child[about]), axis=0), axis=-1)
        if steps.max() < limit / 2:  # false where it is missing
            child[start:stop] += quat_rotate(quat_conj(turn[start:stop]), given[start:stop] - root[start:stop])


# -- what no body does ------------------------------------------------------------------------------------


def _root_limit(skeleton: Skeleton, fps: float) -> float:
    """Way of the root in one frame that no body goes there and back, file units."""
    length = body_length(skeleton)
    return max(_ROOT_WAY, _ROOT_SPEED / fps) * length if length > 0 else np.inf


def _carrier(translations: np.ndarray) -> int:
    """The node that carries the body about: the first that moves. Some rigs put a fixed one above the hips."""
    moves = (np.abs(np.diff(translations, axis=0)) > 0).any(axis=(0, 2))
    return int(np.argmax(moves))


def _zeroed(root: np.ndarray, far: float) -> np.ndarray:
    """Frames (T,) with the root exactly in the origin, next to frames that have it `far` from there."""
    zero = (root == 0).all(axis=-1)
    out = np.zeros(len(root), dtype=bool)
    for start, stop in runs(zero):
        beside = [i for i in (start - 1, stop) if 0 <= i < len(root)]
        out[start:stop] = any(np.linalg.norm(root[i]) > far for i in beside)
    return out


def _frozen(rotations: np.ndarray, translations: np.ndarray, length: float) -> np.ndarray:
    """Frames (T,) that repeat the one before to the last digit, though the body went on meanwhile.

    A body that stands still also repeats itself, and then sets out slowly.
    """
    repeats = np.r_[False, ((rotations[1:] == rotations[:-1]).all(axis=-1)
                            & (translations[1:] == translations[:-1]).all(axis=-1)).all(axis=-1)]  # fmt: skip
    out = np.zeros(len(rotations), dtype=bool)
    for start, stop in runs(repeats):
        if stop == len(rotations):
            continue
        about = [_step(rotations, translations, i, length) for i in (start - 1, stop + 1) if 1 <= i < len(rotations)]
        leaving = _step(rotations, translations, stop, length)
        out[start:stop] = (
            bool(about) and max(about) > 0 and leaving > max(_FREED, _LEFT_OUT * (stop - start + 1)) * max(about)
        )
    return out


def _step(rotations: np.ndarray, translations: np.ndarray, frame: int, length: float) -> float:
    """How far a pose is from the one before: mean angle, rad, and mean way of the joints, body lengths."""
    dots = np.abs(np.sum(rotations[frame] * rotations[frame - 1], axis=-1))
    ways = np.linalg.norm(translations[frame] - translations[frame - 1], axis=-1)
    return float(np.mean(2 * np.arccos(np.minimum(dots, 1.0))) + np.mean(ways) / length)


def _flipped(rotations: np.ndarray, fps: float, most: int) -> np.ndarray:
    """Frames and joints (T, J) that turn over by an impossible angle and, at most `most` frames later, back."""
    limit = float(np.clip(_TURN_SPEED / fps, *_TURN))
    far = np.abs(np.sum(rotations[1:] * rotations[:-1], axis=-1)) < np.cos(limit / 2)
    out = np.zeros(rotations.shape[:2], dtype=bool)
    for joint in np.flatnonzero(far.any(axis=0)):
        turns = rotations[:, joint]
        back = lambda a, b, turns=turns: abs(turns[a] @ turns[b]) > np.cos(limit / 4)  # noqa: E731
        _there_and_back(out[:, joint], np.flatnonzero(far[:, joint]) + 1, back, most)
    return out


def _jumped(root: np.ndarray, limit: float, most: int) -> np.ndarray:
    """The same for a root (T, 3) that is elsewhere for a moment; (T,)."""
    far = np.linalg.norm(np.diff(root, axis=0), axis=-1) > limit
    out = np.zeros(len(root), dtype=bool)
    near = lambda a, b: np.linalg.norm(root[a] - root[b]) < limit / 2  # noqa: E731
    _there_and_back(out, np.flatnonzero(far) + 1, near, most)
    return out


def _there_and_back(out: np.ndarray, breaks: np.ndarray, back, most: int) -> None:
    """Mark in `out` (T,) the frames from one break to the next if `back` says that the motion then goes on.

    `breaks` (k,) are frames far from the ones before them.
    """
    at = 0
    while at < len(breaks) - 1:
        start = breaks[at]
        near = breaks[at + 1 : np.searchsorted(breaks, start + most, side="right")]
        stop = next((stop for stop in near if back(start - 1, stop)), None)
        if stop is not None:
            out[start:stop] = True
        at = at + 1 if stop is None else int(np.searchsorted(breaks, stop, side="right"))


# -- the list ---------------------------------------------------------------------------------------------


def _list(found: dict[str, np.ndarray], unfilled: np.ndarray, names: tuple[str, ...]) -> list[Fault]:
    """One entry a run of frames of one kind, alike in some joints; the first kind that fits a frame names it."""
    faults: dict[tuple[str, int, int, bool], list[int]] = {}
    seen = np.zeros_like(unfilled)
    for kind, mask in found.items():
        mask = mask & ~seen
        seen |= mask
        for joint in np.flatnonzero(mask.any(axis=0)):
            for start, stop in runs(mask[:, joint]):
                key = (kind, start, stop, not unfilled[start:stop, joint].any())
                faults.setdefault(key, []).append(int(joint))
    return [
        Fault(kind, start, stop, names[joints[0]] if len(joints) == 1 else None, filled, len(joints))
        for (kind, start, stop, filled), joints in faults.items()
    ]


class GapError(MotionError):
    """A capture has faults that are too long to be filled."""


class Faults:
    """The faults of a capture, collected window by window."""

    def __init__(self, name: str, fps: float, longest: float = LONGEST):
        self.name, self.fps, self.longest = name, fps, longest
        self.all: list[Fault] = []
        self._open: dict[tuple[str, str | None, bool], int] = {}  # what a fault is -> its place, if it may go on

    def add(self, faults: Iterable[Fault], first: int, start: int, stop: int) -> None:
        """Add the faults of a window that begins at frame `first`, within frames [start, stop) of the capture."""
        for fault in faults:
            a, b = max(fault.start + first, start), min(fault.stop + first, stop)
            if a >= b:
                continue
            key = (fault.kind, fault.joint, fault.filled)
            at = self._open.get(key)
            if at is not None and self.all[at].stop == a:
                self.all[at] = replace(self.all[at], stop=b)
                continue
            if len(self.all) >= _MOST:
                raise MotionError(f"{self.name}: more than {_MOST} faults; the capture is broken")
            self._open[key] = len(self.all)
            self.all.append(replace(fault, start=a, stop=b))

    def check(self) -> None:
        """Raise a `GapError` that names the frames of what is too long to be filled."""
        gaps = [fault for fault in self.all if not fault.filled]
        if gaps:
            listed = "; ".join(f"{_which(f)} {f.kind} in frames {f.start} to {f.stop - 1}" for f in gaps[:_LISTED])
            more = f" and {len(gaps) - _LISTED} more" if len(gaps) > _LISTED else ""
            raise GapError(
                f"{self.name}: {listed}{more}; at most {longest_frames(self.longest, self.fps)} frames "
                f"({self.longest:g} s) in a row are filled; retargeting leaves frames out with --start and --end"
            )

    def history(self, frames: int) -> list[str]:
        """What was filled, where, in words; `frames` are those of the capture, whose ends can only be held."""
        lines = []
        for kind in dict.fromkeys(fault.kind for fault in self.all):
            of_kind = sorted((f for f in self.all if f.kind == kind and f.filled), key=lambda f: f.start)
            for f in of_kind[:_LISTED]:
                count = f.stop - f.start
                how = "held" if f.start == 0 or f.stop == frames else "filled"
                lines.append(
                    f"{count} frame{'s' * (count > 1)} {how} at {f.start / self.fps:.2f} s: {_which(f)} {kind}"
                )
            if len(of_kind) > _LISTED:
                lines.append(f"{len(of_kind) - _LISTED} more places filled: {kind}")
        return lines


def _which(fault: Fault) -> str:
    if fault.joint is not None:
        return fault.joint
    return "all" if fault.kind in ("zeroed", "frozen") else f"{fault.joints} joints"
