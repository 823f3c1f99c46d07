"""Searches for hyperparameters: what is asked for, and what came of it. Trials are sessions like any other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import ACTIVE, Job, Study, TrainingSession, User
from gait_trainers.service.errors import Conflict, Invalid, ServiceError
from gait_trainers.service.operations import audit, configure
from gait_trainers.service.operations.configure import Line, Name, StartRequest
from gait_trainers.service.operations.paging import Page, page
from gait_trainers.service.operations.visible import check_role, find_study, ordered, studies_of

METRICS = ("success_rate", "is_success_rate", "episode_reward", "forward_velocity", "speed_error", "mpjpe_root")
PRUNED = "pruned: it was worse than the median of the others at this iteration"
find = find_study


class Dimension(BaseModel):
    """A setting that is searched: a range of numbers, or a few choices."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["float", "int", "choice"] = "float"
    low: float | None = Field(default=None, ge=-1e12, le=1e12, allow_inf_nan=False)
    high: float | None = Field(default=None, ge=-1e12, le=1e12, allow_inf_nan=False)
    log: bool = Field(default=False, description="Whether to search the range by factors rather than steps.")
    choices: list[bool | int | float | str] = Field(default_factory=list, max_length=50)

    @model_validator(mode="after")
    def _is_whole(self) -> Dimension:
        if self.kind == "choice":
            if not self.choices:
                raise ValueError("a choice needs choices")
        elif self.low is None or self.high is None or not self.low < self.high:
            raise ValueError("a range needs low and high, low the smaller")
        elif self.kind == "int" and (self.low != int(self.low) or self.high != int(self.high)):
            raise ValueError("a range of whole numbers has whole ends")
        elif self.log and self.low <= 0:
            raise ValueError("a range by factors begins above 0")
        return self

    def extremes(self) -> list[Any]:
        """Values that must be possible."""
        if self.kind == "choice":
            return list(self.choices)
        return [int(x) if self.kind == "int" else x for x in (self.low or 0.0, self.high or 0.0)]


class StudyRequest(BaseModel):
    """A search that somebody asks for."""

    model_config = ConfigDict(extra="forbid")

    name: Line = Field(description="What the search is called.")
    base: StartRequest = Field(description="The training that is varied.")
    space: dict[Annotated[str, Field(max_length=100)], Dimension] = Field(
        min_length=1, max_length=20, description="Setting, by its dotted key -> its range."
    )
    metric: Name = Field(default="success_rate", description="What is compared: the last value of this metric.")
    direction: Literal["maximize", "minimize"] = "maximize"
    trials: int = Field(default=20, ge=1, le=1000, description="Trainings, all together.")
    workers: int = Field(default=1, ge=1, le=64, description="Trainings at once.")
    prune: bool = Field(default=True, description="Stop a training that is worse than the median at its iteration.")
    seed: int = Field(default=0, ge=0, le=2**31 - 1)


@dataclass(frozen=True)
class Trial:
    """A training of a study."""

    number: int
    session_id: str
    state: str
    params: dict[str, Any]
    value: float | None
    message: str


def varied(request: StudyRequest, values: dict[str, Any], number: int) -> StartRequest:
    """The training of a trial."""
    changes = {"name": f"{request.name[:80]} #{number}", "settings": values}
    known = configure.algorithm(request.base.algorithm)
    return request.base.model_copy(update=known.changed(request.base.model_dump(), changes))


def start(db: Session, user: User, request: StudyRequest) -> Study:
    """Begin a search; the ends of every range have been found possible."""
    check_role(user, "trainer")
    if configure.algorithm(request.base.algorithm).makes != "policy":
        raise Invalid("searches compare policies by how they walk", "base.algorithm")
    if request.metric not in METRICS:
        raise Invalid(f"metrics are {', '.join(METRICS)}", "metric")
    for key, dimension in request.space.items():
        for value in dimension.extremes():
            try:
                configure.configuration(db, user, varied(request, {key: value}, 0))
            except ServiceError as error:
                raise Invalid(f"{key} = {value}: {error.message}"[:500], f"space.{key}") from None
    study = Study(
        owner=user, name=request.name, request=request.model_dump(mode="json"), trials=request.trials,
        workers=request.workers,
    )  # fmt: skip
    db.add(study)
    db.flush()
    audit.note(db, user, "study.start", study.id, name=request.name)
    return study


def listed(db: Session, user: User, *, offset: int = 0, limit: int = 50) -> Page[Study]:
    """One's own; administrators see all."""
    return page(db, ordered(select(Study).where(studies_of(user)), Study), offset, limit)


def names(db: Session, user: User) -> dict[str, str]:
    """Id -> name of all that the user sees."""
    rows = db.execute(select(Study.id, Study.name).where(studies_of(user)))
    return {row.id: row.name for row in rows}


def stop(db: Session, user: User, id: str) -> Study:
    """End a search and its trainings; it can be resumed."""
    study = find_study(db, user, id, to_change=True)
    if study.state != "running":
        raise Conflict(f"the study is {study.state}")
    end_study(db, study)
    audit.note(db, user, "study.stop", id)
    db.flush()
    return study


def end_study(db: Session, study: Study, why: str = "") -> None:
    """Begin no more trainings, and ask those that wait or run to end."""
    study.state, study.message = "stopped", why
    active = TrainingSession.state.in_(("queued", "running"))
    for session in db.scalars(select(TrainingSession).where(TrainingSession.study_id == study.id, active)):
        stop_trial(db, session, "its study was stopped")


def stop_trial(db: Session, session: TrainingSession, why: str) -> None:
    """Ask the training of a trial to end."""
    session.state, session.message = "stopping", why
    unfinished = (Job.session_id == session.id, Job.kind == "train", Job.state != "ended")
    db.execute(update(Job).where(*unfinished).values(wanted="stop"))


def resume(db: Session, user: User, id: str) -> Study:
    """Go on with a search that was stopped: what it has learned so far counts."""
    study = find_study(db, user, id, to_change=True)
    if study.state != "stopped":
        raise Conflict(f"the study is {study.state}")
    study.state, study.message = "running", ""
    audit.note(db, user, "study.resume", id)
    db.flush()
    return study


def trials(db: Session, user: User, id: str) -> list[Trial]:
    """The trainings of a study, in order."""
    study = find_study(db, user, id)
    request = StudyRequest.model_validate(study.request)
    rows = db.scalars(select(TrainingSession).where(TrainingSession.study_id == id).order_by(TrainingSession.trial))
    return [
        Trial(
            row.trial or 0, row.id, "pruned" if is_pruned(row) else row.state,
            {key: row.request["settings"].get(key) for key in request.space},
            row.latest.get(request.metric), row.message,
        )
        for row in rows
    ]  # fmt: skip


def is_pruned(session: TrainingSession) -> bool:
    """Whether it was stopped because it was worse than others."""
    return session.message == PRUNED and session.state not in ACTIVE
