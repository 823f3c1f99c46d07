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

    @functools.cached_property
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

    @functools.cached_property
    def limits(self) -> np.ndarray:
        """The largest absolute value of each number, (size,) float32; not to be written to."""
        limits = np.repeat([row.limit for row in self], [row.size for row in self]).astype(np.float32)
        limits.flags.writeable = False
        return limits

    @functools.cached_property
    def _sizes(self) -> list[int]:
        return [row.size for row in self]

    @functools.cached_property
    def _range(self) -> tuple[np.ndarray, np.ndarray]:
        """The least and the largest value of each number, (size,) float64."""
        limits = self.limits.astype(np.float64)
        return -limits, limits

    def pack(self, values: Mapping[str, Any]) -> np.ndarray:
        """Concatenate `values` (each (n, size)) in this order, within the limits, as float32 (n, size)."""
        parts = [values[row.name] for row in self]
        if [part.shape[-1] for part in parts] != self._sizes:
            row, part = next((r, p) for r, p in zip(self, parts, strict=True) if p.shape[-1] != r.size)
            raise ValueError(f"{row.name} has {part.shape[-1]} numbers, but its layout says {row.size}")
        low, high = self._range
        packed = np.concatenate(parts, axis=-1)
        np.maximum(packed, low, out=packed)
        return np.minimum(packed, high, out=packed).astype(np.float32)

    def table(self) -> list[dict[str, Any]]:
        """Rows as plain dicts with their index range, for docs and exported bundles."""
        slices = self.slices()
        return [{"index": [slices[r.name].start, slices[r.name].stop], **r._asdict()} for r in self]
