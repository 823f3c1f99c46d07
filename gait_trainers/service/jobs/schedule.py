"""Which job is next: fair among users, within cores and memory.

The queue is the table `jobs` itself, claimed row by row. A ready-made queue such as huey runs a function to its end in
a worker, and when the worker is killed, the task is gone. Here the work is a process that outlives the worker, is found
again by the next one, is interrupted, and resumes: that takes this table in any case (docs/contracts/service.md).
"""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import Job

# What is short comes before what is long.
ORDER = {"import": 0, "finish": 1, "view": 1, "train": 2, "evaluate": 3, "film": 4}
LOOK_AT = 500  # queued jobs


@dataclass(frozen=True)
class Capacity:
    """What a machine offers to jobs."""

    cores: float
    memory_mb: int


def next_jobs(
    queued: Sequence[Job],
    running: Sequence[Job],
    capacity: Capacity,
    last_turn: dict[str, int],
    overdue: datetime.datetime | None = None,
) -> list[Job]:
    """Jobs that fit beside those that run, in a fair order: whose owner runs fewest, then who has waited longest.

    last_turn: user -> number of the latest turn. A job that is larger than the machine runs alone.
    Trainings that have waited since before `overdue` come first, and where one does not fit, no other training begins:
    small ones would leave it no room for ever. What is short goes on meanwhile.
    """
    cores = capacity.cores - sum(job.cores for job in running)
    memory = capacity.memory_mb - sum(job.memory_mb for job in running)
    busy = Counter(job.owner_id for job in running)
    empty, chosen, left, kept_free = not running, [], list(queued), False
    turns = dict(last_turn)

    def is_late(job: Job) -> bool:
        return job.kind == "train" and overdue is not None and job.created_at < overdue

    def turn(job: Job) -> tuple[Any, ...]:
        own = busy[job.owner_id], turns.get(job.owner_id, 0), ORDER[job.kind], job.created_at, job.id
        return (not is_late(job), *own)

    while left:
        job = min(left, key=turn)
        left.remove(job)
        needs_cores, needs_memory = min(job.cores, capacity.cores), min(job.memory_mb, capacity.memory_mb)
        fits = needs_cores <= cores and needs_memory <= memory
        if job.kind == "train" and kept_free:
            continue
        if not (fits or empty):
            kept_free |= is_late(job)
            continue
        cores, memory, empty = cores - job.cores, memory - job.memory_mb, False
        busy[job.owner_id] += 1
        turns[job.owner_id] = max(turns.values(), default=0) + 1
        chosen.append(job)
    return chosen


def queued_jobs(db: Session) -> list[Job]:
    """Those that wait, the oldest first."""
    query = select(Job).where(Job.state == "queued").order_by(Job.created_at, Job.id).limit(LOOK_AT)
    return list(db.scalars(query))


def claim(db: Session, job: Job, supervisor_id: str) -> bool:
    """Take a queued job; False where another supervisor was faster."""
    taken = update(Job).where(Job.id == job.id, Job.state == "queued")
    found = db.execute(taken.values(state="running", supervisor_id=supervisor_id))
    return found.rowcount == 1  # type: ignore[attr-defined]
