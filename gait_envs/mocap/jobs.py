"""Captures to process one by one: finding, naming, describing and opening them.

`import` and `retarget` share this: each makes one file, or a few, of every job.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture, Recorded
from gait_envs.mocap.formats import all_formats, find_format, known_formats, open_with_gaps
from gait_envs.mocap.formats.asfamc import find_asf
from gait_envs.mocap.formats.capture_file import stored_meta
from gait_envs.mocap.provenance import ProvenanceTable, is_sidecar, read_sidecar
from gait_envs.reading.foreign import refuse_pickles


@dataclass(frozen=True)
class Job:
    """One capture, and the name of what is made of it."""

    capture: Path
    name: str
    shown: str  # the capture's path below the folder that was given
    origin: Mapping[str, str] = field(default_factory=dict)  # source, license, subject, activity, where known


@dataclass(frozen=True)
class Reading:
    """How captures are read, over what their files say."""

    format: str | None = None  # None: by suffix and content
    fps: float | None = None  # captured frames per second
    asf: str | None = None  # skeleton of .amc files; None: the one beside each

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in all_formats():
            raise MotionError(f"format {self.format!r}: expected one of {', '.join(all_formats())}")
        if self.fps is not None and not 0 < self.fps < float("inf"):
            raise MotionError(f"captured fps is {self.fps:g}; expected a positive number")
        if self.asf is not None and not Path(self.asf).is_file():
            raise MotionError(f"asf {self.asf}: no such file")


def find_captures(paths: Iterable[str | os.PathLike[str]]) -> tuple[list[Job], list[Path]]:
    """A job for every capture, and the files passed over: with a capture's suffix, but with nothing of one inside.

    Files are taken as given, folders searched to the bottom. A job is named by its capture's path below
    the folder given (`02/02_01.amc`: `02-02_01`), and by its suffix too where that is not enough. Raises
    `MotionError` for what is not there and for folders without a capture.
    """
    found: dict[Path, str] = {}
    passed: list[Path] = []
    for given in map(Path, paths):
        if given.is_dir():
            suffixes = {suffix for format in all_formats().values() for suffix in format.suffixes}
            files = sorted(p for p in given.rglob("*") if p.suffix.lower() in suffixes and p.is_file())
            captures = {file for file in files if _is_capture(file)}
            passed += [file for file in files if file not in captures and not is_sidecar(file)]
            if not captures:
                refuse_pickles(given, MotionError)
                raise MotionError(f"{given}: holds no capture; known: {known_formats()}")
            for file in sorted(captures):
                found.setdefault(file.resolve(), str(file.relative_to(given)))
        elif given.is_file():
            found.setdefault(given.resolve(), given.name)
        else:
            raise MotionError(f"{given}: no such file or folder")
    jobs = [Job(path, "-".join(Path(shown).with_suffix("").parts), shown) for path, shown in found.items()]
    names = Counter(job.name for job in jobs)
    jobs = [replace(job, name=f"{job.name}-{job.capture.suffix[1:].lower()}") if names[job.name] > 1 else job
            for job in jobs]  # fmt: skip
    owners: dict[str, Job] = {}
    for job in jobs:
        other = owners.setdefault(job.name, job)
        if other is not job:
            raise MotionError(
                f"{other.capture} and {job.capture} would both become {job.name}; "
                f"give the folder that holds both, or take them apart"
            )
    return jobs, passed


def _is_capture(path: Path) -> bool:
    try:
        find_format(path)
    except MotionError:
        return False
    return True


def with_origins(jobs: Sequence[Job], told: Mapping[str, str | None], table: ProvenanceTable | None) -> list[Job]:
    """The jobs with all that is known of their captures before they are read.

    What is given for all of them counts most, then the table's row, then what the capture itself carries.
    """
    words = {key: value for key, value in told.items() if value is not None}
    rows = table.of if table else lambda capture: {}
    return [replace(job, origin={**carried_meta(job.capture).get("origin", {}), **rows(job.capture), **words})
            for job in jobs]  # fmt: skip


def carried_meta(path: Path) -> Mapping[str, Any]:
    """Origin, history, notes and more that an imported capture carries; empty for other files."""
    return stored_meta(path) if path.suffix.lower() == ".npz" else read_sidecar(path)


def open_job(job: Job, reading: Reading, gaps: bool) -> Capture:
    """The job's capture with its origin, and with the history that lies beside a BVH of ours; see `open_with_gaps`."""
    capture = open_with_gaps(job.capture, reading.format, gaps, reading.fps, reading.asf)
    beside = read_sidecar(job.capture)
    if beside:
        capture = replace(
            capture,
            history=tuple(beside["history"]),
            notes=(*beside["notes"], *capture.notes),
            recorded=Recorded.from_meta(beside),
        )
    return replace(capture, origin={**capture.origin, **beside.get("origin", {}), **job.origin})


def check_targets(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Refuse to write over what is read: no target of (source, target) may be any of the sources."""
    pairs = list(pairs)
    sources = {source.resolve() for source, _ in pairs}
    for source, target in pairs:
        if target.resolve() in sources:
            own = target.resolve() == source.resolve()
            raise MotionError(f"{target}: would be overwritten{'' if own else f' by what {source} becomes'}; "
                              f"give another --out")  # fmt: skip


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """What is wrong in a capture's frames is known by its name; say its file, too."""
    try:
        yield
    except MotionError as error:
        raise MotionError(str(error) if str(path) in str(error) else f"{path}: {error}") from error


def crash(path: Path, error: Exception) -> str:
    """What to say of a fault of ours, which must not cost the other captures."""
    return f"{path}: {type(error).__name__}: {error}"


def made_since(job: Job, path: Path) -> bool:
    """Is the file there, and was it written after the capture last changed?"""
    return path.is_file() and path.stat().st_mtime > job.capture.stat().st_mtime


def content_of(job: Job, reading: Reading) -> list[str]:
    """Digests of the files that the capture is read from: its own, and that of its skeleton where it is another."""
    files = [job.capture]
    if job.capture.suffix.lower() == ".amc":
        with suppress(MotionError):  # none for it: reading it says so
            files.append(find_asf(job.capture)[0] if reading.asf is None else Path(reading.asf))
    return [_content(file) for file in files if file.is_file()]


def _content(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def digest(*parts: Any) -> str:
    """A fingerprint of what decides a result."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]
