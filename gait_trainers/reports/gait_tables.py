"""Tables of gait analysis: a walk's curves and muscles against normative data, and the usual clinical figures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rich.console import Console

from gait_envs.biomechanics.gait_cycles import SIDES, peaks
from gait_trainers.evaluation.clinical import Walk, ending, rounded, strides, unit
from gait_trainers.reports.tables import UNKNOWN, figure_cells, figure_table

COMPARED = (  # heading, key, format
    ("correlation", "correlation", "{:.2f}"),
    ("difference\nRMS", "rms", "{:.2f}"),
    ("in normative\nSD", "rms_sd", "{:.2f}"),
)
TIMED = (
    ("in normative\non-times", "share", "{:.0%}"),
    ("without\ntiming", "expected", "{:.0%}"),
    ("overlap", "overlap", "{:.2f}"),
)
READ = {  # figure -> words and format
    "speed": ("speed, m/s", "{:.2f}"),
    "step_length": ("step length, m", "{:.2f}"),
    "cadence": ("cadence, steps/min", "{:.0f}"),
    "foot_off": ("foot off, % of the cycle", "{:.0f}"),
    "ankle_power_peak": ("push-off power A2, W/kg", "{:.2f}"),
    "push_off_work": ("push-off work, J/kg", "{:.3f}"),
    "plantarflexion_moment_peak": ("plantarflexion moment, N·m/kg", "{:.2f}"),
    "hip_pull_off_power_peak": ("hip pull-off power H3, W/kg", "{:.2f}"),
    "hip_extension_peak": ("least hip flexion, °", "{:.1f}"),
    "knee_flexion_peak": ("knee flexion in swing, °", "{:.1f}"),
    "dorsiflexion_peak": ("dorsiflexion in stance, °", "{:.1f}"),
    "vertical_peak": ("greatest push of the ground, weights", "{:.2f}"),
}


def print_walk(result: Walk, title: str, console: Console) -> None:
    """Each curve against normative data, and the muscles' timing where there is any."""
    gait, unknown = result.gait, {"rms": None, "rms_sd": None}
    rows = []
    for name, match in result.matches.items():
        rows.append([name.replace("_", " "), unit(name), *figure_cells(rounded(match._asdict()), COMPARED)])
    correlations = [match.correlation for match in result.matches.values()]
    mean = rounded({"correlation": float(np.mean(correlations)) if correlations else np.nan})
    rows.append(["all", "", *figure_cells(mean | unknown, COMPARED)])
    counts = " and ".join(f"{len(gait.curves['vertical'][side])} {side}" for side in SIDES)
    caption = f"{counts} cycles at {gait.speed:.2f} m/s"
    if result.fall:
        caption += f"; {ending(result.fall, result.seconds)}"
    if result.remark:
        caption += f"; {result.remark}"
    headings = ("curve", "unit", *(heading for heading, _, _ in COMPARED))
    console.print(figure_table(title, headings, rows, ("curve", "unit"), caption))
    if result.timings:
        timed = {name: found._asdict() for name, found in result.timings.items()}
        means = {key: np.mean([found[key] for found in timed.values()]) for _, key, _ in TIMED}
        cells = [[name, *figure_cells(rounded(found), TIMED)] for name, found in (timed | {"all": means}).items()]
        console.print(figure_table("activation", ("muscle", *(heading for heading, _, _ in TIMED)), cells, ("muscle",)))


def print_figures(conditions: Sequence[tuple[str, Walk]], console: Console) -> None:
    """The usual clinical figures, one column per condition; of two, also the difference."""
    read = [strides(result.gait) | peaks(result.gait) for _, result in conditions]
    rows = []
    for key, (words, form) in READ.items():
        values = [found[key] for found in read]
        change = [_change(*values, angle=words.endswith("°"))] if len(values) == 2 else []
        rows.append([words, *(form.format(value) if np.isfinite(value) else UNKNOWN for value in values), *change])
    fallen = [result.fall or "no" for _, result in conditions]
    rows.append(["fell or strayed", *fallen, *([""] if len(read) == 2 else [])])
    headings = ("figure", *(label for label, _ in conditions), *(["change"] if len(read) == 2 else []))
    console.print(figure_table(conditions[0][1].name, headings, rows, ("figure",)))


def _change(first: float, second: float, *, angle: bool) -> str:
    """In degrees of an angle, whose zero means nothing; else as a share of the first."""
    if not np.isfinite([first, second]).all():
        return UNKNOWN
    if angle:
        return f"{second - first:+.1f}°"
    return f"{second / first - 1:+.0%}" if first else UNKNOWN
