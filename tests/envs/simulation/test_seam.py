"""A second backend behind the seam: a walking task runs on it through `Core`, and knows no difference."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
from helpers.glider import SPEED, Glider

from gait_envs.core import Core
from gait_envs.models.robot import muscle_humanoid, wildrobot
from gait_envs.registry import make_task
from gait_envs.simulation.base import MuscleReadings, Simulation, State
from gait_envs.simulation.instruments import Instruments
from gait_envs.simulation.muscles import MuscleSimulation

ROBOT = wildrobot()


def gliding(n: int = 2, **config: Any) -> Core:
    backend: Simulation = Glider(ROBOT, n)
    return Core(make_task("walk", {"action_filter": 1.0, "reset_noise": 0.0, **config}), n, simulation=backend)


def test_a_walking_task_runs_on_a_backend_that_is_not_mujoco() -> None:
    core = gliding(reward_weights={"tracking_lin_vel": 2.0, "action_rate": -1.0})
    core.seed([0, 1])
    core.reset(options={"command": np.array([[0.4, 0, 0], [0.9, 0, 0]])})
    for _ in range(3):
        result = core.step(np.zeros((2, 9)))
    np.testing.assert_allclose(result.info["x_position"], 3 * 0.02 * SPEED)
    np.testing.assert_allclose(result.info["x_velocity"], SPEED)
    np.testing.assert_allclose(result.reward, [2.0, 2.0 * np.exp(-4.0 * 0.5)])  # k = 4 s/m, 0.5 m/s off
    slices = core.task.layout.slices()
    np.testing.assert_allclose(result.obs[:, slices["linear_velocity"]], [[SPEED, 0, 0]] * 2, rtol=1e-6)
    assert not (result.terminated | result.truncated).any()


def test_another_backend_is_saved_and_continued() -> None:
    core, actions = gliding(), np.random.default_rng(0).uniform(-1, 1, (6, 2, 9))
    core.reset()
    core.step(actions[0])
    saved = copy.deepcopy(core.get_state())
    expected = [core.step(action).obs for action in actions]
    other = gliding()
    other.set_state(saved)
    np.testing.assert_array_equal([other.step(action).obs for action in actions], expected)


def test_instruments_refuse_a_backend_without_steps_to_look_into() -> None:
    with pytest.raises(TypeError, match="instruments sample a BatchSimulation, got Glider"):
        Instruments(Glider(ROBOT, 1))


def test_a_state_is_its_arrays() -> None:
    plain = Glider(ROBOT, 2).read()
    readings = MuscleReadings(np.full((2, 3), 0.5), np.array([1.0, 2.0]), np.zeros(2), np.zeros(2))
    both = dataclasses.replace(plain, muscles=readings)
    assert set(both.arrays()) - set(plain.arrays()) == {"activation", "effort", "desired", "residual"}
    for state in (plain, both):
        again = State.of(state.arrays())
        assert again.arrays().keys() == state.arrays().keys()
        assert all(again.arrays()[name] is value for name, value in state.arrays().items())
    other = dataclasses.replace(both, muscles=dataclasses.replace(readings, effort=np.array([7.0, 8.0])))
    mixed = both.where(np.array([False, True]), other)
    assert mixed.muscles is not None
    assert mixed.muscles.effort.tolist() == [1.0, 8.0]


def test_states_saved_under_an_earlier_name_load() -> None:
    first, second = (MuscleSimulation(muscle_humanoid(), 1, 1) for _ in range(2))
    first._desired[:] = 3.0
    saved = first.get_state()
    saved["wished"] = saved.pop("desired")
    second.set_state(saved)
    readings = second.read().muscles
    assert readings is not None
    assert readings.desired.tolist() == [3.0]
