"""Retarget a captured motion to a robot: scale, stand the feet still, solve the joints, measure the result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import mink
import numpy as np

from gait_envs.motion.body import Body, Task
from gait_envs.motion.clip import Clip, velocities
from gait_envs.motion.feet import SoleShape, SoleTarget, read_foot, sole_target
from gait_envs.motion.filters import envelope, smooth, smooth_quaternions
from gait_envs.motion.landmarks import SIDES, Landmarks, crop, extract_landmarks, face_forward, heading, retime
from gait_envs.motion.quality import carry, faults, measure, robot_poses
from gait_envs.motion.skeleton import MotionError, SkeletonMotion
from gait_envs.rotations import quat_from_rotvec, quat_mul, quat_rotate, yaw_quat

FPS = 50.0  # the rate at which the robots are controlled
STRIDE = 1.2  # captured seconds over which a heading is averaged: about one stride of a walk
UNKNOWN = "unknown"
_LIFT = 0.1  # s over which the robot rises where a sole would dip below the floor
_ITERATIONS, _FIRST_ITERATIONS = 12, 100
_CONVERGED = 1e-4  # m and rad moved in one iteration


@dataclass(frozen=True)
class Targets:
    """What the robot should do, over T frames, in its own size and time."""

    pelvis: np.ndarray  # (T, 3) m, the pelvis body's origin
    pelvis_quat: np.ndarray  # (T, 4)
    chest_quat: np.ndarray  # (T, 4)
    soles: tuple[SoleTarget, ...]  # left, right
    captured: np.ndarray  # (T, 2, 3) m, the captured ankles scaled and set apart, before they were made to stand

    @property
    def contact(self) -> np.ndarray:
        """(T, 4) bool in the clip's order: left toe, left heel, right toe, right heel."""
        return np.concatenate([sole.contact for sole in self.soles], axis=1)


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
    source: str = UNKNOWN,
    license: str = UNKNOWN,
) -> Retargeted:
    """A clip of `body` doing `motion` at 50 Hz, facing +x from the origin.

    `start` and `end` cut the capture (s); `time` and `speed` set its pace, see `time_scale`.
    """
    captured = crop(extract_landmarks(motion, joint_map, unit, up), start, end)
    captured = face_forward(captured, STRIDE)
    scale = body.leg_length / captured.leg_length
    pace = time_scale(time, scale) if speed is None else _pace(captured, scale, speed)
    landmarks = retime(captured, FPS, pace)
    targets = make_targets(landmarks, body, scale)
    qpos = solve(targets, body)
    load = carry(qpos, FPS, targets.contact, body)
    quality = measure(qpos, FPS, targets.contact, load, body) | _errors(qpos, targets, body)
    found = faults(quality)
    qpos[:, :2] -= qpos[0, :2].copy()  # the solution's own first frame is what starts over the origin
    meta = {
        "unit_m": landmarks.unit,
        "up": landmarks.up,
        "captured_fps": motion.fps,
        "captured_leg_m": landmarks.leg_length,
        "rest_frames_dropped": landmarks.dropped,
        "cut_s": [start, end],
        "scale": scale,
        "time_scale": pace,
        "body": {key: getattr(body, key) for key in ("lean", "crouch", "step_width", "swing_clearance", "smoothing")},
        "contacts": "estimated by inverse dynamics",
        "quality": quality,
        "faults": found,
        "notes": list(landmarks.notes),
    }
    clip = Clip(
        qpos=qpos,
        qvel=velocities(qpos, FPS),
        fps=FPS,
        joint_names=body.joint_names,
        loop=False,
        model=body.name,
        source=source,
        license=license,
        name=motion.name,
        contacts=load.contact_force,
        meta=meta,
    )
    return Retargeted(clip, targets, landmarks, quality, found)


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


def make_targets(landmarks: Landmarks, body: Body, scale: float) -> Targets:
    """Scale the landmarks, already in the robot's time, and say where its pelvis, chest and soles should be."""
    yaw = heading(landmarks, STRIDE * landmarks.time_scale)
    feet = [read_foot(landmarks, side) for side in SIDES]
    shape = SoleShape(body.toe_edge, body.heel_edge, float(body.corners[..., 2].min()))
    left = np.stack([-np.sin(yaw), np.cos(yaw)], axis=1)  # (T, 2)
    width = float(np.median(np.sum(landmarks.across("ankle")[:, :2] * left, axis=1))) * scale
    outward = 0.5 * (body.step_width - width) * left
    paths = [
        np.column_stack([foot.ankle[:, :2] * scale + sign * outward, foot.rise * scale - shape.bottom])
        for foot, sign in zip(feet, (1, -1), strict=True)
    ]
    soles = tuple(
        sole_target(foot, path, yaw, scale, shape, body.swing_clearance) for foot, path in zip(feet, paths, strict=True)
    )
    hips = landmarks.mid("hip")
    standing_ankle = np.mean([foot.ankle[:, 2] - foot.rise for foot in feet], axis=0)  # (T,) m
    height = (hips[:, 2] - standing_ankle) * scale - shape.bottom - body.crouch
    pelvis_quat, chest_quat = _trunk(landmarks, yaw, body.lean)
    pelvis = np.column_stack([hips[:, :2] * scale, height]) - quat_rotate(pelvis_quat, body.hip_centre)
    return Targets(pelvis, pelvis_quat, chest_quat, soles, np.stack(paths, axis=1))


def _trunk(landmarks: Landmarks, yaw: np.ndarray, mean_lean: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Orientations (T, 4) of pelvis and chest: smooth heading, hips' tilt, trunk's lean, shoulders' turn."""
    across = landmarks.across("hip")
    roll = np.arcsin(across[:, 2] / np.linalg.norm(across, axis=1))
    zero = np.zeros_like(yaw)
    lean, turn = zero, zero
    if "left_shoulder" in landmarks.points and "right_shoulder" in landmarks.points:
        up = landmarks.mid("shoulder") - landmarks.mid("hip")
        lean = np.arctan2(up[:, 0] * np.cos(yaw) + up[:, 1] * np.sin(yaw), up[:, 2])
        shoulders = landmarks.across("shoulder")
        turn = np.unwrap(np.arctan2(-shoulders[:, 0], shoulders[:, 1])) - yaw
        turn -= 2 * np.pi * np.round(turn.mean() / (2 * np.pi))
    if mean_lean is not None:
        lean = lean - lean.mean() + mean_lean
    tilt = quat_from_rotvec(np.stack([roll, lean, zero], axis=1))
    pelvis = quat_mul(yaw_quat(yaw), tilt)
    return pelvis, quat_mul(pelvis, yaw_quat(turn))


def solve(targets: Targets, body: Body) -> np.ndarray:
    """Joint positions (T, nq) within the limits: once for the pelvis, and again with its path smoothed."""
    qpos = _follow(targets, body, body.tasks["pelvis"])
    if body.smoothing > 0:
        smoothed = replace(
            targets,
            pelvis=smooth(qpos[:, :3], FPS, body.smoothing),
            pelvis_quat=smooth_quaternions(qpos[:, 3:7], FPS, body.smoothing),
        )
        sole = body.tasks["soles"]
        qpos = _follow(smoothed, body, Task(0.5 * np.max(sole.position), 2.5 * np.max(sole.orientation)))
    # A sole that the joints cannot level dips an edge below the floor; the whole robot rises by as much.
    dip = -robot_poses(qpos, body).corners[..., 2].min(axis=(1, 2))
    qpos[:, 2] += envelope(np.maximum(dip, 0.0), round(_LIFT * FPS))
    return qpos


def _follow(targets: Targets, body: Body, pelvis_weights: Task) -> np.ndarray:
    """Inverse kinematics frame after frame, each from the last one's solution."""
    configuration = mink.Configuration(body.model, body.home)
    sole = body.tasks["soles"]
    parts = [
        (body.tasks["pelvis"].body, "body", pelvis_weights),
        (body.tasks["chest"].body, "body", body.tasks["chest"]),
        *((body.legs[side].sole, "site", sole) for side in SIDES),
    ]
    tasks = [mink.FrameTask(name, kind, weights.position, weights.orientation) for name, kind, weights in parts]
    posture = mink.PostureTask(body.model, cost=np.r_[np.zeros(6), np.full(body.model.nv - 6, body.posture)])
    posture.set_target(body.home)
    limits = [mink.ConfigurationLimit(body.model, min_distance_from_limits=body.limit_margin)]
    poses = [(targets.pelvis_quat, targets.pelvis), (targets.chest_quat, targets.pelvis)]
    poses += [_sole_pose(target, body) for target in targets.soles]
    configuration.update(np.r_[targets.pelvis[0], targets.pelvis_quat[0], body.home[7:]])
    qpos = np.empty((len(targets.pelvis), body.model.nq))
    for t in range(len(qpos)):
        for task, (quat, position) in zip(tasks, poses, strict=True):
            task.set_target(mink.SE3(np.concatenate([quat[t], position[t]])))
        for _ in range(_ITERATIONS if t else _FIRST_ITERATIONS):
            step = mink.solve_ik(configuration, [*tasks, posture], 1.0, "daqp", damping=1e-6, limits=limits)
            configuration.integrate_inplace(step, 1.0)
            if np.abs(step).max() < _CONVERGED:
                break
        qpos[t] = configuration.q
    return qpos


def _sole_pose(sole: SoleTarget, body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Orientation (T, 4) and position (T, 3) of the sole's site."""
    zero = np.zeros_like(sole.pitch)
    quat = quat_mul(yaw_quat(sole.yaw), quat_from_rotvec(np.stack([zero, -sole.pitch, zero], axis=1)))
    return quat, sole.ankle + quat_rotate(quat, body.sole)


def _errors(qpos: np.ndarray, targets: Targets, body: Body) -> dict[str, float]:
    """Distances in mm: of the ankles from their targets and from the captured path, of the pelvis from its own."""
    ankles = robot_poses(qpos, body).joints[:, :, 2]
    wanted = np.stack([sole.ankle for sole in targets.soles], axis=1)
    missed = 1e3 * np.linalg.norm(ankles - wanted, axis=-1)
    return {
        "sole_error_mm": float(missed.mean()),
        "sole_error_max_mm": float(missed.max()),
        "ankle_path_mm": 1e3 * float(np.linalg.norm(ankles - targets.captured, axis=-1).mean()),
        "pelvis_error_mm": 1e3 * float(np.linalg.norm(qpos[:, :3] - targets.pelvis, axis=-1).mean()),
    }
