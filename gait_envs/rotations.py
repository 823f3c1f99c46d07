"""Batched rotations: unit quaternions (w, x, y, z), rotation vectors, matrices and the six-dof form.

Every function takes arrays whose last axis (or last two, for matrices) holds the components and
broadcasts over the others. Angles are radians. Pure functions on the array API: NumPy in, NumPy out.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = Any  # any array-API array; NumPy's ndarray in practice
FLOAT = np.dtype(np.float64)


def array_namespace(x: Array) -> Any:
    """The array-API namespace of `x`, so that the same code can run on another backend."""
    if type(x) is np.ndarray:  # called many times a step, so the common case comes first
        return np
    return x.__array_namespace__() if hasattr(x, "__array_namespace__") else np


def components(*vectors: Array) -> list[Any]:
    """Components (...,) of vectors (..., k), one vector's after the other's; those of single rows as Python's floats.

    Sums and products of floats are the same IEEE operations as NumPy's of arrays, bit for bit, at a tenth of the cost.
    """
    out: list[Any] = []
    for v in vectors:
        if not (type(v) is np.ndarray and v.dtype is FLOAT and v.ndim == 2 and len(v) == 1):
            return [v[..., i] for v in vectors for i in range(v.shape[-1])]
        out += v[0].tolist()
    return out


def vector(xp: Any, *parts: Array) -> Array:
    """Components (...,) as vectors (..., k): `stack` along a last axis, which for NumPy's rows is the slower way."""
    if type(parts[0]) is float:  # of a single row, see `components`
        return np.array([parts])
    if xp is np and parts[0].ndim == 1:
        return np.array(parts).T
    return xp.stack(parts, axis=-1)


def normalize(v: Array) -> Array:
    """v / |v| along the last axis; the zero vector stays zero."""
    xp = array_namespace(v)
    norm = xp.sqrt(xp.sum(v * v, axis=-1, keepdims=True))
    return v / xp.where(norm > 0, norm, xp.ones_like(norm))


def cross(a: Array, b: Array) -> Array:
    """Vector product (..., 3), written out: several times quicker than `np.cross` on small batches."""
    xp = array_namespace(a)
    ax, ay, az, bx, by, bz = components(a, b)
    return vector(xp, ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx)


def dot(a: Array, b: Array) -> Array:
    """Scalar product (...,) of vectors (..., 3)."""
    ax, ay, az, bx, by, bz = components(a, b)
    product = ax * bx + ay * by + az * bz
    return np.array([product]) if type(product) is float else product


def quat_mul(a: Array, b: Array) -> Array:
    """Hamilton product a ⊗ b: the rotation b followed by a."""
    xp = array_namespace(a)
    aw, ax, ay, az, bw, bx, by, bz = components(a, b)
    return vector(
        xp,
        aw * bw - ax * bx - ay * by - az * bz,
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
    )


def quat_conj(q: Array) -> Array:
    """Conjugate; the inverse of a unit quaternion."""
    xp = array_namespace(q)
    return xp.concat([q[..., :1], -q[..., 1:]], axis=-1)


def quat_rotate(q: Array, v: Array) -> Array:
    """Rotate v (..., 3) by the unit quaternion q (..., 4)."""
    w, a, b, c, x, y, z = components(q, v)
    # v + w t + u × t, with t = 2 u × v and u = (a, b, c), written out: small batches pay for every call.
    tx, ty, tz = 2.0 * (b * z - c * y), 2.0 * (c * x - a * z), 2.0 * (a * y - b * x)
    return vector(
        array_namespace(v),
        x + w * tx + (b * tz - c * ty),
        y + w * ty + (c * tx - a * tz),
        z + w * tz + (a * ty - b * tx),
    )


def quat_rotate_inverse(q: Array, v: Array) -> Array:
    """Rotate v by the inverse of q: a world vector into the body's frame."""
    return quat_rotate(quat_conj(q), v)


def quat_from_rotvec(r: Array) -> Array:
    """Exponential map: rotation vector (axis times angle) to quaternion."""
    xp = array_namespace(r)
    angle = xp.sqrt(xp.sum(r * r, axis=-1, keepdims=True))
    half = 0.5 * angle
    # sin(a/2)/a tends to 1/2 - a²/48; the series avoids 0/0.
    small = angle < 1e-4
    safe = xp.where(small, xp.ones_like(angle), angle)
    scale = xp.where(small, 0.5 - angle * angle / 48.0, xp.sin(half) / safe)
    return xp.concat([xp.cos(half), scale * r], axis=-1)


def quat_to_rotvec(q: Array) -> Array:
    """Logarithm: the rotation vector of angle at most π."""
    xp = array_namespace(q)
    q = xp.where(q[..., :1] < 0, -q, q)  # the short way round
    u = q[..., 1:]
    sin_half = xp.sqrt(xp.sum(u * u, axis=-1, keepdims=True))
    angle = 2.0 * xp.atan2(sin_half, q[..., :1])
    small = sin_half < 1e-6
    safe = xp.where(small, xp.ones_like(sin_half), sin_half)
    return xp.where(small, 2.0 * u, angle / safe * u)


def quat_slerp(a: Array, b: Array, t: Array) -> Array:
    """Constant-speed rotation from a (t = 0) to b (t = 1) the short way; t is (...,)."""
    delta = quat_to_rotvec(quat_mul(quat_conj(a), b))
    return quat_mul(a, quat_from_rotvec(delta * t[..., None]))


def quat_to_matrix(q: Array) -> Array:
    """Rotation matrix (..., 3, 3) of a unit quaternion."""
    xp = array_namespace(q)
    w, x, y, z = (q[..., i] for i in range(4))
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return xp.stack([xp.stack(row, axis=-1) for row in rows], axis=-2)


def quat_from_matrix(m: Array) -> Array:
    """Quaternion with w ≥ 0 of a rotation matrix (..., 3, 3).

    Each quaternion component squared is read off the diagonal; the largest one fixes the signs of the
    others, so no case divides by a small number.
    """
    xp = array_namespace(m)
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    # 4 q qᵀ: row i is 4 q_i q, so the row with the largest diagonal is q times a number far from zero.
    outer = xp.stack(
        [
            xp.stack([1 + m00 + m11 + m22, wx, wy, wz], axis=-1),
            xp.stack([wx, 1 + m00 - m11 - m22, xy, xz], axis=-1),
            xp.stack([wy, xy, 1 - m00 + m11 - m22, yz], axis=-1),
            xp.stack([wz, xz, yz, 1 - m00 - m11 + m22], axis=-1),
        ],
        axis=-2,
    )
    diagonal = xp.stack([outer[..., i, i] for i in range(4)], axis=-1)
    best = xp.argmax(diagonal, axis=-1)[..., None, None]
    q = normalize(xp.take_along_axis(outer, best, axis=-2)[..., 0, :])
    return xp.where(q[..., :1] < 0, -q, q)


def quat_yaw(q: Array) -> Array:
    """Heading: the angle about z of the body's x axis seen from above, (...,)."""
    xp = array_namespace(q)
    w, x, y, z = components(q)
    angle = xp.atan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z))
    return np.array([angle]) if type(w) is float else angle


def yaw_quat(angle: Array) -> Array:
    """Rotation by `angle` (...,) about z."""
    xp = array_namespace(angle)
    zero = xp.zeros_like(angle)
    return vector(xp, xp.cos(angle / 2), zero, zero, xp.sin(angle / 2))


def heading_frame(q: Array, v: Array) -> Array:
    """World vector v (..., 3) seen from the frame that shares the body's heading but stays upright."""
    return rotate_about_z(half_turn_to_heading(q), v)


def half_turn_to_heading(q: Array) -> tuple[Array, Array]:
    """Cosine and sine (...,) of half the angle about z that turns world vectors into the heading frame of q."""
    xp = array_namespace(q)
    half = -quat_yaw(q) / 2
    return xp.cos(half), xp.sin(half)


def rotate_about_z(half_turn: tuple[Array, Array], v: Array) -> Array:
    """v (..., 3) turned about z; cosine and sine (...,) of half the angle.

    What `quat_rotate` gives for such a quaternion, bit for bit, without its zeros.
    """
    w, s = half_turn
    x, y, z = components(v)
    if type(x) is float:
        w, s = w.item(), s.item()
    tx, ty = -2.0 * (s * y), 2.0 * (s * x)
    return vector(array_namespace(v), x + w * tx - s * ty, y + w * ty + s * tx, z)


def gravity_direction(q: Array) -> Array:
    """Unit vector of gravity in the body frame, (..., 3); upright is (0, 0, -1).

    `quat_rotate_inverse(q, (0, 0, -1))`, bit for bit, without its zeros.
    """
    w, x, y, z = components(q)
    tx, ty = 2.0 * y, -2.0 * x
    return vector(array_namespace(q), 0.0 + w * tx + z * ty, 0.0 + w * ty - z * tx, y * tx - x * ty - 1.0)


def wrap_angle(angle: Array) -> Array:
    """The same angle in [-π, π)."""
    if type(angle) is np.ndarray and angle.dtype is FLOAT and angle.shape == (1,):  # as in `components`
        return np.array([_wrapped(np, angle.item())])
    return _wrapped(array_namespace(angle), angle)


def _wrapped(xp: Any, angle: Any) -> Any:
    return angle - 2 * np.pi * xp.floor((angle + np.pi) / (2 * np.pi))


def matrix_to_six_dof(m: Array) -> Array:
    """First two rows of a rotation matrix, flattened to (..., 6): a continuous rotation encoding.

    Zhou et al. 2019, "On the Continuity of Rotation Representations in Neural Networks".
    """
    return m[..., :2, :].reshape(*m.shape[:-2], 6)


def six_dof_to_matrix(x: Array) -> Array:
    """Inverse of `matrix_to_six_dof` by Gram-Schmidt; any six numbers give a rotation."""
    xp = array_namespace(x)
    first = normalize(x[..., :3])
    second = x[..., 3:] - xp.sum(first * x[..., 3:], axis=-1, keepdims=True) * first
    second = normalize(second)
    return xp.stack([first, second, cross(first, second)], axis=-2)
