"""What somebody has changed in a model, to be made again in another copy of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import mujoco
import numpy as np

Edits = dict[str, Any]  # dotted field, such as "opt.gravity", to its new value
TREES = ("opt", "stat", "vis")  # fields of the model that have fields; those of `vis` have fields, too


def edits(model: mujoco.MjModel, original: mujoco.MjModel) -> Edits:
    """Fields of `model` whose values differ from those of the original it is a copy of."""
    before = dict(_values(original))
    return {name: _copy(value) for name, value in _values(model) if not np.array_equal(value, before[name])}


def differ(model: mujoco.MjModel, original: mujoco.MjModel) -> bool:
    """Whether there may be edits: much faster than to find them."""
    one, other = (np.empty(mujoco.mj_sizeModel(x), np.uint8) for x in (model, original))
    mujoco.mj_saveModel(model, None, one)
    mujoco.mj_saveModel(original, None, other)
    return not np.array_equal(one, other)


def make_edits(model: mujoco.MjModel, changed: Edits) -> None:
    """Write the changed fields into a copy of the original."""
    for name, value in changed.items():
        *path, last = name.split(".")
        at: Any = model
        for part in path:
            at = getattr(at, part)
        if isinstance(value, np.ndarray):
            getattr(at, last)[:] = value
        else:
            setattr(at, last, value)


def _values(tree: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every number and array of numbers by its dotted name."""
    for name in dir(tree):
        if name.startswith("_"):
            continue
        value = getattr(tree, name)
        if isinstance(value, int | float | np.ndarray):
            yield f"{above}{name}", value
        elif above == "vis." or (not above and name in TREES):
            yield from _values(value, f"{above}{name}.")


def _copy(value: Any) -> Any:
    return value.copy() if isinstance(value, np.ndarray) else value
