"""The client for scripts: what it says of a service that is away, refuses, or stands behind a proxy."""

from __future__ import annotations

import socket
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


@pytest.mark.parametrize(
    ("url", "token", "told"),
    [
        ("http://127.0.0.1:8080", "", "the token is missing (GAITNET_TOKEN, --token)"),
        ("http://127.0.0.1:8080", "gn_…", "the token is not one"),
        ("http://127.0.0.1:8080", "gn_x\n", "the token is not one"),
        ("foo", "gn_x", "'foo' is no address of a service (GAITNET_URL, --url); write it as http://127.0.0.1:8080"),
        ("", "gn_x", "'' is no address of a service"),
        ("ftp://host", "gn_x", "'ftp://host' is no address of a service"),
        ("http://", "gn_x", "'http:' is no address of a service"),
        ("http://host:port", "gn_x", "'http://host:port' is no address of a service"),
    ],
)
def test_what_is_no_address_or_no_token_is_said_at_once(url: str, token: str, told: str) -> None:
    with pytest.raises(ClientError) as found:
        Client(url, token)
    assert told in str(found.value)
    assert "\n" not in str(found.value)


def test_a_service_that_is_away_is_named_with_what_to_set(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with Client(url, "gn_x") as service:
        for ask in (service.sessions, lambda: service.fetch("x", "run", tmp_path / "run.zip")):
            with pytest.raises(ClientError) as found:
                ask()
            assert str(found.value) == f"no service answers at {url} (GAITNET_URL, --url): Connection refused"


def test_a_password_in_the_address_is_not_repeated(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://user:secret@127.0.0.1:{free.getsockname()[1]}"
    with Client(url, "gn_x") as service, pytest.raises(ClientError, match=r"answers at http://127\.0\.0\.1:") as away:
        service.sessions()
    told = [str(away.value)]
    for wrong, token in (
        (url, ""),
        ("ftp://u:secret@host", "gn_x"),
        ("u:secret@host", "gn_x"),
        ("http://u:secret@host:port", "x"),
    ):
        with pytest.raises(ClientError) as found:
            Client(wrong, token)
        told.append(str(found.value))
    assert "secret" not in " ".join(told)


def test_a_token_that_is_not_accepted_says_where_it_came_from() -> None:
    one = client(lambda _: httpx.Response(401, json={"detail": "log in, or send a token", "field": None}))
    with pytest.raises(ClientError, match=r"does not accept the token \(GAITNET_TOKEN, --token\)") as found:
        one.sessions()
    assert found.value.status == 401


def test_who_waits_hears_once_that_the_service_is_away() -> None:
    states = iter([None, None, "running", None, "completed"])

    def answer(_: httpx.Request) -> httpx.Response:
        state = next(states)
        if state is None:
            raise httpx.ConnectError("[Errno 111] Connection refused")
        return httpx.Response(200, json={"state": state})

    told: list[str] = []
    client(answer).wait("x", every=0.0, away=lambda error: told.append(str(error)))
    assert told == ["no service answers at  (GAITNET_URL, --url): Connection refused"] * 2
