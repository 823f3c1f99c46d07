"""Help of every command, argument and option, and of every configuration key: whole sentences that fit a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from gait_trainers.cli import app as train_app
from gait_trainers.config.schema import config_type

pytest.importorskip("mink")
from gait_envs.mocap.cli import app as data_app

PROGRAMS = {"gait-train": train_app, "gait-data": data_app}
COLUMNS = 80


def commands(program: str) -> dict[str, Any]:
    """Every command of a program by name, the one shown for the program itself included (as "")."""
    group: Any = typer.main.get_command(PROGRAMS[program])
    context = typer.Context(group)
    return {"": group} | {name: group.get_command(context, name) for name in group.list_commands(context)}


def documented_keys(model: Any = None, prefix: str = "") -> Iterator[tuple[str, str | None]]:
    """Dotted configuration keys with their descriptions; sections themselves are not keys."""
    for name, field in (model or config_type()).model_fields.items():
        kinds = (field.annotation, *getattr(field.annotation, "__args__", ()))
        sections = [kind for kind in kinds if hasattr(kind, "model_fields")]
        if not (sections and sections[0] is field.annotation):
            yield prefix + name, field.description
        for section in sections:
            yield from documented_keys(section, f"{prefix}{name}.")


EVERY_COMMAND = [(program, name) for program in PROGRAMS for name in commands(program)]
each_command = pytest.mark.parametrize("program, name", EVERY_COMMAND, ids=lambda word: word or "(itself)")


def fault(text: str | None) -> str | None:
    """Why a text is not a sentence; None if it is one."""
    if not text:
        return "is missing"
    if not text[0].isupper():
        return f"does not begin with a capital: {text}"
    if not text.endswith("."):
        return f"does not end with a full stop: {text}"
    if len(text.split()) < 3:
        return f"has fewer than three words: {text}"
    return None


def test_what_is_no_sentence_is_found() -> None:
    assert fault(None) == fault("") == "is missing"
    assert fault("of each walk.") == "does not begin with a capital: of each walk."
    assert fault("Length of each walk") == "does not end with a full stop: Length of each walk"
    assert fault("Each walk.") == "has fewer than three words: Each walk."
    assert fault("Length of each walk.") is None


def test_all_commands_are_seen() -> None:
    assert {("gait-train", "ppo-amp"), ("gait-train", "gait"), ("gait-data", "retarget")} <= set(EVERY_COMMAND)
    assert {"ppo.gamma", "run.stop_when.episodes", "schedule.max_distance"} <= {key for key, _ in documented_keys()}


@each_command
def test_every_option_is_described_in_a_sentence(program: str, name: str) -> None:
    command = commands(program)[name]
    described = {f"{program} {name}": command.help.split("\n\n")[0].replace("\n", " ")}
    described |= {f"{program} {name} {p.opts[0]}": p.help for p in command.params if p.name != "help"}
    assert not {place: fault(text) for place, text in described.items() if fault(text)}


def test_every_configuration_key_is_described_in_a_sentence() -> None:
    assert not {key: fault(text) for key, text in documented_keys() if fault(text)}


@each_command
def test_help_fits_a_terminal(program: str, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("typer.rich_utils.MAX_WIDTH", COLUMNS)
    words = [name, "--help"] if name else ["--help"]
    shown = CliRunner().invoke(PROGRAMS[program], words, env={"COLUMNS": str(COLUMNS), "NO_COLOR": "1"}).output
    assert "Usage:" in shown
    assert not [line for line in shown.splitlines() if len(line) > COLUMNS]
    for parameter in commands(program)[name].params:
        if name and parameter.param_type_name == "option":
            assert max(parameter.opts, key=len) in shown  # not cut off
