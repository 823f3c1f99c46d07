"""What is written to `env.unwrapped.data` and `.model` acts there, or is refused; and nowhere else."""

from __future__ import annotations

import copy
from collections.abc import Callable

import gymnasium
import mujoco
import numpy as np
import pytest

from gait_envs.env import GaitEnv
from gait_envs.vector_env import GaitVectorEnv

TASKS = ["walk", "humanoid_walk", "muscle_walk"]


def end(env: GaitEnv, write: Callable[[mujoco.MjData], None] | None, steps: int = 3) -> np.ndarray:
    env.reset(seed=0)
    if write is not None:
        write(env.data)
    for _ in range(steps):
        env.step(np.zeros(env.action_space.shape))
    return env.core.state.qpos[0].copy()


@pytest.mark.parametrize("task", TASKS)
def test_a_write_to_the_data_acts_from_the_next_step_on(task: str) -> None:
    env = GaitEnv(task)
    untouched = end(env, None)
    np.testing.assert_array_equal(end(env, lambda data: None), untouched)
    lifted = end(env, lambda data: data.qpos.__setitem__(2, data.qpos[2] + 0.2), 1)
    assert lifted[2] - end(env, None, 1)[2] == pytest.approx(0.2, abs=0.02)
    walking = end(env, lambda data: data.qvel.__setitem__(0, 0.3), 1)
    assert (walking - end(env, None, 1))[0] == pytest.approx(0.3 * env.core.robot.dt, rel=0.3)
    weight = 9.81 * float(env.model.body_mass.sum())
    flies = end(env, lambda data: data.xfrc_applied.__setitem__((1, 2), 3 * weight))
    assert flies[2] > untouched[2] + 0.01
    assert flies[2] > end(env, lambda data: data.xfrc_applied.__setitem__((1, 2), 2 * weight))[2]
    np.testing.assert_array_equal(end(env, None), untouched)  # a reset ends it
    np.testing.assert_array_equal(end(env, lambda data: data.ctrl.__setitem__(slice(None), 0.5)), untouched)
    np.testing.assert_array_equal(end(env, lambda data: data.xpos.__setitem__(slice(None), 9.0)), untouched)


def test_the_data_is_one_object_that_follows_the_simulation() -> None:
    env = GaitEnv()
    env.reset(seed=0)
    data = env.data
    for _ in range(3):
        env.step(np.full(9, 0.5))
        assert env.data is data
        np.testing.assert_array_equal(data.qpos, env.core.state.qpos[0])
    state = env.get_state()
    env.step(np.zeros(9))
    env.set_state(state)
    np.testing.assert_array_equal(data.qpos, env.core.state.qpos[0])
    data.qpos[0] = 5.0
    assert env.get_state()["state"]["qpos"][0, 0] == 5.0
    assert copy.deepcopy(env).data.qpos[0] == 5.0
    env.reset(seed=0)
    assert abs(data.qpos[0]) < 1.0


def test_looking_at_the_data_changes_no_bit() -> None:
    looked, plain = GaitEnv("humanoid_walk"), GaitEnv("humanoid_walk")
    looked.reset(seed=0), plain.reset(seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (20, 50))
    for action in actions:
        assert looked.data.qpos.shape == (57,)
        np.testing.assert_array_equal(looked.step(action)[0], plain.step(action)[0])


def test_the_vector_form_has_no_data_and_says_where_it_is() -> None:
    envs = GaitVectorEnv(2)
    envs.reset(seed=0)
    with pytest.raises(AttributeError, match=r"core\.physics\.get_data\(i\)"):
        _ = envs.data
    np.testing.assert_array_equal(envs.core.physics.get_data(1).qpos, envs.core.state.qpos[1])


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("options", [{"randomize": True}, {"params": {"mass": 1.2}}], ids=str)
def test_an_edit_that_could_not_act_is_refused(options: dict, vector: bool) -> None:
    task = "walk" if "randomize" in options else "humanoid_walk"
    env = GaitVectorEnv(2, task=task, **options) if vector else GaitEnv(task, **options)
    env.reset(seed=0)
    env.model.geom_rgba[:] = 0.5
    env.model.vis.headlight.ambient[:] = 0.5
    env.reset()  # it looks otherwise, and that is all
    env.model.opt.gravity[2] = 0.0
    with pytest.raises(ValueError, match=r"^opt\.gravity of the model has been edited, which has no effect"):
        env.reset()


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("how", ["option of reset", "params", "randomize"])
def test_an_edit_is_refused_by_the_very_reset_that_would_lose_it(how: str, vector: bool) -> None:
    options: dict = {"option of reset": {}, "params": {"params": {"mass": 1.2}}, "randomize": {"randomize": True}}[how]
    env = GaitVectorEnv(2, task="humanoid_walk", **options) if vector else GaitEnv("humanoid_walk", **options)
    if how == "option of reset":
        env.reset(seed=0)
    env.model.opt.gravity[2] = -1.0
    with pytest.raises(ValueError, match=r"^opt\.gravity of the model has been edited, which has no effect"):
        env.reset(seed=0, options={"params": {"mass": 1.1}} if how == "option of reset" else None)


@pytest.mark.parametrize("vector", [False, True])
def test_an_edit_acts_in_both_forms_and_nowhere_else(vector: bool) -> None:
    def make() -> gymnasium.Env | GaitVectorEnv:
        return GaitVectorEnv(2, threads=1) if vector else GaitEnv()

    def height(env: gymnasium.Env | GaitVectorEnv) -> float:
        env.reset(seed=0)
        for _ in range(25):
            env.step(np.zeros(env.action_space.shape, np.float32))
        return float(env.core.state.qpos[0, 2])

    before, edited = make(), make()
    usual = height(before)
    edited.model.opt.gravity[2] = 5.0
    assert height(edited) > usual + 0.05
    assert height(before) == height(make()) == usual
