"""What a task shows and takes: the tables of its observation, and what each number of an action moves."""

from __future__ import annotations

import numpy as np

from gait_envs.layout import Layout, Row
from gait_envs.models.robot import Robot
from gait_envs.tasks.config import Actuation, TaskConfig, TrackConfig

FUTURE_ROWS = ("reference_joint_position", "reference_joint_velocity", "root_error", "turn_error")


def observation_layout(robot: Robot, config: TaskConfig) -> Layout:
    """The observation's table; WildRobot's has 37 numbers with the default previous action."""
    held = len(held_actions(robot, config))
    who = robot.traits.legs_in_words if config.previous_action == "legs" else "all servos"
    return Layout(
        (
            Row("joint_position", len(robot.joint_names), "1", "(q - home) / half range, all servos", 5.0),
            Row("joint_velocity", len(robot.joint_names), "rad/s", "all servos", 100.0),
            Row("linear_velocity", 3, "m/s", f"of the root, {config.velocity_frame} frame", 20.0),
            Row("angular_velocity", 3, "rad/s", "gyroscope, body frame", 100.0),
            Row("gravity", 3, "1", "direction of gravity, body frame", 1.0),
            Row("command", 3, "m/s, m/s, rad/s", "forward, leftward, yaw rate (with heading correction)", 10.0),
            Row("previous_action", held, "1", f"filtered, {who}", 1.0),
        )
    )


def acting_muscles(robot: Robot, config: TaskConfig) -> tuple[str, ...]:
    """The muscles whose activations an action gives; none where muscles follow a target pose."""
    direct = isinstance(config, Actuation) and config.actuation == "activation"
    return robot.muscles.names if direct and robot.muscles else ()


def action_names(robot: Robot, config: TaskConfig) -> tuple[str, ...]:
    """What each number of an action moves: every joint, or the muscles and the joints that have none."""
    muscles = acting_muscles(robot, config)
    return (*muscles, *(robot.joint_names[i] for i in robot.servos)) if muscles else robot.joint_names


def held_actions(robot: Robot, config: TaskConfig) -> np.ndarray:
    """Which numbers of the last action are observed."""
    shown = (*robot.traits.legs, *acting_muscles(robot, config))
    seen = lambda name: config.previous_action == "all" or any(part in name for part in shown)  # noqa: E731
    return np.array([i for i, name in enumerate(action_names(robot, config)) if seen(name)])


def reference_rows(robot: Robot, config: TrackConfig) -> tuple[Row, ...]:
    """What is observed of the reference."""
    if config.reference_observation == "none":
        return ()
    if config.reference_observation == "phase":
        return (Row("phase", 2, "1", "sine and cosine of the way through the clip, one turn a clip", 1.0),)
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
