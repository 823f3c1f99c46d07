"""Readers of captured motion: each turns one file format into a `Capture`.

A format is one line below and one module beside this file, imported when such a file is opened. The module
offers `open_capture(path, **options) -> Capture`, which reads all but the frames, and, if another format
has its suffix too, `sniff(path) -> bool`, which looks inside without raising. Faults are a `MotionError`.
"""

from __future__ import annotations

import importlib
import inspect
import os
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from gait_envs.loaders import loader
from gait_envs.mocap.capture import Capture, MotionError, SkeletonMotion


@dataclass(frozen=True)
class Format:
    """A file format that can be opened."""

    name: str
    suffixes: tuple[str, ...]  # lower case, with the point
    description: str
    module: str  # in this package

    def load(self) -> ModuleType:
        return importlib.import_module(f"{__name__}.{self.module}")


FORMATS: dict[str, Format] = {
    format.name: format
    for format in (
        Format("bvh", (".bvh",), "Biovision hierarchy, Euler angles", "bvh"),
        Format("asfamc", (".amc",), "Acclaim skeleton (.asf, found beside it) and motion (CMU)", "asfamc"),
        Format("capture", (".npz",), "GaitNet's own, from gait-data import", "capture_file"),
        Format("smpl", (".npz",), "SMPL, SMPL-H or SMPL-X poses (AMASS, PHC)", "smpl"),
        Format("isaac", (".npz",), "IsaacGym's AMP humanoid, unpickled", "isaac"),
        Format("positions", (".npz", ".csv"), "joint positions", "positions"),
        Format("deepmimic", (".txt", ".json"), "DeepMimic's humanoid3d, JSON", "deepmimic"),
    )
}


def open_capture(path: str | os.PathLike[str], format: str | None = None, **options: Any) -> Capture:
    """Open a capture of a known format, by default the one that its suffix and its content say.

    `options` go to the format's own `open_capture`; None means its default. Raises `MotionError` naming the
    file and what is known.
    """
    path = Path(path)
    reader = (find_format(path) if format is None else _named(path, format)).load().open_capture
    options = {key: value for key, value in options.items() if value is not None}
    allowed = [name for name in inspect.signature(reader).parameters if name != "path"]
    unknown = [key for key in options if key not in allowed]
    if unknown:
        raise MotionError(f"{path}: unknown option {unknown[0]!r}; allowed: {', '.join(allowed) or 'none'}")
    return reader(path, **options)


def open_with_gaps(
    path: str | os.PathLike[str],
    format: str | None = None,
    gaps: bool = True,
    fps: float | None = None,
    asf: str | os.PathLike[str] | None = None,
) -> Capture:
    """Open a capture, its missing values as NaN if its format can have any and `gaps` says that they may be there.

    `fps` is its rate whatever the file says, in any format. `asf` is the skeleton of an .amc file; other files,
    which have their own, do without it.
    """
    path = Path(path)
    chosen = find_format(path) if format is None else _named(path, format)
    options = {"gaps": gaps or None, "fps": fps, "asf": asf}
    taken = inspect.signature(chosen.load().open_capture).parameters
    capture = open_capture(path, chosen.name, **{key: value for key, value in options.items() if key in taken})
    return capture if fps is None else replace(capture, fps=fps)


def read_capture(path: str | os.PathLike[str], format: str | None = None, **options: Any) -> SkeletonMotion:
    """The whole of a capture in memory; see `open_capture`."""
    return open_capture(path, format, **options).read()


def find_format(path: Path) -> Format:
    """The format of a file, by its suffix and, where formats share one, by what it holds."""
    candidates = [format for format in FORMATS.values() if path.suffix.lower() in format.suffixes]
    if not candidates:
        raise MotionError(f"{path}: no capture format has the suffix {path.suffix!r}; known: {known_formats()}")
    if len(candidates) == 1 and not hasattr(candidates[0].load(), "sniff"):
        return candidates[0]
    if not path.is_file():
        raise MotionError(f"{path}: no such file")
    for format in candidates:
        if format.load().sniff(path):
            return format
    names = ", ".join(f"{format.name} ({format.description})" for format in candidates)
    raise MotionError(f"{path}: the content fits none of the formats with this suffix: {names}")


def known_formats() -> str:
    """Every format with its suffixes, for messages and help."""
    return ", ".join(f"{format.name} ({' '.join(format.suffixes)})" for format in FORMATS.values())


def _named(path: Path, name: str) -> Format:
    try:
        return FORMATS[name]
    except KeyError:
        raise MotionError(f"{path}: unknown format {name!r}; known: {known_formats()}") from None


for _format in FORMATS.values():
    loader(f"capture {_format.name}", *_format.suffixes)(partial(open_capture, format=_format.name))
