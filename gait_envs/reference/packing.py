"""Writing packed sets, clip by clip."""

from __future__ import annotations

import io
import itertools
import json
import os
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from gait_envs.files import replacing_folder
from gait_envs.reference.clip import Clip, ClipError
from gait_envs.reference.licenses import check_licenses
from gait_envs.reference.packed import HEADER, INDEX, SET_VERSION, SOLES, PackedClips, check_name, load_packed

BLOCK = 65536  # unknown rows written at a time
_HEADER_BYTES = 128  # bytes before the first row: what numpy's header takes for a table of any length


def pack(clips: Iterable[Clip], folder: str | os.PathLike[str], accept_license: bool = False) -> PackedClips:
    """Write clips of one body and rate as a packed set, whole or not at all; one clip is in memory at a time.

    Raises `ClipError` for clips that do not belong together, and `MotionError` for several licences unless they
    are accepted.
    """
    folder = Path(folder)
    if folder.exists():
        raise ClipError(f"{folder}: exists already; remove it, or pack elsewhere")
    with replacing_folder(folder) as temporary:
        licenses = _write_clips(clips, temporary)
        check_licenses(licenses, accept_license)
    return load_packed(folder)


def _write_clips(clips: Iterable[Clip], folder: Path) -> dict[str, str]:
    """Append every clip to the tables and to the index, and write the header; returns each clip's licence."""
    clips = iter(clips)
    first = next(clips, None)
    if first is None:
        raise ClipError("there is no clip to pack")
    licenses: dict[str, str] = {}
    with ExitStack() as files:
        index = files.enter_context(open(folder / INDEX, "w", encoding="utf-8"))
        qpos, qvel, loads, torque = (
            files.enter_context(_Table(folder / f"{key}.npy", width))
            for key, width in (("qpos", None), ("qvel", None), ("contacts", None), ("torque", len(first.joint_names)))
        )
        for clip in itertools.chain([first], clips):
            _check_alike(clip, first)
            check_name(clip.name, f"clip {len(licenses) + 1} of the set")
            if clip.name in licenses:
                raise ClipError(f"clip {clip.name!r} comes twice; rename one")
            licenses[clip.name] = clip.license
            told = {key: getattr(clip, key) for key in ("loop", "source", "license", "meta")}
            index.write(json.dumps({"name": clip.name, "length": clip.frames, **told}) + "\n")
            qpos.append(clip.qpos)
            qvel.append(clip.qvel)
            if clip.torque is None:
                torque.skip(clip.frames)
            else:
                torque.append(clip.torque)
            if clip.contacts is None:
                loads.skip(clip.frames)
            elif loads.width in (None, clip.contacts.shape[1]):
                loads.append(clip.contacts)
            else:
                raise ClipError(
                    f"clip {clip.name!r}: contacts of {clip.contacts.shape[1]} feet, clips before it have {loads.width}"
                )
    body = {"model": first.model, "fps": float(first.fps), "joint_names": list(first.joint_names)}
    (folder / HEADER).write_text(json.dumps({"format_version": SET_VERSION, **body}) + "\n", encoding="utf-8")
    return licenses


def _check_alike(clip: Clip, first: Clip) -> None:
    for key in ("model", "joint_names", "fps"):
        mine, other = getattr(clip, key), getattr(first, key)
        if mine != other:
            raise ClipError(
                f"clip {clip.name!r}: {key} is {mine}, clip {first.name!r} has {other}; a packed set holds one"
            )


class _Table:
    """An `.npy` file of float64 rows while it grows; rows that nobody knows are infinite."""

    def __init__(self, path: Path, width: int | None = None) -> None:
        self._file = open(path, "xb")  # noqa: SIM115 - closed by __exit__
        self._file.seek(_HEADER_BYTES)
        self.rows = 0
        self.width = width  # None: the first known rows'
        self._owed = 0  # unknown rows from before that

    def __enter__(self) -> _Table:
        return self

    def append(self, rows: np.ndarray) -> None:
        """rows: (T, width)"""
        self._settle(rows.shape[1])
        self._write(rows)

    def skip(self, count: int) -> None:
        """Leave this many rows unknown."""
        self._owed += count
        if self.width is not None:
            self._settle(self.width)

    def _settle(self, width: int) -> None:
        """Write the unknown rows that are owed, now that their width is known."""
        self.width = width
        for start in range(0, self._owed, BLOCK):
            self._write(np.full((min(BLOCK, self._owed - start), width), np.inf))
        self._owed = 0

    def _write(self, rows: np.ndarray) -> None:
        np.ascontiguousarray(rows, dtype=np.float64).tofile(self._file)
        self.rows += len(rows)

    def __exit__(self, failure: object, *_: object) -> None:
        """The header, whose row count is known only now; a failed table is thrown away with its folder."""
        with self._file:
            if failure is None:
                self._settle(self.width or SOLES)
                header = io.BytesIO()
                shape = (self.rows, self.width)
                np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
                assert header.tell() == _HEADER_BYTES
                self._file.seek(0)
                self._file.write(header.getvalue())
