"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """The name of a file to write, which takes the place of `path` once the block has ended without an error.

    It lies beside `path`, since only within a file system does a file take another's place at once, and ends in
    .tmp, so that no search for captures or clips finds one that a killed program left. Folders that are missing are
    made. An `OSError` names `path`.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if str(error.filename) == str(temporary):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        with suppress(OSError):  # what went wrong before it says more
            temporary.unlink(missing_ok=True)
