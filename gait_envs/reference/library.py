"""Reference clips as one flat table of frames, for batched queries and draws."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gait_envs.reference.clip import Clip, ClipError, check_fits
from gait_envs.reference.packed import SOLES, PackedClips, some
from gait_envs.reference.sources import load_clips, open_clips
from gait_envs.reference.spooled import spooled
from gait_envs.rotations import quat_conj, quat_mul, quat_slerp, quat_yaw, wrap_angle, yaw_quat

__all__ = ["EMBEDDED", "EMBEDDED_SETS", "MotionLibrary", "load_clips", "open_clips", "weights_from_failures"]

EMBEDDED_SETS = {"wildrobot": "wildrobot_walk", "humanoid": "human_walk"}  # the bundled references
EMBEDDED = EMBEDDED_SETS["wildrobot"]
SNAP = 1e-6  # frames; a time so near a frame is that frame's: 0.06 s at 50 Hz is frame 3, not 2.9999...
STRAIGHT = 1e-6  # rad; a loop that turns its heading by less does not turn


class MotionLibrary:
    """All frames of all clips, end to end; clip c owns frames starts[c] .. starts[c] + lengths[c].

    Queries are batches: row i asks for `clip[i]` (a number) at `time[i]` seconds, or at `frame[i]`, from the clip's
    start. A looping clip continues for ever: each lap is displaced by its stride and rotated by its turn.
    A finite clip stands still outside its frames. Tables of a packed set stay mapped, and hold its other clips too.
    """

    def __init__(self, clips: Sequence[Clip], joint_names: tuple[str, ...], fps: float) -> None:
        if not len(clips):
            raise ClipError("a motion library needs at least one clip")
        # A query of a packed set looks at its tables alone, so that each clip is read, and so checked, once before.
        for clip in map(clips.read, range(len(clips))) if isinstance(clips, PackedClips) else clips:
            check_fits(clip, joint_names, fps)
        self.joint_names, self.fps = joint_names, fps
        tables = clips if isinstance(clips, PackedClips) else _Joined(clips)
        self.clips: Sequence[Clip] = tables.clips if isinstance(tables, _Joined) else tables
        self.names, self.loops = tables.names, tables.loops  # (clips,)
        self.starts, self.lengths = tables.starts, tables.lengths  # (clips,) first row in the tables, and how many
        self.qpos, self.qvel = tables.qpos, tables.qvel  # (frames, nq), (frames, nv)
        self.contacts = tables.contacts  # (frames, feet) N, planned or measured loads; infinite where unknown
        self.torque = tables.torque  # (frames, joints) N·m that the motion needs; infinite where unknown
        self.durations = (self.lengths - 1) / fps  # (clips,) s
        first, last = (self.qpos.take(rows, 0) for rows in (self.starts, self.starts + self.lengths - 1))
        self.speeds = np.linalg.norm(last[:, :2] - first[:, :2], axis=1) / self.durations  # (clips,) m/s
        self.velocities = _mean_velocities(first, last, self.durations)  # (clips, 3)
        # What one lap of a looping clip does to the root: a turn about the vertical, then a shift.
        self.turns = np.where(self.loops, _turn(first[:, 3:7], last[:, 3:7]), 0.0)  # (clips,) rad
        self.strides = last[:, :2] - _turned(first[:, :2], self.turns)  # (clips, 2) m
        self._any_loop, self._any_turn = bool(self.loops.any()), bool(self.turns.any())
        self.set_weights(self.durations)
        self.set_starts(None)

    def __reduce__(self) -> tuple[Any, ...]:
        """Clips and weights: another process builds, or maps, the tables itself."""
        state = {key: getattr(self, key) for key in ("weights", "_cumulative", "starting", "bin_frames")}
        return MotionLibrary, (self.clips, self.joint_names, self.fps), state

    # -- one clip -----------------------------------------------------------------------------------------

    def nearest_velocity(self, velocity: np.ndarray) -> int:
        """The clip whose mean velocity is nearest: (3,) forward and leftward m/s, yaw rate rad/s."""
        return int(np.argmin(np.linalg.norm(self.velocities - velocity, axis=1)))

    def index(self, clip: int | str) -> int:
        """A clip by its name or its number."""
        if isinstance(clip, str):
            if clip not in self.names:
                raise ClipError(f"no clip {clip!r}; the library has {some(self.names)}")
            return self.names.index(clip)
        if not 0 <= int(clip) < len(self.names):
            raise ClipError(f"no clip {clip}; the library has 0 to {len(self.names) - 1}")
        return int(clip)

    def frame(self, clip: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Position and velocity at a frame, moved so that the root stands over the origin."""
        at = self.starts[clip] + index
        qpos = self.qpos[at].copy()
        qpos[:2] = 0.0
        return qpos, self.qvel[at].copy()

    def derived(self, shape: tuple[int, ...], of: Callable[[np.ndarray], np.ndarray], beyond: int = 0) -> np.ndarray:
        """A table with a row of `shape` for each row of the library's tables: `of` a clip's positions (T, nq) gives
        (T, *shape). Rows of clips that are not the library's are blank. As the tables of a packed set, it is mapped.

        beyond: frames of the laps before and after that `of` is shown of a looping clip as well; their rows are cut off
        """
        size = (len(self.qpos), *shape)
        parts = ((self.starts[at], self._derived_rows(at, of, beyond)) for at in range(len(self.names)))
        if isinstance(self.clips, PackedClips):
            return spooled(size, parts)
        table = np.empty(size)
        for start, rows in parts:
            table[start : start + len(rows)] = rows
        return table

    def _derived_rows(self, clip: int, of: Callable[[np.ndarray], np.ndarray], beyond: int) -> np.ndarray:
        length, outside = self.lengths[clip], beyond if self.loops[clip] else 0
        frames = np.arange(-outside, length + outside)
        return of(self.at(np.full(len(frames), clip), frames)[0])[outside : outside + length]

    # -- queries ------------------------------------------------------------------------------------------

    def sample(self, clip: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (k, nq) and velocities (k, nv) at times (k,) s, between frames too.

        The root turns at a constant rate from frame to frame; all else changes linearly.
        """
        frame, turns, outside = self._place(clip, self._frames(time))
        whole = frame.astype(np.int64)
        share = frame - whole
        rows = self.starts[clip] + whole
        qpos, qvel = self.qpos.take(rows, 0), self.qvel.take(rows, 0)
        between = share > 0
        if between.any():
            rows += between  # never past a clip's last frame
            after, rate = self.qpos.take(rows, 0), self.qvel.take(rows, 0)
            root = quat_slerp(qpos[:, 3:7], after[:, 3:7], share)
            for here, there in ((qpos, after), (qvel, rate)):
                there -= here
                there *= share[:, None]
                here += there
            qpos[:, 3:7] = root
        return self._go_on(qpos, qvel, clip, turns, outside)

    def at(self, clip: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (k, nq) and velocities (k, nv) at frames (k,) int."""
        frame, turns, outside = self._place(clip, frame)
        rows = self.starts[clip] + frame
        return self._go_on(self.qpos.take(rows, 0), self.qvel.take(rows, 0), clip, turns, outside)

    def index_at(self, clip: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Row (k,) in the tables of frames (k,) int."""
        return np.asarray(self.starts[clip] + self._place(clip, frame)[0])

    def turn_at(self, clip: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Rotation (k,) rad about the vertical relative to the clip's table frames, accumulated over laps."""
        turns = self._place(clip, frame)[1]
        return np.zeros(len(clip)) if turns is None else self.turns[clip] * turns

    def ended(self, clip: np.ndarray, time: np.ndarray) -> np.ndarray:
        """(k,) bool: finite clips that are over at this time (s)."""
        return np.asarray(~self.loops[clip] & (self._frames(time) >= self.lengths[clip] - 1))

    def _frames(self, time: np.ndarray) -> np.ndarray:
        """Times (k,) s as fractional frames."""
        frame = np.asarray(time) * self.fps
        if not np.isfinite(frame).all():
            raise ValueError(f"time is not finite: {np.asarray(time)[~np.isfinite(frame)][0]}")
        nearest = np.rint(frame)
        return np.where(np.abs(frame - nearest) < SNAP, nearest, frame)

    def _place(self, clip: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Frames within the clip, times gone round before (None: no clip loops), and which lay outside; (k,) each."""
        last = self.lengths[clip] - 1
        turns = None
        if self._any_loop:
            turns = np.where(self.loops[clip], frame // last, 0)
            frame = frame - turns * last
        within = np.minimum(np.maximum(frame, 0), last)
        return within, turns, within != frame

    def _go_on(
        self, qpos: np.ndarray, qvel: np.ndarray, clip: np.ndarray, turns: np.ndarray | None, outside: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Displace table rows by the laps done so far, in place."""
        if outside.any():
            qvel[outside] = 0.0
        if turns is None or not turns.any():
            return qpos, qvel
        strides = self.strides[clip]
        if not self._any_turn:
            qpos[:, :2] += turns[:, None] * strides
            return qpos, qvel
        # n times "turn by a, shift by s" is a turn by n a and a shift by Σ R(i a) s, i < n: a chord of n steps on
        # a circle, which is sin(n a/2) / sin(a/2) steps long and points half way.
        turn = self.turns[clip]
        half = np.sin(turn / 2)
        chord = np.where(half == 0, turns, np.sin(turns * turn / 2) / np.where(half == 0, 1.0, half))
        qpos[:, :2] = _turned(qpos[:, :2], turns * turn) + chord[:, None] * _turned(strides, (turns - 1) * turn / 2)
        qpos[:, 3:7] = quat_mul(yaw_quat(turns * turn), qpos[:, 3:7])
        qvel[:, :2] = _turned(qvel[:, :2], turns * turn)
        return qpos, qvel

    # -- draws --------------------------------------------------------------------------------------------

    def set_weights(self, weights: np.ndarray) -> None:
        """How often each clip is drawn, (clips,), relative to each other; `weights` then adds up to 1.

        They start in proportion to the durations: every second of motion is as likely as any other, however it is
        cut into clips. Equal weights draw every clip as often as any other.
        """
        self.weights = probabilities(weights, len(self.names))
        self._cumulative = np.cumsum(self.weights)

    def restore_weights(self, weights: np.ndarray) -> None:
        """Draw by weights that `weights` held before, to the bit."""
        self.weights, self._cumulative = weights, np.cumsum(weights)

    def set_starts(self, starting: Sequence[np.ndarray] | None, bin_frames: int = 1) -> None:
        """Where within each clip episodes begin: for each, weights of its stretches of `bin_frames` frames; None:
        anywhere. A stretch without weight would never be begun in, which is an error."""
        counts = -(-self.lengths // bin_frames)
        self.bin_frames = bin_frames
        self.starting = None if starting is None else [
            np.cumsum(probabilities(weights, int(count))) for weights, count in zip(starting, counts, strict=True)
        ]  # fmt: skip

    def draw_frame(self, rng: np.random.Generator, clip: int, count: int) -> int:
        """One of the first `count` frames of a clip, to begin at."""
        if self.starting is None:
            return int(rng.integers(count))
        stretches = self.starting[clip][: -(-count // self.bin_frames)]
        at = np.searchsorted(stretches[:-1], rng.random() * stretches[-1], side="right")
        first = self.bin_frames * int(at)
        return int(rng.integers(first, min(first + self.bin_frames, count)))

    def draw(self, rng: np.random.Generator, k: int) -> tuple[np.ndarray, np.ndarray]:
        """k clips by weight, and a time (s) in each, uniformly."""
        clip = np.searchsorted(self._cumulative, rng.random(k) * self._cumulative[-1], side="right")
        return clip, rng.random(k) * self.durations[clip]


def probabilities(weights: np.ndarray, count: int) -> np.ndarray:
    """Weights that add up to 1; refused where a clip would never be drawn."""
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (count,):
        raise ValueError(f"weights has shape {weights.shape}, expected ({count},), one per clip")
    bad = ~(np.isfinite(weights) & (weights > 0))
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(
            f"weights[{at}] is {weights[at]}, expected a finite number above 0; leave the clip out instead"
        )
    return np.asarray(weights / weights.sum())


def weights_from_failures(failures: np.ndarray, floor: float = 0.1) -> np.ndarray:
    """Draw probabilities (clips,) in proportion to how often each clip was failed, as PHC mines hard motions.

    A share `floor` of the draws is spread evenly, so that no clip is forgotten; without a failure, all of them are.
    Luo et al. 2023, "Perpetual Humanoid Control for Real-time Simulated Avatars".
    """
    failures = np.asarray(failures, dtype=np.float64)
    if failures.ndim != 1 or not len(failures) or not (np.isfinite(failures) & (failures >= 0)).all():
        raise ValueError(f"failures is {failures}, expected a count or rate of 0 or more for each clip")
    if not 0 < floor <= 1:
        raise ValueError(f"floor is {floor}, expected a share above 0, at most 1")
    even = np.full(len(failures), 1 / len(failures))
    total = failures.sum()
    return even if total == 0 else (1 - floor) * failures / total + floor * even


class _Joined:
    """Clips end to end in memory, as a packed set has them in files."""

    def __init__(self, clips: Sequence[Clip]) -> None:
        self.names = tuple(clip.name for clip in clips)
        self.loops = np.array([clip.loop for clip in clips])
        self.lengths = np.array([clip.frames for clip in clips])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.qpos = np.concatenate([clip.qpos for clip in clips])
        self.qvel = np.concatenate([clip.qvel for clip in clips])
        widths = {clip.contacts.shape[1]: clip.name for clip in clips if clip.contacts is not None}
        if len(widths) > 1:
            told = ", ".join(f"{width} in clip {name!r}" for width, name in widths.items())
            raise ClipError(f"the clips' contacts are of different numbers of feet: {told}")
        unknown = np.inf * np.ones((1, next(iter(widths), SOLES)))
        self.contacts = np.concatenate(
            [unknown.repeat(clip.frames, 0) if clip.contacts is None else clip.contacts for clip in clips]
        )
        self.torque = np.concatenate(
            [np.full((clip.frames, len(clip.joint_names)), np.inf) if clip.torque is None else clip.torque
             for clip in clips]
        )  # fmt: skip
        # The clips themselves as views of these tables, so that their frames are in memory once.
        self.clips = tuple(self._view(clip, start) for clip, start in zip(clips, self.starts, strict=True))

    def _view(self, clip: Clip, start: int) -> Clip:
        at = slice(start, start + clip.frames)
        contacts = None if clip.contacts is None else self.contacts[at]
        torque = None if clip.torque is None else self.torque[at]
        return replace(clip, qpos=self.qpos[at], qvel=self.qvel[at], contacts=contacts, torque=torque)


def _mean_velocities(first: np.ndarray, last: np.ndarray, duration: np.ndarray) -> np.ndarray:
    """Forward and leftward m/s and yaw rate rad/s (n, 3) between two poses (n, 7 + joints), `duration` (n,) s apart.

    Forward is the heading half-way, and the turn less than half a circle: right for straight paths and for arcs.
    """
    start, turn = quat_yaw(first[:, 3:7]), wrap_angle(quat_yaw(last[:, 3:7]) - quat_yaw(first[:, 3:7]))
    moved = _turned(last[:, :2] - first[:, :2], -(start + turn / 2))
    return np.asarray(np.column_stack([moved, turn]) / duration[:, None])


def _turn(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """The angle (n,) rad about the vertical that leads from one orientation to the other, (n, 4) each.

    The twist of the difference: unlike a difference of headings, it means something for a body that lies down.
    """
    difference = quat_mul(last, quat_conj(first))
    angle = wrap_angle(2 * np.arctan2(difference[:, 3], difference[:, 0]))
    return np.where(np.abs(angle) < STRAIGHT, 0.0, angle)


def _turned(v: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Horizontal vectors (n, 2) turned by angles (n,) about the vertical."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * v[:, 0] - s * v[:, 1], s * v[:, 0] + c * v[:, 1]], axis=1)
