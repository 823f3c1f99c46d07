"""Errors as application/problem+json, for the interface; and its routes' description of them."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from sqlalchemy.exc import IntegrityError, OperationalError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from gait_envs.errors import one_line
from gait_trainers.service.api.shapes import Problem
from gait_trainers.service.errors import ServiceError

TYPE = "application/problem+json"
STATUSES = {
    400: "The request cannot be read.", 401: "Nobody is logged in.",
    403: "The role does not allow it, or the CSRF token is missing.",
    404: "There is nothing of this name that the user may see.", 409: "The state does not allow it.",
    413: "The request is too large.", 422: "A field has a value that is not allowed.",
    429: "A quota or a rate is used up.",
}  # fmt: skip
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": {TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    for status, text in STATUSES.items()
}


def problem(status: int, title: str, detail: str, field: str | None = None) -> JSONResponse:
    """An answer that says what is wrong."""
    found = Problem(title=title, status=status, detail=detail, field=field)
    return JSONResponse(found.model_dump(), status, media_type=TYPE)


def is_interface(request: Request) -> bool:
    """Whether a script asks, rather than a browser for a page."""
    return request.url.path.startswith(("/api/", "/training/"))


def install(app: FastAPI) -> None:
    """Every error of a route becomes a problem; pages may put handlers of their own before these."""

    @app.exception_handler(ServiceError)
    def service_error(request: Request, error: ServiceError) -> JSONResponse:
        return problem(error.status, error.title, error.message, error.field)

    @app.exception_handler(RequestValidationError)
    def validation(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        place = [str(part) for part in first["loc"]]
        if first["type"] == "json_invalid":
            return problem(400, "Bad Request", "the body is not JSON")
        return problem(422, "Unprocessable", one_line(first["msg"]), ".".join(place[1:]) or None)

    @app.exception_handler(HTTPException)
    def http(request: Request, error: HTTPException) -> JSONResponse:
        answer = problem(error.status_code, str(error.detail), str(error.detail))
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(IntegrityError)
    def taken(request: Request, error: IntegrityError) -> JSONResponse:
        return problem(409, "Conflict", "another request was faster; try again")

    @app.exception_handler(OperationalError)
    def busy(request: Request, error: OperationalError) -> JSONResponse:
        answer = problem(503, "Service Unavailable", "the database is busy or cannot be written; try again")
        answer.headers["retry-after"] = "2"
        return answer
