"""Tables of evaluations: walking per command, tracking per clip, recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from rich.console import Console

from gait_envs.wording import counted
from gait_trainers.evaluation.record import METRICS, Recorded
from gait_trainers.evaluation.tracking import worst_first
from gait_trainers.evaluation.walking import show_command
from gait_trainers.reports.tables import figure_cells, figure_table, show_falls

SHOWN = 40  # clips in a table; of more, the hardest

# -- walking -------------------------------------------------------------------------------------------

WALKING = (  # heading, key, format
    ("success", "success_rate", "{:.0%}"),
    ("fol-\nlowed", "is_success_rate", "{:.0%}"),
    ("speed\nm/s", "forward_velocity", "{:.2f}"),
    ("error\nm/s", "speed_error", "{:.3f}"),
    ("lateral\nm/10 s", "lateral_drift", "{:.2f}"),
    ("heading\n°/10 s", "heading_drift_deg", "{:.1f}"),
    ("slip\nm/s", "foot_slip", "{:.3f}"),
    ("asym-\nmetry", "step_symmetry", "{:.1%}"),
    ("single\nsupport", "single_support", "{:.0%}"),
    ("alter-\nnation", "alternation", "{:.0%}"),
    ("steps\n/min", "cadence", "{:.0f}"),
    ("step\nm", "step_length", "{:.2f}"),
    ("cost of\ntransport", "cost_of_transport", "{:.2f}"),
    ("style", "style_score", "{:.2f}"),
)
WIDE, NARROW_COLUMNS = 148, 7  # characters that all of them take; those shown where there is less room


def table_rows(result: Mapping[str, Any], columns: int = len(WALKING)) -> list[list[str]]:
    """The table's cells, one row per command and one for all of them, with the first `columns` figures."""
    rows = [(show_command(row["command"]), row) for row in result["per_command"]]
    return [
        [name, *figure_cells(row, WALKING[:columns]), show_falls(row["falls"])]
        for name, row in [*rows, ("all", result)]
    ]


def print_table(result: Mapping[str, Any], console: Console) -> None:
    """The table as wide as the terminal allows: on a narrow one the figures of the gait are left out."""
    columns = len(WALKING) if console.width >= WIDE else NARROW_COLUMNS
    title = f"{result['policy']}: {counted(result['episodes'], 'episode')}, {result['mode']}"
    caption = f"gait figures need {WIDE} columns, or --json" if columns < len(WALKING) else ""
    headings = ("command\nm/s", *(heading for heading, _, _ in WALKING[:columns]), "falls")
    console.print(figure_table(title, headings, table_rows(result, columns), ("falls",), caption))


# -- following clips -----------------------------------------------------------------------------------

TRACKING = (  # heading, key, format
    ("length\ns", "seconds", "{:.1f}"),
    ("speed\nm/s", "speed", "{:.2f}"),
    ("success", "success_rate", "{:.0%}"),
    ("reached", "progress", "{:.0%}"),
    ("global\nmm", "mpjpe_global", "{:.1f}"),
    ("root-rel.\nmm", "mpjpe_root", "{:.1f}"),
    ("aligned\nmm", "mpjpe_aligned", "{:.1f}"),
    ("velocity\nm/s", "velocity_error", "{:.3f}"),
    ("acceleration\nrad/s²", "acceleration_error", "{:.0f}"),
)


def print_tracking(result: Mapping[str, Any], console: Console) -> None:
    """One row per clip (of many, only the hardest), and one for all."""
    rows = result["per_clip"]
    left_out = len(rows) - SHOWN
    if left_out > 0:
        rows = worst_first(rows)[:SHOWN]
    title = f"{result['policy']} along {show_reference(result['reference'])}: "
    title += f"{counted(result['episodes'], 'episode')}, {result['mode']}"
    limit = result["max_distance"]
    caption = "failure: a fall" + (f", or bodies {limit:g} m off the clip on average" if limit else "")
    if left_out > 0:
        caption += f"; the {SHOWN} hardest of {len(result['per_clip'])} clips, --json has all"
    headings = ("clip", *(heading for heading, _, _ in TRACKING), "failures")
    cells = [[row["clip"], *figure_cells(row, TRACKING), show_falls(row["falls"])] for row in rows]
    last = {"seconds": None, "speed": None, **result}  # the mean of lengths or speeds is meaningless
    cells.append(["all", *figure_cells(last, TRACKING), show_falls(result["falls"])])
    console.print(figure_table(title, headings, cells, ("clip", "failures"), caption))


def show_reference(reference: str | Sequence[str]) -> str:
    """The source of the clips, for a title."""
    return reference if isinstance(reference, str) else ", ".join(reference)


# -- recordings ----------------------------------------------------------------------------------------

RECORDING = (  # heading, key, format
    ("off\nmm", "mpjpe_global", "{:.0f}"),
    ("speed\nm/s", "forward_velocity", "{:.2f}"),
    ("slip\nm/s", "foot_slip", "{:.3f}"),
    ("load\ncarried", "load_carried", "{:.0%}"),
    ("torque\nN·m", "torque_rms", "{:.2f}"),
    ("at its\nlimit", "torque_saturated", "{:.1%}"),
)


def print_recorded(recorded: Recorded, title: str, console: Console) -> None:
    """One row per clip that was followed (of many, only the hardest), and one for all."""
    names, caption = list(recorded.success), ""
    if len(names) > SHOWN:
        names = sorted(names, key=recorded.success.__getitem__)[:SHOWN]
        caption = f"the {SHOWN} hardest of {len(recorded.success)} clips; {METRICS} has all that were kept"
    headings = ("clip", "tracked", "kept", *(heading for heading, _, _ in RECORDING))
    rows = [
        [name, *_cells([recorded.success[name]], [found for found in recorded.figures if found["from"] == name])]
        for name in names
    ]
    rows.append(["all", *_cells(list(recorded.success.values()), recorded.figures)])
    console.print(figure_table(title, headings, rows, ("clip",), caption))


def _cells(success: Sequence[float], figures: Sequence[Mapping[str, Any]]) -> list[str]:
    """Share tracked, recordings kept, and the means of what could be measured of them."""
    known = {key: [row[key] for row in figures if row[key] is not None] for _, key, _ in RECORDING}
    means = {key: np.mean(values) if values else None for key, values in known.items()}
    return [f"{np.mean(success):.0%}", str(len(figures)), *figure_cells(means, RECORDING)]
