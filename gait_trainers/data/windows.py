"""Windows of motion from sets of clips of any size: a bounded number of files in memory, others read ahead.

`MotionStream` holds the frames of at most `resident` clips and draws windows from them. After every `refresh` batches
the clip that has been there longest gives its place to the next one of an endless shuffled order, which worker threads
have read meanwhile. What is drawn follows from the seed alone, whatever the number of workers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from gait_envs.reference.clip import Clip, ClipError
from gait_trainers.data.motion_frames import MotionFrames, joined, read_frames, robot_of
from gait_trainers.data.motion_state import aligned


class Windows(NamedTuple):
    """n windows of L frames, float32; each starts over the origin, facing +x."""

    state: np.ndarray  # (n, L, 2 (6 + J))
    path: np.ndarray  # (n, L, offsets, 3)
    speed: np.ndarray  # (n, L, 1)
    phase: np.ndarray  # (n, L, 2)
    valid: np.ndarray  # (n, L) bool; behind the end of a clip the last frame is repeated, and not valid


def cut_windows(frames: MotionFrames, start: np.ndarray, length: int, end: np.ndarray | None = None) -> Windows:
    """Windows of `length` frames from rows `start` (n,) on; `end` (n,): the row after the last of each one's clip."""
    rows = start[:, None] + np.arange(length)
    last = (np.full_like(start, len(frames)) if end is None else end)[:, None] - 1
    valid = rows <= last
    rows = np.minimum(rows, last)
    state, path = aligned(frames.state[rows], frames.path[rows])
    assert path is not None
    return Windows(state, path, frames.speed[rows], frames.phase[rows], valid)


class FrameTable:
    """Frames of several clips end to end, from which windows are drawn evenly."""

    def __init__(self, parts: Sequence[MotionFrames]) -> None:
        self.frames = joined(parts)
        lengths = np.array([len(part) for part in parts])
        self.ends = np.cumsum(lengths)
        self.starts = self.ends - lengths
        self.lengths = lengths

    def draw(self, rng: np.random.Generator, count: int, length: int) -> Windows:
        """Windows whose start is as likely at one frame as at another, of those with half a window or more ahead."""
        room = np.maximum(self.lengths - max(length // 2, min(length, 2)) + 1, 0)  # starts each clip offers
        total = np.cumsum(room)
        if not total[-1]:
            raise ClipError(f"no clip in memory has {length // 2} frames, half a window of {length}")
        at = rng.integers(total[-1], size=count)
        clip = np.searchsorted(total, at, side="right")
        start = self.starts[clip] + at - (total[clip] - room[clip])
        return cut_windows(self.frames, start, length, self.ends[clip])


class MotionStream:
    """Draws windows from clips that may be more than fit into memory; see above."""

    def __init__(
        self,
        clips: Sequence[Clip],
        *,
        resident: int = 256,
        refresh: int = 4,
        workers: int = 1,
        prefetch: int = 8,
        mirrored: bool = True,
        seed: int = 0,
    ) -> None:
        """clips: of `open_clips`, read when they are needed; refresh: batches from one exchange of a clip to the next;
        workers: threads that read ahead, 0 for none."""
        for key, value in (("resident", resident), ("refresh", refresh), ("prefetch", prefetch)):
            if value < 1:
                raise ValueError(f"{key} is {value}, expected 1 or more")
        self.clips, self.resident, self.refresh, self.prefetch = clips, resident, refresh, prefetch
        self.mirrored, self.seed = mirrored, seed
        self.robot = robot_of(clips[0])
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="clips") if workers else None
        self.rng = np.random.default_rng([seed, 0])
        self.begin(range(len(clips)))

    def begin(self, allowed: Sequence[int]) -> None:
        """Draw from these clips (their numbers) from now on, as a curriculum does."""
        if not len(allowed):
            raise ClipError("no clips to draw windows from")
        self._hold(allowed, taken=0, batches=0)

    def _hold(self, allowed: Sequence[int], taken: int, batches: int) -> None:
        """The clips that are in memory once `taken` of the order have come after the first ones."""
        self.allowed = np.array(allowed, dtype=np.int64)
        self.taken, self.batches = taken, batches
        places = range(taken, taken + min(self.resident, len(self.allowed)))
        numbers = [self._ordered(place) for place in places]
        self._parts = deque(self._pool.map(self._read, numbers) if self._pool else map(self._read, numbers))
        self._ahead: deque[Future[list[MotionFrames]]] = deque()
        self._rebuild()

    def _ordered(self, place: int) -> int:
        """The clip at a place of the endless order: all clips once a lap, each lap shuffled."""
        lap, at = divmod(place, len(self.allowed))
        return int(np.random.default_rng([self.seed, 1, lap]).permutation(self.allowed)[at])

    def _read(self, number: int) -> list[MotionFrames]:
        """Frames of a clip, and of its mirror image."""
        clip = self.clips[number]
        return [read_frames(clip, self.robot, mirrored) for mirrored in ((False, True) if self.mirrored else (False,))]

    def _exchange(self) -> None:
        """The clip that has been there longest goes, the next one comes."""
        following = self.taken + len(self._parts)
        if self._pool is not None:
            for place in range(following + len(self._ahead), following + self.prefetch):
                self._ahead.append(self._pool.submit(self._read, self._ordered(place)))
        self._parts.popleft()
        self._parts.append(self._ahead.popleft().result() if self._ahead else self._read(self._ordered(following)))
        self.taken += 1
        self._rebuild()

    def _rebuild(self) -> None:
        self._table: FrameTable | None = None  # before its successor is built: never both in memory
        self._table = FrameTable([part for parts in self._parts for part in parts])

    # -- draws --------------------------------------------------------------------------------------------

    def draw(self, count: int, length: int) -> Windows:
        """`count` windows of `length` frames. May exchange a clip first."""
        self.batches += 1
        if len(self._parts) < len(self.allowed) and self.batches % self.refresh == 0:
            self._exchange()
        assert self._table is not None
        return self._table.draw(self.rng, count, length)

    @property
    def frames(self) -> MotionFrames:
        """The frames in memory, clip after clip."""
        assert self._table is not None
        return self._table.frames

    @property
    def ends(self) -> np.ndarray:
        """The row after the last of each clip in `frames`."""
        assert self._table is not None
        return self._table.ends

    @property
    def files_in_memory(self) -> int:
        """Clips held or being read ahead: never more than `resident` + `prefetch`."""
        return len(self._parts) + len(self._ahead)

    def close(self) -> None:
        """End the worker threads."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    # -- exact resume -------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """All that the next draws depend on: plain numbers, lists and arrays."""
        state = {"allowed": self.allowed.copy(), "taken": self.taken, "batches": self.batches}
        return state | {"rng": self.rng.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from where `get_state` was called, on the same clips and with the same arguments."""
        self._hold(state["allowed"], int(state["taken"]), int(state["batches"]))
        self.rng.bit_generator.state = state["rng"]
