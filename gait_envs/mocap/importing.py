"""Captures of any format to files of one: each by itself, resumable, nothing half-written.

OUT/NAME.npz    our own capture file (`formats.capture_file`), which carries its provenance and history
OUT/NAME.bvh    or a BVH, which cannot, and so has them beside it in NAME.json
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture
from gait_envs.mocap.cleaning.convert import Cleaning, Look, convert, look
from gait_envs.mocap.cleaning.repeats import without_repeats
from gait_envs.mocap.formats import find_format
from gait_envs.mocap.formats.bvh_writer import check_bvh, write_bvh
from gait_envs.mocap.formats.capture_file import FORMAT_VERSION, write_capture
from gait_envs.mocap.jobs import (
    Job,
    Reading,
    carried_meta,
    check_targets,
    content_of,
    crash,
    digest,
    made_since,
    naming,
    open_job,
)
from gait_envs.mocap.provenance import meta_of, write_sidecar
from gait_envs.reading.outputs import check_same_kind
from gait_envs.reference.licenses import UNKNOWN, check_licenses

TARGETS = ("npz", "bvh")


@dataclass(frozen=True)
class ImportSettings:
    """Options of importing captures."""

    cleaning: Cleaning = field(default_factory=Cleaning)
    to: str = "npz"
    reading: Reading = field(default_factory=Reading)

    def __post_init__(self) -> None:
        if self.to not in TARGETS:
            raise MotionError(f"to {self.to!r}: expected one of {', '.join(TARGETS)}")


@dataclass(frozen=True)
class Imported:
    """The result of importing a capture."""

    job: Job
    path: Path | None = None  # None: it failed
    error: str = ""
    kept: bool = False  # an earlier run had made it
    format: str = ""
    seen: Look | None = None
    capture: Capture | None = None  # the converted one


def import_files(jobs: Sequence[Job], settings: ImportSettings, out: Path) -> Iterator[Imported]:
    """Import every capture that `out` does not hold yet; one that cannot be used stops no other.

    A `MotionError` if one of the captures would be overwritten.
    """
    check_targets((job.capture, target) for job in jobs for target in _targets(job, settings, out))
    for job in jobs:
        path = out / f"{job.name}.{settings.to}"
        try:
            yield _kept(job, settings, path) or import_file(job, settings, path)
        except (MotionError, OSError) as error:
            yield Imported(job, error=str(error))
        except Exception as error:  # a fault of ours must not cost the other captures
            yield Imported(job, error=crash(job.capture, error))


def _targets(job: Job, settings: ImportSettings, out: Path) -> list[Path]:
    path = out / f"{job.name}.{settings.to}"
    return [path, path.with_suffix(".json")] if settings.to == "bvh" else [path]


def import_file(job: Job, settings: ImportSettings, path: Path) -> Imported:
    """Read, clean and write one capture."""
    format = settings.reading.format or find_format(job.capture).name
    opened = open_job(job, replace(settings.reading, format=format), settings.cleaning.repair)
    with naming(job.capture):
        capture = without_repeats(opened, settings.cleaning.repair)
        seen = look(capture, settings.cleaning)
        out = convert(capture, settings.cleaning, seen)
        out = replace(out, history=(*opened.history, f"imported from {format}: {job.shown}",
                                    *out.history[len(opened.history) :]))  # fmt: skip
        more = {"capture": job.shown, "plan": fingerprint(job, settings)}
        if settings.to == "npz":
            write_capture(path, out, more)
        else:
            write_bvh(path, out)
            write_sidecar(path, meta_of(out) | more)
    return Imported(job, path, format=format, seen=seen, capture=out)


def fingerprint(job: Job, settings: ImportSettings) -> str:
    """Of all that decides the result."""
    return digest(FORMAT_VERSION, asdict(settings), dict(job.origin), content_of(job, settings.reading))


def check_folder(jobs: Sequence[Job], settings: ImportSettings, out: Path, accepted: bool) -> None:
    """Refuse before any work to write over a capture or what is something else, or to put several licences together
    unless that was `accepted`.

    What earlier runs left in `out` counts.
    """
    check_targets((job.capture, target) for job in jobs for target in _targets(job, settings, out))
    for target in (target for job in jobs for target in _targets(job, settings, out)):
        if target.suffix == ".bvh":
            check_bvh(target)
        elif target.suffix == ".json":
            check_same_kind(target, "origin", "history", "notes")
        else:
            check_same_kind(target, "format", "rotations", format="capture")
    made = {f"{job.name}.{settings.to}": job.origin.get("license", UNKNOWN) for job in jobs}
    there = {path.name: carried_meta(path) for to in TARGETS for path in sorted(out.glob(f"*.{to}"))}
    old = {name: meta["origin"].get("license", UNKNOWN) for name, meta in there.items() if "plan" in meta}
    check_licenses(old | made, accepted)


def _kept(job: Job, settings: ImportSettings, path: Path) -> Imported | None:
    """What an earlier run made of the capture, if by the same plan and after the capture last changed."""
    if made_since(job, path) and carried_meta(path).get("plan") == fingerprint(job, settings):
        return Imported(job, path, kept=True)
    return None
