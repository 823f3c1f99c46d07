"""Printing shared by the commands of `gait-data`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import typer
from rich import box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gait_envs.reference.catalogue import Entry, column
from gait_envs.reference.clip import Clip
from gait_envs.reference.course import COURSE, direction

out_console, err_console = Console(), Console(stderr=True)

# Figure -> heading and format of its column in the table of a set.
_COLUMNS = {
    "seconds": ("s", "{:.1f}"),
    "speed": ("m/s", "{:.2f}"),
    "cadence": ("steps /min", "{:.0f}"),
    "stride_length": ("stride m", "{:.2f}"),
    "ankle_path_mm": ("ankle mm", "{:.1f}"),
    "slip_median": ("slip cm/s", "{:.1f}"),
    "balance_mm": ("off mm", "{:.0f}"),
    "feasible_percent": ("can do %", "{:.0f}"),
}
_SCALE = {"slip_median": 100.0}
_ROWS = 40  # clips, and reasons, of a set printed at most; set.json has all


def print_summary(clip: Clip, quality: Mapping[str, float]) -> None:
    """A clip's facts and figures as a table."""
    table = Table(show_header=False, title=plain(clip.name), min_width=48)
    meta = {k: v for k, v in clip.meta.items() if k not in ("quality", "notes", "faults", "body")}
    facts = {
        "model": clip.model,
        "frames": f"{clip.frames} at {clip.fps:g} Hz, {clip.duration:.2f} s",
        "loop": bool(clip.loop),
        "source": clip.source,
        "license": clip.license,
    }
    for key, value in (facts | meta).items():
        table.add_row(key, plain(_cut(value) if key == "cut_s" else _words(value)))
    table.add_section()
    table.add_row("course", _course(quality))
    for key, value in quality.items():
        table.add_row(key, f"{value:.4g}")
    out_console.print(table)


def _words(value: Any) -> str:
    """A value of a clip's facts as people write it."""
    if value is None or isinstance(value, bool):
        return {None: "unknown", True: "yes", False: "no"}[value]
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {_words(item)}" for key, item in value.items())
    if isinstance(value, list | tuple):
        return "; ".join(map(_words, value)) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cut(value: Any) -> str:
    """What was cut out of the capture, [start, end] s."""
    if not (isinstance(value, list) and len(value) == 2):  # somebody else's
        return _words(value)
    start, end = value
    return f"{_words(start)} to {'the end' if end is None else _words(end)}"


def print_set(entries: Sequence[Entry], title: str) -> None:
    """A set's clips as a table with the medians of the fit ones, then why others were set aside."""
    clips = [entry for entry in entries if entry.file]
    fit = [entry for entry in clips if entry.verdict == "fit"]
    widths = {heading: max(4, *map(len, heading.split())) for heading, _ in _COLUMNS.values()}
    table = Table(
        Column("clip", overflow="fold", min_width=12),
        *(Column(heading, justify="right", width=width) for heading, width in widths.items()),
        Column("way", width=9),
        title=plain(title), box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False,  # 80 characters are enough
    )  # fmt: skip
    for entry in clips[:_ROWS]:
        figures = entry.quality or {}
        style = None if entry in fit else "yellow"
        table.add_row(plain(entry.name), *_cells(figures), _course(figures), style=style)
    if len(clips) > _ROWS:
        table.add_row(f"and {len(clips) - _ROWS} more")
    if len(fit) > 1:
        table.add_section()
        medians = {key: float(np.median(column(fit, key))) for key in _COLUMNS if len(column(fit, key))}
        table.add_row("median, fit", *_cells(medians))
    out_console.print(table)
    aside = [entry for entry in entries if entry.verdict != "fit"]
    for entry in aside[:_ROWS]:
        say(f"{entry.verdict:8s} {entry.name}: {'; '.join(entry.faults)}")
    if len(aside) > _ROWS:
        say(f"and {len(aside) - _ROWS} more")


def _course(figures: Mapping[str, float]) -> str:
    """Where a clip leads, in words."""
    told = [figures.get(key) for key in COURSE]
    return "-" if None in told else direction(*told)  # type: ignore[arg-type]


def _cells(figures: Mapping[str, float]) -> list[str]:
    return [form.format(figures[key] * _SCALE.get(key, 1.0)) if key in figures else "-"
            for key, (_, form) in _COLUMNS.items()]  # fmt: skip


def say(text: str, console: Console = out_console, style: str = "") -> None:
    """Print one line as it is: names of files and clips may hold what rich takes for markup."""
    console.print(plain(text, style), soft_wrap=True)


def warn(text: str) -> None:
    """One line on stderr."""
    _complain("warning", "yellow", text)


def fail(text: str) -> None:
    """What ends a command, as one line on stderr."""
    _complain("error", "red", text)


def end(failed: int, of: int) -> None:
    """End a command that went on past what failed: exit status 1, or 2 where there was nothing else."""
    if failed:
        raise typer.Exit(1 if failed < of else 2)


def _complain(kind: str, color: str, text: str) -> None:
    err_console.print(Text.assemble((f"{kind}:", color), " ", plain(text)), soft_wrap=True)


def plain(text: str, style: str = "") -> Text:
    """Text without markup; bytes of a file's name that are no text come as question marks."""
    return Text(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"), style)
