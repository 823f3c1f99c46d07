"""Windows of consecutive frames: what the discriminator judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def clip_windows(frames: np.ndarray, length: int, dilation: int = 1) -> np.ndarray:
    """All windows inside one clip, oldest frame first: (T, d) -> (T - span + 1, length * d).

    The frames of a window lie `dilation` apart, so that it spans (length - 1) * dilation + 1 of them.
    """
    span = (length - 1) * dilation + 1
    count = len(frames) - span + 1
    if count < 1:
        raise ValueError(f"a clip of {len(frames)} frames holds no window of {length}, {dilation} apart")
    return np.concatenate([frames[i : i + count] for i in range(0, span, dilation)], axis=1)


class ReferenceWindows:
    """Windows of the reference clips; a draw picks a clip, then a place in it, both uniformly."""

    def __init__(self, clips: Sequence[np.ndarray], length: int, dilation: int = 1):
        """clips: per-frame features, (T_i, d) each."""
        if not clips:
            raise ValueError("no reference clip: a discriminator needs at least one")
        per_clip = [clip_windows(np.asarray(clip, dtype=np.float32), length, dilation) for clip in clips]
        self.windows = np.concatenate(per_clip)  # (N, length * d)
        self.counts = np.array([len(windows) for windows in per_clip])
        self.starts = np.concatenate([[0], np.cumsum(self.counts)[:-1]])
        self.frames = np.concatenate(clips)  # (ΣT, d), for the statistics

    def sample(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """(count, length * d)"""
        clip = rng.integers(len(self.counts), size=count)
        return self.windows[self.starts[clip] + rng.integers(self.counts[clip])]


class WindowStack:
    """The latest frames of n running episodes. A window never spans two episodes."""

    def __init__(self, num_envs: int, length: int, dim: int, dilation: int = 1):
        self.dilation = dilation
        span = (length - 1) * dilation + 1
        self.frames = np.zeros((num_envs, span, dim), dtype=np.float32)  # oldest first
        self.counts = np.zeros(num_envs, dtype=np.int64)  # frames seen in the running episode

    def reset(self, rows: np.ndarray, frames: np.ndarray) -> None:
        """Start episodes. rows: (n,) mask; frames: (n, d), each the state an episode starts in."""
        self.frames[rows, -1] = frames[rows]
        self.counts[rows] = 1

    def push(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Add one frame to each episode: (n, d) -> windows (n, length * d), valid (n,)."""
        self.frames[:, :-1] = self.frames[:, 1:].copy()
        self.frames[:, -1] = frames
        self.counts += 1
        n, span, _ = self.frames.shape
        return self.frames[:, :: self.dilation].reshape(n, -1).copy(), self.counts >= span

    def get_state(self) -> dict[str, np.ndarray]:
        """Copies of the frames (n, length, features) and of the number of frames seen (n,)."""
        return {"frames": self.frames.copy(), "counts": self.counts.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned for a stack of the same shape."""
        self.frames[:] = state["frames"]
        self.counts[:] = state["counts"]
