"""From an action to the controls of the simulation: filter, target poses or activations, latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gait_envs.control.position import action_holding, low_pass, servo_target
from gait_envs.models.robot import Robot
from gait_envs.rotations import Array
from gait_envs.tasks.config import TaskConfig
from gait_envs.tasks.layouts import acting_muscles, action_names
from gait_envs.tasks.memory import Field, Memory

if TYPE_CHECKING:
    from gait_envs.tasks.part import Start


class Actions:
    """An action moves each joint's target about a base pose; with direct activations, muscles come first."""

    def __init__(
        self,
        robot: Robot,
        config: TaskConfig,
        *,
        scale: Array | None = None,
        base: Callable[[Memory], Array] | None = None,
    ) -> None:
        """`scale`: (nu,) rad a unit of action moves the target, None for the option `action_scale`
        `base`: the target poses (n, nu) rad of an action of zero, None for the home pose, in which case an episode
        begins with the action that holds the pose it begins in
        """
        self.robot, self.config = robot, config
        self.names = action_names(robot, config)
        self.activations = len(acting_muscles(robot, config))  # how many of the numbers are muscles'
        self.scale = config.action_scale * robot.half_range if scale is None else scale
        self._base = base
        controls = self.activations + len(robot.joint_names)
        lags = config.randomize.latency[1] if config.randomize.enabled else 0
        shape = (len(self.names),)
        self.fields = (
            Field("action", shape, "1", "the latest"),
            Field("previous_action", shape, "1", "the action before that"),
            Field("filtered", shape, "1", "after the low-pass filter"),
            Field("delayed", (lags + 1, controls), "rad, 1", "controls of the last steps, newest first"),
            Field("lag", (), "control steps", "until a control takes effect", int),
        )

    def begin(self, memory: Memory, ids: np.ndarray, starts: Sequence[Start], lag: np.ndarray) -> None:
        """The zero action, or without a base the action that holds the starting pose; muscles at rest."""
        joints, muscles = np.stack([start.qpos[7:] for start in starts]), self.activations
        first = np.zeros((len(ids), len(self.names)))
        first[:, :muscles] = -1.0
        if self._base is None:
            hold = action_holding(joints, self.robot.home, self.scale)
            first[:, muscles:] = hold[:, self.robot.servos] if muscles else hold
        for rows in (memory.action, memory.previous_action, memory.filtered):
            rows[ids] = first
        memory.delayed[ids, :, :muscles] = 0.0
        memory.delayed[ids, :, muscles:] = joints[:, None]
        memory.lag[ids] = lag

    def act(self, memory: Memory, action: np.ndarray) -> tuple[np.ndarray, Memory]:
        """What the simulation is asked for in this step (n, controls), and the memory with the action (n, actions)."""
        action = np.array(action, dtype=np.float64)
        np.minimum(np.maximum(action, -1.0, out=action), 1.0, out=action)
        filtered = low_pass(action, memory.filtered, self.config.action_filter)
        controls = self.controls(filtered, memory)
        delayed, lags = controls[:, None, :], memory.delayed.shape[1] - 1
        if lags:
            delayed = np.concatenate([delayed, memory.delayed[:, :-1]], axis=1)
            controls = delayed[np.arange(len(action)), memory.lag]
        memory = memory.replace(action=action, previous_action=memory.action, filtered=filtered, delayed=delayed)
        return controls, memory

    def controls(self, filtered: Array, memory: Memory) -> Array:
        """Target poses (n, nu) rad of a filtered action, preceded by activations (n, m) in direct control of muscles.

        A muscle's -1 is rest and its 1 is full activation: the whole range of an action acts.
        """
        if not self.activations:
            return self.target(filtered, memory)
        joints = np.zeros((len(filtered), len(self.robot.joint_names)))
        joints[:, self.robot.servos] = filtered[:, self.activations :]
        activations = 0.5 * (1.0 + filtered[:, : self.activations])
        return np.concatenate([activations, self.target(joints, memory)], axis=1)

    def reach(self) -> Array | None:
        """The least and the greatest targets (2, nu) rad of actions within [-1, 1]; None where they correct a clip's
        pose or are activations."""
        if self._base is not None or self.activations:
            return None
        robot = self.robot
        ends = np.array([[-1.0], [1.0]])
        return np.asarray(servo_target(ends, robot.home, self.scale, robot.target_lower, robot.target_upper))

    def target(self, filtered: Array, memory: Memory) -> Array:
        """Target poses (n, nu) rad of filtered actions of the joints (n, nu)."""
        robot = self.robot
        base = robot.home if self._base is None else self._base(memory)
        return servo_target(filtered, base, self.scale, robot.target_lower, robot.target_upper)
