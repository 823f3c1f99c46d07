"""What can be configured, generated from the configuration's own schema: a field for each number, switch and choice.

Only what is a field here may be set by a client. Strings are choices that the schema lists, so that no path and no
name of a client's making reaches a configuration.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from gait_envs.registry import ENVIRONMENTS, find_id
from gait_envs.tasks.config import TrackConfig
from gait_trainers.config.layers import load_config, preset_names
from gait_trainers.config.registry import learners_of
from gait_trainers.config.schema import TrainConfig, config_type
from gait_trainers.config.section import ConfigError
from gait_trainers.service.errors import Invalid


@dataclass(frozen=True)
class Algorithm:
    """A command of `gait-train` that trains."""

    name: str
    description: str
    learns: str  # its algorithm in the configuration
    preset: str | None  # that it begins with
    env_id: str
    environments: tuple[str, ...]
    presets: tuple[str, ...]
    needs_motions: bool  # whether it follows clips, and so asks for some


@dataclass(frozen=True)
class Field:
    """A setting, as a form shows it."""

    key: str  # dotted
    label: str
    kind: str  # int, float, bool, choice, sizes (whole numbers), numbers, weights (name -> number)
    default: Any
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()  # of a choice; of weights, the names that may have one
    description: str = ""
    advanced: bool = True
    optional: bool = False  # null is allowed


SIMPLE = {  # those that are not under "advanced"
    "run.iterations", "run.seed", "env.num_envs", "ppo.n_steps", "ppo.minibatches", "ppo.epochs", "ppo.learning_rate",
    "networks.policy", "networks.value", "amp.weight", "amp.learning_rate", "muscle.learning_rate",
}  # fmt: skip
# Limits of the machine rather than of the method.
MOST = {"env.num_envs": 16384, "ppo.n_steps": 8192, "run.iterations": 1_000_000, "env.threads": 256,
        "amp.replay_size": 10_000_000, "muscle.buffer_size": 10_000_000, "run.torch_threads": 64,
        "run.keep_checkpoints": 100}  # fmt: skip
LARGEST_LAYER, MOST_LAYERS = 4096, 8
HIDDEN = {"run.tensorboard", "run.device", "run.init", "run.out", "run.name", "env.id", "run.minutes"}


# Name: (description, its algorithm in the configuration, preset that it begins with, environment, follows clips).
_OFFERED = {
    "ppo-amp": ("Walk to commands, in the style of the motions.", "ppo-amp", None, "GaitNet/WildRobot-v0", False),
    "ppo": ("Walk to commands, by the task reward alone.", "ppo", None, "GaitNet/WildRobot-v0", False),
    "imitate": ("Track the motions frame by frame.", "ppo", "imitate", "GaitNet/WildRobotImitation-v0", True),
    "muscle": (
        "Track the motions with a muscle-driven body.", "muscle", "muscle", "GaitNet/MuscleHumanoidImitation-v0", True
    ),
}  # fmt: skip


@functools.cache
def algorithms() -> tuple[Algorithm, ...]:
    """Those that the service offers, each with the environments and presets that it can be trained with."""
    found = []
    for name, (description, learns, preset, env_id, follows) in _OFFERED.items():
        suited = tuple(row.id for row in ENVIRONMENTS.values() if _suits(row.options_type(), follows, name))
        presets = tuple(p for p in preset_names() if _loads(learns, p, env_id, suited))
        found.append(Algorithm(name, description, learns, preset, env_id, suited, presets, follows))
    return tuple(found)


def _suits(options: type, follows: bool, name: str) -> bool:
    """Whether environments with these options are for an algorithm."""
    muscles = any(field.name == "actuation" and field.default == "muscle" for field in dataclasses.fields(options))
    return issubclass(options, TrackConfig) == follows and (name == "muscle") <= muscles


def _loads(learns: str, preset: str, env_id: str, suited: tuple[str, ...]) -> bool:
    """Whether a preset goes with an algorithm and one of its environments."""
    try:
        config = load_config(None, preset, {"algorithm": learns}, {"env.id": env_id})
    except ConfigError:
        return False
    return config.env.id in suited


def algorithm(name: str) -> Algorithm:
    """The one of this name."""
    for known in algorithms():
        if known.name == name:
            return known
    raise Invalid(f"unknown algorithm; known are {', '.join(a.name for a in algorithms())}", "algorithm")


def base_config(name: str, preset: str | None = None, env_id: str | None = None) -> TrainConfig:
    """What a training begins with before anybody sets anything."""
    chosen = algorithm(name)
    preset = preset or chosen.preset
    if preset is not None and preset not in chosen.presets:
        raise Invalid(f"{name} has the presets {', '.join(chosen.presets)}", "preset")
    if env_id is not None and env_id not in chosen.environments:
        raise Invalid(f"{name} trains in {', '.join(chosen.environments)}", "env")
    overrides = {"algorithm": chosen.learns} | ({"env.id": env_id} if env_id else {})
    try:
        return load_config(None, preset, overrides, {"env.id": chosen.env_id})
    except ConfigError as error:
        raise Invalid(str(error), "preset" if preset else "env") from None


def form(name: str, preset: str | None = None, env_id: str | None = None) -> list[Field]:
    """Every setting of a training, with the values that it begins with; the usual ones first."""
    config = base_config(name, preset, env_id)
    learners = {spec.name for spec in learners_of(algorithm(name).learns)}
    fields: list[Field] = []
    for section in ("run", "env", "ppo", "networks", *sorted(learners)):
        model = config_type().model_fields[section].annotation
        fields += _of_section(section, model, getattr(config, section))
    fields += _of_environment(config)
    return sorted(fields, key=lambda field: field.advanced)


def check(fields: list[Field], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, each found possible by its field; Invalid names the key at fault."""
    known = {field.key: field for field in fields}
    for key, value in settings.items():
        if key not in known:
            raise Invalid(f"{key[:100]!r} cannot be set; known are {', '.join(known)}", key[:100])
        _check_value(known[key], value)
    return dict(settings)


def _of_section(section: str, model: Any, values: Any) -> list[Field]:
    found = []
    for name, info in model.model_fields.items():
        key = f"{section}.{name}"
        kind, choices, optional = _kind(info.annotation)
        if kind is None or key in HIDDEN:
            continue
        least, most = _range(info)
        most = min((x for x in (most, MOST.get(key)) if x is not None), default=None)
        label = name.replace("_", " ")
        found.append(
            Field(
                key,
                label,
                kind,
                getattr(values, name),
                least,
                most,
                choices,
                info.description or "",
                key not in SIMPLE,
                optional,
            )
        )
    return found


def _of_environment(config: TrainConfig) -> list[Field]:
    """Options of the environment: numbers, switches and lists of numbers. What names a file is none of them."""
    row = find_id(config.env.id)
    if row is None:
        return []
    options, found = row.options_type(), []
    values = options(**config.env.kwargs)
    for name, annotation in get_type_hints(options).items():
        kind, choices, optional = _kind(annotation)
        if kind is not None:
            value = getattr(values, name)
            if isinstance(value, float) and not math.isfinite(value):
                value = None
            value = list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
            key = f"env.kwargs.{name}"
            choices = _terms(row.id) if kind == "weights" else choices
            found.append(Field(key, name.replace("_", " "), kind, value, choices=choices, optional=optional))
    return found


@functools.cache
def _terms(env_id: str) -> tuple[str, ...]:
    """The reward terms of an environment, whatever its options."""
    row = find_id(env_id)
    return () if row is None else tuple(row.make_task({}).terms)


def _kind(annotation: Any) -> tuple[str | None, tuple[str, ...], bool]:
    """What a form shows for a type, its choices, and whether null is allowed; None: nothing."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, types.UnionType):
        others = [part for part in get_args(annotation) if part is not types.NoneType]
        if len(others) != 1:
            return None, (), False
        kind, choices, _ = _kind(others[0])
        return kind, choices, True
    if get_origin(annotation) is Literal:
        return "choice", tuple(map(str, get_args(annotation))), False
    plain = {bool: "bool", int: "int", float: "float"}.get(annotation)
    if plain is not None:
        return plain, (), False
    inner = [get_args(part)[0] if get_origin(part) is Annotated else part for part in get_args(annotation)]
    inner = [part for part in inner if part is not Ellipsis]
    if get_origin(annotation) in (list, tuple) and inner and set(inner) <= {int, float}:
        return ("sizes" if set(inner) == {int} else "numbers"), (), False
    if inner == [str, float]:
        return "weights", (), False
    return None, (), False


def _range(info: FieldInfo) -> tuple[float | None, float | None]:
    """Smallest and largest value by the rules of a field; None: no bound."""

    def bound(*names: str) -> float | None:
        found = (getattr(rule, name, None) for rule in info.metadata for name in names)
        return next((value for value in found if value is not None), None)

    return bound("ge", "gt"), bound("le", "lt")


def _check_value(field: Field, value: Any) -> None:
    if value is None:
        if not field.optional:
            raise Invalid("expected a value", field.key)
        return
    if field.kind == "bool":
        if not isinstance(value, bool):
            raise Invalid("expected true or false", field.key)
    elif field.kind == "choice":
        if value not in field.choices:
            raise Invalid(f"expected one of {', '.join(field.choices)}", field.key)
    elif field.kind in ("int", "float"):
        _check_number(field, value, field.kind == "int", field.least, field.most)
    elif field.kind in ("sizes", "numbers"):
        sizes = field.kind == "sizes" and not field.key.startswith("env.")
        most = MOST_LAYERS if sizes else 64
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise Invalid(f"expected a list of 1 to {most} numbers", field.key)
        for x in value:
            _check_number(field, x, field.kind == "sizes", 1 if sizes else None, LARGEST_LAYER if sizes else None)
    elif not isinstance(value, dict) or not all(_is_number(x) for x in value.values()):
        raise Invalid("expected names with a number each", field.key)
    elif unknown := [name for name in value if name not in field.choices]:
        raise Invalid(f"unknown name {unknown[0][:100]!r}; known are {', '.join(field.choices)}", field.key)


def _check_number(field: Field, value: Any, whole: bool, least: float | None, most: float | None) -> None:
    if not _is_number(value) or (whole and not isinstance(value, int)):
        raise Invalid(f"expected a {'whole ' if whole else ''}number", field.key)
    if (least is not None and value < least) or (most is not None and value > most):
        low, high = ("any" if x is None else f"{x:g}" for x in (least, most))
        raise Invalid(f"is {value}, allowed is {low} to {high}", field.key)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e12 and value == value
