"""Tables over the frames of a task's clips, computed once: positions of the bodies, and commands."""

from __future__ import annotations

import numpy as np

from gait_envs.models.robot import Robot
from gait_envs.reference.library import MotionLibrary
from gait_envs.rotations import heading_frame, quat_yaw

COMMAND_WINDOW = 1.0  # s over which a clip's velocity is averaged into a command: about one stride


def clip_bodies(robot: Robot, library: MotionLibrary) -> np.ndarray:
    """Positions of the bodies in every frame of the library's clips, (frames, bodies, 3) m, in each clip's coordinates.

    Rows as in the library's tables; where these also hold clips that are not the library's, their rows are left blank.
    """
    bodies = np.empty((len(library.qpos), robot.model.nbody - robot.pelvis, 3))
    for start, length in zip(library.starts, library.lengths, strict=True):
        bodies[start : start + length] = robot.body_positions(library.qpos[start : start + length])
    return bodies


def clip_commands(qpos: np.ndarray, starts: np.ndarray, lengths: np.ndarray, dt: float) -> np.ndarray:
    """The velocity command that each reference frame follows, (frames, 3): forward, leftward m/s, yaw rate rad/s.

    A clip's displacement and turn over `COMMAND_WINDOW` about the frame, in the frame's own heading.
    """
    half = max(1, round(0.5 * COMMAND_WINDOW / dt))
    commands = np.empty((len(qpos), 3))
    for start, length in zip(starts, lengths, strict=True):
        rows = np.arange(length)
        before, after = np.maximum(rows - half, 0), np.minimum(rows + half, length - 1)
        clip = qpos[start : start + length]
        yaw = np.unwrap(quat_yaw(clip[:, 3:7]))
        seconds = ((after - before) * dt)[:, None]
        way = np.column_stack([clip[after, :2] - clip[before, :2], np.zeros(length)])
        commands[start : start + length] = (
            np.column_stack([heading_frame(clip[:, 3:7], way)[:, :2], yaw[after] - yaw[before]]) / seconds
        )
    return commands
