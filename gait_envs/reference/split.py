"""Splitting clips into parts such that no subject, or no activity, lies in two of them."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from gait_envs.errors import one_line
from gait_envs.files import replacing
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import parse_json, read_text
from gait_envs.reference.clip import ClipError
from gait_envs.reference.licenses import UNKNOWN

BY = ("subject", "activity", "clip")


def group_of(name: str, meta: Mapping[str, Any], by: str) -> str:
    """The group that keeps a clip together with others: its subject, its activity, or the clip itself.

    Clips that do not say theirs are one group, `UNKNOWN`.
    """
    if by not in BY:
        raise ClipError(f"by {by!r}: expected one of {', '.join(BY)}")
    return name if by == "clip" else str(meta.get(by) or UNKNOWN)


def split(groups: Mapping[str, str], parts: Mapping[str, float], seed: int = 0) -> dict[str, list[str]]:
    """Share out clips, whole groups at a time, so that each part holds about its fraction of them.

    groups: clip to group; parts: part to fraction, adding up to 1. Groups come in an order drawn from the seed and
    go to the part that lacks the most; every part gets one. The same clips, parts and seed give the same split
    whatever the order of the clips.
    """
    _check_fractions(parts)
    sizes = Counter(groups.values())
    if len(sizes) < len(parts):
        shown = one_line(", ".join(sorted(sizes)) or "none")
        raise ClipError(
            f"too few groups of clips for {len(parts)} parts ({', '.join(parts)}): {shown}; group them by something "
            "else, such as clip"
        )
    lacking = {part: fraction * len(groups) for part, fraction in parts.items()}
    part_of: dict[str, str] = {}
    for left, group in zip(range(len(sizes), 0, -1), sorted(sizes, key=lambda g: _drawn(seed, g)), strict=True):
        empty = [part for part in parts if part not in part_of.values()]
        # The last groups are for parts that still have none.
        chosen = max(empty if len(empty) == left else parts, key=lambda part: lacking[part])
        part_of[group] = chosen
        lacking[chosen] -= sizes[group]
    return {part: sorted(clip for clip, group in groups.items() if part_of[group] == part) for part in parts}


def hold_out(
    groups: Mapping[str, str], by: str, held_out: Collection[str], key: str = "--hold-out"
) -> dict[str, list[str]]:
    """Clips (name to group, its subject where `by` is "subject") as two parts: `test`, all those of the groups held
    out, and `train`, the others. `key` is the setting that an error names.

    ClipError where a group has no clip, or no clip is left to train on.
    """
    known = sorted(set(groups.values()))
    if known == [UNKNOWN]:
        raise ClipError(f"{key}: no clip says its {by}; group them by something else, such as clip")
    if missing := [group for group in held_out if group not in known]:
        raise ClipError(f"{key}: no clip of {by} {missing[0]!r}; there are {one_line(', '.join(known))}")
    test = [name for name, group in groups.items() if group in held_out]
    train = [name for name, group in groups.items() if group not in held_out]
    if not train:
        raise ClipError(f"{key}: no clip is left to train on")
    return {"train": sorted(train), "test": sorted(test)}


def _drawn(seed: int, group: str) -> bytes:
    """A group's place in the order: a hash, alike on every machine, that neither files nor versions change."""
    return hashlib.sha256(f"{seed}:{group}".encode()).digest()


def _check_fractions(parts: Mapping[str, float]) -> None:
    told = ", ".join(f"{part}={fraction:g}" for part, fraction in parts.items()) or "none"
    if not parts or not all(0 < fraction <= 1 for fraction in parts.values()):
        raise ClipError(f"parts {told}: expected names with fractions above 0")
    if not math.isclose(sum(parts.values()), 1.0, abs_tol=1e-6):
        raise ClipError(f"parts {told}: the fractions add up to {sum(parts.values()):g}, expected 1")


# -- split.json -------------------------------------------------------------------------------------------


def save_split(
    path: str | os.PathLike[str], clips: str | os.PathLike[str], by: str, seed: int, parts: Mapping[str, list[str]]
) -> Path:
    """Write a split whole or not at all. clips: the set it is of, kept relative to the file."""
    path = Path(path)
    clips = os.path.relpath(Path(clips).resolve(), path.parent.resolve())
    told = {"clips": clips, "by": by, "seed": seed, "parts": dict(parts)}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return path


@loader("split", ".json")
def read_part(path: Path, part: str) -> tuple[Path, list[str]]:
    """The set that a split is of, and the names of one part's clips."""
    told = parse_json(read_text(path, ClipError), f"{path}: not a readable split", ClipError)
    parts = told.get("parts") if isinstance(told, dict) else None
    if not isinstance(parts, dict) or not isinstance(told.get("clips"), str):
        raise ClipError(f"{path}: not a split: expected an object with clips (a path) and parts (name to clips)")
    if part not in parts:
        raise ClipError(
            f"{path}: no part {part!r}; name one of {one_line(', '.join(f'{path.name}#{name}' for name in parts))}"
        )
    names = parts[part]
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ClipError(f"{path}: parts.{part} is {one_line(repr(names))}, expected a list of clips' names")
    return path.parent / told["clips"], names
