"""What is done once an hour: what nobody needs any more goes."""

from __future__ import annotations

import datetime
import shutil

from sqlalchemy import Engine, delete, select

from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Job, Login, LoginAttempt, now
from gait_trainers.service.operations import registry
from gait_trainers.service.settings import Settings

DAY = datetime.timedelta(days=1)


def tidy(engine: Engine, settings: Settings) -> None:
    """Remove model versions after their grace period, log-ins that have ended, and folders of processes that have."""
    with transaction(engine) as db:
        registry.purge(db, settings)
        db.execute(delete(Login).where(Login.expires_at < now()))
        db.execute(delete(LoginAttempt).where(LoginAttempt.created_at < now() - DAY))
        over = list(db.scalars(select(Job.id).where(Job.state == "ended", Job.ended_at < now() - DAY)))
    for id in over:
        shutil.rmtree(settings.jobs / id, ignore_errors=True)
