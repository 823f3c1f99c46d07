"""Bumps on the floor: where they are drawn, and that feet meet them."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from gait_envs.core import Core
from gait_envs.models.bumps import COUNT, bump_places
from gait_envs.models.robot import load_robot, wildrobot
from gait_envs.registry import find
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.simulation.instruments import Instruments
from gait_envs.vector_env import GaitVectorEnv

HIGH = 0.02  # m


@pytest.fixture(scope="module")
def env() -> GaitVectorEnv:
    env = GaitVectorEnv(64, randomize={"bumps": HIGH}, threads=1)
    env.reset(seed=0)
    return env


def test_places_by_hand() -> None:
    shift, height = np.zeros(COUNT), np.zeros(COUNT)
    shift[1], height[2] = 0.5, 0.01
    places = bump_places(shift, height)
    np.testing.assert_allclose(places[:3], [[0.4, 0, -0.03], [0.925, 0, -0.03], [1.1, 0, -0.02]])


def test_every_episode_draws_its_own(env: GaitVectorEnv) -> None:
    bumps = env.core.robot.bumps
    places = env.core.physics.fields.own("geom_pos")[:, bumps].copy()
    height = places[..., 2] + 0.03
    assert height.min() >= 0.0
    assert height.max() <= HIGH
    assert np.histogram(height, 4, (0.0, HIGH))[0].min() > 0.2 * height.size
    shift = (places[..., 0] - 0.4) / 0.35 - np.arange(COUNT)
    assert np.histogram(shift, 4, (0.0, 0.6))[0].sum() == shift.size
    assert (places[..., 1] == 0).all()
    friction = env.core.physics.fields.own("geom_friction")[..., 0]
    np.testing.assert_array_equal(friction[:, bumps], np.repeat(friction[:, env.core.robot.soles[:1]], COUNT, axis=1))
    env.reset(options={"reset_mask": np.arange(64) < 32})
    again = env.core.physics.fields.own("geom_pos")[:, bumps]
    assert (again[:32] != places[:32]).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(again[32:], places[32:])


def test_feet_stand_on_one_and_it_bears_them() -> None:
    """Soles in the air by a millimetre less than a bump is high: they stand where there is one, and fall where not."""
    robot = load_robot("wildrobot/scene.xml", bumps=True)
    physics = BatchSimulation(robot, 2, 1)
    feet = mujoco.MjData(robot.model)
    feet.qpos[:] = robot.home_qpos
    mujoco.mj_kinematics(robot.model, feet)
    under = feet.geom_xpos[robot.soles[0], 0]
    physics.fields.own("geom_pos")[0, robot.bumps[7]] = [under, 0.0, HIGH - 0.03]
    qpos = np.tile(robot.home_qpos, (2, 1))
    qpos[:, 2] += HIGH - 0.001 - physics.lowest_sole(robot.home_qpos)
    physics.reset(np.arange(2), qpos, np.zeros((2, 15)))
    load = physics.read().foot_force.sum(axis=1)
    assert load[0] > 1.0
    assert load[1] == 0.0
    instruments = Instruments(physics)
    physics.step(np.tile(robot.home, (2, 1)))
    ground = instruments.samples().ground[0, :, :, 2].sum(axis=1)  # N upwards, before the first physics step
    assert ground[0] > 1.0
    assert ground[1] == 0.0


def test_pictures_show_them_where_they_were_drawn(env: GaitVectorEnv) -> None:
    for row in (0, 5):
        np.testing.assert_array_equal(
            env.core.physics.own_model(row).geom_pos, env.core.physics.fields.own("geom_pos")[row]
        )


def test_a_level_floor_has_none_and_a_model_without_them_is_told() -> None:
    assert len(wildrobot().bumps) == 0
    row = find("walk")
    for randomize in ({"bumps": HIGH, "enabled": False}, {"slope": 0.1}):
        assert len(row.make_task({"randomize": randomize}).robot.bumps) == 0
    task = row.make_task({"randomize": {"bumps": HIGH}})
    task.robot = wildrobot().copy()
    with pytest.raises(
        ValueError, match=r"randomize\.bumps is 0\.02, but the model of wildrobot has none; `load_robot"
    ):
        Core(task, 1)


@pytest.mark.parametrize("height", [-0.01, 0.06, float("nan"), True, "high"])
def test_heights_that_cannot_be_are_refused(height: object) -> None:
    with pytest.raises((TypeError, ValueError), match="bumps"):
        GaitVectorEnv(1, randomize={"bumps": height})


def test_a_walker_of_other_lengths_has_them_too() -> None:
    env = GaitVectorEnv(2, task="humanoid_walk", randomize={"bumps": HIGH}, threads=1)
    env.reset(seed=0, options={"params": {"scale.thigh": 1.1}})
    robot, places = env.core.robot, env.core.physics.fields.own("geom_pos")
    height = places[:, robot.bumps, 2] + 0.03
    assert ((height > 0) & (height < HIGH)).all()
    assert not np.array_equal(height[0], height[1])
    femur = np.flatnonzero(robot.model.geom_bodyid == robot.model.body("left_femur").id)
    assert not np.allclose(places[0, femur], robot.model.geom_pos[femur])
