"""A small client of the REST interface, for scripts.

from gait_trainers.service.client import Client

service = Client("http://127.0.0.1:8080", token="gn_…")
session = service.start(name="walk", algorithm="ppo-amp", preset="laptop", key="walk-1")
service.wait(session["id"])
service.fetch(session["id"], "bundle", "walk.zip")
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from gait_envs.errors import GaitNetError, one_line
from gait_envs.files import replacing

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
        """transport: another than the network, as in tests."""
        headers = {"authorization": f"Bearer {token}"}
        base = f"{url.rstrip('/')}/api/v1"
        self._http = transport or httpx.Client(base_url=base, headers=headers, timeout=timeout)

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
            raise ClientError(f"{path}: {one_line(error)}") from None
        if answer.status_code >= 400:
            raise _refusal(answer)
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
    ) -> dict[str, Any]:
        """The training once it is at rest; ClientError after `timeout` seconds.

        A service that does not answer, as while it is started again, is asked again for `AWAY` seconds.
        """
        ends = None if timeout is None else time.monotonic() + timeout
        heard = time.monotonic()
        while True:
            try:
                session = self.session(id)
            except ClientError as error:
                now = time.monotonic()
                is_away = error.status is None or error.status in (502, 503, 504)
                if not is_away or now - heard > AWAY or (ends is not None and now > ends):
                    raise
                time.sleep(every)
                continue
            heard = time.monotonic()
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
                    raise _refusal(answer, f"{key}: ")
                with replacing(out) as temporary, open(temporary, "wb") as file:
                    for block in answer.iter_bytes():
                        file.write(block)
        except httpx.HTTPError as error:
            raise ClientError(f"{key}: {one_line(error)}") from None
        return Path(out)


def _refusal(answer: Any, before: str = "") -> ClientError:
    """What an answer says; that of a proxy, which is no problem of ours, says nothing."""
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    problem = problem if isinstance(problem, dict) else {}
    field = problem.get("field")
    told = f"{field}: {problem.get('detail')}" if field else problem.get("detail") or "refused"
    return ClientError(one_line(f"{before}{told}", 500), answer.status_code, field)
