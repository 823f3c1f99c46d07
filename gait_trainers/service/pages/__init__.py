"""The service in a browser: routes that answer HTML, templates, and static files.

Pages call the functions of `operations`, as the REST interface does; a form that fails is shown again, with what was
wrong beside its field.
"""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from gait_trainers.service.pages import (
    account,
    alerts,
    login,
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
    for module in (login, sessions, results, train, motions, registry, search, alerts, account, users):
        app.include_router(module.router, include_in_schema=False)
    app.mount("/static", StaticFiles(packages=[("gait_trainers.service.pages", "static")]), name="static")
