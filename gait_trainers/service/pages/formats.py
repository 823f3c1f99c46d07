"""How figures read on a page: durations, sizes, times, numbers."""

from __future__ import annotations

import datetime
import math
from typing import Any

from gait_envs.wording import size_text

DASH = "–"
UNITS = {  # by the end of a key
    "m_s": "m/s", "rad_s": "rad/s", "ms": "ms", "s": "s", "bytes": "bytes", "mb": "MB", "mm": "mm", "deg": "°",
    "percent": "%",
}  # fmt: skip


def duration(seconds: float | None) -> str:
    """95 -> "1 min 35 s"; a dash where it is not known."""
    if seconds is None or not math.isfinite(seconds):
        return DASH
    whole = max(round(seconds), 0)
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def size(number: float | None) -> str:
    """Bytes as `size_text` has them; a dash where they are not known."""
    return DASH if number is None else size_text(number)


def moment(time: datetime.datetime | None) -> str:
    """A time of the database, which is in UTC."""
    return DASH if time is None else f"{time:%Y-%m-%d %H:%M} UTC"


def figure(value: Any) -> str:
    """A value of a table: numbers with four significant digits, lists with commas, words as they are."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
    if isinstance(value, list | tuple):
        return ", ".join(figure(item) for item in value)
    return str(value)


def words(name: str) -> str:
    """A key of a table as words: "latency_p99_ms" -> "Latency p99, ms"."""
    for end, unit in UNITS.items():
        if name.endswith(f"_{end}"):
            name = f"{name.removesuffix(f'_{end}')}, {unit}"
            break
    text = name.replace("_", " ").replace(".", ": ")
    return text[:1].upper() + text[1:]


def tables(tree: Any, title: str = "") -> list[tuple[str, dict[str, Any]]]:
    """A tree of results as flat tables, outermost first: what is no mapping stays in the table of its parent."""
    if not isinstance(tree, dict):
        return []
    flat = {key: value for key, value in tree.items() if not isinstance(value, dict)}
    found = [(title, flat)] if flat else []
    for key, value in tree.items():
        if isinstance(value, dict):
            found += tables(value, f"{title}: {words(key).lower()}" if title else words(key))
    return found
