"""Putting a capture right before it is converted: low-pass, constant rate, signs of quaternions.

All of this happens once, when a capture is converted, and is written into its history; nothing of it runs in
training. A policy is rewarded for matching the stored frames, so whatever a filter rounds off there, the policy
would be taught to round off; and a clip that was cleaned anew each time it is loaded would not be the clip that was
looked at and measured. For the same reason the low-pass is off unless it is asked for: a heel that strikes is
quicker than the cut-offs that suit the rest of the body (`strikes` says how much of it goes).

Functions take and give arrays: rotations (T, J, 4), sign-continuous or not, and translations (T, J, 3).
"""

from __future__ import annotations

import numpy as np
from scipy.signal import butter, sosfiltfilt

from gait_envs.errors import MotionError
from gait_envs.mocap.cleaning.signal import continuous_signs
from gait_envs.rotations import normalize, quat_slerp

ORDER = 4  # of each of the two passes
_FORGOTTEN = 1e-14  # what is left of a disturbance at a window's edge after `butterworth_margin` frames


# -- low-pass ---------------------------------------------------------------------------------------------


def check_cutoff(cutoff: float, fps: float) -> None:
    """Raise unless a low-pass at `cutoff` (Hz) exists at this rate."""
    if not 0 < cutoff < 0.5 * fps:
        raise MotionError(f"low-pass {cutoff:g} Hz: expected more than 0 and less than half the rate, {0.5 * fps:g} Hz")


def butterworth_name(cutoff: float) -> str:
    """Its entry in the history."""
    return f"low-pass {cutoff:g} Hz, {ORDER}th order Butterworth, zero phase"


def butterworth(
    rotations: np.ndarray, translations: np.ndarray, cutoff: float, fps: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both without what is quicker than `cutoff` (Hz), and without delay.

    A Butterworth filter of 4th order runs over the frames forwards and then backwards, so the delays of the
    two passes cancel and their gains multiply: at `cutoff`, where one pass has its -3 dB, the two leave half
    the amplitude (-6 dB), and above it they fall off as an 8th-order filter does, 48 dB an octave. (The
    custom of gait laboratories, 2nd order twice and called 4th, falls off half as steeply.)

    Rotations are filtered as sign-continuous quaternions and made unit again. Over the tenth of a second
    that the filter looks about, a joint turns little; there the mean of quaternions on their sphere is the mean
    rotation but for terms of third order in the angle, whatever the axis. Rotation vectors would need a
    reference, be wrong far from it and jump at 180°, and integrated increments would drift.
    """
    check_cutoff(cutoff, fps)
    moves = np.ptp(translations, axis=0).any(axis=-1)  # (J,) bones keep their length to the last digit
    out = translations.copy()
    out[:, moves] = _filtfilt(translations[:, moves], cutoff, fps)
    turns = np.ptp(rotations, axis=0).any(axis=-1)
    turned = rotations.copy()
    turned[:, turns] = normalize(_filtfilt(continuous_signs(rotations[:, turns]), cutoff, fps))
    return turned, out


def _filtfilt(values: np.ndarray, cutoff: float, fps: float) -> np.ndarray:
    """Values (T, ...) filtered; each end goes on as its own mirror image through the end point."""
    if len(values) < 2 or values.size == 0:
        return values.copy()
    sos = butter(ORDER, cutoff, fs=fps, output="sos")
    pad = min(butterworth_margin(cutoff, fps), len(values) - 1)
    return sosfiltfilt(sos, values, axis=0, padlen=pad)


def butterworth_margin(cutoff: float, fps: float) -> int:
    """Frames after which the effect of a window's cut has decayed, by the filter's slowest pole."""
    check_cutoff(cutoff, fps)
    poles = butter(ORDER, cutoff, fs=fps, output="zpk")[1]
    return int(np.ceil(np.log(_FORGOTTEN) / np.log(np.abs(poles).max())))


# -- constant rate ----------------------------------------------------------------------------------------


def resample_motion(
    rotations: np.ndarray, translations: np.ndarray, fps: float, new_fps: float, wanted: np.ndarray, first: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The frames `wanted` (k,) at `new_fps`, frame i at time i / new_fps, out of frames at `fps`.

    The given frames are those from `first` on of the capture; all that is wanted must lie within them.
    Between two frames rotations turn evenly the short way (slerp), translations go straight. Going down to
    less than twice what the motion holds folds quick shakes into slow ones: low-pass before.
    """
    place = wanted * (fps / new_fps) - first
    at = np.clip(np.floor(place).astype(int), 0, max(len(rotations) - 2, 0))
    u = np.clip(place - at, 0.0, 1.0)[:, None]  # (k, 1)
    after = np.minimum(at + 1, len(rotations) - 1)
    turned = quat_slerp(rotations[at], rotations[after], np.broadcast_to(u, (len(at), rotations.shape[1])))
    return turned, translations[at] + u[..., None] * (translations[after] - translations[at])
