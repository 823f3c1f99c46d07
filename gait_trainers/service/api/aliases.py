"""The routes of the design document, under the same log-in: what /api/v1 does, under other names."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from gait_trainers.service.api import sessions, shapes
from gait_trainers.service.operations import metrics
from gait_trainers.service.operations.configure import StartRequest
from gait_trainers.service.security.access import Database, SignedIn, Trainer

router = APIRouter(prefix="/training", tags=["aliases"])


@router.post("/start", status_code=201)
def start(
    request: Request, given: StartRequest, db: Database, who: Trainer, key: sessions.Key = None
) -> shapes.SessionDetail:
    """As POST /api/v1/sessions."""
    return sessions.start(request, given, db, who, key)


@router.get("/status/{id}")
def status(id: str, db: Database, who: SignedIn) -> shapes.SessionDetail:
    """As GET /api/v1/sessions/{id}; the id is the training's."""
    return sessions.find(id, db, who)


@router.get("/metrics/{id}")
def curves(
    id: str, db: Database, who: SignedIn, points: Annotated[int, Query(ge=1, le=metrics.MOST_POINTS)] = 500
) -> dict[str, shapes.CurveShape]:
    """As GET /api/v1/sessions/{id}/metrics."""
    found: dict[str, Any] = sessions.curves(id, db, who, None, points, 0)
    return found
