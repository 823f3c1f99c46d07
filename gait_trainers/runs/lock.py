"""One process a run folder: a lock that the operating system holds and gives up when its holder ends, however it ends.

The file `.lock` in the folder names the holder. It stays there when the lock is given up: what counts is the lock on
it, so the file of a holder that was killed is in nobody's way.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gait_envs.errors import GaitNetError

NAME = ".lock"
NOT_SUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}  # of file systems without locks
_held: set[int] = set()  # file descriptors


class Locked(GaitNetError, RuntimeError):
    """Another process holds the lock; says which."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which exists; Locked if another process, or this one, holds it already."""
    file = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
    try:
        _lock(file, folder)
        _held.add(file)
        os.truncate(file, 0)
        os.write(file, json.dumps({"pid": os.getpid(), "host": socket.gethostname()}).encode())
        yield
    finally:
        if file in _held:  # not in a child that was forked meanwhile, which has closed it
            _held.discard(file)
            with suppress(OSError):
                _unlock(file)
            os.close(file)


def holder(folder: Path) -> int | None:
    """Number of the process of this machine that holds the lock of a folder; None where nobody does."""
    with suppress(OSError):
        file = os.open(folder / NAME, os.O_RDWR | getattr(os, "O_BINARY", 0))
        try:
            _try_lock(file)
        except OSError:
            told = _told(file)
            return told[0] if told is not None and told[1] == socket.gethostname() else None
        else:
            _unlock(file)
        finally:
            os.close(file)
    return None


def _lock(file: int, folder: Path) -> None:
    try:
        _try_lock(file)
    except OSError as error:
        if error.errno not in NOT_SUPPORTED:
            told = f"{folder} is in use by {_holder(file)}"
            os.close(file)
            raise Locked(told) from None
        warnings.warn(f"{folder}: this file system has no locks; let no other process train here", stacklevel=4)


def _holder(file: int) -> str:
    """Who wrote its name into the lock file."""
    told = _told(file)
    return "another process" if told is None else f"process {told[0]} on {told[1]!r}"


def _told(file: int) -> tuple[int, str] | None:
    """Number and machine of whoever wrote them into the lock file; None where it has the lock, but has not written."""
    try:
        os.lseek(file, 0, os.SEEK_SET)
        told = json.loads(os.read(file, 1000))
        return int(told["pid"]), str(told["host"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


if os.name == "nt":
    import msvcrt

    FAR = 1 << 30  # the locked byte, beyond what is written, as nobody else could read a locked one

    def _try_lock(file: int) -> None:
        os.lseek(file, FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
        os.lseek(file, 0, os.SEEK_SET)

    def _unlock(file: int) -> None:
        os.lseek(file, FAR, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)  # type: ignore[attr-defined, unused-ignore]

else:
    import fcntl

    def _try_lock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)  # of its copies in forked children too

    def _let_go() -> None:
        """A forked child holds no lock: else a worker that outlives a killed training would keep the folder locked."""
        for file in _held:
            with suppress(OSError):
                os.close(file)
        _held.clear()

    os.register_at_fork(after_in_child=_let_go)
