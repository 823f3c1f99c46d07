"""What a route of a page works with: who asks, the database, and the way to an answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from gait_trainers.service.db.tables import User
from gait_trainers.service.errors import ServiceError
from gait_trainers.service.operations import alerts
from gait_trainers.service.operations.visible import check_role
from gait_trainers.service.pages.templating import fragment, render
from gait_trainers.service.security.access import MOST_FIELDS, MOST_FILES, Database, Principal, SignedIn
from gait_trainers.service.settings import Settings


@dataclass(frozen=True)
class View:
    """A request of somebody who is logged in."""

    request: Request
    db: Session
    who: Principal

    @property
    def user(self) -> User:
        """Who asks."""
        return self.who.user

    @property
    def settings(self) -> Settings:
        """Of the service."""
        settings: Settings = self.request.app.state.settings
        return settings

    def owns(self, owner_id: str) -> bool:
        """Whether the user may change what belongs to this owner."""
        return self.user.may("trainer") and (self.user.id == owner_id or self.user.role == "administrator")

    def page(self, template: str, error: ServiceError | None = None, **values: Any) -> HTMLResponse:
        """A whole page; with an error, that of a form which is shown again."""
        errors = {error.field: error.message} if error is not None and error.field else {}
        waiting = alerts.listed(self.db, self.user, limit=1).total
        return render(self.request, self.who, template, {"errors": errors} | values, error=error, alerts=waiting)

    def part(self, template: str, **values: Any) -> HTMLResponse:
        """A part of a page that is open."""
        return fragment(self.who, template, values)

    def attempt(self, work: Callable[[], Any]) -> ServiceError | None:
        """Do what a form asks for; what was wrong, for the form to say. Then nothing of it has been done.

        NotFound and Forbidden concern no field: they become a page of their own.
        """
        try:
            work()
        except ServiceError as error:
            if error.status in (401, 403, 404):
                raise
            self.db.rollback()
            return error
        return None


async def sent(request: Request) -> FormData:
    """The fields of a form, and its files; the first reading of a form decides how many it may have (`given_csrf`)."""
    return await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS)


Sent = Annotated[FormData, Depends(sent)]


def text_of(form: FormData, name: str, default: str = "") -> str:
    """A field that is no file."""
    value = form.get(name, default)
    return value if isinstance(value, str) else default


def viewing(role: str) -> Callable[..., View]:
    """A dependency: the view of somebody of at least this role."""

    def view(request: Request, db: Database, who: SignedIn) -> View:
        check_role(who.user, role)
        return View(request, db, who)

    return view


Viewing = Annotated[View, Depends(viewing("viewer"))]
TrainerViewing = Annotated[View, Depends(viewing("trainer"))]
AdministratorViewing = Annotated[View, Depends(viewing("administrator"))]


def comma_list(text: str) -> list[str]:
    """ "walk,  slow" -> ["walk", "slow"]"""
    return [part.strip() for part in text.split(",") if part.strip()]
