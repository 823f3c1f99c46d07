"""What an attacker would send: every text field, every id, every route."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from helpers.service import TINY
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.tables import User

pytestmark = pytest.mark.web  # thousands of requests
TEXTS = (
    "' OR '1'='1", "'; DROP TABLE users; --", "<script>alert(1)</script>", "{{7*7}}${7*7}", "%00", "%2e%2e%2fpasswd",
    "../../../../etc/passwd", "\\\\host\\share", "a" * 90, "Ω≈ç√∫", "$(touch /tmp/x)", "--help", "\u202eevil",
)  # fmt: skip
IDS = (
    "1", "0", "-1", "aaaaaaaaaaaaaaaa", "../../etc", "..%2f..%2fetc%2fpasswd", "%00", "a" * 300, "' OR 1=1 --", "null",
    "A" * 16, "%2e%2e", "*",
)  # fmt: skip


@pytest.fixture
def users(engine: Engine) -> Any:
    """How many there are, which no attack changes."""

    def count() -> int:
        with Session(engine) as db:
            return db.scalar(select(func.count()).select_from(User)) or 0

    return count


def test_no_id_leads_anywhere(app: FastAPI, administrator: TestClient) -> None:
    """Not even an administrator's: what is asked for does not exist, and nothing breaks."""
    for path, methods in app.openapi()["paths"].items():
        if "{" not in path:
            continue
        for method in methods:
            for id in IDS:
                url = f"http://localhost{path}"
                for name in ("id", "key", "name", "reference", "file"):
                    url = url.replace(f"{{{name}}}", id)
                answer = administrator.request(method.upper(), url, json={"name": "x", "number": 1, "changes": {}})
                assert answer.status_code in (404, 405, 422), (
                    f"{method} {url}: {answer.status_code} {answer.text[:200]}"
                )
                assert "root:" not in answer.text


@pytest.mark.parametrize("text", TEXTS)
def test_texts_are_only_texts(trainer: TestClient, users: Any, text: str) -> None:
    before = users()
    made = trainer.post("/sessions", json=TINY | {"name": text, "tags": [text]})
    assert made.status_code == 201, made.text
    assert made.json()["name"] == text
    assert made.headers["content-type"] == "application/json"
    assert trainer.get("/sessions", params={"text": text}).json()["total"] == 1
    for params in ({"state": text}, {"limit": text}, {"offset": text}):
        assert trainer.get("/sessions", params=params).status_code == 422
    assert trainer.get("/sessions", params={"algorithm": text}).json()["total"] == 0
    for field in ("algorithm", "preset", "env"):
        assert trainer.post("/sessions", json=TINY | {field: text}).status_code == 422
    assert trainer.post("/sessions", json=TINY | {"settings": {text: 1}}).status_code == 422
    assert trainer.post("/sessions", json=TINY | {"motions": [text]}).status_code == 422
    assert trainer.post("/login", json={"name": text, "password": text}).status_code in (401, 422)
    assert users() == before


BODIES = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"1e999",
    b'{"name": NaN}',
    b"\xff\xfe",
    b'{"a":' * 5000,
    b'"' + b"x" * 1000 + b'"',
)


@pytest.mark.parametrize("body", BODIES)
def test_malformed_bodies_are_refused(trainer: TestClient, body: bytes) -> None:
    for path in ("/sessions", "/tokens", "/studies", "/estimate", "/login"):
        answer = trainer.post(path, content=body, headers={"content-type": "application/json"})
        assert answer.status_code in (400, 422), f"{path} {body[:20]!r}: {answer.status_code}"


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 10**30}, {"seed": -1}, {"seed": 1.5}, {"iterations": 10**18}, {"num_envs": 10**9},
        {"hidden_sizes": []}, {"hidden_sizes": [0]}, {"hidden_sizes": [64] * 100}, {"learning_rate": 1e400},
        {"learning_rate": "NaN"},
        {"settings": {"ppo.gamma": "0.9; import os"}}, {"settings": {"ppo": {"gamma": 0.9}}}, {"tags": ["x"] * 1000},
        {"settings": {"env.kwargs.reward_weights": {"__class__": 1}}}, {"name": "a\x00b"}, {"name": ["a"]},
        {"timeout_hours": -1}, {"timeout_hours": 1e308}, {"settings": {"ppo.clip_range": 1e300}},
    ],
)  # fmt: skip
def test_numbers_have_limits(trainer: TestClient, changes: dict[str, Any]) -> None:
    body = TINY | changes
    if "settings" in changes:
        body["settings"] = TINY["settings"] | changes["settings"]
    try:
        answer = trainer.post("/sessions", json=body)
    except ValueError:  # the client refuses to send infinity
        return
    assert answer.status_code in (400, 422), answer.text


def test_headers_do_no_harm(trainer: TestClient) -> None:
    for name, value in (
        ("authorization", "Bearer "), ("authorization", "Basic YTpi"), ("authorization", "Bearer " + "x" * 5000),
        ("authorization", "Bearer gn_' OR 1=1 --"),
    ):  # fmt: skip
        assert trainer.get("/me", headers={name: value}).status_code == 401
    for value in ("x" * 201, "\x01"):
        assert trainer.post("/sessions", json=TINY, headers={"idempotency-key": value}).status_code == 422
    assert trainer.get("/sessions", headers={"x-forwarded-host": "evil.example"}).status_code == 200
