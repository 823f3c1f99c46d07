"""Routes of accounts: log-in, users, tokens, the audit log."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from gait_trainers.service.api import shapes
from gait_trainers.service.operations import audit, users
from gait_trainers.service.security import logins
from gait_trainers.service.security.access import Administrator, Database, SignedIn, address_of

router = APIRouter(tags=["accounts"])
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=200)]


class Body(BaseModel):
    """A JSON body; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


class Credentials(Body):
    name: str = Field(max_length=64)
    password: str = Field(max_length=200)


class Me(BaseModel):
    user: shapes.UserShape
    csrf: str


@router.post("/login")
def log_in(request: Request, response: Response, given: Credentials, db: Database) -> Me:
    """Log in; the answer sets a cookie. `csrf` belongs into the header X-CSRF-Token of what changes something."""
    settings = request.app.state.settings
    cookie, login = logins.log_in(db, given.name, given.password, address_of(request), settings.login_hours)
    logins.set_cookie(response, cookie, settings)
    return Me.model_validate({"user": shapes.user(login.user), "csrf": login.csrf})


@router.post("/logout", status_code=204)
def log_out(request: Request, response: Response, db: Database, who: SignedIn) -> None:
    """Log out."""
    logins.log_out(db, who.login_id)
    logins.clear_cookie(response, request.app.state.settings)


@router.get("/me")
def me(who: SignedIn) -> Me:
    """Who asks."""
    return Me.model_validate({"user": shapes.user(who.user), "csrf": who.csrf})


class NewPassword(Body):
    old: str = Field(max_length=200)
    new: str = Field(max_length=200)


@router.post("/password", status_code=204)
def change_password(given: NewPassword, db: Database, who: SignedIn) -> None:
    """Change one's own password; every other log-in ends."""
    users.change_password(db, who.user, given.old, given.new, but=who.login_id)


class UsageShape(BaseModel):
    sessions: int
    hours: float
    disk_mb: float
    most_sessions: int
    most_hours: float
    most_disk_mb: int


@router.get("/usage")
def usage(request: Request, db: Database, who: SignedIn) -> UsageShape:
    """What one uses, beside what one may use."""
    return UsageShape.model_validate(vars(users.usage(db, who.user, request.app.state.settings.quota)))


@router.get("/tokens")
def list_tokens(db: Database, who: SignedIn) -> list[shapes.TokenShape]:
    """One's own tokens."""
    return [shapes.TokenShape.model_validate(shapes.token(row)) for row in users.tokens(db, who.user)]


class NewToken(Body):
    name: str = Field(min_length=1, max_length=100)
    days: float | None = Field(default=90, gt=0, le=users.LONGEST, allow_inf_nan=False)


class ShownToken(shapes.TokenShape):
    """A token, with its text, which is shown this once."""

    token: str


@router.post("/tokens", status_code=201)
def create_token(given: NewToken, db: Database, who: SignedIn) -> ShownToken:
    """A new token for scripts, to be sent as `Authorization: Bearer …`."""
    text, row = users.create_token(db, who.user, given.name, given.days)
    return ShownToken.model_validate(shapes.token(row) | {"token": text})


@router.delete("/tokens/{id}", status_code=204)
def revoke_token(id: str, db: Database, who: SignedIn) -> None:
    """End a token."""
    users.revoke_token(db, who.user, id)


@router.get("/users")
def list_users(
    db: Database, who: Administrator, offset: Offset = 0, limit: Limit = 50
) -> shapes.Listing[shapes.UserShape]:
    """All users."""
    return shapes.listing(users.listed(db, who.user, offset=offset, limit=limit), shapes.user)  # type: ignore[return-value]


class NewUser(Body):
    name: str = Field(max_length=64)
    password: str = Field(max_length=200)
    role: str = Field(default="trainer", max_length=16)


@router.post("/users", status_code=201)
def create_user(given: NewUser, db: Database, who: Administrator) -> shapes.UserShape:
    """A new user."""
    return users.create(db, who.user, given.name, given.password, given.role)  # type: ignore[return-value]


class UserChange(Body):
    role: str | None = Field(default=None, max_length=16)
    active: bool | None = None
    email: str | None = Field(default=None, max_length=254)
    quota_sessions: int | None = Field(default=None, ge=0, le=10**6)
    quota_hours: float | None = Field(default=None, ge=0, le=10**6)
    quota_disk_mb: int | None = Field(default=None, ge=0, le=10**9)


@router.patch("/users/{id}")
def edit_user(id: str, given: UserChange, db: Database, who: Administrator) -> shapes.UserShape:
    """Change what is given; null takes a quota or an address away."""
    changes: dict[str, Any] = given.model_dump(exclude_unset=True)
    changes = {key: value for key, value in changes.items() if value is not None or key not in ("role", "active")}
    return users.edit(db, who.user, id, **changes)  # type: ignore[return-value]


class AuditShape(BaseModel):
    id: str
    created_at: shapes.Time
    user_id: str | None
    action: str
    subject: str
    detail: dict[str, Any]
    address: str


@router.get("/audit")
def list_audit(db: Database, who: Administrator, offset: Offset = 0, limit: Limit = 50) -> shapes.Listing[AuditShape]:
    """Who did what, the newest first."""
    return shapes.listing(audit.listed(db, who.user, offset=offset, limit=limit), vars)  # type: ignore[return-value]
