"""Our own file of a captured motion on its own skeleton: an `.npz` whose frames can be written and read in blocks.

Its arrays: format "capture", format_version 1; rotations (T, J, 4) wxyz against the parent and translations
(T, J, 3) from it, single precision (at 100 m from the origin that is 8 µm, far below what is captured);
names (J,), parents (J,), offsets (J, 3), fps, unit (metres), up, and as JSON in meta: origin, history,
notes, and what it was before it was converted (captured_fps, unit_m, up, rest_frames_dropped).
The archive is not compressed.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.files import replacing
from gait_envs.mocap.capture import BLOCK, Capture, Recorded, Skeleton
from gait_envs.mocap.formats.npz import Archive, archive_keys, check_finite, check_tree, unit_quaternions
from gait_envs.mocap.formats.text import MAX_JOINTS
from gait_envs.mocap.provenance import check_meta, meta_of

FORMAT, FORMAT_VERSION = "capture", 1
_DTYPE = np.dtype("<f4")


def sniff(path: Path) -> bool:
    """Whether an `.npz` says that it is one of ours, or cannot be read at all: then we say why."""
    keys = archive_keys(path)
    return keys is None or {"format", "rotations"} <= set(keys)


def open_capture(path: str | os.PathLike[str]) -> Capture:
    """Open a capture written by `write_capture`. Raises `MotionError` naming the file and the key."""
    archive = Archive(path)
    kind = archive.text("format")
    if kind != FORMAT:
        raise archive.error("format", f"it is {kind!r}, expected {FORMAT!r}")
    version = archive.number("format_version")
    if version != FORMAT_VERSION:
        raise archive.error("format_version", f"it is {version:g}, this GaitNet reads {FORMAT_VERSION}")
    names = archive.names("names")
    if not 0 < len(names) <= MAX_JOINTS:
        raise archive.error("names", f"{len(names)} joints; expected 1 to {MAX_JOINTS}")
    joints = len(names)
    parents = check_tree(archive.array("parents", (joints,)), joints, f"{archive.path}: parents")
    offsets = archive.array("offsets", (joints, 3))
    frames = archive.frames("rotations", (joints, 4))
    archive.member("translations", (frames, joints, 3))
    unit = archive.number("unit")
    if not 0 < unit < np.inf:
        raise archive.error("unit", f"it is {unit:g}; expected metres a unit")
    meta = _read_meta(archive)

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        first = 0
        tables = (archive.blocks(key, size) for key in ("rotations", "translations"))
        for rotations, translations in zip(*tables, strict=True):
            yield unit_quaternions(rotations, f"{archive.path}: rotations", first), translations
            first += len(rotations)

    return Capture(
        Skeleton(names, parents, offsets),
        archive.rate("fps"),
        frames,
        blocks,
        name=archive.path.stem,
        notes=tuple(meta["notes"]),
        unit=unit,
        up=archive.text("up"),
        origin=meta["origin"],
        history=tuple(meta["history"]),
        recorded=Recorded.from_meta(meta),
    )


def _read_meta(archive: Archive) -> dict[str, Any]:
    try:
        meta = json.loads(archive.text("meta"))
    except ValueError as error:
        if isinstance(error, MotionError):
            raise
        raise archive.error("meta", f"not a JSON text: {error}") from None
    try:
        return check_meta(meta)
    except ValueError as error:
        raise archive.error("meta", str(error)) from None


def stored_meta(path: Path) -> dict[str, Any]:
    """The metadata of a capture file without its frames; empty if the file is none or is damaged."""
    try:
        return _read_meta(Archive(path))
    except MotionError:
        return {}


def write_capture(path: str | os.PathLike[str], capture: Capture, more: dict[str, Any] | None = None) -> Path:
    """Write a capture whose unit and vertical axis are known, whole or not at all, in flat memory.

    `more` goes into the metadata beside origin, history and notes.
    """
    path = Path(path)
    if path.suffix != ".npz":
        raise MotionError(f"{path}: a capture's name ends in .npz")
    if capture.unit is None or capture.up is None:
        raise MotionError(f"{capture.name}: its unit and vertical axis must be known; convert it first")
    joints = len(capture.skeleton.names)
    meta = meta_of(capture) | (more or {})
    small = {
        "format": np.array(FORMAT),
        "format_version": np.array(FORMAT_VERSION),
        "names": np.array(capture.skeleton.names),
        "parents": capture.skeleton.parents,
        "offsets": capture.skeleton.offsets,
        "fps": np.array(float(capture.fps)),
        "unit": np.array(float(capture.unit)),
        "up": np.array(capture.up),
        "meta": np.array(json.dumps(meta, sort_keys=True)),
    }
    # An archive takes one member after the other, the blocks bring two at a time: one waits in a file.
    with (
        replacing(path) as temporary,
        zipfile.ZipFile(temporary, "w") as file,
        tempfile.TemporaryFile(dir=path.parent) as waiting,
    ):
        for key, value in small.items():
            with _member(file, key) as out:
                out.write(_npy(value))
        written = 0
        with _member(file, "rotations") as out:
            _write_header(out, (capture.frames, joints, 4))
            for rotations, translations in capture.blocks(BLOCK):
                for values, to in ((rotations, out), (translations, waiting)):
                    check_finite(values, capture.name, written, gaps=False)
                    to.write(np.ascontiguousarray(values, _DTYPE).tobytes())
                written += len(rotations)
        if written != capture.frames:
            raise MotionError(f"{capture.name}: {written} frames came of the {capture.frames} it says it has")
        waiting.seek(0)
        with _member(file, "translations") as out:
            _write_header(out, (capture.frames, joints, 3))
            shutil.copyfileobj(waiting, out, 1 << 20)
    return path


def _member(file: zipfile.ZipFile, key: str) -> IO[bytes]:
    # A fixed date: the same capture gives the same bytes.
    return file.open(zipfile.ZipInfo(f"{key}.npy", (1980, 1, 1, 0, 0, 0)), "w", force_zip64=True)


def _npy(value: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, value, allow_pickle=False)
    return buffer.getvalue()


def _write_header(out: IO[bytes], shape: tuple[int, ...]) -> None:
    header = {"descr": np.lib.format.dtype_to_descr(_DTYPE), "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(out, header)
