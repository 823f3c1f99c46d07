"""Euler angles: against products of single turns, and back, through gimbal lock."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_envs.euler import AXES, euler_from_quat, quat_from_euler
from gait_envs.rotations import quat_from_rotvec, quat_mul

ORDERS = ["".join(order) for order in itertools.permutations("xyz")]


def product(angles: np.ndarray, axes: str) -> np.ndarray:
    """The same by exponential map and Hamilton products."""
    q = np.array([1.0, 0.0, 0.0, 0.0])
    for n, axis in enumerate(axes):
        q = quat_mul(q, quat_from_rotvec(angles[..., n, None] * np.eye(3)[AXES[axis]]))
    return q


def gap(a: np.ndarray, b: np.ndarray) -> float:
    """Largest distance of unit quaternions, q and -q being one."""
    return float(np.minimum(np.linalg.norm(a - b, axis=-1), np.linalg.norm(a + b, axis=-1)).max())


def test_by_hand() -> None:
    # 90° about z, then 90° about the x axis so moved (the world's y): i -> j, j -> k, k -> i.
    half = np.sqrt(0.5)
    np.testing.assert_allclose(quat_from_euler(np.radians([90.0, 0, 0]), "zxy"), [half, 0, 0, half], atol=1e-15)
    np.testing.assert_allclose(quat_from_euler(np.radians([90.0, 90, 0]), "zxy"), [0.5, 0.5, 0.5, 0.5], atol=1e-15)
    np.testing.assert_allclose(np.degrees(euler_from_quat(np.array([0.5, 0.5, 0.5, 0.5]), "zyx")), [90, 0, 90])


@pytest.mark.parametrize("axes", [*ORDERS, "", "y", "xz", "zxz", "zxyzxy"])
def test_equals_the_product_of_turns(axes: str) -> None:
    angles = np.random.default_rng(0).uniform(-7, 7, (50, 2, len(axes)))
    expected = np.broadcast_to(product(angles, axes), (50, 2, 4))
    np.testing.assert_allclose(quat_from_euler(angles, axes), expected, atol=1e-14)


@settings(max_examples=60, deadline=None)
@given(
    axes=st.sampled_from(ORDERS),
    angles=st.tuples(*[st.floats(-np.pi, np.pi)] * 3),
    lock=st.sampled_from([None, np.pi / 2, -np.pi / 2, np.pi / 2 - 1e-9, 1e-9 - np.pi / 2]),
)
def test_there_and_back(axes: str, angles: tuple[float, float, float], lock: float | None) -> None:
    first = np.array([angles[0], angles[1] if lock is None else lock, angles[2]])
    quat = quat_from_euler(first, axes)
    back = euler_from_quat(quat, axes)
    assert abs(back[1]) <= np.pi / 2 + 1e-15
    assert (np.abs(back) <= np.pi).all()
    assert gap(quat_from_euler(back, axes), quat) < 1e-14
    np.testing.assert_array_equal(euler_from_quat(quat[None, None], axes)[0, 0], back)
