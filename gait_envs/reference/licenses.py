"""Licences of clips: which files may share a folder without explicit consent, and what a set is made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from gait_envs.errors import MotionError
from gait_envs.reference.clip import Clip
from gait_envs.reference.packed import some

UNKNOWN = "unknown"
_SHOWN = 4  # files named a licence


def origins(clips: Iterable[Clip]) -> list[dict[str, Any]]:
    """Where clips are from, for the provenance of what is made of them: source, license and the number of clips of
    each pair, sorted."""
    found = Counter((clip.source, clip.license) for clip in clips)
    return [{"source": source, "license": name, "clips": count} for (source, name), count in sorted(found.items())]


def check_licenses(licenses: Mapping[str, str], accepted: bool) -> None:
    """Refuse a set of files under several licences, unless that was accepted.

    `licenses` maps files to licence names. Names are compared as written but for case and spaces. A licence
    nobody named (empty or "unknown") counts as one of its own: it may forbid what the others allow. Raises
    `MotionError` that lists the files under each licence.
    """
    groups: dict[str, list[str]] = {}
    spelled: dict[str, str] = {}
    for file, license in licenses.items():
        name = " ".join(license.split()) or UNKNOWN
        spelled.setdefault(name.casefold(), name)
        groups.setdefault(name.casefold(), []).append(file)
    if accepted or len(groups) < 2:
        return
    listing = "; ".join(f"{spelled[key]}: {some(sorted(files), _SHOWN)}" for key, files in sorted(groups.items()))
    raise MotionError(
        f"{len(groups)} licences in one set: {listing}. Keep a folder for each licence, "
        f"or say --accept-license if you may publish them together"
    )
