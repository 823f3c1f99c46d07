"""What somebody should look at: raised once a session and kind, listed, acknowledged."""

from __future__ import annotations

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import Alert, TrainingSession, User, now
from gait_trainers.service.errors import NotFound
from gait_trainers.service.operations import audit
from gait_trainers.service.operations.paging import Page, page
from gait_trainers.service.operations.visible import is_id, ordered


def raise_alert(db: Session, session: TrainingSession, kind: str, message: str) -> Alert | None:
    """An alert about a session; None where this kind has been raised for it before."""
    known = db.scalar(select(Alert.id).where(Alert.session_id == session.id, Alert.kind == kind[:64]))
    if known is not None:
        return None
    alert = Alert(session_id=session.id, owner_id=session.owner_id, kind=kind[:64], message=message[:2000])
    db.add(alert)
    db.flush()
    return alert


def listed(
    db: Session,
    user: User,
    *,
    open_only: bool = True,
    session_id: str | None = None,
    offset: int = 0,
    limit: int = 50,
) -> Page[Alert]:
    """One's own alerts, the newest first; administrators also see those of the machine."""
    mine = Alert.owner_id == user.id
    if user.role == "administrator":
        mine = or_(mine, Alert.session_id.is_(None))
    query = select(Alert).where(mine)
    if open_only:
        query = query.where(Alert.acknowledged_at.is_(None))
    if session_id is not None:
        query = query.where(Alert.session_id == session_id)
    return page(db, ordered(query, Alert), offset, limit)


def acknowledge(db: Session, user: User, id: str) -> Alert:
    """Somebody has seen it."""
    alert = db.get(Alert, id) if is_id(id) else None
    if alert is None or (alert.owner_id != user.id and user.role != "administrator"):
        raise NotFound("there is no such alert")
    if alert.acknowledged_at is None:
        alert.acknowledged_at, alert.acknowledged_by = now(), user.id
        audit.note(db, user, "alert.acknowledge", id)
        db.flush()
    return alert
