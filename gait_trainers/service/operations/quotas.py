"""How much a user may use, and does."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import ACTIVE, Motion, TrainingSession, User, now
from gait_trainers.service.errors import TooMany
from gait_trainers.service.settings import Quota

MONTH = datetime.timedelta(days=30)


@dataclass(frozen=True)
class Usage:
    """What a user uses, beside what the user may use."""

    sessions: int
    hours: float
    disk_mb: float
    most_sessions: int
    most_hours: float
    most_disk_mb: int


def usage(db: Session, user: User, quota: Quota) -> Usage:
    """Sessions that are active, hours of those that began in the last 30 days and are still there, megabytes."""
    mine = TrainingSession.owner_id == user.id
    active = db.scalar(select(func.count()).select_from(TrainingSession).where(mine, TrainingSession.state.in_(ACTIVE)))
    seconds = db.scalar(
        select(func.sum(TrainingSession.seconds)).where(mine, TrainingSession.created_at > now() - MONTH)
    )
    runs = db.scalar(select(func.sum(TrainingSession.disk_mb)).where(mine))
    motions = db.scalar(select(func.sum(Motion.size)).where(Motion.owner_id == user.id))
    return Usage(
        active or 0,
        (seconds or 0.0) / 3600,
        (runs or 0.0) + (motions or 0) / 1e6,
        quota.sessions if user.quota_sessions is None else user.quota_sessions,
        quota.hours if user.quota_hours is None else user.quota_hours,
        quota.disk_mb if user.quota_disk_mb is None else user.quota_disk_mb,
    )


def check_start(db: Session, user: User, quota: Quota) -> None:
    """TooMany where another session would exceed what the user may use; on PostgreSQL by one transaction at a time."""
    db.execute(select(User.id).where(User.id == user.id).with_for_update())
    used = usage(db, user, quota)
    if used.sessions >= used.most_sessions:
        raise TooMany(f"{used.sessions} sessions are queued or running, of {used.most_sessions} that you may have")
    if used.hours >= used.most_hours:
        raise TooMany(f"{used.hours:.0f} hours are used by sessions of the last 30 days, of {used.most_hours:g}")
    check_disk(used)


def check_disk(used: Usage) -> None:
    """TooMany where the disk that the user may use is used up."""
    if used.disk_mb >= used.most_disk_mb:
        raise TooMany(f"{used.disk_mb:.0f} MB of disk are used, of {used.most_disk_mb}; delete sessions or motions")
