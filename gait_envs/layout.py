"""Tables that say what each number of a vector is; vectors and documentation are made from them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np


class Row(NamedTuple):
    """A named range of numbers in a vector."""

    name: str
    size: int
    unit: str
    description: str
    limit: float = np.inf  # numbers are kept within ± this


class Layout(tuple[Row, ...]):
    """Rows in order: the single source of an observation's order, size and documentation."""

    __slots__ = ()

    @property
    def size(self) -> int:
        """Length of the vector: the sum of the sizes of its rows."""
        return sum(row.size for row in self)

    def slices(self) -> dict[str, slice]:
        """Where each row lies in the vector."""
        out, start = {}, 0
        for row in self:
            out[row.name] = slice(start, start + row.size)
            start += row.size
        return out

    @property
    def limits(self) -> np.ndarray:
        """The largest absolute value of each number, (size,) float32."""
        return _limits(self)

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        """Concatenate `values` (each (n, size)) in this order, within the limits, as float32 (n, size)."""
        parts = [values[row.name] for row in self]
        for row, part in zip(self, parts, strict=True):
            if part.shape[-1] != row.size:
                raise ValueError(f"{row.name} has {part.shape[-1]} numbers, but its layout says {row.size}")
        limits = _limits(self)
        return np.minimum(np.maximum(np.concatenate(parts, axis=-1), -limits), limits).astype(np.float32)

    def table(self) -> list[dict[str, Any]]:
        """Rows as plain dicts with their index range, for docs and exported bundles."""
        slices = self.slices()
        return [{"index": [slices[r.name].start, slices[r.name].stop], **r._asdict()} for r in self]


@functools.lru_cache(maxsize=64)
def _limits(rows: tuple[Row, ...]) -> np.ndarray:
    """See `Layout.limits`; not to be written to."""
    limits = np.repeat([row.limit for row in rows], [row.size for row in rows]).astype(np.float32)
    limits.flags.writeable = False
    return limits
