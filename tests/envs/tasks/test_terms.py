"""Reward terms, control and layouts on numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

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


def test_cost_of_transport() -> None:
    """|100·2| + |-50·4| = 400 W over 500 N and 5 m/s; over 500 N and 0.5 m/s where it stands."""
    torque, rate = np.array([[100.0, -50.0]] * 3), np.array([[2.0, 4.0], [2.0, 4.0], [0.0, 0.0]])
    velocity = np.array([[3.0, -4.0], [0.1, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(terms.cost_of_transport(torque, rate, velocity, 500.0, 0.5), [0.16, 1.6, 0.0])


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


def test_mean_distance() -> None:
    points = np.array([[[0.0, 0, 0], [3.0, 4.0, 0]], [[1.0, 1, 1], [1.0, 1, 1]]])
    targets = np.array([[[0.0, 0, 2.0], [0.0, 0, 0]], [[1.0, 1, 1], [1.0, 1, 1]]])
    np.testing.assert_allclose(terms.mean_distance(points, targets), [(2 + 5) / 2, 0])


def test_procrustes_undoes_a_move_a_turn_and_a_scale() -> None:
    rng = np.random.default_rng(0)
    targets = rng.normal(size=(5, 10, 3))
    turn = Rotation.random(5, random_state=1).as_matrix()
    scale = np.array([0.3, 1.0, 2.0, 5.0, 1.0])[:, None, None]
    points = scale * np.einsum("nij,nkj->nki", turn, targets) + rng.normal(size=(5, 1, 3))
    np.testing.assert_allclose(terms.procrustes(points, targets), targets, atol=1e-12)


def test_procrustes_never_mirrors() -> None:
    """A left hand stays a left hand: what a reflection alone could undo is left."""
    targets = np.random.default_rng(0).normal(size=(3, 10, 3))
    found = terms.procrustes(targets * [-1, 1, 1], targets)
    assert (terms.mean_distance(found, targets) > 0.1).all()
    assert np.isfinite(terms.procrustes(targets * [1, 1, 0], targets * [1, 1, 0])).all()  # nor does a flat figure fail


@given(seed=st.integers(0, 2**32 - 1), noise=st.floats(0.0, 3.0))
@settings(max_examples=30)
def test_procrustes_is_the_best_there_is(seed: int, noise: float) -> None:
    """The rotation is SciPy's (Kabsch's), and no scale near the one found does better."""
    rng = np.random.default_rng(seed)
    targets = rng.normal(size=(10, 3))
    points = targets + noise * rng.normal(size=(10, 3)) + rng.normal(size=3)
    found = terms.procrustes(points[None], targets[None])[0]
    middle, goal = points - points.mean(0), targets - targets.mean(0)
    turned = Rotation.align_vectors(goal, middle)[0].apply(middle)
    best = np.sum((found - targets) ** 2)
    scale = np.sum(turned * goal) / np.sum(turned**2)
    np.testing.assert_allclose(found - targets.mean(0), scale * turned, atol=1e-6)
    for other in (0.99 * scale, 1.01 * scale, 1.0):
        assert best <= np.sum((other * turned - goal) ** 2) + 1e-12


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
    with pytest.raises(ValueError, match="rate has 2 numbers, but its layout says 3"):
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
