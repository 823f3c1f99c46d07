"""Every example of `examples/third_party` runs, in an environment of its own; needs the package index."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from helpers.scripts import load_script

import gait_envs  # noqa: F401 - registers the ids

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


def test_the_speed_of_both_forms_is_compared_in_the_same_autoreset_mode() -> None:
    make = load_script("sync_form").make_sync
    env = make("GaitNet/WildRobot-v0", 2, vectorization_mode="vector_entry_point", autoreset_mode="same_step")
    assert isinstance(env, SyncVectorEnv)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    env.close()
