"""Where a motion leads, seen from the body: how fast ahead, to the left, and turning."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gait_envs.reference.clip import Clip
from gait_envs.rotations import quat_yaw, wrap_angle

COURSE = ("speed_ahead", "speed_left", "turn_rate")  # as figures of a clip
NAMES = ("m/s ahead", "m/s to the left", "rad/s turning left")
_SECTORS = ("ahead", "ahead and left", "left", "back and left", "back", "back and right", "right", "ahead and right")
_STAYS = 0.05  # m/s
_TURNS = 0.2  # rad/s


def course(qpos: np.ndarray, fps: float) -> np.ndarray:
    """Speed ahead and to the left (m/s) and turn rate (rad/s) from each frame to the next, (T - 1, 3), of (T, nq)."""
    yaw = quat_yaw(qpos[:, 3:7])
    turn = wrap_angle(np.diff(yaw))
    middle = yaw[:-1] + 0.5 * turn
    step = np.diff(qpos[:, :2], axis=0)
    ahead = step[:, 0] * np.cos(middle) + step[:, 1] * np.sin(middle)
    left = step[:, 1] * np.cos(middle) - step[:, 0] * np.sin(middle)
    return fps * np.stack([ahead, left, turn], axis=1)


def seconds_of(clips: Iterable[Clip]) -> np.ndarray:
    """Means of the course over each second of the clips, (k, 3); what is left of a clip, from half a second on, counts
    as one, and so does a clip that is shorter."""
    means = []
    for clip in clips:
        rates = course(clip.qpos, clip.fps)
        size = max(1, round(clip.fps))
        parts = [rates[start : start + size] for start in range(0, len(rates), size)]
        means += [part.mean(axis=0) for part in parts[:1] + [part for part in parts[1:] if 2 * len(part) >= size]]
    return np.array(means).reshape(-1, 3)


def direction(ahead: float, left: float, turning: float) -> str:
    """The course in a word or two: "ahead", "back and left", "in place, turning right"."""
    where = "in place"
    if np.hypot(ahead, left) >= _STAYS:
        where = _SECTORS[round(np.arctan2(left, ahead) / (np.pi / 4)) % 8]
    return where + (f", turning {'left' if turning > 0 else 'right'}" if abs(turning) >= _TURNS else "")


def spread(seconds: np.ndarray) -> np.ndarray:
    """What nearly all seconds (k, 3) lie between, (2, 3): the 5th and the 95th percentile."""
    return np.percentile(seconds, [5, 95], axis=0)


def describe(what: str, clips: int, seconds: np.ndarray) -> str:
    """What a reference shows, as one line; `what` it is called."""
    low, high = (np.round(each, 2) + 0.0 for each in spread(seconds))  # no -0.00
    shown = ", ".join(f"{a:.2f} to {b:.2f} {name}" for a, b, name in zip(low, high, NAMES, strict=True))
    return f"{what}, {clips} clip{'s' * (clips != 1)}, moves at {shown} (seconds, 5th to 95th percentile)"
