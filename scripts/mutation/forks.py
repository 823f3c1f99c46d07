"""A copy of the project, and processes that run tests in it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

COPIED = ("gait_envs", "gait_trainers", "assets", "tests", "scripts", "examples", "docs", "pyproject.toml", "README.md",
          "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "constraints.txt", "LICENSE")  # fmt: skip
FAULTY = 70  # exit code of a process that could not do its work
WAITED = 60  # times the processor time that a process may take on the clock


def copy_tree(root: Path, to: Path) -> None:
    """The project at `root`, with what Python has compiled of it: times are kept, so that it stays valid."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in COPIED:
        if (root / name).is_dir():
            shutil.copytree(root / name, to / name)
        elif (root / name).exists():
            shutil.copy2(root / name, to / name)


def in_fork(work: Callable[[], int], seconds: float) -> int | None:
    """The exit code of a function in a forked process; None: it was killed, or out of time."""
    child = os.fork()
    if child == 0:
        code = FAULTY
        try:
            os.setpgid(0, 0)
            resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 1, int(seconds) + 5))
            code = work()
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    until = time.monotonic() + WAITED * seconds
    pause = 0.01
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done or time.monotonic() > until:
            break
        time.sleep(pause := min(1.5 * pause, 0.25))
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)  # and whatever it has started
    if not done:
        os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) if done and os.WIFEXITED(status) else None


def in_tree(tree: Path, words: list[str], plugins: list[object]) -> int:
    """Run pytest in the copy; its output goes to a log. For a process that is about to end."""
    log = os.open(tree.parent.parent / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.chdir(tree)
    os.environ |= {"PYTHONPATH": str(tree), "TMPDIR": str(tree.parent)}
    sys.path[:0] = [str(tree)]
    sys.dont_write_bytecode = True
    common = ["-q", "--no-header", "-p", "no:cacheprovider", "-p", "no:xdist", "--basetemp", str(tree.parent / "t")]
    return int(pytest.main([*common, *words], plugins=plugins))
