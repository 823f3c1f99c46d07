"""Pages of searches for hyperparameters: begin one, and see what its trials have reached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from gait_trainers.service import dashboard
from gait_trainers.service.algorithms.fields import Field
from gait_trainers.service.db.tables import Study, TrainingSession
from gait_trainers.service.errors import Invalid, ServiceError
from gait_trainers.service.operations import configure, sessions, studies
from gait_trainers.service.operations.configure import StartRequest
from gait_trainers.service.operations.studies import METRICS, StudyRequest
from gait_trainers.service.pages import fields
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import Sent, TrainerViewing, View, Viewing, text_of

router = APIRouter()
ROWS = 4  # settings that the form has room for; the interface takes more
SEARCHED = ("int", "float", "bool", "choice")  # kinds of settings
OVER = ("completed", "failed", "stopped", "pruned")  # states of trials that are done


@router.get("/search")
def listed(view: Viewing, offset: int = 0) -> Response:
    """One's own searches."""
    page = studies.listed(view.db, view.user, offset=max(offset, 0), limit=50)
    return view.page("searches.html", page=page, dashboard=dashboard.installed())


@router.get("/search/new")
def choose(view: TrainerViewing, base: str = "") -> Response:
    """The form, for the settings of the training that is to be varied."""
    return _form(view, sessions.find(view.db, view.user, base) if base else None, {})


@router.post("/search")
def start(view: TrainerViewing, form: Sent) -> Response:
    """Begin a search."""
    base = sessions.find(view.db, view.user, text_of(form, "base"))
    made: list[Study] = []
    error = view.attempt(lambda: made.append(studies.start(view.db, view.user, _asked(base, form))))
    if error is None:
        return back(f"/search/{made[0].id}", "started")
    return _form(view, base, {key: text_of(form, key) for key in form}, error)


@router.get("/search/{id}")
def shown(view: Viewing, id: str) -> Response:
    """A search with its trials."""
    return view.page("search.html", **_values(view, id))


@router.get("/search/{id}/live")
def live(view: Viewing, id: str) -> Response:
    """How far it is, for a page that is open."""
    return view.part("parts/search.html", **_values(view, id))


@router.post("/search/{id}/stop")
def stop(view: Viewing, id: str) -> Response:
    """End it and its trainings."""
    return _act(view, id, lambda: studies.stop(view.db, view.user, id), "stopping")


@router.post("/search/{id}/resume")
def resume(view: Viewing, id: str) -> Response:
    """Go on with it."""
    return _act(view, id, lambda: studies.resume(view.db, view.user, id), "started")


def _act(view: View, id: str, work: Any, done: str) -> Response:
    error = view.attempt(work)
    return back(f"/search/{id}", done) if error is None else view.page("search.html", error, **_values(view, id))


def _values(view: View, id: str) -> dict[str, Any]:
    study = studies.find(view.db, view.user, id)
    trials = studies.trials(view.db, view.user, id)
    request = StudyRequest.model_validate(study.request)
    ordered = sorted(trials, key=lambda trial: -trial.number)
    return {
        "study": study,
        "request": request,
        "trials": ordered,
        "keys": list(request.space),
        "done": sum(trial.state in OVER for trial in trials),
        "best": study.best or {},
        "owns": view.owns(study.owner_id),
        "dashboard": dashboard.installed(),
    }


def _form(
    view: View, base: TrainingSession | None, sent: Mapping[str, str], error: ServiceError | None = None
) -> Response:
    known = [] if base is None else _settings(base)
    return view.page(
        "search_new.html",
        error,
        base=base,
        bases=[(row.id, row.name) for row in sessions.listed(view.db, view.user, limit=100).items],
        settings=[("", "none"), *((field.key, field.key) for field in known)],
        metrics=list(METRICS),
        rows=range(ROWS),
        sent=dict(sent) or _usual(base),
        iterations=sent.get("iterations", "" if base is None else str(base.iterations)),
    )


def _usual(base: TrainingSession | None) -> dict[str, str]:
    """What the form begins with."""
    return {
        "name": "" if base is None else f"Search from {base.name}"[:100],
        "metric": METRICS[0],
        "direction": "maximize",
        "trials": "12",
        "workers": "1",
        "seed": "0",
        "prune": "true",
    }


def _settings(base: TrainingSession) -> list[Field]:
    known = configure.form(base.algorithm, base.preset, base.env_id)
    return [field for field in known if field.kind in SEARCHED]


def _asked(base: TrainingSession, form: FormData) -> StudyRequest:
    """What the form asks for; Invalid names the field at fault."""
    known = {field.key: field for field in _settings(base)}
    space: dict[str, Any] = {}
    for row in range(ROWS):
        if key := text_of(form, f"key{row}"):
            if key not in known:
                raise Invalid("this setting cannot be searched", f"key{row}")
            if key in space:
                raise Invalid("this setting is there twice", f"key{row}")
            space[key] = _dimension(known[key], form, row)
    request = StartRequest.model_validate(base.request)
    if iterations := text_of(form, "iterations").strip():
        request = sessions.parse(StartRequest, request.model_dump() | {"iterations": iterations, "total_steps": None})
    tree = {key: text_of(form, key) for key in ("name", "metric", "direction", "trials", "workers", "seed")}
    found: StudyRequest = sessions.parse(
        StudyRequest, tree | {"base": request.model_dump(), "space": space, "prune": "prune" in form}
    )
    return found


def _dimension(field: Field, form: FormData, row: int) -> dict[str, Any]:
    """The range of a setting: between two numbers, or all of its choices."""
    if field.kind in ("bool", "choice"):
        return {"kind": "choice", "choices": [True, False] if field.kind == "bool" else list(field.choices)}
    ends = {}
    for end in ("low", "high"):
        try:
            ends[end] = fields.read(field, text_of(form, f"{end}{row}"))
        except Invalid as error:
            raise Invalid(error.message, f"{end}{row}") from None
        if ends[end] is None:
            raise Invalid("expected a number", f"{end}{row}")
    return {"kind": field.kind, "log": text_of(form, f"scale{row}") == "factors", **ends}
