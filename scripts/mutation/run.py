"""Every fault in turn: the code is exchanged, and the tests that reach it are run."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

import pytest

from mutation.faults import Mutant
from mutation.forks import FAULTY, in_fork
from mutation.reach import recorded, tests_for

# Tests with these in their names are not run: a walk of the human body says little that WildRobot's does not, at ten
# times the price.
DESELECTED = ("Humanoid-v0", "HumanoidImitation-v0")
LONGER = 5  # times its usual processor time, and some seconds more, before a run counts as hanging
SOME = 15.0  # s


class Mutate:
    """A plugin of pytest that runs the collected tests once for every mutant, each time in a fork."""

    def __init__(self, target: str, due: list[Mutant], tree: Path, out: Path, seconds: float, fresh: bool) -> None:
        self.target, self.due, self.tree, self.out, self.seconds, self.fresh = target, due, tree, out, seconds, fresh

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if not any(word in item.nodeid for word in DESELECTED)]

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        reach: dict[str, Any] = {}
        for file in dict.fromkeys(name.split("::")[0] for name in self.items):
            reach |= recorded(session, file, self.tree, self.out)
        with (self.out / "results.jsonl").open("a") as results:
            for mutant in self.due:
                tests, total = tests_for(mutant, reach, self.seconds)
                begun = time.monotonic()
                noticed = bool(tests) and self.is_noticed(session, mutant, tests, total)
                row = {"id": mutant.id, "target": self.target, **asdict(mutant), "tests": tests,
                       "outcome": "noticed" if noticed else "survived",
                       "seconds": round(time.monotonic() - begun, 1)}  # fmt: skip
                results.write(json.dumps(row) + "\n")
                results.flush()
        return True

    def is_noticed(self, session: pytest.Session, mutant: Mutant, tests: list[str], total: float) -> bool:
        limit = LONGER * total + SOME
        if mutant.function and not self.fresh:
            with contextlib.suppress(NotPatched):
                items = [self.items[name] for name in tests]
                return not run_items(session, items, limit, lambda: patch(mutant, self.tree))
        path = self.tree / mutant.file
        source, times = path.read_bytes(), path.stat()
        path.write_bytes(mutant.applied(source))
        words = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        try:
            return self.runs(words + tests, limit + SOME) != 0
        finally:
            path.write_bytes(source)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # what is compiled of it is valid again

    def runs(self, words: list[str], limit: float) -> int | None:
        """The exit code of a program of its own, in the copy."""

        def work() -> int:
            os.execv(words[0], words)

        return in_fork(work, limit)


def run_items(session: pytest.Session, items: list[pytest.Item], limit: float, change: Callable[[], object]) -> bool:
    """Whether tests that are collected already pass in a forked process in which something was changed before."""

    def work() -> int:
        change()
        factory = session.config._tmp_path_factory
        factory._given_basetemp, factory._basetemp = factory._given_basetemp.with_name("t_forked"), None
        session.testsfailed = 0
        for item, following in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if session.testsfailed:
                return 1
        return 0

    code = in_fork(work, limit)
    if code == FAULTY:
        raise NotPatched
    return code == 0


def patch(mutant: Mutant, tree: Path) -> None:
    """Give the functions that exist already the code of the mutant; NotPatched where that cannot be."""
    path = tree / mutant.file
    code = compile(mutant.applied(path.read_bytes()), str(path), "exec", dont_inherit=True)
    (new,) = [found for found in nested_code(code) if found.co_qualname == mutant.function] or [None]
    old = [
        thing
        for thing in gc.get_objects()
        if type(thing) is FunctionType  # objects that load lazily warn when they are asked for their class
        and thing.__code__.co_filename == str(path)
        and thing.__code__.co_qualname == mutant.function
    ]
    if new is None or not old:
        raise NotPatched
    for function in old:
        function.__code__ = new


def nested_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from nested_code(constant)


class NotPatched(Exception):
    """A change that cannot be made while the program runs."""
