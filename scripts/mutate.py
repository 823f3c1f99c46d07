"""Do the tests notice when the code is wrong? Put small faults into it, one at a time, and run the tests that reach it.

    python scripts/mutate.py                       about 300 faults, as many of each target and kind
    python scripts/mutate.py --only amp core       targets whose names contain one of these
    python scripts/mutate.py --again               survivors of earlier, once more, with the tests of today
    python scripts/mutate.py --seed 1 -n 600       others, more

The work tree is left alone: a copy of it is changed. Which tests reach which function is recorded first, one run of
the tests of each target, and kept beside the results; a fault is shown to those that reach its function, the quickest
first, up to --seconds of them. Tests run in processes that are forked after the libraries have been imported. A fault
counts as noticed when a test fails, when the process dies, and when it takes a multiple of its usual time. What is done
is not done again, so that a run may be stopped at any time. Kinds of faults: `mutants.py`. Faults that no test can
notice, with the reason: `mutants_equivalent.json`.
"""

from __future__ import annotations

import argparse
import compileall
import contextlib
import gc
import hashlib
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from fnmatch import fnmatch
from math import sqrt
from pathlib import Path
from py_compile import PycInvalidationMode
from types import CodeType, FunctionType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from mutants import Mutant, mutants  # noqa: E402

# Target -> files that are changed, and files whose tests may notice.
TARGETS: dict[str, tuple[list[str], list[str]]] = {
    "core": (
        ["gait_envs/core.py"],
        ["tests/envs/test_core.py", "tests/envs/test_writes.py", "tests/envs/test_reset_options.py",
         "tests/envs/tasks/*.py", "tests/envs/test_contracts.py", "tests/envs/simulation/test_batch.py"],
    ),
    "tasks": (
        ["gait_envs/tasks/*.py"],
        ["tests/envs/tasks/*.py", "tests/envs/test_core.py", "tests/envs/test_reset_options.py",
         "tests/envs/test_option_checks.py", "tests/envs/models/test_mirror.py"],
    ),
    "amp": (
        ["gait_trainers/learners/amp/*.py", "gait_trainers/learners/replay.py",
         "gait_trainers/models/discriminator.py"],
        ["tests/trainers/learners/test_amp.py", "tests/trainers/config/test_config.py"],
    ),
    "control": (
        ["gait_envs/control/*.py"],
        ["tests/envs/control/*.py", "tests/envs/models/test_humanoid_muscles.py",
         "tests/envs/simulation/test_muscles.py"],
    ),
    "reference": (
        ["gait_envs/reference/*.py"],
        ["tests/envs/reference/*.py", "tests/envs/tasks/test_track.py"],
    ),
    "importers": (
        ["gait_envs/mocap/formats/*.py", "gait_envs/mocap/importing.py", "gait_envs/mocap/capture.py",
         "gait_envs/mocap/axes.py", "gait_envs/mocap/cleaning/*.py"],
        ["tests/envs/mocap/formats/*.py", "tests/envs/mocap/cleaning/*.py", "tests/envs/mocap/test_export_clips.py",
         "tests/envs/mocap/test_import_cli.py"],
    ),
}  # fmt: skip
# Programs and messages: their faults are seen by eye.
LEFT_OUT = ["*/__init__.py", "gait_envs/mocap/formats/bvh_verify.py", "gait_envs/reference/licenses.py"]
# Tests with these in their names are not run: a walk of the human body says little that WildRobot's does not, at ten
# times the price, and processes that tests start do not see what is changed in this one.
DESELECTED = ("Humanoid-v0", "HumanoidImitation-v0")

HEAVY = ["numpy", "scipy.optimize", "scipy.signal", "scipy.interpolate", "scipy.spatial", "mujoco", "gymnasium.envs",
         "torch", "stable_baselines3", "matplotlib.pyplot", "pydantic", "typer", "rich.progress", "yaml",
         "pytest", "mink", "bvhio", "onnx", "onnxruntime"]  # fmt: skip
COPIED = ("gait_envs", "gait_trainers", "assets", "tests", "scripts", "examples", "docs", "pyproject.toml", "README.md",
          "CHANGELOG.md", "CONTRIBUTING.md", "Makefile", "constraints.txt", "LICENSE")  # fmt: skip
LONGER = 5  # times its usual processor time, and some seconds more, before a run counts as hanging
SOME = 15.0  # s
FAULTY = 70  # exit code of a process that could not do its work
WAITED = 60  # times the processor time that a run may take on the clock


# -- the copy, and processes in it ------------------------------------------------------------------------


def copy_tree(to: Path) -> None:
    """The project, compiled so that a changed file is told by its content."""
    shutil.rmtree(to, ignore_errors=True)
    to.mkdir(parents=True)
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy2(ROOT / name, to / name)
    for folder in ("gait_envs", "gait_trainers", "tests"):
        compileall.compile_dir(to / folder, quiet=2, invalidation_mode=PycInvalidationMode.CHECKED_HASH)


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


class NotPatched(Exception):
    """A change that cannot be made while the program runs."""


# -- which tests reach which function ---------------------------------------------------------------------


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


# -- mutants ----------------------------------------------------------------------------------------------


def files_of(patterns: Iterable[str]) -> list[str]:
    paths = sorted({str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern)})
    return [path for path in paths if not any(fnmatch(path, left) for left in LEFT_OUT)]


def sample(target: str, count: int, seed: int) -> list[Mutant]:
    """So many mutants of a target, the operators in turn, each at a random place."""
    rng = random.Random(f"{seed} {target}")
    by_operator: dict[str, list[Mutant]] = defaultdict(list)
    for file in files_of(TARGETS[target][0]):
        for mutant in mutants(file, (ROOT / file).read_bytes()):
            by_operator[mutant.operator].append(mutant)
    for found in by_operator.values():
        rng.shuffle(found)
    drawn: list[Mutant] = []
    while len(drawn) < count and any(by_operator.values()):
        for operator in sorted(by_operator):
            drawn += [by_operator[operator].pop()] if by_operator[operator] else []
    return drawn[:count]


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
        source = path.read_bytes()
        path.write_bytes(mutant.applied(source))
        words = [sys.executable, "-B", "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
        try:
            return self.runs(words + tests, limit + SOME) != 0
        finally:
            path.write_bytes(source)

    def runs(self, words: list[str], limit: float) -> int | None:
        """The exit code of a program of its own, in the copy."""

        def work() -> int:
            os.execv(words[0], words)

        return in_fork(work, limit)


# -- results ----------------------------------------------------------------------------------------------


def interval(noticed: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if of == 0:
        return 0.0, 1.0
    z, p = 1.96, noticed / of
    middle, half = p + z * z / (2 * of), z * sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)


def reason_why_equivalent(row: dict[str, Any], known: list[dict[str, str]]) -> str | None:
    same = ("file", "before", "after")
    return next((entry["reason"] for entry in known if all(entry[key] == row[key] for key in same)), None)


def report(rows: list[dict[str, Any]]) -> str:
    """Scores and survivors, as markdown. A mutant that no test can notice is left out of the score."""
    file = ROOT / "scripts" / "mutants_equivalent.json"
    known = json.loads(file.read_text()) if file.exists() else []
    survivors = [row for row in rows if row["outcome"] == "survived"]
    equivalent = [row for row in survivors if reason_why_equivalent(row, known)]
    lines = ["| target | mutants | equivalent | noticed | score | 95 % interval |", "| --- " * 6 + "|"]
    for target in [*dict.fromkeys(row["target"] for row in rows), "all"]:
        own = [row for row in rows if target in (row["target"], "all")]
        same = sum(target in (row["target"], "all") for row in equivalent)
        noticed, of = sum(row["outcome"] == "noticed" for row in own), len(own) - same
        low, high = interval(noticed, of)
        lines.append(f"| {target} | {len(own)} | {same} | {noticed} | {noticed / max(of, 1):.1%} "
                     f"| {low:.1%} to {high:.1%} |")  # fmt: skip
    for title, some in (("Survivors", [r for r in survivors if r not in equivalent]), ("Equivalent", equivalent)):
        lines += ["", f"{title}:", ""]
        for row in some:
            why = f" — {reason_why_equivalent(row, known)}" if some is equivalent else f" ({len(row['tests'])} tests)"
            change = f"`{row['before'][:120]}` → `{row['after'][:120]}`"
            lines.append(f"- {row['file']}:{row['line']} {row['operator']}: {change}{why}")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", "--mutants", type=int, default=300, help="shared by all targets")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the targets' names")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20.0, help="most processor time of tests for one mutant")
    parser.add_argument("--again", action="store_true", help="run the survivors of earlier again, and no others")
    parser.add_argument("--out", type=Path, default=Path("mutation"), help="folder of the results")
    args = parser.parse_args()
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    file = out / "results.jsonl"
    tree = out / "work" / "tree"
    copy_tree(tree)
    targets = [target for target in TARGETS if any(part in target for part in args.only)]
    drawn = {target: sample(target, args.mutants // len(TARGETS), args.seed) for target in targets}
    outcomes = {id_: row["outcome"] for id_, row in read_results(file).items()}
    wanted = "survived" if args.again else None  # None: not run yet
    due = {target: [x for x in some if outcomes.get(x.id) == wanted] for target, some in drawn.items()}
    for name in HEAVY:
        importlib.import_module(name)
    for target, some in due.items():
        if some:
            plugin = Mutate(target, some, tree, out, args.seconds, args.again)
            run_target(plugin, files_of(TARGETS[target][1]))
    done = read_results(file)
    text = report([done[mutant.id] for some in drawn.values() for mutant in some if mutant.id in done])
    (out / "report.md").write_text(text)
    print(text)


def run_target(plugin: Mutate, test_files: list[str]) -> None:
    """All mutants of a target in a process that has collected its tests once."""
    file = plugin.out / "results.jsonl"
    ids = {mutant.id for mutant in plugin.due}
    before = len(lines_of(file))
    child = os.fork()
    if child == 0:
        code = FAULTY
        try:
            code = in_tree(plugin.tree, test_files, [plugin])
        finally:
            os._exit(code)
    from rich.progress import Progress

    with Progress() as progress:
        task = progress.add_task(plugin.target, total=len(ids))
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            time.sleep(0.5)
            progress.update(task, completed=len(lines_of(file)) - before)
    if os.waitstatus_to_exitcode(ended[1]) != 0:
        raise SystemExit(f"{plugin.target}: the tests could not be run; see {plugin.out / 'log.txt'}")


def lines_of(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


def read_results(file: Path) -> dict[str, dict[str, Any]]:
    """Rows by mutant; of one that ran more than once the last counts."""
    return {row["id"]: row for row in map(json.loads, lines_of(file))}


if __name__ == "__main__":
    main()
