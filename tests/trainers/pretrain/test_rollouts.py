"""Walks under sampled parameters: which are drawn, what is asked for, where a cycle begins."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

from gait_envs.models.robot import humanoid
from gait_envs.reference.library import MotionLibrary, load_clips
from gait_envs.simulation.parameters import ParamSpace
from gait_trainers.commands.pretraining.rollout import parse_range
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.pretrain.rollouts import asked, drawn, still_joints, touchdown


def test_cycles_begin_with_the_right_foot() -> None:
    robot = humanoid()
    assert {touchdown(clip, robot.mass) for clip in load_clips("human_walk")} == {0}
    with pytest.raises(EvaluationError, match=r"expected a clip that loops"):
        touchdown(dataclasses.replace(load_clips("human_walk")[0], loop=False), robot.mass)


def test_a_kind_stands_for_its_parameters() -> None:
    space = ParamSpace(humanoid(), follows=True)
    names, low, high = drawn(space, {"stride": (0.9, 1.1), "scale": (0.95, 1.05)})
    assert names == ("stride", "scale.thigh", "scale.shank", "scale.foot", "scale.trunk", "scale.arm")
    np.testing.assert_array_equal(low, [0.9, 0.95, 0.95, 0.95, 0.95, 0.95])
    np.testing.assert_array_equal(high, [1.1, 1.05, 1.05, 1.05, 1.05, 1.05])
    with pytest.raises(EvaluationError, match=r"unknown parameter 'force'"):
        drawn(space, {"force": (0.5, 1.0)})
    with pytest.raises(EvaluationError, match=r"allowed for stride is 0.7 to 1.3"):
        drawn(space, {"stride": (0.5, 1.0)})
    assert parse_range("stride=0.9,1.1") == ("stride", (0.9, 1.1))
    with pytest.raises(EvaluationError, match=r"expected NAME=LOW,HIGH"):
        parse_range("stride=0.9")


def test_what_is_asked_for_by_hand() -> None:
    robot = humanoid()
    clips = load_clips("human_walk")[2:3]  # 1 m/s, 38 frames a cycle
    task = SimpleNamespace(library=MotionLibrary(clips, robot.joint_names, 30.0), robot=robot)
    factors = np.array([[1.1, 0.9, 1.2]])
    found = asked(task, ("stride", "cadence", "mass"), factors, np.array([0]))
    assert list(found) == ["stride", "cadence", "mass"]
    assert found["stride"][0] == pytest.approx(1.1 * 38 / 30)
    assert found["cadence"][0] == pytest.approx(0.9 * 120 * 30 / 38)


def test_joints_that_no_reference_moves_are_held() -> None:
    references = np.zeros((4, 57))
    references[:, 7] = [0.0, 0.1, 0.2, 0.1]
    references[:, 8] = 0.3
    qpos = np.full((2, 57), 0.5)
    out = still_joints(references)(qpos)
    np.testing.assert_array_equal(out[:, :8], 0.5)
    np.testing.assert_array_equal(out[:, 8], 0.3)
    np.testing.assert_array_equal(out[:, 9:], 0.0)
