"""What a browser may fetch of a session: by keys of this table, never by paths."""

from __future__ import annotations

import functools
import json
import os
import threading
import time
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from gait_envs.files import replacing
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.db.tables import Job, TrainingSession, User
from gait_trainers.service.errors import Conflict, NotFound
from gait_trainers.service.operations.visible import find_session, own_session
from gait_trainers.service.settings import Settings
from gait_trainers.web import vendor
from gait_trainers.web.vendor import VendorError


@dataclass(frozen=True)
class Artefact:
    """A file on offer."""

    key: str
    name: str  # that a browser saves it under
    media_type: str
    size: int | None  # bytes; None: it is made when it is asked for


# Key: where it is under the results of a session (or, with "run/", in its run folder), media type, ending.
PLACES = {
    "metrics": ("run/metrics.csv", "text/csv", "metrics.csv"),
    "config": ("run/config.yaml", "application/yaml", "config.yaml"),
    "log": ("log.txt", "text/plain; charset=utf-8", "log.txt"),
    "film": ("film.mp4", "video/mp4", "film.mp4"),
    "trajectories": ("trajectories.png", "image/png", "trajectories.png"),
    "gait": ("gait.png", "image/png", "gait.png"),
    "gait_figures": ("gait.json", "application/json", "gait.json"),
    "result": ("result.json", "application/json", "result.json"),
    "policy": ("bundle/policy.onnx", "application/octet-stream", "policy.onnx"),
    "manifest": ("bundle/policy.json", "application/json", "policy.json"),
}
LAST = 256 << 10  # bytes from the end of a text that are read at most
MARGIN = 10**9  # ns by which the clock of a file system may be behind
FOLDERS = {"bundle": "bundle", "model": "model", "run": "run"}  # key -> folder that is packed as a zip
# Keys of what only those algorithms have that make this.
ONLY = dict.fromkeys(("film", "gait", "gait_figures", "policy", "manifest", "bundle"), "policy") | {
    "trajectories": "model", "model": "model"
}  # fmt: skip


def artefacts(db: Session, user: User, id: str, settings: Settings) -> list[Artefact]:
    """What there is to fetch now."""
    session = find_session(db, user, id)
    found = []
    for key, (_, media, ending) in PLACES.items():
        file = _place(session, key, settings)
        if file.is_file():
            found.append(Artefact(key, f"{_stem(session)}-{ending}", media, file.stat().st_size))
    for key in FOLDERS:
        if _folder(session, key, settings).is_dir():
            found.append(Artefact(key, f"{_stem(session)}-{key}.zip", "application/zip", None))
    return found


def open_artefact(db: Session, user: User, id: str, key: str, settings: Settings) -> tuple[Path, Artefact]:
    """The file behind a key; NotFound where there is none."""
    session = find_session(db, user, id)
    if key in FOLDERS:
        folder = _folder(session, key, settings)
        if not folder.is_dir():
            raise _missing(session, key)
        packed = _packed(folder, settings.results / session.id / f"{key}.zip")
        return packed, Artefact(key, f"{_stem(session)}-{key}.zip", "application/zip", packed.stat().st_size)
    if key not in PLACES:
        raise NotFound(f"files are {', '.join((*PLACES, *FOLDERS))}")
    file = _place(session, key, settings)
    if not file.is_file():
        raise _missing(session, key)
    return file, Artefact(key, f"{_stem(session)}-{PLACES[key][2]}", PLACES[key][1], file.stat().st_size)


def _missing(session: TrainingSession, key: str) -> NotFound:
    """Why there is no such file: this kind of training has none, or it is not there yet."""
    makes = algorithm(session.algorithm).makes
    if ONLY.get(key, makes) == makes:
        return NotFound(f"the session has no {key} yet")
    theirs = [one for one in (*PLACES, *FOLDERS) if ONLY.get(one, makes) == makes]
    return NotFound(f"a session of {session.algorithm} makes a {makes} and has no {key}; files are {', '.join(theirs)}")


def gait(db: Session, user: User, id: str, settings: Settings) -> dict[str, Any] | None:
    """The figures of a session's gait page; None where it has none."""
    session = find_session(db, user, id)
    try:
        found = json.loads(_place(session, "gait_figures", settings).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def open_view(db: Session, user: User, id: str, name: str, settings: Settings) -> Path:
    """A file of the page in which a session's policy walks, by its name there: one of those that there are."""
    find_session(db, user, id)
    found = view_files(id, settings).get(name)
    if found is None:
        raise NotFound("the page has no such file")
    return found


def view_files(id: str, settings: Settings) -> dict[str, Path]:
    """The page's own files, its third-party files, and what it is told of this policy; empty where that is missing."""
    folder = settings.results / id / "view"
    own = {file.relative_to(folder).as_posix(): file for file in folder.rglob("*") if file.is_file()}
    return _of_every_view() | own if own else {}


def _of_every_view() -> dict[str, Path]:
    try:
        vendored = _vendored()
    except VendorError:  # not fetched: `make web-vendor`
        return {}
    static = Path(str(resources.files("gait_trainers.web") / "static"))
    third = {f"vendor/{name}" + ".gz" * name.endswith(".wasm"): file for name, file in vendored.items()}
    return {file.name: file for file in static.iterdir()} | third


@functools.cache
def _vendored() -> dict[str, Path]:
    """Checked once; the page takes what is not packed under the name of what is."""
    return vendor.vendored()


def _place(session: TrainingSession, key: str, settings: Settings) -> Path:
    inside = PLACES[key][0]
    if inside.startswith("run/"):
        return settings.runs / session.id / inside.removeprefix("run/")
    return settings.results / session.id / inside


def _folder(session: TrainingSession, key: str, settings: Settings) -> Path:
    return settings.runs / session.id if key == "run" else settings.results / session.id / FOLDERS[key]


def _stem(session: TrainingSession) -> str:
    """A safe beginning of a file's name."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in session.name)[:40].strip("-")
    return f"{kept or 'session'}-{session.id[:6]}"


def _packed(folder: Path, target: Path) -> Path:
    """The files of a folder as a zip, packed again where one has changed. Its hidden files stay out.

    Who asks while it is packed waits for it; the zip is as old as the beginning of its packing.
    """
    with _packing(target):
        files = sorted(f for f in folder.rglob("*") if f.is_file() and not f.name.startswith("."))
        if not target.is_file() or target.stat().st_mtime_ns < max(map(_changed, files), default=0):
            began = time.time_ns() - MARGIN
            with replacing(target) as temporary:
                with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as out:
                    for file in files:
                        with suppress(FileNotFoundError):  # an old checkpoint, removed by the training
                            out.write(file, os.path.join(target.stem, file.relative_to(folder)))
                os.utime(temporary, ns=(began, began))
    return target


@functools.lru_cache(maxsize=256)
def _packing(target: Path) -> threading.Lock:
    """Held by whoever packs it."""
    return threading.Lock()


def _changed(file: Path) -> int:
    """When a file was changed, ns; 0 for one that was removed meanwhile."""
    try:
        return file.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def request_film(db: Session, user: User, id: str, settings: Settings, kind: str = "film") -> Job:
    """Queue a film of the latest policy, or its view in 3D; the one that is under way, if there is one."""
    session = own_session(db, user, id)
    if algorithm(session.algorithm).makes != "policy":
        raise Conflict(f"{session.algorithm} makes no policy that could be seen walking")
    waiting = db.scalar(select(Job).where(Job.session_id == id, Job.kind == kind, Job.state != "ended"))
    if waiting is not None:
        return waiting
    if not any((settings.runs / id / "checkpoints").glob("step_*.pt")):
        raise Conflict("there is no policy yet")
    job = Job(kind=kind, owner_id=user.id, session_id=id)
    db.add(job)
    db.flush()
    return job


def last_lines(file: Path, count: int) -> list[str]:
    """The last lines of a text file, however long it is; none where there is no file."""
    try:
        with open(file, "rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(0, size - LAST))
            text = stream.read().decode("utf-8", "replace")
    except FileNotFoundError:
        return []
    return [line.rpartition("\r")[2] for line in text.splitlines()][-count:]
