"""The parts of every task that concern the body: observations, logged quantities and falls."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gait_envs.layout import Row
from gait_envs.models.robot import Robot
from gait_envs.reference.amp_features import amp_features
from gait_envs.rotations import Array, components, quat_yaw, vector
from gait_envs.simulation.base import MuscleReadings
from gait_envs.simulation.batch import as_slice
from gait_envs.tasks.config import TaskConfig
from gait_envs.tasks.layouts import held_actions
from gait_envs.tasks.memory import Field, Memory
from gait_envs.tasks.part import Observed, Part, Start
from gait_envs.tasks.rewards import PACE, WALKING
from gait_envs.tasks.view import (
    View,
    gravity,
    half_turn,
    steered_command,
    velocity,
    velocity_error,
    velocity_miss,
    yaw_rate,
)

DOWN = np.array([0.0, 0.0, -1.0])  # gravity's direction in an upright body
STRIDE = 0.5  # s, time constant of the running mean: about a stride of a walk


def command_part(dt: float) -> Part:
    """The command, the heading that its yaw rate integrates to, and the steps of the episode."""

    def begin(memory: Memory, ids: np.ndarray, starts: Sequence[Start]) -> None:
        memory.command[ids] = [start.command for start in starts]
        memory.heading[ids] = quat_yaw(np.stack([start.qpos[3:7] for start in starts]))
        memory.steps[ids] = 0

    def before(memory: Memory) -> dict[str, Array]:
        return {"heading": memory.heading + memory.command[:, 2] * dt, "steps": memory.steps + 1}

    return Part(
        fields=(
            Field("command", (3,), "m/s, m/s, rad/s", "forward, leftward, yaw rate"),
            Field("heading", (), "rad", "integral of the commanded yaw rate"),
            Field("level", (), "1", "how much of the command range the curriculum has opened, in [0, 1]"),
            Field("steps", (), "control steps", "since the reset", int),
        ),
        begin=begin,
        before=before,
    )


def falls(config: TaskConfig, posture: Callable[[View], tuple[Array, Array]] | None = None) -> Callable[[View], Array]:
    """Whether a body lies, (n,) bool: its root too low, too high or tilted over.

    posture: how far above home the root is meant to be, (n,) m, and gravity's direction in the body as it is meant to
    be, (n, 3); None: upright. The tilt is counted from there, and so is the height where the root is meant to be lower
    or higher.
    """
    least = np.cos(config.max_tilt) if config.max_tilt < np.pi else -np.inf  # there is no larger tilt

    def fallen(view: View) -> Array:
        lift, down = (np.zeros(len(view)), DOWN) if posture is None else posture(view)
        height = view.state.qpos[:, 2]
        low = height < config.min_height + np.minimum(lift, 0.0)
        high = height > config.max_height + np.maximum(lift, 0.0)
        return low | high | ((gravity(view) * down).sum(axis=-1) < least)

    return fallen


def body_part(robot: Robot, config: TaskConfig, fallen: Callable[[View], Array] | None = None) -> Part:
    """Observation of joints, root and last action; falls, by `fallen` (None: from upright); logged quantities."""
    joints, held = len(robot.joint_names), held_actions(robot, config)
    shown = as_slice(held)
    who = robot.traits.legs_in_words if config.previous_action == "legs" else "all servos"
    in_world = config.velocity_frame == "world"

    return Part(
        observed=(
            Observed(Row("joint_position", joints, "1", "(q - home) / half range, all servos", 5.0),
                     lambda v: (v.state.qpos[:, 7:] - robot.home) / robot.half_range),
            Observed(Row("joint_velocity", joints, "rad/s", "all servos", 100.0), lambda v: v.state.qvel[:, 6:]),
            Observed(Row("linear_velocity", 3, "m/s", f"of the root, {config.velocity_frame} frame", 20.0),
                     lambda v: v.state.qvel[:, :3] if in_world else velocity(v)),
            Observed(Row("angular_velocity", 3, "rad/s", "gyroscope, body frame", 100.0), lambda v: v.state.gyro),
            Observed(Row("gravity", 3, "1", "direction of gravity, body frame", 1.0), gravity),
            Observed(Row("command", 3, "m/s, m/s, rad/s", "forward, leftward, yaw rate (with heading correction)",
                         10.0), steered_command),
            Observed(Row("previous_action", len(held), "1", f"filtered, {who}", 1.0),
                     lambda v: v.memory.filtered[:, shown]),
        ),
        terms=WALKING,
        columns=(_of_muscles() if robot.muscles is not None else {}) | _of_root(robot),
        failures=(fallen or falls(config),),
    )  # fmt: skip


def _of_root(robot: Robot) -> dict[str, Callable[[View], Array]]:
    scale = robot.traits.contact_scale
    return {
        "x_position": lambda v: v.state.qpos[:, 0].copy(),
        "y_position": lambda v: v.state.qpos[:, 1].copy(),
        "x_velocity": lambda v: velocity(v)[:, 0],
        "y_velocity": lambda v: velocity(v)[:, 1],
        "yaw_rate": yaw_rate,
        "command": lambda v: v.memory.command.copy(),
        "speed_error": lambda v: velocity_error(v)[:, 0],
        "lateral_error": lambda v: velocity_error(v)[:, 1],
        "yaw_rate_error": lambda v: np.abs(yaw_rate(v) - v.memory.command[:, 2]),
        "amp_obs": lambda v: amp_features(
            v.state.qpos, v.state.qvel, v.state.foot_force, scale, (half_turn(v), velocity(v))
        ),
    }


def _of_muscles() -> dict[str, Callable[[View], Array]]:
    def readings(view: View) -> MuscleReadings:
        if view.state.muscles is None:
            raise ValueError("the simulation reads no muscles, and the robot has some")
        return view.state.muscles

    return {
        "activation_energy": lambda v: readings(v).effort.copy(),
        "torque_desired": lambda v: readings(v).desired.copy(),
        "torque_residual": lambda v: readings(v).residual.copy(),
    }


def feet_part(robot: Robot) -> Part:
    """Swing time of each foot, running and at touchdown."""

    def begin(memory: Memory, ids: np.ndarray, starts: Sequence[Start]) -> None:
        memory.air_time[ids] = memory.swing_time[ids] = 0.0

    def after(view: View) -> dict[str, Array]:
        left_toe, left_heel, right_toe, right_heel, *air = components(view.state.foot_force, view.memory.air_time)
        loaded = left_toe + left_heel > robot.traits.loaded, right_toe + right_heel > robot.traits.loaded
        feet = list(zip(air, loaded, strict=True))
        return {
            "air_time": vector(np, *((time + robot.dt) * (1.0 - down) for time, down in feet)),
            "swing_time": vector(np, *(time * down for time, down in feet)),
        }

    return Part(
        fields=(
            Field("air_time", (2,), "s", "since each foot last bore load; 0 while it does"),
            Field("swing_time", (2,), "s", "swing time of a foot that has just landed, else 0"),
        ),
        begin=begin,
        after=after,
    )


def pace_part(dt: float) -> Part:
    """The running mean of velocity less command, which holds no sway; dt: s a control step.

    Within a step the velocity of the root swings by more than a slow command asks for: 0.2 m/s sideways lie within the
    sway, and a reward of every instant's velocity hardly says whether they were reached. The mean over a stride does.
    """
    share = -np.expm1(-dt / STRIDE)  # of the newest

    def begin(memory: Memory, ids: np.ndarray, starts: Sequence[Start]) -> None:
        memory.mean_miss[ids] = 0.0

    def after(view: View) -> dict[str, Array]:
        before = view.memory.mean_miss
        return {"mean_miss": before + share * (velocity_miss(view) - before)}

    return Part(
        fields=(Field("mean_miss", (2,), "m/s", "running mean of velocity − command, heading frame", later=True),),
        begin=begin,
        after=after,
        terms=PACE,
    )
