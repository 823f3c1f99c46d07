"""Tables of trainings: sessions, their metrics, processes, alerts and studies."""

from __future__ import annotations

import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from gait_trainers.service.db.accounts import User
from gait_trainers.service.db.base import Base, Identified

ACTIVE = ("queued", "running", "pausing", "stopping", "finishing")
AT_REST = ("paused", "stopped", "completed", "failed")
STATES = (*ACTIVE, *AT_REST)


class TrainingSession(Identified, Base):
    """A training: what was asked for, and how far it is."""

    __tablename__ = "sessions"
    __table_args__ = (Index(None, "state", "created_at"), Index(None, "owner_id", "created_at"))

    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    name: Mapped[str] = mapped_column(String(100))
    algorithm: Mapped[str] = mapped_column(String(32))
    preset: Mapped[str | None] = mapped_column(String(64))
    env_id: Mapped[str] = mapped_column(String(128))
    motions: Mapped[list[str]] = mapped_column(default=list)
    tags: Mapped[list[str]] = mapped_column(default=list)
    request: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the StartRequest
    config: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what follows from it, whole
    state: Mapped[str] = mapped_column(String(16), default="queued")
    message: Mapped[str] = mapped_column(Text, default="")
    iteration: Mapped[int] = mapped_column(default=0)
    iterations: Mapped[int]
    rollout_steps: Mapped[int]
    seconds: Mapped[float] = mapped_column(default=0.0)  # of its processes, all together
    timeout_s: Mapped[float]
    cores: Mapped[float] = mapped_column(default=1.0)
    memory_mb: Mapped[int] = mapped_column(default=1000)
    disk_mb: Mapped[float] = mapped_column(default=0.0)
    shared: Mapped[bool] = mapped_column(default=False)  # with every user
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id", ondelete="SET NULL"))
    study_id: Mapped[str | None] = mapped_column(ForeignKey("studies.id", ondelete="SET NULL"), index=True)
    trial: Mapped[int | None]
    metrics_at: Mapped[dict[str, Any]] = mapped_column(default=dict)  # how far metrics.csv has been read
    latest: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the newest row of metrics
    health: Mapped[dict[str, Any]] = mapped_column(default=dict)  # iterations for which each check has held
    evaluation: Mapped[dict[str, Any] | None]
    validation: Mapped[dict[str, Any] | None]
    started_at: Mapped[datetime.datetime | None]
    finished_at: Mapped[datetime.datetime | None]
    owner: Mapped[User] = relationship(lazy="joined")

    @property
    def steps(self) -> int:
        """Environment steps so far."""
        return self.iteration * self.rollout_steps


class Share(Base):
    """A session that another user may see."""

    __tablename__ = "shares"

    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True, index=True)


class Series(Base):
    """A metric of a session; its number stands for both in the long table."""

    __tablename__ = "series"
    __table_args__ = (UniqueConstraint("session_id", "name"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(100))


class Point(Base):
    """The value of a metric after an iteration."""

    __tablename__ = "points"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    series_id: Mapped[int] = mapped_column(ForeignKey("series.id", ondelete="CASCADE"), primary_key=True)
    iteration: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    value: Mapped[float]


class Job(Identified, Base):
    """A process: one that waits for its turn, runs, or has ended."""

    __tablename__ = "jobs"
    __table_args__ = (Index(None, "state", "created_at"),)

    kind: Mapped[str] = mapped_column(String(16))  # train, finish, evaluate, film, view, import
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    session_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"), index=True)
    motion_id: Mapped[str | None] = mapped_column(ForeignKey("motions.id", ondelete="CASCADE"), index=True)
    state: Mapped[str] = mapped_column(String(16), default="queued")  # queued, running, ended
    wanted: Mapped[str] = mapped_column(String(16), default="")  # stop, pause or time-out, once somebody asks for it
    supervisor_id: Mapped[str | None] = mapped_column(String(16))
    pid: Mapped[int | None]
    process_started: Mapped[float | None]  # the operating system's figure, which tells apart processes of one number
    exit_code: Mapped[int | None]
    message: Mapped[str] = mapped_column(Text, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    progress: Mapped[int] = mapped_column(default=0)  # iterations at the last attempt
    cores: Mapped[float] = mapped_column(default=1.0)
    memory_mb: Mapped[int] = mapped_column(default=1000)
    seconds: Mapped[float] = mapped_column(default=0.0)
    ended_at: Mapped[datetime.datetime | None]


class Supervisor(Identified, Base):
    """A process that runs jobs; `beats` counts up while it lives, whatever the clock says."""

    __tablename__ = "supervisors"

    host: Mapped[str] = mapped_column(String(255))
    pid: Mapped[int]
    beats: Mapped[int] = mapped_column(default=0)
    cores: Mapped[float]
    memory_mb: Mapped[int]


class Idempotency(Base):
    """A start that was asked for under a key; asked again, it is the same session."""

    __tablename__ = "idempotency"

    user_id: Mapped[str] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    body_hash: Mapped[str] = mapped_column(String(64))
    session_id: Mapped[str] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))


class Alert(Identified, Base):
    """Something that somebody should look at; each kind once a session."""

    __tablename__ = "alerts"
    __table_args__ = (UniqueConstraint("session_id", "kind"), Index(None, "owner_id", "created_at"))

    session_id: Mapped[str | None] = mapped_column(ForeignKey("sessions.id", ondelete="CASCADE"))
    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    kind: Mapped[str] = mapped_column(String(64))
    message: Mapped[str] = mapped_column(Text)
    acknowledged_at: Mapped[datetime.datetime | None]
    acknowledged_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    mailed: Mapped[bool] = mapped_column(default=False)
    posted: Mapped[bool] = mapped_column(default=False)


class Study(Identified, Base):
    """A search for hyperparameters: trials that are sessions."""

    __tablename__ = "studies"

    owner_id: Mapped[str] = mapped_column(ForeignKey("users.id"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(16), default="running")  # running, stopped, completed
    message: Mapped[str] = mapped_column(Text, default="")
    request: Mapped[dict[str, Any]] = mapped_column(default=dict)  # StudyRequest
    trials: Mapped[int]
    workers: Mapped[int]
    best: Mapped[dict[str, Any] | None]
    owner: Mapped[User] = relationship(lazy="joined")
