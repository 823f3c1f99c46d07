"""Pages of what came out: the results of a session, several side by side, and publication."""

from __future__ import annotations

import re
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.db.tables import ACTIVE, TrainingSession
from gait_trainers.service.errors import ServiceError
from gait_trainers.service.operations import files as operations
from gait_trainers.service.operations import metrics, registry, sessions
from gait_trainers.service.pages import curves, findings
from gait_trainers.service.pages.sessions import first, has_view, links
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import Sent, View, Viewing, text_of

router = APIRouter()
MOST_COMPARED = 6
SETTINGS = "Settings that differ"


@router.get("/sessions/{id}/results")
def results(view: Viewing, id: str) -> Response:
    """Film, evaluation, validation, files."""
    return _page(view, sessions.find(view.db, view.user, id))


@router.post("/sessions/{id}/publish")
def publish(view: Viewing, form: Sent, id: str) -> Response:
    """A new version in the registry."""
    name, notes = text_of(form, "name").strip(), text_of(form, "notes")
    error = view.attempt(lambda: registry.publish(view.db, view.user, id, name, view.settings, notes=notes))
    if error is None:
        return back(f"/registry/{name}", "published")
    return _page(view, sessions.find(view.db, view.user, id), error, {"name": name, "notes": notes})


@router.get("/compare")
def compare(view: Viewing, id: Annotated[list[str], Query(default_factory=list)]) -> Response:
    """Sessions side by side."""
    found = [sessions.find(view.db, view.user, one) for one in dict.fromkeys(id[:MOST_COMPARED])]
    names = {name for session in found for name in metrics.names(view.db, view.user, session.id)}
    films = [(session, film) for session in found if (film := first(links(view, session), "video/"))]
    validations = [findings.flat(session.validation or {}) for session in found]
    rows = {
        "Evaluation": findings.side_by_side([findings.flat(session.evaluation or {}) for session in found]),
        "Validation": findings.side_by_side(
            [{key: figures[key] for key in findings.COMPARED if key in figures} for figures in validations]
        ),
        SETTINGS: findings.differing(findings.side_by_side([findings.flat(session.config) for session in found])),
    }
    return view.page(
        "compare.html",
        sessions=found,
        pairs=[(session.id, session.name) for session in found],
        films=films,
        panels=curves.compared(names),
        settings_title=SETTINGS,
        tables=[(title, table) for title, table in rows.items() if table],
    )


def _page(
    view: View, session: TrainingSession, error: ServiceError | None = None, sent: dict[str, str] | None = None
) -> Response:
    files = links(view, session)
    known = algorithm(session.algorithm)
    usual = re.sub(r"[^a-z0-9_-]+", "-", session.name.lower()).strip("-")[:48]
    return view.page(
        "results.html",
        error,
        session=session,
        files=files,
        makes=known.makes,
        evaluates="evaluate" in known.follows,
        model=next((file for file in files if file.key == "model"), None),
        bundle=next((file for file in files if file.key == "bundle"), None),
        film=first(files, "video/"),
        gait=findings.gait(operations.gait(view.db, view.user, session.id, view.settings)),
        trajectories=next((file for file in files if file.key == "trajectories"), None),
        gait_picture=next((file for file in files if file.key == "gait"), None),
        evaluation=findings.evaluation(session.evaluation),
        validation=findings.validation(session.validation),
        owns=view.owns(session.owner_id),
        may_film=known.makes == "policy" and session.iteration > 0 and view.owns(session.owner_id),
        busy=session.state in ACTIVE,
        view=has_view(view, session),
        sent=sent or {"name": usual, "notes": ""},
    )
