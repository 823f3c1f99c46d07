"""Errors that a caller over HTTP can cause: a status, a message, and the field at fault."""

from __future__ import annotations

from gait_envs.errors import GaitNetError


class ServiceError(GaitNetError):
    """What was asked cannot be done; `message` says why, `field` which field of the request is at fault."""

    status, title = 422, "Unprocessable"

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.message, self.field = message, field


class Invalid(ServiceError):
    """A value that is not allowed."""


class Unauthenticated(ServiceError):
    """Nobody is logged in."""

    status, title = 401, "Unauthorized"


class Forbidden(ServiceError):
    """The role of the user does not allow it, or the CSRF token is missing."""

    status, title = 403, "Forbidden"


class NotFound(ServiceError):
    """There is nothing of this name that the user may see."""

    status, title = 404, "Not Found"


class Conflict(ServiceError):
    """The state of the thing does not allow it."""

    status, title = 409, "Conflict"


class TooLarge(ServiceError):
    """More than is accepted."""

    status, title = 413, "Content Too Large"


class TooMany(ServiceError):
    """A quota or a rate is used up."""

    status, title = 429, "Too Many Requests"
