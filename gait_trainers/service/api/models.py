"""Routes of the registry."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse
from pydantic import Field
from sqlalchemy.orm import Session

from gait_trainers.service.api import shapes
from gait_trainers.service.api.accounts import Body, Limit, Offset
from gait_trainers.service.db.tables import Model, ModelVersion, User
from gait_trainers.service.operations import registry
from gait_trainers.service.security.access import Database, SignedIn, Trainer

router = APIRouter(tags=["registry"])


class Publication(Body):
    name: str = Field(max_length=64)
    notes: str = Field(default="", max_length=5000)


@router.post("/sessions/{id}/publish", status_code=201)
def publish(request: Request, id: str, given: Publication, db: Database, who: Trainer) -> shapes.VersionShape:
    """The bundle of a completed session as the next version of a name."""
    made = registry.publish(db, who.user, id, given.name, request.app.state.settings, notes=given.notes)
    return _version(made)


@router.get("/models")
def list_models(
    db: Database, who: SignedIn, offset: Offset = 0, limit: Limit = 50
) -> shapes.Listing[shapes.ModelShape]:
    """Names in the registry."""
    found = registry.listed(db, who.user, offset=offset, limit=limit)
    return shapes.listing(found, lambda row: _model(db, who.user, row))  # type: ignore[return-value]


class ModelDetail(shapes.ModelShape):
    """A name with its versions."""

    versions: list[shapes.VersionShape]


@router.get("/models/{name}")
def find(name: str, db: Database, who: SignedIn) -> ModelDetail:
    """A name with its versions, the newest first."""
    row = registry.find_model(db, who.user, name)
    versions = [shapes.version(version) for version in registry.versions(db, who.user, name)]
    return ModelDetail.model_validate(_model(db, who.user, row) | {"versions": versions})


class ModelChange(Body):
    notes: str | None = Field(default=None, max_length=5000)
    shared: bool | None = None


@router.patch("/models/{name}")
def edit(name: str, given: ModelChange, db: Database, who: Trainer) -> shapes.ModelShape:
    """Change what is given."""
    row = registry.edit(db, who.user, name, notes=given.notes, shared=given.shared)
    return shapes.ModelShape.model_validate(_model(db, who.user, row))


class Promotion(Body):
    number: int = Field(ge=1, le=10**8)
    alias: str = Field(default="champion", max_length=32)


@router.post("/models/{name}/promote")
def promote(name: str, given: Promotion, db: Database, who: Trainer) -> shapes.VersionShape:
    """Let an alias mean this version."""
    return _version(registry.promote(db, who.user, name, given.number, given.alias))


class Rollback(Body):
    alias: str = Field(default="champion", max_length=32)


@router.post("/models/{name}/rollback")
def rollback(name: str, given: Rollback, db: Database, who: Trainer) -> shapes.VersionShape:
    """Let an alias mean what it meant before."""
    return _version(registry.rollback(db, who.user, name, given.alias))


@router.get("/models/{name}/{reference}")
def find_version(name: str, reference: str, db: Database, who: SignedIn) -> shapes.VersionShape:
    """A version by its number or an alias."""
    return _version(registry.find(db, who.user, name, reference))


@router.delete("/models/{name}/{reference}")
def delete_version(name: str, reference: shapes.Number, db: Database, who: Trainer) -> shapes.VersionShape:
    """Take a version away, by its number; it can be restored within the grace period."""
    return _version(registry.delete(db, who.user, name, reference))


@router.post("/models/{name}/{reference}/restore")
def restore_version(name: str, reference: shapes.Number, db: Database, who: Trainer) -> shapes.VersionShape:
    """Bring a version back, by its number."""
    return _version(registry.restore(db, who.user, name, reference))


@router.get("/models/{name}/{reference}/files/{file}", response_class=FileResponse)
def fetch(request: Request, name: str, reference: str, file: str, db: Database, who: SignedIn) -> FileResponse:
    """A file of a version."""
    path = registry.open_file(db, who.user, name, reference, file, request.app.state.settings)
    return FileResponse(path, media_type="application/octet-stream", filename=file)


def _model(db: Session, user: User, row: Model) -> dict[str, Any]:
    return {
        "name": row.name, "owner": row.owner.name, "notes": row.notes, "shared": row.shared,
        "created_at": row.created_at, "aliases": registry.aliases(db, user, row.name),
    }  # fmt: skip


def _version(row: ModelVersion) -> shapes.VersionShape:
    return shapes.VersionShape.model_validate(shapes.version(row))
