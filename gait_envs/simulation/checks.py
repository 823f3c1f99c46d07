"""What every option is checked for before anything is made with it: that it is of its type, and finite."""

from __future__ import annotations

import dataclasses
import functools
import math
import os
from collections.abc import Mapping, Sequence
from numbers import Integral, Real
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import numpy as np

INFINITE = ("max_distance",)  # options for which infinity means that there is no limit


def check_options(config: Any, above: str = "") -> None:
    """Raise ValueError that names the first field of a dataclass whose value is not of the field's type.

    A number must be finite, but for `INFINITE`; true is no number. Lists and arrays do for tuples, and paths for text.
    above: what the name of a field begins with in the message
    """
    for name, hint in _hints(type(config)).items():  # type: ignore[arg-type]
        value = getattr(config, name)
        if name in INFINITE and is_real(value) and value == math.inf:
            continue
        if not _fits(value, hint):
            raise ValueError(f"{above}{name} is {_shown(value)}, expected {_told(hint)}")


def check_weights(weights: Any, where: str = "reward_weights") -> None:
    """Raise ValueError unless these are finite numbers by name."""
    if not isinstance(weights, Mapping):
        raise ValueError(f"{where} is {_shown(weights)}, expected a mapping of terms to finite numbers")
    for name, weight in weights.items():
        if not is_finite(weight):
            raise ValueError(f"{where}[{name!r}] is {_shown(weight)}, expected a finite number")


def check_count(value: Any, name: str, least: int, most: int) -> int:
    """A whole number of `least` to `most`; ValueError for anything else."""
    if not is_whole(value) or not least <= value <= most:
        raise ValueError(f"{name} is {_shown(value)}, allowed is a whole number of {least} to {most}")
    return int(value)


def plain(value: Any) -> Any:
    """A NumPy array without dimensions as the number that it holds; anything else as it is."""
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def is_real(value: Any) -> bool:
    """Whether this is a real number, of Python or NumPy."""
    return isinstance(value, Real) and not isinstance(value, bool | np.bool_)


def is_finite(value: Any) -> bool:
    try:
        return is_real(value) and math.isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool | np.bool_)


@functools.lru_cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _fits(value: Any, hint: Any) -> bool:
    origin, of = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in of)
    if origin is tuple:
        items = value.tolist() if isinstance(value, np.ndarray) else value
        if not isinstance(items, Sequence) or isinstance(items, str | bytes):
            return False
        kinds = [of[0]] * len(items) if of[1:] == (...,) else of
        return len(items) == len(kinds) and all(map(_fits, items, kinds))
    if origin is not None and issubclass(origin, Mapping):
        return isinstance(value, Mapping) and all(_fits(k, of[0]) and _fits(v, of[1]) for k, v in value.items())
    match hint:
        case _ if hint is Any:
            return True
        case _ if hint is bool:
            return isinstance(value, bool | np.bool_)
        case _ if hint is int:
            return is_whole(value)
        case _ if hint is float:
            return is_finite(value)
        case _ if hint is str:
            return isinstance(value, str | os.PathLike)
    return isinstance(value, hint)


def _told(hint: Any) -> str:
    """A type in words."""
    origin, of = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(map(_told, of))
    if origin is tuple:
        return f"several of: {_told(of[0])}" if of[1:] == (...,) else f"{len(of)} of: {_told(of[0])}"
    if origin is not None:
        return "a mapping of names to factors" if of[1] is Any else f"a mapping of names, each to {_told(of[1])}"
    words = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text", NoneType: "nothing"}
    return words.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
