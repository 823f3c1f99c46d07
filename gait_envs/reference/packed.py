"""Packed sets: the frames of many clips end to end in plain `.npy` files, which are mapped rather than read.

A folder of `qpos.npy` (N, 7 + joints), `qvel.npy` (N, 6 + joints), `contacts.npy` (N, feet) and `torque.npy`
(N, joints), float64, infinite where nobody knows; `packed.json`, the body and the rate; and `clips.jsonl`, a line for
each clip in the order of its frames.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from gait_envs.errors import one_line
from gait_envs.reading.loaders import FOLDER, loader
from gait_envs.reading.text import check_regular, decode, parse_json, read_text
from gait_envs.reference.clip import Clip, ClipError

HEADER, INDEX = "packed.json", "clips.jsonl"
SET_VERSION = 2
MAX_LINE = 1 << 20  # bytes of a line of the index
MAX_NAME = 200  # characters of a clip's name, which becomes that of a file
MAX_FRAMES = 1 << 40  # of one clip: more than any disk holds
SOLES = 4  # columns of the loads where no clip knows them
_HEADER_KEYS = {"format_version": int, "model": str, "fps": float, "joint_names": list}
_CLIP_KEYS = {"name": str, "length": int, "loop": bool, "source": str, "license": str, "meta": dict}


class PackedClips(Sequence[Clip]):
    """Clips of a packed set. Each is made when it is asked for, a read-only view of the mapped tables."""

    def __init__(self, folder: Path, header: dict[str, Any], tables: dict[str, np.ndarray], index: _Index) -> None:
        """header: `packed.json`; tables: those of the whole set, by name; index: its clips, or some of them."""
        self.folder, self._header, self._tables, self._index = folder, header, tables, index
        self.model: str = header["model"]
        self.fps: float = header["fps"]
        self.joint_names = tuple(header["joint_names"])
        # Plain arrays on the maps: np.memmap's own bookkeeping costs more than a small query.
        self.qpos, self.qvel = np.asarray(tables["qpos"]), np.asarray(tables["qvel"])
        self.contacts, self.torque = np.asarray(tables["contacts"]), np.asarray(tables["torque"])
        self.names, self.starts, self.lengths, self.loops = index.names, index.starts, index.lengths, index.loops

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, at: Any) -> Any:
        """The clip at a number, or the clips of a slice."""
        if isinstance(at, slice):
            return self._subset(range(len(self))[at])
        rows = slice(self.starts[at], self.starts[at] + self.lengths[at])
        return self._clip(at, {key: np.asarray(table[rows]) for key, table in self._tables.items()})

    def __reduce__(self) -> tuple[Any, ...]:
        return _reopen, (self.folder, self.names)  # another process maps the files itself

    def meta(self, at: int) -> dict[str, Any]:
        """A clip's metadata; touches no frame."""
        return self._entry(at)["meta"]

    def select(self, names: Sequence[str]) -> PackedClips:
        """The clips of these names, in this order."""
        return self._subset(positions(self.names, names, str(self.folder)))

    def read(self, at: int) -> Clip:
        """A copy of a clip, read past the map: the mapped pages of a large set would count as memory in use."""
        start, length = self.starts[at], self.lengths[at]
        return self._clip(at, {key: _read_rows(table, start, length) for key, table in self._tables.items()})

    def _subset(self, at: Sequence[int]) -> PackedClips:
        return PackedClips(self.folder, self._header, self._tables, self._index.subset(at))

    def _entry(self, at: int) -> dict[str, Any]:
        """A clip's line of the index; ClipError where the file is another one than when the set was opened."""
        path = self.folder / INDEX
        check_regular(path, ClipError)
        with open(path, "rb") as file:
            file.seek(self._index.offsets[at])
            line = file.readline(MAX_LINE)
        entry = _entry(line, f"{path}: byte {self._index.offsets[at]}")
        if (entry["name"], entry["length"]) != (self.names[at], self.lengths[at]):
            raise ClipError(f"{path}: has changed since the set was opened: clip {self.names[at]!r} is elsewhere")
        return entry

    def _clip(self, at: int, frames: dict[str, np.ndarray]) -> Clip:
        entry = self._entry(at)
        fields: dict[str, Any] = {key: entry[key] for key in ("name", "loop", "source", "license", "meta")} | frames
        for key in ("contacts", "torque"):
            if np.isinf(fields[key][0]).all():
                fields[key] = None
        try:
            return Clip(**fields, fps=self.fps, joint_names=self.joint_names, model=self.model)
        except ClipError as error:
            raise ClipError(f"{self.folder}: {error}") from error


@dataclass(frozen=True)
class _Index:
    """What queries need to know of each clip; all else stays in the file, however many clips there are."""

    names: tuple[str, ...]
    starts: np.ndarray  # (clips,) first row in the tables
    lengths: np.ndarray  # (clips,) frames
    loops: np.ndarray  # (clips,) bool
    offsets: np.ndarray  # (clips,) byte at which a clip's line begins

    def subset(self, at: Sequence[int]) -> _Index:
        rows = np.array(at, dtype=np.int64)
        names = tuple(self.names[i] for i in at)
        return _Index(names, self.starts[rows], self.lengths[rows], self.loops[rows], self.offsets[rows])


def positions(known: Sequence[str], names: Iterable[str], where: str) -> list[int]:
    """Places of `names` among the `known`; one that is not there is an error that names `where`."""
    place = {name: i for i, name in enumerate(known)}
    missing = [name for name in names if name not in place]
    if missing:
        raise ClipError(f"{where}: no clip {missing[0]!r} ({len(missing)} missing); it holds {some(known)}")
    return [place[name] for name in names]


def some(names: Sequence[str], shown: int = 20) -> str:
    """The first of many names, for a message."""
    rest = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {rest} more" if rest > 0 else "")


def _read_rows(table: Any, start: int, length: int) -> np.ndarray:
    """Rows (length, width) of a mapped table, from the file."""
    width = table.shape[1]
    rows = np.fromfile(
        table.filename, table.dtype, length * width, offset=table.offset + start * width * table.itemsize
    )
    return rows.reshape(length, width)


@loader("packed set", FOLDER)
def load_packed(folder: str | os.PathLike[str]) -> PackedClips:
    """Map a packed set, read-only. What is wrong with it is a `ClipError` that names the file and the key."""
    folder = Path(folder)
    header = _read_header(folder / HEADER)
    index = _read_index(folder / INDEX)
    joints, rows = len(header["joint_names"]), int(index.lengths.sum())
    widths = {"qpos": 7 + joints, "qvel": 6 + joints, "contacts": None, "torque": joints}
    tables = {key: _map_table(folder / f"{key}.npy", rows, width) for key, width in widths.items()}
    return PackedClips(folder.absolute(), header, tables, index)


def _reopen(folder: Path, names: Sequence[str]) -> PackedClips:
    packed = load_packed(folder)
    return packed if names == packed.names else packed.select(names)


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header = parse_json(read_text(path, ClipError), str(path), ClipError)
    except FileNotFoundError:
        raise ClipError(f"{path}: no such file; a packed set has one") from None
    version = header.get("format_version", SET_VERSION) if isinstance(header, dict) else SET_VERSION
    if version != SET_VERSION:
        raise ClipError(f"{path}: format_version is {one_line(version)}, this GaitNet reads {SET_VERSION}")
    _check_keys(header, _HEADER_KEYS, str(path))
    if not 0 < header["fps"] < np.inf:
        raise ClipError(f"{path}: fps is {header['fps']}, expected a positive number")
    if not all(isinstance(name, str) for name in header["joint_names"]):
        raise ClipError(f"{path}: joint_names is {one_line(header['joint_names'])}, expected names")
    return header


def _read_index(path: Path) -> _Index:
    """Line by line: the whole would take kilobytes a clip."""
    names: dict[str, None] = {}
    lengths, loops, offsets = [], [], [0]
    check_regular(path, ClipError)
    try:
        with open(path, "rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), b""), start=1):
                where = f"{path}: line {number}"
                if len(line) == MAX_LINE:
                    raise ClipError(f"{where}: longer than {MAX_LINE} bytes")
                entry = _entry(line, where)
                if entry["name"] in names:
                    raise ClipError(f"{where}: the name {entry['name']!r} comes twice")
                names[entry["name"]] = None
                lengths.append(entry["length"])
                loops.append(entry["loop"])
                offsets.append(offsets[-1] + len(line))
    except FileNotFoundError:
        raise ClipError(f"{path}: no such file; a packed set has one") from None
    if not names:
        raise ClipError(f"{path}: holds no clip")
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    return _Index(tuple(names), starts, np.array(lengths), np.array(loops), np.array(offsets[:-1]))


def _entry(line: bytes, where: str) -> dict[str, Any]:
    """A line of the index, checked."""
    entry = parse_json(decode(line, where, ClipError), f"{where}: not readable as JSON", ClipError)
    _check_keys(entry, _CLIP_KEYS, where)
    if not 2 <= entry["length"] <= MAX_FRAMES:
        raise ClipError(f"{where}: length is {entry['length']}, at least 2 frames are needed, at most {MAX_FRAMES}")
    check_name(entry["name"], where)
    return dict(entry)


def check_name(name: str, where: str) -> None:
    """ClipError unless a clip of this name can be written below a folder, and nowhere else."""
    plain = PurePath(name).name == name and not {"/", "\\"} & {*name} and name not in (".", "..")
    if not (plain and 0 < len(name) <= MAX_NAME and name.isprintable()):
        raise ClipError(
            f"{where}: name is {one_line(repr(name))}; a clip's name is that of a file: printable, without slashes, "
            f"no longer than {MAX_NAME} characters"
        )


def _check_keys(value: Any, kinds: dict[str, type], where: str) -> None:
    if not isinstance(value, dict):
        raise ClipError(f"{where}: expected an object with {', '.join(kinds)}")
    for key, kind in kinds.items():
        if key not in value:
            raise ClipError(f"{where}: missing {key}; it holds {one_line(', '.join(value) or 'nothing')}")
        if type(value[key]) is not kind:
            raise ClipError(f"{where}: {key} is {one_line(repr(value[key]))}, expected {kind.__name__}")


def _map_table(path: Path, rows: int, width: int | None) -> np.ndarray:
    check_regular(path, ClipError)
    try:
        table = np.lib.format.open_memmap(path, mode="r")
    except FileNotFoundError:
        raise ClipError(f"{path}: no such file; a packed set has one") from None
    except Exception as error:  # a damaged file raises several kinds
        raise ClipError(f"{path}: not a readable table: {one_line(error)}") from error
    shape = (rows, width or (table.shape[1] if table.ndim == 2 else "feet"))
    if table.shape != shape or table.dtype != np.float64 or not table.flags.c_contiguous:
        raise ClipError(
            f"{path}: holds {table.dtype} of shape {table.shape}, "
            f"the set asks for float64 of ({shape[0]}, {shape[1]}), row by row"
        )
    return table
