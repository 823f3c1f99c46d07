"""Numbers on the command line of `gait-train`: none is taken that counts or measures nothing."""

from __future__ import annotations

import inspect
import math
import pkgutil
from collections.abc import Iterator
from typing import Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from typer.testing import CliRunner

from gait_trainers.cli import COMMANDS, app
from gait_trainers.config.checking import check_layer, nest
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import config_type
from gait_trainers.config.section import ConfigError, Section
from gait_trainers.pretrain.motionnn.config import MotionConfig
from gait_trainers.pretrain.refnn.backward import BackwardConfig
from gait_trainers.pretrain.refnn.config import RefNNConfig
from gait_trainers.rl.train import iterations_for

# What else the parser asks for, before it runs a command.
NEEDED = {"export": ["--out", "x"], "demonstrate": ["--out", "x.npz"], "record": ["--out", "x"]}
NEEDED |= {"rollout": ["--out", "x"], "backward": ["--out", "x.pt"]}
ARGUMENTS = {"backward": ["a", "b"], "motionnn": [], "refnn": [], "list": []}
TRAININGS = ("ppo", "ppo-amp", "imitate", "muscle")
INFINITE = {"schedule.max_distance"}  # no limit


def numeric() -> Iterator[tuple[str, str, str]]:
    """Command, option, and a value that is none: a count below 0, a measure that is no number."""
    for name, (place, _) in COMMANDS.items():
        for parameter in inspect.signature(pkgutil.resolve_name(place), eval_str=True).parameters.values():
            kind, told = get_args(parameter.annotation)[:2]
            named = [word for word in told.param_decls or () if word.startswith("--")]
            option = named[0] if named else f"--{parameter.name.replace('_', '-')}"
            kinds = {kind, *get_args(kind)}
            if int in kinds:
                yield name, option, "-1"
            elif float in kinds:
                yield from ((name, option, value) for value in ("nan", "inf"))


CASES = list(numeric())


def test_all_kinds_of_numbers_are_tried() -> None:
    tried = {option for _, option, _ in CASES}
    assert tried > {
        "--total-steps",
        "--iterations",
        "--num-envs",
        "--updates",
        "--episodes",
        "--lr",
        "--speed",
        "--settle",
    }


@pytest.mark.parametrize("name, option, value", CASES)
def test_a_number_that_is_none_is_refused(name: str, option: str, value: str) -> None:
    words = [] if name in TRAININGS else ARGUMENTS.get(name, ["x"])
    result = CliRunner().invoke(app, [name, *words, *NEEDED.get(name, []), option, value], env={"COLUMNS": "200"})
    assert result.exit_code != 0
    assert option in f"{result.output}{result.exception}"
    assert "Invalid value" in result.output or "expected a finite number" in str(result.exception)


@pytest.mark.parametrize("name", TRAININGS)
def test_no_training_takes_no_steps(name: str) -> None:
    result = CliRunner().invoke(app, [name, "--total-steps", "0"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "--total-steps" in result.output


def test_steps_become_iterations() -> None:
    config = load_config(overrides={"env.num_envs": 4, "ppo.n_steps": 8, "ppo.minibatches": 1})
    assert [iterations_for(steps, config) for steps in (1, 32, 33, 10**18)] == [1, 1, 2, 10**18 // 32]
    for steps in (0, -1):
        with pytest.raises(ConfigError, match=f"total_steps is {steps}, expected at least 1"):
            iterations_for(steps, config)


def measures(kind: type[BaseModel], above: str = "") -> Iterator[str]:
    """Dotted keys of the settings that are numbers with a fraction."""
    for name, field in kind.model_fields.items():
        options = get_args(field.annotation) or (field.annotation,)
        for option in options:
            if isinstance(option, type) and issubclass(option, BaseModel):
                yield from measures(option, f"{above}{name}.")
            elif option is float and get_origin(field.annotation) is not dict:
                yield above + name


@pytest.mark.parametrize("kind", [config_type(), MotionConfig, RefNNConfig, BackwardConfig])
def test_a_setting_that_is_no_finite_number_is_refused(kind: type[Section]) -> None:
    keys = set(measures(kind))
    assert len(keys) > 2
    for key in keys - INFINITE:
        for value in (math.nan, math.inf, -math.inf):
            tree: Any = nest(key, value)
            if key.startswith(("schedule.", "data.curriculum.")):  # lists of sections
                head, _, last = key.rpartition(".")
                tree = nest(head, [{last: value}])
            with pytest.raises(ConfigError, match=rf"{key.rpartition('.')[2]}: Input should be "):
                check_layer(kind, tree, "here")
