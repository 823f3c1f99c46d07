"""Where captures come from and what may be done with them: a CSV table, a row a file, and what lies beside a BVH.

    file,source,license,subject,activity
    02/02_01.amc,CMU 02_01,CMU: free for all uses,02,walk

`file` is a path from the table's own folder, or a bare name, which is that file in any folder; the other columns may
be missing or empty.

A BVH has no place for such facts, so what we write has them beside it, in NAME.json: origin, history, notes and what
the capture was before it was converted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gait_envs.errors import MotionError, one_line
from gait_envs.files import replacing
from gait_envs.mocap.capture import Capture
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import parse_table, read_json, read_text

FIELDS = ("source", "license", "subject", "activity")


@dataclass(frozen=True)
class ProvenanceTable:
    """Rows of a table by path and by name."""

    path: Path
    by_path: dict[Path, dict[str, str]]  # absolute
    by_name: dict[str, dict[str, str]]  # rows without a folder

    def of(self, capture: str | os.PathLike[str]) -> dict[str, str]:
        """What the table says about a capture: its fields that are not empty; nothing if it has no row."""
        capture = Path(capture)
        row = self.by_path.get(capture.resolve())
        return self.by_name.get(capture.name, {}) if row is None else row

    def unused(self, captures: Iterable[str | os.PathLike[str]]) -> list[str]:
        """Names in rows that say something about none of the captures."""
        paths = [Path(capture) for capture in captures]
        full, names = {path.resolve() for path in paths}, {path.name for path in paths}
        return [path.name for path in self.by_path
                if path not in full and not (path.name in names and path.name in self.by_name)]  # fmt: skip


@loader("provenance", ".csv")
def read_table(path: str | os.PathLike[str]) -> ProvenanceTable:
    """Read a table; a fault is a `MotionError` that names the file, the line and the columns allowed."""
    path = Path(path)
    columns, rows = parse_table(read_text(path, MotionError), str(path), MotionError)
    allowed = f"expected the columns file, {', '.join(FIELDS)}"
    unknown = [name for name in columns if name not in ("file", *FIELDS)]
    if "file" not in columns or unknown:
        raise MotionError(f"{path}, line 1: columns {one_line(', '.join(columns) or 'none')}; {allowed}")
    by_path: dict[Path, dict[str, str]] = {}
    by_name: dict[str, dict[str, str]] = {}
    for line, values in rows:
        row = dict(zip(columns, values, strict=True))
        where = f"{path}, line {line}"
        file = row["file"].strip()
        if not file or "\0" in file:
            raise MotionError(f"{where}: {'no file' if not file else f'{file!r} is no name of a file'}")
        fields = {key: row[key].strip() for key in FIELDS if row.get(key, "").strip()}
        full = (path.parent / file).resolve()
        if full in by_path:
            raise MotionError(f"{where}: {one_line(file)} is listed twice")
        by_path[full] = fields
        if file == Path(file).name:
            by_name[file] = fields
    return ProvenanceTable(path, by_path, by_name)


# -- what a capture carries -------------------------------------------------------------------------------


def meta_of(capture: Capture) -> dict[str, Any]:
    """The metadata that is stored with a capture's frames."""
    meta = {"origin": dict(capture.origin), "history": [*capture.history], "notes": [*capture.notes]}
    return meta | (capture.recorded.as_meta() if capture.recorded else {})


def check_meta(meta: Any) -> dict[str, Any]:
    """The same as read back; a `ValueError` says what is wrong with its form."""
    kinds = {"origin": dict, "history": list, "notes": list}
    if not isinstance(meta, dict) or any(not isinstance(meta.get(key), kind) for key, kind in kinds.items()):
        raise ValueError(f"expected an object with {', '.join(kinds)}")
    values = [*meta["origin"].values(), *meta["history"], *meta["notes"]]
    if not all(isinstance(value, str) for value in values):
        raise ValueError("its origin, history and notes must be texts")
    return meta


@loader("provenance of a BVH", ".bvh")
def read_sidecar(path: Path) -> dict[str, Any]:
    """What lies beside a BVH that we wrote; empty for other files, and where there is nothing of this form."""
    if path.suffix.lower() != ".bvh":
        return {}
    try:
        return check_meta(read_json(path.with_suffix(".json"), MotionError))
    except (OSError, ValueError):
        return {}


def is_sidecar(path: Path) -> bool:
    """Is this the file beside a BVH of ours?"""
    return (
        path.suffix == ".json" and path.with_suffix(".bvh").is_file() and bool(read_sidecar(path.with_suffix(".bvh")))
    )


def write_sidecar(path: Path, meta: dict[str, Any]) -> None:
    """Put this beside the BVH at `path`."""
    with replacing(path.with_suffix(".json")) as temporary:
        temporary.write_text(json.dumps(meta, indent=1, sort_keys=True) + "\n", encoding="utf-8")
