"""Which tests reach which function, and how long they take."""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mutation.faults import Mutant
from mutation.forks import in_fork


class Recorder:
    """Notes the functions that each test enters, and the processor time it takes; a plugin of pytest.

    What a fixture of a wider scope enters is reached by every test that uses it.
    """

    def __init__(self, tree: Path) -> None:
        self.tree = f"{tree}/"
        self.reached: set[tuple[str, str]] = set()  # (file, function)
        self.by_fixtures: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self.tests: dict[str, tuple[float, set[tuple[str, str]], list[str]]] = {}

    def enter(self, frame: Any, event: str, _: object) -> None:
        code = frame.f_code
        if code.co_filename.startswith(self.tree):
            self.reached.add((code.co_filename, code.co_qualname.split(".<locals>")[0]))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        self.reached, begun = set(), time.process_time()
        sys.settrace(self.enter)
        yield
        sys.settrace(None)
        self.tests[item.nodeid] = (time.process_time() - begun, self.reached, list(item.fixturenames))

    @pytest.hookimpl(hookwrapper=True)
    def pytest_fixture_setup(self, fixturedef: Any) -> Iterator[None]:
        outside = self.reached
        if fixturedef.scope != "function":
            self.reached = self.by_fixtures[fixturedef.argname]
        yield
        self.reached = outside

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            print(f"{report.nodeid}: {report.longreprtext}")

    def write(self, file: Path) -> None:
        told = {}
        for name, (seconds, reached, fixtures) in self.tests.items():
            every = reached.union(*(self.by_fixtures[fixture] for fixture in fixtures))
            functions = sorted([path.removeprefix(self.tree), function] for path, function in every)
            told[name] = {"seconds": round(seconds, 3), "reaches": [f for f in functions if f[0].startswith("gait_")]}
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(told))


def recorded(session: pytest.Session, test_file: str, tree: Path, out: Path) -> dict[str, Any]:
    """What each test of a file reaches; run again only if the file has changed."""
    content = hashlib.sha256((tree / test_file).read_bytes()).hexdigest()[:12]
    file = out / "reach" / f"{test_file.replace('/', '.')}.{content}.json"
    if not file.exists():
        recorder = Recorder(tree)
        items = [item for item in session.items if item.nodeid.startswith(f"{test_file}::")]

        def record() -> int:
            session.config.pluginmanager.register(recorder)
            for item, following in zip(items, [*items[1:], None], strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            recorder.write(file)
            return session.testsfailed > 0

        if in_fork(record, 3600) != 0:
            file.unlink(missing_ok=True)
            raise SystemExit(f"{test_file} fails without any fault; see log.txt")
    return json.loads(file.read_text())


def tests_for(mutant: Mutant, reach: dict[str, Any], seconds: float) -> tuple[list[str], float]:
    """Tests that reach the function of a mutant, the quickest first, up to so much time; and the time they take.

    What lies outside of functions is reached by whoever reaches a function of the file.
    """
    key = [mutant.file, mutant.function]
    hits = [
        (test["seconds"], name)
        for name, test in reach.items()
        if (key in test["reaches"] if mutant.function else any(file == mutant.file for file, _ in test["reaches"]))
    ]
    chosen, total = [], 0.0
    for cost, name in sorted(hits):
        if chosen and total + cost > seconds:
            break
        chosen, total = [*chosen, name], total + cost
    return chosen, total
