"""Plausibility checks: signs that a capture is not a walk over the ground, before a robot learns from it."""

from __future__ import annotations

import numpy as np

from gait_envs.mocap.cleaning.signal import derivative
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.landmarks import Landmarks, heading

_LOW = 40.0  # percent of the frames, those with an ankle lowest: in them its foot stands, if it ever does
_SLIDE = 0.25  # leg lengths per second: feet that go back so fast while they are low walk on something that moves
_STAYS = 0.3  # of that speed: a root that goes no faster than this stays
_SHORT = 0.5  # s: less than a step and a half


def treadmill(landmarks: Landmarks, stride: float) -> str | None:
    """Why a walk cannot be one over the ground: both feet slide back under a root that stays; None where they do not.

    landmarks are those of the capture, z up, in metres; `stride` in seconds, for the heading.
    """
    if landmarks.frames < 3:
        return None
    yaw, fps = heading(landmarks, stride), landmarks.fps * landmarks.time_scale
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    hips = landmarks.mid("hip")[:, :2]
    root = float(np.mean(np.sum(derivative(hips, fps) * ahead, axis=1)))
    slides = []
    for side in SIDES:
        ankle = landmarks.points[f"{side}_ankle"]
        low = ankle[:, 2] <= np.percentile(ankle[:, 2], _LOW)
        slides.append(-float(np.median(np.sum(derivative(ankle[:, :2], fps) * ahead, axis=1)[low])))
    slide = min(slides)
    if slide < _SLIDE * landmarks.leg_length or abs(root) > _STAYS * slide:
        return None
    return (
        f"the feet slide back at {slide:.2f} m/s under a root that stays, as on a treadmill: the capture lacks its "
        f"way; move its root ahead at that speed first"
    )


def too_short(seconds: float) -> str | None:
    """A note on a clip that is too short to hold a gait."""
    return f"the clip lasts {seconds:.2f} s, less than a step and a half" if seconds < _SHORT else None
