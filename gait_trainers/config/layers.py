"""From layers of settings to one validated configuration: defaults, a preset, a file, overrides.

A preset holds only what it changes. Every layer is checked by itself, so that an unknown key is reported with the
file that holds it.
"""

from __future__ import annotations

import dataclasses
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from gait_envs.errors import one_line
from gait_envs.reading.loaders import loader
from gait_envs.reading.yaml_text import parse_yaml, read_yaml
from gait_trainers.config.checking import (
    Layer,
    check_layer,
    check_preset,
    checked,
    merged,
    nest,
    overriding,
    sections,
    unknown_key,
)
from gait_trainers.config.design_document import is_design_document, translate
from gait_trainers.config.registry import LEARNERS, learner_specs
from gait_trainers.config.schema import (
    EnvConfig,
    TrainConfig,
    check_body,
    config_type,
    env_options,
    full_schedule,
    task_config,
)
from gait_trainers.config.section import ConfigError


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
    layers: list[Layer] = [(f"usual {key}={value!r}", nest(key, value)) for key, value in (usual or {}).items()]
    if preset is not None:
        layers += _preset_layers(preset)
    if file is not None:
        tree = sections(read_yaml(file, ConfigError), str(file))
        layers.append((str(file), translate(tree, str(file)) if is_design_document(tree) else tree))
    layers += overriding(overrides)
    for source, layer in layers:
        check_layer(config_type(), layer, source)
    tree = merged(layer for _, layer in layers)
    env_id = tree.get("env", {}).get("id", EnvConfig().id)
    for source, layer in layers:
        _check_env_options(layer.get("env", {}).get("kwargs", {}), env_id, source)
    source = str(file) if file is not None else f"preset {preset!r}" if preset is not None else "configuration"
    return validate(tree, source)


def validate(tree: dict[str, Any], source: str) -> TrainConfig:
    """The whole configuration, or ConfigError naming `source`, the dotted key and what is allowed there."""
    config = checked(config_type(), tree, source)
    try:
        task = task_config(config)
        check_body(config, task)
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
    """As a file of its own.

    A module before the environment's id is left out, as a file may not name one; so is the section of another
    package's learner that takes no part, as the file must be readable where that package is not.
    """
    tree = config.model_dump()
    tree["env"]["id"] = config.env.id.rpartition(":")[2]
    taking_part = {spec.name for spec in config.specs}
    for name in learner_specs().keys() - LEARNERS.keys() - taking_part:
        tree.pop(name, None)
    return yaml.safe_dump(tree, sort_keys=False)


def parse_assignment(text: str) -> tuple[str, Any]:
    """ "ppo.gamma=0.98" -> ("ppo.gamma", 0.98); the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise ConfigError(f"--set {text!r}: expected dotted.key=value, for instance ppo.gamma=0.98")
    try:
        return key.strip(), parse_yaml(value, f"--set {text!r}", ConfigError)
    except ConfigError:
        raise ConfigError(f"--set {text!r}: {value!r} is not a YAML value") from None


def _preset_layers(name: str) -> list[Layer]:
    """A preset's own settings, after those of the preset that it says it begins with."""
    tree = _read_preset(name)
    base = tree.pop("preset", None)
    return [*(_preset_layers(base) if base else ()), (f"preset {name!r}", tree)]


def _read_preset(name: str) -> dict[str, Any]:
    check_preset(name, preset_names())
    text = (resources.files("gait_trainers.config") / "presets" / f"{name}.yaml").read_text()
    return sections(parse_yaml(text, f"preset {name}", ConfigError), f"preset {name}")


def _check_env_options(kwargs: dict[str, Any], env_id: str, source: str) -> None:
    options = env_options(env_id)
    allowed = [] if options is None else [field.name for field in dataclasses.fields(options)]
    for key in kwargs:
        if allowed and key not in allowed:
            raise ConfigError(f"{source}: {unknown_key(f'env.kwargs.{key}', allowed)}")
