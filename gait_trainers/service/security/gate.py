"""Before any route: names under which the service answers, the size of a request, headers of every answer."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gait_trainers.service.settings import LOOPBACK, Settings

SMALL = 1 << 20  # bytes of a request that is no upload
CSP = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; worker-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": CSP,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}


class TooLong(Exception):
    """A request body that goes on beyond its limit."""


class Gate:
    """An ASGI middleware."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.hosts = {host.lower() for host in (*LOOPBACK, settings.host, *settings.hosts)}
        self.upload = settings.upload_mb << 20
        self.headers = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
        if settings.https:
            self.headers.append((b"strict-transport-security", b"max-age=31536000"))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return None
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        private = not scope["path"].startswith("/static/")

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = list(message.get("headers", []))
                names = {name.lower() for name, _ in own}
                own += [(name, value) for name, value in self.headers if name not in names]
                if private and b"cache-control" not in names:
                    own.append((b"cache-control", b"no-store"))
                message = {**message, "headers": own}
            await send(message)

        host = _name_of(headers.get("host", ""))
        if host is None or host.lower() not in self.hosts:
            return await _refuse(answer, 400, "Bad Request", "this service is not known under that name")
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and not _same_site(headers, host):
            return await _refuse(answer, 403, "Forbidden", "the request comes from another site")
        is_upload = scope["path"].rstrip("/") in ("/api/v1/motions", "/motions")
        most = self.upload if is_upload else SMALL
        if is_upload and scope["method"] == "POST" and not headers.keys() & {"authorization", "cookie"}:
            return await _ask_to_log_in(answer, scope["path"])  # before anything is read
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > most:
            return await _refuse(answer, 413, "Content Too Large", f"at most {most} bytes are accepted")
        read, started = 0, False

        async def counted() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > most:
                raise TooLong
            return message

        async def noted(message: Message) -> None:
            nonlocal started
            started = True
            await answer(message)

        try:
            await self.app(scope, counted, noted)
        except TooLong:
            if not started:
                await _refuse(answer, 413, "Content Too Large", f"at most {most} bytes are accepted")
        return None


def _name_of(host: str) -> str | None:
    """The name in a Host header, without the port; None for what is no such header."""
    if not host or not all(c.isalnum() or c in "-.:[]_" for c in host):
        return None
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _same_site(headers: dict[str, str], host: str) -> bool:
    """Whether a browser says that a page of ours sent the request; scripts say nothing."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or _name_of(origin.partition("://")[2]) == host


async def _ask_to_log_in(send: Send, path: str) -> None:
    if path.startswith("/api/"):
        await _refuse(send, 401, "Unauthorized", "log in, or send a token")
        return
    await send({"type": "http.response.start", "status": 303, "headers": [(b"location", b"/login?next=/motions")]})
    await send({"type": "http.response.body", "body": b""})


async def _refuse(send: Send, status: int, title: str, detail: str) -> None:
    body: dict[str, Any] = {"type": "about:blank", "title": title, "status": status, "detail": detail, "field": None}
    data = json.dumps(body).encode()
    kind = (b"content-type", b"application/problem+json")
    await send({"type": "http.response.start", "status": status, "headers": [kind]})
    await send({"type": "http.response.body", "body": data})
