"""The walk of `walker`, written in the formats that have a skeleton of their own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from gait_envs.mocap.capture import SkeletonMotion, forward_kinematics
from gait_envs.mocap.formats import read_capture
from gait_envs.rotations import quat_from_rotvec
from helpers import walker


def walk_angles(seconds: float, fps: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Way ahead (T,) m, height of the hips (T,) m, turns (T, left right, hip knee ankle) rad, back positive."""
    time = np.arange(round(seconds * fps)) / fps
    height = walker.ANKLE_HEIGHT + walker.HIP_HEIGHT * walker.LEG + 0.01 * np.cos(4 * np.pi * time / walker.PERIOD)
    ahead = walker.SPEED * time
    legs = []
    for offset in (0.0, 0.5):
        ankle, rise, pitch = walker._foot(time / walker.PERIOD + offset, offset)
        legs.append(walker._leg_angles(ankle - ahead, height - walker.ANKLE_HEIGHT - rise, pitch))
    return ahead, height, np.stack(legs, axis=1)


def smpl_arrays(seconds: float = 4.0, fps: float = 60.0, width: int = 72) -> dict[str, np.ndarray]:
    """AMASS's keys: x left, y up, z ahead in the body's frame, which the root's turn of 120° takes to z up, x ahead."""
    ahead, height, legs = walk_angles(seconds, fps)
    poses = np.zeros((len(ahead), width // 3, 3))
    poses[:, 0] = 2 * np.pi / 3 / np.sqrt(3)
    for side in (0, 1):
        for joint, node in enumerate((1, 4, 7)):
            poses[:, node + side, 0] = legs[:, side, joint]
    trans = np.stack([ahead, np.zeros_like(ahead), height + 0.03], axis=1)
    return {
        "poses": poses.reshape(len(poses), width),
        "trans": trans,
        "betas": np.zeros(16),
        "gender": np.array("female"),
        "mocap_framerate": np.array(fps),
    }


def deepmimic_text(seconds: float = 4.0, fps: float = 60.0) -> str:
    """x ahead, y up, z right: a turn about z takes a hanging bone ahead."""
    ahead, height, legs = walk_angles(seconds, fps)

    def about_z(angle: float) -> list[float]:
        return [float(np.cos(angle / 2)), 0.0, 0.0, float(np.sin(angle / 2))]

    still = [1.0, 0.0, 0.0, 0.0]
    frames = []
    for t, ((left, right), x, y) in enumerate(zip(legs, ahead, height, strict=True)):
        row = [1 / fps if t < len(legs) - 1 else 0.0, x, y, 0.0, *still, *still, *still]
        for hip, knee, ankle in (right, left):
            row += [*about_z(-hip), -knee, *about_z(-ankle), *still, 0.1]
        frames.append(row)
    return json.dumps({"Loop": "wrap", "Frames": frames})


ISAAC_NAMES = (
    "pelvis", "torso", "head", "right_upper_arm", "right_lower_arm", "right_hand", "left_upper_arm", "left_lower_arm",
    "left_hand", "right_thigh", "right_shin", "right_foot", "left_thigh", "left_shin", "left_foot",
)  # fmt: skip


def isaac_arrays(seconds: float = 4.0, fps: float = 60.0) -> dict[str, np.ndarray]:
    """x ahead, y left, z up: a turn about y takes a hanging bone back."""
    ahead, height, legs = walk_angles(seconds, fps)
    turns = np.zeros((len(ahead), 15, 3))
    for first, side in ((9, 1), (12, 0)):
        turns[:, first : first + 3, 1] = legs[:, side]
    offsets = np.zeros((15, 3))
    offsets[1:3, 2] = 0.24
    for shoulder, thigh, y in ((3, 9, -1), (6, 12, 1)):
        offsets[shoulder : shoulder + 3] = [[0, 0.18 * y, 0.24], [0, 0, -0.27], [0, 0, -0.26]]
        offsets[thigh : thigh + 3] = [[0, 0.085 * y, 0], [0, 0, -walker.THIGH], [0, 0, -walker.SHANK]]
    return {
        "local_rotation_xyzw": quat_from_rotvec(turns)[..., [1, 2, 3, 0]].astype(np.float32),
        "root_translation": np.stack([ahead, 0 * ahead, height], axis=1).astype(np.float32),
        "node_names": np.array(ISAAC_NAMES),
        "parent_indices": np.array([-1, 0, 1, 1, 3, 4, 1, 6, 7, 0, 9, 10, 0, 12, 13]),
        "local_translation": offsets,
        "fps": np.array(int(fps)),
    }


def walker_motion(folder: Path, **options) -> SkeletonMotion:
    return read_capture(walker.walker_bvh(folder / "walker.bvh", rest_frame=False, **options))


def position_arrays(folder: Path, seconds: float = 4.0) -> dict[str, np.ndarray]:
    motion = walker_motion(folder, seconds=seconds)
    return {
        "positions": forward_kinematics(motion)[0],
        "names": np.array(motion.skeleton.names),
        "fps": np.array(motion.fps),
    }


def save(path: Path, arrays: dict[str, np.ndarray], **changed) -> Path:
    """Write the arrays, some changed; None leaves one out. Object arrays are pickled, as careless tools do."""
    kept = {key: value for key, value in (arrays | changed).items() if value is not None}
    np.savez(path, **kept, allow_pickle=True)
    return path
