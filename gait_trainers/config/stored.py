"""The environment that a file from outside names: one that is registered, with options that it has.

A bundle or a run folder may come from anybody. What it says of its environment goes through `check_stored` before
anything is made of it. What somebody types at the command line, or passes in Python, does not: it is their own.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Mapping
from typing import Any, get_type_hints

from pydantic import PydanticSchemaGenerationError, TypeAdapter

from gait_envs.errors import one_line
from gait_envs.registry import IDS, find_id
from gait_envs.simulation.randomize import RandomizeConfig
from gait_trainers.config.section import ConfigError

MAX_NUMBER = 1e6  # in any option
MAX_FRAMES = 1000  # in options that count frames or control steps, and so make buffers
MAX_ITEMS = 64  # of a list of numbers; more future frames would make an observation of any size
_COUNTS = ("future_frames", "latency")


def check_stored(env_id: Any, kwargs: Any, where: str) -> None:
    """ConfigError, which names `where`, unless the id is registered here and the options are the environment's own.

    An id with a module before it is refused: it would import the module. Options are judged by the types of the
    environment's dataclass, by bounds on numbers and lengths, and by what the dataclass itself refuses.
    """
    row = find_id(env_id) if isinstance(env_id, str) else None
    if row is None:
        raise ConfigError(
            f"{where}: cannot make {one_line(env_id)}: a file may name only the registered {', '.join(IDS)}; "
            "an installed package adds its own by an entry point of the group gaitnet.environments"
        )
    if not isinstance(kwargs, Mapping):
        raise ConfigError(f"{where}: the options of {env_id} are {one_line(repr(kwargs))}, expected a mapping")
    options = row.options_type()
    types: dict[str, TypeAdapter[Any]] = _types(options)  # type: ignore[arg-type]  # a class is hashable
    for key, value in kwargs.items():
        if key not in types:
            raise ConfigError(
                f"{where}: unknown key {one_line(repr(key))} of {env_id}; a file may set {', '.join(types)}"
            )
        try:
            _check_bounds(key, value)
            types[key].validate_json(json.dumps(value), strict=True)
        except (TypeError, ValueError) as error:  # pydantic's too
            told = error.errors()[0]["msg"] if hasattr(error, "errors") else error
            raise ConfigError(f"{where}: {key} is {one_line(repr(value))}: {one_line(told)}") from None
    try:
        options(**kwargs)
    except Exception as error:  # whatever the checks of another package's environment raise
        raise ConfigError(f"{where}: {one_line(error)}") from None


@functools.cache
def _types(options: type[Any]) -> dict[str, TypeAdapter[Any]]:
    """What checks the value of each option."""
    hints: dict[str, Any] = get_type_hints(options)
    if hints.get("randomize") is RandomizeConfig:  # which may also be given as these
        hints["randomize"] = bool | RandomizeConfig
    return {field.name: _adapter(hints[field.name]) for field in dataclasses.fields(options)}


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint)
    except PydanticSchemaGenerationError:  # a type of another package, which checks it itself
        return TypeAdapter(Any)


def _check_bounds(key: str, value: Any) -> None:
    """ValueError for a number or a list that no environment needs; `key` is the nearest one."""
    if isinstance(value, Mapping):
        for inner, item in value.items():
            _check_bounds(inner, item)
    elif isinstance(value, list | tuple):
        if len(value) > MAX_ITEMS and not all(isinstance(item, str) for item in value):
            raise ValueError(f"{len(value)} values; at most {MAX_ITEMS} are read from a file")
        for item in value:
            _check_bounds(key, item)
    elif isinstance(value, int | float):
        most = MAX_FRAMES if key in _COUNTS else MAX_NUMBER
        if math.isnan(value) or (abs(value) > most and not (key == "max_distance" and value == math.inf)):
            raise ValueError(f"expected a number up to {most:g}")
