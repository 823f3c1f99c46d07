"""Where captures come from and what may be done with them: a CSV table, a row a file.

    file,source,license,subject,activity
    02/02_01.amc,CMU 02_01,CMU: free for all uses,02,walk

`file` is a path from the table's own folder, or a bare name; the other columns may be missing or empty.
"""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from gait_envs.motion.skeleton import MotionError

FIELDS = ("source", "license", "subject", "activity")


@dataclass(frozen=True)
class ProvenanceTable:
    """Rows of a table by path and by name."""

    path: Path
    by_path: dict[Path, dict[str, str]]  # absolute
    by_name: dict[str, dict[str, str]]  # names that the table has once

    def of(self, capture: str | os.PathLike[str]) -> dict[str, str]:
        """What the table says about a capture: its fields that are not empty; nothing if it has no row."""
        capture = Path(capture)
        return self.by_path.get(capture.resolve()) or self.by_name.get(capture.name) or {}


def read_table(path: str | os.PathLike[str]) -> ProvenanceTable:
    """Read a table; a fault is a `MotionError` that names the file, the line and the columns allowed."""
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise MotionError(f"{path}: cannot be read: {error}") from error
    reader = csv.DictReader(text.splitlines(), strict=True)
    columns = [name.strip() for name in reader.fieldnames or []]
    reader.fieldnames = columns
    allowed = f"expected the columns file, {', '.join(FIELDS)}"
    unknown = [name for name in columns if name not in ("file", *FIELDS)]
    if "file" not in columns or unknown or len(set(columns)) != len(columns):
        raise MotionError(f"{path}, line 1: columns {', '.join(columns) or 'none'}; {allowed}")
    by_path: dict[Path, dict[str, str]] = {}
    names: dict[str, list[dict[str, str]]] = {}
    try:
        for row in reader:
            where = f"{path}, line {reader.line_num}"
            if None in row or None in row.values():
                raise MotionError(f"{where}: not {len(columns)} values; a value with a comma needs quotes")
            file = row["file"].strip()
            if not file:
                raise MotionError(f"{where}: no file")
            fields = {key: row[key].strip() for key in FIELDS if row.get(key, "").strip()}
            full = (path.parent / file).resolve()
            if full in by_path:
                raise MotionError(f"{where}: {file} is there twice")
            by_path[full] = fields
            names.setdefault(Path(file).name, []).append(fields)
    except csv.Error as error:
        raise MotionError(f"{path}, line {reader.line_num}: {error}") from error
    return ProvenanceTable(path, by_path, {name: rows[0] for name, rows in names.items() if len(rows) == 1})
