"""From any captured skeleton to the few body points that retargeting needs, in metres, z up, x forward.

Joint positions are used, not joint rotations: bones' local axes and rest poses differ from rig to rig, where
a knee is, does not. Only a foot's rotations are read, against those it has where it stands: they tell how it
rolls, and where it points on a rig without toes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.axes import UNITS, unit_metres, upright
from gait_envs.mocap.capture import SkeletonMotion, forward_kinematics
from gait_envs.mocap.cleaning.signal import derivative, resample, trend
from gait_envs.mocap.retarget.joint_names import SIDES, find_joints
from gait_envs.mocap.retarget.vertical import find_vertical
from gait_envs.rotations import normalize, quat_rotate, quat_rotate_inverse, quat_to_matrix, wrap_angle, yaw_quat

_ADULT, _ADULT_LEG = 1.70, 0.82  # m, an adult, and from hip joint to ankle
_NO_ADULT, _NOBODY = 1.4, 2.3  # times longer or shorter than an adult's legs, or than anybody's
_STILL = 1e-4  # leg lengths: a pose that moves by less is held
_FEW_REST = 3  # frames of a rest pose that are usual and not worth a note
# Where the ball of an adult's foot is from the ankle, in leg lengths; for rigs without toes.
_BALL_AHEAD, _BALL_BELOW = 0.17, 0.07


@dataclass(frozen=True)
class Landmarks:
    """Body points over T frames at a constant rate."""

    # Role -> (T, 3) m, z up. Beside the roles of `joints`, "left_beside" and "right_beside": points of the feet
    # as high as the ankle and to its left while the foot is flat, where the capture knows how the feet turn.
    points: dict[str, np.ndarray]
    fps: float
    leg_length: float  # m, thigh plus shank
    unit: float  # metres a file unit
    up: str  # the file's vertical axis, such as "+y"
    dropped: int = 0  # leading rest-pose frames left out
    time_scale: float = 1.0  # seconds here a captured second
    notes: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Number of frames, T."""
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


def extract_landmarks(
    motion: SkeletonMotion,
    joint_map: Mapping[str, str] | None = None,
    unit: str | float | None = None,
    up: str | None = None,
) -> Landmarks:
    """Landmarks of a captured motion, rest pose dropped.

    Unit and vertical axis are as given, else as the file says or as is detected (`find_vertical`).
    """
    roles, told = find_joints(motion.skeleton, joint_map)
    position, rotation = forward_kinematics(motion)
    points = {role: position[:, node] for role, node in roles.items()}
    dropped = _rest_frames(points)
    if len(position) - dropped < 2:
        raise MotionError(f"{len(position)} frames, {dropped} of them a rest pose; nothing moves")
    points = {role: point[dropped:] for role, point in points.items()}
    if dropped > _FEW_REST:
        told += (f"the first {dropped} frames hold one pose and then leap: a rest pose, left out",)
    bones = [(f"{side}_{a}", f"{side}_{b}") for side in SIDES for a, b in (("hip", "knee"), ("knee", "ankle"))]
    leg = 0.5 * sum(float(np.median(np.linalg.norm(points[a] - points[b], axis=1))) for a, b in bones)
    if leg <= 0:
        raise MotionError("the legs have no length; check the joint map")
    metres, notes = _unit(unit, motion.unit, leg)
    if up is None:
        up, doubts = find_vertical(motion, roles, points)
        notes += doubts
    turn = quat_to_matrix(upright(up))
    landmarks = Landmarks(
        points={role: point @ turn.T * metres for role, point in points.items()},
        fps=motion.fps,
        leg_length=leg * metres,
        unit=metres,
        up=up,
        dropped=dropped,
    )
    ankles = [rotation[dropped:, roles[f"{side}_ankle"]] for side in SIDES]
    _check_sides(landmarks)
    landmarks, more = _complete_feet(landmarks, ankles, turn)
    return replace(landmarks, notes=(*motion.notes, *told, *notes, *more))


def _complete_feet(
    landmarks: Landmarks, turns: list[np.ndarray], to_upright: np.ndarray
) -> tuple[Landmarks, tuple[str, ...]]:
    """Add the points beside the ankles, and toes where the rig has none; with notes of what was guessed.

    `turns` are the ankles' rotations (T, 4) in the file's axes, `to_upright` (3, 3) leads from these to z up.
    A point that moves with the foot is fixed to it in the frames where the foot stands flat, where the
    world says what is ahead, to the left and below.
    """
    points, leg, notes = dict(landmarks.points), landmarks.leg_length, []
    course = normalize(np.cross(landmarks.across("hip"), [0.0, 0.0, 1.0]))
    for side, turn in zip(SIDES, turns, strict=True):
        ankle = points[f"{side}_ankle"]
        toe = points.get(f"{side}_toe")
        if toe is not None and np.median(np.linalg.norm(toe - ankle, axis=1)) < 0.05 * leg:
            toe = None  # an end site in the ankle itself
        flat = _standing(ankle, landmarks.fps)
        forward = course if toe is None else normalize((toe - ankle) * [1.0, 1.0, 0.0])
        turns_at_all = np.ptp(turn, axis=0).max() > 1e-6

        def carried(offset: np.ndarray, turn=turn, flat=flat) -> np.ndarray:
            local = quat_rotate_inverse(turn[flat], offset[flat] @ to_upright).mean(axis=0)
            return quat_rotate(turn, local) @ to_upright.T

        if turns_at_all:
            left = np.cross([0.0, 0.0, 1.0], forward)
            points[f"{side}_beside"] = ankle + normalize(carried(left)) * _BALL_AHEAD * leg
        if toe is None:
            ahead = forward * _BALL_AHEAD * leg - [0.0, 0.0, _BALL_BELOW * leg]
            points[f"{side}_toe"] = ankle + (carried(ahead) if turns_at_all else ahead)
            how = "how the foot turns" if turns_at_all else "the pelvis; the feet count as flat"
            notes.append(f"the rig has no {side} toe; where it points is taken from {how}")
    return replace(landmarks, points=points), tuple(notes)


def _standing(ankle: np.ndarray, fps: float) -> np.ndarray:
    """Frames (k,) in which an ankle (T, 3) most likely stands over a flat foot: the slowest of the lowest."""
    low = np.flatnonzero(ankle[:, 2] <= np.percentile(ankle[:, 2], 40))
    speed = np.linalg.norm(derivative(ankle, fps), axis=1)[low]
    return low[speed <= np.percentile(speed, 40)]


def _rest_frames(points: Mapping[str, np.ndarray]) -> int:
    """Leading frames before a jump no body makes: many captures begin with one frame of rest pose, or hold it."""
    stack = np.stack(list(points.values()), axis=1)  # (T, roles, 3)
    leg = np.linalg.norm(points["left_hip"][0] - points["left_knee"][0]) * 2
    way = np.linalg.norm(np.diff(stack[:24], axis=0), axis=2)  # of each joint, a frame
    # A leap of all the joints on average, or a further one of some: an arm may hold the rest pose alone.
    leaps = [(way.mean(axis=1, keepdims=True), 0.1), (way, 0.3)]
    jumps = [i + 1 for i in range(min(3, len(way))) if any(_leaps(of, i, most * float(leg)) for of, most in leaps)]
    return max(max(jumps, default=0), _held_frames(stack, float(leg)))


def _leaps(way: np.ndarray, frame: int, most: float) -> bool:
    """Whether any of the ways (T, k) a frame is over `most`, and five times what is usual after the first three."""
    usual = np.median(way[3:], axis=0) if len(way) > 3 else np.zeros(way.shape[1])
    return bool(np.any((way[frame] > most) & (way[frame] > 5 * usual)))


def _held_frames(stack: np.ndarray, leg: float) -> int:
    """Leading frames of places (T, roles, 3) that hold one pose, then leap into the motion; 0 where none do."""
    moved = np.linalg.norm(stack - stack[0], axis=2).mean(axis=1)
    held = int(np.argmax(moved > _STILL * leg))  # 0 where it never moves
    if held < 2:
        return 0
    step = np.linalg.norm(np.diff(stack[held - 1 : held + 24], axis=0), axis=2).mean(axis=1)
    usual = np.median(step[1:]) if len(step) > 1 else np.inf
    return held if step[0] > max(0.1 * leg, 2 * usual) else 0


def _unit(given: str | float | None, said: float | None, leg: float) -> tuple[float, tuple[str, ...]]:
    """Metres a file unit: as given, else as the file says, else what makes `leg` (file units) nearest to an adult's."""
    if given is None and said is not None:
        return said, ()

    def times_adult(metres: float) -> float:
        """How many times longer, or shorter, than an adult's the legs would be."""
        return float(np.exp(abs(np.log(leg * metres / _ADULT_LEG))))

    likely = min(UNITS, key=lambda name: times_adult(UNITS[name]))
    metres = UNITS[likely] if given is None else unit_metres(given)
    fits = times_adult(UNITS[likely]) <= _NO_ADULT
    tall = leg * _ADULT / _ADULT_LEG  # file units
    if given is not None and fits and times_adult(metres) > _NOBODY:
        return metres, (
            f"a unit of {metres:g} m makes a person {tall * metres:.3g} m tall; "
            f"{likely} would make {tall * UNITS[likely]:.2f} m",
        )
    if given is None and not fits:
        return metres, (f"the legs measure {leg * metres:.2f} m in the likeliest unit; set the unit if that is wrong",)
    return metres, ()


def _check_sides(landmarks: Landmarks) -> None:
    """Left and right must agree with where toes point and knees bend, or the motion would come out mirrored.

    Only while the legs are steep: of whoever lies or crawls, hips do not tell what is ahead.
    """
    steep = np.abs(landmarks.mid("hip") - landmarks.mid("ankle"))[:, 2] > 0.7 * landmarks.leg_length
    forward = np.cross(landmarks.across("hip"), [0.0, 0.0, 1.0])
    agreement = 0.0
    for side in SIDES:
        hip, knee, ankle = (landmarks.points[f"{side}_{part}"] for part in ("hip", "knee", "ankle"))
        low = ankle[:, 2] <= np.percentile(ankle[:, 2], 30)  # a runner's raised foot does point back
        toe = landmarks.points.get(f"{side}_toe")
        ahead = knee - 0.5 * (hip + ankle) if toe is None else toe - ankle
        told = steep if toe is None else steep & low
        agreement += float(np.sum(forward[told] * ahead[told]))
    if agreement < 0:
        raise MotionError("toes or knees point backwards; left and right are swapped, or the up axis is wrong")


def crop(landmarks: Landmarks, start: float, end: float | None) -> Landmarks:
    """The frames from `start` to `end` seconds of the capture, at least three: two have no acceleration."""
    last = (landmarks.frames - 1) / landmarks.fps
    stop = last if end is None else end
    if not 0 <= start < stop <= last + 1e-6:
        raise MotionError(f"cannot cut from {start:g} s to {stop:g} s: the capture lasts {last:.3f} s")
    frames = slice(round(start * landmarks.fps), round(stop * landmarks.fps) + 1)
    if frames.stop - frames.start < 3:
        raise MotionError(f"cannot cut from {start:g} s to {stop:g} s: it holds fewer than three frames")
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
