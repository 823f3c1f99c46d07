"""Where a captured motion wants a body's pelvis, chest, soles and bones to be."""

from __future__ import annotations

import numpy as np

from gait_envs.mocap.retarget.footholds import read_foot, sole_target, steadied
from gait_envs.mocap.retarget.ik import Targets
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.landmarks import Landmarks, heading
from gait_envs.mocap.retarget.pelvis_sway import sway
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.rotations import normalize, quat_from_rotvec, quat_mul, quat_rotate, yaw_quat

STRIDE = 1.2  # captured seconds over which a heading is averaged: about one stride of a walk


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
