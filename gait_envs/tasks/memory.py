"""What a task remembers between steps: one table of named arrays, to which each part of a task adds its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np


class Field(NamedTuple):
    """One array of the memory, with a row for each sub-environment."""

    name: str
    shape: tuple[int, ...]  # of one row
    unit: str
    meaning: str
    kind: type = float
    blank: float = 0.0  # before the first reset
    later: bool = False  # states saved before the field existed lack it, and are restored with the blank


class Memory:
    """Arrays by name, each (n, ...): `memory.command`. `replace` returns a copy; only a reset writes rows in place."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.__dict__.update(arrays)

    def __getattr__(self, name: str) -> np.ndarray:  # only called for missing names
        raise AttributeError(f"the memory has no {name!r}; it has {', '.join(self.__dict__)}")

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"memory.{name} cannot be set; use memory.replace({name}=...)")

    def replace(self, **changes: np.ndarray) -> Memory:
        """The same but for these arrays; raises ValueError for a name that is not there."""
        other = Memory(self.__dict__)
        other.__dict__.update(changes)
        if len(other.__dict__) > len(self.__dict__):
            unknown = changes.keys() - self.__dict__.keys()
            raise ValueError(f"the memory has no {', '.join(sorted(unknown))}; it has {', '.join(self.__dict__)}")
        return other

    def take(self, ids: np.ndarray) -> Memory:
        """The rows `ids` alone, copied."""
        return Memory({name: value[ids] for name, value in self.__dict__.items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array by name, for saving."""
        return dict(self.__dict__)


def blank_memory(fields: Iterable[Field], n: int) -> Memory:
    """Memory of n sub-environments that have not been reset yet; raises ValueError for a duplicate name."""
    arrays: dict[str, np.ndarray] = {}
    for field in fields:
        if field.name in arrays:
            raise ValueError(f"two parts of the task have a memory field {field.name!r}; rename one of them")
        arrays[field.name] = np.full((n, *field.shape), field.blank, dtype=field.kind)
    return Memory(arrays)
