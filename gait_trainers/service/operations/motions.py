"""Captures that users bring: taken in under names of the server's choosing, converted by a process, then judged."""

from __future__ import annotations

import csv
import hashlib
import io
import shutil
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Text, select
from sqlalchemy import delete as delete_rows
from sqlalchemy.orm import Session

from gait_envs.errors import GaitNetError, MotionError, one_line
from gait_envs.reading.archive import Archive, check_compression, read_header
from gait_envs.reading.bounded import BoundedFile
from gait_envs.reading.foreign import refuse_pickles
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.db.later import remove_afterwards
from gait_trainers.service.db.tables import Job, Motion, Study, TrainingSession, User, new_id
from gait_trainers.service.errors import Conflict, Invalid, NotFound, ServiceError, TooLarge
from gait_trainers.service.operations import audit, quotas
from gait_trainers.service.operations.files import Artefact, last_lines
from gait_trainers.service.operations.paging import Page, containing, page
from gait_trainers.service.operations.visible import check_role, find_motion, ordered, shared_or_own
from gait_trainers.service.settings import Settings

BODIES = ("wildrobot", "humanoid")
STATES = ("queued", "converting", "ready", "accepted", "rejected", "failed")
# What the endings of the uploaded files together mean, and what the files are called here.
KINDS = {
    frozenset({".bvh"}): ("bvh", {".bvh": "capture.bvh"}),
    frozenset({".amc", ".asf"}): ("asf-amc", {".amc": "capture.amc", ".asf": "skeleton.asf"}),
    frozenset({".npz"}): ("amass", {".npz": "capture.npz"}),
}
PROVENANCE = "provenance.csv"
BLOCK = 1 << 20
HEAD = 16 << 10  # bytes in which the header of an array ends
EXPANDED = 1 << 30  # bytes of all arrays of an archive
RATIO = 200  # between an archive's size and its content's
PLACES = {
    "clip": ("clip.npz", "application/octet-stream", "npz"),
    "page": ("clip.png", "image/png", "png"),
    "film": ("film.mp4", "video/mp4", "mp4"),
    "log": ("log.txt", "text/plain; charset=utf-8", "txt"),
}
find = find_motion


def upload(
    db: Session,
    user: User,
    files: Sequence[tuple[str, IO[bytes]]],
    settings: Settings,
    *,
    name: str,
    license: str = "",
    labels: Sequence[str] = (),
    body: str = "wildrobot",
) -> Motion:
    """Take in a .bvh, an .amc with its .asf, or an AMASS .npz, and queue its conversion.

    files: (name, content); of a name only its ending counts. Invalid and TooLarge say what is refused.
    """
    check_role(user, "trainer")
    quotas.check_disk(quotas.usage(db, user, settings.quota))
    if body not in BODIES:
        raise Invalid(f"bodies are {', '.join(BODIES)}", "body")
    endings = [Path(given).suffix.lower() for given, _ in files]
    kind = KINDS.get(frozenset(endings)) if len(endings) == len(set(endings)) else None
    if kind is None:
        raise Invalid("expected one .bvh file, an .amc with its .asf, or one .npz of AMASS", "files")
    id, (format, names) = new_id(), kind
    folder = settings.motions / id
    folder.mkdir(mode=0o700)
    try:
        digest, size = hashlib.sha256(), 0
        for ending, (_, stream) in sorted(zip(endings, files, strict=True), key=lambda pair: pair[0]):
            size += _keep(stream, folder / names[ending], digest, (settings.upload_mb << 20) - size)
        for ending in endings:
            check_content(folder / names[ending], ending)
        motion = Motion(
            id=id, owner=user, name=_line(name, "name", 1), format=format, size=size, sha256=digest.hexdigest(),
            labels=_labels(labels), license=_line(license, "license", 0, 200), body=body,
        )  # fmt: skip
        _keep_licence(folder, motion.license, names)
        db.add(motion)
        db.flush()
        db.add(Job(kind="import", owner_id=user.id, motion_id=id))
        audit.note(db, user, "motion.upload", id, size=size)
        db.flush()
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return motion


def is_filmed(db: Session, motion: Motion) -> bool:
    """Whether a film of the motion on its body is being made."""
    query = select(Job.id).where(Job.motion_id == motion.id, Job.kind == "film", Job.state != "ended")
    return db.scalar(query.limit(1)) is not None


def _keep_licence(folder: Path, license: str, names: Mapping[str, str]) -> None:
    """The table from which `gait-data import` learns what may be done with the capture, and the clip then says."""
    if license:
        with open(folder / PROVENANCE, "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(
                [("file", "license"), *((name, license) for name in names.values() if name.startswith("capture."))]
            )


def _keep(stream: IO[bytes], file: Path, digest: Any, most: int) -> int:
    """Copy a stream to a file; TooLarge beyond `most` bytes."""
    size = 0
    with open(file, "xb") as out:
        while block := stream.read(BLOCK):
            size += len(block)
            if size > most:
                raise TooLarge("the files are larger than this service accepts", "files")
            digest.update(block)
            out.write(block)
    if size == 0:
        raise Invalid("a file is empty", "files")
    return size


def check_content(file: Path, ending: str) -> None:
    """Invalid for what is no capture by its first bytes, holds pickles, or expands beyond measure. Whether its numbers
    make sense is found out by the conversion, in a process with limits."""
    try:
        refuse_pickles(file, MotionError)
        if ending != ".npz":
            with file.open("rb") as stream:
                head = stream.read(4096)
            if b"\0" in head or head[:2] in (b"\x1f\x8b", b"PK"):
                raise Invalid(f"the {ending} file is not text", "files")
            if ending == ".bvh" and b"HIERARCHY" not in head.upper():
                raise Invalid("the .bvh file does not begin with HIERARCHY", "files")
            return
        with BoundedFile(file) as raw, zipfile.ZipFile(raw) as archive:
            total = sum(info.file_size for info in archive.infolist())
            if total > EXPANDED or total > RATIO * max(file.stat().st_size, 1 << 16):
                raise Invalid(f"the archive expands to {total} bytes", "files")
            for info in archive.infolist():
                check_compression(info)
                with archive.open(info) as member:
                    if read_header(io.BytesIO(member.read(HEAD))).dtype.hasobject:
                        raise Invalid("the archive holds pickled objects, which are never read", "files")
        with Archive(file, MotionError, 0, "the archive") as checked:
            if "poses" not in checked.keys or "trans" not in checked.keys:
                raise Invalid("the archive has no poses and trans, as AMASS has", "files")
    except ServiceError:
        raise
    except GaitNetError as error:
        raise Invalid(one_line(error).replace(str(file), "the file"), "files") from None
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile):  # encrypted, cut, …
        raise Invalid("the archive is damaged", "files") from None


def listed(
    db: Session,
    user: User,
    *,
    state: str | None = None,
    body: str | None = None,
    text: str | None = None,
    offset: int = 0,
    limit: int = 50,
) -> Page[Motion]:
    """Motions that the user sees, the newest first; `state` accepted also finds what is not judged yet."""
    query = select(Motion).where(shared_or_own(user, Motion))
    if state is not None:
        if state not in STATES:
            raise Invalid(f"states are {', '.join(STATES)}", "state")
        query = query.where(Motion.state == state)
    if body is not None:
        query = query.where(Motion.body == body)
    if text:
        query = query.where(Motion.name.ilike(containing(text), escape="\\"))
    return page(db, ordered(query, Motion), offset, limit)


def accept(db: Session, user: User, id: str) -> Motion:
    """Somebody has looked at the clip, and it may be trained on."""
    return _judge(db, user, id, "accepted")


def reject(db: Session, user: User, id: str) -> Motion:
    """Somebody has looked at the clip, and it may not."""
    return _judge(db, user, id, "rejected")


def _judge(db: Session, user: User, id: str, state: str) -> Motion:
    motion = find_motion(db, user, id, to_change=True)
    if motion.state not in ("ready", "accepted", "rejected"):
        raise Conflict(f"the motion is {motion.state}")
    motion.state = state
    audit.note(db, user, f"motion.{state}", id)
    db.flush()
    return motion


def edit(
    db: Session,
    user: User,
    id: str,
    *,
    name: str | None = None,
    labels: Sequence[str] | None = None,
    license: str | None = None,
    shared: bool | None = None,
) -> Motion:
    """Change what is given."""
    motion = find_motion(db, user, id, to_change=True)
    if name is not None:
        motion.name = _line(name, "name", 1)
    if labels is not None:
        motion.labels = _labels(labels)
    if license is not None:
        motion.license = _line(license, "license", 0, 200)
    if shared is not None:
        motion.shared = shared
    audit.note(db, user, "motion.edit", id)
    db.flush()
    return motion


def delete(db: Session, user: User, id: str, settings: Settings) -> None:
    """Remove a motion and its files; a Conflict while it is converted, filmed, or needed by a session or by a search,
    of whomever, that has no copy of its own yet."""
    motion = find_motion(db, user, id, to_change=True)
    if motion.state == "converting":
        raise Conflict("the motion is being converted")
    if db.scalar(select(Job.id).where(Job.motion_id == id, Job.state == "running").limit(1)) is not None:
        raise Conflict("a film of it is being made; try again later")
    sessions = select(TrainingSession).where(TrainingSession.motions.cast(Text).contains(id))
    for session in db.scalars(sessions):
        if id in session.motions and _is_needed(session, id, settings):
            theirs = session.owner_id == user.id or user.role == "administrator"
            raise Conflict(f"{session.name if theirs else 'a session of another user'} is trained on it")
    for study in db.scalars(select(Study).where(Study.state == "running", Study.request.cast(Text).contains(id))):
        if id in study.request["base"].get("motions", ()):
            raise Conflict(
                f"{study.name if study.owner_id == user.id else 'a search of another user'} will train on it"
            )
    db.execute(delete_rows(Job).where(Job.motion_id == id))
    db.delete(motion)
    audit.note(db, user, "motion.delete", id, name=motion.name)
    db.flush()
    remove_afterwards(db, settings.motions / id)


def own_clip(settings: Settings, session_id: str, motion_id: str) -> Path:
    """A session's copy of the clip of a motion, made when its training begins."""
    return settings.results / session_id / "motions" / motion_id / "clip.npz"


def _is_needed(session: TrainingSession, id: str, settings: Settings) -> bool:
    """Whether a session reads the motion's own file; sessions of earlier versions have copied nothing, or all clips
    into the model's data."""
    if own_clip(settings, session.id, id).is_file():
        return False
    return session.state != "completed" or algorithm(session.algorithm).makes == "policy"


def artefacts(db: Session, user: User, id: str, settings: Settings) -> list[Artefact]:
    """What there is to fetch of a motion."""
    motion = find_motion(db, user, id)
    found = []
    for key, (place, media, ending) in PLACES.items():
        file = settings.motions / motion.id / place
        if file.is_file():
            found.append(Artefact(key, f"motion-{id[:6]}-{key}.{ending}", media, file.stat().st_size))
    return found


def open_artefact(db: Session, user: User, id: str, key: str, settings: Settings) -> tuple[Path, Artefact]:
    """The file behind a key."""
    for artefact in artefacts(db, user, id, settings):
        if artefact.key == key:
            return settings.motions / id / PLACES[key][0], artefact
    raise NotFound(f"the motion has no such file; files are {', '.join(PLACES)}")


def log(db: Session, user: User, id: str, settings: Settings, *, last: int = 200) -> list[str]:
    """The last lines that its conversion has printed, without the server's folders."""
    find_motion(db, user, id)
    return [line.replace(str(settings.home), "") for line in last_lines(settings.motions / id / "log.txt", last)]


def _line(text: str, field: str, least: int, most: int = 100) -> str:
    text = text.strip()
    if not least <= len(text) <= most or not text.isprintable():
        raise Invalid(f"expected {least} to {most} printable characters on one line", field)
    return text


def _labels(labels: Sequence[str]) -> list[str]:
    if len(labels) > 20:
        raise Invalid("at most 20 labels", "labels")
    return list(dict.fromkeys(_line(label, "labels", 1, 50) for label in labels))
