"""Who may do what: log-in, CSRF, tokens, roles, ownership, limits, headers."""

from __future__ import annotations

import asyncio
import datetime

import pytest
from fastapi.testclient import TestClient
from helpers.service import PASSWORD, TINY
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session
from starlette import formparsers

from gait_trainers.service.db.tables import Audit, Login, LoginAttempt, Token, now

LOGIN = "/api/v1/login"


def log_in(client: TestClient, name: str = "tess", password: str = PASSWORD) -> str:
    answer = client.post(LOGIN, json={"name": name, "password": password})
    assert answer.status_code == 200, answer.text
    return answer.json()["csrf"]


def test_nobody_sees_anything_without_logging_in(anybody: TestClient, app) -> None:
    public = {LOGIN, "/api/v1/openapi.json"}
    for route in app.openapi()["paths"].items():
        path, methods = route
        for method in methods:
            if path not in public:
                answer = anybody.request(method.upper(), path.replace("{", "").replace("}", ""), json={})
                assert answer.status_code in (401, 422), f"{method} {path}: {answer.status_code}"
                assert answer.status_code == 401 or method == "post" or "{" in path, f"{method} {path}"


def test_a_cookie_logs_in_and_out(anybody: TestClient) -> None:
    csrf = log_in(anybody)
    assert anybody.get("/api/v1/me").json()["user"]["name"] == "tess"
    cookie = anybody.cookies["gaitnet"]
    assert anybody.post("/api/v1/logout", headers={"x-csrf-token": csrf}).status_code == 204
    anybody.cookies.set("gaitnet", cookie)
    assert anybody.get("/api/v1/me").status_code == 401, "the cookie must be worthless after the log-out"


def test_the_cookie_is_for_the_browser_alone(anybody: TestClient, db: Session) -> None:
    answer = anybody.post(LOGIN, json={"name": "tess", "password": PASSWORD})
    told = answer.headers["set-cookie"].lower()
    assert "httponly" in told
    assert "samesite=lax" in told
    assert anybody.cookies["gaitnet"] not in {row.token_hash for row in db.scalars(select(Login))}


def test_a_cookie_alone_changes_nothing(anybody: TestClient) -> None:
    csrf = log_in(anybody)
    for header in ({}, {"x-csrf-token": "wrong"}, {"x-csrf-token": csrf[:-1]}):
        answer = anybody.post("/api/v1/sessions", json=TINY, headers=header)
        assert answer.status_code == 403
        assert "CSRF" in answer.json()["detail"]
    assert anybody.post("/api/v1/sessions", json=TINY, headers={"x-csrf-token": csrf}).status_code == 201


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}])
def test_other_sites_change_nothing(anybody: TestClient, headers: dict[str, str]) -> None:
    csrf = log_in(anybody)
    answer = anybody.post("/api/v1/sessions", json=TINY, headers={"x-csrf-token": csrf, **headers})
    assert answer.status_code == 403


def test_forged_and_expired_cookies_are_worthless(anybody: TestClient, engine: Engine) -> None:
    log_in(anybody)
    good = anybody.cookies["gaitnet"]
    for forged in ("", "x", good[:-1] + ("a" if good[-1] != "a" else "b"), good.upper(), "\x7f" * 50, "' OR 1=1 --"):
        client = TestClient(anybody.app, base_url="http://localhost")
        assert client.get("/api/v1/me", headers={"cookie": f"gaitnet={forged}"}).status_code == 401
    with Session(engine) as db:
        db.execute(update(Login).values(expires_at=now() - datetime.timedelta(seconds=1)))
        db.commit()
    assert anybody.get("/api/v1/me").status_code == 401


def test_wrong_names_and_passwords_look_alike_and_are_limited(anybody: TestClient, engine: Engine) -> None:
    texts = set()
    for name in ("tess", "nobody-of-this-name") * 5:
        answer = anybody.post(LOGIN, json={"name": name, "password": "wrong password"})
        assert answer.status_code == 401
        texts.add(answer.text)
    assert len(texts) == 1
    assert anybody.post(LOGIN, json={"name": "tess", "password": PASSWORD}).status_code == 429
    with Session(engine) as db:
        db.execute(update(LoginAttempt).values(created_at=now() - datetime.timedelta(minutes=11)))
        db.commit()
    log_in(anybody)


def test_a_token_is_shown_once_and_kept_as_a_hash(trainer: TestClient, db: Session) -> None:
    made = trainer.post("/tokens", json={"name": "laptop"}).json()
    assert made["token"].startswith("gn_")
    assert "token" not in trainer.get("/tokens").json()[0]
    stored = " ".join(str(vars(row)) for row in db.scalars(select(Token)))
    assert made["token"] not in stored
    script = TestClient(trainer.app, base_url="http://localhost/api/v1")
    script.headers["authorization"] = f"Bearer {made['token']}"
    assert script.get("/me").json()["user"]["name"] == "tess"
    assert trainer.delete(f"/tokens/{made['id']}").status_code == 204
    assert script.get("/me").status_code == 401


def test_tokens_of_others_cannot_be_revoked(trainer: TestClient, other: TestClient) -> None:
    mine = trainer.get("/tokens").json()[0]["id"]
    assert other.delete(f"/tokens/{mine}").status_code == 404
    assert trainer.get("/me").status_code == 200


def test_a_viewer_starts_nothing(viewer: TestClient) -> None:
    for path, body in (("/sessions", TINY), ("/studies", {"name": "x", "base": TINY, "space": {"amp.weight": {}}})):
        assert viewer.post(path, json=body).status_code in (403, 422)
    assert viewer.post("/sessions", json=TINY).status_code == 403
    assert viewer.get("/sessions").json()["total"] == 0


def test_only_administrators_see_accounts(trainer: TestClient, administrator: TestClient) -> None:
    new = {"name": "eve", "password": PASSWORD, "role": "administrator"}
    assert trainer.get("/users").status_code == trainer.get("/audit").status_code == 403
    assert trainer.post("/users", json=new).status_code == 403
    made = administrator.post("/users", json=new | {"role": "viewer"})
    assert made.status_code == 201
    assert "password" not in made.text
    assert administrator.post("/users", json=new).status_code == 409
    assert administrator.patch(f"/users/{made.json()['id']}", json={"active": False}).json()["active"] is False


def test_somebody_stays_administrator(administrator: TestClient) -> None:
    mine = administrator.get("/me").json()["user"]["id"]
    assert administrator.patch(f"/users/{mine}", json={"role": "viewer"}).status_code == 409
    assert administrator.get("/users").status_code == 200


def test_a_user_who_is_not_active_is_out_at_once(administrator: TestClient, other: TestClient) -> None:
    them = next(user for user in administrator.get("/users").json()["items"] if user["name"] == "tom")
    administrator.patch(f"/users/{them['id']}", json={"active": False})
    assert other.get("/me").status_code == 401


def test_a_new_password_ends_other_log_ins(anybody: TestClient) -> None:
    elsewhere = TestClient(anybody.app, base_url="http://localhost")
    log_in(elsewhere)
    csrf = log_in(anybody)
    wrong = anybody.post("/api/v1/password", json={"old": "x", "new": "a" * 12}, headers={"x-csrf-token": csrf})
    assert wrong.status_code == 422
    assert wrong.json()["field"] == "old"
    right = {"old": PASSWORD, "new": "battery staple"}
    assert anybody.post("/api/v1/password", json=right, headers={"x-csrf-token": csrf}).status_code == 204
    assert anybody.get("/api/v1/me").status_code == 200
    assert elsewhere.get("/api/v1/me").status_code == 401


def test_sessions_of_others_do_not_exist_unless_shared(
    trainer: TestClient, other: TestClient, viewer: TestClient, administrator: TestClient
) -> None:
    id = trainer.post("/sessions", json=TINY).json()["id"]
    paths = [f"/sessions/{id}{rest}" for rest in ("", "/metrics", "/log", "/files", "/files/metrics", "/events")]
    for path in (*paths, f"/training/status/{id}"):
        url = path if path.startswith("/sessions") else f"http://localhost{path}"
        assert other.get(url).status_code == 404, path
    for action in ("pause", "stop", "resume", "film"):
        assert other.post(f"/sessions/{id}/{action}").status_code == 404
    assert other.delete(f"/sessions/{id}").status_code == 404
    assert other.post(f"/sessions/{id}/clone", json={}).status_code == 404
    assert other.post(f"/sessions/{id}/share", json={"everyone": True}).status_code == 404
    assert other.get("/sessions").json()["total"] == 0
    assert administrator.get(f"/sessions/{id}").status_code == 200
    assert trainer.post(f"/sessions/{id}/share", json={"names": ["viola"]}).status_code == 202
    assert viewer.get(f"/sessions/{id}").status_code == 200
    assert other.get(f"/sessions/{id}").status_code == 404
    trainer.post(f"/sessions/{id}/share", json={"everyone": True, "names": []})
    assert other.get(f"/sessions/{id}").status_code == 200
    assert other.post(f"/sessions/{id}/stop").status_code == 403, "shared is to be seen, not to be changed"


def test_what_is_done_is_written_down(trainer: TestClient, administrator: TestClient, db: Session) -> None:
    id = trainer.post("/sessions", json=TINY).json()["id"]
    trainer.post(f"/sessions/{id}/stop")
    entries = [(row.action, row.subject) for row in db.scalars(select(Audit).order_by(Audit.created_at))]
    assert ("session.start", id) in entries
    assert ("session.stop", id) in entries
    assert administrator.get("/audit").json()["items"][0]["action"] == "session.stop"


def test_every_answer_has_the_headers_of_a_careful_server(anybody: TestClient) -> None:
    for path in ("/api/v1/me", "/api/v1/openapi.json", "/nowhere"):
        headers = anybody.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "a b", "[", "127.0.0.1@evil.example"])
def test_the_service_answers_to_its_own_names_only(anybody: TestClient, host: str) -> None:
    assert anybody.get("/api/v1/me", headers={"host": host}).status_code == 400


def test_large_bodies_are_refused_before_they_are_read(trainer: TestClient) -> None:
    assert trainer.post("/sessions", content=b" " * (2 << 20)).status_code == 413
    announced = {"content-length": str(1 << 40), "content-type": "application/json"}
    assert trainer.post("/sessions", content=b"{}", headers=announced).status_code == 413

    def endless():
        for _ in range(64):
            yield b" " * (1 << 16)

    answer = trainer.post("/sessions", content=endless(), headers={"content-type": "application/json"})
    assert answer.status_code in (400, 413)


def test_who_sends_a_form_slowly_keeps_nobody_from_writing(app, engine: Engine) -> None:
    """The form is read before the lock for writing is taken; an anonymous visitor could else hold it."""
    wrote: list[str] = []

    def write() -> None:
        with engine.connect() as other:
            if engine.dialect.name == "sqlite":
                other.exec_driver_sql("PRAGMA busy_timeout=0")
                other.exec_driver_sql("BEGIN IMMEDIATE")
            wrote.append("while the form was on its way")

    async def receive() -> dict[str, object]:
        await asyncio.to_thread(write)
        return {"type": "http.request", "body": b"name=tess&password=x", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 401

    headers = [(b"host", b"localhost"), (b"content-type", b"application/x-www-form-urlencoded")]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": "/login", "raw_path": b"/login",
        "query_string": b"", "headers": headers, "client": ("127.0.0.1", 1), "scheme": "http",
        "server": ("localhost", 80),
    }  # fmt: skip
    asyncio.run(app(scope, receive, send))
    assert wrote[:1] == ["while the form was on its way"]


@pytest.mark.parametrize("by", ["page", "interface"])
def test_a_log_in_ends_when_the_settings_say(by: str, anybody: TestClient, app, db: Session, monkeypatch) -> None:
    monkeypatch.setattr(app.state, "settings", app.state.settings.model_copy(update={"login_hours": 1.0}))
    given = {"name": "tess", "password": PASSWORD}
    if by == "page":
        assert anybody.post("/login", data=given, follow_redirects=False).status_code == 303
    else:
        log_in(anybody)
    row = db.scalars(select(Login)).one()
    assert abs((row.expires_at - row.created_at).total_seconds() - 3600) < 60


def test_the_audit_log_says_from_where(administrator: TestClient, trainer: TestClient, db: Session) -> None:
    trainer.post("/sessions", json=TINY)
    administrator.post("/users", json={"name": "new", "password": "0123456789"})
    found = {row.action: row.address for row in db.scalars(select(Audit).where(Audit.action != "token.create"))}
    asked = {action: address for action, address in found.items() if action in ("session.start", "user.create")}
    assert len(asked) == 2
    assert set(asked.values()) == {"testclient"}


def test_tokens_that_have_ended_take_no_place(trainer: TestClient, db: Session) -> None:
    for number in range(49):
        assert trainer.post("/tokens", json={"name": f"t{number}"}).status_code == 201
    assert trainer.post("/tokens", json={"name": "one more"}).status_code == 409
    db.execute(update(Token).where(Token.name == "t0").values(expires_at=now() - datetime.timedelta(days=300)))
    db.commit()
    assert trainer.post("/tokens", json={"name": "one more"}).status_code == 201


@pytest.mark.parametrize("path", ["/motions", "/motions/", "/api/v1/motions"])
def test_nobody_uploads_without_a_name(path: str, anybody: TestClient, monkeypatch) -> None:
    """Not a byte is read, let alone written."""
    monkeypatch.setattr(formparsers, "SpooledTemporaryFile", None)
    sent = {"files": ("x.bvh", b"x" * 3_000_000)}
    answer = anybody.post(path, files=sent, data={"name": "x"}, follow_redirects=False)
    assert answer.status_code == (401 if path.startswith("/api") else 303)


def test_a_form_has_so_many_fields(anybody: TestClient) -> None:
    """Also one whose CSRF token is a field."""
    csrf = log_in(anybody)
    many = {"csrf_token": csrf} | {f"x{number}": "1" for number in range(900)}
    assert anybody.post("/account/password", data=many).status_code == 400
    few = {"csrf_token": csrf} | {f"x{number}": "1" for number in range(90)}
    assert anybody.post("/account/password", data=few).status_code == 422
