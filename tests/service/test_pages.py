"""The pages without a browser: who sees what, what is escaped, what every form has."""

from __future__ import annotations

import html
import io
import re
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")
pytest.importorskip("argon2")

from helpers.html import Page
from helpers.service_data import fill
from helpers.web import Visitor
from markupsafe import escape
from sqlalchemy import select
from sqlalchemy.orm import Session

from gait_trainers.service.app import create_app
from gait_trainers.service.db.engine import make_engine
from gait_trainers.service.db.heartbeat import SILENT, Heartbeat
from gait_trainers.service.db.tables import Base, Motion, Study, Supervisor, TrainingSession, User
from gait_trainers.service.operations import sessions, users
from gait_trainers.service.operations.configure import StartRequest, algorithms
from gait_trainers.service.pages import fields
from gait_trainers.service.pages.account import local
from gait_trainers.service.settings import Settings

PASSWORD = "a long enough password"
EVIL = "\"><img src=x onerror=alert(1)>{{7*7}}'"
ROLES = ("viewer", "trainer", "administrator")


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An application with something of the trainer's on every page, and a visitor of each role."""
    settings = Settings(home=tmp_path_factory.mktemp("home"))
    settings.create_folders()
    engine = make_engine(settings.database_url)
    Base.metadata.create_all(engine)
    with Session(engine) as db:
        made = {role: users.create(db, None, role, PASSWORD, role) for role in ROLES}
        ids = fill(db, made["trainer"], EVIL)
        db.commit()
    app = create_app(settings, engine)
    visitors = {role: Visitor(app, role, PASSWORD) for role in ROLES}
    texts = {address: visitors["administrator"].get(address).text for address in [*pages(ids), *parts(ids)]}
    yield SimpleNamespace(app=app, engine=engine, ids=ids, settings=settings, texts=texts, **visitors)
    engine.dispose()


def pages(ids: dict[str, str]) -> dict[str, str]:
    """Address of every page -> the least role that sees it."""
    own = [f"/sessions/{ids[state]}{part}" for state in ("completed", "running", "failed") for part in ("", "/results")]
    own += [f"/compare?id={ids['completed']}&id={ids['running']}", f"/motions/{ids['motion']}"]
    own += [f"/motions/{ids['waiting']}", f"/registry/{ids['model']}", f"/search/{ids['study']}"]
    own += [f"/search/new?base={ids['completed']}"]
    open_to_all = [
        "/sessions",
        "/compare",
        "/motions",
        "/registry",
        "/search",
        "/alerts",
        "/alerts?all=true",
        "/account",
    ]
    train = [
        "/train",
        "/search/new",
        f"/train?clone={ids['running']}",
        *(f"/train?algorithm={known.name}" for known in algorithms()),
    ]
    return (
        dict.fromkeys(open_to_all, "viewer")
        | dict.fromkeys([*own, *train], "trainer")
        | dict.fromkeys(["/users", "/audit"], "administrator")
    )


def parts(ids: dict[str, str]) -> list[str]:
    """Addresses of what an open page asks for."""
    of = f"/sessions/{ids['running']}"
    return [
        f"{of}/live",
        f"{of}/picture",
        f"{of}/curves",
        f"/motions/{ids['motion']}/live",
        f"/search/{ids['study']}/live",
    ]


def test_every_page_is_there_for_its_roles_and_for_nobody_else(served):
    """What one may not see does not exist, or says which role it needs."""
    nobody = Visitor(served.app)
    for address, least in pages(served.ids).items():
        for role in ROLES[:2] if least != "administrator" else ROLES:
            expected = {200} if ROLES.index(role) >= ROLES.index(least) else {403, 404}
            assert getattr(served, role).get(address).status_code in expected, (role, address)
        answer = nobody.get(address, follow_redirects=False)
        assert answer.status_code == 303, address
        assert answer.headers["location"].startswith("/login?next="), address


def test_every_page_is_well_formed_with_labels_tokens_and_nothing_inline(served):
    for address, text in served.texts.items():
        page = Page(text)
        assert page.wrong == [], address
        assert page.without_token() == [], address


def test_every_link_leads_somewhere(served):
    links = {link for text in served.texts.values() for link in Page(text).links}
    assert len(links) > 25
    for link in sorted(links - served.texts.keys()):
        if link.startswith("/") and not link.startswith("/api/"):
            assert served.administrator.get(link).status_code == 200, link


def test_what_users_write_is_shown_as_text(served):
    """On every page that shows it, and on the parts that are fetched later."""
    shown = 0
    for address, text in served.texts.items():
        assert "<img src=x" not in text, address
        shown += EVIL in html.unescape(text)
    assert shown >= 15


@pytest.mark.parametrize(
    ("address", "field"),
    [("/train", "name"), ("/train", "tags"), ("/motions", "name"), ("/motions", "labels"), ("/users", "name")],
)
def test_a_form_that_is_shown_again_escapes_what_was_sent(served, address, field):
    answer = served.administrator.post(address, {field: EVIL, "set.ppo.gamma": "none"})
    assert answer.status_code == 422
    assert str(escape(EVIL)) in answer.text
    assert Page(answer.text).wrong == []


def test_a_form_without_its_token_does_nothing(served):
    """Every form of every page, sent as another site would."""
    actions = {
        form[""].removeprefix("post ")
        for text in served.texts.values()
        for form in Page(text).forms
        if form[""].startswith("post")
    }
    assert len(actions) > 20
    for action in sorted(actions):
        token = {"csrf_token": "x" * 43} if len(action) % 2 else {}
        assert served.administrator.client.post(action, data=token, follow_redirects=False).status_code == 403, action
    with Session(served.engine) as db:
        assert db.get(Motion, served.ids["motion"]).state == "ready"
        assert db.get(TrainingSession, served.ids["running"]).state == "running"


def test_wrong_settings_are_named_beside_their_fields(served):
    sent = {
        "name": "Mine",
        "algorithm": "ppo",
        "preset": "laptop",
        "set.ppo.learning_rate": "quick",
        "set.run.seed": "",
    }
    answer = served.trainer.post("/train", sent)
    assert answer.status_code == 422
    assert 'value="quick"' in answer.text
    assert answer.text.count('aria-invalid="true"') == 2
    assert "expected a number" in answer.text

    answer = served.trainer.post("/train", sent | {"set.ppo.learning_rate": "-1", "set.run.seed": "3"})
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 1


def test_a_training_is_started_once_however_often_its_form_is_sent(served):
    sent = {
        "name": "Short", "algorithm": "ppo", "preset": "laptop", "env": "GaitNet/WildRobot-v0", "key": "k1",
        "set.run.iterations": "2", "set.ppo.gamma": "0.98", "timeout_hours": "0.5", "tags": "a, b",
    }  # fmt: skip
    first, second = served.trainer.post("/train", sent), served.trainer.post("/train", sent)
    assert first.status_code == second.status_code == 303
    assert first.headers["location"] == second.headers["location"]
    id = first.headers["location"].split("/")[2].split("?")[0]
    with Session(served.engine) as db:
        session = db.get(TrainingSession, id)
        assert session.request["settings"] == {"run.iterations": 2}  # 0.98 is what the preset says anyway
        assert (session.timeout_s, session.tags, session.state) == (1800.0, ["a", "b"], "queued")


def test_an_estimate_comes_as_a_part_or_as_the_whole_page(served):
    sent = {"name": "x", "algorithm": "ppo", "preset": "laptop", "set.run.iterations": "10"}
    part = served.trainer.post("/train/estimate", sent, headers={"HX-Request": "true"})
    whole = served.trainer.post("/train/estimate", sent)
    assert "<html" not in part.text
    assert "<html" in whole.text
    for answer in (part, whole):
        assert answer.status_code == 200
        assert "Memory" in answer.text


def test_a_clone_begins_with_what_its_parent_was_asked_for(served):
    text = served.trainer.get(f"/train?clone={served.ids['running']}").text
    page = next(form for form in Page(text).forms if form[""] == "post /train")
    assert page["set.ppo.gamma"] == "0.985"
    assert page["clone"] == served.ids["running"]


def test_a_clone_that_is_sent_unchanged_is_the_same_training(served):
    """Whatever way its parent was asked for, and though its motion has been looked at by nobody."""
    with Session(served.engine) as db:
        user = db.scalars(select(User).where(User.name == "trainer")).one()
        motion = Motion(
            owner=user, name="mine", format="bvh", state="ready", size=1, sha256="0" * 64, body="wildrobot"
        )  # fmt: skip
        db.add(motion)
        db.flush()
        asked = {"name": "walk", "algorithm": "ppo-amp", "preset": "laptop", "total_steps": 3_000_000}
        request = StartRequest.model_validate(asked | {"batch_size": 2048, "motions": [motion.id]})
        parent = sessions.start(db, user, request, served.settings)
        db.commit()
        id, config, motion_id = parent.id, parent.config, motion.id
    text = served.trainer.get(f"/train?clone={id}").text
    page = next(form for form in Page(text).forms if form[""] == "post /train")
    assert re.search(f'value="{motion_id}"[^>]* checked', text), "it is chosen still"
    sent = {name: value for name, value in page.items() if name and value} | {"motions": motion_id}
    made = served.trainer.post("/train", sent).headers["location"].partition("?")[0].rpartition("/")[2]
    with Session(served.engine) as db:
        assert made != id
        assert db.get_one(TrainingSession, made).config == config
        for row in (made, id):
            db.delete(db.get_one(TrainingSession, row))
        db.commit()


def test_an_upload_that_is_no_capture_is_refused_beside_its_field(served):
    files = {"files": ("walk.bvh", io.BytesIO(b"\0\1\2"), "text/plain")}
    answer = served.trainer.post("/motions", {"name": "Walk", "body": "wildrobot"}, files=files)
    assert answer.status_code == 422
    assert "not text" in answer.text


def test_judging_labelling_and_acknowledging(served):
    at = f"/motions/{served.ids['motion']}"
    assert served.viewer.post(f"{at}/accept").status_code == 404
    assert served.trainer.post(f"{at}/accept").headers["location"] == f"{at}?done=accepted"
    changed = {"name": "Slow walk", "labels": "walk, slow", "license": "CC0"}
    assert served.trainer.post(f"{at}/edit", changed).status_code == 303
    assert 'value="walk, slow"' in served.trainer.get(at).text
    assert "is accepted" in served.trainer.get(f"{at}?done=accepted").text
    assert "Slow walk" in served.trainer.get("/train").text
    alert = f"/alerts/{served.ids['alert']}/acknowledge"
    assert served.viewer.post(alert).status_code == 404
    assert "diverged" in served.trainer.get("/alerts").text
    assert served.trainer.post(alert).status_code == 303
    assert "diverged" not in served.trainer.get("/alerts").text


def test_a_search_is_begun_from_a_training(served):
    sent = {
        "base": served.ids["completed"], "name": "Rates", "metric": "success_rate", "direction": "maximize",
        "trials": "3", "workers": "1", "seed": "0", "iterations": "2", "prune": "true", "key0": "ppo.learning_rate",
        "low0": "1e-5", "high0": "1e-3", "scale0": "factors", "key1": "ppo.normalize_reward",
    }  # fmt: skip
    begun = served.trainer.post("/search", sent)
    assert begun.status_code == 303
    with Session(served.engine) as db:
        request = db.get(Study, begun.headers["location"].split("/")[2].split("?")[0]).request
    assert request["base"]["iterations"] == 2
    assert request["space"]["ppo.learning_rate"] == {
        "kind": "float",
        "low": 1e-5,
        "high": 1e-3,
        "log": True,
        "choices": [],
    }
    assert request["space"]["ppo.normalize_reward"]["choices"] == [True, False]
    for wrong, field in (({"low0": "low"}, "low0"), ({"key1": "run.out"}, "key1"), ({"trials": "0"}, "trials")):
        answer = served.trainer.post("/search", sent | wrong)
        assert answer.status_code == 422
        assert f'id="{field}-error"' in answer.text
        assert Page(answer.text).wrong == []


def test_a_token_is_shown_once(served):
    answer = served.trainer.post("/account/tokens", {"name": "script", "days": "7"})
    text = answer.text.partition('id="fresh-token">')[2].partition("<")[0]
    assert text.startswith("gn_")
    asked = served.trainer.client.get("/api/v1/me", headers={"Authorization": f"Bearer {text}"})
    assert asked.json()["user"]["name"] == "trainer"
    assert text not in served.trainer.get("/account").text


def test_users_are_made_and_limited_by_administrators(served):
    sent = {"name": "newcomer", "password": PASSWORD, "role": "viewer"}
    assert served.trainer.post("/users", sent).status_code == 403
    assert served.administrator.post("/users", sent).status_code == 303
    with Session(served.engine) as db:
        id = db.query(User).filter_by(name="newcomer").one().id
    limits = {"role": "trainer", "active": "true", "quota_sessions": "2", "quota_hours": "", "quota_disk_mb": "100"}
    assert served.administrator.post(f"/users/{id}", limits).status_code == 303
    with Session(served.engine) as db:
        found = db.get(User, id)
        assert (found.role, found.quota_sessions, found.quota_hours, found.quota_disk_mb) == ("trainer", 2, None, 100)
    for wrong in ("-1", "many", "nan", "1e99"):
        assert served.administrator.post(f"/users/{id}", limits | {"quota_hours": wrong}).status_code == 422


def test_nothing_runs_where_no_supervisor_lives(served):
    """A page does not say "running" of what nobody watches."""
    at = f"/sessions/{served.ids['running']}/live"
    served.app.state.heartbeat = Heartbeat()
    assert "last known" not in served.trainer.get(at).text
    served.app.state.heartbeat.changed -= SILENT + 1
    text = served.trainer.get(at).text
    assert "last known: running" in text
    assert 'class="badge live"' not in text
    with Session(served.engine) as db:
        db.add(Supervisor(host="here", pid=1, beats=1, cores=1.0, memory_mb=1000))
        db.commit()
    assert "last known" not in served.trainer.get(at).text


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "evil", "", "/a\r\nb: c"]
)
def test_a_log_in_leads_to_no_other_site(served, target):
    assert local(target) == "/"
    answer = Visitor(served.app).client.post(
        "/login", data={"name": "viewer", "password": PASSWORD, "next": target}, follow_redirects=False
    )
    assert answer.headers["location"] == "/"


def test_a_log_in_that_fails_says_nothing_about_names(served):
    texts = []
    for name in ("viewer", "nobody"):
        answer = Visitor(served.app).client.post("/login", data={"name": name, "password": "wrong"})
        assert answer.status_code == 401
        texts.append(answer.text.replace(name, ""))
    assert texts[0] == texts[1]
    assert "wrong name or password" in texts[0]


def test_errors_of_pages_are_pages_and_of_the_interface_problems(served):
    page = served.trainer.get("/sessions/aaaaaaaaaaaaaaaa")
    assert (page.status_code, page.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert Page(page.text).wrong == []
    assert served.trainer.get("/nothing").headers["content-type"].startswith("text/html")
    assert served.trainer.get("/sessions?offset=x").status_code == 422
    problem = served.trainer.get("/api/v1/sessions/aaaaaaaaaaaaaaaa")
    assert problem.headers["content-type"] == "application/problem+json"


def test_static_files_are_those_that_templates_name(served):
    folder = Path(fields.__file__).parent
    named = {
        part.split('"')[0]
        for template in (folder / "templates").rglob("*.html")
        for part in template.read_text().split('"/static/')[1:]
    }
    assert "app.css" in named
    for name in named:
        assert served.trainer.get(f"/static/{name}").status_code == 200, name
