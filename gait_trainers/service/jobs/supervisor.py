"""The supervisor: starts the processes of jobs, watches them, and takes over those of a supervisor that has died.

A process outlives its supervisor. What is true is decided by the lock that the process itself holds (`process.py`),
not by what the database says: a job that is running there without a lock has ended, and one with a lock is never
started a second time.
"""

from __future__ import annotations

import datetime
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from sqlalchemy import Engine, select, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from gait_trainers.runs.lock import locked
from gait_trainers.service.db.engine import reading, transaction
from gait_trainers.service.db.tables import Job, Motion, Supervisor, TrainingSession, now
from gait_trainers.service.errors import ServiceError
from gait_trainers.service.jobs import housekeeping, notify, search, watch
from gait_trainers.service.jobs.commands import command, log_file
from gait_trainers.service.jobs.outcomes import end, free_mb
from gait_trainers.service.jobs.process import Process, find, lives, send, spawn
from gait_trainers.service.jobs.schedule import Capacity, claim, next_jobs, queued_jobs
from gait_trainers.service.operations.sessions import touch
from gait_trainers.service.settings import Settings

PATIENCE = (20.0, 40.0)  # s after the interrupt: terminate, kill
SILENCE = 60.0  # s without a beat, after which another machine's supervisor is thought dead
KEEP_TIME = 5.0  # s between two notes of how long a process has run
BEAT, HOUR = 5.0, 3600.0  # s between two beats, and between two rounds of housekeeping
OVERDUE = 300.0  # s in the queue, after which no other training begins before one that does not fit
LOCKED = 3  # exit status where another supervisor of this machine works in the home folder
SEARCH = 3.0  # s between two rounds of the searches, which hold SQLite's write lock while Optuna thinks


@dataclass
class Watched:
    """A process that this supervisor has started or found."""

    job_id: str
    child: subprocess.Popen[bytes] | None  # None: an earlier supervisor started it
    process: Process | None
    since: float  # monotonic s, up to which its time has been noted
    asked: float | None = None  # monotonic s at which it was asked to end
    signals: int = 0

    def code(self, alive: bool) -> tuple[bool, int | None]:
        """Whether it has ended, and its exit status if anybody knows."""
        if self.child is not None:
            status = self.child.poll()
            return status is not None, status
        return not alive, None


@dataclass
class Loop:
    """The state between two looks; nothing in it is missed after a crash."""

    engine: Engine
    settings: Settings
    id: str = ""
    watched: dict[str, Watched] = field(default_factory=dict)
    turns: dict[str, int] = field(default_factory=dict)  # user -> the latest turn
    beats: dict[str, tuple[int, float]] = field(default_factory=dict)  # other supervisors: beats, monotonic s
    beaten: float = float("-inf")  # monotonic s of the latest beat
    tidied: float = float("-inf")  # monotonic s of the latest housekeeping
    searched: float = float("-inf")  # monotonic s of the latest round of the searches
    courier: threading.Thread | None = None  # delivers alerts
    stopping: bool = False

    @property
    def capacity(self) -> Capacity:
        """What this machine gives to jobs."""
        cores = self.settings.cores or float(os.cpu_count() or 1)
        return Capacity(cores, self.settings.memory_mb or int(0.8 * psutil.virtual_memory().total / 1e6))

    def begin(self) -> None:
        """Announce this supervisor, and find what earlier ones of this machine have left."""
        with transaction(self.engine) as db:
            host = socket.gethostname()
            earlier = update(Supervisor).where(Supervisor.host == host)
            db.execute(earlier.values(pid=0))  # whoever it was has given up the lock
            mine = Supervisor(host=host, pid=os.getpid(), cores=self.capacity.cores, memory_mb=self.capacity.memory_mb)
            db.add(mine)
            db.flush()
            self.id = mine.id

    def look(self) -> None:
        """One round: what has ended, what is asked for, what may begin. A fault in one thing stops no other."""
        self._take_over()
        for watched in list(self.watched.values()):
            _safely(self._check, watched)
        if not self.stopping:
            self._start()
        if time.monotonic() - self.searched >= SEARCH:
            self.searched = time.monotonic()
            _safely(search.advance, self.engine, self.settings)
        if time.monotonic() - self.tidied >= HOUR:
            self.tidied = time.monotonic()
            _safely(housekeeping.tidy, self.engine, self.settings)
        _safely(watch.machine, self.engine, self.settings)
        _safely(self._notify)

    def _notify(self) -> None:
        """Deliver alerts in a thread: a mail server that does not answer must keep no training waiting."""
        if self.courier is not None and self.courier.is_alive():
            return
        if work := notify.take(self.engine, self.settings):
            self.courier = threading.Thread(target=_safely, args=(notify.send, work, self.settings), daemon=True)
            self.courier.start()

    # -- taking over --------------------------------------------------------------------------------------

    def _take_over(self) -> None:
        """Adopt running jobs whose supervisor is gone: one of this machine, or one that no longer beats."""
        if time.monotonic() - self.beaten >= BEAT:
            self.beaten = time.monotonic()
            with transaction(self.engine) as db:
                db.execute(update(Supervisor).where(Supervisor.id == self.id).values(beats=Supervisor.beats + 1))
        unknown = select(Job).where(Job.state == "running", Job.id.not_in(self.watched))
        with reading(self.engine) as db:
            if db.scalar(unknown.with_only_columns(Job.id).limit(1)) is None:
                return
        with transaction(self.engine) as db:
            gone = self._gone(db)
            for job in db.scalars(unknown):
                if job.supervisor_id not in gone:
                    continue
                job.supervisor_id = self.id
                known = None if job.pid is None else Process(job.pid, job.process_started or 0.0)
                folder = self.settings.jobs / job.id
                process = find(folder) or known
                self.watched[job.id] = Watched(job.id, None, process, time.monotonic())
                if process is not None and lives(folder):
                    job.pid, job.process_started = process

    def _gone(self, db: Session) -> set[str | None]:
        """Supervisors that run no more."""
        host, at = socket.gethostname(), time.monotonic()
        gone: set[str | None] = {None}
        for other in db.scalars(select(Supervisor).where(Supervisor.id != self.id)):
            if other.host == host:
                gone.add(other.id)
                continue
            beats, since = self.beats.get(other.id, (-1, at))
            if beats != other.beats:
                self.beats[other.id] = (other.beats, at)
            elif at - since > SILENCE:
                gone.add(other.id)
        return gone

    # -- what runs ----------------------------------------------------------------------------------------

    def _check(self, watched: Watched) -> None:
        folder = self.settings.jobs / watched.job_id
        over, code = watched.code(lives(folder))
        with transaction(self.engine) as db:
            job = db.get(Job, watched.job_id, with_for_update=True)
            if job is None or job.state != "running" or job.supervisor_id != self.id:
                self.watched.pop(watched.job_id)  # deleted, or another has taken it over while this one was silent
                return
            self._note_time(db, job, watched, over)
            if over:
                mine = self.stopping and watched.signals > 0  # it ended because this supervisor does
                end(db, job, None if mine else code, self.settings)
                self.watched.pop(watched.job_id)
                return
            if job.kind == "train":
                watch.training(db, job, self.settings)
            self._press(job, watched)

    def _note_time(self, db: Session, job: Job, watched: Watched, over: bool) -> None:
        passed = time.monotonic() - watched.since
        if passed < KEEP_TIME and not over:
            return
        watched.since += passed
        job.seconds += passed
        if job.kind == "train":
            session = db.get_one(TrainingSession, job.session_id)
            session.seconds += passed
            if session.seconds >= session.timeout_s and not job.wanted and not over:
                job.wanted = "time-out"

    def _press(self, job: Job, watched: Watched) -> None:
        """Ask a process to end, then more firmly."""
        if not (job.wanted or self.stopping):
            return
        if watched.process is None:
            watched.process = find(self.settings.jobs / job.id)
        if watched.process is None:
            return
        at = time.monotonic()
        watched.asked = watched.asked or at
        steps = [(0.0, signal.SIGINT), (PATIENCE[0], signal.SIGTERM), (PATIENCE[1], signal.SIGKILL)]
        due = [number for after, number in steps if at - watched.asked >= after]
        if len(due) > watched.signals:
            watched.signals = len(due)
            send(watched.process, due[-1])

    # -- what begins --------------------------------------------------------------------------------------

    def _start(self) -> None:
        with reading(self.engine) as db:
            if not queued_jobs(db):
                return
        with transaction(self.engine) as db:
            queued = queued_jobs(db)
            for job in [job for job in queued if job.wanted]:  # ended before it began
                end(db, job, None, self.settings)
                queued.remove(job)
            if not queued or free_mb(self.settings.home) < self.settings.least_disk_mb:
                return
            running = list(db.scalars(select(Job).where(Job.id.in_(self.watched))))
            overdue = now() - datetime.timedelta(seconds=OVERDUE)
            chosen = [job.id for job in next_jobs(queued, running, self.capacity, self.turns, overdue)]
        for job_id in chosen:
            self._launch(job_id)

    def _launch(self, job_id: str) -> None:
        """Claim a job, start its process, note which it is. A crash at any point leaves a job that is taken over."""
        folder = self.settings.jobs / job_id
        with transaction(self.engine) as db:
            job = db.get(Job, job_id)
            if job is None or not claim(db, job, self.id):
                return
            db.refresh(job)
            if job.wanted:  # somebody has thought better of it meanwhile
                end(db, job, None, self.settings)
                return
            try:
                words, log, cores = command(db, job, self.settings), log_file(job, self.settings), job.cores
            except Exception as error:  # a configuration of an earlier version, a full disk: of this job alone
                self._refuse(db, job, error)
                return
            if job.kind == "train":
                touch(db.get_one(TrainingSession, job.session_id), "running")
            elif job.kind == "import":
                db.get_one(Motion, job.motion_id).state = "converting"
            self.turns[job.owner_id] = max(self.turns.values(), default=0) + 1
        try:
            child = spawn(folder, words, log, cores)
        except OSError as error:
            with transaction(self.engine) as db:
                self._refuse(db, db.get_one(Job, job_id), error)
            return
        started = time.monotonic()
        process = None if child is None else _described(child.pid)
        self.watched[job_id] = Watched(job_id, child, process, started)
        if process is not None:
            with transaction(self.engine) as db:
                values = {"pid": process.pid, "process_started": process.started}
                db.execute(update(Job).where(Job.id == job_id).values(**values))

    def _refuse(self, db: Session, job: Job, error: Exception) -> None:
        """A job that cannot even begin has failed, and says why."""
        log = log_file(job, self.settings)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with open(log, "a", encoding="utf-8") as file:
                file.write(f"{error}\n")
        except OSError:
            print(f"gait-serve: {log}: {error}", file=sys.stderr)
        end(db, job, 1, self.settings)


def _safely(action: Callable[..., None], *given: object) -> None:
    """Do it; a fault is written down, and met again in the next round."""
    try:
        action(*given)
    except Exception:
        traceback.print_exc()


def _described(pid: int) -> Process | None:
    try:
        return Process(pid, psutil.Process(pid).create_time())
    except psutil.Error:
        return None


def lock_folder(settings: Settings) -> Path:
    """The folder whose lock this machine's supervisor holds."""
    return settings.home / "supervisors" / socket.gethostname()


def supervise(engine: Engine, settings: Settings) -> None:
    """Run until a signal. Locked where another supervisor of this machine works in the same home folder.

    On an interrupt the processes are asked to end; they are queued again, and resume with the next supervisor.
    """
    loop = Loop(engine, settings)

    def stop(*_: object) -> None:
        loop.stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    folder = lock_folder(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        loop.begin()
        while not (loop.stopping and not loop.watched):
            try:
                loop.look()
            except (DBAPIError, OSError, ServiceError) as error:  # a database that is locked, a disk that is full
                print(f"gait-serve: {error}", file=sys.stderr)
                time.sleep(1.0)
            time.sleep(settings.poll_seconds * (1 if loop.watched else 2))
        if loop.courier is not None:
            loop.courier.join(notify.TIMEOUT)  # what it carries is marked as sent
