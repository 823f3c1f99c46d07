"""Motions of IsaacGym's AMP humanoid as plain `.npz`: local rotations (xyzw) on a skeleton in the file, z up, metres.

The originals are pickled and never read; the arrays are the same under plain keys. The humanoid's feet end
where its model's boxes end (amp_humanoid.xml of IsaacGymEnvs): without that a foot would not point anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from gait_envs.mocap.capture import Capture, Skeleton
from gait_envs.mocap.formats.npz import Archive, archive_keys, check_tree, unit_quaternions
from gait_envs.mocap.formats.text import MAX_JOINTS

_TURNS, _PLACE, _NAMES, _PARENTS, _OFFSETS = (
    "local_rotation_xyzw", "root_translation", "node_names", "parent_indices", "local_translation",
)  # fmt: skip
_TIPS = {"right_foot": (0.1335, 0.0, -0.05), "left_foot": (0.1335, 0.0, -0.05)}  # m, x ahead


def sniff(path: Path) -> bool:
    """Whether an `.npz` has rotations under the name of this format."""
    return _TURNS in (archive_keys(path) or ())


def open_capture(path: str | os.PathLike[str], gaps: bool = False, fps: float | None = None) -> Capture:
    """Open the motion. NaN is an error unless there may be `gaps`; `MotionError` names the file and the key."""
    archive = Archive(path)
    names = archive.names(_NAMES)
    if not 0 < len(names) <= MAX_JOINTS:
        raise archive.error(_NAMES, f"{len(names)} joints; expected 1 to {MAX_JOINTS}")
    parents = check_tree(archive.array(_PARENTS, (len(names),)), len(names), f"{archive.path}: {_PARENTS}")
    offsets = archive.array(_OFFSETS, (len(names), 3))
    frames = archive.frames(_TURNS, (len(names), 4))
    archive.member(_PLACE, (frames, 3))
    rate = archive.rate("fps", given=fps)
    leaves = [j for j, name in enumerate(names) if name in _TIPS and j not in parents]
    skeleton = Skeleton(
        (*names, *(f"{names[j]}_end" for j in leaves)),
        np.array([*parents, *leaves]),
        np.array([*offsets, *(_TIPS[names[j]] for j in leaves)]),
    )

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0
        tables = (archive.blocks(key, size, gaps) for key in (_TURNS, _PLACE))
        for turns, place in zip(*tables, strict=True):
            count = len(turns)
            rotations = np.zeros((count, len(skeleton.names), 4))
            rotations[..., 0] = 1.0
            rotations[:, : len(names)] = unit_quaternions(turns[..., [3, 0, 1, 2]], f"{archive.path}: {_TURNS}", first)
            translations = np.broadcast_to(skeleton.offsets, (count, *skeleton.offsets.shape)).copy()
            translations[:, 0] = place
            yield rotations, translations
            first += count

    return Capture(skeleton, rate, frames, blocks, name=archive.path.stem, unit=1.0, up="+z", usual_up="+z")
