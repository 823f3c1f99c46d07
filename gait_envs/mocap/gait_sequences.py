"""Two-cycle sequences by phase, from recorded walks and from clips of people: what a RefNN learns from.

A gait cycle begins with the right foot's touchdown. A sequence holds the poses at the phases i / 30 of two cycles, in
axes whose x is the direction of its own path, and is labelled with the stride (m a cycle) and the cadence (steps/min)
that it has, whatever was asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np

from gait_envs.biomechanics.events import touchdown_frames
from gait_envs.errors import MotionError
from gait_envs.models.mirror import Mirror, swapped_sides
from gait_envs.reference.clip import Clip
from gait_envs.reference.pose_features import pose_to_six_dof
from gait_envs.reference.refnn.walks import (
    CYCLE,
    SEQUENCE,
    Sequences,
    WalkError,
    Walks,
    from_coordinates,
    to_coordinates,
)
from gait_envs.rotations import quat_mul, quat_yaw, wrap_angle, yaw_quat

CAPTURED = "captured"  # parameter: 1 for a person's captured walk, 0 for a simulated walker's
ON_FLOOR = 1.0  # N on a sole from which it stands, in a clip whose contacts are estimated
SHORTEST_SWING = 0.15  # s
TURN = np.radians(15.0)  # of the path, from one cycle to the next
SIDEWAYS = np.radians(30.0)  # between the path and where the body faces
UNEVEN = 0.15  # change of stride or duration from one cycle to the next
SHORTEST_STRIDE = 0.3  # m a cycle; less is standing about
CONTINUED = 0.95  # of a cycle, by which the phase goes on before the first touchdown and after the last


class Walk(NamedTuple):
    """One walk with a phase in every frame."""

    qpos: np.ndarray  # (T, 57)
    phase: np.ndarray  # (T,) cycles, increasing
    fps: float
    params: dict[str, float]
    walker: str


class Augmented(NamedTuple):
    """Sequences, and how many possible ones were left out for which reason."""

    sequences: Sequences
    dropped: dict[str, int]


def augment(walks: Iterable[Walk], source: str, license: str, mirror: Mirror | None = None) -> Augmented:
    """The sequences of all walks, one from every touchdown on; with `mirror`, those of the mirror images too.

    Raises WalkError where nothing is left.
    """
    dropped: Counter[str] = Counter()
    motions, params, walkers = [], [], []
    for walk in walks:
        for image in (walk,) if mirror is None else (walk, mirrored(walk, mirror)):
            for motion, stride, cadence in two_cycles(image, dropped):
                motions.append(motion)
                params.append(image.params | {"stride": stride, "cadence": cadence})
                walkers.append(walk.walker)  # an image belongs to its walker: both are held out together
    if not motions:
        why = ", ".join(f"{count} {reason}" for reason, count in dropped.items()) or "no walk has two whole ones"
        raise WalkError(f"no sequence of two gait cycles is left: {why}")
    names = tuple(dict.fromkeys(["stride", "cadence", *(name for own in params for name in own)]))
    table = np.array([[own.get(name, 0.0 if name == CAPTURED else 1.0) for name in names] for own in params])
    sequences = Sequences(table, names, np.stack(motions).astype(np.float32), tuple(walkers), source, license)
    return Augmented(sequences, dict(dropped))


def two_cycles(walk: Walk, dropped: Counter[str]) -> list[tuple[np.ndarray, float, float]]:
    """Sequences (60, 101) of a walk with their stride (m) and cadence (steps/min); what is left out is counted."""
    found = []
    first, last = int(np.ceil(walk.phase[0] + 1 / CYCLE)), walk.phase[-1]
    starts = range(first, int(np.floor(last - (SEQUENCE - 1) / CYCLE)) + 1)
    if not starts:
        dropped["shorter than two cycles"] += 1
    frames = np.arange(len(walk.phase), dtype=float)
    for start in starts:
        phases = start + np.arange(-1, SEQUENCE) / CYCLE  # the frame before gives the first displacement
        at = np.interp(phases, walk.phase, frames)
        poses = interpolate(walk.qpos, at)
        why = unsuitable(poses, at)
        if why:
            dropped[why] += 1
            continue
        way = poses[-1, :2] - poses[0, :2]
        straight = turned(poses, -np.arctan2(way[1], way[0]))
        motion = pose_to_six_dof(straight[1:], before=straight[0, :2])
        seconds = (at[-1] - at[0]) / walk.fps
        found.append((motion, float(np.linalg.norm(way)) / 2, 240.0 / seconds))
    return found


def unsuitable(poses: np.ndarray, at: np.ndarray) -> str | None:
    """Why these poses (61, 57) at the frames (61,) are no steady, straight walk; None if they are."""
    ways = poses[[CYCLE, SEQUENCE], :2] - poses[[0, CYCLE], :2]
    strides, seconds = np.linalg.norm(ways, axis=1), at[[CYCLE, SEQUENCE]] - at[[0, CYCLE]]
    if strides.min() < SHORTEST_STRIDE:
        return "hardly moves"
    path = np.arctan2(ways[:, 1], ways[:, 0])
    if abs(float(wrap_angle(path[1] - path[0]))) > TURN:
        return "turns"
    facing = wrap_angle(quat_yaw(poses[:, 3:7]) - path.repeat([CYCLE, CYCLE + 1]))
    if abs(float(np.mean(facing))) > SIDEWAYS:
        return "walks sideways or backwards"
    if any(abs(pair[1] / pair[0] - 1) > UNEVEN for pair in (strides, seconds)):
        return "uneven cycles"
    return None


def interpolate(qpos: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Poses at fractional frames (k,), by Catmull-Rom splines; the root's quaternion is normalised after it."""
    whole = np.clip(np.floor(at).astype(int), 0, len(qpos) - 2)
    share = (at - whole)[:, None]
    quat = (
        qpos[:, 3:7] * np.cumprod(np.r_[1.0, np.where((qpos[1:, 3:7] * qpos[:-1, 3:7]).sum(1) < 0, -1.0, 1.0)])[:, None]
    )
    table = np.concatenate([qpos[:, :3], quat, qpos[:, 7:]], axis=1)
    p0, p1, p2, p3 = (table[np.clip(whole + k, 0, len(qpos) - 1)] for k in (-1, 0, 1, 2))
    out = p1 + 0.5 * share * (p2 - p0 + share * (2 * p0 - 5 * p1 + 4 * p2 - p3 + share * (3 * (p1 - p2) + p3 - p0)))
    out[:, 3:7] /= np.linalg.norm(out[:, 3:7], axis=1, keepdims=True)
    return out


def turned(qpos: np.ndarray, angle: float) -> np.ndarray:
    """Poses (T, 57) turned by an angle about the vertical through the origin."""
    c, s = np.cos(angle), np.sin(angle)
    place = qpos[:, :2] @ np.array([[c, s], [-s, c]])
    root = quat_mul(yaw_quat(np.full(len(qpos), angle)), qpos[:, 3:7])
    return np.concatenate([place, qpos[:, 2:3], root, qpos[:, 7:]], axis=1)


def mirrored(walk: Walk, mirror: Mirror) -> Walk:
    """The mirror image: the left foot lands half a cycle later, and what the left side had, the right side has."""
    names = list(walk.params)
    other = swapped_sides(names)(np.array([walk.params[name] for name in names]))
    return walk._replace(
        qpos=mirror.qpos(walk.qpos), phase=walk.phase + 0.5, params=dict(zip(names, other.tolist(), strict=True))
    )


# -- sources ----------------------------------------------------------------------------------------------


def recorded(walks: Walks) -> Iterable[Walk]:
    """The walks of a recording, their phases unwrapped."""
    for i, walker in enumerate(walks.walkers):
        coordinates, phase = walks.walk(i)
        params = dict(zip(walks.names, walks.params[i].tolist(), strict=True))
        yield Walk(from_coordinates(coordinates), np.unwrap(phase, period=1.0), walks.fps, params, walker)


def as_walks(walks: Sequence[Walk], source: str, license: str) -> Walks:
    """Walks in the form of recorded ones; all must have the same rate. Raises WalkError where there are none."""
    rates = sorted({walk.fps for walk in walks})
    if len(rates) != 1:
        raise WalkError(f"expected walks of one frame rate, found {rates} Hz")
    names = tuple(dict.fromkeys(name for walk in walks for name in walk.params)) or (CAPTURED,)
    params = np.array([[walk.params.get(name, 0.0 if name == CAPTURED else 1.0) for name in names] for walk in walks])
    motions = np.concatenate([np.column_stack([to_coordinates(walk.qpos), walk.phase % 1.0]) for walk in walks])
    lengths = np.array([len(walk.phase) for walk in walks])
    return Walks(params, names, motions, lengths, tuple(walk.walker for walk in walks), rates[0], source, license)


def captured(clips: Iterable[Clip], dropped: Callable[[str], None]) -> Iterable[Walk]:
    """The walks in clips of people: phases from the right foot's touchdowns; `dropped` is called with the reason for a
    clip that has none."""
    for clip in clips:
        phase = None if clip.contacts is None else phase_of(clip.contacts[:, 2:4], clip.fps)
        if phase is None:
            dropped("no two touchdowns of the right foot")
            continue
        frames, values = phase
        yield Walk(clip.qpos[frames], values, clip.fps, {CAPTURED: 1.0}, str(clip.meta.get("subject") or clip.name))


def phase_of(load: np.ndarray, fps: float) -> tuple[slice, np.ndarray] | None:
    """Frames around the right foot's touchdowns, and their phases (cycles), 0 at the first touchdown.

    load (T, 2) N of its toe and heel. Before the first and after the last touchdown the phase goes on at the rate of
    the next cycle, for up to `CONTINUED` of one. None with fewer than two touchdowns.
    """
    landed = touchdown_frames(load.sum(axis=1) > ON_FLOOR, SHORTEST_SWING * fps)
    if len(landed) < 2:
        return None
    cycles = np.diff(landed)
    ends = landed[0] - CONTINUED * cycles[0], landed[-1] + CONTINUED * cycles[-1]
    first, last = max(0, int(np.ceil(ends[0]))), min(len(load) - 1, int(ends[1]))
    times = np.r_[ends[0], landed, ends[1]]
    phases = np.r_[-CONTINUED, np.arange(len(landed)), len(landed) - 1 + CONTINUED]
    return slice(first, last + 1), np.interp(np.arange(first, last + 1), times, phases)


def of_activity(clips: Sequence[Clip], pattern: str) -> list[Clip]:
    """The clips whose metadata name this activity (a regular expression, anywhere in the text); MotionError if that is
    none."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise MotionError(f"activity {pattern!r}: not a regular expression: {error}") from None
    return [clip for clip in clips if re.search(pattern, str(clip.meta.get("activity", "")))]
