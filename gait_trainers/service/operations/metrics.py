"""Curves of a training, thinned out in the database so that no page has to carry every row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import ACTIVE, Point, Series, TrainingSession, User
from gait_trainers.service.errors import Invalid
from gait_trainers.service.operations.visible import find_session

MOST_POINTS, MOST_NAMES = 5000, 100


@dataclass(frozen=True)
class Curve:
    """A metric over a training; each point stands for the iterations since the one before."""

    iterations: list[int]
    steps: list[int]
    mean: list[float]
    least: list[float]
    most: list[float]


@dataclass(frozen=True)
class Progress:
    """How far a training is."""

    state: str
    iteration: int
    iterations: int
    steps: int
    total_steps: int
    seconds: float
    seconds_left: float | None
    message: str


def names(db: Session, user: User, id: str) -> list[str]:
    """Metrics of a session."""
    find_session(db, user, id)
    return sorted(db.scalars(select(Series.name).where(Series.session_id == id)))


def series(
    db: Session, user: User, id: str, wanted: Sequence[str] | None = None, *, points: int = 500, since: int = 0
) -> dict[str, Curve]:
    """Curves by name, of at most `points` points each; all metrics where none is named. `since`: later iterations."""
    session = find_session(db, user, id)
    if not 1 <= points <= MOST_POINTS:
        raise Invalid(f"points is 1 to {MOST_POINTS}", "points")
    query = select(Series.name, Series.id).where(Series.session_id == id)
    if wanted:
        if len(wanted) > MOST_NAMES:
            raise Invalid(f"at most {MOST_NAMES} names", "names")
        query = query.where(Series.name.in_(wanted))
    known: dict[str, int] = {name: number for name, number in db.execute(query)}  # noqa: C416
    last = db.scalar(select(func.max(Point.iteration)).where(Point.series_id.in_(known.values()))) or 0
    width = max(1, -(-(last - since) // points))
    bucket = (Point.iteration - since - 1) // width
    rows = db.execute(
        select(
            Point.series_id, func.max(Point.iteration), func.avg(Point.value), func.min(Point.value),
            func.max(Point.value),
        )
        .where(Point.series_id.in_(known.values()), Point.iteration > since)
        .group_by(Point.series_id, bucket)
        .order_by(Point.series_id, func.max(Point.iteration))
    )  # fmt: skip
    found: dict[int, Curve] = {number: Curve([], [], [], [], []) for number in known.values()}
    for number, iteration, mean, least, most in rows:
        curve = found[number]
        for values, value in (
            (curve.iterations, iteration), (curve.steps, iteration * session.rollout_steps), (curve.mean, mean),
            (curve.least, least), (curve.most, most),
        ):  # fmt: skip
            values.append(value)  # type: ignore[attr-defined]
    return {name: found[number] for name, number in sorted(known.items())}


def known(session: TrainingSession) -> int:
    """The newest iteration whose metrics are stored; 0 before the first."""
    return int(session.metrics_at.get("known", 0))


def latest(db: Session, user: User, id: str) -> dict[str, float]:
    """The newest row of metrics."""
    return dict(find_session(db, user, id).latest)


def progress_of(session: TrainingSession) -> Progress:
    """How far a training is, and how long it may still take."""
    left, rest = None, session.iterations - session.iteration
    rate = session.latest.get("steps_per_second")
    if session.state in ACTIVE and rate:
        left = rest * session.rollout_steps / rate
    elif session.state in ACTIVE and session.iteration:  # nothing is stepped
        left = rest * session.seconds / session.iteration
    return Progress(
        session.state, session.iteration, session.iterations, session.steps,
        session.iterations * session.rollout_steps, session.seconds, left, session.message,
    )  # fmt: skip
