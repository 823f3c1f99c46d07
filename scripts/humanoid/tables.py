"""Tables of figures as CSV, read so that a fault names its file and line."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SIDES = ("right", "left")  # the order of the bodies


class TableError(ValueError):
    """A table says something that no body can be built from; names file, line and what is allowed."""


@dataclass(frozen=True)
class Row:
    """One line of a table; values are read by name and kind."""

    where: str  # file and line
    values: dict[str, str]

    def fault(self, message: str) -> TableError:
        return TableError(f"{self.where}: {message}")

    def text(self, name: str, allowed: Iterable[str] | None = None) -> str:
        """A word; one of `allowed` where that is given."""
        value = self.values[name]
        if not value:
            raise self.fault(f"no {name}")
        if allowed is not None and value not in (options := list(allowed)):
            raise self.fault(f"{name} {value!r}; there are {', '.join(options)}")
        return value

    def number(self, name: str, low: float = -1e6, high: float = 1e6) -> float:
        """A number between `low` and `high`."""
        try:
            value = float(self.values[name])
        except ValueError:
            raise self.fault(f"{name} is {self.values[name]!r}, expected a number") from None
        if not low <= value <= high:  # NaN is refused too
            bound = f"at least {low:g}" if value < low else f"between {low:g} and {high:g}"
            raise self.fault(f"{name} is {value:g}, expected {bound}")
        return value

    def numbers(self, *names: str) -> list[float]:
        return [self.number(name) for name in names]

    def given(self, name: str) -> bool:
        """Whether the line has a value there."""
        return bool(self.values[name])


def read_table(path: Path, columns: Iterable[str], key: str | None = None) -> list[Row]:
    """Lines of a table with exactly these columns; no two with the same `key`."""
    expected = list(columns)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise TableError(f"{path}: cannot be read: {error}") from error
    reader = csv.DictReader(text.splitlines(), strict=True)
    if reader.fieldnames != expected:
        raise TableError(
            f"{path}, line 1: columns {', '.join(reader.fieldnames or [])}; expected {', '.join(expected)}"
        )
    rows: list[Row] = []
    seen: set[str] = set()
    for values in reader:
        where = f"{path}, line {reader.line_num}"
        if None in values or None in values.values():
            raise TableError(f"{where}: not {len(expected)} values; a value with a comma needs quotes")
        row = Row(where, {name: value.strip() for name, value in values.items()})
        if key is not None and row.text(key) in seen:
            raise row.fault(f"{key} {row.text(key)!r} is there twice")
        if key is not None:
            seen.add(row.text(key))
        rows.append(row)
    if not rows:
        raise TableError(f"{path}: no line after the first")
    return rows


def axis_column(name: str) -> list[str]:
    """Names of the columns that hold a vector: `name_x`, `name_y`, `name_z`."""
    return [f"{name}_{axis}" for axis in "xyz"]


def full_name(name: str, side: str | None) -> str:
    """Name in the model: `left_femur`, or `pelvis` in the middle."""
    return name if side is None else f"{side}_{name}"


def sides_of(row: Row) -> tuple[str | None, ...]:
    """The sides that a line stands for: right and left, or the one middle."""
    return SIDES if row.text("side", ("both", "middle")) == "both" else (None,)


def mirrored(vector: list[float], side: str | None) -> list[float]:
    """A point given for the left, on a side: y changes sign on the right."""
    x, y, z = vector
    return [x, -y, z] if side == "right" else [x, y, z]


def numbers_text(values: Iterable[float]) -> str:
    """Numbers as MJCF writes them: five decimals, none of them idle."""
    return " ".join(f"{round(value, 5) + 0.0:.5f}".rstrip("0").rstrip(".") for value in values)
