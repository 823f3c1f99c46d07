"""Metadata of the clips of a folder, read without their frames."""

from __future__ import annotations

import json
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.loaders import FOLDER, loader
from gait_envs.reference.clip import Clip, ClipError

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
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            if "qpos" not in file and "rotations" in file:
                raise ClipError(f"{path}: is a capture, not a clip; see gait-data retarget")
            meta = json.loads(str(file["meta"])) if "meta" in file else {}
            facts = {key: str(file[key]) for key in ("model", "source", "license")}
    except ClipError:
        raise
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ClipError(f"{path}: not a readable clip: {error}") from error
    return _entry(path.stem, str(path.relative_to(folder)), meta, **facts)


def read_entries(folder: Path) -> list[Entry]:
    """Clips of a folder and of those set aside, by name; a file that is no clip has failed and names no `file`."""
    files = sorted([*folder.glob("*.npz"), *(folder / UNFIT).glob("*.npz")], key=lambda path: path.name)
    return [_entry_or_why(file, folder) for file in files]


def _entry_or_why(path: Path, folder: Path) -> Entry:
    try:
        return read_entry(path, folder)
    except ClipError as error:
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
        stored = json.loads((folder / "set.json").read_text(encoding="utf-8"))["clips"]
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
