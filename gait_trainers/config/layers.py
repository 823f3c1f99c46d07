"""From layers of settings to one validated configuration: defaults, a preset, a file, overrides.

A preset holds only what it changes. Every layer is checked by itself, so that an unknown key is reported with the
file that holds it.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Sequence
from functools import reduce
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from gait_envs.errors import one_line
from gait_envs.reading.loaders import loader
from gait_envs.reading.yaml_text import parse_yaml, read_yaml
from gait_trainers.config.design_document import is_design_document, translate
from gait_trainers.config.schema import EnvConfig, TrainConfig, config_type, env_options, full_schedule, task_config
from gait_trainers.config.section import ConfigError, Section


def preset_names() -> list[str]:
    """Names of the bundled presets, sorted."""
    folder = resources.files("gait_trainers.config") / "presets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


@loader("configuration", ".yaml")
def load_config(
    file: str | Path | None = None,
    preset: str | None = None,
    overrides: dict[str, Any] | None = None,
    usual: dict[str, Any] | None = None,
) -> TrainConfig:
    """Defaults, then `usual`, `preset`, `file` and `overrides` ({"ppo.gamma": 0.98, …}); the later wins."""
    layers = [(f"usual {key}={value!r}", nest(key, value)) for key, value in (usual or {}).items()]
    if preset is not None:
        layers += _preset_layers(preset)
    if file is not None:
        tree = _sections(read_yaml(file, ConfigError), str(file))
        layers.append((str(file), translate(tree, str(file)) if is_design_document(tree) else tree))
    layers += [(f"override {key}={value!r}", nest(key, value)) for key, value in (overrides or {}).items()]
    for source, layer in layers:
        _check_layer(layer, source)
    merged: dict[str, Any] = reduce(merge, (layer for _, layer in layers), {})
    env_id = merged.get("env", {}).get("id", EnvConfig().id)
    for source, layer in layers:
        _check_env_options(layer.get("env", {}).get("kwargs", {}), env_id, source)
    source = str(file) if file is not None else f"preset {preset!r}" if preset is not None else "configuration"
    return validate(merged, source)


def validate(tree: dict[str, Any], source: str) -> TrainConfig:
    """The whole configuration, or ConfigError naming `source`, the dotted key and what is allowed there."""
    try:
        config = config_type().model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explained(error.errors(), source)) from None
    try:
        task = task_config(config)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{source}: env.kwargs: {one_line(error, 500)}") from None
    try:
        for spec in config.specs:
            spec.check(config, task)
        full_schedule(config)
    except ValueError as error:
        raise ConfigError(f"{source}: {one_line(error, 500)}") from None
    return config


def dump_yaml(config: TrainConfig) -> str:
    """As a file of its own, in which a module before the environment's id is left out: a file may not name one."""
    tree = config.model_dump()
    tree["env"]["id"] = config.env.id.rpartition(":")[2]
    return yaml.safe_dump(tree, sort_keys=False)


def nest(dotted: str, value: Any) -> dict[str, Any]:
    """nest("ppo.gamma", 0.98) == {"ppo": {"gamma": 0.98}}"""
    tree = value
    for part in reversed(dotted.split(".")):
        tree = {part: tree}
    return tree


def merge(base: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """`base` with `top` laid over it; mappings are merged, everything else is replaced."""
    merged = dict(base)
    for key, value in top.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = merge(merged[key], value) if both else value
    return merged


def parse_assignment(text: str) -> tuple[str, Any]:
    """ "ppo.gamma=0.98" -> ("ppo.gamma", 0.98); the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text!r}: expected dotted.key=value, for instance ppo.gamma=0.98")
    try:
        return key.strip(), parse_yaml(value, f"--set {text!r}", ConfigError)
    except ConfigError:
        raise ConfigError(f"--set {text!r}: {value!r} is not a YAML value") from None


def _preset_layers(name: str) -> list[tuple[str, dict[str, Any]]]:
    """A preset's own settings, after those of the preset that it says it begins with."""
    tree = _read_preset(name)
    base = tree.pop("preset", None)
    return [*(_preset_layers(base) if base else ()), (f"preset {name!r}", tree)]


def _read_preset(name: str) -> dict[str, Any]:
    if name not in preset_names():
        raise ConfigError(f"unknown preset {name!r}; available: {', '.join(preset_names())}")
    text = (resources.files("gait_trainers.config") / "presets" / f"{name}.yaml").read_text()
    return _sections(parse_yaml(text, f"preset {name}", ConfigError), f"preset {name}")


def _sections(tree: Any, source: str) -> dict[str, Any]:
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        raise ConfigError(f"{source}: expected a mapping of sections, found {type(tree).__name__}")
    return tree


def _check_layer(layer: dict[str, Any], source: str) -> None:
    """Raise unless each key and value of `layer` is possible by itself."""
    try:
        config_type().model_validate(layer)
    except ValidationError as error:
        # What concerns the whole (loc is empty) is judged on the merged tree, where all layers have spoken.
        problems = [problem for problem in error.errors() if problem["loc"]]
        if problems:
            raise ConfigError(_explained(problems, source)) from None


def _check_env_options(kwargs: dict[str, Any], env_id: str, source: str) -> None:
    options = env_options(env_id)
    allowed = [] if options is None else [field.name for field in dataclasses.fields(options)]
    for key in kwargs:
        if allowed and key not in allowed:
            raise ConfigError(f"{source}: {_unknown(f'env.kwargs.{key}', allowed)}")


def _unknown(key: str, allowed: list[str]) -> str:
    close = difflib.get_close_matches(key.rsplit(".", 1)[-1], allowed, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown key {one_line(repr(key))}{hint}; allowed here: {', '.join(allowed)}"


def _explained(problems: Sequence[Any], source: str) -> str:
    """Each problem, on one line together."""
    return "; ".join(_explain(problem, source) for problem in problems)


def _explain(problem: Any, source: str) -> str:
    path = [str(part) for part in problem["loc"]]
    key = ".".join(path)
    if problem["type"] == "extra_forbidden":
        return f"{source}: {_unknown(key, _fields_at(path[:-1]))}"
    message = one_line(problem["msg"].removeprefix("Value error, "), 500)
    if not key:
        return f"{source}: {message}"
    return f"{source}: {one_line(key)}: {message}, got {one_line(repr(problem['input']))}"


def _fields_at(path: list[str]) -> list[str]:
    """Names of the fields of the section at `path`."""
    model: Any = config_type()
    for part in path:
        if part.isdigit():  # an item of a list, which is what the list is of
            continue
        annotation = model.model_fields[part].annotation
        options = getattr(annotation, "__args__", (annotation,))
        model = next(option for option in options if isinstance(option, type) and issubclass(option, Section))
    return list(model.model_fields)
