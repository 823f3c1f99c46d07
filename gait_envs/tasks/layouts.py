"""What each number of an action moves, and the rows in which a reference is observed."""

from __future__ import annotations

import numpy as np

from gait_envs.layout import Row
from gait_envs.models.robot import Robot
from gait_envs.tasks.config import TaskConfig, TrackConfig

FUTURE_ROWS = ("reference_joint_position", "reference_joint_velocity", "root_error", "turn_error")


def acting_muscles(robot: Robot, config: TaskConfig) -> tuple[str, ...]:
    """The muscles whose activations an action gives; empty where muscles follow a target pose."""
    direct = config.drive.controller == "direct"
    return robot.muscles.names if direct and robot.muscles else ()


def action_names(robot: Robot, config: TaskConfig) -> tuple[str, ...]:
    """What each number of an action moves: every joint, or the muscles and the joints that have none."""
    muscles = acting_muscles(robot, config)
    return (*muscles, *(robot.joint_names[i] for i in robot.servos)) if muscles else robot.joint_names


def held_actions(robot: Robot, config: TaskConfig) -> np.ndarray:
    """Which numbers of the last action are observed, (k,)."""
    shown = (*robot.traits.legs, *acting_muscles(robot, config))
    seen = lambda name: config.previous_action == "all" or any(part in name for part in shown)  # noqa: E731
    return np.array([i for i, name in enumerate(action_names(robot, config)) if seen(name)])


def reference_rows(robot: Robot, config: TrackConfig) -> tuple[Row, ...]:
    """What is observed of the reference."""
    if config.reference_observation == "none":
        return ()
    if config.reference_observation == "phase":
        return (Row("phase", 2, "1", "sine and cosine of the phase of the clip, one turn per clip", 1.0),)
    joints, frames = len(robot.joint_names), config.future_frames
    when = "of the next frame" if frames == (1,) else f"{', '.join(map(str, frames))} frames ahead"
    sizes = (joints, joints, 3, 3)
    units = ("1", "rad/s", "m", "rad")
    limits = (5.0, 100.0, 5.0, 4.0)
    meanings = (
        f"{when}, (q - home) / half range",
        f"{when}",
        f"reference position {when} minus the root's, heading frame",
        f"rotation vector to the reference orientation {when}, body frame",
    )
    return tuple(
        Row(name, size * len(frames), unit, meaning, limit)
        for name, size, unit, meaning, limit in zip(FUTURE_ROWS, sizes, units, meanings, limits, strict=True)
    )
