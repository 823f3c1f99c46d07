"""Captures of any format to files of one: each by itself, resumable, nothing half-written.

OUT/NAME.npz    our own capture file (`importers.capture_file`), which carries its provenance and history
OUT/NAME.bvh    or a BVH, which cannot, and so has them beside it in NAME.json
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from gait_envs.motion.convert import Cleaning, Look, convert, look
from gait_envs.motion.folder import Job
from gait_envs.motion.importers import FORMATS, find_format, open_with_gaps
from gait_envs.motion.importers.capture_file import FORMAT_VERSION, stored_meta, write_capture
from gait_envs.motion.licenses import UNKNOWN
from gait_envs.motion.skeleton import Capture, MotionError
from gait_envs.motion.write_bvh import write_bvh

TARGETS = ("npz", "bvh")


@dataclass(frozen=True)
class Plan:
    """What decides how captures are imported."""

    cleaning: Cleaning = field(default_factory=Cleaning)
    to: str = "npz"
    format: str | None = None  # of the captures; None: by suffix and content

    def __post_init__(self) -> None:
        if self.to not in TARGETS:
            raise MotionError(f"to {self.to!r}: expected one of {', '.join(TARGETS)}")
        if self.format is not None and self.format not in FORMATS:
            raise MotionError(f"format {self.format!r}: expected one of {', '.join(FORMATS)}")


@dataclass(frozen=True)
class Imported:
    """What became of a capture."""

    job: Job
    path: Path | None = None  # None: it failed
    error: str = ""
    kept: bool = False  # an earlier run had made it
    format: str = ""
    seen: Look | None = None
    capture: Capture | None = None  # the converted one


def import_files(jobs: Sequence[Job], plan: Plan, out: Path) -> Iterator[Imported]:
    """Import every capture that `out` does not hold yet; one that cannot be used stops no other."""
    for job in jobs:
        path = out / f"{job.name}.{plan.to}"
        try:
            yield _kept(job, plan, path) or import_file(job, plan, path)
        except MotionError as error:
            yield Imported(job, error=str(error))
        except Exception as error:  # a fault of ours must not cost the other captures
            yield Imported(job, error=f"{job.capture}: {type(error).__name__}: {error}")


def import_file(job: Job, plan: Plan, path: Path) -> Imported:
    """Read, clean and write one capture."""
    format = plan.format or find_format(job.capture).name
    capture = open_with_gaps(job.capture, format, plan.cleaning.repair)
    capture = replace(capture, origin={**capture.origin, **job.origin})
    try:
        seen = look(capture, plan.cleaning)
        out = convert(capture, plan.cleaning, seen)
    except MotionError as error:  # what is wrong in the frames is known by the capture's name
        raise MotionError(str(error) if str(job.capture) in str(error) else f"{job.capture}: {error}") from error
    out = replace(out, history=(*capture.history, f"imported from {format}: {job.shown}",
                                *out.history[len(capture.history) :]))  # fmt: skip
    more = {"capture": job.shown, "plan": fingerprint(job, plan)}
    if plan.to == "npz":
        write_capture(path, out, more)
    else:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_bvh(path, out)
        meta = {"origin": dict(out.origin), "history": [*out.history], "notes": [*out.notes], **more}
        _write_text(path.with_suffix(".json"), json.dumps(meta, indent=1, sort_keys=True) + "\n")
    return Imported(job, path, format=format, seen=seen, capture=out)


def fingerprint(job: Job, plan: Plan) -> str:
    """Of all that decides the result but the capture's content."""
    parts = [FORMAT_VERSION, asdict(plan), dict(job.origin)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def made_meta(path: Path) -> dict[str, Any]:
    """Origin, history, notes and plan of an imported file; empty if it is none."""
    if path.suffix == ".npz":
        return stored_meta(path)
    try:
        meta = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return meta if isinstance(meta, dict) else {}


def licenses(jobs: Sequence[Job], plan: Plan, out: Path) -> Mapping[str, str]:
    """Licence of every file that `out` will hold: those to be made, and what is there of earlier runs."""
    made = {f"{job.name}.{plan.to}": job.origin.get("license", UNKNOWN) for job in jobs}
    there = {path.name: made_meta(path) for to in TARGETS for path in sorted(out.glob(f"*.{to}"))}
    old = {name: meta["origin"].get("license", UNKNOWN) for name, meta in there.items() if "plan" in meta}
    return old | made


def _kept(job: Job, plan: Plan, path: Path) -> Imported | None:
    """What an earlier run made of the capture, if by the same plan and after the capture last changed."""
    newer = path.is_file() and path.stat().st_mtime > job.capture.stat().st_mtime
    if newer and made_meta(path).get("plan") == fingerprint(job, plan):
        return Imported(job, path, kept=True)
    return None


def _write_text(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
