"""A small client of the REST interface, for scripts.

from gait_trainers.service.client import Client

service = Client("http://127.0.0.1:8080", token="gn_…")
session = service.start(name="walk", algorithm="ppo-amp", preset="laptop", key="walk-1")
service.wait(session["id"])
service.fetch(session["id"], "bundle", "walk.zip")
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from gait_envs.errors import GaitNetError, one_line
from gait_envs.files import replacing

EXAMPLE = "http://127.0.0.1:8080"
AWAY = 60.0  # s for which `wait` believes that a service which does not answer comes back
AT_REST = ("paused", "stopped", "completed", "failed")


class ClientError(GaitNetError, RuntimeError):
    """What the service has refused, or that it cannot be reached."""

    def __init__(self, message: str, status: int | None = None, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.field = status, field


class Client:
    """A service, and a token for it."""

    def __init__(self, url: str, token: str, *, timeout: float = 30.0, transport: Any = None) -> None:
        """transport: another than the network, as in tests. ClientError for what is no address or no token."""
        self.url = _shown(url.rstrip("/"))  # for messages
        self._http = transport or _connection(url.rstrip("/"), token, timeout)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def call(self, method: str, path: str, **options: Any) -> Any:
        """One request; ClientError says what the service says."""
        try:
            answer = self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._away(error, path) from None
        if answer.status_code >= 400:
            raise self._refusal(answer)
        is_json = answer.headers.get("content-type", "").startswith("application/json")
        return answer.json() if is_json else answer.text

    def start(self, *, key: str | None = None, **request: Any) -> dict[str, Any]:
        """Start a training: the fields of a StartRequest. With a key, a repetition is the same training."""
        headers = {} if key is None else {"Idempotency-Key": key}
        found: dict[str, Any] = self.call("POST", "/sessions", json=request, headers=headers)
        return found

    def session(self, id: str) -> dict[str, Any]:
        """A training."""
        found: dict[str, Any] = self.call("GET", f"/sessions/{id}")
        return found

    def sessions(self, **filters: Any) -> list[dict[str, Any]]:
        """Trainings, the newest first, at most 200."""
        found: list[dict[str, Any]] = self.call("GET", "/sessions", params={"limit": 200} | filters)["items"]
        return found

    def metrics(self, id: str, *names: str, points: int = 500) -> dict[str, Any]:
        """Curves by name; all where none is named."""
        params = {"points": points} | ({"names": ",".join(names)} if names else {})
        found: dict[str, Any] = self.call("GET", f"/sessions/{id}/metrics", params=params)
        return found

    def act(self, id: str, action: str, **body: Any) -> dict[str, Any]:
        """pause, stop, resume, clone, share or publish."""
        found: dict[str, Any] = self.call("POST", f"/sessions/{id}/{action}", json=body)
        return found

    def wait(
        self,
        id: str,
        *,
        timeout: float | None = None,
        every: float = 1.0,
        say: Callable[[dict[str, Any]], None] = lambda _: None,
        away: Callable[[ClientError], None] = lambda _: None,
    ) -> dict[str, Any]:
        """The training once it is at rest; ClientError after `timeout` seconds.

        A service that does not answer, as while it is started again, is asked again for `AWAY` seconds; `away` is
        told of it, once each time that it falls silent.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        heard, silent = time.monotonic(), False
        while True:
            try:
                session = self.session(id)
            except ClientError as error:
                now = time.monotonic()
                is_away = error.status is None or error.status in (502, 503, 504)
                if not is_away or now - heard > AWAY or (ends is not None and now > ends):
                    raise
                if not silent:
                    away(error)
                silent = True
                time.sleep(every)
                continue
            heard, silent = time.monotonic(), False
            say(session)
            if session["state"] in AT_REST:
                return session
            if ends is not None and time.monotonic() > ends:
                raise ClientError(f"{id} is still {session['state']} after {timeout:g} s")
            time.sleep(every)

    def fetch(self, id: str, key: str, out: str | Path) -> Path:
        """Download a file of a training (bundle, run, film, metrics, log, …)."""
        try:
            with self._http.stream("GET", f"/sessions/{id}/files/{key}") as answer:
                if answer.status_code >= 400:
                    answer.read()
                    raise self._refusal(answer, f"{key}: ")
                with replacing(out) as temporary, open(temporary, "wb") as file:
                    for block in answer.iter_bytes():
                        file.write(block)
        except httpx.HTTPError as error:
            raise self._away(error, key) from None
        return Path(out)

    def _away(self, error: httpx.HTTPError, what: str) -> ClientError:
        """No answer, or none that is whole."""
        reason = re.sub(r"^\[Errno -?\d+\] ", "", one_line(error)) or type(error).__name__
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return ClientError(f"no service answers at {self.url} (GAITNET_URL, --url): {reason}")
        return ClientError(f"{self.url}: {what}: {reason}")

    def _refusal(self, answer: Any, before: str = "") -> ClientError:
        """What an answer says; that of a proxy, which is no problem of ours, says nothing."""
        try:
            problem = answer.json()
        except ValueError:
            problem = {}
        problem = problem if isinstance(problem, dict) else {}
        field = problem.get("field")
        told = f"{field}: {problem.get('detail')}" if field else problem.get("detail") or f"refused by {self.url}"
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            told = f"{self.url} does not accept the token (GAITNET_TOKEN, --token); its page Account makes one"
        return ClientError(one_line(f"{before}{told}", 500), answer.status_code, field)


def _shown(url: str) -> str:
    """An address for a message, without the name and password that it may hold; also of what is no address."""
    return re.sub(r"^([a-z][a-z0-9+.-]*:/*)?.*@", r"\1", url, flags=re.IGNORECASE | re.DOTALL)


def _connection(url: str, token: str, timeout: float) -> httpx.Client:
    """A connection to the service; ClientError where the address or the token cannot be one."""
    try:
        address = httpx.URL(url)
    except httpx.InvalidURL:
        address = httpx.URL()
    if address.scheme not in ("http", "https") or not address.host:
        raise ClientError(
            f"{one_line(_shown(url))!r} is no address of a service (GAITNET_URL, --url); write it as {EXAMPLE}"
        )
    if not re.fullmatch(r"[!-~]+", token):
        what = "is not one: it has other characters than letters, digits and signs" if token else "is missing"
        raise ClientError(f"the token {what} (GAITNET_TOKEN, --token); the page Account of {_shown(url)} makes one")
    return httpx.Client(base_url=f"{url}/api/v1", headers={"authorization": f"Bearer {token}"}, timeout=timeout)
