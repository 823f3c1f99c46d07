"""The same test short and often, or long and rarely; what a process holds; children forked after the imports."""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest

# A share of the full sizes, for a first look: GAITNET_SOAK=0.1 make test-soak
SHARE = float(os.environ.get("GAITNET_SOAK", "1"))


def sizes(often: int, full: int) -> pytest.MarkDecorator:
    """Parametrizes `size`: what the ordinary tests do, and what `make test-soak` does."""
    long = max(often, round(SHARE * full))
    return pytest.mark.parametrize("size", [often, pytest.param(long, marks=pytest.mark.soak)])


def say(text: str) -> None:
    """A figure for the documentation; `make test-soak` shows what passing tests print."""
    print(f"soak: {text}")


def held() -> tuple[int, int, float]:
    """Open files, threads, and resident memory in MB of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * resource.getpagesize() / 1e6
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), memory


def forked(work: Callable[[], object], log: Path) -> int:
    """The id of a child that does some work, prints into a file, and ends with 0, or with 1 where it raised.

    A fork has imported all that its parent has, so that it starts in no time. What its parent left to be collected it
    leaves alone: the threads that belong to it are not there.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    gc.collect()
    gc.freeze()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # that a worker of pytest-xdist has threads
        child = os.fork()
    if child:
        gc.unfreeze()
        return child
    code = 1
    with contextlib.suppress(BaseException):
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(output, 1)
        os.dup2(output, 2)
        sys.stdout = sys.stderr = open(output, "w", closefd=False)  # noqa: SIM115 - until the process ends
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
    os._exit(code)


def ended(child: int, within: float = 600.0) -> int | None:
    """Exit code of a child, negative for the signal that killed it; None if it still runs after so many seconds."""
    until = time.monotonic() + within
    while not (done := os.waitpid(child, os.WNOHANG))[0]:
        if time.monotonic() > until:
            return None
        time.sleep(0.001)
    return os.waitstatus_to_exitcode(done[1])


def kill(child: int) -> None:
    """SIGKILL, and wait until it is gone."""
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
