"""Where a file is to be written: found out before the work, and without replacing what is something else."""

from __future__ import annotations

import os
from pathlib import Path

from gait_envs.errors import GaitNetError
from gait_envs.files import check_writable
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive
from gait_envs.reading.text import parse_json, read_text

CLIP = "qpos", "qvel", "joint_names", "loop"  # arrays of a clip


class OutputError(GaitNetError, ValueError):
    """A name that a file cannot have, or a place where something else lies."""


def check_output(path: str | os.PathLike[str], suffix: str, *holds: str, format: str | None = None) -> None:
    """OutputError unless the name ends in `suffix` and what lies there, if anything, is of the same kind: arrays of an
    `.npz` or keys of a `.json` have these names, and the array `format` is that text.

    An `OSError` names the path if no file can be written there. Missing folders are created.
    """
    path = Path(path)
    if path.is_dir():
        check_writable(path)  # which says so
    if path.suffix != suffix:
        raise OutputError(f"{path}: expected a name that ends in {suffix}")
    if holds and path.is_file() and path.stat().st_size:
        where = f"{path}: would be replaced, and is something else"
        same = _json_has(path, where, holds) if suffix == ".json" else _archive_has(path, where, holds, format)
        if not same:
            raise OutputError(f"{where}; remove it, or give another name")
    check_writable(path)


def _archive_has(path: Path, where: str, holds: tuple[str, ...], format: str | None) -> bool:
    with Archive(path, OutputError, MAX_TEXT_ARRAY, where) as found:
        if not set(holds) <= set(found.keys):
            return False
        return format is None or str(found.array("format", "U")) == format


def _json_has(path: Path, where: str, holds: tuple[str, ...]) -> bool:
    found = parse_json(read_text(path, OutputError), where, OutputError)
    return isinstance(found, dict) and set(holds) <= set(found)
