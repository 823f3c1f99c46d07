"""How numbers are written for people: counts of things, and sizes of files."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """ "1 clip", "2 clips", "3,000 clips"."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def size_text(number: float) -> str:
    """Bytes in the largest decimal unit that leaves at least one: 1_250_000 -> "1.2 MB"."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 100 else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"
