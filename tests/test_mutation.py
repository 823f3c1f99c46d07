"""The faults that `scripts/mutate.py` puts into code, and what it says of the tests that saw them."""

from __future__ import annotations

import ast
import sys

import pytest
from helpers.scripts import load_script

mutate = load_script("mutate")
faults, reach = sys.modules["mutation.faults"], sys.modules["mutation.reach"]


def made(code: str) -> set[tuple[str, str]]:
    """(operator, the whole code with the fault) of every mutant, without the parentheses that the faults come in."""
    source = code.encode()
    return {(m.operator, ast.unparse(ast.parse(m.applied(source)))) for m in faults.mutants("x.py", source)}


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("a < b", {("compare", "a <= b")}),
        ("a is not b", {("compare", "a is b")}),
        ("a + b", {("arithmetic", "a - b"), ("term", "a"), ("term", "b")}),
        ("a / b", {("arithmetic", "a * b"), ("factor", "a"), ("factor", "b")}),
        ("-a", {("sign", "a")}),
        ("x = 3", {("constant", "x = 4")}),
        ("x = 0.5", {("constant", "x = 1.0")}),
        ("x = 1e-9", set()),
        ("x = True", {("constant", "x = False")}),
        ("'text' + a", set()),
        ("if a:\n    b", {("condition", "if not a:\n    b")}),
        ("[a for a in b if a]", {("condition", "[a for a in b if not a]")}),
        ("a and not b", {("logic", "a or not b"), ("logic", "a and b")}),
        ("min(a, b)", {("function", "max(a, b)"), ("statement", "pass")}),
        ("x = f(a, b, k=c)", {("arguments", "x = f(b, a, k=c)"), ("keyword", "x = f(a, b)")}),
        ("x = isinstance(a, b)", set()),
        ("x = zip(a, b, strict=True)", set()),
        ("real_score, fake_score = c\nreal_score", {("twin", "real_score, fake_score = c\nfake_score")}),
        ("a.b = c", {("statement", "pass")}),
        ("if a:\n    raise E(f'{b < c}')", {("condition", "if not a:\n    raise E(f'{b < c}')"),
                                            ("statement", "if a:\n    pass")}),
        ("def f():\n    return a", {("return", "def f():\n    return None")}),
        ("def f(a: 3 = b) -> 4:\n    '''Text.'''", set()),
    ],
)  # fmt: skip
def test_faults_by_hand(code: str, expected: set[tuple[str, str]]) -> None:
    assert made(code) == expected


def test_a_fault_knows_the_function_around_it() -> None:
    code = b"A = 1\nclass C:\n    B = 2\n    def f(self, x=3):\n        def g():\n            4\n        5\n"
    where = {m.before: m.function for m in faults.mutants("x.py", code) if m.operator == "constant"}
    assert where == {"1": "", "2": "", "3": "", "4": "C.f", "5": "C.f"}


def test_positions_are_bytes() -> None:
    code = "x = 'é'; y = 1\n".encode()
    (mutant,) = faults.mutants("x.py", code)
    assert mutant.applied(code).decode() == "x = 'é'; y = (2)\n"


def test_the_quickest_tests_that_reach_a_function_come_first() -> None:
    (mutant,) = faults.mutants("gait_envs/x.py", b"def f():\n    x = 1\n")
    tests = {
        "slow": {"seconds": 9.0, "reaches": [["gait_envs/x.py", "f"]]},
        "quick": {"seconds": 0.1, "reaches": [["gait_envs/x.py", "f"], ["gait_envs/x.py", "g"]]},
        "other": {"seconds": 0.2, "reaches": [["gait_envs/x.py", "g"], ["gait_envs/y.py", "f"]]},
    }
    assert reach.tests_for(mutant, tests, 20.0) == (["quick", "slow"], pytest.approx(9.1))
    assert reach.tests_for(mutant, tests, 1.0)[0] == ["quick"]
    (outside,) = faults.mutants("gait_envs/x.py", b"A = 1\n")
    assert reach.tests_for(outside, tests, 20.0)[0] == ["quick", "other", "slow"]


def test_a_sample_is_the_beginning_of_a_larger_one_and_follows_from_its_seed() -> None:
    few, many, others = (mutate.sample("core", *how) for how in ((13, 0), (26, 0), (13, 1)))
    assert few == many[:13] != others
    assert len({mutant.id for mutant in many}) == 26
    assert len({mutant.operator for mutant in few}) >= 12


def test_the_score_leaves_out_what_no_test_can_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"target": "core", "file": "x.py", "line": 1, "operator": "constant", "before": "1", "after": "(2)"}
    row |= {"function": "f", "tests": []}
    rows = [row | {"outcome": "noticed"}] * 8 + [row | {"outcome": "survived", "line": line} for line in (1, 9)]
    monkeypatch.setattr(mutate, "reason_why_equivalent", lambda row, known: "same" if row["line"] == 9 else None)
    lines = mutate.report(rows).splitlines()
    assert lines[2] == "| core | 10 | 1 | 8 | 88.9% | 56.5% to 98.0% |"
    assert sum("`1` → `(2)`" in line for line in lines) == 2


def test_interval_by_hand() -> None:
    # Wilson's for 8 of 10: (0.8 + 0.19208 ± 1.96 sqrt(0.016 + 0.009604)) / 1.38416
    assert mutate.interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
