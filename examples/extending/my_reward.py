"""A reward term of your own: walk without twisting the waist.

    python examples/extending/my_reward.py

A term is a function from a `View` (the state after a step, and what the task remembers) to one number per environment,
with a name, a unit and a meaning. Inside the package it is one row of the table in `gait_envs/tasks/rewards.py`;
outside, it is a part of a task, as here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np

from gait_envs.models.robot import Robot
from gait_envs.registry import Environment, find, register_environment
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.tasks.actions import Actions
from gait_envs.tasks.base import Task
from gait_envs.tasks.body import body_part, command_part, feet_part
from gait_envs.tasks.config import WalkConfig
from gait_envs.tasks.part import Part
from gait_envs.tasks.rewards import Term, default_weights, table
from gait_envs.tasks.view import View
from gait_envs.tasks.walk import OPTIONS, Commands

ID = "MyReward/WildRobot-v0"
WAIST = 6  # first joint of WildRobot; the velocities of the root come before it


def waist_rate(view: View) -> np.ndarray:
    """Squared angular velocity of the waist, (n,) rad²/s²."""
    return view.state.qvel[:, WAIST] ** 2


TERM = Term("waist_rate", "rad²/s²", "squared angular velocity of the waist (a cost)", waist_rate)


@dataclass(frozen=True)
class QuietWalkConfig(WalkConfig):
    """Options of walking; the default reward has the new term."""

    reward_weights: Mapping[str, float] = field(default_factory=lambda: default_weights("walk") | {TERM.name: -0.1})


def quiet_walk(robot: Robot, config: QuietWalkConfig) -> Task:
    """The parts of the walking task, and one more."""
    commands = Commands(robot, config)
    parts = (
        command_part(robot.dt),
        body_part(robot, config),
        feet_part(robot),
        Part(redraw=commands.redraw),
        Part(terms=table([TERM])),
    )
    return Task(
        robot,
        config,
        Actions(robot, config),
        parts,
        commands.start,
        OPTIONS,
        param_space=ParamSpace(robot),
        library=commands.library,
    )


def register() -> None:
    """Add the environment to GaitNet and Gymnasium."""
    register_environment(Environment(ID, "quiet_walk", find("walk").robot, quiet_walk, QuietWalkConfig, steps=500))


def main() -> None:
    register()
    env = gym.make(ID)
    env.reset(seed=0)
    *_, info = env.step(np.array([1, 0, 0, 0, 0, 0, 0, 0, 0], np.float32))  # turn the waist
    print(f"reward_waist_rate {info['reward_waist_rate']:.3f}")
    env.close()


if __name__ == "__main__":
    main()
