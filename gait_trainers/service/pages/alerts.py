"""The page of alerts."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from gait_trainers.service.errors import ServiceError
from gait_trainers.service.operations import alerts
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import View, Viewing

router = APIRouter()


@router.get("/alerts")
def listed(view: Viewing, all: bool = False, offset: int = 0) -> Response:
    """What somebody should look at."""
    return _page(view, not all, offset)


@router.post("/alerts/{id}/acknowledge")
def acknowledge(view: Viewing, id: str) -> Response:
    """It has been seen."""
    error = view.attempt(lambda: alerts.acknowledge(view.db, view.user, id))
    return back("/alerts", "acknowledged") if error is None else _page(view, True, 0, error)


def _page(view: View, open_only: bool, offset: int, error: ServiceError | None = None) -> Response:
    page = alerts.listed(view.db, view.user, open_only=open_only, offset=max(offset, 0), limit=50)
    return view.page("alerts.html", error, page=page, open_only=open_only)
