"""Routes of what goes on by itself: studies, alerts, the machine."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from gait_trainers.service.api import shapes
from gait_trainers.service.api.accounts import Limit, Offset
from gait_trainers.service.api.sessions import Text
from gait_trainers.service.operations import alerts, machine, studies
from gait_trainers.service.operations.studies import StudyRequest
from gait_trainers.service.security.access import Database, SignedIn, Trainer

router = APIRouter()


@router.get("/studies", tags=["studies"])
def list_studies(
    db: Database, who: SignedIn, offset: Offset = 0, limit: Limit = 50
) -> shapes.Listing[shapes.StudyShape]:
    """Searches for hyperparameters."""
    found = studies.listed(db, who.user, offset=offset, limit=limit)
    return shapes.listing(found, shapes.study)  # type: ignore[return-value]


@router.post("/studies", status_code=201, tags=["studies"])
def start_study(given: StudyRequest, db: Database, who: Trainer) -> shapes.StudyShape:
    """Start a search."""
    return shapes.StudyShape.model_validate(shapes.study(studies.start(db, who.user, given)))


class TrialShape(BaseModel):
    number: int
    session_id: str
    state: str
    params: dict[str, Any]
    value: float | None
    message: str


class StudyDetail(shapes.StudyShape):
    """A search with its trainings."""

    request: dict[str, Any]
    results: list[TrialShape]


@router.get("/studies/{id}", tags=["studies"])
def find_study(id: str, db: Database, who: SignedIn) -> StudyDetail:
    """A search with its trainings."""
    row = studies.find(db, who.user, id)
    results = [vars(trial) for trial in studies.trials(db, who.user, id)]
    return StudyDetail.model_validate(shapes.study(row) | {"request": row.request, "results": results})


@router.post("/studies/{id}/stop", tags=["studies"])
def stop_study(id: str, db: Database, who: Trainer) -> shapes.StudyShape:
    """End a search and its trainings."""
    return shapes.StudyShape.model_validate(shapes.study(studies.stop(db, who.user, id)))


@router.post("/studies/{id}/resume", tags=["studies"])
def resume_study(id: str, db: Database, who: Trainer) -> shapes.StudyShape:
    """Go on with a search."""
    return shapes.StudyShape.model_validate(shapes.study(studies.resume(db, who.user, id)))


@router.get("/alerts", tags=["alerts"])
def list_alerts(
    db: Database, who: SignedIn, open_only: bool = True, session: Text = None, offset: Offset = 0, limit: Limit = 50
) -> shapes.Listing[shapes.AlertShape]:
    """One's alerts, the newest first."""
    found = alerts.listed(db, who.user, open_only=open_only, session_id=session, offset=offset, limit=limit)
    return shapes.listing(found, shapes.alert)  # type: ignore[return-value]


@router.post("/alerts/{id}/acknowledge", tags=["alerts"])
def acknowledge(id: str, db: Database, who: SignedIn) -> shapes.AlertShape:
    """Somebody has seen it."""
    return shapes.AlertShape.model_validate(shapes.alert(alerts.acknowledge(db, who.user, id)))


class MachineShape(BaseModel):
    cpu: float
    cores: int
    memory_mb: int
    memory_total_mb: int
    disk_free_mb: int


@router.get("/machine", tags=["machine"])
def figures(request: Request, who: SignedIn) -> MachineShape:
    """How busy the machine is."""
    return MachineShape.model_validate(machine.figures(request.app.state.settings))
