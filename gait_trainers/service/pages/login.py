"""Logging in and out by a browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from gait_trainers.service.errors import ServiceError
from gait_trainers.service.pages.templating import Notice, environment
from gait_trainers.service.pages.view import Sent, Viewing, text_of
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
        cookie, _ = logins.log_in(db, name, text_of(form, "password"), address_of(request))
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
