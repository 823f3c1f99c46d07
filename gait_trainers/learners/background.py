"""A learner's update in a thread of its own, while PPO updates the policy.

Neither reads what the other writes, and each draws from generators of its own, so that the result is the same bit for
bit as that of one after the other. torch lets go of the interpreter's lock in every operation, so that on two cores
they overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

Metrics = dict[str, float]


class BackgroundUpdate:
    """At most one update at a time, begun in `_on_rollout_end` of a callback and awaited in `_on_rollout_start` and
    `_on_training_end`, before a checkpoint is written."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1)
        self._running: Future[Metrics] | None = None

    def begin(self, update: Callable[[], Metrics]) -> None:
        """Run `update`, which returns its metrics by name. RuntimeError if the one before was not awaited."""
        if self._running is not None:
            raise RuntimeError("the update before has not been awaited")
        self._running = self._pool.submit(update)

    def wait(self) -> Metrics:
        """The metrics of the update that was begun, once it is done; what it raised is raised here. Empty if none."""
        running, self._running = self._running, None
        return {} if running is None else running.result()
