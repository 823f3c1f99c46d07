"""Arrays out of an `.npz`, a block of rows at a time, never pickled; what the readers of such files share.

A member is read through the archive as a stream, compressed or not, so that a table may be larger than memory.
"""

from __future__ import annotations

import math
import os
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.formats.text import MAX_NUMBER
from gait_envs.reading.archive import Header, check_compression, read_header
from gait_envs.reading.bounded import BoundedFile
from gait_envs.rotations import normalize

_SMALL = 1 << 24  # bytes: what is read whole (names, offsets) must not fill the memory
MAX_FPS = 1e5
_QUAT_SLACK = 0.1  # a quaternion's length may be off by rounding, not by more


class Archive:
    """An `.npz` file. Every fault is a `MotionError` that names the file, the key and what is wanted."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        if not self.path.is_file():
            raise MotionError(f"{self.path}: {'not a file' if self.path.exists() else 'no such file'}")
        try:
            with BoundedFile(self.path) as stream, zipfile.ZipFile(stream) as file:
                self.keys = tuple(name.removesuffix(".npy") for name in file.namelist())
        except Exception as error:  # a damaged archive raises a dozen kinds
            raise MotionError(f"{self.path}: no whole .npz archive: {error}") from error

    def error(self, key: str, message: str) -> MotionError:
        """The error of a member, to be raised: names the file and the key."""
        return MotionError(f"{self.path}: {key}: {message}")

    def member(self, key: str, shape: tuple[int | str | None, ...], kinds: str = "fiu") -> Header:
        """The header of a member, its shape and kind checked; a letter or None stands for any length."""
        with _Stream(self, key) as stream:
            header = stream.header
        fits = len(header.shape) == len(shape) and all(
            not isinstance(want, int) or want == length for want, length in zip(shape, header.shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if want is None else str(want) for want in shape)
            raise self.error(key, f"its shape is {header.shape}, expected ({wanted})")
        if header.dtype.kind not in kinds:
            what = "numbers" if "f" in kinds else "text"
            raise self.error(key, f"it holds {header.dtype}, expected {what}")
        return header

    def array(self, key: str, shape: tuple[int | str | None, ...], kinds: str = "fiu") -> np.ndarray:
        """A small member whole; numbers as float64 and finite, text as it is."""
        header = self.member(key, shape, kinds)
        if math.prod(header.shape) * header.dtype.itemsize > _SMALL:
            raise self.error(key, f"its shape {header.shape} is larger than any skeleton needs")
        with _Stream(self, key) as stream:
            values = stream.read(header.shape)
            stream.finish()
        if header.dtype.kind not in "fiu":
            return values
        values = values.astype(np.float64)
        if not (np.abs(values) < MAX_NUMBER).all():
            raise self.error(key, "it is not finite" if not np.isfinite(values).all() else "it is too large")
        return values

    def number(self, key: str) -> float:
        """A single number."""
        header = self.member(key, (None,) * len(self.shape(key)))
        if math.prod(header.shape) != 1:
            raise self.error(key, f"its shape is {header.shape}, expected one number")
        return float(self.array(key, header.shape).reshape(()))

    def rate(self, *keys: str, given: float | None = None) -> float:
        """Frames a second as `given`, else under the first of these keys that there is."""
        if given is not None:
            if not 0 < given <= MAX_FPS:
                raise MotionError(f"{self.path}: fps is {given:g}; expected a positive number up to {MAX_FPS:g}")
            return float(given)
        hint = "say the captured frames a second with --captured-fps (in Python, fps)"
        key = next((key for key in keys if key in self.keys), None)
        if key is None:
            held = ", ".join(self.keys) or "nothing"
            raise MotionError(f"{self.path}: missing {' or '.join(keys)}; it holds {held}; {hint}")
        try:
            fps = self.number(key)
        except MotionError as error:
            raise MotionError(f"{error}; {hint}") from error
        if not 0 < fps <= MAX_FPS:
            raise self.error(
                key, f"it is {fps:g} frames a second; expected a positive number up to {MAX_FPS:g}; {hint}"
            )
        return fps

    def text(self, key: str) -> str:
        """A single string."""
        value = self.array(key, (), "US").reshape(())[()]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

    def names(self, key: str) -> tuple[str, ...]:
        """A row of names, none twice."""
        names = tuple(str(name) for name in self.array(key, ("joints",), "U"))
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise self.error(key, f"the name {twice!r} is there twice")
        return names

    def frames(self, key: str, row: tuple[int | str | None, ...]) -> int:
        """How many frames a table of numbers (frames, *row) has, at least one."""
        count = self.member(key, ("frames", *row)).shape[0]
        if count == 0:
            raise self.error(key, "it has no frame; a motion needs at least one")
        return count

    def blocks(self, key: str, size: int, gaps: bool = False) -> Iterator[np.ndarray]:
        """Rows of a table, up to `size` at a time, as float64; NaN is an error unless there may be `gaps`."""
        with _Stream(self, key) as stream:
            total, *row = stream.header.shape
            # Columns first on disk: no row is whole before the last column is there.
            whole = stream.read((total, *row)) if stream.header.fortran else None
            for start in range(0, total, size):
                count = min(size, total - start)
                block = stream.read((count, *row)) if whole is None else whole[start : start + count]
                yield check_finite(block.astype(np.float64), f"{self.path}: {key}", start, gaps)
            stream.finish()

    def shape(self, key: str) -> tuple[int, ...]:
        """Of a member, as its header says."""
        with _Stream(self, key) as stream:
            return stream.header.shape


class _Stream:
    """One member, open; a context manager that turns whatever a damaged archive raises into a `MotionError`."""

    def __init__(self, archive: Archive, key: str):
        self.archive, self.key = archive, key
        if key not in archive.keys:
            raise MotionError(f"{archive.path}: missing {key}; it holds {', '.join(archive.keys) or 'nothing'}")

    def __enter__(self) -> _Stream:
        self._open = ExitStack()
        try:
            archive = self._open.enter_context(zipfile.ZipFile(self.archive.path))
            name = f"{self.key}.npy" if f"{self.key}.npy" in archive.namelist() else self.key
            check_compression(archive.getinfo(name))
            self.file: IO[bytes] = self._open.enter_context(archive.open(name))
            self.header = read_header(self.file)
        except Exception as error:
            self.__exit__()
            raise self.archive.error(self.key, f"not a readable array: {error}") from error
        if self.header.dtype.hasobject:
            self.__exit__()
            raise self.archive.error(self.key, "it holds pickled Python objects, which are never read")
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def read(self, shape: tuple[int, ...]) -> np.ndarray:
        """The next values, as an array of this shape in the order on disk."""
        wanted = math.prod(shape) * self.header.dtype.itemsize
        data = self._bytes(wanted)
        if len(data) < wanted:
            raise self.archive.error(self.key, f"the data end early: its header says {self.header.shape}")
        return np.frombuffer(data, self.header.dtype).reshape(shape, order="F" if self.header.fortran else "C")

    def finish(self) -> None:
        """Read to the end, where the checksum is compared."""
        if self._bytes(1):
            raise self.archive.error(self.key, f"more data than its header says: {self.header.shape}")

    def _bytes(self, count: int) -> bytes:
        try:
            return self.file.read(count)
        except Exception as error:
            raise self.archive.error(self.key, f"not a readable array: {error}") from error


def archive_keys(path: Path) -> tuple[str, ...] | None:
    """Keys of an `.npz`, None where it cannot be read: for telling formats apart without raising."""
    try:
        return Archive(path).keys
    except MotionError:
        return None


def check_finite(block: np.ndarray, where: str, first: int, gaps: bool) -> np.ndarray:
    """The block (t, ...) itself, unless a value is not finite or absurd; NaN passes where there may be `gaps`."""
    bad = ~(np.abs(block) < MAX_NUMBER)
    if gaps:
        bad &= ~np.isnan(block)
    if bad.any():
        frame = int(np.argmax(bad.reshape(len(block), -1).any(axis=1)))
        kind = "too large" if np.isfinite(block[frame][bad[frame]]).all() else "infinite" if gaps else "not finite"
        raise MotionError(f"{where}: {kind} at frame {first + frame}")
    return block


def unit_quaternions(block: np.ndarray, where: str, first: int, slack: float = _QUAT_SLACK) -> np.ndarray:
    """Quaternions (t, ..., 4) made exactly unit; a length more than `slack` off is an error, NaN stays NaN."""
    off = np.abs(np.linalg.norm(block, axis=-1) - 1.0)
    if (off > slack).any():
        frame, *at = np.argwhere(off > slack)[0]
        raise MotionError(
            f"{where}: quaternion {at[0] if at else 0} of frame {first + frame} has length "
            f"{np.linalg.norm(block[(frame, *at)]):.4f}, not 1"
        )
    return normalize(block)


def check_tree(parents: np.ndarray, joints: int, where: str) -> np.ndarray:
    """Parents (J,) as integers: one root, first, and every other joint after its parent."""
    tree = np.clip(parents, -2, joints).astype(int)
    if tree.shape != (joints,) or (tree != parents).any():
        raise MotionError(f"{where}: expected {joints} whole numbers, one a joint")
    wrong = [j for j in range(joints) if not (tree[j] == -1 if j == 0 else 0 <= tree[j] < j)]
    if wrong:
        raise MotionError(f"{where}: joint {wrong[0]} has parent {tree[wrong[0]]}; expected -1 for joint 0 alone, "
                          f"and a joint's parent before it")  # fmt: skip
    return tree
