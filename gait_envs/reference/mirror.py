"""The mirror image of a clip, for any robot whose two sides are alike."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from gait_envs.reference.clip import Clip, ClipError, check_fits

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
        meta=_swap_figures(clip.meta),
    )


def _swap_figures(meta: dict[str, Any]) -> dict[str, Any]:
    """Metadata in which the figures of the left steps are those of the right ones, and the other way round."""
    quality = meta.get("quality")
    if not isinstance(quality, dict):
        return meta
    sides = {"_left": "_right", "_right": "_left"}
    other = {key: key.removesuffix(end) + new for key in quality for end, new in sides.items() if key.endswith(end)}
    return meta | {"quality": {other.get(key, key): value for key, value in quality.items()}}
