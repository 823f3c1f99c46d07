"""Pages of sessions: the list, the monitor of one, and what may be done with it."""

from __future__ import annotations

import dataclasses
from typing import Any

from fastapi import APIRouter
from fastapi.responses import FileResponse, RedirectResponse, Response

from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.db.heartbeat import Heartbeat
from gait_trainers.service.db.tables import ACTIVE, STATES, TrainingSession
from gait_trainers.service.errors import Invalid
from gait_trainers.service.operations import files, machine, metrics, sessions
from gait_trainers.service.operations.paging import Page
from gait_trainers.service.pages import curves
from gait_trainers.service.pages.formats import figure, tables
from gait_trainers.service.pages.templating import back
from gait_trainers.service.pages.view import Sent, View, Viewing, comma_list, text_of
from gait_trainers.service.security.gate import CSP

router = APIRouter()
PER_PAGE = 25
# MuJoCo's JavaScript makes functions of the names of its C++ types. That page shows no text of users, and has no form.
WALK_CSP = CSP.replace("'wasm-unsafe-eval'", "'unsafe-eval'").replace("form-action 'self'", "form-action 'none'")
MEDIA = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".css": "text/css",
    ".json": "application/json",
}  # of the view in 3D; the rest is bytes


@dataclasses.dataclass(frozen=True)
class Link:
    """A file of a session, and where it is fetched."""

    key: str
    name: str
    size: int | None
    media_type: str
    href: str


@router.get("/")
def home(view: Viewing) -> RedirectResponse:
    """The sessions are what there is to see."""
    return RedirectResponse("/sessions", status_code=303)


@router.get("/sessions")
def listed(view: Viewing, text: str = "", state: str = "", mine: bool = False, offset: int = 0) -> Response:
    """The sessions that the user sees, the newest first."""
    state = state if state in ("active", *STATES) else ""
    found: Page[TrainingSession] = sessions.listed(
        view.db, view.user, state=state or None, text=text or None, mine=mine, offset=max(offset, 0), limit=PER_PAGE
    )
    query = view.request.url.include_query_params().remove_query_params(["offset", "done"]).query
    address = f"/sessions?{query}&" if query else "/sessions?"
    states = ("active", *STATES)
    return view.page("sessions.html", page=found, text=text, state=state, mine=mine, states=states, query=address)


@router.get("/sessions/{id}")
def monitor(view: Viewing, id: str) -> Response:
    """The monitor."""
    session = sessions.find(view.db, view.user, id)
    return _monitor(view, session)


def _monitor(view: View, session: TrainingSession, error: Any = None) -> Response:
    return view.page(
        "monitor.html",
        error,
        **_live(view, session),
        **_picture(view, session),
        **_curves(view, session),
        settings=tables(session.config),
        names=", ".join(sessions.shared_with(view.db, session)),
    )


@router.get("/sessions/{id}/live")
def live(view: Viewing, id: str) -> Response:
    """Progress, figures and log as they are now, for a monitor that is open."""
    session = sessions.find(view.db, view.user, id)
    return view.part("parts/live.html", **_live(view, session))


@router.get("/sessions/{id}/picture")
def picture(view: Viewing, id: str) -> Response:
    """The latest film, for a monitor that is open."""
    session = sessions.find(view.db, view.user, id)
    return view.part("parts/picture.html", **_live(view, session), **_picture(view, session))


@router.get("/sessions/{id}/curves")
def plots(view: Viewing, id: str) -> Response:
    """The plots that there are by now, for a monitor that is open."""
    session = sessions.find(view.db, view.user, id)
    return view.part("parts/curves.html", **_curves(view, session))


@router.post("/sessions/{id}/pause")
def pause(view: Viewing, id: str) -> Response:
    """End its process; it can be continued."""
    return _act(view, id, lambda: sessions.pause(view.db, view.user, id), "pausing")


@router.post("/sessions/{id}/stop")
def stop(view: Viewing, id: str) -> Response:
    """End its process for good."""
    return _act(view, id, lambda: sessions.stop(view.db, view.user, id), "stopping")


@router.post("/sessions/{id}/resume")
def resume(view: Viewing, form: Sent, id: str) -> Response:
    """Continue from the last checkpoint."""
    more = text_of(form, "iterations")

    def work() -> None:
        if more and not more.isdigit():
            raise Invalid("expected a whole number of iterations", "iterations")
        sessions.resume(view.db, view.user, id, view.settings, iterations=int(more) if more else None)

    return _act(view, id, work, "resumed")


@router.post("/sessions/{id}/share")
def share(view: Viewing, form: Sent, id: str) -> Response:
    """Who else sees it."""
    names, everyone = comma_list(text_of(form, "names")), "everyone" in form
    return _act(view, id, lambda: sessions.share(view.db, view.user, id, everyone=everyone, names=names), "shared")


@router.post("/sessions/{id}/film")
def film(view: Viewing, id: str) -> Response:
    """Film the latest checkpoint."""
    return _act(view, id, lambda: files.request_film(view.db, view.user, id, view.settings), "film")


@router.post("/sessions/{id}/validate")
def validate(view: Viewing, id: str) -> Response:
    """Export and validate once more."""
    return _act(view, id, lambda: sessions.validate(view.db, view.user, id), "validate")


@router.post("/sessions/{id}/view")
def make_view(view: Viewing, id: str) -> Response:
    """Show the latest checkpoint in 3D."""
    return _act(view, id, lambda: files.request_film(view.db, view.user, id, view.settings, "view"), "view")


@router.get("/sessions/{id}/view/{name:path}")
def walk(view: Viewing, id: str, name: str) -> FileResponse:
    """The page in which the policy walks, and its files."""
    file = files.open_view(view.db, view.user, id, name or "index.html", view.settings)
    headers = {} if name else {"content-security-policy": WALK_CSP}
    return FileResponse(file, media_type=MEDIA.get(file.suffix), headers=headers)


@router.post("/sessions/{id}/delete")
def delete(view: Viewing, id: str) -> Response:
    """Remove it, with its files."""
    error = view.attempt(lambda: sessions.delete(view.db, view.user, id, view.settings))
    if error is not None:
        return _monitor(view, sessions.find(view.db, view.user, id), error)
    return back("/sessions", "deleted")


def _act(view: View, id: str, work: Any, done: str) -> Response:
    error = view.attempt(work)
    if error is not None:
        return _monitor(view, sessions.find(view.db, view.user, id), error)
    return back(f"/sessions/{id}", done)


def links(view: View, session: TrainingSession) -> list[Link]:
    """The files of a session."""
    found = files.artefacts(view.db, view.user, session.id, view.settings)
    base = f"/api/v1/sessions/{session.id}/files"
    return [Link(file.key, file.name, file.size, file.media_type, f"{base}/{file.key}") for file in found]


def has_view(view: View, session: TrainingSession) -> bool:
    """Whether the policy can be seen walking in 3D."""
    return "vendor/mujoco.js" in files.view_files(session.id, view.settings)


def first(found: list[Link], media: str) -> Link | None:
    """The first file of a kind, such as video/."""
    return next((link for link in found if link.media_type.startswith(media)), None)


def _live(view: View, session: TrainingSession) -> dict[str, Any]:
    progress = metrics.progress_of(session)
    latest = dict(session.latest)
    film = first(links(view, session), "video/")
    active = session.state in ACTIVE
    heartbeat: Heartbeat = view.request.app.state.heartbeat
    return {
        "session": session,
        "algorithm": algorithm(session.algorithm),
        "active": active,
        "unwatched": active and heartbeat.silent(view.db),
        "progress": progress,
        "owns": view.owns(session.owner_id),
        "may_film": session.state in ("running", "paused", "stopped", "completed", "failed") and session.iteration > 0,
        "tiles": _tiles(latest, progress.state) + _machine(view, progress.state),
        "log": sessions.log(view.db, view.user, session.id, view.settings, last=60),
        "film_stamp": f"{film and film.key} {film and film.size} {has_view(view, session)}",
    }


def _picture(view: View, session: TrainingSession) -> dict[str, Any]:
    found = links(view, session)
    return {
        "film": first(found, "video/"),
        "view": has_view(view, session),
    }


def _curves(view: View, session: TrainingSession) -> dict[str, Any]:
    names = metrics.names(view.db, view.user, session.id)
    return {"panels": curves.panels(names), "latest": dict(sorted(session.latest.items()))}


def _tiles(latest: dict[str, Any], state: str) -> list[tuple[str, str]]:
    """The figures beside the progress bar that a training has reported."""
    wanted = (
        ("Success", "is_success_rate" if "is_success_rate" in latest else "success_rate", 100.0, " %"),
        ("Speed", "forward_velocity", 1.0, " m/s"),
        ("Loss on what is held out", "held_out_loss", 1.0, ""),
        ("Steps per second", "steps_per_second", 1.0, ""),
        ("Frames per second", "frames_per_second", 1.0, ""),
        ("Cores in use", "cpu_cores", 1.0, ""),
        ("Memory", "memory_mb", 1.0, " MB"),
        ("GPU memory", "gpu_memory_mb", 1.0, " MB"),
    )
    running = ("steps_per_second", "frames_per_second", "cpu_cores", "memory_mb", "gpu_memory_mb")
    return [
        (title, figure(float(f"{float(latest[key]) * scale:.3g}")) + unit)
        for title, key, scale, unit in wanted
        if latest.get(key) is not None and (state == "running" or key not in running)
    ]


def _machine(view: View, state: str) -> list[tuple[str, str]]:
    """How busy the machine is, while the session runs."""
    if state != "running":
        return []
    found = machine.figures(view.settings)
    tiles = []
    if found.get("cpu") is not None:
        tiles.append(("Machine busy", f"{found['cpu']:.0f} %"))
    if found.get("disk_free_mb") is not None:
        tiles.append(("Disk free", f"{found['disk_free_mb'] / 1000:.1f} GB"))
    return tiles
