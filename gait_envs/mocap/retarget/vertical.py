"""Which axis of a capture is vertical, by three witnesses: the format, the rest pose, and the motion.

Whoever lies stretches along the floor, so how a body stretches is no witness by itself: it must move over feet that
stand, or have its floor there. Where the motion does not decide, the format and the rest pose do. Where witnesses
contradict each other a note says so, and how to overrule it. What a file itself says always counts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from gait_envs.mocap.capture import Skeleton, SkeletonMotion
from gait_envs.mocap.cleaning.signal import derivative
from gait_envs.mocap.retarget.leg_chains import SIDES
from gait_envs.rotations import normalize

_AXES = ("x", "y", "z")
_TOPS = ("head", "neck", "chest")  # what is above the hips of a body that stands, likeliest first
_UPRIGHT = 0.8  # cosine of legs to an axis, and half of it of the trunk, which leans: a body stretched along it
_FAR, _NEAR = 1.0, 0.5  # leg lengths across that axis: a walk leads so far, and so long is the way of one who stands
# Speed of the slower ankle over that of the hips, medians: of one who walks or runs, and of one who stands and sways.
_STEPS, _SWAYS = 0.9, 0.5
_FLOOR = -0.1, 0.25  # leg lengths above the floor: the lowest of a body's joints, when it is lowest


def find_vertical(
    motion: SkeletonMotion, roles: Mapping[str, int], points: Mapping[str, np.ndarray]
) -> tuple[str, tuple[str, ...]]:
    """The signed axis that is up, such as "+y", and notes of what contradicts it.

    roles: role -> node; points: role -> (T, 3) world places without the frames of a rest pose, in the file's axes.
    """
    if motion.up is not None and motion.recorded is not None:  # converted by us, when it was asked
        return motion.up, ()
    stretch, upright = _stretch(points)
    turns = bool(np.abs(motion.rotations[..., 1:]).max() > 1e-9)  # else the rest pose is only this motion's middle
    rest = _rest(motion.skeleton, roles) if turns and motion.up is None else None
    told = motion.up if motion.up is None or len(motion.up) > 1 else f"+{motion.up}"
    expected = told or rest or motion.usual_up
    if expected is None:
        if upright and _over_feet(points, stretch, motion.fps):
            return stretch, ()
        note = "neither the format nor a rest pose tells which axis is up"
        return stretch, (
            f"{note}: taken as {stretch}, along which the body stretches; if it lies or crawls, give --up",
        )
    if stretch == expected or not upright:
        return expected, ()
    who = "the file" if told and told != motion.usual_up else "the format" if told or not rest else "the rest pose"
    doubt = f"{who} says that {expected} is up, but the body stretches along {stretch}"
    stands = _over_feet(points, stretch, motion.fps) or (_on_floor(points, stretch) and not _on_floor(points, expected))
    if stands and who != "the file":
        return stretch, (f"{doubt} and stands on that: taken as {stretch} up; if that is wrong, give --up={expected}",)
    return expected, (f"{doubt}: taken as {expected} up, a body that lies; if it stands, give --up={stretch}",)


def _stretch(points: Mapping[str, np.ndarray]) -> tuple[str, bool]:
    """The axis that the body stretches along, from its feet up, and whether all of it does, for most of the time."""
    legs, trunk = _middle(points, "hip") - _middle(points, "ankle"), _trunk(points)
    mean = legs.mean(axis=0)
    axis = int(np.argmax(np.abs(mean)))
    sign = 1.0 if mean[axis] > 0 else -1.0
    along = float(np.median(sign * normalize(legs)[:, axis]))
    if trunk is not None:  # which leans
        along = min(along, 2 * float(np.median(sign * normalize(trunk)[:, axis])))
    return _name(axis, sign), along > _UPRIGHT


def _over_feet(points: Mapping[str, np.ndarray], up: str, fps: float) -> bool:
    """Do the hips move across an axis while a foot stands, as no body does that lies along it?"""
    hips = _middle(points, "hip")
    if len(hips) < 3:
        return False
    leg = _leg(points)
    across = np.delete(hips, _AXES.index(up[-1]), axis=1)
    ankles = [np.linalg.norm(derivative(points[f"{side}_ankle"], fps), axis=1) for side in SIDES]
    moving = max(float(np.median(np.linalg.norm(derivative(hips, fps), axis=1))), 1e-12)
    ratio = float(np.median(np.minimum(*ankles))) / moving
    tenths = across[:: max(1, round(fps / 10))]  # so that the noise of a capture makes no way
    way = float(np.linalg.norm(np.diff(tenths, axis=0), axis=1).sum())
    far = float(np.ptp(across, axis=0).max())
    return (far > _FAR * leg and ratio < _STEPS) or (way > _NEAR * leg and ratio < _SWAYS)


def _on_floor(points: Mapping[str, np.ndarray], up: str) -> bool:
    """Is the lowest part of the body about as high as the origin, where captures have their floor?"""
    sign = -1.0 if up[0] == "-" else 1.0
    lowest = min(float((sign * place[:, _AXES.index(up[-1])]).min()) for place in points.values())
    return _FLOOR[0] < lowest / _leg(points) < _FLOOR[1]


def _leg(points: Mapping[str, np.ndarray]) -> float:
    """Length of the legs as far as they are stretched, file units."""
    return float(np.median(np.linalg.norm(_middle(points, "hip") - _middle(points, "ankle"), axis=1)))


def _rest(skeleton: Skeleton, roles: Mapping[str, int]) -> str | None:
    """The axis that the rest pose stands on; None where its legs and trunk do not stand on one axis."""
    place = np.zeros((len(skeleton.names), 3))
    for node, parent in enumerate(skeleton.parents):
        place[node] = skeleton.offsets[node] + (place[parent] if parent >= 0 else 0.0)
    points = {role: place[node][None] for role, node in roles.items()}
    legs, trunk = _middle(points, "hip") - _middle(points, "ankle"), _trunk(points)
    parts = [normalize(part)[0] for part in (legs, trunk) if part is not None and np.linalg.norm(part) > 0]
    if len(parts) < 2:  # without a trunk many rigs, whose bones all point the same way, look as if they stood
        return None
    axis = int(np.argmax(np.abs(parts[0])))
    sign = float(np.sign(parts[0][axis]))
    return _name(axis, sign) if all(sign * part[axis] > _UPRIGHT for part in parts) else None


def _middle(points: Mapping[str, np.ndarray], part: str) -> np.ndarray:
    """Midpoint (T, 3) of a part's left and right."""
    return 0.5 * (points[f"left_{part}"] + points[f"right_{part}"])


def _trunk(points: Mapping[str, np.ndarray]) -> np.ndarray | None:
    """From between the hips to the highest known part of the body (T, 3); None where only legs are known."""
    top = next((points[role] for role in _TOPS if role in points), None)
    if top is None and {f"{side}_shoulder" for side in SIDES} <= set(points):
        top = _middle(points, "shoulder")
    return None if top is None else top - _middle(points, "hip")


def _name(axis: int, sign: float) -> str:
    return f"{'+' if sign > 0 else '-'}{_AXES[axis]}"
