"""A clip as a training set reads it: states, path and phase of each frame, of the clip and of its mirror image."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from gait_envs.models.mirror import mirror_of
from gait_envs.models.robot import Robot, robot_named
from gait_envs.reference.clip import Clip, ClipError, check_fits
from gait_envs.reference.mirror import mirror
from gait_trainers.data.gait_phase import gait_cycles, path_ahead, path_speed, phase_columns, root_path
from gait_trainers.data.motion_state import states

_KEYS = ("state", "path", "speed", "phase")


@dataclass(frozen=True)
class MotionFrames:
    """Frames of one clip, or of several end to end, without the first of each, which has no velocity yet; float32."""

    state: np.ndarray  # (T, 2 (6 + J))
    path: np.ndarray  # (T, offsets, 3) x, y (m) and heading (rad) of the smoothed root, at this frame and after it
    speed: np.ndarray  # (T, 1) m/s along the path
    phase: np.ndarray  # (T, 2) sine and cosine; zeros where there is no gait

    def __len__(self) -> int:
        return len(self.state)


def robot_of(clip: Clip) -> Robot:
    """The robot that a clip is of, with its own control rate; ClipError where that is none of the bundled ones."""
    try:
        return robot_named(clip.model)
    except ValueError as error:
        raise ClipError(f"clip {clip.name!r}: {error}") from None


def read_frames(clip: Clip, robot: Robot, mirrored: bool = False) -> MotionFrames:
    """Frames of a clip of this robot, or of its mirror image; ClipError where joints or frame rate differ."""
    check_fits(clip, robot.joint_names, robot.control_rate)
    if mirrored:
        clip = mirror(clip, mirror_of(robot))
    state = states(clip.qpos, clip.fps)
    path = root_path(state[:, : state.shape[1] // 2], clip.fps)
    cycles = gait_cycles(clip.contacts, robot.traits.loaded, clip.fps)
    return MotionFrames(
        state=state.astype(np.float32),
        path=path_ahead(path).astype(np.float32),
        speed=path_speed(path, clip.fps)[:, None].astype(np.float32),
        phase=phase_columns(cycles, clip.frames)[1:].astype(np.float32),
    )


def joined(parts: Iterable[MotionFrames]) -> MotionFrames:
    """The frames of several clips, one after the other."""
    each = list(parts)
    return MotionFrames(*(np.concatenate([getattr(part, key) for part in each]) for key in _KEYS))
