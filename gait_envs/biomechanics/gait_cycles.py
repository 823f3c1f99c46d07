"""Gait analysis as in a clinic: cycles from heel strike to heel strike, and angles, moments, powers over them.

Angles are counted as in `published_gait`. Moments are the body's own (internal), per kg, positive where they extend hip
and knee, abduct the hip and plantarflex the ankle; powers are positive where muscles generate. Ground reaction
forces are in body weights, positive up and forward.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from gait_envs.biomechanics.clinical_angles import clinical_angles
from gait_envs.biomechanics.events import stance_by_load
from gait_envs.constants import GRAVITY
from gait_envs.errors import GaitNetError
from gait_envs.simulation.instruments import Samples

SIDES = ("left", "right")
PERCENT = np.linspace(0.0, 100.0, 51)  # of the cycle, where curves are given, as the published ones
LOADED, UNLOADED = 0.05, 0.02  # weights on a foot: above the one it lands, below the other it has left
BRIEF = 0.08  # s; a contact or a gap shorter than this is none
# Curve -> joint coordinate and the sign that makes it the published one.
MOMENTS = {
    "hip_extension_moment": ("hip_flexion", -1.0),
    "hip_abduction_moment": ("hip_abduction", 1.0),
    "knee_extension_moment": ("knee_flexion", -1.0),
    "ankle_plantarflexion_moment": ("ankle_dorsiflexion", -1.0),
}
POWERS = {
    "hip_power": ("hip_flexion", "hip_abduction", "hip_rotation"),
    "knee_power": ("knee_flexion",),
    "ankle_power": ("ankle_dorsiflexion", "ankle_inversion", "ankle_rotation"),
}
MUSCLE_GROUPS = {  # ours -> units of `muscles.csv`
    "soleus": ("soleus",),
    "gastrocnemius": ("med_gas", "lat_gas"),
    "tibialis anterior": ("tib_ant",),
    "vasti": ("vas_med", "vas_int", "vas_lat"),
    "biceps femoris long": ("bifemlh",),
    "gluteus maximus": ("glut_max1", "glut_max2", "glut_max3"),
    "gluteus medius": ("glut_med1", "glut_med2", "glut_med3"),
}
ACTIVE = 0.2  # of a muscle's greatest activation in the cycle, from which it counts as on


class GaitError(GaitNetError, ValueError):
    """A recording in which there is no gait to analyse."""


class Cycle(NamedTuple):
    """Samples of one foot's strike, of its leaving the ground and of its next strike."""

    strike: int
    off: int
    stop: int


@dataclass(frozen=True)
class Gait:
    """Measurements of a walker over whole cycles; curves (cycles, 51) by name and side."""

    speed: float  # m/s
    stride_time: float  # s
    foot_off: float  # share of the cycle
    curves: dict[str, dict[str, np.ndarray]]  # degrees, N·m/kg, W/kg, weights, activations

    @property
    def step_length(self) -> float:
        """m."""
        return self.speed * self.stride_time / 2

    @property
    def cadence(self) -> float:
        """Cadence, steps/min."""
        return 120.0 / self.stride_time

    def both(self, name: str) -> np.ndarray:
        """All cycles of both legs, (cycles, 51)."""
        return np.concatenate([self.curves[name][side] for side in SIDES])

    def mean(self, name: str) -> np.ndarray:
        """Mean of a curve over the cycles of both legs, (51,), in the curve's unit; KeyError for an unknown name."""
        return self.both(name).mean(axis=0)

    def sd(self, name: str) -> np.ndarray:
        """One standard deviation over the cycles of both legs."""
        return self.both(name).std(axis=0)


# -- cycles --------------------------------------------------------------------------------------------


def find_cycles(on: np.ndarray) -> list[Cycle]:
    """The whole cycles of a foot that stands where `on` (T,) is true."""
    change = np.diff(on.astype(np.int8))
    strikes, offs = np.flatnonzero(change == 1) + 1, np.flatnonzero(change == -1) + 1
    return [Cycle(int(a), int(offs[offs > a][0]), int(b)) for a, b in pairwise(strikes)]


def over_cycle(values: np.ndarray, cycle: Cycle) -> np.ndarray:
    """A series (T,) over one cycle, (51,): at each point the mean over the fiftieth of the cycle about it."""
    width = (cycle.stop - cycle.strike) / (len(PERCENT) - 1)
    centres = cycle.strike + width * np.arange(len(PERCENT))
    low, high = np.clip(centres - width / 2, 0, None), np.clip(centres + width / 2, None, len(values) - 1)
    integral = np.concatenate([[0.0], np.cumsum(0.5 * (values[1:] + values[:-1]))])
    return (_integral(values, integral, high) - _integral(values, integral, low)) / (high - low)


def _integral(values: np.ndarray, integral: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Of straight lines between `values`, from the first to places x (k,) among them; `integral` (T,) is known at each
    of them."""
    i = np.minimum(x.astype(int), len(values) - 2)
    part = x - i
    return integral[i] + part * (values[i] + 0.5 * part * (values[i + 1] - values[i]))


# -- one walker ----------------------------------------------------------------------------------------


def analyse(
    samples: Samples, joint_names: Sequence[str], mass: float, rate: float, muscles: Sequence[str] = ()
) -> Gait:
    """The gait of one walker of `mass` (kg), sampled at `rate` Hz; `muscles` names the samples' activations.

    A `GaitError` says which foot takes no whole cycle.
    """
    load = samples.ground[:, :, 2] / (mass * GRAVITY)
    stands = [stance_by_load(load[:, i], LOADED, UNLOADED, BRIEF * rate) for i in range(len(SIDES))]
    cycles = {side: find_cycles(on) for side, on in zip(SIDES, stands, strict=True)}
    for side, found in cycles.items():
        if not found:
            raise GaitError(f"no whole cycle of the {side} foot, strike to strike, in {len(load) / rate:.1f} s")
    every = [cycle for found in cycles.values() for cycle in found]
    stride = float(np.mean([cycle.stop - cycle.strike for cycle in every]))
    first, last = min(cycle.strike for cycle in every), max(cycle.stop for cycle in every)
    way = headings(samples.qpos[:, :2], round(stride))
    along = np.stack([np.cos(way), np.sin(way)], axis=1)
    curves: dict[str, dict[str, np.ndarray]] = {}
    for i, side in enumerate(SIDES):
        series = joint_series(samples, joint_names, side, way, mass)
        series["vertical"] = load[:, i]
        series["fore_aft"] = np.sum(samples.ground[:, i, :2] * along, axis=1) / (mass * GRAVITY)
        series |= muscle_series(samples.activation, muscles, side)
        for name, values in series.items():
            curves.setdefault(name, {})[side] = np.stack([over_cycle(values, cycle) for cycle in cycles[side]])
    velocity = np.sum(samples.qvel[first:last, :2] * along[first:last], axis=1)
    return Gait(
        speed=float(velocity.mean()),
        stride_time=stride / rate,
        foot_off=float(np.mean([(c.off - c.strike) / (c.stop - c.strike) for c in every])),
        curves=curves,
    )


def headings(path: np.ndarray, stride: int) -> np.ndarray:
    """The way (T,) rad that a path (T, 2) takes over the `stride` samples about each moment, without its sway."""
    half = max(1, stride // 2)
    rows = np.clip(np.arange(len(path)), min(half, len(path) // 2), max(len(path) - 1 - half, len(path) // 2))
    ahead = path[np.minimum(rows + half, len(path) - 1)] - path[np.maximum(rows - half, 0)]
    return np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))


def joint_series(
    samples: Samples, joint_names: Sequence[str], side: str, heading: np.ndarray, mass: float
) -> dict[str, np.ndarray]:
    """Angles (degrees), moments (N·m/kg) and powers (W/kg) of one leg, (T,) each."""
    column = {name.removeprefix(f"{side}_"): i for i, name in enumerate(joint_names) if name.startswith(f"{side}_")}
    moment, rate = samples.moment / mass, samples.qvel[:, 6:]
    angles = clinical_angles(samples.qpos, joint_names, side, heading)
    out = {name: np.degrees(values) for name, values in angles.items()}
    out |= {name: sign * moment[:, column[joint]] for name, (joint, sign) in MOMENTS.items()}
    for name, joints in POWERS.items():
        own = [column[joint] for joint in joints]
        out[name] = np.sum(moment[:, own] * rate[:, own], axis=1)
    return out


def muscle_series(activation: np.ndarray, muscles: Sequence[str], side: str) -> dict[str, np.ndarray]:
    """Mean activation (T,) of each of `MUSCLE_GROUPS` on one side; nothing without muscles."""
    if not muscles:
        return {}
    index = {name: i for i, name in enumerate(muscles)}
    return {
        group: activation[:, [index[f"{side}_{unit}"] for unit in units]].mean(axis=1)
        for group, units in MUSCLE_GROUPS.items()
    }


# -- figures -------------------------------------------------------------------------------------------


def peaks(gait: Gait) -> dict[str, float]:
    """The usual clinical figures; means over the cycles of each cycle's peak.

    NaN is the peak over a part of the cycle that a foot which leaves the ground very early does not have.
    """
    late = PERCENT > 40.0  # push-off and swing
    swing = (PERCENT / 100 - gait.foot_off) > -0.1
    power = np.clip(gait.both("ankle_power")[:, late], 0.0, None)
    return {
        "ankle_power_peak": _peak(gait.both("ankle_power")[:, late]),  # W/kg, A2
        "push_off_work": float(power.sum(axis=1).mean()) * gait.stride_time / (len(PERCENT) - 1),  # J/kg
        "plantarflexion_moment_peak": _peak(gait.both("ankle_plantarflexion_moment")),  # N·m/kg
        "hip_pull_off_power_peak": _peak(gait.both("hip_power")[:, late]),  # W/kg, H3
        "hip_extension_peak": -_peak(-gait.both("hip_flexion")),  # degrees of flexion
        "knee_flexion_peak": _peak(gait.both("knee_flexion")[:, swing]),  # degrees
        "dorsiflexion_peak": _peak(gait.both("ankle_dorsiflexion")[:, ~swing]),  # degrees, in stance
        "vertical_peak": _peak(gait.both("vertical")),  # weights
    }


def _peak(curves: np.ndarray) -> float:
    return float(curves.max(axis=1).mean()) if curves.shape[1] else np.nan


class Match(NamedTuple):
    """How a curve compares with published ones."""

    correlation: float  # Pearson's, over the cycle; NaN of a curve without any change
    rms: float  # root mean square difference
    rms_sd: float  # the same in standard deviations of people, meant over the cycle; NaN where these are 0


def compare(curve: np.ndarray, mean: np.ndarray, sd: np.ndarray) -> Match:
    """Curve (51,) against the mean and standard deviation (51,) of people."""
    a, b = curve - curve.mean(), mean - mean.mean()
    size = np.sqrt((a @ a) * (b @ b))
    rms, spread = float(np.sqrt(np.mean((curve - mean) ** 2))), float(np.mean(sd))
    return Match(float(a @ b / size) if size > 0 else np.nan, rms, rms / spread if spread > 0 else np.nan)


class Timing(NamedTuple):
    """How a muscle's activation lies in its published on-times."""

    share: float  # of all its activation that lies within them
    expected: float  # share of the cycle that they take: what activation without any timing would score
    overlap: float  # Jaccard's index of the times in which it is on and the published ones


def timing(curve: np.ndarray, on: np.ndarray) -> Timing:
    """Activation (51,) against on-times (51,) bool; the cycle's end is its beginning and is not counted twice."""
    curve, on = curve[:-1], on[:-1]
    total = curve.sum()
    own = curve >= ACTIVE * curve.max()
    return Timing(
        float(curve[on].sum() / total) if total > 0 else np.nan,
        float(on.mean()),
        float((own & on).sum() / (own | on).sum()),
    )


def on_times(intervals: Sequence[tuple[float, float]], stance: float, foot_off: float) -> np.ndarray:
    """(51,) bool: where published intervals (% of a cycle with `stance` % of it on the ground) say a muscle is on, in a
    cycle whose foot leaves at `foot_off`, a share: stance and swing are stretched each by itself."""
    off = 100 * foot_off
    there = np.interp(PERCENT, [0.0, off, 100.0], [0.0, stance, 100.0])
    on = np.zeros(len(PERCENT), dtype=bool)
    for low, high in intervals:
        on |= (there >= low) & (there <= high)
    return on


def activation_timing(gait: Gait, published: Mapping[str, np.ndarray]) -> dict[str, Timing]:
    """Timing of each muscle group in both, from the mean cycle of both legs."""
    return {name: timing(gait.mean(name), on) for name, on in published.items() if name in gait.curves}
