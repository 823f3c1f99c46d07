"""Plausibility checks: signs that a capture is not a walk over the ground, before a robot learns from it."""

from __future__ import annotations

import numpy as np

from gait_envs.biomechanics.events import runs
from gait_envs.mocap.cleaning.signal import derivative
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.landmarks import Landmarks, heading

_LOW = 40.0  # percent of the frames, those with an ankle lowest: in them its foot stands, if it ever does
_SLIDE = 0.25  # leg lengths per second: feet that slide so fast while they are low walk on something that moves
_STAYS = 0.3  # of that speed: a root that goes no faster than this stays
_APART = 0.5  # of that speed: feet on one belt do not differ by more
_SHORT = 0.5  # s: less than a step and a half
_FLOATS = 0.3  # of the frames in which no foot stands though the body does not fall
_FALLS = 2.5  # m/s²: a body in the air falls at 9.8, the middle of its hips a little slower
_IN_THE_AIR = 0.05  # s: shorter is uncertain contact
_LIES = 0.35  # leg lengths from the ankles up to the hips, most of the time: less is no stance


def doubts(landmarks: Landmarks, stride: float) -> list[str]:
    """Why a capture cannot be that of a body on its feet on a floor that rests; empty where it can.

    landmarks are those of the capture, z up, in metres; `stride` in seconds, for the heading.
    """
    found = (lies(landmarks), treadmill(landmarks, stride))
    return [doubt for doubt in found if doubt]


def treadmill(landmarks: Landmarks, stride: float) -> str | None:
    """Why a walk cannot be one over the ground: both feet slide alike under a root that stays; None where it can."""
    if landmarks.frames < 3:
        return None
    yaw, fps = heading(landmarks, stride), landmarks.fps * landmarks.time_scale
    ahead = np.stack([np.cos(yaw), np.sin(yaw)], axis=1)
    axes = np.stack([ahead, ahead[:, ::-1] * [-1.0, 1.0]], axis=1)  # (T, 2, 2) ahead, left

    def speed(path: np.ndarray) -> np.ndarray:
        return np.einsum("tki,ti->tk", axes, derivative(path[:, :2], fps))

    root = speed(landmarks.mid("hip")).mean(axis=0)
    slides = []
    for side in SIDES:
        ankle = landmarks.points[f"{side}_ankle"]
        low = ankle[:, 2] <= np.percentile(ankle[:, 2], _LOW)
        slides.append(-np.median(speed(ankle)[low], axis=0))
    slide = 0.5 * (slides[0] + slides[1])  # (2,) of the floor under the body
    fast = float(np.linalg.norm(slide))
    one_belt = np.linalg.norm(slides[0] - slides[1]) <= _APART * fast
    if fast < _SLIDE * landmarks.leg_length or not one_belt or np.linalg.norm(root) > _STAYS * fast:
        return None
    told = f"{slide[0]:.2f}" + (f",{slide[1]:.2f}" if abs(slide[1]) > 0.2 * fast else "")
    way = "back" if slide[0] > abs(slide[1]) else "ahead" if -slide[0] > abs(slide[1]) else "sideways"
    return (
        f"the feet slide {way} at {fast:.2f} m/s under a root that stays, as on a treadmill: the capture lacks its "
        f"way; give the treadmill's speed with --treadmill-speed={told}"
    )


def lies(landmarks: Landmarks) -> str | None:
    """Why a body is not on its feet: its hips are hardly above its ankles; None where they are."""
    rise = float(np.median((landmarks.mid("hip") - landmarks.mid("ankle"))[:, 2])) / landmarks.leg_length
    if rise >= _LIES:
        return None
    return (
        f"the hips are {rise:.2f} leg lengths above the ankles most of the time: the body lies, sits or crawls, and "
        f"only its feet are made to stand; if it stands, the vertical axis is wrong: give --up"
    )


def floats(landmarks: Landmarks, stands: np.ndarray) -> str | None:
    """A note on a body that no foot carries, in the frames of `stands` (T,) bool, although it does not fall."""
    fps = landmarks.fps * landmarks.time_scale
    speed = derivative(landmarks.mid("hip")[:, 2], fps)
    flights = [(start, stop) for start, stop in runs(~stands) if stop - start >= max(2, _IN_THE_AIR * fps)]
    floating = [
        stop - start for start, stop in flights
        if (speed[stop - 1] - speed[start]) * fps > -_FALLS * (stop - 1 - start)
    ]  # fmt: skip
    share = sum(floating) / landmarks.frames
    if share <= _FLOATS:
        return None
    return (
        f"no foot stands in {100 * share:.0f} % of the frames, though the body does not fall: an uneven floor, feet "
        f"that slide, or wrong units or rate; see --unit, --captured-fps and --treadmill-speed"
    )


def too_short(seconds: float) -> str | None:
    """A note on a clip that is too short to hold a gait."""
    if seconds >= _SHORT:
        return None
    return (
        f"the clip lasts {seconds:.2f} s, less than a step and a half: leave it out, or give its true rate with "
        f"--captured-fps if it is meant to last longer"
    )
