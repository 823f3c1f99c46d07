"""What a folder of clips holds: figures of every clip in `set.json`, and one page that shows the set, `set.png`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gait_envs.files import replacing
from gait_envs.mocap.pages.clip_page import save_figure
from gait_envs.reference.catalogue import Entry, column, counts

COLORS = {"fit": "#2a7f3f", "unfit": "#e66a24", "failed": "#a02020"}
# Figure -> (title, the worse end is the high one). What is drawn, and what the worst clips are named for.
FIGURES = {
    "speed": ("speed (m/s)", None),
    "ankle_path_mm": ("ankles from the captured path (mm)", True),
    "slip_median": ("slip of standing soles (m/s)", True),
    "feasible_percent": ("dynamically feasible frames (%)", False),
    "balance_mm": ("push needed outside the soles (mm)", True),
    "root_acceleration_max": ("largest acceleration of the root (m/s²)", True),
}
_WORST, _LISTED, _WIDTH = 4, 14, 170  # clips named a figure; clips set aside with their reason, and its letters


def write_set(folder: Path, entries: Sequence[Entry]) -> tuple[Path, Path]:
    """Write `set.json` and `set.png` of these entries into the folder, each whole or not at all."""
    fit = [entry for entry in entries if entry.verdict == "fit"]
    medians = {key: float(np.median(column(fit, key))) for key in FIGURES if len(column(fit, key))}
    text = json.dumps(
        {"counts": counts(entries), "medians_of_fit": medians, "clips": [asdict(e) for e in entries]}, indent=1
    )
    path = folder / "set.json"
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    return path, draw_set(folder / "set.png", entries, folder.name)


def draw_set(path: Path, entries: Sequence[Entry], title: str) -> Path:
    """One page: accepted and set aside, histograms of the figures with the worst clips named, reasons."""
    figure = Figure(figsize=(13, 10))
    # Fixed margins: a layout engine draws the page several times over to find them.
    margins = {"left": 0.03, "right": 0.985, "top": 0.935, "bottom": 0.02, "hspace": 0.4, "wspace": 0.1}
    grid = figure.add_gridspec(4, 3, height_ratios=[0.2, 1, 1, 1.1], **margins)
    found = counts(entries)
    _draw_counts(figure.add_subplot(grid[0, :]), found)
    measured = {verdict: [e for e in entries if e.verdict == verdict] for verdict in ("fit", "unfit")}
    for place, (key, (label, worse_high)) in enumerate(FIGURES.items()):
        axes = figure.add_subplot(grid[1 + place // 3, place % 3])
        _draw_histogram(axes, key, label, measured)
        axes.set_xlabel(_worst(measured["fit"], key, worse_high), fontsize=7, loc="left")
    _write_reasons(figure.add_subplot(grid[3, :]), [e for e in entries if e.verdict != "fit"])
    total = max(len(entries), 1)
    share, seconds = found["fit"] / total, column(measured["fit"], "seconds").sum()
    figure.suptitle(f"{title}: {found['fit']} of {len(entries)} captures fit ({share:.0%}), {seconds:.0f} s of motion")
    return save_figure(figure, path)


def _draw_counts(axes: Any, found: Mapping[str, int]) -> None:
    start = 0
    for verdict, count in found.items():
        axes.barh(0, count, left=start, color=COLORS[verdict])
        if count:
            axes.text(start + count / 2, 0, f"{verdict} {count}", ha="center", va="center", color="white", fontsize=9)
        start += count
    axes.set_xlim(0, max(start, 1))
    axes.axis("off")


def _draw_histogram(axes: Any, key: str, label: str, measured: Mapping[str, Sequence[Entry]]) -> None:
    values = {verdict: column(entries, key) for verdict, entries in measured.items()}
    everything = np.concatenate(list(values.values()))
    axes.set_title(label, fontsize=9)
    axes.tick_params(labelsize=7)
    axes.locator_params(nbins=4)
    axes.yaxis.get_major_locator().set_params(integer=True)
    if not len(everything):
        return
    low, high = float(everything.min()), float(everything.max())
    bins = np.linspace(low, high if high > low else low + 1e-3, 21)
    below = np.zeros(len(bins) - 1)
    for verdict, numbers in values.items():  # stacked outlines, which are drawn much faster than bars
        above = below + np.histogram(numbers, bins)[0]
        axes.stairs(above, bins, baseline=below, fill=True, color=COLORS[verdict])
        below = above
    axes.set_ylim(0, 1.05 * below.max())
    if len(values["fit"]):
        middle = float(np.median(values["fit"]))
        axes.axvline(middle, color="black", lw=1)
        axes.text(middle, axes.get_ylim()[1], f" {middle:.3g}", fontsize=7, va="top")


def _worst(entries: Sequence[Entry], key: str, worse_high: bool | None) -> str:
    """The clips at the bad end of a figure, or at both ends where neither is bad."""
    known = sorted((e for e in entries if e.quality and key in e.quality), key=lambda e: (e.quality or {})[key])
    if not known:
        return ""
    chosen = known[-_WORST:][::-1] if worse_high else known[:_WORST] if worse_high is False else [known[0], known[-1]]
    words = "from, to" if worse_high is None else "worst"
    return f"{words}: " + ", ".join(f"{e.name} {(e.quality or {})[key]:.3g}" for e in chosen)


def _write_reasons(axes: Any, entries: Sequence[Entry]) -> None:
    axes.axis("off")
    lines = [f"{e.name}: {e.verdict}: {'; '.join(e.faults)}" for e in entries[:_LISTED]]
    if len(entries) > _LISTED:
        lines.append(f"and {len(entries) - _LISTED} more, all in set.json")
    text = (
        "\n".join(line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..." for line in lines)
        or "nothing was set aside"
    )
    axes.text(0, 1, text, va="top", fontsize=7.5, family="monospace", in_layout=False)
