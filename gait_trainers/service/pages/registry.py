"""Pages of the registry: models, their versions, and which of them is the champion."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData

from gait_trainers.service.errors import Invalid, ServiceError
from gait_trainers.service.operations import registry
from gait_trainers.service.pages.formats import tables
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import Sent, View, Viewing, text_of

router = APIRouter()


@router.get("/registry")
def listed(view: Viewing, offset: int = 0) -> Response:
    """The models that the user sees."""
    page = registry.listed(view.db, view.user, offset=max(offset, 0), limit=50)
    champions = {model.name: registry.aliases(view.db, view.user, model.name).get("champion") for model in page.items}
    return view.page("registry.html", page=page, champions=champions)


@router.get("/registry/{name}")
def shown(view: Viewing, name: str) -> Response:
    """A model with its versions."""
    return _page(view, name)


@router.post("/registry/{name}/promote")
def promote(view: Viewing, form: Sent, name: str) -> Response:
    """Make a version the champion."""
    return _act(view, name, "promoted", lambda: registry.promote(view.db, view.user, name, _number(form)))


@router.post("/registry/{name}/rollback")
def rollback(view: Viewing, name: str) -> Response:
    """Let the champion be what it was before."""
    return _act(view, name, "rolled-back", lambda: registry.rollback(view.db, view.user, name, "champion"))


@router.post("/registry/{name}/delete")
def delete(view: Viewing, form: Sent, name: str) -> Response:
    """Delete a version; it can be restored for some days."""
    return _act(view, name, "deleted", lambda: registry.delete(view.db, view.user, name, _number(form)))


@router.post("/registry/{name}/restore")
def restore(view: Viewing, form: Sent, name: str) -> Response:
    """Take the deletion back."""
    return _act(view, name, "restored", lambda: registry.restore(view.db, view.user, name, _number(form)))


@router.post("/registry/{name}/edit")
def edit(view: Viewing, form: Sent, name: str) -> Response:
    """Notes, and who sees it."""
    notes, shared = text_of(form, "notes"), "shared" in form
    return _act(view, name, "saved", lambda: registry.edit(view.db, view.user, name, notes=notes, shared=shared))


def _number(form: FormData) -> int:
    text = text_of(form, "number")
    if not text.isdigit() or len(text) > 9:
        raise Invalid("expected the number of a version", "number")
    return int(text)


def _act(view: View, name: str, done: str, work: Any) -> Response:
    error = view.attempt(work)
    return back(f"/registry/{quote(name, safe='')}", done) if error is None else _page(view, name, error)


def _page(view: View, name: str, error: ServiceError | None = None) -> Response:
    versions = registry.versions(view.db, view.user, name)
    model = registry.find_model(view.db, view.user, name)
    return view.page(
        "model.html",
        error,
        model=model,
        versions=sorted(versions, key=lambda version: -version.number),
        aliases=registry.aliases(view.db, view.user, name),
        lineages={version.number: tables(version.lineage) for version in versions},
        owns=view.owns(model.owner_id),
        grace_days=view.settings.grace_days,
    )
