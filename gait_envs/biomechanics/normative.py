"""Published curves of how people walk, to compare a walker with: bands of mean and standard deviation at its speed.

Angles and the vertical ground reaction force are embedded (`published_gait`). Moments, powers and the fore–aft force
are read from a folder of the user's, as are the on-times of muscles: their licences do not allow them here.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gait_envs.biomechanics.gait_cycles import MOMENTS, PERCENT, POWERS
from gait_envs.biomechanics.published_gait import Figures, between_groups, figures_at, groups_of_speed
from gait_envs.constants import GRAVITY
from gait_envs.errors import one_line
from gait_envs.reading.loaders import FOLDER, loader
from gait_envs.reading.text import parse_table, read_json, read_text
from gait_envs.reference.clip import MAX_NUMBER, ClipError

COLUMNS = ("variable", "percent_cycle", "speed", "mean_minus_1sd", "mean", "mean_plus_1sd")
# File -> curve of ours -> variable of the file, whose first occurrence counts: the workbook that such files are taken
# from calls the knee's moment to the sides by the same name as the one that extends it, and after it.
FILES = {
    "joint_moments.csv": dict(
        zip(
            MOMENTS,
            ("Hip Ext/Flexion", "Hip Ab/Adduction", "Knee Ext/Flexion", "Ankle Dorsi/Plantarflexion"),
            strict=True,
        )
    ),
    "joint_power.csv": dict(zip(POWERS, ("Hip", "Knee", "Ankle"), strict=True)),
    "grf_bodyweight.csv": {"vertical": "Vertical", "fore_aft": "Anterior/Posterior"},
}
EMG_FILE = "normalActivation.json"
EMG_NAMES = {  # ours -> the file's
    "soleus": "SOLEUS",
    "gastrocnemius": "GASTRO",
    "tibialis anterior": "TIBANT",
    "vasti": "VASLAT",
    "biceps femoris long": "BICFEM",
    "gluteus maximus": "GLUMAX",
    "gluteus medius": "GLUMED",
}


class NormativeError(ClipError):
    """A table of published curves that is missing or cannot be read."""


class Band(NamedTuple):
    """People's curve and how far they are from it as a rule, (51,) each, in the unit of ours."""

    mean: np.ndarray
    sd: np.ndarray


@dataclass(frozen=True)
class Emg:
    """When muscles are on in walking."""

    stance: float  # % of the cycle in which the foot is on the ground
    intervals: dict[str, list[tuple[float, float]]]  # % of the cycle, by our names


@dataclass(frozen=True)
class Tables:
    """What a folder holds: curves (groups of speed, 51) mean and deviation, by our names."""

    curves: dict[str, Band]
    emg: Emg

    def at(self, speed: float, leg: float) -> dict[str, Band]:
        """Every band at a speed (m/s) on legs `leg` (m) long."""
        groups = np.array(list(groups_of_speed().values()))
        relative = speed / np.sqrt(GRAVITY * leg)
        return {
            name: Band(*(between_groups(values, groups, relative) for values in band))
            for name, band in self.curves.items()
        }


def embedded_bands(figures: Figures) -> dict[str, Band]:
    """Angles (degrees) and the upward push (weights) of the published figures."""
    phase, same = PERCENT / 100, np.ones(len(PERCENT))
    bands = {
        name: Band(np.degrees(figures.angle(name, phase)), np.degrees(figures.spread[name]) * same)
        for name in figures.curves
    }
    return bands | {"vertical": Band(figures.foot_push(phase), figures.push_spread * same)}


def bands_at(speed: float, leg: float, tables: Tables | None) -> dict[str, Band]:
    """All bands known at a speed (m/s) on legs `leg` (m) long; a `SpeedError` says which speeds are published."""
    return embedded_bands(figures_at(speed, leg)) | (tables.at(speed, leg) if tables else {})


@loader("normative data", FOLDER)
def read_normative(folder: str | Path) -> Tables:
    """The tables of a folder, in it or below it; a `NormativeError` says what is missing or malformed."""
    folder = Path(folder)
    if not folder.is_dir():
        raise NormativeError(f"{folder}: no such folder; expected one with {', '.join((*FILES, EMG_FILE))}")
    paths = {name: next(iter(sorted(folder.rglob(name))), None) for name in (*FILES, EMG_FILE)}
    missing = [name for name, path in paths.items() if path is None]
    if missing:
        raise NormativeError(f"{folder}: {', '.join(missing)} missing, in it and below it")
    curves: dict[str, Band] = {}
    for name, wanted in FILES.items():
        path = paths[name]
        assert path is not None
        curves |= _read_curves(path, wanted)
    emg = paths[EMG_FILE]
    assert emg is not None
    return Tables(curves, _read_emg(emg))


def _read_curves(path: Path, wanted: dict[str, str]) -> dict[str, Band]:
    """Mean and deviation (groups, 51) of the wanted curves."""
    found: dict[tuple[str, str, float], tuple[float, float]] = {}
    table = parse_table(read_text(path, NormativeError), str(path), NormativeError)
    if tuple(table.columns) != COLUMNS:
        told = one_line(", ".join(table.columns))
        raise NormativeError(f"{path}, line 1: columns {told}; expected {', '.join(COLUMNS)}")
    for line, row in table.rows:
        percent, low, mean, high = (_number(cell, f"{path}, line {line}") for cell in (row[1], *row[3:]))
        found.setdefault((row[0], row[2], percent), (mean, 0.5 * abs(high - low)))
    out = {}
    for curve, variable in wanted.items():
        try:
            both = np.array([[found[variable, group, at] for at in PERCENT.tolist()] for group in groups_of_speed()])
        except KeyError as error:
            variable, group, at = error.args[0]
            raise NormativeError(f"{path}: no row of {variable!r} at {at:g} % of group {group!r}") from None
        out[curve] = Band(both[..., 0], both[..., 1])
    return out


def _read_emg(path: Path) -> Emg:
    """On-times: `Activation` maps muscles to on, off, on, off … in % of the cycle, "na" where there are no more."""
    content = read_json(path, NormativeError)
    stance = _number(_item(content, "NORMAL_STANCE_PHASE", path), f"{path}: NORMAL_STANCE_PHASE")
    activation = _item(content, "Activation", path)
    intervals = {}
    for ours, theirs in EMG_NAMES.items():
        listed = _item(activation, theirs, path)
        if not isinstance(listed, list):
            raise NormativeError(f"{path}: {theirs} is {one_line(repr(listed))}, expected a list of numbers")
        times = [_number(value, f"{path}: {theirs}") for value in listed if value != "na"]
        if len(times) % 2 or times != sorted(times) or not all(0 <= time <= 100 for time in times):
            raise NormativeError(
                f"{path}: {theirs} is {one_line(repr(listed))}; expected ascending pairs in 0 to 100 %"
            )
        intervals[ours] = list(zip(times[::2], times[1::2], strict=True))
    if not 0 < stance < 100:
        raise NormativeError(f"{path}: NORMAL_STANCE_PHASE is {stance:g}, expected 0 to 100 %")
    return Emg(stance, intervals)


def _item(tree: Any, key: str, path: Path) -> Any:
    """A value of a mapping out of JSON."""
    if not isinstance(tree, dict):
        raise NormativeError(f"{path}: {one_line(repr(tree))} where an object with the key {key!r} is expected")
    if key not in tree:
        raise NormativeError(f"{path}: key {key!r} missing")
    return tree[key]


def _number(value: Any, where: str) -> float:
    """A number below MAX_NUMBER, as such or as text."""
    try:
        number = float("none") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        raise NormativeError(f"{where}: {one_line(repr(value))} is not a number") from None
    if not abs(number) < MAX_NUMBER:
        raise NormativeError(f"{where}: {one_line(repr(value))} is not finite or too large")
    return number
