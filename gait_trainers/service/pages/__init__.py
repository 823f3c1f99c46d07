"""The service in a browser: routes that answer HTML, templates, and static files.

Pages call the functions of `operations`, as the REST interface does; a form that fails is shown again, with what was
wrong beside its field.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles

from gait_envs.errors import one_line
from gait_trainers.service.api.problems import is_interface
from gait_trainers.service.db.heartbeat import Heartbeat
from gait_trainers.service.errors import ServiceError
from gait_trainers.service.pages import (
    account,
    alerts,
    motions,
    registry,
    results,
    search,
    sessions,
    train,
    users,
)
from gait_trainers.service.pages.templating import error_page

__all__ = ["error_page", "install"]


def install(app: FastAPI, settings: Any) -> None:
    """Add the pages to the application; they find its settings and its database in `app.state`."""
    app.state.heartbeat = Heartbeat()
    for module in (sessions, results, train, motions, registry, search, alerts, account, users):
        app.include_router(module.router, include_in_schema=False)
    _errors_as_pages(app)
    app.mount("/static", StaticFiles(packages=[("gait_trainers.service.pages", "static")]), name="static")


def _errors_as_pages(app: FastAPI) -> None:
    """Outside of the interface an error is a page, and who is not logged in is asked to."""
    for kind in (ServiceError, RequestValidationError, HTTPException, OperationalError):
        app.add_exception_handler(kind, _page_or(app.exception_handlers.get(kind)))


def _page_or(interface: Callable[..., Any] | None) -> Callable[[Request, Any], Response]:
    """A handler that answers a browser by a page, and leaves the rest to that of the interface."""

    def answer(request: Request, error: Any) -> Response:
        if interface is not None and is_interface(request):
            found: Response = interface(request, error)
            return found
        if isinstance(error, OperationalError):
            return error_page(503, "Busy", "The database is busy or cannot be written. Try again in a moment.")
        if isinstance(error, RequestValidationError):
            return error_page(422, "Not understood", "The address has a part that is not allowed.")
        if isinstance(error, HTTPException):
            return error_page(error.status_code, str(error.detail), "There is no page at this address.")
        if error.status == 401:
            target = request.url.path if request.method == "GET" else "/"
            return RedirectResponse(f"/login?{urlencode({'next': target})}", status_code=303)
        return error_page(error.status, error.title, one_line(error.message).capitalize() + ".")

    return answer
