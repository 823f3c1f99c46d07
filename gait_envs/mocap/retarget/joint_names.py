"""Which joint of a captured skeleton is which part of a body, by the names that common rigs use.

A joint is where its bone begins: the hip joint is where the thigh begins, whether a rig calls it hip (a
place) or femur (a bone). A few names mean different things in different rigs; the order of the names below
decides, and a joint is taken once. SMPL's "L_Foot" is the ball of the foot because "L_Ankle" is there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Skeleton
from gait_envs.mocap.retarget.leg_chains import SIDES, find_legs

# Names of a part on one side, likeliest first.
_SIDED = {
    "hip": ("upleg", "upperleg", "thigh", "hip", "femur"),
    "knee": ("leg", "lowerleg", "lowleg", "shin", "calf", "knee", "tibia"),
    "ankle": ("ankle", "foot", "talus"),
    "toe": ("toebase", "toes", "toe", "toejoint", "bigtoe", "forefoot", "ball", "foot"),
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
# What a robot's hinge has after the name of its joint: left_hip_pitch, left_hip_roll, as in our own BVH files, and
# left_hip_pitch_joint, left_knee_joint, as in URDFs.
_AXIS = re.compile(
    r"([_ -](pitch|roll|yaw|(dorsi|plantar)?flexion|extension|abduction|adduction|rotation|inversion|eversion|bending|"
    r"pronation|deviation|protraction|elevation))?([_ -]joint)?$",
    re.IGNORECASE,
)
_SAME = 1e-9  # file units between hinges of one joint
ROLES = (*(f"{side}_{part}" for side in SIDES for part in _SIDED), *_MIDDLE)


class LegsNotFoundError(MotionError):
    """No joints of a skeleton are known as hips, knees and ankles."""


def match_joints(skeleton: Skeleton, overrides: Mapping[str, str] | None = None) -> dict[str, int]:
    """Node of each role that the skeleton has; `overrides` maps roles to joint names.

    Hips, knees and ankles are needed: without one of them a `LegsNotFoundError` says what the skeleton has.
    """
    return find_joints(skeleton, overrides)[0]


def find_joints(
    skeleton: Skeleton, overrides: Mapping[str, str] | None = None
) -> tuple[dict[str, int], tuple[str, ...]]:
    """`match_joints`, and a note where names did not tell the legs and the shape of the skeleton did."""
    overrides = overrides or {}
    unknown = [role for role in overrides if role not in ROLES]
    if unknown:
        raise MotionError(f"the joint map names unknown role {unknown[0]!r}; roles: {', '.join(ROLES)}")
    given = {role: skeleton.index(name) for role, name in overrides.items()}
    found = _named(skeleton.names, given)
    notes: tuple[str, ...] = ()
    needed = [f"{side}_{part}" for side in SIDES for part in _NEEDED]
    if any(role not in found for role in needed):
        hinged = _named(tuple(_AXIS.sub("", name) for name in skeleton.names), given)
        if all(role in hinged for role in needed):
            feet = {f"{side}_ankle": _last_hinge(skeleton, hinged[f"{side}_ankle"]) for side in SIDES}
            found = hinged | {role: node for role, node in feet.items() if role not in given}
    if any(role not in found for role in needed) and not set(overrides) & {*needed, "left_toe", "right_toe"}:
        legs = find_legs(skeleton)
        if legs:
            guessed = set(legs.values())
            found = {role: node for role, node in found.items() if node not in guessed} | legs
            listed = ", ".join(f"{role} {skeleton.names[node]}" for role, node in legs.items())
            notes = (
                f"the legs were recognised by the shape of the skeleton, not by names: {listed}; if wrong, use --map",
            )
    for side in SIDES:  # a rig without toes: the foot's own end
        tips = skeleton.children(found[f"{side}_ankle"]) if f"{side}_ankle" in found else []
        if tips and f"{side}_toe" not in found:
            found[f"{side}_toe"] = tips[0]
    missing = [role for role in needed if role not in found]
    if missing:
        raise LegsNotFoundError(
            f"no joint found for {', '.join(missing)}; name them with --map, a YAML of role: joint. "
            f"The skeleton has {', '.join(skeleton.names)}"
        )
    return found, notes


def _named(names: tuple[str, ...], found: Mapping[str, int]) -> dict[str, int]:
    """What was found, and a node for every other role that a name is known of."""
    by_name, found = _plain_names(names), dict(found)
    for role in ROLES:
        nodes = [by_name[name] for name in _candidates(role) if name in by_name]
        free = [node for node in nodes if node not in found.values()]
        if role not in found and free:
            found[role] = free[0]
    return found


def _last_hinge(skeleton: Skeleton, node: int) -> int:
    """The last of the hinges that share a node's place: the foot turns as it does."""
    while here := [child for child in skeleton.children(node) if not np.any(np.abs(skeleton.offsets[child]) > _SAME)]:
        node = here[0]
    return node


def _candidates(role: str) -> list[str]:
    """Plain names that a role may have, likeliest first."""
    if role in _MIDDLE:
        return list(_MIDDLE[role])
    side, part = role.split("_")
    patterns = (f"{side}{{}}", f"{side[0]}{{}}", f"{{}}{side[0]}", f"{{}}{side}")
    return [pattern.format(alias) for pattern in patterns for alias in _SIDED[part]]


def _plain_names(names: tuple[str, ...]) -> dict[str, int]:
    """Lower-case letters and digits of every name, without the rig's prefix (mixamorig:, Character1_, CC_Base_)."""
    short = [(name, i) for i, name in enumerate(names)]
    all_names: list[tuple[str, int]] = []
    while short:  # a prefix may have parts: CC_Base_L_Thigh
        all_names = [*short, *all_names]
        heads = [re.split(r"[:_ ]", name)[0] for name, _ in short]
        prefixes = {head for head in heads if heads.count(head) >= 5 and head.lower() not in ("l", "r", *SIDES)}
        short = [(name[len(head) + 1 :], i) for (name, i), head in zip(short, heads, strict=True)
                 if head in prefixes and len(name) > len(head) + 1]  # fmt: skip
    plain: dict[str, int] = {}
    for name, node in all_names:
        plain.setdefault(re.sub(r"[^a-z0-9]", "", name.lower()), node)
    return plain
