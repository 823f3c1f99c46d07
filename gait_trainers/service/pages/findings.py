"""What a validation and an evaluation say, arranged for a page: the figures that matter first, the rest behind them.

Shapes are those of `policies.validation.validate_bundle` and of the evaluations; a figure that is missing is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gait_trainers.service.pages.formats import figure, size, tables, words

# Key of an evaluation, dotted where it is further in -> what it is called, factor, unit.
HEADLINES = {
    "is_success_rate": ("Follows its command", 100.0, " %"),
    "success_rate": ("Stays up", 100.0, " %"),
    "speed_error": ("Error of speed", 1.0, " m/s"),
    "mpjpe_root": ("Distance about the root", 1.0, " mm"),
    "mpjpe_global": ("Distance in the world", 1.0, " mm"),
    "cadence": ("Cadence", 1.0, " steps/min"),
    "cost_of_transport": ("Cost of transport", 1.0, ""),
    "foot_slip": ("Slip of standing feet", 1.0, " m/s"),
    "r2.60": ("R² after 60 frames", 1.0, ""),
    "root_drift_m.60": ("Drift of the root after 60 frames", 1.0, " m"),
    "rmse_ratio": ("Growth of the error, 1 to 60 frames", 1.0, " ×"),
    "held_out.legs_deg": ("Error of the legs, held-out walkers", 1.0, "°"),
    "generated.stride_percent": ("Error of the stride", 1.0, " %"),
    "generated.slip_cm_s": ("Slip of standing soles", 1.0, " cm/s"),
}
GAIT = {  # the same of a gait page
    "speed": ("Speed", 1.0, " m/s"),
    "cadence": ("Cadence", 1.0, " steps/min"),
    "cadence_difference_percent": ("Cadence, more than the reference", 1.0, " %"),
    "trunk_lean_deg": ("Lean of the trunk", 1.0, "°"),
    "step_length": ("Step length", 1.0, " m"),
    "foot_off": ("Foot off", 1.0, " % of the cycle"),
}
COMPARED = ("passed", "parity.largest_difference", "latency_ms.p50", "latency_ms.p99", "size_bytes")


FIT = {"correlation": "Correlation", "rms": "Difference, RMS"}  # of a curve


@dataclass(frozen=True)
class Table:
    """A table of figures."""

    title: str
    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True)
class Findings:
    """What a page shows of results."""

    headlines: dict[str, str] = field(default_factory=dict)
    details: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # title, figures
    tables: list[Table] = field(default_factory=list)
    passed: bool | None = None


def evaluation(found: Mapping[str, Any] | None) -> Findings | None:
    """Of an evaluation; None where there was none."""
    if not found:
        return None
    own = [_table(key, value) for key, value in found.items() if _records(value)]
    return Findings(_headlines(found, HEADLINES), tables(plain(found)), own)


def gait(found: Mapping[str, Any] | None) -> Findings | None:
    """Of a gait page: how it walked, and how near each curve is to what it is compared with."""
    if not found:
        return None
    rows = [
        [words(name), curve["unit"], *(None if curve.get(key) is None else round(curve[key], 2) for key in FIT)]
        for name, curve in found["curves"].items()
    ]
    table = Table(f"Curves over the gait cycle, against {found['against']}", ["Curve", "Unit", *FIT.values()], rows)
    how = {"Walk": str(found["walk"])} | ({"Fell or strayed": str(found["fall"])} if found.get("fall") else {})
    return Findings(how | _headlines(found, GAIT), [], [table])


def _headlines(found: Mapping[str, Any], known: Mapping[str, tuple[str, float, str]]) -> dict[str, str]:
    figures = flat(found)
    return {
        title: figure(float(f"{figures[key] * factor:.3g}")) + unit
        for key, (title, factor, unit) in known.items()
        if isinstance(figures.get(key), int | float)
    }


def validation(found: Mapping[str, Any] | None) -> Findings | None:
    """Of the validation of a bundle: parity, latency on this machine, size; and the ranges of inputs and outputs."""
    if not found:
        return None
    parity, latency = found.get("parity", {}), found.get("latency_ms", {})
    shown = {}
    if "largest_difference" in parity:
        shown["Parity with torch, largest difference"] = f"{parity['largest_difference']:.1e}"
    shown |= {
        f"Latency {name}": f"{latency[name]:.3g} ms" for name in ("p50", "p99") if isinstance(latency.get(name), float)
    }
    if "size_bytes" in found:
        shown["Size"] = size(found["size_bytes"])
    ranges = [
        Table(title, ["Quantity", "Lowest", "Highest"], [[name, *ends] for name, ends in found[key].items()])
        for key, title in (("observations", "Ranges of the inputs"), ("actions", "Ranges of the outputs"))
        if isinstance(found.get(key), Mapping)
    ]
    rest = {key: value for key, value in found.items() if key not in ("observations", "actions", "files", "passed")}
    return Findings(shown, tables(rest), ranges, found.get("passed"))


def plain(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Without lists of records, which are tables of their own."""
    return {key: value for key, value in tree.items() if not _records(value)}


def flat(tree: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}; lists of records are left out."""
    found: dict[str, Any] = {}
    for key, value in plain(tree).items():
        found |= flat(value, f"{before}{key}.") if isinstance(value, Mapping) else {f"{before}{key}": value}
    return found


def side_by_side(trees: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Key -> its value in each; None where one has no such key."""
    keys = dict.fromkeys(key for tree in trees for key in tree)
    return {key: [tree.get(key) for tree in trees] for key in keys}


def differing(rows: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The rows whose cells are not all alike."""
    return {key: cells for key, cells in rows.items() if any(cell != cells[0] for cell in cells)}


def _records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, Mapping) for item in value)


def _table(key: str, records: list[Mapping[str, Any]]) -> Table:
    """A row for each record, of the columns that hold no further records and are known for some."""
    rows = [flat(record) for record in records]
    columns = [name for name in rows[0] if any(row.get(name) is not None for row in rows)]
    return Table(words(key), [words(name) for name in columns], [[row.get(name) for name in columns] for row in rows])
