"""Steps, strides and feasibility, against numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gait_envs.biomechanics.events import debounce, runs, stance_by_motion, step_figures, touchdown_frames
from gait_envs.mocap.quality import Load, carry, faults, feasible, measure, robot_poses
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.reference.clip import velocities

FPS = 50.0


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("wildrobot")


def test_runs_by_hand() -> None:
    assert runs(np.array([0, 1, 1, 0, 1], bool)) == [(1, 3), (4, 5)]
    assert runs(np.ones(3, bool)) == [(0, 3)]
    assert runs(np.zeros(3, bool)) == runs(np.zeros(0, bool)) == []


def test_debounce_closes_gaps_before_it_drops_short_runs() -> None:
    mask = np.array([1, 0, 1, 1, 1, 0, 0, 0, 1, 0, 0, 0], dtype=bool)
    assert runs(mask) == [(0, 1), (2, 5), (8, 9)]
    assert runs(debounce(mask, 2)) == [(0, 5)]
    stutter = np.array([0, 0, 0, 1, 0, 1, 0, 0, 0], dtype=bool)
    assert runs(debounce(stutter, 3)) == [(3, 6)]


def test_a_foot_stands_while_it_is_low_and_slow() -> None:
    height = np.array([0.1, 0.01, 0.01, 0.01, 0.01, 0.1, 0.01, 0.1])
    speed = np.array([0.0, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1])
    assert runs(stance_by_motion(height, speed, 0.02, 0.5, 1)) == [(2, 5), (6, 7)]
    assert runs(stance_by_motion(height, speed, 0.02, 0.5, 2)) == [(2, 7)]


def test_touchdowns_leave_out_flicker() -> None:
    stands = np.ones(40, dtype=bool)
    stands[5:15] = False  # a step: 0.2 s in the air
    stands[20:22] = False  # 0.04 s: noise
    np.testing.assert_array_equal(touchdown_frames(stands, 5.0), [15])
    # The first that comes down may have been up for long.
    np.testing.assert_array_equal(touchdown_frames(~stands[:20], 5.0), [5])
    assert len(touchdown_frames(np.ones(9, dtype=bool), 5.0)) == 0


def walk() -> tuple[np.ndarray, np.ndarray]:
    """A limp, 2.4 s: left lands at frames 10, 60, 110, right 20 and 30 frames later than left, in turn.

    Left lands 0.2 m ahead of the right foot, right 0.3 m ahead of the left; 0.1 m between their tracks.
    """
    stands = np.ones((120, 2), dtype=bool)
    place = np.zeros((120, 2, 2))
    place[:, 0, 1] = 0.1
    for k, frame in enumerate((10, 60, 110)):  # left
        stands[frame - 8 : frame, 0] = False
        place[frame:, 0, 0] = 0.5 * k
    place[:, 1, 0] = -0.2
    for k, frame in enumerate((30, 80)):  # right, 0.4 s after the left
        stands[frame - 8 : frame, 1] = False
        place[frame:, 1, 0] = 0.3 + 0.5 * k
    return stands, place


def test_a_limp_in_numbers() -> None:
    stands, place = walk()
    found = step_figures(stands, place, np.zeros(120), FPS)
    # Touch-downs at 0.2 L, 0.6 R, 1.2 L, 1.6 R, 2.2 L: four steps in 2.0 s.
    assert found["cadence"] == pytest.approx(120.0)
    assert found["stride_time"] == pytest.approx(1.0)
    assert found["stride_length"] == pytest.approx(0.5)
    assert found["step_time_left"] == pytest.approx(0.6)
    assert found["step_time_right"] == pytest.approx(0.4)
    assert found["step_time_asymmetry_percent"] == pytest.approx(100 * 0.2 / 0.5)
    assert found["step_length_left"] == pytest.approx(0.2)
    assert found["step_length_right"] == pytest.approx(0.3)
    assert found["step_length_asymmetry_percent"] == pytest.approx(100 * 0.1 / 0.25)


def test_turning_the_walk_changes_nothing() -> None:
    stands, place = walk()
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    found = step_figures(stands, place @ turn.T, np.full(120, np.arctan2(0.8, 0.6)), FPS)
    assert found == pytest.approx(step_figures(stands, place, np.zeros(120), FPS))


def test_what_is_too_short_has_no_figures() -> None:
    stands, place = walk()
    assert step_figures(stands[:5], place[:5], np.zeros(5), FPS) == {}
    assert set(step_figures(stands[:35], place[:35], np.zeros(35), FPS)) == {"cadence"}
    jump = np.ones((60, 2), dtype=bool)
    jump[20:40] = False  # both land at once: no step, though each foot has come down
    assert step_figures(jump, np.zeros((60, 2, 2)), np.zeros(60), FPS) == {}


def test_feasible_frames_are_counted_one_by_one(body: Body) -> None:
    """Frames that are: fine; too light; out of balance; too strong; and each just within its bound."""
    weight, leg = body.weight, body.leg_length
    force = np.array([0.0, 0.11, 0.0, 0.0, 0.09, 0.0, 0.0]) * weight
    moment = np.array([0.0, 0.0, 0.051, 0.0, 0.0, 0.049, 0.0]) * leg * weight
    torque = np.zeros((7, 9))
    torque[3, 2], torque[6, 2] = -4.01, 3.99
    load = Load(np.zeros((7, 4)), torque, force, moment)
    np.testing.assert_array_equal(feasible(load, body), [True, False, False, False, True, True, True])


def test_standing_is_feasible_and_standing_on_one_leg_is_not(body: Body) -> None:
    qpos = np.repeat(body.home[None], 20, axis=0)
    for contact, percent, off in (([1, 1, 1, 1], 100.0, 0.0), ([1, 1, 0, 0], 0.0, 44.0)):
        stands = np.tile(np.array(contact, dtype=bool), (20, 1))
        quality = measure(qpos, FPS, stands, carry(qpos, FPS, stands, body), body)
        assert quality["feasible_percent"] == percent
        assert quality["balance_mm"] == pytest.approx(off, abs=1.0)


def test_a_leap_of_the_root_is_found(body: Body) -> None:
    qpos = np.repeat(body.home[None], 20, axis=0)
    qpos[10:, 0] += 0.03  # 30 mm in one frame: 1.5 m/s come and go
    contact = np.ones((20, 4), dtype=bool)
    quality = measure(qpos, FPS, contact, carry(qpos, FPS, contact, body), body)
    assert quality["root_acceleration_max"] == pytest.approx(1.5 * FPS)
    assert quality["joint_speed_max"] == 0.0
    assert np.abs(velocities(qpos, FPS)[:, 0]).max() == pytest.approx(0.75)
    assert any(fault.startswith("the root leaps: its speed changes by 75 m/s²") for fault in faults(quality, body))


def test_bounds_grow_with_the_leg(body: Body) -> None:
    quality = {"flight_percent": 0.0, "sole_error_mm": 12.0}
    assert faults(quality, body) == [
        "the feet miss their places by 12.0 mm on average: the joints cannot follow (sole_error_mm, at most 10.1)"
    ]
    assert faults(quality, load_body("humanoid")) == []


def test_corners_follow_their_own_bodies() -> None:
    """Boxes of the humanoid, in their own frames: at home all lower corners lie on the floor."""
    humanoid = load_body("humanoid")
    corners = robot_poses(humanoid.home[None], humanoid).corners[0]
    np.testing.assert_allclose(corners[..., 2], 0.0, atol=2e-3)
    assert (corners[:2, :, 1] > 0).all()
    assert (corners[2:, :, 1] < 0).all()
