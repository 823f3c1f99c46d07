"""Who sees what: one's own, what is shared, and for administrators everything."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, or_, select, true
from sqlalchemy.orm import Session

from gait_trainers.service.db.base import ALPHABET, ID_LENGTH
from gait_trainers.service.db.tables import Model, Motion, Share, Study, TrainingSession, User
from gait_trainers.service.errors import Forbidden, NotFound


def is_id(text: str) -> bool:
    """Whether a text can be an identifier at all."""
    return len(text) == ID_LENGTH and all(c in ALPHABET for c in text)


def sessions_of(user: User) -> ColumnElement[bool]:
    """The condition of sessions that a user sees."""
    if user.role == "administrator":
        return true()
    theirs = select(Share.session_id).where(Share.user_id == user.id)
    return or_(TrainingSession.owner_id == user.id, TrainingSession.shared, TrainingSession.id.in_(theirs))


def shared_or_own(user: User, table: type[Motion] | type[Model]) -> ColumnElement[bool]:
    """The condition of motions or models that a user sees."""
    return true() if user.role == "administrator" else or_(table.owner_id == user.id, table.shared)


def sees_motion(user: User, motion: Motion) -> bool:
    """Whether a user sees a motion."""
    return user.role == "administrator" or motion.owner_id == user.id or motion.shared


def find_session(db: Session, user: User, id: str) -> TrainingSession:
    """A session that the user sees; NotFound otherwise."""
    query = select(TrainingSession).where(TrainingSession.id == id, sessions_of(user))
    found = db.scalar(query) if is_id(id) else None
    if found is None:
        raise NotFound("there is no such session")
    return found


def own_session(db: Session, user: User, id: str) -> TrainingSession:
    """A session that the user may change: the owner's or, for administrators, anybody's. On PostgreSQL it is as the
    latest change has left it, and nobody else changes it before this transaction ends."""
    found = find_session(db, user, id)
    check_changes(user, found.owner_id, "session")
    if db.get_bind().dialect.name != "sqlite":  # whose writers wait for each other in any case
        db.refresh(found, with_for_update={"of": TrainingSession})
    return found


def find_motion(db: Session, user: User, id: str, *, to_change: bool = False) -> Motion:
    """A motion that the user sees, or may change."""
    found = db.get(Motion, id) if is_id(id) else None
    if found is None or not sees_motion(user, found):
        raise NotFound("there is no such motion")
    if to_change:
        check_changes(user, found.owner_id, "motion")
    return found


def studies_of(user: User) -> ColumnElement[bool]:
    """The condition of studies that a user sees: one's own, and for administrators all."""
    return true() if user.role == "administrator" else Study.owner_id == user.id


def find_study(db: Session, user: User, id: str, *, to_change: bool = False) -> Study:
    """A study that the user sees."""
    found = db.scalar(select(Study).where(Study.id == id, studies_of(user))) if is_id(id) else None
    if found is None:
        raise NotFound("there is no such study")
    if to_change:
        check_changes(user, found.owner_id, "study")
    return found


def check_changes(user: User, owner_id: str, what: str) -> None:
    """Forbidden unless the user may change what belongs to the owner."""
    check_role(user, "trainer")
    if user.id != owner_id and user.role != "administrator":
        raise Forbidden(f"this {what} is another user's, who has shared it to be seen")


def check_role(user: User, role: str) -> None:
    """Forbidden unless the user has at least this role."""
    if not user.may(role):
        raise Forbidden(f"this needs the role {role}; yours is {user.role}")


def ordered(query: Any, table: Any) -> Any:
    """The newest first, in an order that pages of a list agree on."""
    return query.order_by(table.created_at.desc(), table.id)
