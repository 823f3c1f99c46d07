"""The mirror image of a clip, for any robot whose two sides are alike."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from gait_envs.models.mirror import COMMAND, other_side
from gait_envs.reference.clip import Clip, ClipError, check_fits
from gait_envs.reference.course import COURSE

if TYPE_CHECKING:
    from gait_envs.models.mirror import Mirror

_SUFFIX = "_mirrored"


def mirror(clip: Clip, tables: Mirror) -> Clip:
    """The same motion with left and right swapped; done twice, it is the clip again.

    `tables` are those of the clip's robot, see `gait_envs.models.mirror.mirror_of`. Raises `ClipError` where the clip
    is of other joints or soles.
    """
    check_fits(clip, tables.joint_names)
    if clip.contacts is not None and clip.contacts.shape[1] != len(tables.soles):
        count = clip.contacts.shape[1]
        raise ClipError(f"clip {clip.name!r}: contacts has {count} columns, a mirror swaps {len(tables.soles)}")
    return dataclasses.replace(
        clip,
        qpos=tables.qpos(clip.qpos),
        qvel=tables.qvel(clip.qvel),
        contacts=None if clip.contacts is None else tables.soles(clip.contacts),
        torque=None if clip.torque is None else tables.joints(clip.torque),
        name=clip.name.removesuffix(_SUFFIX) if clip.name.endswith(_SUFFIX) else clip.name + _SUFFIX,
        meta=_mirrored(clip.meta),
    )


def _mirrored(meta: dict[str, Any]) -> dict[str, Any]:
    """Metadata of the mirror image: figures of the left are those of the right, ways to the left lead to the right."""
    image = dict(meta)
    if isinstance(meta.get("quality"), dict):
        image["quality"] = _figures(meta["quality"])
    if isinstance(meta.get("quick_percent"), dict):
        image["quick_percent"] = {other_side(joint): value for joint, value in meta["quick_percent"].items()}
    if "command" in meta:
        image["command"] = COMMAND(np.asarray(meta["command"])).tolist()
    return image


def _figures(quality: dict[str, Any]) -> dict[str, Any]:
    """`step_time_left` becomes `step_time_right`; `speed_left` is a speed to the left and keeps its name."""
    sides = {"_left": "_right", "_right": "_left"}
    other = {
        key: key.removesuffix(end) + new
        for key in quality
        for end, new in sides.items()
        if key.endswith(end) and key not in COURSE
    }
    signs = dict(zip(COURSE, COMMAND.sign, strict=True))
    return {other.get(key, key): -value if signs.get(key, 1.0) < 0 else value for key, value in quality.items()}
