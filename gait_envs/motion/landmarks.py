"""From any captured skeleton to the few body points that retargeting needs, in metres, z up, x forward.

Only joint positions are used, never joint rotations: bones' local axes and rest poses differ from rig to
rig, where a knee is, does not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gait_envs.motion.filters import resample, trend
from gait_envs.motion.skeleton import MotionError, Skeleton, SkeletonMotion, forward_kinematics
from gait_envs.rotations import quat_rotate, wrap_angle, yaw_quat

# Names that rigs give to a body part on one side, likeliest first.
_PARTS = {
    "hip": ("upleg", "upperleg", "thigh", "hip", "femur"),
    "knee": ("leg", "lowerleg", "lowleg", "shin", "calf", "knee", "tibia"),
    "ankle": ("ankle", "foot"),
    "toe": ("toebase", "toes", "toe", "toejoint", "forefoot", "ball", "foot"),
    "shoulder": ("arm", "upperarm", "shldr", "shoulder", "humerus"),
}
_OPTIONAL = ("shoulder",)
SIDES = ("left", "right")
ROLES = tuple(f"{side}_{part}" for side in SIDES for part in _PARTS)

_UNITS = {"mm": 0.001, "cm": 0.01, "inch": 0.0254, "cmu": 0.0254 / 0.45, "m": 1.0}  # metres a unit
_ADULT_LEG = 0.82  # m, hip joint to ankle of a 1.70 m adult
_AXES = ("x", "y", "z")


@dataclass(frozen=True)
class Landmarks:
    """Body points over T frames at a constant rate."""

    points: dict[str, np.ndarray]  # role -> (T, 3) m, z up
    fps: float
    leg_length: float  # m, thigh plus shank
    unit: float  # metres a file unit
    up: str  # the file's vertical axis, such as "+y"
    dropped: int = 0  # leading rest-pose frames left out
    time_scale: float = 1.0  # seconds here a captured second
    notes: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        return len(self.points["left_hip"])

    def mid(self, part: str) -> np.ndarray:
        """Midpoint (T, 3) of a part's left and right."""
        return 0.5 * (self.points[f"left_{part}"] + self.points[f"right_{part}"])

    def across(self, part: str) -> np.ndarray:
        """Vector (T, 3) from a part's right to its left."""
        return self.points[f"left_{part}"] - self.points[f"right_{part}"]

    def map(self, function) -> Landmarks:
        """The same with `function` applied to every point's (T, 3) array."""
        return replace(self, points={role: function(point) for role, point in self.points.items()})


def match_joints(skeleton: Skeleton, overrides: Mapping[str, str] | None = None) -> dict[str, int]:
    """Node of each role, by the names common rigs use; `overrides` maps roles to joint names."""
    overrides = overrides or {}
    unknown = [role for role in overrides if role not in ROLES]
    if unknown:
        raise MotionError(f"the joint map names unknown role {unknown[0]!r}; roles: {', '.join(ROLES)}")
    found = {role: skeleton.index(name) for role, name in overrides.items()}
    by_name = _plain_names(skeleton.names)
    for role in ROLES:
        side, part = role.split("_")
        patterns = [f"{side}{{}}", f"{side[0]}{{}}", f"{{}}{side[0]}", f"{{}}{side}"]
        names = [pattern.format(alias) for pattern in patterns for alias in _PARTS[part]]
        nodes = [by_name[name] for name in names if name in by_name]
        free = [node for node in nodes if node not in found.values()]
        if role not in found and free:
            found[role] = free[0]
        elif role not in found and part == "toe" and f"{side}_ankle" in found:
            tips = skeleton.children(found[f"{side}_ankle"])  # a rig without toes: the foot's own end
            found |= {role: tips[0]} if tips else {}
    missing = [role for role in ROLES if role not in found and not role.endswith(_OPTIONAL)]
    if missing:
        raise MotionError(
            f"no joint found for {', '.join(missing)}; name them in a joint map (role: joint). "
            f"The skeleton has {', '.join(skeleton.names)}"
        )
    return found


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


def extract_landmarks(
    motion: SkeletonMotion,
    joint_map: Mapping[str, str] | None = None,
    unit: str | float | None = None,
    up: str | None = None,
) -> Landmarks:
    """Landmarks of a captured motion, unit and vertical axis detected unless given, rest pose dropped."""
    roles = match_joints(motion.skeleton, joint_map)
    position, _ = forward_kinematics(motion)
    points = {role: position[:, node] for role, node in roles.items()}
    dropped = _rest_frames(points)
    if len(position) - dropped < 2:
        raise MotionError(f"{motion.name}: {len(position)} frames, {dropped} of them a rest pose; nothing moves")
    points = {role: point[dropped:] for role, point in points.items()}
    bones = [(f"{side}_{a}", f"{side}_{b}") for side in SIDES for a, b in (("hip", "knee"), ("knee", "ankle"))]
    leg = 0.5 * sum(float(np.median(np.linalg.norm(points[a] - points[b], axis=1))) for a, b in bones)
    if leg <= 0:
        raise MotionError(f"{motion.name}: the legs have no length; check the joint map")
    metres, note = _unit(unit, leg)
    up = up or _vertical(points)
    turn = _upright(up)
    landmarks = Landmarks(
        points={role: point @ turn.T * metres for role, point in points.items()},
        fps=motion.fps,
        leg_length=leg * metres,
        unit=metres,
        up=up,
        dropped=dropped,
        notes=(*motion.notes, *note),
    )
    _check_sides(landmarks, motion.name)
    return landmarks


def _rest_frames(points: Mapping[str, np.ndarray]) -> int:
    """Leading frames before a jump no body makes: many captures begin with one frame of rest pose."""
    stack = np.stack(list(points.values()), axis=1)  # (T, roles, 3)
    leg = np.linalg.norm(points["left_hip"][0] - points["left_knee"][0]) * 2
    step = np.linalg.norm(np.diff(stack[:24], axis=0), axis=2).mean(axis=1)  # mean way of a joint, a frame
    usual = np.median(step[3:]) if len(step) > 3 else 0.0
    jumps = [i + 1 for i in range(min(3, len(step))) if step[i] > 0.1 * leg and step[i] > 5 * usual]
    return max(jumps, default=0)


def _unit(unit: str | float | None, leg: float) -> tuple[float, tuple[str, ...]]:
    """Metres a file unit: as given, or the one that makes `leg` (file units) nearest to an adult's."""
    if unit is not None:
        try:
            metres = _UNITS[unit] if isinstance(unit, str) and unit in _UNITS else float(unit)
        except ValueError:
            metres = 0.0
        if not 0 < metres < np.inf:
            raise MotionError(f"unit {unit!r}: expected metres a unit or one of {', '.join(_UNITS)}")
        return metres, ()
    metres = min(_UNITS.values(), key=lambda m: abs(np.log(leg * m / _ADULT_LEG)))
    if abs(np.log(leg * metres / _ADULT_LEG)) > np.log(1.4):
        return metres, (f"the legs measure {leg * metres:.2f} m in the likeliest unit; set the unit if that is wrong",)
    return metres, ()


def _vertical(points: Mapping[str, np.ndarray]) -> str:
    """The signed axis that leads from the feet to the hips, on average."""
    rise = sum((points[f"{side}_hip"] - points[f"{side}_ankle"]).mean(axis=0) for side in SIDES)
    axis = int(np.argmax(np.abs(rise)))
    return f"{'+' if rise[axis] > 0 else '-'}{_AXES[axis]}"


def _upright(up: str) -> np.ndarray:
    """Rotation matrix (3, 3) that turns the file's vertical axis to +z."""
    sign, name = ("+", up) if len(up) == 1 else (up[:1], up[1:])
    if sign not in ("+", "-") or name not in _AXES:
        raise MotionError(f"up axis {up!r}: expected one of x, y, z with an optional sign")
    axis = _AXES.index(name)
    cyclic = np.roll(np.eye(3), 2 - axis, axis=0)  # an even permutation that sends `axis` to z
    return cyclic if sign == "+" else np.diag([1.0, -1.0, -1.0]) @ cyclic


def _check_sides(landmarks: Landmarks, name: str) -> None:
    """Left and right must agree with where the toes point, or the motion would come out mirrored."""
    forward = np.cross(landmarks.across("hip"), [0.0, 0.0, 1.0])
    agreement = 0.0
    for side in SIDES:
        ankle = landmarks.points[f"{side}_ankle"]
        toes = landmarks.points[f"{side}_toe"] - ankle
        low = ankle[:, 2] <= np.percentile(ankle[:, 2], 30)  # a runner's raised foot does point back
        agreement += float(np.sum((forward * toes)[low]))
    if agreement < 0:
        raise MotionError(f"{name}: the toes point backwards; left and right are swapped, or the up axis is wrong")


def crop(landmarks: Landmarks, start: float, end: float | None) -> Landmarks:
    """The frames from `start` to `end` seconds of the capture."""
    last = (landmarks.frames - 1) / landmarks.fps
    stop = last if end is None else end
    if not 0 <= start < stop <= last + 1e-6:
        raise MotionError(f"cannot cut from {start:g} s to {stop:g} s: the capture lasts {last:.3f} s")
    frames = slice(round(start * landmarks.fps), round(stop * landmarks.fps) + 1)
    return landmarks.map(lambda point: point[frames])


def retime(landmarks: Landmarks, fps: float, time_scale: float) -> Landmarks:
    """Read at `fps` after stretching time by `time_scale`; the result is in the stretched time."""
    source_fps = landmarks.fps / time_scale
    out = landmarks.map(lambda point: resample(point, source_fps, fps))
    return replace(out, fps=fps, time_scale=landmarks.time_scale * time_scale)


def heading(landmarks: Landmarks, stride: float) -> np.ndarray:
    """Direction of the pelvis seen from above (T,), rad, without its swing at each step (`stride` s)."""
    left = landmarks.across("hip")
    yaw = np.unwrap(np.arctan2(-left[:, 0], left[:, 1]))
    return trend(yaw, landmarks.fps, stride)


def face_forward(landmarks: Landmarks, stride: float) -> Landmarks:
    """Turn and move everything so that it starts over the origin and faces +x.

    A straight walk is aligned by its path, which says more exactly than the pelvis where it leads; a
    walk that turns, by where it faces at first.
    """
    yaw = heading(landmarks, stride)
    hips = landmarks.mid("hip")
    way = hips[-1, :2] - hips[0, :2]
    course = np.arctan2(way[1], way[0])
    first = yaw[0] if np.ptp(yaw) > np.radians(30) else yaw.mean()
    straight = np.linalg.norm(way) > landmarks.leg_length and np.ptp(yaw) <= np.radians(30)
    if straight and abs(wrap_angle(course - first)) < np.radians(15):
        first = course
    elif straight and abs(wrap_angle(course + np.pi - first)) < np.radians(15):
        first = course + np.pi  # walking backwards
    turn = yaw_quat(np.array(-first))
    start = np.array([hips[0, 0], hips[0, 1], 0.0])
    return landmarks.map(lambda point: quat_rotate(turn, point - start))
