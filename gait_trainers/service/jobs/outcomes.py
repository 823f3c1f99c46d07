"""What the end of a process means for its session or motion, and what comes next."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from gait_envs.errors import one_line
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.db.tables import Job, Motion, TrainingSession, now
from gait_trainers.service.jobs.commands import log_file
from gait_trainers.service.jobs.ingest import ingest
from gait_trainers.service.operations.alerts import raise_alert
from gait_trainers.service.operations.files import last_lines
from gait_trainers.service.operations.sessions import touch
from gait_trainers.service.settings import Settings

MOST_ATTEMPTS = 25  # processes in a row that died without a word, before any progress


def end(db: Session, job: Job, code: int | None, settings: Settings) -> None:
    """A process has ended: `code` is its exit status, negative for a signal, None where nobody was there to see."""
    job.exit_code, job.pid, job.process_started, job.supervisor_id = code, None, None, None
    if job.kind == "train":
        _end_training(db, job, code, settings)
    elif job.kind == "finish":
        _end_finish(db, job, code, settings)
    elif job.kind == "evaluate":
        _end_evaluation(db, job, code, settings)
    elif job.kind == "import":
        _end_import(db, job, code, settings)
    elif code is None or code < 0:
        _again(job)
    else:
        _close(job, "" if code == 0 else _said(job, settings))


def _close(job: Job, message: str = "") -> None:
    job.state, job.message, job.ended_at = "ended", message, now()


def _again(job: Job) -> bool:
    """Queue a process again that died without a word; not for ever."""
    job.attempts += 1
    if job.attempts >= MOST_ATTEMPTS:
        _close(job, f"it was killed {job.attempts} times without any progress; is there enough memory?")
        return False
    job.state = "queued"
    return True


def _said(job: Job, settings: Settings) -> str:
    """The last line that a process printed."""
    lines = [line.strip() for line in last_lines(log_file(job, settings), 5) if line.strip()]
    said = lines[-1] if lines else f"it ended with exit status {job.exit_code}"
    return one_line(said.replace(str(settings.home), ""), 500)


def _end_training(db: Session, job: Job, code: int | None, settings: Settings) -> None:
    session = db.get_one(TrainingSession, job.session_id)
    run = settings.runs / session.id
    ingest(db, session, run / "metrics.csv")
    session.disk_mb = size_mb(run) + size_mb(settings.results / session.id)
    if code == 0:
        _close(job)
        touch(session, "finishing")
        db.add(Job(kind="finish", owner_id=session.owner_id, session_id=session.id, memory_mb=session.memory_mb))
    elif job.wanted == "time-out":
        message = f"its time is up: {session.timeout_s / 3600:g} h; it can be resumed"
        _close(job, message)
        touch(session, "failed", message)
        raise_alert(db, session, "time-out", message)
    elif job.wanted in ("pause", "stop"):
        _close(job)
        touch(session, "paused" if job.wanted == "pause" else "stopped", session.message)
    elif code is not None and code > 0:
        message = _said(job, settings)
        _close(job, message)
        touch(session, "failed", message)
        raise_alert(db, session, "failed", message)
    else:
        if session.iteration > job.progress:
            job.attempts, job.progress = 0, session.iteration
        if _again(job):
            touch(session, "queued", "its process ended without a word; it continues from its last checkpoint")
        else:
            touch(session, "failed", job.message)
            raise_alert(db, session, "failed", job.message)


def _end_finish(db: Session, job: Job, code: int | None, settings: Settings) -> None:
    session = db.get_one(TrainingSession, job.session_id)
    known = algorithm(session.algorithm)
    if code is None or code < 0:
        if not _again(job):
            touch(session, "failed", job.message)
        return
    result = _read_json(settings.results / session.id / "result.json")
    if code > 0 or result is None:
        message = f"the {known.makes} was not exported: {_said(job, settings)}"
        _close(job, message)
        touch(session, "failed", message)
        raise_alert(db, session, "failed", message)
        return
    _close(job)
    session.validation = result["validation"]
    session.evaluation = result.get("evaluation", session.evaluation)
    session.disk_mb = size_mb(settings.runs / session.id) + size_mb(settings.results / session.id)
    touch(session, "completed", one_line(str(result.get("message", "")).replace(str(settings.home), ""), 500))
    raise_alert(db, session, "finished", f"{session.name} has finished: {session.steps:,} {known.unit}")
    db.add_all(Job(kind=kind, owner_id=session.owner_id, session_id=session.id) for kind in known.follows)


def _end_evaluation(db: Session, job: Job, code: int | None, settings: Settings) -> None:
    """Figures of how well it walks; a session is complete without them."""
    if code is None or code < 0:
        _again(job)
        return
    session = db.get_one(TrainingSession, job.session_id)
    session.evaluation = _read_json(settings.results / session.id / "evaluation.json")
    _close(job, "" if code == 0 else _said(job, settings))


def _end_import(db: Session, job: Job, code: int | None, settings: Settings) -> None:
    motion = db.get_one(Motion, job.motion_id)
    if code is None or code < 0:
        if _again(job):
            motion.state = "queued"
        else:
            motion.state, motion.message = "failed", job.message
        return
    result = _read_json(settings.motions / motion.id / "result.json")
    if code > 0 or result is None:
        motion.state, motion.message = "failed", _said(job, settings)
        _close(job, motion.message)
        return
    motion.state, motion.message, motion.figures = "ready", "", result
    _close(job)
    db.add(Job(kind="film", owner_id=motion.owner_id, motion_id=motion.id))


def _read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def size_mb(folder: Path) -> float:
    """Size of the files in a folder, MB."""
    total = 0
    for file in folder.rglob("*"):
        try:
            total += file.stat().st_size if file.is_file() else 0
        except OSError:  # removed meanwhile
            continue
    return total / 1e6


def free_mb(folder: Path) -> float:
    """Free disk, MB."""
    return shutil.disk_usage(folder).free / 1e6
