"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
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
        if error.filename in (str(temporary), temporary):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        try:
            temporary.unlink(missing_ok=True)
        except NotADirectoryError:  # no folder could be made: a file has its name
            pass
