"""Licences and robots of clips: which files may share a folder, and what a set is made of."""

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
    spelled: dict[str, str] = {}
    names = {file: " ".join(license.split()) or UNKNOWN for file, license in licenses.items()}
    groups = _by_value({file: spelled.setdefault(name.casefold(), name) for file, name in names.items()})
    if accepted or len(groups) < 2:
        return
    raise MotionError(
        f"{len(groups)} licences in one set: {_listing(groups)}. Keep a folder for each licence, "
        f"or say --accept-license if you may publish them together"
    )


def check_robots(robots: Mapping[str, str]) -> None:
    """Refuse a set of clips (file to robot) of several robots, by a `MotionError` that lists the clips of each."""
    groups = _by_value(robots)
    if len(groups) > 1:
        raise MotionError(f"clips of {len(groups)} robots in one set: {_listing(groups)}; keep a folder for each robot")


def _by_value(files: Mapping[str, str]) -> dict[str, list[str]]:
    """The files of each value."""
    groups: dict[str, list[str]] = {}
    for file, value in files.items():
        groups.setdefault(value, []).append(file)
    return groups


def _listing(groups: Mapping[str, list[str]]) -> str:
    return "; ".join(f"{name}: {some(sorted(groups[name]), _SHOWN)}" for name in sorted(groups, key=str.casefold))
