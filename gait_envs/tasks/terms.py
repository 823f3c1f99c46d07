"""Reward terms: small pure functions, arrays (n, ...) in, (n,) out, larger is better unless named a cost."""

from __future__ import annotations

import numpy as np

from gait_envs.rotations import Array, array_namespace


def tracking(value: Array, target: Array, sharpness: float) -> Array:
    """exp(-sharpness·|value - target|): 1 on target, with a gradient everywhere."""
    xp = array_namespace(value)
    return xp.exp(-sharpness * xp.abs(value - target))


def progress(speed: Array, target: Array) -> Array:
    """Share of the commanded speed reached, in [-1, 1]: a gradient away from standing still."""
    xp = array_namespace(speed)
    pace = xp.maximum(xp.abs(target), xp.full_like(target, 0.1))
    return xp.clip(speed * xp.sign(target) / pace, -1.0, 1.0)


def near_height(height: Array, target: float, width: float) -> Array:
    """Kernel of the root's height about the target, both in m."""
    xp = array_namespace(height)
    return xp.exp(-(((height - target) / width) ** 2))


def upright(gravity: Array) -> Array:
    """Cosine of the tilt, from the gravity direction in the body frame (n, 3)."""
    return -gravity[..., 2]


def squared(x: Array) -> Array:
    """Sum of squares over the last axis: the size of a cost."""
    return total(x * x)


def mean_square(x: Array) -> Array:
    """Mean square of all numbers of a row, (n, …) to (n,)."""
    flat = x.reshape(x.shape[0], -1)
    return squared(flat) / flat.shape[1]


def total(x: Array) -> Array:
    """Sum over the last axis: `sum`, which for NumPy's few rows takes longer to find its way than to add."""
    xp = array_namespace(x)
    return np.add.reduce(x, axis=-1) if xp is np else xp.sum(x, axis=-1)


def cost_of_transport(torque: Array, rate: Array, velocity: Array, weight: float, slow: float) -> Array:
    """Mechanical power of the servos over weight times speed, without unit; braking costs as driving does.

    torque (n, nu) N·m, rate (n, nu) rad/s, velocity (n, 2) m/s, weight N, slow m/s: lower speeds are raised to it
    """
    xp = array_namespace(torque)
    x, y = velocity[..., 0], velocity[..., 1]
    return total(xp.abs(torque * rate)) / (weight * xp.maximum(xp.sqrt(x * x + y * y), slow))


def foot_load(foot_force: Array) -> Array:
    """Load on each foot, (n, 2) N, of the loads on toe and heel, (n, 4) N."""
    return foot_force[..., ::2] + foot_force[..., 1::2]


def scuff(foot_force: Array, planned: Array, threshold: float) -> Array:
    """How many feet bear load while the plan has them in the air; both (n, 4) N."""
    return total(1.0 * ((foot_load(foot_force) > threshold) & (foot_load(planned) <= threshold)))


def swing(swing_time: Array, short: float, long: float) -> Array:
    """Swing time beyond `short`, capped at `long` (s), summed over the feet that have just landed.

    swing_time (n, 2) s is 0 where a foot has not just landed. Shuffling (many short swings) gives a negative sum.
    """
    xp = array_namespace(swing_time)
    earned = xp.minimum(swing_time, xp.full_like(swing_time, long)) - short
    return total(xp.where(swing_time > 0, earned, xp.zeros_like(earned)))


def stance_slip(foot_force: Array, foot_vel: Array, threshold: float) -> Array:
    """Horizontal speed (m/s) of the soles that bear load, summed over the feet.

    foot_force (n, 4) N as toe and heel of each foot, foot_vel (n, 2, 3) m/s.
    """
    xp = array_namespace(foot_vel)
    load = foot_load(foot_force)
    x, y = foot_vel[..., 0], foot_vel[..., 1]
    speed = xp.sqrt(x * x + y * y)
    return total(xp.where(load > threshold, speed, xp.zeros_like(speed)))


def mean_distance(points: Array, targets: Array) -> Array:
    """Mean Euclidean distance (n,) of points from their targets, both (n, k, 3)."""
    xp = array_namespace(points)
    return xp.mean(xp.sqrt(xp.sum((points - targets) ** 2, axis=-1)), axis=-1)


def procrustes(points: Array, targets: Array) -> Array:
    """The points (n, k, 3) moved, turned and scaled onto their targets by least squares (Umeyama 1991)."""
    xp = array_namespace(points)
    middle, goal = xp.mean(points, axis=1, keepdims=True), xp.mean(targets, axis=1, keepdims=True)
    a, b = points - middle, targets - goal
    u, d, vt = xp.linalg.svd(xp.matmul(xp.matrix_transpose(a), b))
    sign = xp.where(xp.linalg.det(xp.matmul(u, vt)) < 0, -1.0, 1.0)  # a rotation, never a reflection
    d = xp.concat([d[..., :2], d[..., 2:] * sign[:, None]], axis=-1)
    u = xp.concat([u[..., :2], u[..., 2:] * sign[:, None, None]], axis=-1)
    scale = xp.sum(d, axis=-1) / xp.sum(a * a, axis=(1, 2))
    return scale[:, None, None] * xp.matmul(a, xp.matmul(u, vt)) + goal
