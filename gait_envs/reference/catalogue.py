"""Metadata of the clips of a folder, read without their frames."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.errors import one_line
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive
from gait_envs.reading.loaders import FOLDER, loader
from gait_envs.reading.text import read_json
from gait_envs.reference.clip import Clip, ClipError, read_facts

UNFIT = "unfit"  # folder, within the set's, of the clips that were set aside
VERDICTS = ("fit", "unfit", "failed")


@dataclass(frozen=True)
class Entry:
    """One clip of a set, or one capture that gave none."""

    name: str
    verdict: str  # one of VERDICTS
    faults: tuple[str, ...]
    file: str = ""  # below the set's folder; empty if there is no clip
    capture: str = ""
    model: str = ""
    source: str = ""
    license: str = ""
    subject: str = ""
    activity: str = ""
    quality: Mapping[str, float] | None = None  # figures of `quality.measure`; None: never measured
    recipe: str = ""  # fingerprint of what it was made by


@loader("clip header", ".npz")
def read_entry(path: Path, folder: Path) -> Entry:
    """What a clip file says of itself, without reading its frames; a file that says nothing is a `ClipError`."""
    with Archive(path, ClipError, 4 * MAX_TEXT_ARRAY, f"{path}: not a readable clip") as archive:
        if "qpos" not in archive.keys and "rotations" in archive.keys:
            raise ClipError(f"{path}: is a capture, not a clip; see gait-data retarget")
        facts = read_facts(archive)
    try:
        return _entry(path.stem, str(path.relative_to(folder)), **facts)
    except (TypeError, ValueError) as error:
        raise ClipError(f"{path}: not a readable clip: meta: {one_line(error)}") from None


def read_entries(folder: Path) -> list[Entry]:
    """Clips of a folder and of those set aside, by name; a file that is no clip has failed and names no `file`."""
    files = sorted([*folder.glob("*.npz"), *(folder / UNFIT).glob("*.npz")], key=lambda path: path.name)
    return [_entry_or_why(file, folder) for file in files]


def _entry_or_why(path: Path, folder: Path) -> Entry:
    try:
        return read_entry(path, folder)
    except (ClipError, OSError) as error:
        return Entry(path.stem, "failed", (str(error),))


def entry_of(clip: Clip) -> Entry:
    """The entry of a clip in memory; its `file` is its name."""
    return _entry(clip.name, clip.name, clip.meta, model=clip.model, source=clip.source, license=clip.license)


def _entry(name: str, file: str, meta: Mapping[str, Any], **facts: str) -> Entry:
    faults = tuple(meta.get("faults", ()))
    told = {key: str(meta.get(key, "")) for key in ("capture", "subject", "activity", "recipe")}
    return Entry(name, "unfit" if faults else "fit", faults, file, quality=meta.get("quality"), **facts, **told)


@loader("set page", FOLDER)
def failures(folder: Path) -> list[Entry]:
    """The captures that gave no clip when the set was made, as `set.json` has them."""
    try:
        stored = read_json(folder / "set.json", ClipError)["clips"]
        return [Entry(clip["name"], "failed", tuple(clip["faults"]), capture=clip["capture"])
                for clip in stored if clip["verdict"] == "failed" and clip["capture"]]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return []


def counts(entries: Iterable[Entry]) -> dict[str, int]:
    """How many of each verdict."""
    found = Counter(entry.verdict for entry in entries)
    return {verdict: found[verdict] for verdict in VERDICTS}


def column(entries: Iterable[Entry], figure: str) -> np.ndarray:
    """One figure of every clip that has it (k,)."""
    return np.array([entry.quality[figure] for entry in entries if entry.quality and figure in entry.quality])
