"""Accounts: users, their passwords, quotas and tokens."""

from __future__ import annotations

import datetime
import re

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import ROLES, Token, User, now
from gait_trainers.service.errors import Conflict, Invalid, NotFound
from gait_trainers.service.operations import audit, quotas
from gait_trainers.service.operations.paging import Page, page
from gait_trainers.service.operations.visible import check_role, is_id, ordered
from gait_trainers.service.security.logins import log_out_everywhere
from gait_trainers.service.security.secrets import hash_key, hash_password, is_password, new_key
from gait_trainers.service.settings import Quota

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
PREFIX = "gn_"  # of every token
MOST_TOKENS, LONGEST = 50, 3650  # tokens a user, days
EDITABLE = ("role", "active", "email", "quota_sessions", "quota_hours", "quota_disk_mb")


def create(db: Session, user: User | None, name: str, password: str, role: str = "trainer") -> User:
    """A new user; `user` is an administrator, or None for the command line."""
    if user is not None:
        check_role(user, "administrator")
    if not NAME.fullmatch(name):
        raise Invalid("a name has 1 to 64 letters, digits, dots, dashes and underscores", "name")
    if role not in ROLES:
        raise Invalid(f"roles are {', '.join(ROLES)}", "role")
    if db.scalar(select(User.id).where(func.lower(User.name) == name.lower())) is not None:
        raise Conflict("the name is taken", "name")
    made = User(name=name, password_hash=hash_password(password), role=role)
    db.add(made)
    db.flush()
    audit.note(db, user, "user.create", made.id, name=name, role=role)
    return made


def listed(db: Session, user: User, *, offset: int = 0, limit: int = 50) -> Page[User]:
    """All users; for administrators."""
    check_role(user, "administrator")
    return page(db, ordered(select(User), User), offset, limit)


def edit(db: Session, user: User | None, id: str, **changes: object) -> User:
    """Change role, state, address or quotas of a user; `user` as in `create`. The last administrator stays one."""
    if user is not None:
        check_role(user, "administrator")
    found = db.get(User, id) if is_id(id) else None
    if found is None:
        raise NotFound("there is no such user")
    for key, value in changes.items():
        if key not in EDITABLE:
            raise Invalid(f"{', '.join(EDITABLE)} can be changed", key)
        if key == "role" and value not in ROLES:
            raise Invalid(f"roles are {', '.join(ROLES)}", "role")
        if key == "email" and value is not None:
            check_email(str(value))
        setattr(found, key, value)
    others = select(func.count()).select_from(User).where(User.role == "administrator", User.active)
    db.flush()
    if not db.scalar(others):
        raise Conflict("somebody has to stay administrator", "role")
    if not found.active:
        log_out_everywhere(db, found)
    audit.note(db, user, "user.edit", id, **{key: str(value) for key, value in changes.items()})
    return found


def check_email(text: str) -> None:
    """Invalid unless it looks like an address of mail; nothing in it can begin another header."""
    if not re.fullmatch(r"[^@\s]{1,64}@[A-Za-z0-9.-]{1,180}", text):
        raise Invalid("expected an address such as name@example.org", "email")


def change_password(db: Session, user: User, old: str, new: str, *, but: str | None = None) -> None:
    """A new password for oneself; every log-in ends, except `but`."""
    if not is_password(user.password_hash, old):
        raise Invalid("this is not the password", "old")
    set_password(db, user, new, but=but)
    audit.note(db, user, "user.password", user.id)


def set_password(db: Session, user: User, new: str, *, but: str | None = None) -> None:
    """A new password, without asking for the old one."""
    user.password_hash = hash_password(new)
    log_out_everywhere(db, user, but=but)
    db.flush()


def create_token(db: Session, user: User, name: str, days: float | None = 90) -> tuple[str, Token]:
    """The token's text, which is shown this once, and its row."""
    name = name.strip()
    if not 1 <= len(name) <= 100 or not name.isprintable():
        raise Invalid("a name has 1 to 100 printable characters", "name")
    if days is not None and not 0 < days <= LONGEST:
        raise Invalid(f"days is more than 0, at most {LONGEST}", "days")
    lasting = or_(Token.expires_at.is_(None), Token.expires_at > now())
    mine = select(func.count()).select_from(Token).where(Token.user_id == user.id, ~Token.revoked, lasting)
    if (db.scalar(mine) or 0) >= MOST_TOKENS:
        raise Conflict(f"there are {MOST_TOKENS} tokens already; revoke one")
    text = PREFIX + new_key()
    ends = None if days is None else now() + datetime.timedelta(days=days)
    token = Token(user=user, name=name, token_hash=hash_key(text), prefix=text[:9], expires_at=ends)
    db.add(token)
    db.flush()
    audit.note(db, user, "token.create", token.id, name=name)
    return text, token


def tokens(db: Session, user: User) -> list[Token]:
    """One's own, those revoked left out."""
    query = select(Token).where(Token.user_id == user.id, ~Token.revoked)
    return list(db.scalars(ordered(query, Token)))


def revoke_token(db: Session, user: User, id: str) -> None:
    """End a token of one's own."""
    token = db.get(Token, id) if is_id(id) else None
    if token is None or token.user_id != user.id:
        raise NotFound("there is no such token")
    token.revoked = True
    audit.note(db, user, "token.revoke", id)
    db.flush()


def usage(db: Session, user: User, quota: Quota) -> quotas.Usage:
    """What one uses, beside what one may use."""
    return quotas.usage(db, user, quota)
