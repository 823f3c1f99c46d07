"""Trainings: started, paused, stopped, resumed, cloned, shared, deleted.

Nothing here touches a process. What is asked for is written down; the supervisor does it (`jobs/`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from sqlalchemy import delete as delete_rows
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from gait_envs.errors import one_line
from gait_trainers.service.db.later import remove_afterwards
from gait_trainers.service.db.tables import (
    ACTIVE,
    STATES,
    Idempotency,
    Job,
    Share,
    TrainingSession,
    User,
    now,
)
from gait_trainers.service.errors import Conflict, Invalid
from gait_trainers.service.operations import audit, configure, quotas
from gait_trainers.service.operations.configure import StartRequest
from gait_trainers.service.operations.files import last_lines
from gait_trainers.service.operations.paging import Page, containing, page
from gait_trainers.service.operations.visible import check_role, find_session, ordered, own_session, sessions_of
from gait_trainers.service.settings import Settings

RESUMABLE = ("paused", "stopped", "failed", "completed")
find = find_session


def start(
    db: Session,
    user: User,
    request: StartRequest,
    settings: Settings,
    *,
    key: str | None = None,
    parent: str | None = None,
    study: tuple[str, int] | None = None,
) -> TrainingSession:
    """Queue a training. The same request under the same key is the same session; another one is a Conflict.

    `parent`: the session that it is a variation of. `study`: the study that asks for it, and the number of the trial.
    """
    check_role(user, "trainer")
    print_of_it = configure.fingerprint(request)
    if key is not None:
        if not 1 <= len(key) <= 200 or not key.isprintable():
            raise Invalid("an idempotency key has 1 to 200 printable characters", "Idempotency-Key")
        before = db.get(Idempotency, (user.id, key))
        if before is not None:
            if before.body_hash != print_of_it:
                raise Conflict("this idempotency key was used for another request", "Idempotency-Key")
            return find_session(db, user, before.session_id)
    quotas.check_start(db, user, settings.quota)
    plan = configure.configuration(db, user, request)
    hours = min(request.timeout_hours or settings.timeout_hours, settings.timeout_hours)
    stored = configure.storable(plan.config.model_dump(mode="json"))
    session = TrainingSession(
        owner=user, name=request.name, algorithm=request.algorithm, preset=request.preset, env_id=plan.env_id,
        motions=request.motions, tags=request.tags, request=request.model_dump(mode="json"),
        config=stored, iterations=plan.iterations, rollout_steps=plan.rollout_steps,
        timeout_s=3600 * hours, cores=plan.cores, memory_mb=plan.memory_mb,
        parent_id=parent and find_session(db, user, parent).id, study_id=study and study[0], trial=study and study[1],
    )  # fmt: skip
    db.add(session)
    db.flush()
    _queue(db, session)
    if key is not None:
        db.add(Idempotency(user_id=user.id, key=key, body_hash=print_of_it, session_id=session.id))
    audit.note(db, user, "session.start", session.id, name=request.name)
    db.flush()
    return session


def clone(
    db: Session, user: User, id: str, changes: Mapping[str, Any], settings: Settings, *, key: str | None = None
) -> TrainingSession:
    """A new training like another that the user sees, with other values of some fields of its StartRequest."""
    parent = find_session(db, user, id)
    if not isinstance(changes.get("settings") or {}, Mapping):
        raise Invalid("expected settings by their keys", "settings")
    tree = parent.request | {"name": f"{parent.name} (copy)"[:100]}
    for one, other in (("iterations", "total_steps"), ("total_steps", "iterations")):
        if changes.get(one) is not None:
            tree[other] = None
    known = configure.algorithm(str(changes.get("algorithm") or parent.algorithm))
    return start(db, user, parse(StartRequest, known.changed(tree, changes)), settings, key=key, parent=id)


def parse(kind: Any, tree: Mapping[str, Any]) -> Any:
    """A request of this kind; Invalid names the field at fault."""
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        raise Invalid(one_line(first["msg"]), ".".join(map(str, first["loc"]))) from None


def pause(db: Session, user: User, id: str) -> TrainingSession:
    """End the process; a resumption continues from its last checkpoint."""
    return _end(db, user, id, "pause", "pausing")


def stop(db: Session, user: User, id: str) -> TrainingSession:
    """End the process for good, unless somebody resumes it."""
    return _end(db, user, id, "stop", "stopping")


def _end(db: Session, user: User, id: str, wanted: str, state: str) -> TrainingSession:
    session = own_session(db, user, id)
    if session.state == state:
        return session
    allowed = ("queued", "running", "pausing") if wanted == "stop" else ("queued", "running")
    if session.state == "paused" and wanted == "stop":
        session.state = "stopped"
    elif session.state not in allowed:
        raise Conflict(f"the session is {session.state}")
    else:
        session.state = state
        db.execute(
            update(Job).where(Job.session_id == id, Job.kind == "train", Job.state != "ended").values(wanted=wanted)
        )
    audit.note(db, user, f"session.{wanted}", id)
    db.flush()
    return session


def resume(db: Session, user: User, id: str, settings: Settings, *, iterations: int | None = None) -> TrainingSession:
    """Queue it again: it continues from its last checkpoint as if it had never stopped."""
    session = own_session(db, user, id)
    if session.state not in RESUMABLE:
        raise Conflict(f"the session is {session.state}")
    if not configure.algorithm(session.algorithm).extends and (iterations is not None or session.state == "completed"):
        raise Conflict(f"{session.algorithm} trains for the iterations that it began with; clone it with more")
    if iterations is not None:
        if not session.iteration <= iterations <= 10**6:
            raise Invalid(f"is {iterations}, allowed is {max(1, session.iteration)} to 1000000", "iterations")
        session.iterations = iterations
        session.config = session.config | {"run": session.config["run"] | {"iterations": iterations}}
    elif session.state == "completed":
        raise Conflict("the session is completed; say up to how many iterations it should go on")
    if session.seconds >= session.timeout_s:
        asked = session.request.get("timeout_hours") or settings.timeout_hours
        session.timeout_s = session.seconds + 3600 * min(asked, settings.timeout_hours)
    quotas.check_start(db, session.owner, settings.quota)
    session.state, session.message, session.finished_at = "queued", "", None
    _queue(db, session)
    audit.note(db, user, "session.resume", id)
    db.flush()
    return session


def validate(db: Session, user: User, id: str) -> TrainingSession:
    """Export and validate the policy once more: what was too slow on a busy machine may be quick enough now."""
    session = own_session(db, user, id)
    if session.state != "completed":
        raise Conflict(f"the session is {session.state}; only what is completed can be validated")
    touch(session, "finishing")
    db.add(Job(kind="finish", owner_id=session.owner_id, session_id=session.id, memory_mb=session.memory_mb))
    audit.note(db, user, "session.validate", id)
    db.flush()
    return session


def _queue(db: Session, session: TrainingSession) -> None:
    db.add(
        Job(
            kind="train",
            owner_id=session.owner_id,
            session_id=session.id,
            cores=session.cores,
            memory_mb=session.memory_mb,
            progress=session.iteration,
        )
    )


def listed(
    db: Session,
    user: User,
    *,
    state: str | None = None,
    algorithm: str | None = None,
    text: str | None = None,
    mine: bool = False,
    offset: int = 0,
    limit: int = 50,
) -> Page[TrainingSession]:
    """The sessions that the user sees, the newest first."""
    query = select(TrainingSession).where(sessions_of(user))
    if state == "active":
        query = query.where(TrainingSession.state.in_(ACTIVE))
    elif state is not None:
        if state not in STATES:
            raise Invalid(f"states are active, {', '.join(STATES)}", "state")
        query = query.where(TrainingSession.state == state)
    if algorithm is not None:
        query = query.where(TrainingSession.algorithm == algorithm)
    if text:
        query = query.where(TrainingSession.name.ilike(containing(text), escape="\\"))
    if mine:
        query = query.where(TrainingSession.owner_id == user.id)
    return page(db, ordered(query, TrainingSession), offset, limit)


def share(
    db: Session, user: User, id: str, *, everyone: bool | None = None, names: list[str] | None = None
) -> TrainingSession:
    """Let every user see it, or those of these names, or nobody else."""
    session = own_session(db, user, id)
    if everyone is not None:
        session.shared = everyone
    if names is not None:
        users = list(db.scalars(select(User).where(User.name.in_(names))))
        if unknown := sorted(set(names) - {found.name for found in users}):
            raise Invalid(f"there is no user {', '.join(unknown)[:200]}", "names")
        db.execute(delete_rows(Share).where(Share.session_id == id))
        db.add_all(Share(session_id=id, user_id=found.id) for found in users)
    audit.note(db, user, "session.share", id, everyone=everyone, names=names)
    db.flush()
    return session


def shared_with(db: Session, session: TrainingSession) -> list[str]:
    """Names of those whom it is shared with."""
    query = select(User.name).join(Share, Share.user_id == User.id).where(Share.session_id == session.id)
    return sorted(db.scalars(query))


def delete(db: Session, user: User, id: str, settings: Settings) -> None:
    """Remove a session that is at rest, with its files."""
    session = own_session(db, user, id)
    busy = db.scalar(select(Job.id).where(Job.session_id == id, Job.state != "ended").limit(1))
    if session.state in ACTIVE:
        raise Conflict(f"the session is {session.state}; stop it first")
    if busy:
        raise Conflict("an evaluation or a film of it is being made; try again later")
    jobs = list(db.scalars(select(Job.id).where(Job.session_id == id)))
    db.execute(delete_rows(Job).where(Job.session_id == id))
    db.delete(session)
    audit.note(db, user, "session.delete", id, name=session.name)
    db.flush()
    remove_afterwards(db, settings.runs / id, settings.results / id, *(settings.jobs / job for job in jobs))


def log(db: Session, user: User, id: str, settings: Settings, *, last: int = 200) -> list[str]:
    """The last lines that its processes have printed, without the server's folders."""
    find_session(db, user, id)
    lines = last_lines(settings.results / id / "log.txt", min(max(last, 1), 2000))
    return [line.replace(str(settings.home), "") for line in lines]


def touch(session: TrainingSession, state: str, message: str = "") -> None:
    """Move a session to a state, with the times that belong to it."""
    session.state, session.message = state, message[:2000]
    if state == "running" and session.started_at is None:
        session.started_at = now()
    if state in ("paused", "stopped", "completed", "failed"):
        session.finished_at = now()
