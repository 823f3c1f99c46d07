"""Every example of `examples/third_party` runs, in an environment of its own; needs the package index."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from helpers.scripts import load_script

third_party = load_script("third_party")
FOLDER = Path(__file__).resolve().parent.parent / "examples" / "third_party"


def test_every_example_is_in_the_table_and_every_pin_is_of_one() -> None:
    named = {word for example in third_party.TABLE.values() for word in example.command}
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} <= named
    assert {path.stem for path in (FOLDER / "requirements").glob("*.txt")} <= set(third_party.TABLE)
    for path in (FOLDER / "requirements").glob("*.txt"):
        assert all("==" in line for line in path.read_text().splitlines())


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert ast.get_docstring(ast.parse(text))
    assert len(text.splitlines()) <= 100


@pytest.mark.third_party
@pytest.mark.parametrize("name", third_party.TABLE)
def test_an_example_runs(name: str) -> None:
    assert third_party.run(name).strip()
