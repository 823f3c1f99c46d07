"""When each foot stands in a capture, and where the robot's soles should be so that they stand still.

Captured feet slide a little, are longer than a robot's and bend at the toes. The soles' targets therefore
are rebuilt: flat and fixed while the foot stands, rolling over the heel's edge at the strike and over the
toe's edge at push-off, and following the captured ankle in between.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from gait_envs.biomechanics.events import runs, stance_by_motion
from gait_envs.mocap.cleaning.signal import derivative, envelope, smooth
from gait_envs.mocap.retarget.landmarks import Landmarks
from gait_envs.rotations import wrap_angle

# Proportions of an adult, in leg lengths (hip to ankle), after Winter's anthropometric tables.
_ANKLE_HEIGHT = 0.08
_HEEL_BEHIND_ANKLE = 0.06
# A part of the foot stands while it is lower and slower than this, in leg lengths and leg lengths per second.
_LOW, _SLOW = 0.06, 1.0
_SHORTEST = 0.06  # s, briefer contacts and gaps are noise
_STEP = 0.6  # s within which every walking foot stands once
_UNEVEN = 0.08  # leg lengths
_FLAT = np.radians(3.0)  # a standing foot tilted less than this is meant to be flat
_TURNOUT = np.radians(60.0)  # of a foot against the pelvis; more is a foot that hangs and points nowhere
_TURNING = 0.01  # s, smoothing of the captured foot's turns: a foot is short, and millimetres of noise turn it
_TOUCH = 0.02  # rad, a sole tilted less touches with both ends (3 mm over a 0.15 m sole)


@dataclass(frozen=True)
class CapturedFoot:
    """One foot of the capture."""

    ankle: np.ndarray  # (T, 3) m
    rise: np.ndarray  # (T,) m, of the ankle above where it is in flat stance, on a floor made even
    pitch: np.ndarray  # (T,) rad, toe up, zero in flat stance
    yaw: np.ndarray  # (T,) rad, where it points, seen from above
    roll: np.ndarray  # (T,) rad, left edge up, zero in flat stance; zero where the capture does not know
    heel: np.ndarray  # (T,) bool, the heel stands
    toe: np.ndarray  # (T,) bool, the ball of the foot stands
    length: float  # m, ankle to ball


@dataclass(frozen=True)
class SoleTarget:
    """Where one sole of the robot should be; `ankle` is its ankle joint."""

    ankle: np.ndarray  # (T, 3) m
    pitch: np.ndarray  # (T,) rad, toe up
    yaw: np.ndarray  # (T,) rad
    roll: np.ndarray  # (T,) rad, left edge up
    contact: np.ndarray  # (T, 2) bool: toe, heel


@dataclass(frozen=True)
class SoleShape:
    """A rigid sole seen from the side, in the ankle's frame, m."""

    toe: float  # front edge
    heel: float  # rear edge
    bottom: float


def read_foot(landmarks: Landmarks, side: str) -> CapturedFoot:
    """Contacts and pitch of a captured foot, calibrated on the frames in which it stands flat."""
    ankle, ball = landmarks.points[f"{side}_ankle"], landmarks.points[f"{side}_toe"]
    leg, fps = landmarks.leg_length, landmarks.fps
    scale = landmarks.time_scale / leg  # speeds below are in leg lengths a captured second
    along = ball - ankle
    slope = np.arctan2(along[:, 2], np.linalg.norm(along[:, :2], axis=1))
    ankle_speed = np.linalg.norm(derivative(ankle, fps), axis=1) * scale
    ball_speed = np.linalg.norm(derivative(ball, fps), axis=1) * scale
    floor = _floor(ball[:, 2], leg, fps * landmarks.time_scale)
    ball_rise, rise = ball[:, 2] - floor, ankle[:, 2] - floor
    flat = (ball_rise < _LOW * leg) & (ankle_speed < 0.3 * _SLOW) & (ball_speed < 0.3 * _SLOW)
    if flat.sum() < 3:  # a run: the lowest ankles will do
        flat = rise <= np.percentile(rise, 10)
    pitch = slope - np.median(slope[flat])
    rise = rise - np.median(rise[flat])
    ball_rise = ball_rise - np.median(ball_rise[flat])

    back, height = -_HEEL_BEHIND_ANKLE * leg, -_ANKLE_HEIGHT * leg
    forward = along[:, :2] / np.linalg.norm(along[:, :2], axis=1, keepdims=True)
    heel = ankle.copy()
    heel[:, :2] += forward * (back * np.cos(pitch) - height * np.sin(pitch))[:, None]
    heel[:, 2] = rise + back * np.sin(pitch) + height * (np.cos(pitch) - 1.0)
    heel_speed = np.linalg.norm(derivative(heel, fps), axis=1) * scale
    shortest = round(_SHORTEST * landmarks.time_scale * fps)
    # A foot that hangs from its ankle points nowhere; its sides still tell how it is turned.
    beside = landmarks.points.get(f"{side}_beside", ankle + along[:, [1, 0, 2]] * [-1.0, 1.0, 0.0]) - ankle
    roll = np.arctan2(beside[:, 2], np.linalg.norm(beside[:, :2], axis=1))
    return CapturedFoot(
        ankle=ankle,
        rise=rise,
        pitch=pitch,
        yaw=np.unwrap(np.arctan2(-beside[:, 0], beside[:, 1])),
        roll=roll - np.median(roll[flat]),
        heel=stance_by_motion(heel[:, 2], heel_speed, _LOW * leg, _SLOW, shortest),
        toe=stance_by_motion(ball_rise, ball_speed, _LOW * leg, _SLOW, shortest),
        length=float(np.median(np.linalg.norm(along, axis=1))),
    )


def steadied(foot: CapturedFoot, landmarks: Landmarks) -> CapturedFoot:
    """The foot with its turns smoothed; where and when it stands stays as it was read."""
    sigma = _TURNING * landmarks.time_scale
    pitch, yaw, roll = (smooth(turns, landmarks.fps, sigma) for turns in (foot.pitch, foot.yaw, foot.roll))
    return replace(foot, pitch=pitch, yaw=yaw, roll=roll)


def _floor(height: np.ndarray, leg: float, fps: float) -> np.ndarray:
    """How high the floor is under a part of the foot (T,) m, whose height it follows from below.

    Captured floors drift by centimetres from step to step. By no more than `_UNEVEN`, though: a foot held
    up for long has not found a new floor. `fps` is in captured seconds.
    """
    usual = np.percentile(height, 5)
    local = -envelope(-height, round(_STEP * fps))
    return np.clip(local, usual - _UNEVEN * leg, usual + _UNEVEN * leg)


def sole_target(
    foot: CapturedFoot,
    path: np.ndarray,
    heading: np.ndarray,
    scale: float,
    shape: SoleShape,
    clearance: float,
    turnout: float = 0.0,
    rolling: float = 0.0,
) -> SoleTarget:
    """The robot's sole for a captured foot, standing still in stance.

    `path` (T, 3) m is the captured ankle at the robot's size and place, `heading` (T,) rad the pelvis's;
    `clearance` (m) is kept under the foot at mid-swing. `turnout` and `rolling` are the shares (0 to 1) of
    the captured foot's turn against the pelvis, and of its roll in swing, that the robot's foot takes.
    """
    turned = np.clip(wrap_angle(foot.yaw - heading), -_TURNOUT, _TURNOUT)
    course = heading + turnout * turned
    ankle, yaw, roll = path.copy(), course.copy(), np.zeros(len(path))
    # A long captured foot that rolls over its ball lifts the ankle less, per degree, than the robot's.
    # Below `_FLAT` it is held nearly flat, without a corner in time where it leaves that range.
    pitch = np.sign(foot.pitch) * (np.hypot(foot.pitch, _FLAT) - _FLAT)
    pitch *= min(1.0, foot.length * scale / shape.toe)
    contact = np.zeros((len(ankle), 2), dtype=bool)
    stance = foot.heel | foot.toe
    for start, stop in runs(stance):
        now = slice(start, stop)
        yaw[now] = yaw[now].mean()
        rolled = _rolling(yaw[start], pitch[now], shape)
        place = np.median(path[now, :2] - rolled[:, :2], axis=0)
        ankle[now] = rolled + np.r_[place, 0.0]
        contact[now] = np.stack([pitch[now] <= _TOUCH, pitch[now] >= -_TOUCH], axis=1)
    if stance.any():
        for start, stop in runs(~stance):
            u = _blend(ankle, path, start, stop)
            _blend(yaw, course, start, stop)
            _blend(roll, rolling * foot.roll, start, stop)
            bump = 16 * (u * (1 - u)) ** 2  # 0 at lift-off and touch-down, 1 half-way
            _clear_floor(ankle[start:stop], pitch[start:stop], shape, clearance * bump)
    return SoleTarget(ankle, pitch, yaw, roll, contact)


def _rolling(yaw: float, pitch: np.ndarray, shape: SoleShape) -> np.ndarray:
    """Ankle (T, 3) of a sole that lies flat with its ankle over the origin and tilts over its lower edge."""
    edge = np.where(pitch > 0, shape.heel, shape.toe)
    along = edge - (edge * np.cos(pitch) - shape.bottom * np.sin(pitch))
    up = -(edge * np.sin(pitch) + shape.bottom * np.cos(pitch))
    return np.stack([along * np.cos(yaw), along * np.sin(yaw), up], axis=1)


def _blend(values: np.ndarray, free: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Fill values[start:stop] in place with `free` plus the offset that joins both neighbours smoothly.

    Returns the swing's phase (0 to 1). At the ends of the clip there is one neighbour, whose offset is
    held, and the phase is 0: where the foot goes to, or comes from, is not known.
    """
    whole = start > 0 and stop < len(values)
    before, after = (start - 1, stop) if whole else (stop, stop) if start == 0 else (start - 1, start - 1)
    u = (np.arange(start, stop) - before) / (after - before) if whole else np.zeros(stop - start)
    w = (u**3 * (10 - 15 * u + 6 * u**2)).reshape(-1, *[1] * (values.ndim - 1))
    first, last = values[before] - free[before], values[after] - free[after]
    values[start:stop] = free[start:stop] + first + (last - first) * w
    return u


def _clear_floor(ankle: np.ndarray, pitch: np.ndarray, shape: SoleShape, needed: np.ndarray) -> None:
    """Raise ankles (T, 3) in place so that the sole's lower edge is `needed` (T,) m above the floor."""
    edges = np.array([shape.toe, shape.heel])
    dip = (edges * np.sin(pitch)[:, None] + shape.bottom * np.cos(pitch)[:, None]).min(axis=1)
    lowest = needed - dip
    soft = 0.2 * needed  # rounds the corner between following the path and clearing the floor
    ankle[:, 2] = 0.5 * (ankle[:, 2] + lowest + np.sqrt((ankle[:, 2] - lowest) ** 2 + soft**2))
