"""Retarget a captured motion to a robot: scale, stand the feet still, solve the joints, measure the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Recorded, SkeletonMotion
from gait_envs.mocap.quality import SHAKING, Load, carry, faults, flawed_ends, measure, robot_poses
from gait_envs.mocap.retarget.ik import Targets, solve
from gait_envs.mocap.retarget.joint_names import find_joints
from gait_envs.mocap.retarget.landmarks import Landmarks, crop, extract_landmarks, face_forward, retime
from gait_envs.mocap.retarget.plausibility import doubts, floats, too_short
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.mocap.retarget.targets import STRIDE, make_targets
from gait_envs.mocap.smoothness import captured_smoothness, joint_shares, smoothness
from gait_envs.reference.clip import Clip, velocities
from gait_envs.reference.licenses import UNKNOWN
from gait_envs.rotations import normalize

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
_TRIMS = 2  # times that flawed ends are looked for and left out; the new ends may have some of the flaw
_SMOOTHER = (2.0, 4.0, 8.0)  # times a body's cost of accelerations, tried one after the other


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
    landmarks = extract_landmarks(motion, joint_map, unit, up)
    roles, _ = find_joints(motion.skeleton, joint_map)
    part = solve_part(motion, roles, landmarks, body, start, end, time, speed, stride)
    lost = np.zeros(2)  # s of the capture, at its start and at its end
    for _ in range(_TRIMS):
        fps = part.captured.fps
        ends = np.ceil(np.array(flawed_ends(part.load, body)) / (body.fps * part.pace) * fps - 1e-6) / fps
        if not ends.any():
            break
        if ends[1]:
            end = float(start + (len(part.qpos) - 1) / (body.fps * part.pace) - ends[1])
        start, lost = float(start + ends[0]), lost + ends
        part = solve_part(motion, roles, landmarks, body, start, end, time, speed, stride)
    words = " and ".join(f"the {which} {s:.2f} s" for which, s in zip(("first", "last"), lost, strict=True) if s)
    notes = [f"left out {words}, which the ground could carry far less than the rest"] if words else []
    captured, targets, qpos, load = part.captured, part.targets, part.qpos, part.load
    landmarks, pace, scale = part.landmarks, part.pace, part.scale
    recorded = motion.recorded or Recorded(motion.fps, captured.unit, captured.up, captured.dropped)
    quality = measure(qpos, body.fps, targets.contact, load, body) | _errors(qpos, targets, body)
    quality |= part.smoothness
    if part.smoothness:
        quality["quick_excess_percent"] = quality["quick_legs_percent"] - quality["captured_quick_legs_percent"]
    found = [*faults(quality, body), *doubts(captured, STRIDE)]
    untold = sorted({bone.limb for i, bone in enumerate(body.bones) if not targets.bones[:, i].any()})
    notes += [f"the capture lacks joints of {limb}; the robot's stays near its home pose" for limb in untold]
    stands = np.asarray(targets.contact.any(axis=1))
    strange = (too_short((captured.frames - 1) / captured.fps), floats(landmarks, stands))
    notes += [note for note in strange if note]
    if part.times > 1:
        notes.append(f"the joints' accelerations weigh {part.times:g} times as much as usual, or the legs would shake")
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
        | {"acceleration": part.times * body.acceleration, "digest": body.digest},
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


@dataclass(frozen=True)
class Solved:
    """A part of a capture on the robot."""

    captured: Landmarks  # facing +x, in the capture's time
    landmarks: Landmarks  # in the robot's time
    targets: Targets
    qpos: np.ndarray  # (T, nq)
    load: Load
    smoothness: dict[str, float]  # of the capture itself; empty where it is not known
    times: float  # see `solve_smoothly`
    pace: float  # see `time_scale`
    scale: float  # robot's leg length over the captured


def solve_part(
    motion: SkeletonMotion, roles: Mapping[str, int], whole: Landmarks, body: Body, start: float, end: float | None,
    time: str | float, speed: float | None, stride: float,
) -> Solved:  # fmt: skip
    """The capture from `start` to `end` (s) on the robot; `whole` are its landmarks.

    MotionError where legs have no possible length, the cut is not in the capture, or the pace cannot be had.
    """
    captured = face_forward(crop(whole, start, end), STRIDE)
    if not _LEGS[0] <= captured.leg_length <= _LEGS[1]:
        raise MotionError(
            f"the legs are {captured.leg_length:g} m long, with a unit of {captured.unit:g} m; give another"
        )
    scale = body.leg_length / captured.leg_length
    pace = time_scale(time, scale) if speed is None else _pace(captured, scale * stride, speed)
    landmarks = retime(captured, body.fps, pace)
    targets = make_targets(landmarks, body, scale, stride)
    first = captured.dropped + round(start * motion.fps)
    told = captured_smoothness(motion, roles, slice(first, first + captured.frames), pace, body.fps)
    qpos, times = solve_smoothly(targets, body, told.get("captured_quick_legs_percent"))
    load = carry(qpos, body.fps, targets.contact, body)
    return Solved(captured, landmarks, targets, qpos, load, told, times, pace, scale)


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
