"""The audit log: who did what."""

from __future__ import annotations

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from gait_trainers.service.db.later import ADDRESS
from gait_trainers.service.db.tables import Audit, User
from gait_trainers.service.operations.paging import Page, page
from gait_trainers.service.operations.visible import check_role, ordered


def note(db: Session, user: User | None, action: str, subject: str = "", **detail: Any) -> None:
    """Write down that a user did something, in the transaction in which it is done; from where, if a request has."""
    who, address = None if user is None else user.id, str(db.info.get(ADDRESS, ""))[:64]
    db.add(Audit(user_id=who, action=action, subject=subject[:128], detail=detail, address=address))


def listed(db: Session, user: User, *, action: str | None = None, offset: int = 0, limit: int = 50) -> Page[Audit]:
    """What was done, the newest first; for administrators."""
    check_role(user, "administrator")
    query = select(Audit) if action is None else select(Audit).where(Audit.action == action)
    return page(db, ordered(query, Audit), offset, limit)
