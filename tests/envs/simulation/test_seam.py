"""A second backend behind the seam: a walking task runs on it through `Core`, and knows no difference."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from gait_envs.core import Core
from gait_envs.models.robot import Robot, muscle_humanoid, wildrobot
from gait_envs.registry import make_task
from gait_envs.simulation.base import MuscleReadings, Simulation, State
from gait_envs.simulation.instruments import Instruments
from gait_envs.simulation.muscles import MuscleSimulation

ROBOT = wildrobot()
SPEED = 0.4  # m/s


class NoFields:
    """Every simulation has the robot's own model."""

    def __contains__(self, name: str) -> bool:
        return False

    def own(self, name: str) -> np.ndarray:
        raise NotImplementedError(name)

    def values(self, name: str) -> np.ndarray:
        return getattr(ROBOT.model, name)[None]


class Glider:
    """Kinematics without physics: joints are where they are told to be, the root glides forward at `SPEED`."""

    def __init__(self, robot: Robot, n: int) -> None:
        self.robot, self.fields = robot, NoFields()
        self.diverged = np.zeros(n, dtype=bool)
        self.qpos = np.tile(robot.home_qpos, (n, 1))
        self.qvel = np.zeros((n, robot.model.nv))

    def reset(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        self.qpos[ids], self.qvel[ids], self.diverged[ids] = qpos, qvel, False

    def step(self, target: np.ndarray, ids: np.ndarray | None = None) -> None:
        rows = np.arange(len(target)) if ids is None else ids
        self.qvel[rows] = 0.0
        self.qvel[rows, 0] = SPEED
        self.qvel[rows, 6:] = (target[rows] - self.qpos[rows, 7:]) / self.robot.dt
        self.qpos[rows, 0] += SPEED * self.robot.dt
        self.qpos[rows, 7:] = target[rows]

    def read(self) -> State:
        n = len(self.qpos)
        bodies = np.tile(self.qpos[:, None, :3], (1, self.robot.model.nbody - self.robot.pelvis, 1))
        feet = np.zeros((n, 2, 3))
        return State(
            self.qpos.copy(), self.qvel.copy(), np.zeros((n, 3)), np.full((n, 4), 8.0), feet, feet,
            np.zeros((n, 9)), bodies,
        )  # fmt: skip

    def push(self, ids: np.ndarray, velocity: np.ndarray) -> None:
        self.qvel[ids, :2] += velocity

    def set_const(self, ids: np.ndarray | None = None) -> None:
        raise NotImplementedError

    def masses(self) -> np.ndarray:
        return np.full(len(self.qpos), self.robot.mass)

    def lowest_sole(self, qpos: np.ndarray, sim: int | None = None) -> float:
        return float(qpos[2] - self.robot.home_qpos[2])

    def own_model(self, sim: int) -> Any:
        return self.robot.model

    def write_model(self, sim: int, model: Any) -> None: ...

    def get_data(self, sim: int, data: Any = None) -> Any:
        raise NotImplementedError

    def get_state(self) -> dict[str, Any]:
        return {"qpos": self.qpos.copy(), "qvel": self.qvel.copy(), "diverged": self.diverged.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, np.array(value))


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
