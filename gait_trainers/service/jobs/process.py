"""One process of a job, so that any later supervisor can tell whether it lives, and which it is.

The folder of a job holds a file `lock`, on which the process itself has an advisory lock: it inherits the open file
from the supervisor, which then closes its own. The lock lasts exactly as long as the process and what it has forked,
however they end and whoever started them, so that nobody is misled by a process number that has been given away
again. POSIX only.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from gait_envs.cli import system_fault
from gait_envs.errors import GaitNetError

# Writes its number, then becomes the command: the number is on disk before the command does anything.
_START = 'echo $$ > "$0.tmp" && mv "$0.tmp" "$0" && exec "$@"'
SECRETS = ("GAITNET_ADMIN_PASSWORD", "GAITNET_TOKEN", "GAITNET_DATABASE")  # of the server, not of a training


class Process(NamedTuple):
    """A process, and when it began by the operating system's reckoning."""

    pid: int
    started: float


def python(module: str, *words: str) -> list[str]:
    """The command line that runs a module of ours in this interpreter."""
    return [sys.executable, "-m", module, *words]


@contextmanager
def faults_in_a_line() -> Iterator[None]:
    """Within it an expected error is printed as one line, and ends the process with status 2."""
    try:
        yield
    except GaitNetError as error:
        print(error, flush=True)
        sys.exit(2)
    except OSError as error:
        print(system_fault(error), flush=True)
        sys.exit(2)


def spawn(folder: Path, command: Sequence[str], log: Path, cores: float) -> subprocess.Popen[bytes] | None:
    """Start the process of a job in a session by itself; None where one is running already."""
    folder.mkdir(parents=True, exist_ok=True)
    log.parent.mkdir(parents=True, exist_ok=True)
    lock = _try_lock(folder)
    if lock is None:
        return None
    (folder / "pid").unlink(missing_ok=True)
    try:
        with open(log, "ab") as output:
            return subprocess.Popen(
                ["/bin/sh", "-c", _START, str(folder / "pid"), *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=_environment(os.environ, cores),
                pass_fds=(lock,),
                start_new_session=True,
            )
    finally:
        os.close(lock)


def _environment(mine: Mapping[str, str], cores: float) -> dict[str, str]:
    kept = {name: value for name, value in mine.items() if name not in SECRETS}
    return kept | {"OMP_NUM_THREADS": str(max(1, int(cores))), "PYTHONUNBUFFERED": "1"}


def lives(folder: Path) -> bool:
    """Whether a process of this job lives, whoever started it."""
    if not folder.is_dir():
        return False
    lock = _try_lock(folder)
    if lock is None:
        return True
    os.close(lock)
    return False


def _try_lock(folder: Path) -> int | None:
    """An open file with the lock, to be closed by the caller; None where another has it."""
    file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file


def find(folder: Path) -> Process | None:
    """The process that wrote its number here, if it is still the same one."""
    try:
        pid = int((folder / "pid").read_bytes())
        process = psutil.Process(pid)
        if Path(process.cwd()) != folder.resolve():
            return None
        return Process(pid, process.create_time())
    except (OSError, ValueError, psutil.Error):
        return None


def is_same(process: Process) -> bool:
    """Whether the number is still that process's."""
    try:
        return abs(psutil.Process(process.pid).create_time() - process.started) < 1.0
    except psutil.Error:
        return False


def send(process: Process, number: signal.Signals) -> None:
    """Signal a process and its group, if it is still there; an interrupt goes to the process alone."""
    if not is_same(process):
        return
    with suppress(ProcessLookupError, PermissionError):
        if number is signal.SIGINT:
            os.kill(process.pid, number)
        else:
            os.killpg(process.pid, number)
