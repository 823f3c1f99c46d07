"""Logging in and out: a cookie for a browser, of which the database keeps the hash."""

from __future__ import annotations

import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from gait_trainers.service.db.tables import Audit, Login, LoginAttempt, User, now
from gait_trainers.service.errors import TooMany, Unauthenticated
from gait_trainers.service.security.secrets import NOBODY, hash_key, is_password, new_key
from gait_trainers.service.settings import Settings

WINDOW = datetime.timedelta(minutes=10)
MOST_FAILURES = 10  # of a name, or from an address, in the window


def cookie_name(settings: Settings) -> str:
    """Under HTTPS a name that browsers accept from this very host alone."""
    return "__Host-gaitnet" if settings.https else "gaitnet"


def log_in(db: Session, name: str, password: str, address: str, hours: float) -> tuple[str, Login]:
    """The cookie of a new log-in; Unauthenticated alike for a wrong name and a wrong password, TooMany after too many.

    Commits: a failure must count although the request fails.
    """
    name, address = name[:64], address[:64]
    since = now() - WINDOW
    recent = LoginAttempt.created_at.between(since, now() + WINDOW)  # later ones: the clock was set back
    failures = select(func.count()).select_from(LoginAttempt).where(recent)
    counts = (
        db.scalar(failures.where(one)) or 0 for one in (LoginAttempt.address == address, LoginAttempt.name == name)
    )
    if max(counts) >= MOST_FAILURES:
        raise TooMany("too many failed log-ins; wait ten minutes")
    user = db.scalar(select(User).where(User.name == name, User.active))
    right = is_password(user.password_hash if user else NOBODY, password)
    if user is None or not right:
        db.execute(delete(LoginAttempt).where(LoginAttempt.created_at < since))
        db.add(LoginAttempt(address=address, name=name))
        db.add(Audit(user_id=user.id if user else None, action="login.failed", address=address))
        db.commit()
        raise Unauthenticated("wrong name or password")
    cookie = new_key()
    ends = now() + datetime.timedelta(hours=hours)
    login = Login(user=user, token_hash=hash_key(cookie), csrf=new_key(), expires_at=ends)
    db.execute(delete(Login).where(Login.expires_at < now()))
    db.add_all([login, Audit(user_id=user.id, action="login", address=address)])
    db.flush()
    return cookie, login


def log_out(db: Session, login_id: str | None) -> None:
    """Forget a log-in."""
    if login_id is not None:
        db.execute(delete(Login).where(Login.id == login_id))


def log_out_everywhere(db: Session, user: User, but: str | None = None) -> None:
    """Forget all log-ins of a user, except `but`."""
    db.execute(delete(Login).where(Login.user_id == user.id, Login.id != (but or "")))


def set_cookie(response: Response, cookie: str, settings: Settings) -> None:
    """Hand the cookie to a browser: no script reads it, and no other site sends it along with a form."""
    response.set_cookie(
        cookie_name(settings), cookie, max_age=int(settings.login_hours * 3600), path="/",
        secure=settings.https, httponly=True, samesite="lax",
    )  # fmt: skip


def clear_cookie(response: Response, settings: Settings) -> None:
    """Take the cookie back."""
    response.delete_cookie(cookie_name(settings), path="/", secure=settings.https, httponly=True, samesite="lax")
