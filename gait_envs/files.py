"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
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


def check_writable(path: str | os.PathLike[str]) -> None:
    """An `OSError` that names `path` if no file can be written there; for before long work. Makes its folder."""
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with suppress(_Kept), replacing(path) as temporary:
        temporary.touch()
        raise _Kept


class _Kept(Exception):
    """Ends a trial: nothing takes the place of what is there."""
