"""Atomic writes: files and folders appear complete or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Path of a temporary file to write, which replaces `path` once the block has ended without an error.

    It lies beside `path`, since only a rename within one file system is atomic, and ends in .tmp, so that no search
    for captures or clips finds what a killed program left behind. Missing folders are created. An `OSError` names
    `path`.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        _name(error, temporary, path)
        raise
    finally:
        with suppress(OSError):  # the original error says more
            temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: str | os.PathLike[str]) -> Iterator[Path]:
    """An empty temporary folder to fill, which replaces `path` once the block has ended without an error.

    What is there, a folder or a file, is moved aside first and deleted last, and put back where the new one cannot take
    its place, so that one of the two is always there. An `OSError` names `path`.
    """
    path = Path(path)
    temporary = temporary_beside(path)
    aside = temporary.with_suffix(".old")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists():
            path.rename(aside)
        try:
            temporary.rename(path)
        except OSError:
            with suppress(OSError):  # the original error says more
                aside.rename(path)
            raise
    except OSError as error:
        _name(error, temporary, path)
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    with suppress(OSError):
        shutil.rmtree(aside) if aside.is_dir() and not aside.is_symlink() else aside.unlink(missing_ok=True)


def write_durably(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file that is whole even if the machine stops right afterwards: fsync, rename, fsync the folder."""
    path = Path(path)
    with replacing(path) as temporary, open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if os.name == "nt":
        return  # Windows has no handle on a folder to flush; its rename is durable by itself
    with naming(path):
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """An `OSError` of the block that names no file, as that of a full disk does not, names `path`."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
        raise


def is_leftover(file: Path) -> bool:
    """Whether this is a temporary file or folder, of this process or another."""
    return re.fullmatch(r"\..+\.\d+\.tmp", file.name) is not None


def remove_leftovers(folder: str | os.PathLike[str]) -> None:
    """Remove the temporary files in a folder that no running process writes; none of this process may be among them."""
    for file in Path(folder).glob(".*.tmp"):
        if is_leftover(file) and not file.is_dir() and not _runs(int(file.name.split(".")[-2])):
            with suppress(OSError):  # in use on Windows, or somebody else removed it
                file.unlink()


def _runs(pid: int) -> bool:
    """Whether another process of this machine has this number; on Windows no open file can be removed anyway."""
    if os.name == "nt" or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except PermissionError:  # somebody else's
        return True
    except (OSError, OverflowError):
        return False
    return True


def check_writable(path: str | os.PathLike[str]) -> None:
    """Raise an `OSError` that names `path` if no file can be written there; to be called before long work.

    Creates missing folders.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with suppress(_Kept), replacing(path) as temporary:
        temporary.touch()
        raise _Kept


class _Kept(Exception):
    """Ends the trial before anything is replaced."""


def temporary_beside(path: Path) -> Path:
    """Of this thread alone, as two may write one file at once; the process comes last, for `remove_leftovers`."""
    return path.with_name(f".{path.name}.{threading.get_native_id()}.{os.getpid()}.tmp")


def _name(error: OSError, temporary: Path, path: Path) -> None:
    """Make an error about the temporary file, or about a full disk, which names no file, name `path`."""
    if error.errno is None:
        return  # raised by our own code, with a full message
    if error.filename is None or str(error.filename).startswith(str(temporary)):
        error.filename, error.filename2 = str(path), None
