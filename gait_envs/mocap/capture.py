"""A captured motion on its own skeleton, in the units and axes of its file, and its forward kinematics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gait_envs.errors import MotionError as MotionError  # also known from here
from gait_envs.rotations import quat_mul, quat_rotate

BLOCK = 4096  # frames read at a time


@dataclass(frozen=True)
class Recorded:
    """Properties of a capture before it was converted."""

    fps: float  # captured frames per second
    unit: float  # metres a unit of the original file
    up: str  # its vertical axis, such as "+y"
    rest_frames: int = 0  # leading frames of a rest pose that were dropped

    def as_meta(self) -> dict[str, Any]:
        """The same under the names that files and clips have for it."""
        return {"captured_fps": self.fps, "unit_m": self.unit, "up": self.up, "rest_frames_dropped": self.rest_frames}

    @classmethod
    def from_meta(cls, meta: Mapping[str, Any]) -> Recorded | None:
        """What a file's metadata tell of it; None where they do not, or make no sense."""
        fps, unit, up, rest = (meta.get(key) for key in ("captured_fps", "unit_m", "up", "rest_frames_dropped"))
        rates = all(isinstance(value, int | float) and 0 < value < float("inf") for value in (fps, unit))
        if not (rates and isinstance(up, str) and isinstance(rest, int) and rest >= 0):
            return None
        return cls(float(fps), float(unit), up, rest)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Skeleton:
    """A tree of J nodes, every parent before its children.

    End sites are nodes too, named `<joint>_end`: the tip of a foot or of a finger is often the only thing
    that tells where it points.
    """

    names: tuple[str, ...]  # (J,)
    parents: np.ndarray  # (J,) int, -1 for the root
    offsets: np.ndarray  # (J, 3) from the parent, in the parent's frame, file units

    def index(self, name: str) -> int:
        """Index of the joint in `names`; raises MotionError, which lists the names, if it is unknown."""
        try:
            return self.names.index(name)
        except ValueError:
            raise MotionError(f"no joint {name!r}; the skeleton has {', '.join(self.names)}") from None

    def children(self, node: int) -> list[int]:
        """Indices of the joints whose parent is joint `node`, in ascending order."""
        return [int(child) for child in np.flatnonzero(self.parents == node)]


@dataclass(frozen=True)
class SkeletonMotion:
    """T frames of a skeleton at a constant rate."""

    skeleton: Skeleton
    rotations: np.ndarray  # (T, J, 4) wxyz, relative to the parent
    translations: np.ndarray  # (T, J, 3) from the parent, in the parent's frame, file units
    fps: float
    name: str = ""
    notes: tuple[str, ...] = ()  # what the importer had to repair
    unit: float | None = None  # metres a file unit, where the format says
    up: str | None = None  # vertical axis such as "+y", where the format says
    origin: Mapping[str, str] = field(default_factory=dict)  # source, license, subject, activity, where known
    history: tuple[str, ...] = ()  # what was done to it, in order
    recorded: Recorded | None = None  # None: not converted
    usual_up: str | None = None  # vertical axis by the format's custom, which files may break

    @property
    def frames(self) -> int:
        """Number of frames, T."""
        return len(self.rotations)


@dataclass(frozen=True)
class Capture:
    """An opened capture: all but its frames, which come in blocks, so that a file may be larger than memory."""

    skeleton: Skeleton
    fps: float
    frames: int
    # Frames a block -> (rotations (t, J, 4), translations (t, J, 3)), t at most that many; as in `SkeletonMotion`.
    blocks: Callable[[int], Iterator[tuple[np.ndarray, np.ndarray]]]
    name: str = ""
    notes: tuple[str, ...] = ()
    unit: float | None = None
    up: str | None = None
    origin: Mapping[str, str] = field(default_factory=dict)
    history: tuple[str, ...] = ()
    recorded: Recorded | None = None
    usual_up: str | None = None

    def read(self) -> SkeletonMotion:
        """All frames at once."""
        rotations, translations = zip(*self.blocks(BLOCK), strict=True)
        return SkeletonMotion(
            self.skeleton,
            np.concatenate(rotations),
            np.concatenate(translations),
            self.fps,
            self.name,
            self.notes,
            self.unit,
            self.up,
            self.origin,
            self.history,
            self.recorded,
            self.usual_up,
        )


def forward_kinematics(motion: SkeletonMotion) -> tuple[np.ndarray, np.ndarray]:
    """World positions (T, J, 3) and rotations (T, J, 4) of every node, in the file's units and axes."""
    position = np.empty_like(motion.translations)
    rotation = np.empty_like(motion.rotations)
    for node, parent in enumerate(motion.skeleton.parents):
        if parent < 0:
            position[:, node] = motion.translations[:, node]
            rotation[:, node] = motion.rotations[:, node]
        else:
            turned = quat_rotate(rotation[:, parent], motion.translations[:, node])
            position[:, node] = position[:, parent] + turned
            rotation[:, node] = quat_mul(rotation[:, parent], motion.rotations[:, node])
    return position, rotation
