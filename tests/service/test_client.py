"""The client for scripts: what it says of a service that is away, refuses, or stands behind a proxy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from gait_trainers.service import client as module
from gait_trainers.service.client import Client, ClientError


def client(answer: Callable[[httpx.Request], httpx.Response]) -> Client:
    return Client("", "", transport=httpx.Client(base_url="http://x", transport=httpx.MockTransport(answer)))


def away(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("connection refused")


def cut(request: httpx.Request) -> httpx.Response:
    def content():
        yield b"half"
        raise httpx.ReadError("cut off")

    return httpx.Response(200, content=content())


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (away, "refused"),
        (cut, "cut off"),
        (lambda _: httpx.Response(502, text="<html>bad gateway</html>"), "refused"),
        (lambda _: httpx.Response(404, json={"detail": "there is none", "field": None}), "there is none"),
        (lambda _: httpx.Response(500, json=["no problem"]), "refused"),
    ],
)
def test_a_fault_is_one_line_and_leaves_no_file(answer, told: str, tmp_path: Path) -> None:
    for work in (lambda one: one.session("x"), lambda one: one.fetch("x", "run", tmp_path / "run.zip")):
        with pytest.raises(ClientError, match=told) as found:
            work(client(answer))
        assert "\n" not in str(found.value)
    assert list(tmp_path.iterdir()) == []


def test_who_waits_waits_for_a_service_that_is_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    states = iter(["running", None, 503, "running", None, "completed"])

    def answer(request: httpx.Request) -> httpx.Response:
        state = next(states)
        if state is None:
            raise httpx.ConnectError("connection refused")
        return httpx.Response(503) if state == 503 else httpx.Response(200, json={"state": state})

    assert client(answer).wait("x", every=0.0)["state"] == "completed"
    monkeypatch.setattr(module, "AWAY", -1.0)
    with pytest.raises(ClientError, match="connection refused"):
        client(away).wait("x", every=0.0)
    monkeypatch.setattr(module, "AWAY", 60.0)
    with pytest.raises(ClientError, match="connection refused"):
        client(away).wait("x", every=0.0, timeout=0.0)
    with pytest.raises(ClientError, match="there is none"):
        client(lambda _: httpx.Response(404, json={"detail": "there is none"})).wait("x", every=0.0)
