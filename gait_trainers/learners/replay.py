"""Replay buffer of earlier policy windows, so that the discriminator does not forget earlier failures of the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


class ReplayBuffer:
    """Ring buffer of the last `capacity` windows."""

    # A rollout may be larger than the memory. It gives at most this share, drawn at random, so that the
    # memory always spans at least ten rollouts.
    SHARE_PER_ROLLOUT = 0.1

    def __init__(self, capacity: int, dim: int):
        self.data = np.zeros((capacity, dim), dtype=np.float32)
        self.position = 0
        self.size = 0

    def __len__(self) -> int:
        return self.size

    def add(self, windows: np.ndarray, rng: np.random.Generator) -> None:
        """Store (a share of) one rollout's windows, (m, dim)."""
        capacity = len(self.data)
        limit = min(len(windows), int(np.ceil(self.SHARE_PER_ROLLOUT * capacity)))
        if limit == 0:
            return
        chosen = windows[rng.choice(len(windows), limit, replace=False)] if limit < len(windows) else windows
        slots = (self.position + np.arange(limit)) % capacity
        self.data[slots] = chosen
        self.position = int((self.position + limit) % capacity)
        self.size = min(self.size + limit, capacity)

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, dim), with replacement"""
        return self.data[rng.integers(self.size, size=count)]

    def get_state(self) -> dict[str, Any]:
        """The filled rows (size, dim), the number of them, and the row that is written next."""
        return {"data": self.data[: self.size].copy(), "position": self.position, "size": self.size}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned for a buffer of the same capacity."""
        self.size, self.position = int(state["size"]), int(state["position"])
        self.data[: self.size] = state["data"]


def mix(
    fresh: np.ndarray, replay: ReplayBuffer, count: int, ratio: float, rng: np.random.Generator
) -> tuple[np.ndarray, int]:
    """`count` policy windows, the first of them fresh and `ratio` of them remembered.

    Returns the windows (count, dim) and how many of them are fresh. An empty memory leaves all of them fresh.
    """
    old = round(ratio * count) if len(replay) else 0
    new = fresh[rng.integers(len(fresh), size=count - old)]
    return (np.concatenate([new, replay.sample(old, rng)]) if old else new), count - old
