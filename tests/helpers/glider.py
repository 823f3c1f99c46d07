"""A backend without physics, for tests of what stands in front of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gait_envs.models.robot import Robot
from gait_envs.rotations import quat_yaw, yaw_quat
from gait_envs.simulation.base import State

SPEED = 0.4  # m/s


class NoFields:
    """Every simulation has the robot's own model."""

    def __contains__(self, name: str) -> bool:
        return False

    def own(self, name: str) -> np.ndarray:
        raise AssertionError(name)

    def values(self, name: str) -> np.ndarray:
        raise AssertionError(name)


class Glider:
    """Kinematics without physics: joints are where they are told to be, the root glides ahead at `SPEED`."""

    def __init__(self, robot: Robot, n: int) -> None:
        self.robot, self.fields = robot, NoFields()
        self.diverged = np.zeros(n, dtype=bool)
        self.qpos = np.tile(robot.home_qpos, (n, 1))
        self.qvel = np.zeros((n, robot.model.nv))
        self.turning = np.zeros(n)  # rad/s
        self.speed = np.full(n, SPEED)  # m/s

    def reset(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        self.qpos[ids], self.qvel[ids], self.diverged[ids] = qpos, qvel, False

    def step(self, target: np.ndarray, ids: np.ndarray | None = None) -> None:
        rows = np.arange(len(target)) if ids is None else ids
        self.qvel[rows] = 0.0
        yaw = quat_yaw(self.qpos[rows, 3:7]) + self.turning[rows] * self.robot.dt
        self.qvel[rows, :2] = self.speed[rows, None] * np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
        self.qvel[rows, 5] = self.turning[rows]
        self.qpos[rows, 3:7] = yaw_quat(yaw)
        self.qvel[rows, 6:] = (target[rows] - self.qpos[rows, 7:]) / self.robot.dt
        self.qpos[rows, :2] += self.qvel[rows, :2] * self.robot.dt
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
        raise AssertionError

    def masses(self) -> np.ndarray:
        return np.full(len(self.qpos), self.robot.mass)

    def lowest_sole(self, qpos: np.ndarray, sim: int | None = None) -> float:
        return float(qpos[2] - self.robot.home_qpos[2])

    def own_model(self, sim: int) -> Any:
        return self.robot.model

    def write_model(self, sim: int, model: Any) -> None: ...

    def get_data(self, sim: int, data: Any = None) -> Any:
        raise AssertionError

    def get_state(self) -> dict[str, Any]:
        return {"qpos": self.qpos.copy(), "qvel": self.qvel.copy(), "diverged": self.diverged.copy()}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, np.array(value))
