"""A task of your own: squat to a rhythm. A task is composed of parts; this one adds a part to those of every body.

python examples/extending/my_task.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium as gym
import numpy as np

from gait_envs.layout import Row
from gait_envs.models.robot import Robot
from gait_envs.registry import Environment, find, register_environment
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.tasks.actions import Actions
from gait_envs.tasks.base import Task
from gait_envs.tasks.body import body_part, command_part, feet_part
from gait_envs.tasks.config import WalkConfig
from gait_envs.tasks.part import Observed, Part, Start
from gait_envs.tasks.rewards import Term, kernel, table
from gait_envs.tasks.view import Settings, View
from gait_envs.tasks.walk import standing

ID = "MyTask/WildRobotSquat-v0"
SHARPNESS = 400.0  # 1/m²; 5 cm off the target height leaves 37 % of the reward
REWARD = {"squat": 1.0, "upright": 0.2, "action_rate": -0.01}


@dataclass(frozen=True)
class SquatConfig(WalkConfig):
    """Options of `gymnasium.make`; unknown keys are errors."""

    reward_weights: Mapping[str, float] = field(default_factory=lambda: dict(REWARD))
    depth: float = 0.06  # m that the pelvis is lowered by
    period: float = 2.0  # s of a squat


def squat_part(robot: Robot, config: SquatConfig) -> Part:
    """The target height of the pelvis: observed, rewarded and logged."""

    def target(view: View) -> np.ndarray:
        """(n,) m, from the home height down by `depth` and up again."""
        phase = 2 * np.pi * view.memory.steps * robot.dt / config.period
        return robot.home_qpos[2] - config.depth * 0.5 * (1 - np.cos(phase))

    def error(view: View) -> np.ndarray:
        """(n,) m, height above the target."""
        return view.state.qpos[:, 2] - target(view)

    return Part(
        observed=(Observed(Row("target_height", 1, "m", "of the pelvis", 2.0), lambda v: target(v)[:, None]),),
        terms=table([Term("squat", "1", "kernel of the height error", lambda v: kernel(error(v)[:, None], SHARPNESS))]),
        columns={"height_error": error},
    )


def squat(robot: Robot, config: SquatConfig) -> Task:
    """The task: parts of the body, the feet and the (zero) command, and the target height."""

    def start(rng: np.random.Generator, level: float, options: Mapping[str, Any], settings: Settings) -> Start:
        return Start(*standing(robot, config.reset_noise, rng), command=np.zeros(3), on_floor=True)

    parts = (command_part(robot.dt), body_part(robot, config), feet_part(robot), squat_part(robot, config))
    return Task(robot, config, Actions(robot, config), parts, start, {}, param_space=ParamSpace(robot))


def register() -> None:
    """Add the environment to GaitNet and Gymnasium."""
    register_environment(Environment(ID, "squat", find("walk").robot, squat, SquatConfig, steps=500))


def main() -> None:
    register()
    env = gym.make(ID, depth=0.04)
    env.reset(seed=0)
    for _ in range(50):  # 1 s: the target is at its lowest
        *_, info = env.step(np.zeros(9, np.float32))
    print(f"height error {info['height_error']:.3f} m, reward_squat {info['reward_squat']:.3f}")
    env.close()


if __name__ == "__main__":
    main()
