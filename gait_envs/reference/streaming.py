"""Libraries over sets of any size: only some of the clips are in memory at a time.

For trainings of your own. Environments map a packed set instead (`gait_envs.reference.packed`), which takes no memory
either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gait_envs.reference.clip import ClipError
from gait_envs.reference.library import MotionLibrary, probabilities
from gait_envs.reference.packed import PackedClips
from gait_envs.reference.sources import LazyClips


class StreamingLibrary:
    """The queries of a `MotionLibrary`, by the numbers that clips have in the whole set, over the clips in memory.

    Draws come from `resident` places, each filled with a clip by weight; after `refresh` draws all are filled anew.
    In the long run clips come up by their weights, as in a `MotionLibrary`. What was drawn can be followed until the
    refresh after the next one, so at most 2 · `resident` clips are held. Which clips, follows from the seed alone.
    """

    def __init__(
        self,
        clips: PackedClips | LazyClips,
        joint_names: tuple[str, ...],
        fps: float,
        resident: int = 256,
        refresh: int = 100_000,
        seed: int = 0,
    ) -> None:
        """clips: of `open_clips`. A packed set starts at once; of files, each is read to learn its duration."""
        for key, value in (("resident", resident), ("refresh", refresh)):
            if value < 1:
                raise ValueError(f"{key} is {value}, expected 1 or more")
        self.clips, self.names = clips, clips.names
        self.joint_names, self.fps = joint_names, fps
        self.resident, self.refresh, self.seed = resident, refresh, seed
        self.lengths = clips.lengths if isinstance(clips, PackedClips) else np.array([clip.frames for clip in clips])
        self.durations = (self.lengths - 1) / fps  # (clips,) s
        self.set_weights(self.durations)
        self.generation = self.drawn = 0  # refreshes so far, and draws since the last
        self.places = self._choose()  # (resident,) clips that draws come from
        self.before = self.places  # those before the last refresh
        self._hold()

    # -- draws --------------------------------------------------------------------------------------------

    def set_weights(self, weights: np.ndarray) -> None:
        """How often each clip of the whole set is drawn, as in `MotionLibrary`; from the next refresh on."""
        self.weights = probabilities(weights, len(self.names))

    def draw(self, rng: np.random.Generator, k: int) -> tuple[np.ndarray, np.ndarray]:
        """k clips, and a time (s) in each, uniformly. May refresh first."""
        if self.drawn >= self.refresh:
            self.refill()
        self.drawn += k
        clip = self.places[rng.integers(self.resident, size=k)]
        return clip, rng.random(k) * self.durations[clip]

    def refill(self) -> None:
        """Refresh now."""
        self.generation, self.drawn = self.generation + 1, 0
        self.before, self.places = self.places, self._choose()
        self._hold()

    def _choose(self) -> np.ndarray:
        """Clips (resident,) by weight, spread evenly: each comes up its expected number of times, up or down to a
        whole number ("systematic sampling"), in a shuffled order, so that neighbours do not exclude each other."""
        rng = np.random.default_rng([self.seed, self.generation])
        order = rng.permutation(len(self.names))
        cumulative = np.cumsum(self.weights[order])
        points = (rng.random() + np.arange(self.resident)) / self.resident * cumulative[-1]
        return order[np.searchsorted(cumulative, points, side="right")]

    def _hold(self) -> None:
        """Read the clips of both generations, and let go of all others."""
        self._library: MotionLibrary | None = None  # before its successor is built: never both in memory
        held = np.union1d(self.places, self.before)
        self._slot = np.full(len(self.names), -1)  # (clips,) number in the library of the held clips
        self._slot[held] = np.arange(len(held))
        read = self.clips.read if isinstance(self.clips, PackedClips) else self.clips.__getitem__
        self._library = MotionLibrary([read(int(i)) for i in held], self.joint_names, self.fps)

    # -- exact resume -------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """All that a run goes on from; plain numbers and arrays."""
        arrays = {key: getattr(self, key).copy() for key in ("places", "before", "weights")}
        return {"clips": len(self.names), "generation": self.generation, "drawn": self.drawn, **arrays}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from where `get_state` was called, on the same set, with the same arguments."""
        if state["clips"] != len(self.names) or len(state["places"]) != self.resident:
            raise ClipError(
                f"the state is of {len(state['places'])} places over {state['clips']} clips, "
                f"this library has {self.resident} over {len(self.names)}"
            )
        self.generation, self.drawn = int(state["generation"]), int(state["drawn"])
        self.places, self.before = np.array(state["places"]), np.array(state["before"])
        self.weights = np.array(state["weights"])
        self._hold()

    # -- queries, as in `MotionLibrary` -------------------------------------------------------------------

    def sample(self, clip: np.ndarray, time: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (k, nq) and velocities (k, nv) at times (k,) s; the clips must be held."""
        return self.library.sample(self.slots(clip), time)

    def at(self, clip: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions (k, nq) and velocities (k, nv) at frames (k,) int; the clips must be held."""
        return self.library.at(self.slots(clip), frame)

    def ended(self, clip: np.ndarray, time: np.ndarray) -> np.ndarray:
        """(k,) bool: finite clips of which nothing is left at this time (s)."""
        return self.library.ended(self.slots(clip), time)

    @property
    def library(self) -> MotionLibrary:
        """The held clips alone, for all else one may ask; its own numbers are those of `slots`."""
        assert self._library is not None
        return self._library

    def slots(self, clip: np.ndarray) -> np.ndarray:
        """Numbers (k,) that held clips have in `library`."""
        slots = self._slot[clip]
        if (slots < 0).any():
            gone = self.names[int(np.asarray(clip)[np.argmin(slots)])]
            raise ClipError(f"clip {gone!r} is not in memory: it was drawn over a refresh ago, or never")
        return slots
