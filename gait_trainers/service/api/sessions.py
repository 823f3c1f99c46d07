"""Routes of trainings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import FileResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from gait_trainers.service.api import shapes
from gait_trainers.service.api.accounts import Body, Limit, Offset
from gait_trainers.service.db.tables import ACTIVE, User
from gait_trainers.service.errors import NotFound
from gait_trainers.service.operations import configure, files, metrics, sessions
from gait_trainers.service.operations.configure import StartRequest
from gait_trainers.service.security.access import Database, SignedIn, Trainer

router = APIRouter(tags=["sessions"])
Key = Annotated[str | None, Header(alias="Idempotency-Key", min_length=1, max_length=200)]
Text = Annotated[str | None, Query(max_length=100)]
EVERY = 1.0  # s between two looks for new events
LONGEST = 3600.0  # s of a stream; a browser connects again


@router.get("/sessions")
def list_sessions(
    db: Database,
    who: SignedIn,
    state: Text = None,
    algorithm: Text = None,
    text: Text = None,
    mine: bool = False,
    offset: Offset = 0,
    limit: Limit = 50,
) -> shapes.Listing[shapes.SessionShape]:
    """Trainings that the user sees, the newest first."""
    found = sessions.listed(
        db, who.user, state=state, algorithm=algorithm, text=text, mine=mine, offset=offset, limit=limit
    )
    return shapes.listing(found, shapes.session)  # type: ignore[return-value]


@router.post("/sessions", status_code=201)
def start(request: Request, given: StartRequest, db: Database, who: Trainer, key: Key = None) -> shapes.SessionDetail:
    """Start a training. Sent again with the same Idempotency-Key, it is the same training."""
    return _detail(sessions.start(db, who.user, given, request.app.state.settings, key=key))


@router.get("/sessions/{id}")
def find(id: str, db: Database, who: SignedIn) -> shapes.SessionDetail:
    """A training."""
    return _detail(sessions.find(db, who.user, id))


@router.delete("/sessions/{id}", status_code=204)
def delete(request: Request, id: str, db: Database, who: Trainer) -> None:
    """Remove a training that is at rest, with its files."""
    sessions.delete(db, who.user, id, request.app.state.settings)


@router.post("/sessions/{id}/pause", status_code=202)
def pause(id: str, db: Database, who: Trainer) -> shapes.SessionDetail:
    """End its process; a resumption continues from the last checkpoint, bit for bit."""
    return _detail(sessions.pause(db, who.user, id))


@router.post("/sessions/{id}/stop", status_code=202)
def stop(id: str, db: Database, who: Trainer) -> shapes.SessionDetail:
    """End it, unless somebody resumes it."""
    return _detail(sessions.stop(db, who.user, id))


class Resumption(Body):
    iterations: int | None = Field(default=None, ge=1, le=10**6, description="Go on up to this many iterations.")


@router.post("/sessions/{id}/resume", status_code=202)
def resume(
    request: Request, id: str, db: Database, who: Trainer, given: Resumption | None = None
) -> shapes.SessionDetail:
    """Queue it again."""
    wanted = None if given is None else given.iterations
    return _detail(sessions.resume(db, who.user, id, request.app.state.settings, iterations=wanted))


class Clone(Body):
    changes: dict[str, Any] = Field(default_factory=dict, max_length=100, description="Fields of the start request.")


@router.post("/sessions/{id}/clone", status_code=201)
def clone(request: Request, id: str, given: Clone, db: Database, who: Trainer, key: Key = None) -> shapes.SessionDetail:
    """Start a training like it, with changes."""
    return _detail(sessions.clone(db, who.user, id, given.changes, request.app.state.settings, key=key))


class Sharing(Body):
    everyone: bool | None = None
    names: list[Annotated[str, Field(max_length=64)]] | None = Field(default=None, max_length=100)


@router.post("/sessions/{id}/share", status_code=202)
def share(id: str, given: Sharing, db: Database, who: Trainer) -> shapes.SessionDetail:
    """Let others see it: everyone, or users by their names."""
    return _detail(sessions.share(db, who.user, id, everyone=given.everyone, names=given.names))


class JobShape(BaseModel):
    id: str
    kind: str
    state: str


@router.post("/sessions/{id}/film", status_code=202)
def film(request: Request, id: str, db: Database, who: Trainer) -> JobShape:
    """Ask for a film of the latest policy; it appears among the files."""
    job = files.request_film(db, who.user, id, request.app.state.settings)
    return JobShape(id=job.id, kind=job.kind, state=job.state)


@router.post("/sessions/{id}/validate", status_code=202)
def validate(id: str, db: Database, who: Trainer) -> shapes.SessionDetail:
    """Export and validate the policy of a completed training once more."""
    return _detail(sessions.validate(db, who.user, id))


@router.post("/sessions/{id}/view", status_code=202)
def ask_for_view(request: Request, id: str, db: Database, who: Trainer) -> JobShape:
    """Ask for the latest policy in 3D: a page that simulates in the browser, at /sessions/{id}/view/."""
    job = files.request_film(db, who.user, id, request.app.state.settings, "view")
    return JobShape(id=job.id, kind=job.kind, state=job.state)


@router.get("/sessions/{id}/metrics")
def curves(
    id: str,
    db: Database,
    who: SignedIn,
    names: Annotated[str | None, Query(max_length=4000)] = None,
    points: Annotated[int, Query(ge=1, le=metrics.MOST_POINTS)] = 500,
    since: Annotated[int, Query(ge=0, le=10**9)] = 0,
) -> dict[str, shapes.CurveShape]:
    """Curves, thinned out to `points`; names are separated by commas."""
    wanted = [name for name in (names or "").split(",") if name]
    found = metrics.series(db, who.user, id, wanted, points=points, since=since)
    return {name: shapes.CurveShape.model_validate(vars(curve)) for name, curve in found.items()}


@router.get("/sessions/{id}/log", response_class=PlainTextResponse)
def log(
    request: Request, id: str, db: Database, who: SignedIn, last: Annotated[int, Query(ge=1, le=2000)] = 200
) -> str:
    """The last lines that its processes have printed."""
    return "\n".join(sessions.log(db, who.user, id, request.app.state.settings, last=last))


class ArtefactShape(BaseModel):
    key: str
    name: str
    media_type: str
    size: int | None


@router.get("/sessions/{id}/files")
def list_files(request: Request, id: str, db: Database, who: SignedIn) -> list[ArtefactShape]:
    """What there is to fetch."""
    found = files.artefacts(db, who.user, id, request.app.state.settings)
    return [ArtefactShape.model_validate(vars(artefact)) for artefact in found]


@router.get("/sessions/{id}/files/{key}", response_class=FileResponse)
def fetch(request: Request, id: str, key: str, db: Database, who: SignedIn) -> FileResponse:
    """A file, as an attachment; a film may be shown in a page."""
    path, artefact = files.open_artefact(db, who.user, id, key, request.app.state.settings)
    shown = "inline" if artefact.media_type.startswith("video/") else "attachment"
    return FileResponse(path, media_type=artefact.media_type, filename=artefact.name, content_disposition_type=shown)


@router.get(
    "/sessions/{id}/events", response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)  # fmt: skip
async def events(
    request: Request, id: str, who: SignedIn, since: Annotated[int, Query(ge=0, le=10**9)] = 0
) -> StreamingResponse:
    """Server-sent events: `status` when it changes, `metrics` with new rows (name -> [[iteration, value], …])."""
    engine, user = request.app.state.engine, who.user
    await run_in_threadpool(_look, engine, user, id, since)  # 404 before the stream begins
    return StreamingResponse(_stream(request, engine, user, id, since), media_type="text/event-stream")


async def _stream(request: Request, engine: Any, user: User, id: str, since: int) -> AsyncIterator[str]:
    last, loop = None, asyncio.get_running_loop()
    ends = loop.time() + LONGEST
    while loop.time() < ends and not await request.is_disconnected():
        try:
            status, rows, since = await run_in_threadpool(_look, engine, user, id, since)
        except NotFound:
            return
        if rows:
            yield f"event: metrics\ndata: {json.dumps(rows)}\n\n"
        if status != last:
            yield f"event: status\ndata: {json.dumps(status)}\n\n"
            last = status
            if status["state"] not in ACTIVE:
                return
        elif not rows:
            yield ": still here\n\n"
        await asyncio.sleep(EVERY)


def _look(engine: Any, user: User, id: str, since: int) -> tuple[dict[str, Any], dict[str, Any], int]:
    with Session(engine) as db:
        session = sessions.find(db, user, id)
        status = vars(metrics.progress_of(session))
        newest = max(since, metrics.known(session))
        if newest == since:  # as it is most of the time: one row was read, and no curve
            return status, {}, since
        found = metrics.series(db, user, id, points=500, since=since)
        rows = {name: list(zip(c.iterations, c.mean, strict=True)) for name, c in found.items() if c.iterations}
        return status, rows, newest


def _detail(row: Any) -> shapes.SessionDetail:
    return shapes.SessionDetail.model_validate(shapes.detail(row))


class AlgorithmShape(BaseModel):
    name: str
    description: str
    preset: str | None
    env_id: str
    environments: list[str]
    presets: list[str]
    makes: Literal["policy", "model"]
    needs_motions: bool


@router.get("/algorithms", tags=["configure"])
def algorithms(who: SignedIn) -> list[AlgorithmShape]:
    """What can be trained."""
    return [AlgorithmShape.model_validate(vars(known)) for known in configure.algorithms()]


class FieldShape(BaseModel):
    key: str
    label: str
    kind: str
    default: Any
    least: float | None
    most: float | None
    choices: list[str]
    description: str
    advanced: bool
    optional: bool


@router.get("/form", tags=["configure"])
def form(
    who: SignedIn, algorithm: Annotated[str, Query(max_length=64)] = "ppo-amp", preset: Text = None, env: Text = None
) -> list[FieldShape]:
    """Every setting of a training, with its range and what it begins with."""
    fields = configure.form(algorithm, preset, env)
    return [FieldShape.model_validate(configure.storable(vars(field))) for field in fields]


class EstimateShape(BaseModel):
    seconds: float | None
    memory_mb: int
    disk_mb: int
    steps: int
    basis: str


@router.post("/estimate", tags=["configure"])
def estimate(given: StartRequest, db: Database, who: SignedIn) -> EstimateShape:
    """What a training will probably take."""
    return EstimateShape.model_validate(vars(configure.estimate(db, who.user, given)))
