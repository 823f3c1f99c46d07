"""Your own robot that walks: its MJCF and this file, without a change to the package.

    python examples/extending/my_robot.py                                       # one episode of random actions
    python examples/extending/my_robot.py ppo --config examples/extending/my_robot.yaml --name mine

The second line is `gait-train` with the robot registered. An installed package names `register` as an entry point of
the group `gaitnet.environments` instead: `import gait_envs` then registers it, and `gait-train` knows its id.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import gymnasium as gym

from gait_envs.models.robot import Robot, load_robot
from gait_envs.models.traits import Traits
from gait_envs.registry import Environment, find, register_environment
from gait_envs.tasks.config import WalkConfig

ID = "MyRobot/Walk-v0"
MODEL = Path(__file__).resolve().parents[1] / "my_robot" / "robot.xml"

# What the MJCF cannot state.
TRAITS = Traits(
    control_rate=50.0,  # Hz; a whole number of the model's time steps
    feet=("left_foot", "right_foot"),  # bodies of the soles
    ends=("left_foot", "right_foot"),  # end effectors that tracking rewards
    legs=("hip", "knee", "ankle"),  # joints whose previous action is observed, by parts of their names
    legs_in_words="hips, knees and ankles",
    loaded=5.0,  # N; a foot under more load is in stance. The robot weighs 51 N
    contact_scale=15.0,  # N, of the contact features
    height_width=0.1,  # m, of the height kernel
)
REWARD = {"tracking_lin_vel": 1.5, "tracking_heading": 0.5, "alive": 0.5, "action_rate": -0.05, "torque": -0.0005}


@dataclass(frozen=True)
class MyWalkConfig(WalkConfig):
    """Options of walking with this robot's own defaults; every other option is WildRobot's."""

    reward_weights: Mapping[str, float] = field(default_factory=lambda: dict(REWARD))
    target_height: float = 0.45  # m, of the pelvis
    min_height: float = 0.3  # m
    max_height: float = 0.7  # m
    command_low: tuple[float, float, float] = (0.1, 0.0, 0.0)  # m/s, m/s, rad/s
    command_high: tuple[float, float, float] = (0.4, 0.0, 0.0)


@functools.cache
def my_robot(physics_rate: float | None = None) -> Robot:
    """The compiled model; raises ValueError that names what the MJCF lacks."""
    return load_robot(MODEL, traits=TRAITS, physics_rate=physics_rate)


ENVIRONMENT = Environment(
    id=ID,
    task="my_robot_walk",
    robot=lambda options: my_robot(options.physics_rate),
    make=find("walk").make,  # the task of WildRobot
    options=MyWalkConfig,
    steps=500,  # 10 s
)


def register() -> None:
    """Add the environment to GaitNet and Gymnasium; calling it twice is harmless."""
    register_environment(ENVIRONMENT)


def main() -> None:
    register()
    if len(sys.argv) > 1:
        from gait_trainers.cli import main as gait_train

        gait_train()
        return
    env = gym.make(ID)
    env.reset(seed=0, options={"command": [0.3, 0.0, 0.0]})
    terminated = truncated = False
    while not (terminated or truncated):
        _, _, terminated, truncated, info = env.step(env.action_space.sample())
    print(f"{ID}: walked {info['x_position']:.2f} m and {'fell' if terminated else 'survived'}")
    env.close()


if __name__ == "__main__":
    main()
