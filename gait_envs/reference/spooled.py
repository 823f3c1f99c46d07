"""Tables that are derived from the frames of a set, kept in a file where the set itself is."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable

import numpy as np

from gait_envs.reference.clip import ClipError


def spooled(shape: tuple[int, ...], parts: Iterable[tuple[int, np.ndarray]]) -> np.ndarray:
    """A read-only float64 table of this shape in an unnamed temporary file, which is mapped: the system may drop its
    pages from memory, and the file disappears with the last process that maps it.

    parts: (first row, rows (k, *shape[1:])); rows that no part gives are zero. ClipError where the temporary folder
    has no room.
    """
    row = 8 * int(np.prod(shape[1:], dtype=np.int64))
    try:
        with tempfile.TemporaryFile() as file:
            file.truncate(shape[0] * row)
            for start, rows in parts:
                file.seek(start * row)
                file.write(np.ascontiguousarray(rows, dtype=np.float64).data)
            file.flush()
            return np.asarray(np.memmap(file, np.float64, "r", shape=shape))
    except OSError as error:
        size, where = shape[0] * row / 2**20, tempfile.gettempdir()
        raise ClipError(
            f"{where}: cannot hold {size:.0f} MiB derived from the reference ({error.strerror}); set TMPDIR to a "
            "folder with room"
        ) from None
