"""Pages of motions: upload, what became of it on the body, and whether it is good enough to train on."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from gait_trainers.service.db.tables import Motion
from gait_trainers.service.errors import ServiceError
from gait_trainers.service.operations import motions
from gait_trainers.service.pages.formats import tables
from gait_trainers.service.pages.sessions import Link, first
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import Sent, View, Viewing, comma_list, text_of

router = APIRouter()
BODIES = [("wildrobot", "WildRobot"), ("humanoid", "Humanoid")]
WAITING = ("queued", "converting")


@router.get("/motions")
def listed(view: Viewing, offset: int = 0) -> Response:
    """The motions that the user sees, and the form for another one."""
    return _list(view, offset=offset)


@router.post("/motions")
def upload(view: Viewing, form: Sent) -> Response:
    """Take the files of a capture; a process imports them."""
    files = [
        (file.filename or "", file.file)
        for file in form.getlist("files")
        if isinstance(file, UploadFile) and file.filename
    ]
    made: list[Motion] = []

    def work() -> None:
        made.append(
            motions.upload(
                view.db, view.user, files, view.settings, name=text_of(form, "name"), license=text_of(form, "license"),
                labels=comma_list(text_of(form, "labels")), body=text_of(form, "body"),
            )
        )  # fmt: skip

    error = view.attempt(work)
    return back(f"/motions/{made[0].id}", "uploaded") if error is None else _list(view, form, error)


@router.get("/motions/{id}")
def shown(view: Viewing, id: str) -> Response:
    """What is known of a motion."""
    return _page(view, id)


@router.get("/motions/{id}/live")
def live(view: Viewing, id: str) -> Response:
    """How far its import is, for a page that is open."""
    values = _values(view, motions.find(view.db, view.user, id))
    return view.part("parts/motion_live.html", **values)


@router.post("/motions/{id}/accept")
def accept(view: Viewing, id: str) -> Response:
    """It may be trained on."""
    return _act(view, id, lambda: motions.accept(view.db, view.user, id), "accepted")


@router.post("/motions/{id}/reject")
def reject(view: Viewing, id: str) -> Response:
    """It may not be trained on."""
    return _act(view, id, lambda: motions.reject(view.db, view.user, id), "rejected")


@router.post("/motions/{id}/edit")
def edit(view: Viewing, form: Sent, id: str) -> Response:
    """Its name, labels and licence."""
    given: dict[str, Any] = {name: text_of(form, name) for name in ("name", "license")}
    given["labels"] = comma_list(text_of(form, "labels"))
    return _act(view, id, lambda: motions.edit(view.db, view.user, id, **given), "saved")


@router.post("/motions/{id}/delete")
def delete(view: Viewing, id: str) -> Response:
    """Remove it, with its files."""
    error = view.attempt(lambda: motions.delete(view.db, view.user, id, view.settings))
    return back("/motions", "deleted") if error is None else _page(view, id, error)


def _act(view: View, id: str, work: Any, done: str) -> Response:
    error = view.attempt(work)
    return back(f"/motions/{id}", done) if error is None else _page(view, id, error)


def _list(view: View, form: FormData | None = None, error: ServiceError | None = None, offset: int = 0) -> Response:
    names = ("name", "body", "labels", "license")
    return view.page(
        "motions.html",
        error,
        page=motions.listed(view.db, view.user, offset=max(offset, 0), limit=25),
        bodies=BODIES,
        sent={name: "" if form is None else text_of(form, name) for name in names},
        upload_mb=view.settings.upload_mb,
    )


def _page(view: View, id: str, error: ServiceError | None = None) -> Response:
    return view.page("motion.html", error, **_values(view, motions.find(view.db, view.user, id)))


def _values(view: View, motion: Motion) -> dict[str, Any]:
    base = f"/api/v1/motions/{motion.id}/files"
    files = [
        Link(file.key, file.name, file.size, file.media_type, f"{base}/{file.key}")
        for file in motions.artefacts(view.db, view.user, motion.id, view.settings)
    ]
    return {
        "motion": motion,
        "owns": view.owns(motion.owner_id),
        "waiting": motion.state in WAITING,
        "files": files,
        "film": first(files, "video/"),
        "filming": motions.is_filmed(view.db, motion),
        "page": first(files, "image/"),
        "figures": tables(motion.figures),
        "log": "\n".join(motions.log(view.db, view.user, motion.id, view.settings)),
    }
