"""Rotations against SciPy's, and against numbers known by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.spatial.transform import Rotation

from gait_envs import rotations as r

numbers = st.floats(-10, 10, width=64)
angles = st.floats(-np.pi, np.pi)


def vectors(size: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float64, (4, size), elements=numbers)


quaternions = vectors(4).filter(lambda q: (np.linalg.norm(q, axis=1) > 1e-3).all()).map(r.normalize)


def scipy(q: np.ndarray) -> Rotation:
    return Rotation.from_quat(q, scalar_first=True)


def same_rotation(a: np.ndarray, b: np.ndarray, tolerance: float = 1e-9) -> bool:
    """q and -q are the same rotation."""
    return np.allclose(np.abs(np.sum(a * b, axis=-1)), 1.0, atol=tolerance)


# -- by hand --------------------------------------------------------------------------------------------

HALF = np.sqrt(0.5)


def test_a_quarter_turn_left_points_x_to_y() -> None:
    turn = np.array([HALF, 0, 0, HALF])
    np.testing.assert_allclose(r.quat_rotate(turn, np.array([1.0, 0, 0])), [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(r.quat_rotate_inverse(turn, np.array([1.0, 0, 0])), [0, -1, 0], atol=1e-15)
    assert r.quat_yaw(turn) == pytest.approx(np.pi / 2)
    np.testing.assert_allclose(r.quat_to_rotvec(turn), [0, 0, np.pi / 2])
    np.testing.assert_allclose(r.quat_to_matrix(turn), [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)
    np.testing.assert_allclose(r.matrix_to_six_dof(r.quat_to_matrix(turn)), [0, -1, 0, 1, 0, 0], atol=1e-15)
    np.testing.assert_allclose(r.yaw_quat(np.array(np.pi / 2)), turn)


def test_products_apply_the_right_one_first() -> None:
    yaw, roll = np.array([HALF, 0, 0, HALF]), np.array([HALF, HALF, 0, 0])
    # Rolled a quarter, then turned a quarter: y goes to z and stays there; z goes to -y and then to x.
    both = r.quat_mul(yaw, roll)
    np.testing.assert_allclose(r.quat_rotate(both, np.array([0, 1.0, 0])), [0, 0, 1], atol=1e-15)
    np.testing.assert_allclose(r.quat_rotate(both, np.array([0, 0, 1.0])), [1, 0, 0], atol=1e-15)


def test_the_heading_frame_stays_upright() -> None:
    # Turned a quarter left, then pitched: forward in the world's y is forward in the heading frame.
    turned = r.quat_mul(np.array([HALF, 0, 0, HALF]), r.quat_from_rotvec(np.array([0, 0.4, 0])))
    np.testing.assert_allclose(r.heading_frame(turned, np.array([0, 2.0, 0.5])), [2, 0, 0.5], atol=1e-15)


def test_angles_wrap() -> None:
    np.testing.assert_allclose(
        r.wrap_angle(np.array([0.0, np.pi, -np.pi, 3 * np.pi / 2, -7.0])),
        [0, -np.pi, -np.pi, -np.pi / 2, 2 * np.pi - 7],
    )


def test_halfway_is_half_the_turn() -> None:
    a, b = r.yaw_quat(np.array([0.2, 3.0])), r.yaw_quat(np.array([0.6, -3.0]))
    # The second pair goes the short way, across half a turn.
    np.testing.assert_allclose(
        np.abs(r.wrap_angle(r.quat_yaw(r.quat_slerp(a, b, np.array([0.5, 0.5]))))), [0.4, np.pi], atol=1e-12
    )


def test_nothing_is_lost_near_zero() -> None:
    tiny = np.array([[1e-9, 0, 0], [0, 1e-5, 0], [0, 0, 9.9e-5], [0, 0, 1.01e-4], [0, 0, 0]])
    np.testing.assert_allclose(r.quat_to_rotvec(r.quat_from_rotvec(tiny)), tiny, rtol=1e-9, atol=0)
    np.testing.assert_array_equal(r.normalize(np.zeros(3)), np.zeros(3))


# -- against SciPy --------------------------------------------------------------------------------------


@given(quaternions, quaternions, vectors(3))
def test_products_and_rotations(a: np.ndarray, b: np.ndarray, v: np.ndarray) -> None:
    assert same_rotation(r.quat_mul(a, b), (scipy(a) * scipy(b)).as_quat(scalar_first=True))
    np.testing.assert_allclose(r.quat_rotate(a, v), scipy(a).apply(v), atol=1e-12)
    np.testing.assert_allclose(r.quat_rotate_inverse(a, v), scipy(a).inv().apply(v), atol=1e-12)
    np.testing.assert_allclose(r.quat_to_matrix(a), scipy(a).as_matrix(), atol=1e-14)
    np.testing.assert_allclose(r.cross(v, v[::-1]), np.cross(v, v[::-1]))


@given(quaternions)
def test_matrices_go_there_and_back(q: np.ndarray) -> None:
    back = r.quat_from_matrix(r.quat_to_matrix(q))
    assert same_rotation(back, q)
    assert (back[:, 0] >= 0).all()
    six = r.matrix_to_six_dof(r.quat_to_matrix(q))
    np.testing.assert_allclose(r.six_dof_to_matrix(six), r.quat_to_matrix(q), atol=1e-12)


@given(vectors(6).filter(lambda x: (np.linalg.norm(np.cross(x[:, :3], x[:, 3:]), axis=1) > 1e-2).all()))
def test_any_six_numbers_make_a_rotation(x: np.ndarray) -> None:
    m = r.six_dof_to_matrix(x)
    np.testing.assert_allclose(m @ m.swapaxes(-1, -2), np.broadcast_to(np.eye(3), m.shape), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det(m), 1, atol=1e-9)
    np.testing.assert_allclose(m[:, 0], r.normalize(x[:, :3]))


@pytest.mark.parametrize("axis", np.eye(3))
def test_half_turns_survive_matrices(axis: np.ndarray) -> None:
    # The trace is -1: formulas that divide by w fail here.
    q = np.append(0.0, axis)
    assert same_rotation(r.quat_from_matrix(r.quat_to_matrix(q)), q)


@given(vectors(3))
def test_rotation_vectors(v: np.ndarray) -> None:
    q = r.quat_from_rotvec(v)
    assert same_rotation(q, Rotation.from_rotvec(v).as_quat(scalar_first=True))
    # Along the same axis, by the angle the short way round; SciPy may name a half turn by either axis.
    np.testing.assert_allclose(
        np.abs(np.sum(r.quat_to_rotvec(q) * scipy(q).as_rotvec(), -1)),
        np.sum(scipy(q).as_rotvec() ** 2, -1),
        atol=1e-7,
    )
    assert same_rotation(r.quat_from_rotvec(r.quat_to_rotvec(q)), q)
    assert (np.linalg.norm(r.quat_to_rotvec(q), axis=-1) <= np.pi + 1e-12).all()


@given(quaternions, st.floats(0, 1))
def test_slerp(q: np.ndarray, t: float) -> None:
    a, b = q, r.quat_mul(q, r.quat_from_rotvec(np.array([0.3, -0.8, 1.2])))
    expected = scipy(a) * Rotation.from_rotvec(np.array([0.3, -0.8, 1.2]) * t)
    times = np.full(len(q), t)
    assert same_rotation(r.quat_slerp(a, b, times), expected.as_quat(scalar_first=True))
    assert same_rotation(r.quat_slerp(a, -b, times), expected.as_quat(scalar_first=True))


@given(angles, st.floats(-1.5, 1.5), angles, angles)
def test_headings(yaw: float, pitch: float, roll: float, turn: float) -> None:
    q = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_quat(scalar_first=True)
    assert np.cos(r.quat_yaw(q) - yaw) == pytest.approx(1, abs=1e-9)
    turned = r.quat_mul(r.yaw_quat(np.array(turn)), q)
    v = np.array([0.3, -0.7, 0.2])
    # Turning body and vector together changes nothing in the heading frame.
    np.testing.assert_allclose(
        r.heading_frame(turned, r.quat_rotate(r.yaw_quat(np.array(turn)), v)), r.heading_frame(q, v), atol=1e-9
    )


@given(quaternions, st.integers(1, 3))
def test_every_batch_shape(q: np.ndarray, split: int) -> None:
    """Leading axes do not matter: rows alone, a batch, a batch of batches."""
    v = np.arange(12.0).reshape(4, 3)
    whole = r.quat_rotate(q, v)
    np.testing.assert_array_equal(whole, np.stack([r.quat_rotate(a, b) for a, b in zip(q, v, strict=True)]))
    np.testing.assert_array_equal(whole.reshape(2, 2, 3), r.quat_rotate(q.reshape(2, 2, 4), v.reshape(2, 2, 3)))
    np.testing.assert_array_equal(r.quat_mul(q[:split], q[split - 1]), r.quat_mul(q, q[split - 1])[:split])


@given(quaternions, vectors(3), vectors(3))
def test_a_single_row_has_the_bits_of_many(q: np.ndarray, v: np.ndarray, w: np.ndarray) -> None:
    """A row alone is computed with Python's floats, rows together with NumPy's arrays."""

    def everything(q: np.ndarray, v: np.ndarray, w: np.ndarray) -> list[np.ndarray]:
        turn = r.half_turn_to_heading(q)
        return [
            r.cross(v, w),
            r.dot(v, w),
            r.quat_mul(q, q[:, ::-1].copy()),
            r.quat_rotate(q, v),
            r.quat_yaw(q),
            r.rotate_about_z(turn, v),
            r.gravity_direction(q),
            r.wrap_angle(v[:, 0]),
        ]

    together = everything(q, v, w)
    for i in range(len(q)):
        for many, one in zip(together, everything(q[i : i + 1], v[i : i + 1], w[i : i + 1]), strict=True):
            assert one.dtype == many.dtype
            np.testing.assert_array_equal(one, many[i : i + 1])
