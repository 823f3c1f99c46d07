"""Reset options in a batch: one value for all, or a row for each."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

from gait_envs.models.robot import wildrobot
from gait_envs.vector_env import GaitVectorEnv

ROBOT = wildrobot()


def test_clip_and_frame_may_differ_by_row(reference: str) -> None:
    env = GaitVectorEnv(3, task="track", reference=reference, autoreset_mode="Disabled")
    env.reset(seed=0, options={"clip": ["procedural_060", "procedural_030", "procedural_060"], "frame": [3, 0, 7]})
    assert env.core.memory.clip.tolist() == [1, 0, 1]
    assert env.core.memory.frame.tolist() == [3, 0, 7]
    env.reset(options={"clip": np.array([0, 1, 0]), "frame": 5})
    assert env.core.memory.clip.tolist() == [0, 1, 0]
    assert env.core.memory.frame.tolist() == [5, 5, 5]


def test_a_masked_reset_takes_the_rows_of_those_it_resets(reference: str) -> None:
    env = GaitVectorEnv(3, task="track", reference=reference, autoreset_mode="Disabled")
    env.reset(seed=0, options={"clip": 0, "frame": 0})
    env.reset(options={"clip": [1, 1, 1], "frame": [4, 5, 6], "reset_mask": np.array([True, False, True])})
    assert env.core.memory.clip.tolist() == [1, 0, 1]
    assert env.core.memory.frame.tolist() == [4, 0, 6]


def test_a_row_is_what_it_would_be_alone(reference: str) -> None:
    both = GaitVectorEnv(2, task="track", reference=reference)
    alone = GaitVectorEnv(1, task="track", reference=reference)
    options = {"clip": [0, 1], "frame": [2, 9]}
    together, _ = both.reset(seed=3, options=options)
    by_itself, _ = alone.reset(seed=4, options={key: value[1] for key, value in options.items()})
    np.testing.assert_array_equal(together[1], by_itself[0])


def test_commands_and_poses_may_differ_by_row() -> None:
    env = GaitVectorEnv(2)
    qpos = np.stack([ROBOT.home_qpos, ROBOT.home_qpos])
    qpos[1, 7] += 0.2
    commands = np.array([[0.2, 0.0, 0.0], [0.5, 0.0, 0.1]])
    env.reset(seed=0, options={"qpos": qpos, "qvel": np.zeros(15), "command": commands})
    np.testing.assert_array_equal(env.core.state.qpos, qpos)
    np.testing.assert_array_equal(env.core.memory.command, commands)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"clip": [0, 1]}, r"options\['clip'\] has 2 rows for 3 sub-environments"),
        ({"frame": np.zeros(4, int)}, r"options\['frame'\] has 4 rows for 3"),
        ({"clip": [0, "nope", 1]}, "no clip 'nope'"),
        ({"clip": 0, "frame": [0, 0, 999]}, r"options\['frame'\] is 999"),
        ({"frames": 0}, r"unknown reset option \['frames'\]; known are \['clip', 'frame', 'command'\]"),
    ],
)
def test_rows_that_do_not_fit(reference: str, options: dict, message: str) -> None:
    env = GaitVectorEnv(3, task="track", reference=reference)
    with pytest.raises(ValueError, match=message):
        env.reset(options=options)


def test_a_command_that_nobody_could_mean_is_refused() -> None:
    env = gym.make("GaitNet/WildRobot-v0")
    with pytest.raises(ValueError, match=r"options\['command'\] is .*, allowed is up to 100 m/s and rad/s"):
        env.reset(seed=0, options={"command": [1e9, 0.0, 0.0]})
    env.close()
