"""Readers of captured motion: each turns one file format into a `Capture`.

A format is one row of a table and one module, imported when such a file is opened. The module offers
`open_capture(path, **options) -> Capture`, which reads all but the frames, and, if another format has its suffix too,
`sniff(path) -> bool`, which looks inside without raising. Faults are a `MotionError`.

Formats of other packages are rows too: `register_format(Format(...))`, or an entry point in the group
`gaitnet.motion_formats` that names such a `Format` (docs/contracts/motion_format.md).
"""

from __future__ import annotations

import functools
import importlib
import inspect
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture, SkeletonMotion
from gait_envs.reading.foreign import refuse_pickles
from gait_envs.reading.loaders import LOADERS, loader

ENTRY_POINTS = "gaitnet.motion_formats"


@dataclass(frozen=True)
class Format:
    """A file format that can be opened."""

    name: str
    suffixes: tuple[str, ...]  # lower case, with the point
    description: str
    module: str  # its full dotted name

    def load(self) -> ModuleType:
        """The module that reads it; imported when it is first asked for."""
        return importlib.import_module(self.module)


# In the order in which formats that share a suffix look at a file.
FORMATS: dict[str, Format] = {
    name: Format(name, suffixes, description, f"{__name__}.{module}")
    for name, suffixes, description, module in (
        ("bvh", (".bvh",), "Biovision hierarchy, Euler angles", "bvh"),
        ("asfamc", (".amc",), "Acclaim skeleton (.asf, found beside it) and motion (CMU)", "asfamc"),
        ("capture", (".npz",), "GaitNet's own, from gait-data import", "capture_file"),
        ("smpl", (".npz",), "SMPL, SMPL-H or SMPL-X poses (AMASS, PHC)", "smpl"),
        ("isaac", (".npz",), "IsaacGym's AMP humanoid, unpickled", "isaac"),
        ("positions", (".npz", ".csv"), "joint positions", "positions"),
        ("deepmimic", (".txt", ".json"), "DeepMimic's humanoid3d, JSON", "deepmimic"),
    )
}


def register_format(format: Format) -> None:
    """Add a format, after the known ones; again the same is nothing.

    Raises `MotionError` if another format has its name, or if a suffix is not lower case with a point.
    """
    known = FORMATS.get(format.name)
    if known == format:
        return
    if known is not None:
        raise MotionError(f"format {format.name!r} is known already: {known.description} ({known.module})")
    wrong = [suffix for suffix in format.suffixes if not suffix.startswith(".") or suffix != suffix.lower()]
    if wrong or not format.suffixes:
        raise MotionError(f"format {format.name!r}: suffixes {format.suffixes}; expected such as ('.bvh',), lower case")
    FORMATS[format.name] = format
    _enrol(format)


def all_formats() -> Mapping[str, Format]:
    """Every format by name, those of installed packages too; one that cannot be loaded is a warning that names it."""
    _load_plugins()
    return FORMATS


@functools.lru_cache(maxsize=1)
def _load_plugins() -> None:
    for point in entry_points(group=ENTRY_POINTS):
        try:
            _register_plugin(point)
        except Exception as error:  # another package's fault must not keep ours from reading files
            warnings.warn(f"motion format {point.name!r} ({point.value}) is left out: {error}", stacklevel=2)


def _register_plugin(point: EntryPoint) -> None:
    format = point.load()
    if not isinstance(format, Format):
        raise MotionError(f"{point.value} is a {type(format).__name__}, expected a Format")
    register_format(format)


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
    capture: Capture = reader(path, **options)
    return capture


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
    refuse_pickles(path, MotionError)
    candidates = [format for format in all_formats().values() if path.suffix.lower() in format.suffixes]
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
    return ", ".join(f"{format.name} ({' '.join(format.suffixes)})" for format in all_formats().values())


def _named(path: Path, name: str) -> Format:
    try:
        return all_formats()[name]
    except KeyError:
        raise MotionError(f"{path}: unknown format {name!r}; known: {known_formats()}") from None


def _enrol(format: Format) -> None:
    """Among the loaders of files from outside."""
    if f"capture {format.name}" not in LOADERS:
        loader(f"capture {format.name}", *format.suffixes)(partial(open_capture, format=format.name))


for _format in FORMATS.values():
    _enrol(_format)
