"""Routes of what is kept and watched over: alerts."""

from __future__ import annotations

from fastapi import APIRouter

from gait_trainers.service.api import shapes
from gait_trainers.service.api.accounts import Limit, Offset
from gait_trainers.service.api.sessions import Text
from gait_trainers.service.operations import alerts
from gait_trainers.service.security.access import Database, SignedIn

router = APIRouter()


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
