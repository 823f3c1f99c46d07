"""Settings in layers, checked: the one place that says what is wrong with a configuration of whatever trainer.

A message is one line: the source (a file, a preset, an option), the dotted key, and what is allowed there. Every layer
is checked by itself, so that a mistake is reported with the layer that holds it; what concerns several settings is
judged on all layers together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from typing import Any, TypeVar

from pydantic import ValidationError

from gait_envs.errors import one_line
from gait_trainers.config.section import ConfigError, Section

S = TypeVar("S", bound=Section)
Layer = tuple[str, Mapping[str, Any]]  # what a message calls it, and its settings


def layered(kind: type[S], layers: Sequence[Layer], source: str) -> S:
    """The settings of all layers, the later over the earlier; ConfigError names a layer, or `source`."""
    for where, layer in layers:
        check_layer(kind, layer, where)
    return checked(kind, merged(layer for _, layer in layers), source)


def check_layer(kind: type[Section], layer: Mapping[str, Any], source: str) -> None:
    """ConfigError unless each key and value of `layer` is possible by itself."""
    try:
        kind.model_validate(layer)
    except ValidationError as error:
        # What concerns the whole (loc is empty) is judged on the merged tree, where all layers have spoken.
        problems = [problem for problem in error.errors() if problem["loc"]]
        if problems:
            raise ConfigError(_explained(kind, problems, source)) from None


def checked(kind: type[S], tree: Mapping[str, Any], source: str) -> S:
    """The settings in a tree; ConfigError names `source`, the dotted key and what is allowed there."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explained(kind, error.errors(), source)) from None


def sections(tree: Any, source: str) -> dict[str, Any]:
    """What a file of settings holds; nothing is no setting, and anything but a mapping a ConfigError."""
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: expected a mapping of settings, found {type(tree).__name__}")
    return tree


def check_preset(name: str, available: Iterable[str]) -> None:
    """ConfigError, which lists those that there are, unless the preset is one of them."""
    names = list(available)
    if name not in names:
        raise ConfigError(f"unknown preset {name!r}; available: {', '.join(names)}")


def overriding(overrides: Mapping[str, Any] | None) -> list[Layer]:
    """A layer for each setting of the command line, by its dotted key."""
    return [(f"override {key}={value!r}", nest(key, value)) for key, value in (overrides or {}).items()]


def nest(dotted: str, value: Any) -> dict[str, Any]:
    """nest("ppo.gamma", 0.98) == {"ppo": {"gamma": 0.98}}"""
    tree = value
    for part in reversed(dotted.split(".")):
        tree = {part: tree}
    return tree


def merge(base: Mapping[str, Any], top: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `top` laid over it; mappings are merged, everything else is replaced."""
    result = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = merge(result[key], value) if both else value
    return result


def merged(layers: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """All layers, each laid over those before it."""
    return reduce(merge, layers, {})


def unknown_key(key: str, allowed: Sequence[str]) -> str:
    """The message about a dotted key that does not exist, beside those that do."""
    close = difflib.get_close_matches(key.rsplit(".", 1)[-1], allowed, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown key {one_line(repr(key))}{hint}; allowed here: {', '.join(allowed)}"


def _explained(kind: type[Section], problems: Sequence[Any], source: str) -> str:
    """Each problem, on one line together."""
    return "; ".join(_explain(kind, problem, source) for problem in problems)


def _explain(kind: type[Section], problem: Any, source: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"{source}: {unknown_key(key, _fields_at(kind, path[:-1]))}"
    message = one_line(problem["msg"].removeprefix("Value error, "), 500)
    if not key:
        return f"{source}: {message}"
    return f"{source}: {one_line(key)}: {message}, got {one_line(repr(problem['input']))}"


def _fields_at(kind: type[Section], path: Sequence[str]) -> list[str]:
    """Names of the fields of the section at `path`."""
    section: Any = kind
    for part in path:
        if part.isdigit():  # an item of a list, which is what the list is of
            continue
        annotation = section.model_fields[part].annotation
        options = getattr(annotation, "__args__", (annotation,))
        section = next(option for option in options if isinstance(option, type) and issubclass(option, Section))
    return list(section.model_fields)
