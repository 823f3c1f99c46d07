"""Reference clips as one flat table of frames, for batched queries and draws."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.motion.clip import Clip, ClipError, check_fits, load_clip

EMBEDDED = "wildrobot_walk"  # the reference that comes with the package


def load_clips(source: str | os.PathLike[str] | Sequence[str | os.PathLike[str]]) -> list[Clip]:
    """Clips of a file, of a folder (sorted by name), of an embedded set's name, or of a list of these."""
    if not isinstance(source, str | os.PathLike):
        return [clip for item in source for clip in load_clips(item)]
    path = Path(source)
    if not path.exists():
        try:
            path = asset_path(f"motions/{source}")
        except FileNotFoundError as error:
            raise ClipError(f"{source}: neither a clip, nor a folder of clips, nor an embedded set ({error})") from None
    if path.is_dir():
        files = sorted(path.glob("*.npz"))
        if not files:
            raise ClipError(f"{path}: holds no .npz clip")
        return [load_clip(file) for file in files]
    return [load_clip(path)]


class MotionLibrary:
    """All frames of all clips, end to end; clip c owns frames starts[c] .. starts[c] + lengths[c]."""

    def __init__(self, clips: Sequence[Clip], joint_names: tuple[str, ...], fps: float) -> None:
        if not clips:
            raise ClipError("a motion library needs at least one clip")
        for clip in clips:
            check_fits(clip, joint_names, fps)
        self.clips = tuple(clips)
        self.fps = fps
        self.lengths = np.array([clip.frames for clip in clips])
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)[:-1]])
        self.speeds = np.array([clip.mean_speed for clip in clips])  # m/s
        self.qpos = np.concatenate([clip.qpos for clip in clips])
        self.qvel = np.concatenate([clip.qvel for clip in clips])
        # Planned or measured loads on the soles (N); infinite where a clip does not know them.
        self.contacts = np.concatenate(
            [np.full((clip.frames, 4), np.inf) if clip.contacts is None else clip.contacts for clip in clips]
        )
        self.loops = np.array([clip.loop for clip in clips])
        # What one turn of a looping clip moves the root by.
        self.strides = np.array([clip.qpos[-1, :2] - clip.qpos[0, :2] for clip in clips])  # (clips, 2) m

    def nearest_speed(self, speed: float) -> int:
        """The clip whose mean speed (m/s) is nearest."""
        return int(np.argmin(np.abs(self.speeds - speed)))

    def index(self, clip: int | str) -> int:
        """A clip by its name or its number."""
        names = [c.name for c in self.clips]
        if isinstance(clip, str):
            if clip not in names:
                raise ClipError(f"no clip {clip!r}; the library has {', '.join(names)}")
            return names.index(clip)
        if not 0 <= int(clip) < len(names):
            raise ClipError(f"no clip {clip}; the library has 0 to {len(names) - 1}")
        return int(clip)

    def frame(self, clip: int, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Position and velocity at a frame, moved so that the root stands over the origin."""
        at = self.starts[clip] + index
        qpos = self.qpos[at].copy()
        qpos[:2] = 0.0
        return qpos, self.qvel[at].copy()

    def index_at(self, clip: np.ndarray, frame: np.ndarray) -> np.ndarray:
        """Row (k,) in the table of frames counted from each clip's start, (k,) int.

        Looping clips go round; others stay on their last frame.
        """
        last = self.lengths[clip] - 1
        return self.starts[clip] + np.where(self.loops[clip], frame % last, np.minimum(frame, last))

    def at(self, clip: np.ndarray, frame: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities (k, ...) at frames counted from each clip's start, (k,) int.

        A looping clip's root is a stride further on each time round; past its end, another stands still.
        """
        rows = self.index_at(clip, frame)
        turns = np.where(self.loops[clip], frame // (self.lengths[clip] - 1), 0)
        qpos = self.qpos[rows]
        qpos[:, :2] += turns[:, None] * self.strides[clip]
        over = ~self.loops[clip] & (frame >= self.lengths[clip])
        return qpos, np.where(over[:, None], 0.0, self.qvel[rows])
