"""What the clips of a folder say about themselves, read without their frames."""

from __future__ import annotations

import json
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gait_envs.motion.clip import ClipError

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


def read_entry(path: Path, folder: Path) -> Entry:
    """What a clip file says of itself, without reading its frames; a file that says nothing is a `ClipError`."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"])) if "meta" in file else {}
            facts = {key: str(file[key]) for key in ("model", "source", "license")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise ClipError(f"{path}: not a readable clip: {error}") from error
    faults = tuple(meta.get("faults", ()))
    told = {key: str(meta.get(key, "")) for key in ("capture", "subject", "activity", "recipe")}
    quality = meta.get("quality")
    verdict = "unfit" if faults else "fit"
    return Entry(path.stem, verdict, faults, str(path.relative_to(folder)), quality=quality, **facts, **told)


def read_entries(folder: Path) -> list[Entry]:
    """The clips of a folder and those set aside below it, by name."""
    files = sorted([*folder.glob("*.npz"), *(folder / UNFIT).glob("*.npz")], key=lambda path: path.name)
    return [read_entry(file, folder) for file in files]


def failures(folder: Path) -> list[Entry]:
    """The captures that gave no clip when the set was made, as `set.json` has them."""
    try:
        stored = json.loads((folder / "set.json").read_text(encoding="utf-8"))["clips"]
        return [Entry(clip["name"], "failed", tuple(clip["faults"]), capture=clip["capture"])
                for clip in stored if clip["verdict"] == "failed"]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):
        return []


def counts(entries: Iterable[Entry]) -> dict[str, int]:
    """How many of each verdict."""
    found = Counter(entry.verdict for entry in entries)
    return {verdict: found[verdict] for verdict in VERDICTS}


def column(entries: Iterable[Entry], figure: str) -> np.ndarray:
    """One figure of every clip that has it (k,)."""
    return np.array([entry.quality[figure] for entry in entries if entry.quality and figure in entry.quality])
