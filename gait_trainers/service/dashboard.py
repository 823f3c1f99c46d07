"""Optuna's own dashboard of the searches, to be looked at: by who is logged in, of the studies that they may see.

It is a WSGI application that knows no users, and whose routes read, change and delete every study. So

- only GET and HEAD are let in; anything else is refused before it is asked, and with it the question of CSRF;
- only routes of `ROUTES` answer, and those of a study only to who may see it. This is decided within the dashboard, of
  the route and the number that it has itself found in the address: there is no second reading of the address that
  could differ from its own, and a route that a later version adds is closed until it has been thought about;
- its page may load its own script and read the routes of the dashboard, and nothing else of this site.

Its addresses begin at the root of the site: `/dashboard`, `/api/studies`, `/csv`, `/static/bundle.js`. They stay there,
for none of ours is among them (`/api/v1`, and in `/static` there is no `bundle.js`), and a prefix would have to be
written into six megabytes of minified JavaScript. It is imported when it is first asked for, not by an idle server.
"""

from __future__ import annotations

import functools
import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gait_trainers.service.api.problems import TYPE, problem
from gait_trainers.service.errors import NotFound
from gait_trainers.service.jobs.search import kept
from gait_trainers.service.operations import studies
from gait_trainers.service.security.access import Database, SignedIn

router = APIRouter(include_in_schema=False)
SEEN = "gaitnet.studies"  # in the scope of a request: id -> name of the studies that may be seen
THREADS = 4
# Routes of the dashboard for GET -> what is done with them. A route that is not here is closed.
OPEN, LIST, ONE, CLOSED = "open to who is logged in", "filtered", "of a study that may be seen", "closed"
ROUTES = {
    "/": CLOSED,
    "/dashboard<:re:(/.*)?>": OPEN,  # the page, whatever it shows
    "/api/meta": OPEN,
    "/api/studies": LIST,
    "/api/studies/<study_id:int>": ONE,
    "/api/studies/<study_id:int>/param_importances": ONE,
    "/api/studies/<study_id:int>/plot/<plot_type>": CLOSED,  # plots are drawn by the browser, not by the server
    "/csv/<study_id:int>": ONE,
    "/favicon.ico": CLOSED,
    "/static/<filename:path>": OPEN,  # of which `ADDRESSES` lets one through
    "/incompatible-rdb-schema": CLOSED,
    "/artifacts/<study_id:int>/<artifact_id:re:[0-9a-fA-F-]+>": CLOSED,  # trials here have no files
    "/artifacts/<study_id:int>/<trial_id:int>/<artifact_id:re:[0-9a-fA-F-]+>": CLOSED,
}
ADDRESSES = (
    "/dashboard", "/dashboard/{rest:path}", "/api/meta", "/api/studies", "/api/studies/{rest:path}", "/csv/{rest:path}",
    "/static/bundle.js",
)  # fmt: skip


@functools.cache
def installed() -> bool:
    """Whether there is a dashboard; looked up, not imported."""
    return all(importlib.util.find_spec(name) for name in ("optuna_dashboard", "a2wsgi"))


# -- routes of ours --------------------------------------------------------------------------------------


@router.get("/search/{id}/dashboard")
def open_study(request: Request, id: str, db: Database, who: SignedIn) -> Response:
    """To the page of a search, which the dashboard knows by a number; to the list where it has no trial yet."""
    study, home = studies.find(db, who.user, id), _home(request)
    try:
        number = kept(home).get_study_id_from_name(study.id)
    except KeyError:
        return RedirectResponse("/dashboard", status_code=303)
    return RedirectResponse(f"/dashboard/studies/{number}", status_code=303)


def ask(request: Request, db: Database, who: SignedIn) -> Response:
    """What the dashboard answers."""
    page = request.url.path.startswith("/dashboard")
    headers = page_headers(request.headers["host"]) if page else {}
    return Passed(application(_home(request)), studies.names(db, who.user), headers)


def refuse() -> Response:
    """Whatever is not GET: it would change something, or is nothing."""
    answer = problem(405, "Method Not Allowed", "the dashboard is for looking only; change searches under /search")
    answer.headers["allow"] = "GET, HEAD"
    return answer


for _address in ADDRESSES:
    router.add_api_route(_address, ask, methods=["GET", "HEAD"], response_model=None)
    router.add_api_route(
        _address, refuse, methods=["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"], response_model=None
    )


def _home(request: Request) -> Path:
    """The folder of the journal; NotFound without a dashboard."""
    if not installed():
        raise NotFound("Optuna's dashboard is not installed")
    home: Path = request.app.state.settings.home
    return home


def page_headers(host: str) -> dict[str, str]:
    """What the page needs, and no more.

    Its 3D plots compile functions from text (`unsafe-eval`). In return it may run its own script alone, send no form,
    and ask for nothing but routes of the dashboard; a window of ours that it opened would be out of its reach.
    Policies have paths of hosts with names, and of 127.0.0.1; at another number the whole site must do.
    """
    numbered = "[" in host or host.partition(":")[0].rpartition(".")[2].isdigit()
    places = ["/static/bundle.js", "/api/meta", "/api/studies", "/api/studies/"]
    places = ["'self'"] if numbered and not host.startswith("127.0.0.1") else [host + place for place in places]
    policy = {
        "default-src": "'none'",
        "script-src": f"{places[0]} 'unsafe-eval'",
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "connect-src": " ".join(places[1:] or places),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "content-security-policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "cross-origin-opener-policy": "noopener-allow-popups",
    }


class Passed(Response):
    """An answer of the dashboard, with headers that win over its own."""

    def __init__(self, application: ASGIApp, seen: dict[str, str], headers: dict[str, str]) -> None:
        super().__init__()
        self.application, self.seen = application, seen
        self.own = {name.encode(): value.encode() for name, value in headers.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                theirs = [header for header in message["headers"] if header[0].lower() not in self.own]
                message = {**message, "headers": [*theirs, *self.own.items()]}
            await send(message)

        await self.application({**scope, SEEN: self.seen}, receive, answer)


# -- within the dashboard --------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def application(home: Path) -> ASGIApp:
    """The dashboard on the journal in this folder."""
    from a2wsgi import WSGIMiddleware

    return cast(ASGIApp, WSGIMiddleware(guarded(home), workers=THREADS))


def guarded(home: Path) -> Any:
    """The dashboard's own application, a `bottle.Bottle`, with every route behind `Guard`."""
    import optuna_dashboard

    app = optuna_dashboard.wsgi(kept(home))
    app.install(Guard(kept(home)))
    return app


class Guard:
    """A plugin of bottle, which wraps what answers each route, with the arguments that bottle has read."""

    name, api = "guard", 2

    def __init__(self, storage: Any) -> None:
        self.storage = storage

    def apply(self, callback: Callable[..., Any], route: Any) -> Callable[..., Any]:
        """The callback of a route, for those who may see what it answers."""
        import bottle

        kind = ROUTES.get(route.rule, CLOSED) if route.method == "GET" else CLOSED

        def guarded(**arguments: Any) -> Any:
            environ = bottle.request.environ
            environ.setdefault("HTTP_ACCEPT_ENCODING", "identity")  # a header without which static files fail
            seen: dict[str, str] = environ["asgi.scope"][SEEN]
            study = self._name(arguments["study_id"]) if kind == ONE else ""
            refused = None
            if kind == CLOSED or (kind == ONE and study not in seen):
                refused = problem(404, "Not Found", "there is no such study")
            elif not re.fullmatch("[0-9]{1,9}", bottle.request.query.get("after", "0")):
                refused = problem(422, "Unprocessable", "expected the number of trials that are known", "after")
            if refused is not None:
                return bottle.HTTPResponse(bytes(refused.body), refused.status_code, {"Content-Type": TYPE})
            answer = callback(**arguments)
            if kind == LIST:
                return _listed(answer, seen)
            return _named(answer, study, seen) if isinstance(answer, dict) else answer

        return guarded

    def _name(self, number: int) -> str:
        """What a study is called in the journal: its id with us."""
        try:
            return str(self.storage.get_study_name_from_id(number))
        except KeyError:
            return ""


def _listed(answer: dict[str, Any], seen: dict[str, str]) -> dict[str, Any]:
    """Of a list the studies that may be seen; an error where a later version calls the list otherwise."""
    rows = [row for row in answer["study_summaries"] if row["study_name"] in seen]
    return {"study_summaries": [row | {"study_name": seen[row["study_name"]]} for row in rows]}


def _named(answer: dict[str, Any], study: str, seen: dict[str, str]) -> dict[str, Any]:
    """A study under the name that its owner gave it; and that plots are not drawn by the server, see ROUTES."""
    changes = {"name": seen.get(study), "plotlypy_is_available": False}
    return answer | {key: value for key, value in changes.items() if key in answer}
