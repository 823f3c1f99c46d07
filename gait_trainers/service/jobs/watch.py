"""What is looked at while trainings run: metrics, health, and the machine."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from gait_trainers.runs.monitoring import HealthMonitor
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.db.engine import reading, transaction
from gait_trainers.service.db.tables import Alert, Job, TrainingSession, User, now
from gait_trainers.service.jobs.ingest import ingest
from gait_trainers.service.jobs.outcomes import free_mb
from gait_trainers.service.operations.alerts import raise_alert
from gait_trainers.service.settings import Settings

STALLED = 300  # iterations without a better reward
TOLERANCE = 0.01  # of a better reward
LOSSES = ("loss", "value_loss", "policy_gradient_loss", "episode_reward", "disc_loss")
FULL, WAS_FULL = "disk nearly full", "disk was nearly full"  # kinds of alerts about the machine
NAMES = {  # of checks, as kinds of alerts
    "disc_acc stuck at 1": "discriminator saturated",
    "disc_acc stuck at 0.5": "discriminator learns nothing",
}


def training(db: Session, job: Job, settings: Settings) -> None:
    """Take in new metrics of a training, and raise what they give reason for."""
    session = db.get_one(TrainingSession, job.session_id)
    rows = ingest(db, session, settings.runs / session.id / "metrics.csv")
    if rows:
        if job.attempts and session.iteration > job.progress:
            job.attempts, job.progress = 0, session.iteration
        check(db, session, rows)
        film(db, session, settings)


def film(db: Session, session: TrainingSession, settings: Settings) -> None:
    """Queue a film of the latest checkpoint where the last one was asked for long enough ago."""
    if "film" not in algorithm(session.algorithm).follows:
        return
    if not settings.film_minutes or not any((settings.runs / session.id / "checkpoints").glob("step_*.pt")):
        return
    mine = select(Job).where(Job.session_id == session.id, Job.kind == "film").order_by(Job.created_at.desc())
    last = db.scalar(mine.limit(1))
    since = now() - (session.started_at or now()) if last is None else now() - last.created_at
    # A clock that was set back makes it negative; films then go on at once.
    if (last is None or last.state == "ended") and abs(since.total_seconds()) > 60 * settings.film_minutes:
        db.add(Job(kind="film", owner_id=session.owner_id, session_id=session.id))


def check(db: Session, session: TrainingSession, rows: list[dict[str, float]]) -> None:
    """Alerts about new rows of metrics; how long each check has held is kept with the session."""
    health: dict[str, Any] = dict(session.health)
    monitor = HealthMonitor(algorithm(session.algorithm).checks())
    monitor.set_state(health.get("counts", {}))
    for row in rows:
        for warning in monitor.check(row):
            name = warning.partition(f" for {monitor.patience} iterations")[0]
            raise_alert(db, session, NAMES.get(name, name), warning)
        broken = [name for name in LOSSES if not math.isfinite(row.get(name, 0.0))]
        if broken:
            raise_alert(db, session, "diverged", f"{', '.join(broken)} is not a finite number; lower the learning rate")
        reward, iteration = row.get("episode_reward"), int(row.get("iteration", 0))
        if reward is not None and math.isfinite(reward):
            best = health.get("best")
            if best is None or reward > best + TOLERANCE * abs(best):
                health["best"], health["best_at"] = reward, iteration
            elif iteration - health.get("best_at", 0) >= STALLED:
                raise_alert(db, session, "no progress", f"the episode reward has not risen for {STALLED} iterations")
    session.health = health | {"counts": monitor.get_state()}


def machine(engine: Engine, settings: Settings) -> None:
    """An alert for administrators when the disk is nearly full; once, until it is acknowledged and empty again."""
    free = free_mb(settings.home)
    is_full = free < 2 * settings.least_disk_mb
    over = (Alert.kind == FULL, Alert.acknowledged_at.is_not(None))
    with reading(engine) as db:
        due = select(Alert.id).where(Alert.kind == FULL) if is_full else select(Alert.id).where(*over)
        if (db.scalar(due.limit(1)) is not None) == is_full:
            return
    with transaction(engine) as db:
        if not is_full:
            db.execute(update(Alert).where(*over).values(kind=WAS_FULL))
            return
        owner = db.scalar(select(User).where(User.role == "administrator").order_by(User.created_at).limit(1))
        if owner is not None and db.scalar(due.limit(1)) is None:
            message = f"{free:,.0f} MB of disk are free; nothing is started below {settings.least_disk_mb:,} MB"
            db.add(Alert(session_id=None, owner_id=owner.id, kind=FULL, message=message))
