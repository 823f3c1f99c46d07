"""Pages of administrators: users and their quotas, and the audit log."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from sqlalchemy import select
from starlette.datastructures import FormData

from gait_trainers.service.db.accounts import ROLES
from gait_trainers.service.db.tables import User
from gait_trainers.service.errors import Invalid, ServiceError
from gait_trainers.service.operations import audit, users
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import AdministratorViewing, Sent, View, text_of

router = APIRouter()
LARGEST = 1_000_000_000
QUOTAS = {"quota_sessions": int, "quota_hours": float, "quota_disk_mb": int}


@router.get("/users")
def listed(view: AdministratorViewing, offset: int = 0) -> Response:
    """Everybody, and the form for somebody else."""
    return _page(view, offset=offset)


@router.post("/users")
def create(view: AdministratorViewing, form: Sent) -> Response:
    """Another user."""
    name, password, role = (text_of(form, key) for key in ("name", "password", "role"))
    error = view.attempt(lambda: users.create(view.db, view.user, name, password, role))
    return back("/users", "created") if error is None else _page(view, error, form)


@router.post("/users/{id}")
def edit(view: AdministratorViewing, form: Sent, id: str) -> Response:
    """Role, quotas, and whether the user may log in."""

    def work() -> None:
        quotas = {name: _number(form, name, kind) for name, kind in QUOTAS.items()}
        users.edit(view.db, view.user, id, role=text_of(form, "role"), active="active" in form, **quotas)

    error = view.attempt(work)
    return back("/users", "saved") if error is None else _page(view, error, wrong_id=id)


@router.get("/audit")
def log(view: AdministratorViewing, offset: int = 0) -> Response:
    """Who did what."""
    page = audit.listed(view.db, view.user, offset=max(offset, 0), limit=100)
    ids = {entry.user_id for entry in page.items if entry.user_id}
    names = {user.id: user.name for user in view.db.scalars(select(User).where(User.id.in_(ids)))}
    return view.page("audit.html", page=page, names=names)


def _number(form: FormData, name: str, kind: Any) -> Any:
    """A quota; None for an empty field."""
    text = text_of(form, name).strip()
    if not text:
        return None
    try:
        number = kind(text)
    except ValueError:
        number = -1
    if not 0 <= number <= LARGEST:
        raise Invalid(f"expected a number from 0 to {LARGEST:,}, or nothing", name)
    return number


def _page(
    view: View, error: ServiceError | None = None, form: FormData | None = None, wrong_id: str = "", offset: int = 0
) -> Response:
    sent = {name: "" if form is None else text_of(form, name) for name in ("name", "role")}
    return view.page(
        "users.html",
        error,
        page=users.listed(view.db, view.user, offset=max(offset, 0), limit=50),
        roles=list(ROLES),
        sent=sent,
        wrong_id=wrong_id,
    )
