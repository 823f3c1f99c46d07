"""Do the tests notice when the code is wrong? Put small faults into it, one at a time, and run the tests that reach it.

    python scripts/mutate.py                       about 300 faults, as many of each target and kind
    python scripts/mutate.py --only amp core       targets whose names contain one of these
    python scripts/mutate.py --again               survivors of earlier, once more, with the tests of today
    python scripts/mutate.py --seed 1 -n 600       others, more

The work tree is left alone: a copy of it is changed. Which tests reach which function is recorded first, one run of
the tests of each target, and kept beside the results; a fault is shown to those that reach its function, the quickest
first, up to --seconds of them. Tests run in processes that are forked after the libraries have been imported. A fault
counts as noticed when a test fails, when the process dies, and when it takes a multiple of its usual time. What is done
is not done again, so that a run may be stopped at any time. Kinds of faults: `mutation/faults.py`. Faults that no test
can notice, with the reason: `mutation/equivalent.json`.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import sys
import time
from collections import defaultdict
from collections.abc import Iterable
from fnmatch import fnmatch
from math import sqrt
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from mutation.faults import Mutant, mutants  # noqa: E402
from mutation.forks import FAULTY, copy_tree, in_tree  # noqa: E402
from mutation.run import Mutate  # noqa: E402

# Target -> files that are changed, and files whose tests may notice.
TARGETS: dict[str, tuple[list[str], list[str]]] = {
    "core": (
        ["gait_envs/core.py"],
        ["tests/envs/test_core.py", "tests/envs/test_writes.py", "tests/envs/test_reset_options.py",
         "tests/envs/tasks/*.py", "tests/envs/test_contracts.py", "tests/envs/simulation/test_batch.py",
         "tests/envs/simulation/test_randomize.py"],
    ),
    "tasks": (
        ["gait_envs/tasks/*.py"],
        ["tests/envs/tasks/*.py", "tests/envs/test_core.py", "tests/envs/test_reset_options.py",
         "tests/envs/test_option_checks.py", "tests/envs/models/test_mirror.py",
         "tests/trainers/models/test_symmetry.py", "tests/envs/test_walkers.py"],
    ),
    "amp": (
        ["gait_trainers/learners/amp/*.py", "gait_trainers/learners/replay.py",
         "gait_trainers/models/discriminator.py"],
        ["tests/trainers/learners/test_amp*.py", "tests/trainers/config/test_config.py",
         "tests/trainers/runs/test_resume.py"],
    ),
    "control": (
        ["gait_envs/control/*.py"],
        ["tests/envs/control/*.py", "tests/envs/models/test_humanoid_muscles.py",
         "tests/envs/simulation/test_muscles.py", "tests/envs/tasks/test_terms.py"],
    ),
    "reference": (
        ["gait_envs/reference/*.py"],
        ["tests/envs/reference/*.py", "tests/envs/tasks/test_track.py", "tests/trainers/learners/test_resampling.py",
         "tests/envs/mocap/test_data_cli.py"],
    ),
    "importers": (
        ["gait_envs/mocap/formats/*.py", "gait_envs/mocap/importing.py", "gait_envs/mocap/capture.py",
         "gait_envs/mocap/axes.py", "gait_envs/mocap/cleaning/*.py"],
        ["tests/envs/mocap/formats/*.py", "tests/envs/mocap/cleaning/*.py", "tests/envs/mocap/test_export_clips.py",
         "tests/envs/mocap/test_import_cli.py", "tests/envs/mocap/retarget/test_pipeline.py",
         "tests/envs/mocap/retarget/test_rest_and_cut.py"],
    ),
}  # fmt: skip
# Programs and messages: their faults are seen by eye.
LEFT_OUT = ["*/__init__.py", "gait_envs/mocap/formats/bvh_verify.py", "gait_envs/reference/licenses.py"]
# What all tests import, once.
HEAVY = ["numpy", "scipy.optimize", "scipy.signal", "scipy.interpolate", "scipy.spatial", "mujoco", "gymnasium.envs",
         "torch", "stable_baselines3", "matplotlib.pyplot", "pydantic", "typer", "rich.progress", "yaml",
         "pytest", "mink", "bvhio", "onnx", "onnxruntime"]  # fmt: skip


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


def interval(noticed: int, of: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if of == 0:
        return 0.0, 1.0
    z, p = 1.96, noticed / of
    middle, half = p + z * z / (2 * of), z * sqrt(p * (1 - p) / of + z * z / (4 * of * of))
    return (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)


def reason_why_equivalent(row: dict[str, Any], known: list[dict[str, str]]) -> str | None:
    same = ("file", "function", "operator", "before", "after")
    return next((entry["reason"] for entry in known if all(entry[key] == row[key] for key in same)), None)


def report(rows: list[dict[str, Any]]) -> str:
    """Scores and survivors, as markdown. A mutant that no test can notice is left out of the score."""
    file = ROOT / "scripts" / "mutation" / "equivalent.json"
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
    targets = [target for target in TARGETS if any(part in target for part in args.only)]
    if not targets:
        parser.error(f"--only {' '.join(args.only)} fits none of {', '.join(TARGETS)}")
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    file = out / "results.jsonl"
    tree = out / "work" / "tree"
    copy_tree(ROOT, tree)
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
