"""Settings as fields, generated from the configuration's own schema: one for each number, switch and choice.

Only what is a field here may be set by a client. Strings are choices that the schema lists, so that no path and no
name of a client's making reaches a configuration.
"""

from __future__ import annotations

import functools
import math
import types
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic.fields import FieldInfo

from gait_envs.registry import find_id
from gait_trainers.config.section import Section
from gait_trainers.service.errors import Invalid


@dataclass(frozen=True)
class Field:
    """A setting, as a form shows it."""

    key: str  # dotted
    label: str
    kind: str  # int, float, bool, choice, choices (several), sizes (whole numbers), numbers, weights (name -> number)
    default: Any
    least: float | None = None
    most: float | None = None
    choices: tuple[str, ...] = ()  # of one choice or several; of weights, the names that may have one
    description: str = ""
    advanced: bool = True
    optional: bool = False  # null is allowed


# Limits of the machine rather than of the method.
MOST = {
    "env.num_envs": 16384, "ppo.n_steps": 8192, "run.iterations": 1_000_000, "env.threads": 256,
    "amp.replay_size": 10_000_000, "muscle.buffer_size": 10_000_000, "run.torch_threads": 64,
    "run.keep_checkpoints": 100,
    # motionnn
    "optim.updates": 1_000_000, "optim.batch_frames": 1_000_000, "optim.least_windows": 65_536,
    "optim.most_windows": 65_536, "data.resident": 10_000, "data.workers": 16, "data.prefetch": 1000,
    # refnn
    "iterations": 1_000_000, "epochs": 1000, "batch_size": 1_000_000, "stream_batch": 1_000_000, "stream_scale": 1000,
    "replay": 10_000_000, "torch_threads": 64,
}  # fmt: skip
LARGEST_LAYER, MOST_LAYERS = 4096, 8
HIDDEN = {"run.tensorboard", "run.device", "run.init", "run.out", "run.name", "env.id", "run.minutes"}


def check(fields: list[Field], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings, each found possible by its field; Invalid names the key at fault."""
    known = {field.key: field for field in fields}
    for key, value in settings.items():
        if key not in known:
            raise Invalid(f"{key[:100]!r} cannot be set; known are {', '.join(known)}", key[:100])
        check_value(known[key], value)
    return dict(settings)


def of_section(section: str, values: Section, simple: Collection[str]) -> list[Field]:
    """The settings of a section, or of the whole configuration where the section has no name.

    simple: keys of those that are not under "advanced".
    """
    found = []
    for name, info in type(values).model_fields.items():
        key = f"{section}.{name}" if section else name
        kind, choices, optional = _kind(info.annotation)
        if kind is None or key in HIDDEN:
            continue
        least, most = _range(info)
        most = min((x for x in (most, MOST.get(key)) if x is not None), default=None)
        found.append(
            Field(
                key,
                name.replace("_", " "),
                kind,
                getattr(values, name),
                least,
                most,
                choices,
                info.description or "",
                key not in simple,
                optional,
            )
        )
    return found


def of_environment(env_id: str, chosen: Mapping[str, Any]) -> list[Field]:
    """Options of an environment: numbers, switches and lists of numbers. What names a file is none of them."""
    row = find_id(env_id)
    if row is None:
        return []
    options, found = row.options_type(), []
    values = options(**chosen)
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
    if get_origin(annotation) is list and get_origin(inner[0]) is Literal:
        return "choices", tuple(map(str, get_args(inner[0]))), False
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


def check_value(field: Field, value: Any) -> None:
    """Invalid unless the field may have this value."""
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
    elif field.kind == "choices":
        if not isinstance(value, list) or not all(item in field.choices for item in value):
            raise Invalid(f"expected some of {', '.join(field.choices)}", field.key)
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
