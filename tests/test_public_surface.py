"""What others may import, as docs/api.md lists it: it is there, typed and documented.

Also how well the whole is documented and how long its files are; `python tests/test_public_surface.py` prints that.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import re
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("gait_envs", "gait_trainers")
PAGE = ROOT / "docs" / "api.md"
DOCUMENTED = 0.98  # least share of public functions, classes and methods with a docstring
MEDIAN, LONGEST = 120, 350  # lines of a source file
LONGER: dict[str, str] = {}  # file -> why
WITHOUT_PAGE = [  # while there is no page
    ("gait_envs.errors", "GaitNetError"),
    ("gait_envs.models.robot", "Robot"),
    ("gait_envs.reference.clip", "Clip"),
    ("gait_envs.reference.library", "MotionLibrary"),
    ("gait_trainers", "load_policy"),
    ("gait_trainers.rl.sb3_vec", "SB3VecEnv"),
    ("gait_trainers.learners.amp.reward", "AMPRewardWrapper"),
    ("gait_trainers.learners.amp.callback", "AMPCallback"),
]


def listed(page: str) -> list[tuple[str, str]]:
    """(module, name) of each row "| `name`, `name` | `module` | meaning |" of the page's tables."""
    rows = re.findall(r"^\| (`[^|]+`) \| `(gait_[\w.]+)` \|", page, flags=re.MULTILINE)
    return [(module, name) for names, module in rows for name in re.findall(r"`(\w+)`", names)]


SURFACE = listed(PAGE.read_text()) if PAGE.exists() else WITHOUT_PAGE


@pytest.fixture(params=SURFACE, ids=lambda pair: ".".join(pair))
def public(request: pytest.FixtureRequest) -> Any:
    module, name = request.param
    return getattr(importlib.import_module(module), name)


def test_the_page_is_read() -> None:
    assert len(SURFACE) >= len(WITHOUT_PAGE)
    assert listed("| name | import from |\n| --- | --- |\n| `A`, `b` | `gait_envs.c` | d |\n") == [
        ("gait_envs.c", "A"),
        ("gait_envs.c", "b"),
    ]


def test_it_is_documented(public: Any) -> None:
    assert len(inspect.getdoc(public) or "") > 10
    for name, _ in methods(public):
        assert inspect.getdoc(getattr(public, name)), f"{name} has no docstring, nor has what it overrides"


def test_it_is_typed(public: Any) -> None:
    functions = [public] if inspect.isfunction(public) else [method for _, method in methods(public)]
    made_by = vars(public).get("__init__") if inspect.isclass(public) else None
    functions += [made_by] if getattr(made_by, "__name__", "") == "__init__" else []  # a protocol has another's
    for function in functions:
        told = set(getattr(function, "__annotations__", {}))
        parameters = list(inspect.signature(function).parameters)
        missing = {p for p in parameters if p not in ("self", "cls")} - told
        assert not missing, f"{function.__qualname__}: {missing} have no type"
        assert "return" in told or function.__name__ == "__init__", f"{function.__qualname__}: its result has no type"


def methods(public: Any) -> Iterator[tuple[str, Any]]:
    """Public functions and properties that a class defines itself, also those wrapped in a decorator."""
    for name, member in vars(public).items() if inspect.isclass(public) else ():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        named = inspect.isfunction(function) and function.__name__ == name  # the default of a field may be a function
        if named and not name.startswith("_"):
            yield name, function


@pytest.mark.parametrize("package", PACKAGES)
def test_type_checkers_may_look(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


# -- how well all of it is documented ---------------------------------------------------------------------


def sources() -> dict[str, str]:
    """Path below the root -> text of every module of the packages."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return {path.relative_to(ROOT).as_posix(): path.read_text() for path in paths}


def public_definitions(text: str) -> dict[str, bool]:
    """Public functions, classes and their methods -> have they a docstring?

    A method of a private class is not public, nor is a function within another.
    """
    found: dict[str, bool] = {}

    def visit(body: list[ast.stmt], prefix: str) -> None:
        for node in body:
            if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
                continue
            found[prefix + node.name] = ast.get_docstring(node) is not None
            if isinstance(node, ast.ClassDef):
                visit(node.body, f"{prefix}{node.name}.")

    visit(ast.parse(text).body, "")
    return found


@functools.cache
def undocumented() -> tuple[int, tuple[str, ...]]:
    """How many public definitions there are, and which have no docstring.

    A method may have that of what it overrides.
    """
    count, missing = 0, []
    for path, text in sources().items():
        for name, told in public_definitions(text).items():
            count += 1
            if not told and not inherited(path, name):
                missing.append(f"{path}:{name}")
    return count, tuple(missing)


def inherited(path: str, name: str) -> bool:
    """Has the method a docstring in a class that its own derives from?"""
    module = importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    owner, _, method = name.rpartition(".")
    return bool(owner) and bool(inspect.getdoc(getattr(functools.reduce(getattr, owner.split("."), module), method)))


def lengths() -> dict[str, int]:
    """Lines of each module; `__init__.py` that say one sentence are none."""
    counts = {path: text.count("\n") for path, text in sources().items()}
    return {path: lines for path, lines in counts.items() if not (path.endswith("__init__.py") and lines < 3)}


def test_public_definitions_are_found() -> None:
    lines = [
        "class A:",
        '    """Told."""',
        "    def b(self): ...",
        "    def _c(self): ...",
        "def d():",
        '    """Told."""',
        "    def e(): ...",
    ]
    text = "\n".join(lines)
    assert public_definitions(text) == {"A": True, "A.b": False, "d": True}


def test_nearly_everything_public_is_documented() -> None:
    count, missing = undocumented()
    assert count > 900
    assert 1 - len(missing) / count >= DOCUMENTED, missing


def test_files_are_short() -> None:
    long = {path: lines for path, lines in lengths().items() if lines > LONGEST}
    assert set(long) <= set(LONGER), long
    assert statistics.median(lengths().values()) <= MEDIAN


def report() -> str:
    count, missing = undocumented()
    longest = sorted(lengths().items(), key=lambda item: -item[1])[:10]
    return "\n".join(
        [
            f"{count - len(missing)} of {count} public definitions have a docstring: {1 - len(missing) / count:.1%}",
            f"{len(lengths())} files, median {statistics.median(lengths().values()):g} lines; the longest:",
            *(f"  {lines:4} {path}" for path, lines in longest),
            "without a docstring:",
            *(f"  {name}" for name in missing),
        ]
    )


if __name__ == "__main__":
    print(report())
