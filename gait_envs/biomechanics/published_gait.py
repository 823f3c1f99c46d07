"""Published figures of how people walk: joint angles and the ground reaction force over the cycle, cadence, by speed.

Children's, by Schwartz, Rozumalski & Trost (2008); in dimensionless form they serve a body of any size.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.constants import GRAVITY
from gait_envs.reading.text import parse_table, read_text
from gait_envs.reference.clip import ClipError

HARMONICS = 8  # of the cycle that the table holds; finer than that it does not know
# What left and right do alike, seen from the middle of the body, repeats after half a cycle or changes sign.
_EVEN, _ODD = ("pelvis_tilt",), ("pelvis_obliquity", "pelvis_rotation", "trunk_obliquity", "trunk_rotation")


class SpeedError(ClipError):
    """A speed at which no figures are published; says which are."""


def fourier(phase: np.ndarray, harmonics: np.ndarray) -> np.ndarray:
    """Cosines, then sines (T, 2·k) of the cycle's `harmonics` (k,) at phases (T,) in cycles."""
    angle = 2 * np.pi * np.multiply.outer(phase, harmonics)
    return np.concatenate([np.cos(angle), np.sin(angle)], axis=-1)


@dataclass(frozen=True)
class Figures:
    """A walk at one speed. Angles are as the clinic counts them: of the leg whose heel strikes at phase 0, and
    positive for forward tilt, that side up or forward, flexion, adduction, inward turns."""

    speed: float  # m/s
    cycle: float  # s, two steps
    foot_off: float  # phase at which the foot leaves the ground
    curves: dict[str, np.ndarray]  # (1 + 2·HARMONICS,) rad: mean, cosines, sines
    spread: dict[str, float]  # rad, one standard deviation of people
    push: np.ndarray  # (1 + 2·HARMONICS,) weights: the ground's upward push on that foot, as the curves
    push_spread: float  # weights, one standard deviation of people

    def angle(self, name: str, phase: np.ndarray) -> np.ndarray:
        """One angle (T,) rad at phases (T,) in cycles."""
        return _series(self.curves[name], phase)

    def foot_push(self, phase: np.ndarray) -> np.ndarray:
        """The ground's upward push (T,) on that foot, in weights."""
        return _series(self.push, phase)

    def both_push(self, phase: np.ndarray) -> np.ndarray:
        """The ground's upward push (T,) on both feet together, in weights; its mean is 1, as the body neither rises
        nor falls in a cycle."""
        push = self.foot_push(phase) + self.foot_push(phase + 0.5)
        return push + 1.0 - 2 * self.push[0]


def figures_at(speed: float, leg: float) -> Figures:
    """Figures of a walk at `speed` (m/s) on legs `leg` (m) long, hip to floor, between the published groups.

    Walks of bodies of different size are similar at equal speed / √(g·leg), with cadence in proportion to √(g/leg).
    """
    strides = _read(asset_path("humanoid/tables/walking_strides.csv"), 1)
    angles = _read(asset_path("humanoid/tables/walking_angles.csv"), 2)
    forces = _read(asset_path("humanoid/tables/walking_forces.csv"), 2)
    groups = np.array([row[0] for row in strides.values()])
    relative = speed / np.sqrt(GRAVITY * leg)
    if not groups[0] <= relative <= groups[-1]:
        low, high = groups[[0, -1]] * np.sqrt(GRAVITY * leg)
        raise SpeedError(f"speed is {speed:g} m/s; the figures are of {low:.2f} to {high:.2f} m/s for this body")
    between = partial(between_groups, groups=groups, at=relative)
    cadence, foot_off = between(np.array([row[1:] for row in strides.values()]))
    push = between(np.array([forces["vertical", group] for (group,) in strides]))
    names = dict.fromkeys(name for name, _ in angles)
    rows = {name: np.radians(between(np.array([angles[name, group] for (group,) in strides]))) for name in names}
    return Figures(
        speed=speed,
        cycle=float(2 / (cadence * np.sqrt(GRAVITY / leg))),
        foot_off=float(foot_off) / 100,
        curves={name: _curve(name, row[1:]) for name, row in rows.items()},
        spread={name: float(row[0]) for name, row in rows.items()},
        push=_curve("vertical", push[1:]),
        push_spread=float(push[0]),
    )


def groups_of_speed() -> dict[str, float]:
    """Dimensionless speed, over √(g·leg), of each published group of walkers, the slowest first."""
    return {name: row[0] for (name,), row in _read(asset_path("humanoid/tables/walking_strides.csv"), 1).items()}


def between_groups(values: np.ndarray, groups: np.ndarray, at: float) -> np.ndarray:
    """Values (groups, ...) of rising speeds `groups`, at speed `at`."""
    above = int(np.clip(np.searchsorted(groups, at), 1, len(groups) - 1))
    share = (at - groups[above - 1]) / (groups[above] - groups[above - 1])
    return values[above - 1] + share * (values[above] - values[above - 1])


def _series(curve: np.ndarray, phase: np.ndarray) -> np.ndarray:
    """Values (T,) of a mean, cosines and sines at phases (T,) in cycles."""
    return curve[0] + fourier(phase, np.arange(1, HARMONICS + 1)) @ curve[1:]


def _curve(name: str, values: np.ndarray) -> np.ndarray:
    """The Fourier series through values (T,) evenly over a cycle, left and right alike."""
    order = np.arange(1, HARMONICS + 1)
    waves = fourier(np.arange(len(values)) / len(values), order)
    curve = np.concatenate([[values.mean()], 2 / len(values) * values @ waves])
    if name in _EVEN:
        curve[1:][np.tile(order % 2 == 1, 2)] = 0.0
    if name in _ODD:
        curve[0] = 0.0
        curve[1:][np.tile(order % 2 == 0, 2)] = 0.0
    return curve


def _read(path: Path, keys: int) -> dict[tuple[str, ...], list[float]]:
    """Rows of a table of numbers whose first `keys` columns name the row."""
    out = {}
    for line, row in parse_table(read_text(path, ClipError), str(path), ClipError).rows:
        try:
            out[tuple(row[:keys])] = [float(cell) for cell in row[keys:]]
        except ValueError as error:
            raise ClipError(f"{path}, line {line}: {error}") from error
    return out
