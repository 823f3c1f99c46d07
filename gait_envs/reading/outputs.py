"""Where a file is to be written: found out before the work, and without replacing what is something else."""

from __future__ import annotations

import mmap
import os
import zipfile
from pathlib import Path
from typing import Any

from gait_envs.errors import GaitNetError
from gait_envs.files import check_writable
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive
from gait_envs.reading.text import parse_json, read_text

CLIP = "qpos", "qvel", "joint_names", "loop"  # arrays of a clip
MADE_BY = "made-by-GaitNet"  # is written into films and pictures
_KEYS = {"png": "Software", "svg": "Creator", "pdf": "Creator", "ps": "Creator", "eps": "Creator"}
_LOOKED_AT = 256 << 20  # bytes; a sparse file may seem to have any number


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
    if holds:
        check_same_kind(path, *holds, format=format)
    check_writable(path)


def check_same_kind(path: Path, *holds: str, format: str | None = None) -> None:
    """The part of `check_output` that looks at what lies there, if anything.

    An empty file, and an `.npz` that breaks off, as a full disk leaves it, are nothing that could be lost.
    """
    if not _holds_anything(path) or _breaks_off(path):
        return
    where = f"{path}: would be replaced, and is something else"
    if not (_json_has(path, where, holds) if path.suffix == ".json" else _archive_has(path, where, holds, format)):
        raise something_else(path)


def check_drawing(path: Path) -> None:
    """OutputError if what lies at `path`, where a picture or film is to be written, is none that was made here.

    By its mark (`signature`), so that nothing is ever replaced in a format that holds none.
    """
    if _holds_anything(path):
        looked_at = min(path.stat().st_size, _LOOKED_AT)
        with open(path, "rb") as file, mmap.mmap(file.fileno(), looked_at, access=mmap.ACCESS_READ) as found:
            if found.find(MADE_BY.encode()) < 0:
                raise not_known(path)


def signature(path: Path) -> dict[str, Any]:
    """Options with which Matplotlib writes our mark into a picture; none for formats that it cannot sign."""
    format = path.suffix[1:].lower()
    if format in ("jpg", "jpeg"):
        return {"pil_kwargs": {"comment": MADE_BY}}
    return {"metadata": {_KEYS[format]: MADE_BY}} if format in _KEYS else {}


def something_else(path: Path) -> OutputError:
    """For the caller to raise."""
    return OutputError(f"{path}: would be replaced, and is something else; remove it, or give another name")


def not_known(path: Path) -> OutputError:
    """For the caller to raise, where it may have been written here by a version that signed nothing."""
    return OutputError(
        f"{path}: would be replaced, and is not known to be GaitNet's; remove it if it may go, or give another name"
    )


def _holds_anything(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _breaks_off(path: Path) -> bool:
    """Whether it begins as an archive and lacks the directory at its end."""
    with open(path, "rb") as file:
        return file.read(4) == b"PK\x03\x04" and not zipfile.is_zipfile(path)


def _archive_has(path: Path, where: str, holds: tuple[str, ...], format: str | None) -> bool:
    with Archive(path, OutputError, MAX_TEXT_ARRAY, where) as found:
        if not set(holds) <= set(found.keys):
            return False
        return format is None or str(found.array("format", "U")) == format


def _json_has(path: Path, where: str, holds: tuple[str, ...]) -> bool:
    found = parse_json(read_text(path, OutputError), where, OutputError)
    return isinstance(found, dict) and set(holds) <= set(found)
