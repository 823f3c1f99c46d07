"""A written BVH read back by bvhio, a reader that shares no code with ours: what we write, others must read alike.

Only its reader of hierarchies is used: its motion parser waits for ever on files that end early.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Skeleton
from gait_envs.mocap.formats.bvh import open_capture

_SINGLE = 1e-6  # bvhio keeps single precision


def verify_bvh(path: str | os.PathLike[str]) -> None:
    """Raise `MotionError` unless bvhio finds the joints, parents, offsets, frames and rate in the file that we do.

    Tips are left out: bvhio keeps one end site a joint.
    """
    import bvhio  # of the data extra, and only for this

    ours = open_capture(path)
    try:
        theirs = bvhio.readAsBvh(str(path), loadKeyFrames=False)
    except Exception as error:  # a parser of another project: any kind may come
        raise MotionError(f"{path}: bvhio cannot read it: {error}") from error
    skeleton = ours.skeleton
    parents = {name: skeleton.names[above] if above >= 0 else "" for name, above in _pairs(skeleton)}
    offsets = dict(zip(skeleton.names, skeleton.offsets, strict=True))
    tips = {name for name in parents if "_end" in name and name not in parents.values()}
    found = {name: (parent, offset) for name, parent, offset in _joints(theirs.Root, "")}
    for name in (parents.keys() | found.keys()) - (tips - found.keys()):
        if name not in found or found[name][0] != parents.get(name):
            raise MotionError(f"{path}: bvhio finds another joint {name!r} or parent of it")
        off = np.abs(found[name][1] - offsets[name]).max()
        if off > _SINGLE * max(1.0, np.abs(skeleton.offsets).max()):
            raise MotionError(f"{path}: bvhio finds joint {name!r} off by {off:g}")
    if theirs.FrameCount != ours.frames or abs(theirs.FrameTime * ours.fps - 1.0) > 1e-3:
        raise MotionError(f"{path}: bvhio finds {theirs.FrameCount} frames, {theirs.FrameTime:g} s each")


def _pairs(skeleton: Skeleton) -> Iterator[tuple[str, int]]:
    return zip(skeleton.names, map(int, skeleton.parents), strict=True)


def _joints(joint: Any, parent: str) -> Iterator[tuple[str, str, np.ndarray]]:
    """Name, parent's name and offset (3,) of a joint of bvhio's and of all below it."""
    yield joint.Name, parent, np.array(joint.Offset.to_list())
    for child in joint.Children:
        yield from _joints(child, joint.Name)
