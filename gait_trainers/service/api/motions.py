"""Routes of motions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import FileResponse
from pydantic import Field

from gait_trainers.service.api import shapes
from gait_trainers.service.api.accounts import Body, Limit, Offset
from gait_trainers.service.api.sessions import ArtefactShape, Text
from gait_trainers.service.operations import motions
from gait_trainers.service.security.access import Database, SignedIn, Trainer

router = APIRouter(tags=["motions"])


@router.get("/motions")
def list_motions(
    db: Database, who: SignedIn, state: Text = None, text: Text = None, offset: Offset = 0, limit: Limit = 50
) -> shapes.Listing[shapes.MotionShape]:
    """Motions that the user sees, the newest first."""
    found = motions.listed(db, who.user, state=state, text=text, offset=offset, limit=limit)
    return shapes.listing(found, shapes.motion)  # type: ignore[return-value]


@router.post("/motions", status_code=201)
def upload(
    request: Request,
    db: Database,
    who: Trainer,
    files: Annotated[list[UploadFile], File(max_length=2)],
    name: Annotated[str, Form(max_length=100)],
    license: Annotated[str, Form(max_length=200)] = "",
    labels: Annotated[str, Form(max_length=1000)] = "",
    body: Annotated[str, Form(max_length=64)] = "wildrobot",
) -> shapes.MotionShape:
    """Upload a .bvh, an .amc with its .asf, or an AMASS .npz; labels are separated by commas."""
    given = [(file.filename or "", file.file) for file in files]
    told = [label.strip() for label in labels.split(",") if label.strip()]
    made = motions.upload(
        db, who.user, given, request.app.state.settings, name=name, license=license, labels=told, body=body
    )
    return _motion(made)


@router.get("/motions/{id}")
def find(id: str, db: Database, who: SignedIn) -> shapes.MotionShape:
    """A motion."""
    return _motion(motions.find(db, who.user, id))


class MotionChange(Body):
    name: str | None = Field(default=None, max_length=100)
    labels: list[str] | None = Field(default=None, max_length=20)
    license: str | None = Field(default=None, max_length=200)
    shared: bool | None = None


@router.patch("/motions/{id}")
def edit(id: str, given: MotionChange, db: Database, who: Trainer) -> shapes.MotionShape:
    """Change what is given."""
    return _motion(motions.edit(db, who.user, id, **given.model_dump()))


@router.delete("/motions/{id}", status_code=204)
def delete(request: Request, id: str, db: Database, who: Trainer) -> None:
    """Remove a motion and its files."""
    motions.delete(db, who.user, id, request.app.state.settings)


@router.post("/motions/{id}/accept")
def accept(id: str, db: Database, who: Trainer) -> shapes.MotionShape:
    """It may be trained on."""
    return _motion(motions.accept(db, who.user, id))


@router.post("/motions/{id}/reject")
def reject(id: str, db: Database, who: Trainer) -> shapes.MotionShape:
    """It may not be trained on."""
    return _motion(motions.reject(db, who.user, id))


@router.get("/motions/{id}/files")
def list_files(request: Request, id: str, db: Database, who: SignedIn) -> list[ArtefactShape]:
    """What there is to fetch."""
    found = motions.artefacts(db, who.user, id, request.app.state.settings)
    return [ArtefactShape.model_validate(vars(artefact)) for artefact in found]


@router.get("/motions/{id}/files/{key}", response_class=FileResponse)
def fetch(request: Request, id: str, key: str, db: Database, who: SignedIn) -> FileResponse:
    """A file; pictures and films may be shown in a page."""
    path, artefact = motions.open_artefact(db, who.user, id, key, request.app.state.settings)
    shown = "inline" if artefact.media_type.startswith(("image/", "video/")) else "attachment"
    return FileResponse(path, media_type=artefact.media_type, filename=artefact.name, content_disposition_type=shown)


def _motion(row: Any) -> shapes.MotionShape:
    return shapes.MotionShape.model_validate(shapes.motion(row))
