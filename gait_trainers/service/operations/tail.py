"""The end of a text file, however long it is."""

from __future__ import annotations

from pathlib import Path

MOST = 256 << 10  # bytes read at most


def last_lines(file: Path, count: int) -> list[str]:
    """The last lines of a file; none where there is no file."""
    try:
        with open(file, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - MOST))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return [line.rpartition("\r")[2] for line in text.splitlines()][-count:]
