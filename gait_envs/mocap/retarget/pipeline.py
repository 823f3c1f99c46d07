"""Retarget a captured motion to a robot: scale, stand the feet still, solve the joints, measure the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Recorded, SkeletonMotion
from gait_envs.mocap.quality import SHAKING, carry, faults, measure, robot_poses
from gait_envs.mocap.retarget.footholds import read_foot, sole_target, steadied
from gait_envs.mocap.retarget.ik import Targets, solve
from gait_envs.mocap.retarget.joint_names import SIDES, find_joints
from gait_envs.mocap.retarget.landmarks import Landmarks, crop, extract_landmarks, face_forward, heading, retime
from gait_envs.mocap.retarget.pelvis_sway import sway
from gait_envs.mocap.retarget.plausibility import doubts, floats, too_short
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.mocap.smoothness import captured_smoothness, joint_shares, smoothness
from gait_envs.reference.clip import Clip, velocities
from gait_envs.reference.licenses import UNKNOWN
from gait_envs.rotations import normalize, quat_from_rotvec, quat_mul, quat_rotate, yaw_quat

_LEGS = 0.01, 100.0  # m, shortest and longest of anybody captured or animated
# What of a body a clip names beside its digest.
_KEPT = (
    "lean",
    "crouch",
    "step_width",
    "swing_clearance",
    "smoothing",
    "acceleration",
    "sway",
    "swing_weight",
    "foot_yaw",
    "foot_roll",
)
_SMOOTHER = (2.0, 4.0, 8.0)  # times a body's cost of accelerations, tried one after the other
STRIDE = 1.2  # captured seconds over which a heading is averaged: about one stride of a walk


@dataclass(frozen=True)
class Retargeted:
    """The clip, and what it was made from."""

    clip: Clip
    targets: Targets
    landmarks: Landmarks  # in the robot's time, facing +x, captured size
    quality: dict[str, float]
    faults: list[str]


def retarget(
    motion: SkeletonMotion,
    body: Body,
    *,
    joint_map: Mapping[str, str] | None = None,
    unit: str | float | None = None,
    up: str | None = None,
    start: float = 0.0,
    end: float | None = None,
    time: str | float = "keep",
    speed: float | None = None,
    stride: float = 1.0,
    source: str | None = None,
    license: str | None = None,
    subject: str | None = None,
    activity: str | None = None,
) -> Retargeted:
    """A clip of `body` doing `motion` at the body's rate, facing +x from the origin.

    `start` and `end` cut the capture (s); `time` and `speed` set its pace, see `time_scale`; its strides are `stride`
    times as long as the captured ones at the body's size. What is not given (unit, up axis, source, license, subject,
    activity) is taken from the motion, where it says.
    """
    given = {"source": source, "license": license, "subject": subject, "activity": activity}
    origin = {key: value or motion.origin.get(key) or UNKNOWN for key, value in given.items()}
    captured = crop(extract_landmarks(motion, joint_map, unit, up), start, end)
    captured = face_forward(captured, STRIDE)
    if not _LEGS[0] <= captured.leg_length <= _LEGS[1]:
        raise MotionError(
            f"the legs are {captured.leg_length:g} m long, with a unit of {captured.unit:g} m; give another"
        )
    scale = body.leg_length / captured.leg_length
    pace = time_scale(time, scale) if speed is None else _pace(captured, scale * stride, speed)
    recorded = motion.recorded or Recorded(motion.fps, captured.unit, captured.up, captured.dropped)
    landmarks = retime(captured, body.fps, pace)
    targets = make_targets(landmarks, body, scale, stride)
    first = captured.dropped + round(start * motion.fps)
    roles, _ = find_joints(motion.skeleton, joint_map)
    told = captured_smoothness(motion, roles, slice(first, first + captured.frames), pace, body.fps)
    qpos, times = solve_smoothly(targets, body, told.get("captured_quick_legs_percent"))
    load = carry(qpos, body.fps, targets.contact, body)
    quality = measure(qpos, body.fps, targets.contact, load, body) | _errors(qpos, targets, body)
    quality |= told
    if told:
        quality["quick_excess_percent"] = quality["quick_legs_percent"] - quality["captured_quick_legs_percent"]
    found = [*faults(quality, body), *doubts(captured, STRIDE)]
    untold = sorted({bone.limb for i, bone in enumerate(body.bones) if not targets.bones[:, i].any()})
    notes = [f"the capture lacks joints of {limb}; the robot's stays near its home pose" for limb in untold]
    stands = np.asarray(targets.contact.any(axis=1))
    strange = (too_short((captured.frames - 1) / captured.fps), floats(landmarks, stands))
    notes += [note for note in strange if note]
    if times > 1:
        notes.append(f"the joints' accelerations weigh {times:g} times as much as usual, or the legs would shake")
    qpos[:, :2] -= qpos[0, :2].copy()  # the solution's own first frame is what starts over the origin
    meta = {
        "subject": origin["subject"],
        "activity": origin["activity"],
        **recorded.as_meta(),
        "captured_leg_m": landmarks.leg_length,
        "cut_s": [start, end],
        "scale": scale,
        "time_scale": pace,
        "stride_scale": stride,
        "body": {key: getattr(body, key) for key in _KEPT}
        | {"acceleration": times * body.acceleration, "digest": body.digest},
        "contacts": "estimated by inverse dynamics",
        "history": [*motion.history, f"retargeted to {body.name} at {body.fps:g} Hz"],
        "quality": quality,
        "quick_percent": joint_shares(qpos, body.fps, body),
        "faults": found,
        "notes": [*landmarks.notes, *notes],
    }
    clip = Clip(
        qpos=qpos,
        qvel=velocities(qpos, body.fps),
        fps=body.fps,
        joint_names=body.joint_names,
        loop=False,
        model=body.name,
        source=origin["source"],
        license=origin["license"],
        name=motion.name,
        contacts=load.contact_force,
        torque=load.torque,
        meta=meta,
    )
    return Retargeted(clip, targets, landmarks, quality, found)


def solve_smoothly(targets: Targets, body: Body, captured: float | None) -> tuple[np.ndarray, float]:
    """Joint positions (T, nq), and how many times the body's own cost of accelerations they took.

    More than once only where the legs would shake: where their quick share exceeds the captured one (percent; None:
    not known) by more than a fit clip's may. Where no cost helps, it is the body's own.
    """
    solved = solve(targets, body, body.fps)
    if captured is None:
        return solved, 1.0
    for times in (1.0, *_SMOOTHER):
        qpos = solved if times == 1 else solve(targets, replace(body, acceleration=times * body.acceleration), body.fps)
        quick = smoothness(qpos, body.fps, body).get("quick_legs_percent", 0.0)
        if quick - captured <= SHAKING:
            return qpos, times
    return solved, 1.0


def _pace(landmarks: Landmarks, scale: float, speed: float) -> float:
    """The time scale that makes the robot's mean speed `speed` (m/s)."""
    hips = landmarks.mid("hip")[:, :2]
    captured = float(np.linalg.norm(hips[-1] - hips[0])) * landmarks.fps / (len(hips) - 1)
    if not 0 < speed < np.inf or captured * scale < 0.05:
        raise MotionError(f"speed {speed:g} m/s cannot be set: the scaled capture moves at {captured * scale:.3f} m/s")
    return captured * scale / speed


def time_scale(choice: str | float, scale: float) -> float:
    """Seconds of the robot a captured second; `choice` is "keep", "froude" or the number itself.

    "keep", the default, leaves the capture's rhythm, so speeds shrink with the legs. "froude", √scale,
    keeps a walk dynamically similar: a leg of length L falls in times of √(L/g). But servos and their
    rotors do not shrink with the leg: on WildRobot a human walk at that pace asks for about 1.8 times the
    torque, more than its servos give, and the pushes that would balance it lie further outside its soles.
    """
    if choice == "froude":
        return float(np.sqrt(scale))
    if choice == "keep":
        return 1.0
    try:
        value = float(choice)
    except ValueError:
        value = 0.0
    if not 0 < value < np.inf:
        raise MotionError(f"time {choice!r}: expected keep, froude or a positive number")
    return value


def make_targets(landmarks: Landmarks, body: Body, scale: float, stride: float = 1.0) -> Targets:
    """Scale the landmarks, already in the robot's time, and say where its pelvis, chest and soles should be.

    Along the floor they are scaled by `stride` as well; the feet are as far apart as without it.
    """
    yaw = heading(landmarks, STRIDE * landmarks.time_scale)
    feet = [steadied(read_foot(landmarks, side), landmarks) for side in SIDES]
    left = np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)  # (T, 2)
    ground = scale * stride  # along the floor
    width = float(np.median(np.sum(landmarks.across("ankle")[:, :2] * left, axis=1)))
    wanted = scale * width if isinstance(body.step_width, str) else body.step_width
    outward = 0.5 * (wanted - ground * width) * left
    paths = [
        np.column_stack([foot.ankle[:, :2] * ground + sign * outward, foot.rise * scale - shape.bottom])
        for foot, shape, sign in zip(feet, body.shapes, (1, -1), strict=True)
    ]
    soles = tuple(
        sole_target(foot, path, yaw, scale, shape, body.swing_clearance, body.foot_yaw, body.foot_roll)
        for foot, path, shape in zip(feet, paths, body.shapes, strict=True)
    )
    hips = landmarks.mid("hip")
    standing_ankle = np.mean([foot.ankle[:, 2] - foot.rise for foot in feet], axis=0)  # (T,) m
    bottom = float(np.mean([shape.bottom for shape in body.shapes]))
    height = (hips[:, 2] - standing_ankle) * scale - bottom - body.crouch
    pelvis_turn, chest_turn = _trunk(landmarks, yaw, body.lean, body.pelvis_yaw)
    pelvis = np.column_stack([hips[:, :2] * ground, height]) - quat_rotate(pelvis_turn, body.hip_centre)
    if body.sway is not None:
        pelvis = sway(pelvis, soles, yaw, body.sway, landmarks.fps, STRIDE * landmarks.time_scale)
    return Targets(
        pelvis=pelvis,
        pelvis_quat=quat_mul(pelvis_turn, body.turns["pelvis"]),
        chest_quat=quat_mul(chest_turn, body.turns["chest"]),
        soles=soles,
        bones=_bone_directions(landmarks, body),
        captured=np.stack(paths, axis=1),
    )


def _bone_directions(landmarks: Landmarks, body: Body) -> np.ndarray:
    """Where the captured bones that the body's limbs follow point (T, bones, 3): that carries over between builds."""
    directions = np.zeros((landmarks.frames, len(body.bones), 3))
    for i, bone in enumerate(body.bones):
        start, end = (landmarks.points.get(role) for role in bone.roles)
        if start is not None and end is not None:
            directions[:, i] = normalize(end - start)
    return directions


def _trunk(
    landmarks: Landmarks, yaw: np.ndarray, mean_lean: float | None, pelvis_yaw: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Rotations (T, 4) of pelvis and chest from home: heading `yaw` (T,), hips' tilt, trunk's lean, shoulders' turn."""
    hips = landmarks.across("hip")
    zero = np.zeros_like(yaw)
    lean, turn, chest_roll = zero, zero, _tilt(hips)
    if "left_shoulder" in landmarks.points and "right_shoulder" in landmarks.points:
        up = landmarks.mid("shoulder") - landmarks.mid("hip")
        lean = np.arctan2(up[:, 0] * np.cos(yaw) + up[:, 1] * np.sin(yaw), up[:, 2])
        shoulders = landmarks.across("shoulder")
        turn, chest_roll = _turn(shoulders, yaw), _tilt(shoulders)
    if mean_lean is not None:
        lean = lean - lean.mean() + mean_lean
    pelvis = quat_mul(
        yaw_quat(yaw + pelvis_yaw * _turn(hips, yaw)), quat_from_rotvec(np.stack([_tilt(hips), lean, zero], axis=1))
    )
    chest = quat_mul(yaw_quat(yaw), quat_from_rotvec(np.stack([chest_roll, lean, zero], axis=1)))
    return pelvis, quat_mul(chest, yaw_quat(turn))


def _tilt(across: np.ndarray) -> np.ndarray:
    """How much (T,) rad the left end of a line (T, 3) from right to left is up."""
    return np.arcsin(across[:, 2] / np.linalg.norm(across, axis=1))


def _turn(across: np.ndarray, yaw: np.ndarray) -> np.ndarray:
    """How much (T,) rad a line (T, 3) from right to left is turned against a heading, without jumps."""
    turn = np.unwrap(np.arctan2(-across[:, 0], across[:, 1])) - yaw
    return turn - 2 * np.pi * np.round(turn.mean() / (2 * np.pi))


def _errors(qpos: np.ndarray, targets: Targets, body: Body) -> dict[str, float]:
    """How far ankles, pelvis and limbs are from their targets, and the ankles from the captured path."""
    poses = robot_poses(qpos, body)
    ankles = poses.joints[:, :, 2]
    wanted = np.stack([sole.ankle for sole in targets.soles], axis=1)
    missed = 1e3 * np.linalg.norm(ankles - wanted, axis=-1)
    errors = {
        "sole_error_mm": float(missed.mean()),
        "sole_error_max_mm": float(missed.max()),
        "ankle_path_mm": 1e3 * float(np.linalg.norm(ankles - targets.captured, axis=-1).mean()),
        "pelvis_error_mm": 1e3 * float(np.linalg.norm(qpos[:, :3] - targets.pelvis, axis=-1).mean()),
    }
    wanted_bones = np.any(targets.bones, axis=(0, 2))
    if wanted_bones.any():
        along = normalize(poses.bones[:, wanted_bones, 1] - poses.bones[:, wanted_bones, 0])
        cosine = np.sum(along * targets.bones[:, wanted_bones], axis=-1)
        errors["limb_error_deg"] = float(np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0))).mean())
    return errors
