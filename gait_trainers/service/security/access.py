"""Who asks: dependencies of every route that is not public."""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from sqlalchemy import select, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session
from starlette.requests import Request

from gait_trainers.service.db.engine import begin_writing, transaction
from gait_trainers.service.db.later import ADDRESS, run_afterwards
from gait_trainers.service.db.tables import Login, Token, User, now
from gait_trainers.service.errors import Forbidden, Unauthenticated
from gait_trainers.service.security.logins import cookie_name
from gait_trainers.service.security.secrets import hash_key, same

SAFE = ("GET", "HEAD", "OPTIONS")
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
MOST_FILES, MOST_FIELDS = 20, 500  # of a form
NOTE_USE = datetime.timedelta(minutes=10)  # between two notes of when a token was used


@dataclass(frozen=True)
class Principal:
    """Who asks, and how they have shown it."""

    user: User
    address: str
    csrf: str  # to be sent back with every form; empty for a token
    login_id: str | None

    @property
    def by_token(self) -> bool:
        """Whether a script asks, with a token."""
        return self.login_id is None


async def given_csrf(request: Request) -> AsyncIterator[str]:
    """The CSRF token that came with a request: in a header, or in a form, whose files are closed afterwards."""
    header = request.headers.get("x-csrf-token")
    if header is not None or request.method in SAFE:
        yield header or ""
    elif request.headers.get("content-type", "").split(";")[0].strip().lower() in FORMS:
        value = (await request.form(max_files=MOST_FILES, max_fields=MOST_FIELDS)).get("csrf_token")
        try:
            yield value if isinstance(value, str) else ""
        finally:
            await request.close()
    else:
        yield ""


def database(request: Request, _: Annotated[str, Depends(given_csrf)]) -> Iterator[Session]:
    """A session for a request, committed before the answer is sent, if the request succeeded.

    A form has been read by then: whoever sends one slowly keeps nobody else from writing.
    """
    with Session(request.app.state.engine, expire_on_commit=False) as db:
        if request.method not in SAFE:
            begin_writing(db)
        yield db
        db.commit()
        run_afterwards(db, request.app.state.settings)


# Ends before the answer is sent: who reads "created" finds it created.
Database = Annotated[Session, Depends(database, scope="function")]


def visitor(request: Request, db: Database, csrf: Annotated[str, Depends(given_csrf)]) -> Principal | None:
    """Who asks, or None. Forbidden where a cookie comes without its CSRF token on a request that changes something."""
    address = db.info[ADDRESS] = address_of(request)
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    if scheme:
        return _by_token(request, db, key.strip(), address) if scheme.lower() == "bearer" else None
    cookie = request.cookies.get(cookie_name(request.app.state.settings))
    if not cookie:
        return None
    login = db.scalar(select(Login).where(Login.token_hash == hash_key(cookie)))
    if login is None or login.expires_at < now() or not login.user.active:
        return None
    if request.method not in SAFE and not same(login.csrf, csrf):
        raise Forbidden("the CSRF token is missing or wrong; load the page again")
    return Principal(login.user, address, login.csrf, login.id)


def _by_token(request: Request, db: Session, key: str, address: str) -> Principal | None:
    token = db.scalar(select(Token).where(Token.token_hash == hash_key(key), ~Token.revoked))
    if token is None or not token.user.active or (token.expires_at is not None and token.expires_at < now()):
        return None
    if token.last_used is None or now() - token.last_used > NOTE_USE:
        _note_use(request, token)
    return Principal(token.user, address, "", None)


def _note_use(request: Request, token: Token) -> None:
    """When a token was last used; a request that only reads must not fail because somebody else is writing."""
    if request.method not in SAFE:
        token.last_used = now()
        return
    with suppress(OperationalError), transaction(request.app.state.engine) as other:
        other.execute(update(Token).where(Token.id == token.id).values(last_used=now()))


def address_of(request: Request) -> str:
    """Where a request comes from."""
    return request.client.host if request.client else ""


def signed_in(who: Annotated[Principal | None, Depends(visitor)]) -> Principal:
    """Who asks; Unauthenticated for nobody."""
    if who is None:
        raise Unauthenticated("log in, or send a token")
    return who


def require(role: str) -> Callable[[Principal], Principal]:
    """A dependency: who asks, of at least this role."""

    def at_least(who: Annotated[Principal, Depends(signed_in)]) -> Principal:
        if not who.user.may(role):
            raise Forbidden(f"this needs the role {role}; yours is {who.user.role}")
        return who

    return at_least


Visitor = Annotated[Principal | None, Depends(visitor)]
SignedIn = Annotated[Principal, Depends(signed_in)]
Trainer = Annotated[Principal, Depends(require("trainer"))]
Administrator = Annotated[Principal, Depends(require("administrator"))]
