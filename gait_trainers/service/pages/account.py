"""The page of one's own account: quota, password, tokens."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from gait_trainers.service.errors import Invalid, ServiceError
from gait_trainers.service.operations import quotas, users
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import Sent, View, Viewing, text_of

router = APIRouter()


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
