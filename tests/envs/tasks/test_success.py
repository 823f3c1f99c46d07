"""What counts as a success, on a body whose speed and heading are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.glider import SPEED, Glider

from gait_envs.core import Core
from gait_envs.models.robot import wildrobot
from gait_envs.registry import make_task
from gait_envs.tasks.success import DRIFT, SPEED_ERROR, WARMUP
from gait_envs.vector_env import GaitVectorEnv

ROBOT = wildrobot()
STEPS = 200  # 4 s


def glided(command: np.ndarray, turning: Any = 0.0, steps: int = STEPS, **config: Any) -> dict[str, np.ndarray]:
    """Info at the time limit of bodies that glide at 0.4 m/s and turn at these rates, under commands (n, 3)."""
    n = len(command)
    backend = Glider(ROBOT, n)
    backend.turning[:] = turning
    core = Core(make_task("walk", config), n, simulation=backend, max_episode_steps=steps)
    core.reset(options={"command": command})
    for step in range(1, steps + 1):
        result = core.step(np.zeros((n, 9)))
        assert result.info["success"].all() == result.info["success"].any() == (step == steps)
        assert step == steps or not result.info["is_success"].any()
    return result.info


def commands(*speeds: float, aside: float = 0.0, turn: float = 0.0) -> np.ndarray:
    return np.array([[speed, aside, turn] for speed in speeds])


def test_the_speed_must_be_near_the_command() -> None:
    edge = SPEED_ERROR - 1e-6
    found = glided(commands(SPEED, SPEED - edge, SPEED + edge, SPEED + SPEED_ERROR + 1e-6, 0.0))
    assert found["is_success"].tolist() == [True, True, True, False, False]
    both = glided(commands(SPEED + 0.1, aside=0.12))  # 0.156 m/s in all
    assert not both["is_success"][0]


def test_the_heading_must_not_drift() -> None:
    """15° in 10 s are 6° in 4 s, whichever way; turning as commanded is no drift."""
    rate = DRIFT / 10.0
    found = glided(np.tile(commands(SPEED), (5, 1)), np.array([0.99, 1.01, -0.99, -1.01, 0.0]) * rate)
    assert found["is_success"].tolist() == [True, False, True, False, True]
    turned = glided(commands(SPEED, SPEED, turn=0.5), np.array([0.5, 0.0]))
    assert turned["is_success"].tolist() == [True, False]
    full_turn = glided(commands(SPEED), 2 * np.pi / 4.0)
    assert not full_turn["is_success"][0]


def test_the_first_second_is_left_out_of_the_speed() -> None:
    backend = Glider(ROBOT, 2)
    core = Core(make_task("walk", {}), 2, simulation=backend, max_episode_steps=STEPS)
    core.reset(options={"command": commands(SPEED, SPEED)})
    speeds = np.zeros((STEPS, 2))
    for step in range(STEPS):
        late = step >= round(WARMUP / ROBOT.dt)
        backend.speed = np.array([SPEED if late else 0.0, SPEED if step >= 100 else 0.0])
        speeds[step] = backend.speed
        info = core.step(np.zeros((2, 9))).info
    assert speeds[:, 0].mean() == pytest.approx(0.75 * SPEED)
    assert info["is_success"].tolist() == [True, True]  # the second's error is a third of 0.4 m/s
    short = glided(commands(SPEED, 0.0), steps=20)  # sooner over than the first second
    assert short["is_success"].tolist() == [True, False]


def test_following_a_clip_to_its_end_is_success(reference: str) -> None:
    env = GaitVectorEnv(1, task="track", reference=reference, max_episode_steps=5, autoreset_mode="Disabled")
    env.reset(seed=0)
    for _ in range(5):
        info = env.step(np.zeros((1, 9)))[-1]
    assert info["success"].tolist() == info["is_success"].tolist() == [True]
    free = GaitVectorEnv(
        1, task="track", reference=reference, max_distance=np.inf, rsi_probability=0.0, action_base="home",
        max_episode_steps=60, autoreset_mode="Disabled",
    )  # fmt: skip
    free.reset(seed=0)
    for _ in range(60):
        info = free.step(np.zeros((1, 9)))[-1]
    assert (info["success"].tolist(), info["is_success"].tolist()) == ([True], [False])  # it stands


def test_it_agrees_with_what_evaluation_measures() -> None:
    """On a real body: the accumulated figures are those of the recorded rollout."""
    from gait_envs.rotations import quat_yaw
    from gait_trainers.evaluation.gait_metrics import after_warmup, heading_drift, heading_velocity, speed_error

    env = GaitVectorEnv(3, threads=1, autoreset_mode="Disabled")
    env.reset(seed=0)
    states, command = [env.core.state], env.core.memory.command.copy()
    for _ in range(110):
        env.step(np.full((3, 9), 0.05))
        states.append(env.core.state)
    qpos, qvel = (np.stack([getattr(s, name) for s in states]) for name in ("qpos", "qvel"))
    valid = np.ones((111, 3), bool)
    measured = speed_error(heading_velocity(qpos, qvel), command, after_warmup(valid, 0.02))
    memory = env.core.memory
    np.testing.assert_allclose(np.linalg.norm(memory.velocity_miss / 60, axis=1), measured)
    drift = heading_drift(quat_yaw(qpos[..., 3:7]), command[:, 2], valid, 0.02)
    np.testing.assert_allclose(np.degrees(np.abs(memory.drift)) * 10 / 2.2, drift, atol=1e-9)


def test_states_of_before_there_was_a_success_go_on() -> None:
    env = GaitVectorEnv(2, threads=1)
    env.reset(seed=0)
    saved = env.get_state()
    for name in ("velocity_miss", "drift"):
        del saved["memory"][name]
    env.set_state(saved)
    assert env.core.memory.drift.tolist() == [0.0, 0.0]
