"""PHC's reward and its rule for the end of an episode, by hand."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from helpers.still_clips import ROBOT, still, write

from gait_envs.registry import make_task
from gait_envs.tasks.rewards import ALL, TRACKING


def view(**memory: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(memory=SimpleNamespace(**memory))


def test_positions_and_velocities_are_mean_squares() -> None:
    error = np.zeros((2, 4, 3))
    error[0, 1] = [0.3, 0.0, 0.4]  # one of four bodies is half a metre off
    mean = 0.25 / 12
    np.testing.assert_allclose(TRACKING["phc_position"].of(view(error=error)), [np.exp(-100 * mean), 1.0])
    squares = np.array([4.0, 0.0])
    np.testing.assert_allclose(TRACKING["phc_velocity"].of(view(velocity_error_squared=squares)), [np.exp(-0.4), 1.0])


def test_turns_and_rates_are_those_of_root_and_joints() -> None:
    half = np.array([np.cos(0.1), 0.0, 0.0, np.sin(0.1)])  # turned by 0.2 rad
    qpos, qvel = np.zeros((1, 9)), np.zeros((1, 8))
    qpos[0, 3:7], qpos[0, 7:] = half, [0.3, 0.4]
    qvel[0, 3:] = [1.0, 2.0, 0.0, 0.0, 2.0]
    reference = np.zeros((1, 9))
    reference[0, 3] = 1.0
    moment = SimpleNamespace(
        state=SimpleNamespace(qpos=qpos, qvel=qvel),
        memory=SimpleNamespace(reference_qpos=reference, reference_qvel=np.zeros((1, 8))),
    )
    np.testing.assert_allclose(TRACKING["phc_rotation"].of(moment), np.exp(-10 * (0.04 + 0.25) / 3))
    np.testing.assert_allclose(TRACKING["phc_angular_velocity"].of(moment), np.exp(-0.1 * 9 / 5))


def test_power_is_of_every_servo() -> None:
    state = SimpleNamespace(torque=np.array([[2.0, -3.0]]), qvel=np.array([[9.0] * 6 + [1.0, 0.5]]))
    assert ALL["power"].of(SimpleNamespace(state=state)) == pytest.approx(3.5)


def test_one_body_too_far_off_ends_an_episode_where_any_may(tmp_path) -> None:
    clips = write(tmp_path, still("stand", 9))
    error = np.zeros((2, ROBOT.model.nbody - ROBOT.pelvis, 3))
    error[0, 3, 0] = 0.3  # one of ten bodies
    error[1, :, 1] = 0.2  # all of them
    for rule, expected in (("mean", [False, False]), ("any", [True, False])):
        task = make_task("track", {"reference": clips, "distance_rule": rule, "max_distance": 0.25})
        memory = task.blank_memory(2).replace(error=error)
        part = next(part for part in task.parts if part.quantities and "reference_bodies" in part.quantities)
        moment = SimpleNamespace(memory=memory, settings=task.settings)
        np.testing.assert_array_equal(part.failures[0](moment), expected)
