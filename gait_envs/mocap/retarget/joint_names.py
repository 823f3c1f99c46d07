"""Which joint of a captured skeleton is which part of a body, by the names that common rigs use.

A joint is where its bone begins: the hip joint is where the thigh begins, whether a rig calls it hip (a
place) or femur (a bone). A few names mean different things in different rigs; the order of the names below
decides, and a joint is taken once. SMPL's "L_Foot" is the ball of the foot because "L_Ankle" is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Skeleton

SIDES = ("left", "right")
# Names of a part on one side, likeliest first.
_SIDED = {
    "hip": ("upleg", "upperleg", "thigh", "hip", "femur"),
    "knee": ("leg", "lowerleg", "lowleg", "shin", "calf", "knee", "tibia"),
    "ankle": ("ankle", "foot", "talus"),
    "toe": ("toebase", "toes", "toe", "toejoint", "forefoot", "ball", "foot"),
    "shoulder": ("arm", "upperarm", "shldr", "shoulder", "humerus"),
    "elbow": ("forearm", "lowerarm", "elbow", "radius"),
    "wrist": ("wrist", "hand"),
}
# Names of a part in the middle.
_MIDDLE = {
    "chest": ("thorax", "upperchest", "spine3", "spine2", "spine1", "chest2", "chest", "lowerbacktorso", "torso"),
    "neck": ("lowerneck", "neck", "neck1"),
    "head": ("head", "torsohead", "skull"),
}
_NEEDED = ("hip", "knee", "ankle")
ROLES = (*(f"{side}_{part}" for side in SIDES for part in _SIDED), *_MIDDLE)


class LegsNotFoundError(MotionError):
    """No joints of a skeleton are known as hips, knees and ankles."""


def match_joints(skeleton: Skeleton, overrides: Mapping[str, str] | None = None) -> dict[str, int]:
    """Node of each role that the skeleton has; `overrides` maps roles to joint names.

    Hips, knees and ankles are needed: without one of them a `LegsNotFoundError` says what the skeleton has.
    """
    overrides = overrides or {}
    unknown = [role for role in overrides if role not in ROLES]
    if unknown:
        raise MotionError(f"the joint map names unknown role {unknown[0]!r}; roles: {', '.join(ROLES)}")
    found = {role: skeleton.index(name) for role, name in overrides.items()}
    by_name = _plain_names(skeleton.names)
    for role in ROLES:
        nodes = [by_name[name] for name in _candidates(role) if name in by_name]
        free = [node for node in nodes if node not in found.values()]
        if role not in found and free:
            found[role] = free[0]
    for side in SIDES:  # a rig without toes: the foot's own end
        tips = skeleton.children(found[f"{side}_ankle"]) if f"{side}_ankle" in found else []
        if tips and f"{side}_toe" not in found:
            found[f"{side}_toe"] = tips[0]
    missing = [f"{side}_{part}" for side in SIDES for part in _NEEDED if f"{side}_{part}" not in found]
    if missing:
        raise LegsNotFoundError(
            f"no joint found for {', '.join(missing)}; name them with --map, a YAML of role: joint. "
            f"The skeleton has {', '.join(skeleton.names)}"
        )
    return found


def _candidates(role: str) -> list[str]:
    """Plain names that a role may have, likeliest first."""
    if role in _MIDDLE:
        return list(_MIDDLE[role])
    side, part = role.split("_")
    patterns = (f"{side}{{}}", f"{side[0]}{{}}", f"{{}}{side[0]}", f"{{}}{side}")
    return [pattern.format(alias) for pattern in patterns for alias in _SIDED[part]]


def _plain_names(names: tuple[str, ...]) -> dict[str, int]:
    """Lower-case letters and digits of every name, without the rig's prefix (mixamorig:, Character1_)."""
    heads = [re.split(r"[:_ ]", name)[0] for name in names]
    prefixes = {head for head in heads if heads.count(head) >= 5 and head.lower() not in ("l", "r", *SIDES)}
    prefixed = [(name[len(head) + 1 :], i) for i, (name, head) in enumerate(zip(names, heads, strict=True))
                if head in prefixes]  # fmt: skip
    plain: dict[str, int] = {}
    for name, node in [*prefixed, *((name, i) for i, name in enumerate(names))]:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), node)
    return plain
