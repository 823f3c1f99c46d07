"""Logging in and out, and the page of one's own account: quota, password, tokens."""

from __future__ import annotations

import dataclasses
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gait_trainers.service.errors import Invalid, ServiceError
from gait_trainers.service.operations import quotas, users
from gait_trainers.service.pages.templating import Notice, back, environment
from gait_trainers.service.pages.view import Sent, View, Viewing, text_of
from gait_trainers.service.security import logins
from gait_trainers.service.security.access import Database, Visitor, address_of

router = APIRouter()


@router.get("/login")
def ask(who: Visitor, next: str = "/") -> Response:
    """The form. It has no CSRF token, as nobody is logged in yet: the gate refuses forms of other sites."""
    return RedirectResponse(local(next), status_code=303) if who is not None else _form(next)


@router.post("/login")
def log_in(request: Request, db: Database, form: Sent) -> Response:
    """Check the password, and hand out the cookie."""
    name, target = text_of(form, "name"), text_of(form, "next", "/")
    try:
        hours = request.app.state.settings.login_hours
        cookie, _ = logins.log_in(db, name, text_of(form, "password"), address_of(request), hours)
    except ServiceError as error:
        return _form(target, name, error)
    answer = RedirectResponse(local(target), status_code=303)
    logins.set_cookie(answer, cookie, request.app.state.settings)
    return answer


@router.post("/logout")
def log_out(view: Viewing) -> Response:
    """Forget the cookie, here and in the browser."""
    logins.log_out(view.db, view.who.login_id)
    answer = RedirectResponse("/login", status_code=303)
    logins.clear_cookie(answer, view.settings)
    return answer


@router.get("/account")
def account(view: Viewing) -> Response:
    """Who one is, and what one may use."""
    return _page(view)


@router.post("/account/password")
def change_password(view: Viewing, form: Sent) -> Response:
    """Another password; every other log-in ends."""
    old, new = text_of(form, "old"), text_of(form, "new")
    error = view.attempt(lambda: users.change_password(view.db, view.user, old, new, but=view.who.login_id))
    return back("/account", "password") if error is None else _page(view, error)


@router.post("/account/tokens")
def create_token(view: Viewing, form: Sent) -> Response:
    """A token for scripts, shown on this answer alone."""
    made: list[str] = []

    def work() -> None:
        days = text_of(form, "days", "90")
        if not days.isdigit() or len(days) > 5:
            raise Invalid("expected a whole number of days", "days")
        made.append(users.create_token(view.db, view.user, text_of(form, "name"), days=int(days))[0])

    error = view.attempt(work)
    return _page(view, error, made[0] if made else None)


@router.post("/account/tokens/{id}/revoke")
def revoke(view: Viewing, id: str) -> Response:
    """Refuse a token from now on."""
    error = view.attempt(lambda: users.revoke_token(view.db, view.user, id))
    return back("/account", "revoked") if error is None else _page(view, error)


def _page(view: View, error: ServiceError | None = None, token: str | None = None) -> Response:
    used = dataclasses.asdict(quotas.usage(view.db, view.user, view.settings.quota))
    usage: dict[str, Any] = {
        key: f"{used[key]:.4g} of {used[f'most_{key}']:g}" for key in ("sessions", "hours", "disk_mb")
    }
    return view.page("account.html", error, usage=usage, tokens=users.tokens(view.db, view.user), fresh_token=token)


def local(target: str) -> str:
    """A path of this service; anything else, such as another site's address, is the start page."""
    parts = urlsplit(target)
    plain = target.startswith("/") and not target.startswith(("//", "/\\")) and "\\" not in target
    if not plain or parts.scheme or parts.netloc or not target.isprintable():
        return "/"
    return target


def _form(target: str, name: str = "", error: ServiceError | None = None) -> HTMLResponse:
    values: dict[str, Any] = {
        "next": local(target),
        "name": name,
        "notices": [] if error is None else [Notice(error.message, "bad")],
    }
    page = environment().get_template("login.html").render(values)
    return HTMLResponse(page, status_code=200 if error is None else error.status)
