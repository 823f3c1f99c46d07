"""JSON of what the interface answers."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Annotated, Any, Generic, Literal, TypeVar

from fastapi import Path as PathParameter
from pydantic import BaseModel

from gait_trainers.service.db import tables
from gait_trainers.service.operations import metrics
from gait_trainers.service.operations.paging import Page

T = TypeVar("T")
Time = datetime.datetime


class Problem(BaseModel):
    """An error, as RFC 9457 describes it; `field` names what is at fault in the request."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    field: str | None = None


class Listing(BaseModel, Generic[T]):
    """Some items of a list."""

    items: list[T]
    total: int
    offset: int
    limit: int


def listing(page: Page[Any], shape: Callable[[Any], Any]) -> dict[str, Any]:
    """A page of a list, each item as `shape` makes it."""
    items = [shape(item) for item in page.items]
    return {"items": items, "total": page.total, "offset": page.offset, "limit": page.limit}


class ProgressShape(BaseModel):
    state: str
    iteration: int
    iterations: int
    steps: int
    total_steps: int
    seconds: float
    seconds_left: float | None
    message: str


class SessionShape(BaseModel):
    """A training in a list."""

    id: str
    name: str
    owner: str
    algorithm: str
    preset: str | None
    env: str
    motions: list[str]
    tags: list[str]
    state: Literal["queued", "running", "pausing", "paused", "stopping", "stopped", "finishing", "completed", "failed"]
    message: str
    progress: ProgressShape
    shared: bool
    parent: str | None
    study: str | None
    created_at: Time
    started_at: Time | None
    finished_at: Time | None


class SessionDetail(SessionShape):
    """A training, whole."""

    request: dict[str, Any]
    config: dict[str, Any]
    latest: dict[str, float]
    evaluation: dict[str, Any] | None
    validation: dict[str, Any] | None
    disk_mb: float
    timeout_s: float


def session(row: tables.TrainingSession) -> dict[str, Any]:
    """A training in a list."""
    return {
        "id": row.id, "name": row.name, "owner": row.owner.name, "algorithm": row.algorithm, "preset": row.preset,
        "env": row.env_id, "motions": row.motions, "tags": row.tags, "state": row.state, "message": row.message,
        "progress": vars(metrics.progress_of(row)), "shared": row.shared, "parent": row.parent_id,
        "study": row.study_id, "created_at": row.created_at, "started_at": row.started_at,
        "finished_at": row.finished_at,
    }  # fmt: skip


def detail(row: tables.TrainingSession) -> dict[str, Any]:
    """A training, whole."""
    return session(row) | {
        "request": row.request, "config": row.config, "latest": row.latest, "evaluation": row.evaluation,
        "validation": row.validation, "disk_mb": row.disk_mb, "timeout_s": row.timeout_s,
    }  # fmt: skip


class CurveShape(BaseModel):
    iterations: list[int]
    steps: list[int]
    mean: list[float]
    least: list[float]
    most: list[float]


class UserShape(BaseModel):
    id: str
    name: str
    role: Literal["viewer", "trainer", "administrator"]
    active: bool
    email: str | None
    quota_sessions: int | None
    quota_hours: float | None
    quota_disk_mb: int | None
    created_at: Time


def user(row: tables.User) -> dict[str, Any]:
    """A user, without what is secret."""
    return {name: getattr(row, name) for name in UserShape.model_fields}


class TokenShape(BaseModel):
    id: str
    name: str
    prefix: str
    created_at: Time
    expires_at: Time | None
    last_used: Time | None


def token(row: tables.Token) -> dict[str, Any]:
    """A token, without itself."""
    return {name: getattr(row, name) for name in TokenShape.model_fields}


class AlertShape(BaseModel):
    id: str
    session_id: str | None
    kind: str
    message: str
    created_at: Time
    acknowledged_at: Time | None


def alert(row: tables.Alert) -> dict[str, Any]:
    """An alert."""
    return {name: getattr(row, name) for name in AlertShape.model_fields}


class MotionShape(BaseModel):
    id: str
    name: str
    owner: str
    format: str
    state: Literal["queued", "converting", "ready", "accepted", "rejected", "failed"]
    message: str
    size: int
    sha256: str
    labels: list[str]
    license: str
    body: str
    figures: dict[str, Any] | None
    shared: bool
    created_at: Time


def motion(row: tables.Motion) -> dict[str, Any]:
    """A motion."""
    own = {name: getattr(row, name) for name in MotionShape.model_fields if name != "owner"}
    return own | {"owner": row.owner.name}


Number = Annotated[int, PathParameter(ge=1, le=10**8)]


class ModelShape(BaseModel):
    name: str
    owner: str
    notes: str
    shared: bool
    created_at: Time
    aliases: dict[str, int]


class VersionShape(BaseModel):
    model: str
    number: int
    session_id: str | None
    notes: str
    lineage: dict[str, Any]
    files: dict[str, Any]
    created_at: Time
    deleted_at: Time | None


def version(row: tables.ModelVersion) -> dict[str, Any]:
    """A version of a model."""
    own = {name: getattr(row, name) for name in VersionShape.model_fields if name != "model"}
    return own | {"model": row.model.name}


class StudyShape(BaseModel):
    id: str
    name: str
    owner: str
    state: Literal["running", "stopped", "completed"]
    message: str
    trials: int
    workers: int
    best: dict[str, Any] | None
    created_at: Time


def study(row: tables.Study) -> dict[str, Any]:
    """A search."""
    own = {name: getattr(row, name) for name in StudyShape.model_fields if name != "owner"}
    return own | {"owner": row.owner.name}
