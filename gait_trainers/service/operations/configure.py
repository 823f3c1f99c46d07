"""From what was asked for to a configuration, and what it will take."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy import select
from sqlalchemy.orm import Session

from gait_envs.reference.library import EMBEDDED_SETS
from gait_trainers.service.algorithms.contract import Algorithm, Plan
from gait_trainers.service.algorithms.fields import Field
from gait_trainers.service.algorithms.request import Line, Name, StartRequest
from gait_trainers.service.algorithms.table import algorithm, algorithms
from gait_trainers.service.db.tables import Motion, TrainingSession, User
from gait_trainers.service.errors import Invalid
from gait_trainers.service.operations.visible import sees_motion

__all__ = [
    "Estimate", "Line", "Name", "StartRequest", "algorithm", "algorithms", "configuration", "estimate", "form",
    "placeholder",
]  # fmt: skip

BUNDLED = "bundled:"  # before the name of a set that comes with the package
INFINITE = {"inf": float("inf"), "-inf": float("-inf")}  # JSON has no infinity
MOTION = "motion:"  # before the id of an uploaded motion, where a file is named


@dataclass(frozen=True)
class Estimate:
    """What a training will probably take."""

    seconds: float | None  # None: nothing like it has been trained here
    memory_mb: int
    disk_mb: int
    steps: int
    basis: str


def form(name: str, preset: str | None = None, env_id: str | None = None) -> list[Field]:
    """Every setting of a training, with the values that it begins with; the usual ones first."""
    return algorithm(name).form(preset, env_id)


def configuration(db: Session, user: User, request: StartRequest) -> Plan:
    """The whole configuration and what it takes; files of motions are named by placeholders. Invalid names the field
    at fault."""
    known = algorithm(request.algorithm)
    known.check_choice(request.preset, request.env)
    return known.plan(request, _clips(db, user, request, known))


def storable(tree: Any) -> Any:
    """A configuration as JSON can hold it."""
    if isinstance(tree, dict):
        return {str(key): storable(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [storable(value) for value in tree]
    return next((name for name, value in INFINITE.items() if value == tree), tree) if isinstance(tree, float) else tree


def _clips(db: Session, user: User, request: StartRequest, known: Algorithm) -> list[str]:
    """Names of bundled sets and placeholders for uploaded motions; of one body where a model is fitted to them."""
    body = (request.env or known.env_id) if known.makes == "model" else None
    found = []
    for given in request.motions:
        if given.startswith(BUNDLED):
            of = {name: of for of, name in EMBEDDED_SETS.items()}.get(given.removeprefix(BUNDLED))
            if of is None:
                raise Invalid(f"bundled sets are {', '.join(EMBEDDED_SETS.values())}", "motions")
            found.append(given.removeprefix(BUNDLED))
        else:
            motion = db.get(Motion, given)
            if motion is None or not sees_motion(user, motion):
                raise Invalid("there is no such motion", "motions")
            if motion.state not in ("ready", "accepted"):
                raise Invalid(
                    f"{motion.name} is {motion.state}; only what is ready or accepted can be trained on", "motions"
                )
            of = motion.body
            found.append(placeholder(motion.id))
        if body is not None and of != body:
            raise Invalid(f"{given} is a motion of {of}, the model is to be of {body}", "motions")
    return found


def placeholder(motion_id: str) -> str:
    """What stands for a motion's file in a configuration until its training starts."""
    return f"{MOTION}{motion_id}"


def estimate(db: Session, user: User, request: StartRequest) -> Estimate:
    """What a training like this took here before, or what its sizes say."""
    plan, unit = configuration(db, user, request), algorithm(request.algorithm).unit
    total = plan.iterations * plan.rollout_steps
    before = db.execute(
        select(TrainingSession.seconds, TrainingSession.iteration, TrainingSession.rollout_steps)
        .where(
            TrainingSession.algorithm == request.algorithm, TrainingSession.env_id == plan.env_id,
            TrainingSession.iteration > 0, TrainingSession.seconds > 0,
        )
        .order_by(TrainingSession.created_at.desc())
        .limit(5)
    ).all()  # fmt: skip
    if not before:
        basis = "nothing like it has been trained here yet; time is not known"
        return Estimate(None, plan.memory_mb, plan.disk_mb, total, basis)
    rate = sum(iteration * steps for _, iteration, steps in before) / sum(seconds for seconds, _, _ in before)
    speed = f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"
    basis = f"{speed} {unit}/s, from {len(before)} earlier trainings of this kind"
    return Estimate(total / rate, plan.memory_mb, plan.disk_mb, total, basis)


def fingerprint(request: BaseModel) -> str:
    """Of what was asked for, to tell a repetition from another request under the same key."""
    return hashlib.sha256(json.dumps(request.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()
