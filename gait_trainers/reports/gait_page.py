"""One page of a walk over the gait cycle: of a human body against normative data, of any body against its reference."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from gait_envs.biomechanics.gait_cycles import MUSCLE_GROUPS, PERCENT
from gait_envs.files import replacing
from gait_envs.reading.outputs import signature
from gait_trainers.evaluation.clinical import Walk, ending, unit
from gait_trainers.evaluation.cycles import JointCycles
from gait_trainers.evaluation.style import CYCLE_POINTS
from gait_trainers.reports.training import FAINT, INK, LEFT, RIGHT, STYLE

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLOURS = (LEFT, RIGHT)  # of the first and the second walker
PEOPLE = "#b9c2cb"
COLUMNS = 5


def draw_page(conditions: Sequence[tuple[str, Walk]], policy: str, path: Path) -> None:
    """A panel for each curve: mean ± standard deviation over the cycles, and the normative band; whole, or none."""
    walks = [result for _, result in conditions]
    names = list(walks[0].gait.curves)
    lines = -(-len(names) // COLUMNS)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(lines, COLUMNS, figsize=(3.0 * COLUMNS, 2.05 * lines), sharex=True, squeeze=False)
        for axis, name in zip(axes.flat, names, strict=False):
            _draw_curve(axis, name, conditions)
        for axis in axes.flat[len(names) :]:
            axis.axis("off")
        for axis in axes.flat[max(0, len(names) - COLUMNS) : len(names)]:
            axis.set_xlabel("% of the gait cycle")
            axis.tick_params(labelbottom=True)
        figure.suptitle(_title(conditions, policy), fontsize=11, x=0.01, ha="left")
        figure.tight_layout(h_pad=0.5, rect=(0, 0, 1, 0.985))
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], **signature(path))
        plt.close(figure)


def _title(conditions: Sequence[tuple[str, Walk]], policy: str) -> str:
    who = [
        f"{label} at {result.gait.speed:.2f} m/s ({colour})"
        for (label, result), colour in zip(conditions, ("blue", "orange"), strict=False)
    ]
    first = conditions[0][1]
    return f"{policy} along {first.name}: {', '.join(who)}; {first.remark or 'normative data ± SD in grey'}"


def _draw_curve(axis: Any, name: str, conditions: Sequence[tuple[str, Walk]]) -> None:
    first = conditions[0][1]
    band, on = first.bands.get(name), first.on_times.get(name)
    if band is not None:
        axis.fill_between(PERCENT, band.mean - band.sd, band.mean + band.sd, color=PEOPLE, alpha=0.5, lw=0)
        axis.plot(PERCENT, band.mean, color=PEOPLE)
    for (_, result), colour in zip(conditions, COLOURS, strict=False):
        mean, sd = result.gait.mean(name), result.gait.sd(name)
        axis.fill_between(PERCENT, mean - sd, mean + sd, color=colour, alpha=0.2, lw=0)
        axis.plot(PERCENT, mean, color=colour)
        axis.axvline(100 * result.gait.foot_off, color=colour, lw=0.7, ls=":")
    if on is not None:  # a bar where the muscle is normally on
        top = axis.get_ylim()[1]
        axis.fill_between(PERCENT, 0.97 * top, top, where=on, color=INK, lw=0, step="mid")
    axis.axhline(0.0, color=FAINT, lw=0.8, zorder=0)
    match = first.matches.get(name)
    fit = "" if match is None or not np.isfinite(match.correlation) else f"  r {match.correlation:.2f}"
    axis.set_title(f"{name.replace('_', ' ')}, {unit(name, tuple(MUSCLE_GROUPS))}{fit}", fontsize=8)
    axis.set_xlim(0, 100)


# -- any body --------------------------------------------------------------------------------------------

PANELS = 3  # in a line


def draw_cycles(walk: JointCycles, policy: str, path: Path) -> None:
    """A panel for each pair of joints, left and right: the mean cycle, and the reference's, dashed; whole, or none."""
    kinds = list(dict.fromkeys(name.removeprefix("left_").removeprefix("right_") for name in walk.joints))
    lines = -(-len(kinds) // PANELS)
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(lines, PANELS, figsize=(3.2 * PANELS, 2.2 * lines), squeeze=False)
        for axis, kind in zip(axes.flat, kinds, strict=False):
            _draw_kind(axis, kind, walk)
        for axis in axes.flat[len(kinds) :]:
            axis.axis("off")
        for axis in axes.flat[max(0, len(kinds) - PANELS) : len(kinds)]:
            axis.set_xlabel("% of the cycle, from a left touchdown")
        against = "dashed: the reference" if walk.theirs is not None else "the reference has no such walk"
        figure.suptitle(
            f"{policy} at {walk.name}: {ending(walk.fall, walk.seconds)} at {walk.speed:.2f} m/s, "
            f"{walk.ours.cadence:.0f} steps/min; left blue, right orange; {against}",
            fontsize=9, x=0.01, ha="left",
        )  # fmt: skip
        figure.tight_layout(h_pad=0.5, rect=(0, 0, 1, 0.98))
        with replacing(path) as temporary:
            figure.savefig(temporary, format=path.suffix[1:], **signature(path))
        plt.close(figure)


def _draw_kind(axis: Any, kind: str, walk: JointCycles) -> None:
    percent = np.linspace(0.0, 100.0, CYCLE_POINTS, endpoint=False)
    for name, colour in ((f"left_{kind}", LEFT), (f"right_{kind}", RIGHT), (kind, INK)):
        if name in walk.joints:
            j = walk.joints.index(name)
            axis.plot(percent, np.degrees(walk.ours.joints[:, j]), color=colour)
            if walk.theirs is not None:
                axis.plot(percent, np.degrees(walk.theirs.joints[:, j]), color=colour, ls="--", lw=0.9, alpha=0.8)
    axis.axhline(0.0, color=FAINT, lw=0.8, zorder=0)
    axis.set_title(f"{kind.replace('_', ' ')}, °")
    axis.set_xlim(0, 100)
