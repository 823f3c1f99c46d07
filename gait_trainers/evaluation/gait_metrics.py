"""Gait metrics: pure batched functions over recorded rollouts.

Arrays carry time first and episodes second, (T, n, …). `valid` (T, n) marks the frames to measure: an
episode's frames up to and including its last, usually without its first second. Sides are ordered
(left, right), feet (left_toe, left_heel, right_toe, right_heel). SI units; what cannot be measured
(no step taken, no frame left) is NaN, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gait_envs.biomechanics.events import rebounds, stance, stance_times, steps, touchdowns
from gait_envs.constants import GRAVITY
from gait_envs.rotations import heading_frame, quat_rotate, quat_rotate_inverse, quat_yaw
from gait_envs.tasks.success import DRIFT, DRIFT_TIME, SPEED_ERROR, WARMUP

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]

STANCE_LOAD = 0.05  # body weights on a foot from which it counts as standing
MIN_DRIFT_TIME = 2.0  # s; least duration of an episode to measure drift
COLLAPSE_TILT = np.radians(30.0)  # a fall with less tilt than this is a collapse, not a topple
SWAY_TIME = 2.0  # s, about three strides, over which the swaying of the heading averages out
MIN_STEP = 0.01  # m, step lengths below this on average have no meaningful symmetry
FALL_CAUSES = ("forward", "backward", "left", "right", "low", "diverged")


@dataclass(frozen=True)
class Rollout:
    """n recorded episodes; frame 0 is the reset state, frame t the state after step t."""

    qpos: Array  # (T, n, 16) root position, root quaternion wxyz, 9 joints
    qvel: Array  # (T, n, 15) world linear velocity, body angular velocity, 9 joint velocities
    foot_force: Array  # (T, n, 4) N
    foot_pos: Array  # (T, n, 2, 3) m, sole centres in the world
    foot_vel: Array  # (T, n, 2, 3) m/s
    torque: Array  # (T, n, 9) N·m
    command: Array  # (n, 3) forward m/s, leftward m/s, yaw rate rad/s
    valid: Mask  # (T, n) true up to each episode's last frame
    dt: float  # s between frames
    mass: Array  # (n,) kg, of each body
    activation: Array | None = None  # (T, n, m) in [0, 1], of a body that muscles move


def masked_mean(values: Array, mask: Mask) -> Array:
    """Mean over time (axis 0) where mask (T, n) holds: (T, n, …) → (n, …), NaN where it never does."""
    weight = mask.reshape(mask.shape + (1,) * (values.ndim - mask.ndim))
    count = mask.sum(0).reshape(weight.shape[1:])
    total = np.where(weight, values, 0.0).sum(0, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def after_warmup(valid: Mask, dt: float, warmup: float = WARMUP) -> Mask:
    """The frames to measure: all after the first `warmup` seconds; an episode that ended sooner keeps all."""
    frames = round(warmup / dt)
    late = valid & (np.arange(len(valid)) > frames)[:, None]
    return np.where(late.any(0), late, valid)


# -- velocity and path ---------------------------------------------------------------------------------


def heading_velocity(qpos: Array, qvel: Array) -> Array:
    """(…, 3) forward m/s, leftward m/s and yaw rate rad/s, in the frame that yaws with the root."""
    quat = qpos[..., 3:7]
    planar = heading_frame(quat, qvel[..., :3])
    yaw_rate = quat_rotate(quat, qvel[..., 3:6])[..., 2:]
    return np.concatenate([planar[..., :2], yaw_rate], axis=-1)


def speed_error(velocity: Array, command: Array, valid: Mask) -> Array:
    """(n,) m/s, |mean planar heading-frame velocity − commanded one|: (T, n, 3), (n, 3), (T, n)."""
    return np.linalg.norm(masked_mean(velocity[..., :2], valid) - command[:, :2], axis=-1)


def speed_rms(velocity: Array, command: Array, valid: Mask) -> Array:
    """(n,) m/s, rms of the instantaneous forward error; the ripple within each step is part of it."""
    return np.sqrt(masked_mean((velocity[..., 0] - command[:, 0]) ** 2, valid))


def heading_drift(yaw: Array, yaw_rate_command: Array, valid: Mask, dt: float) -> Array:
    """(n,) degrees per 10 s between the heading reached and the one commanded: (T, n), (n,), (T, n).

    Of the last frame, so that the swaying within a stride is part of it.
    """
    last = _heading_error(yaw, yaw_rate_command, dt)[_last_frame(valid), np.arange(yaw.shape[1])]
    return np.degrees(np.abs(last)) * DRIFT_TIME / _drift_duration(valid, dt)


def mean_heading_drift(yaw: Array, yaw_rate_command: Array, valid: Mask, dt: float) -> Array:
    """(n,) degrees per 10 s: as `heading_drift`, of the mean heading of an episode's last `SWAY_TIME`."""
    frames = np.arange(len(yaw))[:, None]
    late = valid & (frames > _last_frame(valid) - round(SWAY_TIME / dt))
    error = masked_mean(_heading_error(yaw, yaw_rate_command, dt), late)
    return np.degrees(np.abs(error)) * DRIFT_TIME / _drift_duration(valid, dt)


def _heading_error(yaw: Array, yaw_rate_command: Array, dt: float) -> Array:
    """(T, n) rad, unwrapped: the heading less the commanded one, from the first frame's on."""
    frames = np.arange(len(yaw))[:, None]
    return np.unwrap(yaw, axis=0) - yaw[0] - yaw_rate_command * dt * frames


def lateral_drift(position: Array, yaw: Array, command: Array, valid: Mask, dt: float) -> Array:
    """(n,) m per 10 s off the commanded path, whatever the progress along it.

    The path starts at the first frame's pose and is a line, or an arc where a yaw rate is commanded.
    Standing still on command, it is the distance wandered. position (T, n, 2), yaw (T, n).
    """
    episode = np.arange(position.shape[1])
    moved = position[_last_frame(valid), episode] - position[0]
    cos, sin = np.cos(yaw[0]), np.sin(yaw[0])
    x = cos * moved[:, 0] + sin * moved[:, 1]  # in the frame of the first heading
    y = -sin * moved[:, 0] + cos * moved[:, 1]
    vx, vy, rate = command.T
    speed = np.hypot(vx, vy)
    still, turning = speed < 1e-9, np.abs(rate) > 1e-9
    line = (vx * y - vy * x) / np.where(still, 1.0, speed)
    turn = np.where(turning, rate, 1.0)
    arc = np.hypot(x + vy / turn, y - vx / turn) - speed / np.abs(turn)
    off = np.where(still, np.hypot(x, y), np.where(turning, arc, line))
    return np.abs(off) * DRIFT_TIME / _drift_duration(valid, dt)


def _last_frame(valid: Mask) -> NDArray[np.intp]:
    """(n,) index of each episode's last frame."""
    return len(valid) - 1 - np.argmax(valid[::-1], axis=0)


def _drift_duration(valid: Mask, dt: float) -> Array:
    """(n,) s from the first frame to the last; NaN for episodes too short to speak of drift."""
    duration = _last_frame(valid) * dt
    return np.where(duration >= MIN_DRIFT_TIME, duration, np.nan)


def followed(success: Mask, speed_error: Array, heading_drift: Array) -> Mask:
    """(n,) `is_success`: episodes that survived, within the limits of `gait_envs.tasks.success`.

    What could not be measured, as the drift of an episode under 2 s, was not followed.
    """
    return success & (speed_error <= SPEED_ERROR) & (np.radians(heading_drift) <= DRIFT)


# -- contact -------------------------------------------------------------------------------------------


def support_shares(contact: Mask, valid: Mask) -> dict[str, Array]:
    """(n,) shares of time on no foot, on one, on both."""
    feet = contact.sum(-1)
    names = ("flight", "single_support", "double_support")
    return {name: masked_mean((feet == count).astype(float), valid) for count, name in enumerate(names)}


def alternation(contact: Mask, valid: Mask) -> Array:
    """(n,) share of consecutive single-support phases that change sides: 1 walks, 0 hops on one leg."""
    single = (contact.sum(-1) == 1) & valid
    side = np.where(single, np.where(contact[..., 0], 1, 2), 0)
    before = np.concatenate([np.zeros_like(side[:1]), side[:-1]])
    episode, frame = np.nonzero((single & (side != before)).T)  # phase starts, by episode, then time
    side_of = side[frame, episode]
    pair = episode[1:] == episode[:-1]
    changes = pair & (side_of[1:] != side_of[:-1])
    pairs = np.bincount(episode[1:][pair], minlength=valid.shape[1])
    changed = np.bincount(episode[1:][changes], minlength=valid.shape[1])
    return np.where(pairs > 0, changed / np.maximum(pairs, 1), np.nan)


def foot_slip(contact: Mask, foot_vel: Array, valid: Mask) -> Array:
    """(n,) m/s, mean horizontal speed of the sole centre over all frames in which that foot stands."""
    speed = np.linalg.norm(foot_vel[..., :2], axis=-1)
    standing = contact & valid[..., None]
    count = standing.sum((0, 2))
    total = np.where(standing, speed, 0.0).sum((0, 2))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


# -- effort and falls ----------------------------------------------------------------------------------


def cost_of_transport(
    torque: Array, joint_vel: Array, velocity: Array, valid: Mask, mass: float | Array, min_speed: float = 0.02
) -> Array:
    """(n,) mechanical work per weight and distance, Σ|τ·q̇|·dt / (m·g·d); torque, joint_vel (T, n, 9).

    Absolute power of each joint: braking costs as much as driving, nothing is regained. The distance is
    the mean planar heading-frame velocity times the time, so that swaying does not count as travel.
    """
    power = masked_mean(np.abs(torque * joint_vel).sum(-1), valid)
    speed = np.linalg.norm(masked_mean(velocity[..., :2], valid), axis=-1)
    moving = speed > min_speed
    return np.where(moving, power / (mass * GRAVITY * np.where(moving, speed, 1.0)), np.nan)


def fall_cause(qpos: Array) -> NDArray[np.str_]:
    """(n,) one of FALL_CAUSES for the states (n, 16) in which episodes ended by a fall.

    Beyond 30° of tilt the side it leans to; below, the robot sank: "low". The lean is read off gravity
    in the body's frame, which stays right beyond 90°, where a heading turns about.
    """
    finite = np.asarray(np.isfinite(qpos).all(-1))
    quat = np.where(finite[:, None], qpos[:, 3:7], [1.0, 0.0, 0.0, 0.0])
    x, y, z = quat_rotate_inverse(quat, np.broadcast_to([0.0, 0.0, -1.0], (len(quat), 3))).T
    pitch = np.where(x > 0, "forward", "backward")
    roll = np.where(y > 0, "left", "right")
    cause = np.where(np.abs(x) >= np.abs(y), pitch, roll)
    cause = np.where(z < -np.cos(COLLAPSE_TILT), "low", cause)
    return np.where(finite, cause, "diverged")


# -- all of it -----------------------------------------------------------------------------------------


def episode_metrics(rollout: Rollout) -> dict[str, Array]:
    """Every figure above, one value per episode (n,)."""
    r, n = rollout, rollout.valid.shape[1]
    yaw = quat_yaw(r.qpos[..., 3:7])
    velocity = heading_velocity(r.qpos, r.qvel)
    measured = after_warmup(r.valid, r.dt)
    contact = stance(r.foot_force, STANCE_LOAD * r.mass * GRAVITY, r.valid)
    step_time, step_length = steps(contact, measured, r.foot_pos, yaw, r.dt)
    stance_time = stance_times(contact, measured, r.dt)
    length = step_length.mean(n)
    symmetry = {
        "step_time_symmetry": step_time.asymmetry(n),
        "step_length_symmetry": np.where(np.abs(length) > MIN_STEP, step_length.asymmetry(n), np.nan),
        "stance_time_symmetry": stance_time.asymmetry(n),
    }
    mean_velocity = masked_mean(velocity, measured)
    landed = touchdowns(contact, measured).sum((0, 2))
    return {
        "speed_error": speed_error(velocity, r.command, measured),
        "speed_rms": speed_rms(velocity, r.command, measured),
        "forward_velocity": mean_velocity[:, 0],
        "lateral_velocity": mean_velocity[:, 1],
        "yaw_rate": mean_velocity[:, 2],
        "yaw_rate_error": np.abs(mean_velocity[:, 2] - r.command[:, 2]),
        "lateral_drift": lateral_drift(r.qpos[..., :2], yaw, r.command, r.valid, r.dt),
        "heading_drift_deg": heading_drift(yaw, r.command[:, 2], r.valid, r.dt),
        "mean_heading_drift_deg": mean_heading_drift(yaw, r.command[:, 2], r.valid, r.dt),
        "foot_slip": foot_slip(contact, r.foot_vel, measured),
        "step_symmetry": np.maximum.reduce(list(symmetry.values())),
        **symmetry,
        **support_shares(contact, measured),
        "alternation": alternation(contact, measured),
        "cadence": 60.0 * landed / (measured.sum(0) * r.dt),
        "rebounds": rebounds(contact, measured),
        "step_length": length,
        "stance_time": stance_time.mean(n),
        "cost_of_transport": cost_of_transport(r.torque, r.qvel[..., 6:], velocity, measured, r.mass),
    }
