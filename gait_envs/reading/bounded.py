"""Files that are read in bounded pieces."""

from __future__ import annotations

import io
import os

MAX_DIRECTORY = 1 << 20  # bytes read at once, and so of the zip directory: room for 10,000 arrays


class BoundedFile(io.FileIO):
    """A file of which no single read may be large, so that no zip directory fills the memory."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or size < 0:
            size = max(os.fstat(self.fileno()).st_size - self.tell(), 0)
        if size > MAX_DIRECTORY:
            raise ValueError(f"its directory is larger than {MAX_DIRECTORY} bytes")
        return super().read(size)
