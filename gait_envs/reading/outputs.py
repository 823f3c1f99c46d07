"""Where a file is to be written: found out before the work, and without replacing what is something else."""

from __future__ import annotations

import os
from pathlib import Path

from gait_envs.errors import GaitNetError
from gait_envs.files import check_writable
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive

CLIP = "qpos", "qvel"  # arrays that only a clip holds


class OutputError(GaitNetError, ValueError):
    """A name that a file cannot have, or a place where something else lies."""


def check_output(path: str | os.PathLike[str], suffix: str, *holds: str) -> None:
    """OutputError unless the name ends in `suffix` and what lies there, if anything, holds arrays of these names (of
    an `.npz`); an `OSError` that names the path if no file can be written there. Missing folders are created."""
    path = Path(path)
    if path.suffix != suffix:
        raise OutputError(f"{path}: expected a name that ends in {suffix}")
    if holds and path.is_file() and path.stat().st_size:
        with Archive(path, OutputError, MAX_TEXT_ARRAY, f"{path}: would be replaced, and is something else") as found:
            if not set(holds) <= set(found.keys):
                raise OutputError(f"{path}: would be replaced, and is something else; remove it, or give another name")
    check_writable(path)
