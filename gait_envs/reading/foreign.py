"""Files of other libraries that would run code if they were loaded: recognised by their first bytes, never loaded."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from gait_envs.errors import GaitNetError
from gait_envs.reading.bounded import BoundedFile

_HEAD = 1 << 16  # bytes that are looked at
_SUFFIXES = (".pkl", ".pickle", ".joblib", ".dill")
_TRAJECTORIES = {"obs", "acts", "infos", "terminal"}  # arrays that the `imitation` library saves together
_DATA_SET = ("dataset_info.json", "state.json")  # of a folder that it saves them in


def refuse_pickles(path: str | os.PathLike[str], error: Callable[[str], GaitNetError]) -> None:
    """Raise `error` for pickles, jsonpickles and trajectories of `imitation`, which hold such; else do nothing."""
    found = pickled(Path(path))
    if found:
        raise error(
            f"{path}: {found}; it is never loaded here: load it in Python, if you trust it, and save plain arrays"
        )


def pickled(path: Path) -> str:
    """What a file or folder is that holds pickled objects; empty for all else, also for what cannot be read."""
    try:
        if path.is_dir():
            return _data_set(path)
        if not path.is_file():
            return ""
        with open(path, "rb") as file:
            head = file.read(_HEAD)
        if head[:4] == b"PK\x03\x04":
            return _archive(path)
    except OSError:
        return ""
    if path.suffix.lower() in _SUFFIXES or (head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")):
        return "a pickle, which runs code as it is loaded"
    if head.lstrip()[:1] in (b"{", b"[") and b'"py/' in head:
        return "JSON of jsonpickle, which makes any Python objects as it is loaded"
    return ""


def _data_set(folder: Path) -> str:
    if all((folder / name).is_file() for name in _DATA_SET) and any(folder.glob("*.arrow")):
        return "trajectories of the imitation library (a data set whose infos are jsonpickle)"
    return ""


def _archive(path: Path) -> str:
    try:
        with BoundedFile(path) as raw, zipfile.ZipFile(raw) as archive:
            keys = {name.removesuffix(".npy") for name in archive.namelist()}
    except Exception:  # a damaged archive raises a dozen kinds; its own reader says so
        return ""
    return "trajectories of the imitation library, partly pickled" if keys >= _TRAJECTORIES else ""
