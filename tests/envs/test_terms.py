"""Reward terms, control and layouts on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gait_envs.control.position import action_holding, low_pass, servo_target
from gait_envs.layout import Layout, Row
from gait_envs.tasks import terms


def test_tracking() -> None:
    found = terms.tracking(np.array([0.5, 0.25, 0.75, -0.5]), np.full(4, 0.5), 4.0)
    np.testing.assert_allclose(found, [1, np.exp(-1), np.exp(-1), np.exp(-4)])


def test_progress() -> None:
    speed, target = np.array([0.2, 0.8, -0.2, 0.03, -0.2, 0.1]), np.array([0.4, 0.4, 0.4, 0.05, -0.4, 0.0])
    # Half way; no more than all; backwards; slow targets count as 0.1 m/s; walking back as told; no target.
    np.testing.assert_allclose(terms.progress(speed, target), [0.5, 1, -0.5, 0.3, 0.5, 0])


def test_near_height() -> None:
    np.testing.assert_allclose(terms.near_height(np.array([0.45, 0.35, 0.65]), 0.45, 0.1), np.exp([0, -1, -4]))


def test_upright_is_the_cosine_of_the_tilt() -> None:
    gravity = np.array([[0, 0, -1], [np.sin(0.5), 0, -np.cos(0.5)], [0, 1, 0]])
    np.testing.assert_allclose(terms.upright(gravity), [1, np.cos(0.5), 0])


def test_squared() -> None:
    np.testing.assert_allclose(terms.squared(np.array([[3.0, -4.0], [0, 0]])), [25, 0])


def test_only_feet_that_bear_load_slip() -> None:
    force = np.array([[2.0, 2.0, 0, 2.9], [1.0, 1.0, 0, 0], [5.0, 0, 5.0, 0]])  # loads 4 and 2.9, 2 and 0, 5 and 5
    velocity = np.zeros((3, 2, 3))
    velocity[:, 0] = [0.3, 0.4, 9.0]  # 0.5 m/s over the floor; rising is not slipping
    velocity[:, 1] = [-1.0, 0, 0]
    np.testing.assert_allclose(terms.stance_slip(force, velocity, 3.0), [0.5, 0, 1.5])


def test_swings() -> None:
    """Beyond 0.2 s, at most 0.4 s, only of feet that have just landed (their swing is not 0)."""
    landed = np.array([[0.0, 0.3], [0.1, 0.0], [0.5, 0.25], [0.0, 0.0]])
    np.testing.assert_allclose(terms.swing(landed, 0.2, 0.4), [0.1, -0.1, 0.25, 0.0])


def test_scuffs_are_loads_that_the_plan_has_in_the_air() -> None:
    force = np.array([[2.0, 2.0, 9.0, 9.0], [2.0, 2.0, 2.0, 0.5], [9.0, 0.0, 0.0, 9.0]])
    planned = np.array([[0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 0.0, 0.0], [np.inf] * 4])
    # The left foot; the left foot, as the right one bears 2.5 N only; none, as the plan is not known.
    np.testing.assert_allclose(terms.scuff(force, planned, 3.0), [1, 1, 0])


def test_low_pass() -> None:
    """From 0 to a step of 1 with 0.7 of the new: 0.7, 0.91, 0.973."""
    value = np.zeros(1)
    seen = []
    for _ in range(3):
        value = low_pass(np.ones(1), value, 0.7)
        seen.append(value.item())
    assert seen == pytest.approx([0.7, 0.91, 0.973])


def test_servo_targets() -> None:
    home, scale = np.array([0.2, 0.0]), np.array([0.8, 0.5])
    lower, upper = np.array([-0.1, -0.5]), np.array([1.5, 0.5])
    found = servo_target(np.array([[0.5, -0.5], [-1.0, 1.0]]), home, scale, lower, upper)
    np.testing.assert_allclose(found, [[0.6, -0.25], [-0.1, 0.5]])  # -0.6 rad is beyond the range
    np.testing.assert_allclose(action_holding(np.array([[0.6, -0.25], [9.0, 0.0]]), home, scale), [[0.5, -0.5], [1, 0]])


LAYOUT = Layout((Row("height", 1, "m", "of the root", 2.0), Row("rate", 3, "rad/s", "gyro", 5.0)))


def test_a_layout_packs_in_order_within_limits() -> None:
    assert LAYOUT.size == 4
    assert LAYOUT.slices() == {"height": slice(0, 1), "rate": slice(1, 4)}
    values = {"rate": np.array([[1.0, -9.0, 2.0]]), "height": np.array([[0.3]])}
    packed = LAYOUT.pack(values)
    assert packed.dtype == np.float32
    np.testing.assert_array_equal(packed, np.array([[0.3, 1, -5, 2]], np.float32))
    np.testing.assert_array_equal(LAYOUT.pack(values | {"height": np.array([[1e300]])})[0, 0], 2.0)
    with pytest.raises(ValueError, match="rate has 2 numbers, its layout says 3"):
        LAYOUT.pack(values | {"rate": np.zeros((1, 2))})
    with pytest.raises(KeyError, match="height"):
        LAYOUT.pack({"rate": np.zeros((1, 3))})


def test_a_layout_is_a_table() -> None:
    assert LAYOUT.table()[1] == {
        "index": [1, 4],
        "name": "rate",
        "size": 3,
        "unit": "rad/s",
        "description": "gyro",
        "limit": 5.0,
    }
