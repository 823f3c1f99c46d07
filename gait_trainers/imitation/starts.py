"""Standing starts: an expert that tracks steady walks leads a student from standing to the commanded one.

No clip shows a start. So the expert follows the slowest walk first, from a phase at which it can begin from standing,
then each faster one until the commanded one; the student sees the last one's command from the beginning.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gait_envs.core import Core
from gait_trainers.imitation.demonstrations import DemonstrationError
from gait_trainers.imitation.shared import Shared
from gait_trainers.policies.base import Policy


@dataclass(frozen=True)
class Standing:
    """How episodes begin that begin standing."""

    share: float = 0.5  # of the episodes
    phase: float = 0.25  # of the slowest clip, at first; of the embedded human walk, in the middle of a swing
    climb: float = 0.7  # s for which each clip is followed, until the next faster one

    def __post_init__(self) -> None:
        if not (0.0 <= self.share <= 1.0 and 0.0 <= self.phase < 1.0 and 0.0 < self.climb < math.inf):
            raise DemonstrationError(f"{self}: share is 0 to 1, phase 0 to below 1, climb above 0 s")


class StandingStarts(Shared):
    """Some episodes begin as the target environment begins; the clips of these must loop."""

    def __init__(self, expert: Policy, reference: str | Sequence[str] | None, core: Core, standing: Standing) -> None:
        super().__init__(expert, reference, core)
        self.standing, clips = standing, self.library
        if not clips.loops.all():
            raise DemonstrationError(
                "standing starts: the tracker is led through walks that loop, and some clips do not"
            )
        # (clips, 3), the mean command of each.
        ends = zip(clips.starts, clips.lengths, strict=True)
        self.means = np.stack([self.player.commands[start : start + length].mean(axis=0) for start, length in ends])
        self.order = np.argsort(self.means[:, 0])  # from the slowest to the fastest
        self.rank = np.argsort(self.order)  # of each clip
        self.stands = np.zeros(core.n, dtype=bool)
        self.goals = np.zeros(core.n, dtype=int)

    def _begin(self, seeds: Sequence[int], clips: np.ndarray) -> np.ndarray:
        self.goals = clips
        self.stands = np.array([np.random.default_rng([seed, 1]).random() < self.standing.share for seed in seeds])
        super()._begin(seeds, np.where(self.stands, self.order[0], clips))
        rows = np.flatnonzero(self.stands)
        memory = self.tracker.memory
        if len(rows):
            self.core.reset(rows)
            memory.frame[rows] = round(self.standing.phase * (self.library.lengths[self.order[0]] - 1))
            self._put_clips(rows)
            self.tracker.state = self.core.state
        return self.tracker.observe()

    def _bring_clip_along(self, taken: int) -> None:
        super()._bring_clip_along(taken)
        memory, lengths = self.tracker.memory, self.library.lengths
        if taken % max(1, round(self.standing.climb / self.core.robot.dt)):
            return
        rows = np.flatnonzero(self.stands & (self.rank[memory.clip] < self.rank[self.goals]))
        clip = memory.clip[rows]
        faster = self.order[self.rank[clip] + 1]
        phase = memory.frame[rows] / (lengths[clip] - 1) % 1.0
        memory.clip[rows] = faster
        memory.frame[rows] = np.round(phase * (lengths[faster] - 1)).astype(int)
        self._put_clips(rows)

    def _put_clips(self, rows: np.ndarray) -> None:
        """Put the clips of these rows where their bodies are."""
        memory = self.tracker.memory.take(rows)
        qpos, qvel = self.player.played(memory.clip, memory.frame, memory.between, memory.walker)
        self.tracker.memory.origin[rows] = self.core.state.qpos[rows, :2] - qpos[:, :2]
        qpos[:, :2] = self.core.state.qpos[rows, :2]
        self.tracker.memory.reference_qpos[rows], self.tracker.memory.reference_qvel[rows] = qpos, qvel

    def _observe(self, taken: int) -> np.ndarray:
        super()._observe(taken)
        self.core.memory.command[self.stands] = self.means[self.goals[self.stands]]
        return self.core.observe()
