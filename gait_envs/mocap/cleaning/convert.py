"""From a raw capture to one without gaps, evenly sampled, in metres and z up; block by block.

The stages are lazy: frames flow through them in windows that overlap by as much as each stage looks about,
so memory does not grow with the capture and the result is that of the whole capture at once. What the stages
will find is looked up first, by reading all frames once: a gap too long to fill is an error before anything
is written, and the history of the result is complete when its first frame comes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.axes import in_axes, unit_metres, upright
from gait_envs.mocap.capture import BLOCK, Capture, Recorded, SkeletonMotion
from gait_envs.mocap.cleaning.clean import (
    butterworth,
    butterworth_margin,
    butterworth_name,
    check_cutoff,
    resample_motion,
)
from gait_envs.mocap.cleaning.foot_strikes import Strikes
from gait_envs.mocap.cleaning.repair import LONGEST, Faults, repair, repair_margin
from gait_envs.mocap.cleaning.signal import continuous_signs, resampled_frames
from gait_envs.mocap.cleaning.treadmill import FASTEST, facing, moved_on
from gait_envs.mocap.formats.npz import check_finite
from gait_envs.mocap.retarget.joint_names import SIDES, LegsNotFoundError, match_joints
from gait_envs.mocap.retarget.landmarks import extract_landmarks

Frames = tuple[np.ndarray, np.ndarray]  # rotations (t, J, 4), translations (t, J, 3)
_STATURE = 1.70 / 0.82  # of an adult, in leg lengths (hip joint to ankle)


@dataclass(frozen=True)
class Cleaning:
    """Options of cleaning, besides conversion to metres and z up."""

    fps: float | None = None  # frames per second of the result; None: as captured
    low_pass: float | None = None  # Hz
    repair: bool = True
    longest: float = LONGEST  # s, the longest gap that is filled
    unit: str | None = None  # of the file, over what it says or what is detected
    up: str | None = None
    joint_map: Mapping[str, str] | None = None  # role -> joint, for unusual names
    treadmill: tuple[float, float] | None = None  # m/s ahead and to the left that the capture lacks

    def __post_init__(self) -> None:
        """Validated here, so that a wrong value is one error and not one per capture."""
        if self.fps is not None and not 0 < self.fps < np.inf:
            raise MotionError(f"fps is {self.fps:g}; expected a positive number")
        if self.low_pass is not None and not 0 < self.low_pass < np.inf:
            raise MotionError(f"low-pass {self.low_pass:g} Hz: expected a positive number")
        if self.unit is not None:
            unit_metres(self.unit)
        if self.up is not None:
            upright(self.up)
        if not 0 <= self.longest <= 10:
            raise MotionError(f"the longest gap is {self.longest:g} s; expected 0 to 10")
        if self.treadmill is not None and not np.hypot(*self.treadmill) <= FASTEST:
            raise MotionError(f"treadmill speed {self.treadmill} m/s: expected numbers of at most {FASTEST:g} together")


@dataclass(frozen=True)
class Look:
    """What is detected in a capture's first frames."""

    unit: float  # metres a file unit
    up: str
    rest_frames: int  # leading, of a rest pose
    leg: float | None  # m, None where legs were not found
    notes: tuple[str, ...] = ()
    facing: float | None = None  # rad, mean direction once it is z up; None where it turns about or is not known

    @property
    def stature(self) -> float | None:
        """Of an adult with such legs, m."""
        return None if self.leg is None else self.leg * _STATURE


def look(capture: Capture, cleaning: Cleaning) -> Look:
    """Unit and vertical axis as `cleaning` says, else the file, else as the legs' length and direction show."""
    rotations, translations = next(capture.blocks(BLOCK))
    if not (np.isfinite(rotations).all() and np.isfinite(translations).all()):
        rotations, translations, _ = repair(rotations, translations, capture.skeleton, capture.fps, cleaning.longest)
        whole = np.isfinite(rotations).all(axis=(1, 2)) & np.isfinite(translations).all(axis=(1, 2))
        if not whole.any():
            raise MotionError(f"{capture.name}: none of the first {len(whole)} frames is whole")
        rotations, translations = rotations[whole], translations[whole]
    head = SkeletonMotion(
        capture.skeleton,
        rotations,
        translations,
        capture.fps,
        capture.name,
        unit=capture.unit,
        up=capture.up,
        recorded=capture.recorded,
        usual_up=capture.usual_up,
    )
    try:
        seen = extract_landmarks(head, cleaning.joint_map, cleaning.unit, cleaning.up)
    except LegsNotFoundError as error:
        unit = unit_metres(cleaning.unit) if cleaning.unit else capture.unit
        up = cleaning.up or capture.up
        if unit is None or up is None:
            raise MotionError(
                f"{error}. Its unit and vertical axis cannot be detected; give them with --unit and --up"
            ) from error
        return Look(unit, up, 0, None, (f"legs not found: {error}",))
    return Look(seen.unit, seen.up, seen.dropped, seen.leg_length, seen.notes, facing(seen.across("hip")))


def convert(capture: Capture, cleaning: Cleaning | None = None, seen: Look | None = None) -> Capture:
    """The capture cleaned, in metres, z up: its frames made as they are asked for, its history complete.

    Reads the capture through once. Raises `MotionError` for a gap that is too long, for frames that are not
    finite without repair, and for a unit or axis that can neither be read nor detected.
    """
    cleaning = cleaning or Cleaning()
    seen = seen or look(capture, cleaning)
    if cleaning.low_pass is not None:
        check_cutoff(cleaning.low_pass, capture.fps)
    history = [*capture.history]
    out = capture
    if seen.rest_frames:
        history.append(f"{seen.rest_frames} leading frame{'s' * (seen.rest_frames > 1)} of rest pose dropped")
        out = _skip(out, seen.rest_frames)
    if seen.unit != 1.0 or seen.up not in ("z", "+z"):
        history.append(f"from units of {seen.unit:g} m and {seen.up} up to metres and z up")
        out = in_axes(replace(out, unit=seen.unit, up=seen.up), "z", "m")
    out = replace(out, unit=1.0, up="+z", recorded=_recorded(capture, seen))

    faults = Faults(capture.name, capture.fps, cleaning.longest)
    feet = _feet(capture, cleaning) if seen.leg is not None and cleaning.low_pass is not None else {}
    strikes = Strikes(feet)
    for _ in _filtered(_repaired(out, cleaning, faults), cleaning, strikes if feet else None).blocks(BLOCK):
        pass
    faults.check()
    history += faults.history(out.frames)
    notes = [*seen.notes]
    out = _repaired(out, cleaning)
    if cleaning.treadmill is not None:
        ahead, left = cleaning.treadmill
        out = moved_on(out, cleaning.treadmill, seen.facing)
        history.append(f"moved on at {ahead:g} m/s ahead and {left:g} m/s to the left, the treadmill's speed")
    out = _filtered(out, cleaning)
    if cleaning.low_pass is not None:
        history.append(butterworth_name(cleaning.low_pass))
        notes += strikes.notes(f"low-pass {cleaning.low_pass:g} Hz")
    if cleaning.fps is not None and cleaning.fps != capture.fps:
        history.append(f"resampled from {capture.fps:g} to {cleaning.fps:g} Hz (rotations slerp, translations linear)")
        out = _resampled(out, cleaning.fps)
        if out.frames < 2 <= capture.frames:
            seconds = (capture.frames - 1) / capture.fps
            raise MotionError(
                f"{capture.name}: {cleaning.fps:g} frames a second leave one frame of its {seconds:.2f} s"
            )
    return replace(_continuous(out), notes=(*capture.notes, *notes), history=tuple(history))


def cut(capture: Capture, seen: Look, start: float, end: float | None) -> Capture:
    """The frames from `start` to `end` seconds, counted after the rest pose, of a capture that was not converted."""
    last = capture.frames - 1 - seen.rest_frames
    first = round(start * capture.fps)
    stop = last if end is None else min(round(end * capture.fps), last)
    if not 0 <= first < stop:
        seconds = last / capture.fps
        raise MotionError(f"cannot cut from {start:g} s to {stop / capture.fps:g} s: the capture lasts {seconds:.3f} s")
    rest = _skip(capture, seen.rest_frames + first)

    def blocks(size: int) -> Iterator[Frames]:
        left = stop - first + 1
        for rotations, translations in rest.blocks(size):
            if left > 0:
                yield rotations[:left], translations[:left]
            left -= len(rotations)

    return replace(rest, blocks=blocks, frames=stop - first + 1)


def _recorded(capture: Capture, seen: Look) -> Recorded:
    """What it is now, unless it was converted before: then what it was before that."""
    if capture.recorded is None:
        return Recorded(capture.fps, seen.unit, seen.up, seen.rest_frames)
    return replace(capture.recorded, rest_frames=capture.recorded.rest_frames + seen.rest_frames)


def _feet(capture: Capture, cleaning: Cleaning) -> dict[str, int]:
    roles = match_joints(capture.skeleton, cleaning.joint_map)
    return {side: roles[f"{side}_ankle"] for side in SIDES}


# -- stages: each a capture whose frames are made from another's ------------------------------------------


def _skip(capture: Capture, count: int) -> Capture:
    """Without the first `count` frames."""

    def blocks(size: int) -> Iterator[Frames]:
        at = 0
        for rotations, translations in capture.blocks(size):
            start = max(count - at, 0)
            at += len(rotations)
            if start < len(rotations):
                yield rotations[start:], translations[start:]

    return replace(capture, blocks=blocks, frames=capture.frames - count)


def _repaired(capture: Capture, cleaning: Cleaning, faults: Faults | None = None) -> Capture:
    """With short faults filled; `faults` collects them all. Without repair a frame must only be finite."""
    if not cleaning.repair:

        def checked(size: int) -> Iterator[Frames]:
            at = 0
            for block in capture.blocks(size):
                for values in block:
                    check_finite(values, capture.name, at, gaps=False)
                at += len(block[0])
                yield block

        return replace(capture, blocks=checked)

    def fill(window: Window) -> Frames:
        whole = (window.first == 0, window.first + len(window.rotations) == capture.frames)
        rotations, translations, found = repair(
            window.rotations, window.translations, capture.skeleton, capture.fps, cleaning.longest, whole
        )
        if faults is not None:
            faults.add(found, window.first, window.start, window.stop)
        return rotations, translations

    return windowed(capture, repair_margin(cleaning.longest, capture.fps), fill)


def _filtered(capture: Capture, cleaning: Cleaning, strikes: Strikes | None = None) -> Capture:
    """Through the low-pass, if there is one; `strikes` hears what it takes from them."""
    if cleaning.low_pass is None:
        return capture
    cutoff = cleaning.low_pass

    def smooth(window: Window) -> Frames:
        raw = window.rotations, window.translations
        out = butterworth(*raw, cutoff, capture.fps)
        if strikes is not None:
            strikes.add(capture.skeleton, capture.fps, raw, out, window.first, window.start, window.stop)
        return out

    return windowed(capture, butterworth_margin(cutoff, capture.fps), smooth)


def _resampled(capture: Capture, fps: float) -> Capture:
    frames = resampled_frames(capture.frames, capture.fps, fps)

    def blocks(size: int) -> Iterator[Frames]:
        done, first = 0, 0  # frames given out; number of the first frame held
        held: Frames | None = None
        for block in capture.blocks(size):
            held = block if held is None else _join(held, block)
            end = first + len(held[0])
            # Frame i lies between the captured ones about i * capture.fps / fps; both must have come.
            last = frames if end == capture.frames else int(np.ceil((end - 1) * fps / capture.fps))
            for start in range(done, min(last, frames), size):
                wanted = np.arange(start, min(start + size, last, frames))
                yield resample_motion(*held, capture.fps, fps, wanted, first)
            done = max(done, min(last, frames))
            first, held = end - 1, (held[0][-1:], held[1][-1:])

    return replace(capture, blocks=blocks, frames=frames, fps=fps)


def _continuous(capture: Capture) -> Capture:
    """With quaternions that do not change sign from frame to frame."""

    def blocks(size: int) -> Iterator[Frames]:
        before = None
        for rotations, translations in capture.blocks(size):
            rotations = continuous_signs(rotations, before)
            before = rotations[-1]
            yield rotations, translations

    return replace(capture, blocks=blocks)


@dataclass(frozen=True)
class Window:
    """Frames from `first` of a capture on, of which [start, stop) are wanted."""

    rotations: np.ndarray
    translations: np.ndarray
    first: int
    start: int
    stop: int


def windowed(capture: Capture, margin: int, function: Callable[[Window], Frames]) -> Capture:
    """The capture with `function` over windows that show each frame with `margin` frames on both sides.

    `function` gives as many frames as the window has; near the capture's ends there are fewer beside a frame.
    """

    def blocks(size: int) -> Iterator[Frames]:
        held: Frames | None = None
        first, start = 0, 0  # number of the first frame held; of the first not given out
        for block in capture.blocks(max(size, 2 * margin)):
            held = block if held is None else _join(held, block)
            end = first + len(held[0])
            stop = end if end >= capture.frames else end - margin
            if stop <= start:
                continue
            out = function(Window(*held, first, start, stop))
            for at in range(start, stop, size):
                part = slice(at - first, min(at + size, stop) - first)
                yield out[0][part], out[1][part]
            start = stop
            keep = max(start - margin, first)
            held = held[0][keep - first :], held[1][keep - first :]
            first = keep

    return replace(capture, blocks=blocks)


def _join(a: Frames, b: Frames) -> Frames:
    return np.concatenate([a[0], b[0]]), np.concatenate([a[1], b[1]])
