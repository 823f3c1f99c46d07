"""Arrays out of an `.npz` from outside: what the zip directory and the headers claim is checked before a byte expands.

Only the arrays that are asked for are decompressed, none is ever unpickled.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from gait_envs.errors import GaitNetError, one_line
from gait_envs.reading.bounded import MAX_DIRECTORY, BoundedFile
from gait_envs.reading.foreign import pickled
from gait_envs.reading.text import check_regular

MAX_TEXT_ARRAY = 4 << 20  # bytes of an array of text, which takes 4 a character
_HEAD = 16 << 10  # bytes in which the header of an array must end


class Header(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran: bool
    size: int  # bytes of the header itself


class Archive:
    """An `.npz` file, open; a context manager. Every fault is an `error` that begins with `where` and names the key.

    `limit`: bytes that all arrays read from it may take together, 8 or more a value.
    """

    def __init__(self, path: str | os.PathLike[str], error: type[GaitNetError], limit: int, where: str) -> None:
        self.error, self.limit, self.left, self.where = error, limit, limit, where
        check_regular(path, lambda _: error(f"{where}: not a file"))
        self._raw = BoundedFile(path)
        try:
            self._zip = zipfile.ZipFile(self._raw)
            names = [info.filename for info in self._zip.infolist()]
        except Exception as fault:  # a damaged archive raises a dozen kinds
            self._raw.close()
            raise error(f"{where}: no whole .npz archive: {pickled(Path(path)) or one_line(fault)}") from None
        self.keys = tuple(name.removesuffix(".npy") for name in names)
        if len(set(self.keys)) < len(self.keys):
            self._raw.close()
            raise error(f"{where}: an array is there twice")

    def __enter__(self) -> Archive:
        return self

    def __exit__(self, *exc: object) -> None:
        self._zip.close()
        self._raw.close()

    def fault(self, key: str, message: str) -> GaitNetError:
        """For the caller to raise."""
        return self.error(f"{self.where}: {one_line(key)}: {message}")

    def array(self, key: str, kinds: str, limit: int | None = None) -> np.ndarray:
        """An array whose dtype is of one of these kinds (of `np.dtype.kind`), and of at most `limit` bytes.

        Half precision becomes single, as limits like a million are beyond its range.
        """
        try:
            info = self._zip.getinfo(f"{key}.npy" if f"{key}.npy" in self._zip.NameToInfo else key)
            check_compression(info)
            with self._zip.open(info) as file:
                head = file.read(min(_HEAD, info.file_size))
                header = read_header(io.BytesIO(head))
                self._check(key, header, info.file_size, kinds, self.left if limit is None else limit)
                values = _filled(header, head[header.size :], file)
                half = values.dtype.kind == "f" and values.dtype.itemsize == 2
                return values.astype(np.float32) if half else values
        except GaitNetError:
            raise
        except Exception as fault:  # a damaged archive raises a dozen kinds
            missing = key not in self.keys
            told = f"missing; the archive has {', '.join(self.keys) or 'nothing'}" if missing else fault
            raise self.fault(key, one_line(told)) from None

    def _check(self, key: str, header: Header, stored: int, kinds: str, limit: int) -> None:
        if header.dtype.hasobject:
            raise self.fault(key, "it holds pickled Python objects, which are never read")
        if header.dtype.kind not in kinds:
            wanted = {"U": "text", "b": "true or false"}.get(kinds, "numbers")
            raise self.fault(key, f"it holds {header.dtype}, expected {wanted}")
        count = math.prod(header.shape)
        size = count * max(header.dtype.itemsize, 8)
        if size > limit:
            told = f"{limit}" if limit != self.left else f"{self.limit} for all arrays together"
            raise self.fault(key, f"its shape {one_line(header.shape)} takes {size} bytes, the limit is {told}")
        self.left -= min(size, self.left)
        if stored - header.size != count * header.dtype.itemsize:
            raise self.fault(key, f"the archive holds {stored - header.size} bytes, its header says {header.shape}")


def read_header(stream: IO[bytes]) -> Header:
    """The header of an `.npy`, of which no more is read; ValueError where there is none, or a long one."""
    version = np.lib.format.read_magic(stream)
    length = stream.read(2 if version == (1, 0) else 4)
    size = int.from_bytes(length, "little")
    if size > _HEAD:
        raise ValueError(f"its header has {size} bytes, at most {_HEAD} are read")
    read: Any = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(io.BytesIO(length + stream.read(size)))
    if any(side < 0 for side in shape):
        raise ValueError(f"its shape is {shape}")
    return Header(shape, dtype, fortran and len(shape) > 1, 8 + len(length) + size)


def _filled(header: Header, start: bytes, file: IO[bytes]) -> np.ndarray:
    """The array, read in blocks straight into its memory; at its end the archive's checksum is compared."""
    flat = np.empty(math.prod(header.shape), header.dtype)
    raw: Any = flat.view(np.uint8) if flat.nbytes else bytearray()
    data = memoryview(raw)
    data[: len(start)] = start
    at = len(start)
    while at < len(data):
        block = file.read(min(MAX_DIRECTORY, len(data) - at))
        if not block:
            raise ValueError("the data end early")
        data[at : at + len(block)] = block
        at += len(block)
    if file.read(1):
        raise ValueError("more data than its header says")
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def check_compression(info: zipfile.ZipInfo) -> None:
    """ValueError for bz2 and lzma, which expand a whole block however little is asked for; numpy uses neither."""
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError("it is compressed by another method than numpy's")
