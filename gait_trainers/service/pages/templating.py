"""From a template to an answer: one environment, and what every page needs besides its own."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jinja2
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse
from markupsafe import Markup

from gait_trainers.service.errors import ServiceError
from gait_trainers.service.pages import fields, formats
from gait_trainers.service.security.access import Principal
from gait_trainers.service.security.secrets import LEAST

LINKS = (  # title, address, the least role that sees it
    ("Sessions", "/sessions", "viewer"),
    ("Train", "/train", "trainer"),
    ("Motions", "/motions", "viewer"),
    ("Registry", "/registry", "viewer"),
    ("Search", "/search", "viewer"),
    ("Alerts", "/alerts", "viewer"),
    ("Account", "/account", "viewer"),
    ("Users", "/users", "administrator"),
    ("Audit log", "/audit", "administrator"),
)
# What a page may say after a form was sent; its address names one of them, so that no text travels in an address.
NOTICES = {
    "accepted": "The motion is accepted and can be trained on.",
    "rejected": "The motion is rejected; trainings no longer offer it.",
    "saved": "Saved.",
    "uploaded": "Uploaded. The import begins as soon as a worker is free.",
    "deleted": "Deleted.",
    "started": "Queued. It starts as soon as there is room for it.",
    "pausing": "Pausing: the training ends its process; a resumption goes back to its last checkpoint.",
    "stopping": "Stopping: the training ends its process; its last checkpoint stays.",
    "resumed": "Queued again; it continues from its last checkpoint, bit for bit.",
    "shared": "Sharing is saved.",
    "film": "A film of the latest policy is being made.",
    "validate": "The policy is exported and validated once more.",
    "view": "The latest policy is made ready for the view in 3D.",
    "published": "Published to the registry.",
    "promoted": "Promoted.",
    "rolled-back": "Rolled back to the version before.",
    "restored": "Restored.",
    "acknowledged": "Acknowledged.",
    "password": "The password is changed.",
    "revoked": "The token is revoked; scripts that use it are refused from now on.",
    "created": "Created.",
}


@dataclass(frozen=True)
class Notice:
    """A sentence at the top of a page."""

    text: str
    kind: str = "good"  # or bad, warn: the colour


@functools.cache
def environment() -> jinja2.Environment:
    """Escapes everything, and takes a name that is not there for an error."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("gait_trainers.service.pages"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("duration", "size", "moment", "figure", "words"):
        found.filters[name] = getattr(formats, name)
    found.filters["badge"] = badge
    found.globals["least_password"] = LEAST
    found.filters["label"] = fields.label
    found.filters["allowed"] = fields.allowed
    return found


def badge(state: str) -> str:
    """The colour of a state of sessions, motions, studies and jobs."""
    colours = {
        "good": ("completed", "accepted", "ended", "ready"),
        "live": ("running", "finishing", "pausing", "stopping", "converting"),
        "bad": ("failed", "rejected"),
        "warn": ("paused", "stopped"),
    }
    return next((colour for colour, states in colours.items() if state in states), "")


def render(
    request: Request,
    who: Principal,
    template: str,
    values: Mapping[str, Any],
    *,
    error: ServiceError | None = None,
    alerts: int = 0,
) -> HTMLResponse:
    """A page of somebody who is logged in; `error` (a ServiceError) sets the status and stands beside its field."""
    at = "/" + request.url.path.strip("/").split("/")[0]
    links = [
        {"title": title, "href": href, "here": href == at, "count": alerts if href == "/alerts" else 0}
        for title, href, role in LINKS
        if who.user.may(role)
    ]
    notices = [Notice(NOTICES[done])] if (done := request.query_params.get("done")) in NOTICES else []
    if error is not None:
        notices = [Notice(sentence(error), "bad")]
    values = _of(who) | {"links": links, "notices": notices} | dict(values)
    return HTMLResponse(
        environment().get_template(template).render(values), status_code=200 if error is None else error.status
    )


def sentence(error: ServiceError) -> str:
    """What was wrong, where it may stand far from its field: "Learning rate: is -1, allowed is 0 to 1." """
    field = (error.field or "").removeprefix("settings.")
    name = fields.LABELS.get(field) or formats.words(field.rpartition(".")[2])
    said = error.message.rstrip(".") + "."
    return f"{name}: {said}" if name else said[:1].upper() + said[1:]


def error_page(status: int, title: str, message: str) -> HTMLResponse:
    """Where there is no page to show: what went wrong, and the way back."""
    page = environment().get_template("error.html").render(title=title, message=message)
    return HTMLResponse(page, status_code=status)


def fragment(who: Principal, template: str, values: Mapping[str, Any]) -> HTMLResponse:
    """A part of a page, which replaces the same part of one that is open."""
    return HTMLResponse(environment().get_template(template).render(_of(who) | dict(values)))


def _of(who: Principal) -> dict[str, Any]:
    """What templates know of who asks."""
    return {
        "user": who.user,
        "may_train": who.user.may("trainer"),
        "csrf": who.csrf,
        "csrf_field": functools.partial(csrf_field, who.csrf),
    }


def csrf_field(csrf: str) -> Markup:
    """The hidden field that every form which changes something has."""
    return Markup('<input type="hidden" name="csrf_token" value="{}">').format(csrf)


def back(address: str, done: str | None = None) -> RedirectResponse:
    """After a form: the browser loads the page at `address`, which says what was done."""
    return RedirectResponse(address + (f"?done={done}" if done else ""), status_code=303)
