"""Torques of a walk whose contacts nobody measured."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np
import pytest

from gait_envs.constants import GRAVITY
from gait_envs.models.robot import Robot, humanoid, muscle_humanoid, wildrobot
from gait_envs.reference.library import load_clips
from gait_envs.simulation.inverse import _not_negative, walking_torques


def test_pushes_never_pull() -> None:
    # |x - (2, -1)|² is least at (2, 0); with a third column along (1, 1), (2, -1) is still best met by the first alone.
    np.testing.assert_allclose(_not_negative(np.eye(2), np.array([2.0, -1.0])), [2.0, 0.0], atol=1e-5)
    found = _not_negative(np.array([[1.0, 0.0, 1.0], [0.0, 1.0, 1.0]]), np.array([1.0, 2.0]))
    assert (found >= 0).all()
    np.testing.assert_allclose([found[0] + found[2], found[1] + found[2]], [1.0, 2.0], atol=1e-4)


def test_who_stands_is_carried_by_the_ground() -> None:
    robot = humanoid()
    qpos = np.tile(robot.home_qpos, (3, 1))
    torque, load = walking_torques(robot, qpos, np.zeros((3, robot.model.nv)))
    np.testing.assert_allclose(load.sum(axis=1), robot.mass * GRAVITY, rtol=0.01)
    left, right = (robot.joint_names.index(f"{side}_knee_flexion") for side in ("left", "right"))
    np.testing.assert_allclose(torque[:, left], torque[:, right], atol=0.5)


def test_torques_are_those_that_the_bundled_walks_know() -> None:
    clip = load_clips("human_walk")[2]
    torque, load = walking_torques(humanoid(), clip.qpos, clip.qvel)
    assert clip.torque is not None
    assert clip.contacts is not None
    assert np.corrcoef(torque.ravel(), clip.torque.ravel())[0, 1] > 0.97
    np.testing.assert_allclose(load.sum(axis=1).mean(), clip.contacts.sum(axis=1).mean(), rtol=0.01)


@pytest.mark.parametrize("make", [humanoid, muscle_humanoid, wildrobot])
def test_in_the_air_torques_are_mujocos_own(make: Callable[[], Robot]) -> None:
    """Of the model as it is written, with its springs, damping and armature, before it had its servos."""
    robot, rng = make(), np.random.default_rng(0)
    model = mujoco.MjModel.from_xml_path(str(robot.file))
    model.dof_frictionloss[:] = 0.0  # dry friction, of which no acceleration follows
    qpos = np.tile(robot.home_qpos, (3, 1))
    qpos[:, 2] += 1.0
    middle = 0.5 * (robot.lower + robot.upper)
    qpos[:, 7:] += 0.2 * (middle - qpos[:, 7:])  # off the limits
    rate, qacc = rng.normal(size=model.nv), 5 * rng.normal(size=model.nv)
    qvel = rate + np.arange(3)[:, None] * robot.dt * qacc
    torque, load = walking_torques(robot, qpos, qvel, loop=False)
    assert not load.any()
    data = mujoco.MjData(model)
    for t in range(3):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t], qvel[t], qacc
        mujoco.mj_inverse(model, data)
        np.testing.assert_allclose(torque[t], data.qfrc_inverse[6:], rtol=1e-6, atol=1e-6)
