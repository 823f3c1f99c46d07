"""Optuna's dashboard: who may look at what, by each route that it has."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("optuna")
pytest.importorskip("optuna_dashboard")
pytest.importorskip("a2wsgi")

import optuna
from fastapi.testclient import TestClient
from sqlalchemy import Engine, select

from gait_trainers.service import dashboard
from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Study, User
from gait_trainers.service.jobs.search import JOURNAL, storage
from gait_trainers.service.operations.configure import StartRequest
from gait_trainers.service.operations.studies import Dimension, StudyRequest
from gait_trainers.service.security.gate import CSP
from gait_trainers.service.settings import Settings

BASE = "http://localhost"
SECRET = "ppo.secret"  # a setting that the study of somebody else varies
BASIS = StartRequest(name="walk", algorithm="ppo")
NAMES = {"tess": "Step size", "tom": "Top secret"}  # owner -> what the study is called


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What Optuna knows: of the studies of two users, three trials each."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    home = tmp_path_factory.mktemp("journal")
    for id, setting in ((id_of("tess"), "ppo.learning_rate"), (id_of("tom"), SECRET)):
        study = optuna.create_study(storage=storage(home), study_name=id, direction="maximize")
        for value in (0.25, 0.5, 0.75):
            trial = study.ask({setting: optuna.distributions.FloatDistribution(0.0, 1.0)})
            trial.report(value, 1)
            study.tell(trial, value)
    return (home / JOURNAL).read_bytes()


def id_of(owner: str) -> str:
    return owner.ljust(16, "a")


@pytest.fixture(autouse=True)
def studies(engine: Engine, settings: Settings, journal: bytes) -> None:
    (settings.home / JOURNAL).write_bytes(journal)
    with transaction(engine) as db:
        for owner, name in NAMES.items():
            user = db.scalars(select(User).where(User.name == owner)).one()
            request = StudyRequest(name=name, base=BASIS, space={"ppo.gamma": Dimension(low=0.9, high=0.99)})
            row = Study(id=id_of(owner), owner=user, name=name, trials=3, workers=1)
            row.request = request.model_dump(mode="json")
            db.add(row)


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Method and rule of every route that the installed version has."""
    return [(route.method, route.rule) for route in dashboard.guarded(tmp_path_factory.mktemp("routes")).routes]


def address(rule: str, study: int) -> str:
    """An address that a rule is about, of a study."""
    path = rule.replace("<:re:(/.*)?>", f"/studies/{study}").replace("<study_id:int>", str(study))
    path = path.replace("<filename:path>", "bundle.js").replace("<plot_type>", "slice")
    return BASE + re.sub("<[^>]+>", "0", path)


def test_every_route_of_the_dashboard_is_thought_of(routes: list[tuple[str, str]]) -> None:
    """Fails with a version that has other routes: say in `ROUTES` who may use them."""
    assert {rule for method, rule in routes if method == "GET"} == set(dashboard.ROUTES)
    of_studies = {rule for rule in dashboard.ROUTES if "study_id" in rule}
    assert all(dashboard.ROUTES[rule] in (dashboard.ONE, dashboard.CLOSED) for rule in of_studies)


def test_a_route_that_is_new_is_closed(settings: Settings, trainer: TestClient, monkeypatch: Any) -> None:
    monkeypatch.delitem(dashboard.ROUTES, "/api/studies/<study_id:int>")
    dashboard.application.cache_clear()
    assert trainer.get(f"{BASE}/api/studies/0").status_code == 404
    dashboard.application.cache_clear()


def test_a_list_that_is_called_otherwise_is_not_passed_on() -> None:
    row = {"study_id": 1, "study_name": id_of("tom")}
    assert dashboard._listed({"study_summaries": [row]}, {}) == {"study_summaries": []}
    with pytest.raises(KeyError):
        dashboard._listed({"studies": [row]}, {})


def test_nobody_sees_anything_without_logging_in(anybody: TestClient, routes: list[tuple[str, str]]) -> None:
    for method, rule in routes:
        answer = anybody.request(method, address(rule, 0), follow_redirects=False)
        assert answer.status_code in (303, 401, 404, 405), rule
        if answer.status_code == 303:
            assert answer.headers["location"].startswith("/login"), rule
    assert anybody.get(f"/search/{id_of('tess')}/dashboard", follow_redirects=False).status_code == 303


def test_ones_own_studies_are_there_under_their_names(trainer: TestClient) -> None:
    page = trainer.get(f"{BASE}/search/{id_of('tess')}/dashboard")
    assert page.url.path == "/dashboard/studies/0"
    assert "/static/bundle.js" in page.text
    (listed,) = trainer.get(f"{BASE}/api/studies").json()["study_summaries"]
    assert (listed["study_id"], listed["study_name"]) == (0, "Step size")
    study = trainer.get(f"{BASE}/api/studies/0").json()
    assert study["name"] == "Step size"
    assert [trial["values"] for trial in study["trials"]] == [[0.25], [0.5], [0.75]]
    assert len(trainer.get(f"{BASE}/api/studies/0?after=2").json()["trials"]) == 1
    for after in ("x", "-1", "", "1" * 5000, "²"):
        assert trainer.get(f"{BASE}/api/studies/0", params={"after": after}).json()["field"] == "after"
    assert trainer.get(f"{BASE}/csv/0").text.splitlines()[0] == "Number,State,Value,Param ppo.learning_rate"
    assert trainer.get(f"{BASE}/api/studies/0/param_importances").status_code == 200


def test_studies_of_others_are_seen_by_no_route(
    trainer: TestClient, viewer: TestClient, administrator: TestClient, routes: list[tuple[str, str]]
) -> None:
    def seen(client: TestClient) -> set[str]:
        """Rules whose answers tell something of the second study."""
        texts = [(rule, client.request(method, address(rule, 1)).text) for method, rule in routes]
        return {rule for rule, text in texts if any(word in text for word in (SECRET, NAMES["tom"], id_of("tom")))}

    assert seen(trainer) == seen(viewer) == set()
    assert seen(administrator) == {
        "/api/studies", "/api/studies/<study_id:int>", "/api/studies/<study_id:int>/param_importances",
        "/csv/<study_id:int>",
    }, "the search for secrets finds them where they may be seen"  # fmt: skip
    for path in ("api/studies/1", "api/studies/1/", "api/studies/01", "api/studies/%31", "csv/1", "api/studies/9"):
        answer = trainer.get(f"{BASE}/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json"), path
    assert trainer.get(f"{BASE}/search/{id_of('tom')}/dashboard").status_code == 404


def test_nothing_is_changed(
    administrator: TestClient, settings: Settings, routes: list[tuple[str, str]], monkeypatch: Any
) -> None:
    """Not even by an administrator: what would change something never reaches the dashboard."""

    def asked(*_: object) -> None:
        raise AssertionError("the dashboard was asked")

    monkeypatch.setattr(dashboard, "application", asked)
    before = (settings.home / JOURNAL).read_bytes()
    changing = [(method, rule) for method, rule in routes if method != "GET"]
    assert len(changing) >= 15
    for method, rule in changing:
        answer = administrator.request(method, address(rule, 0), json={"study_name": "x", "directions": ["minimize"]})
        assert answer.status_code in (404, 405), (method, rule)
        if rule.startswith("/api/"):
            assert answer.headers["content-type"] == "application/problem+json", (method, rule)
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        for path in ("/dashboard", "/api/meta", "/api/studies", "/api/studies/0", "/csv/0", "/static/bundle.js"):
            answer = administrator.request(method, BASE + path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD"), (method, path)
    assert (settings.home / JOURNAL).read_bytes() == before


def test_the_page_may_ask_for_its_own_routes_alone(trainer: TestClient) -> None:
    headers = trainer.get(f"{BASE}:80/dashboard", headers={"host": "localhost:8080"}).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["base-uri"] == policy["form-action"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == "localhost:8080/static/bundle.js 'unsafe-eval'"
    assert set(policy["connect-src"].split()) == {
        f"localhost:8080/api/{path}" for path in ("meta", "studies", "studies/")
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert trainer.get(f"{BASE}/api/studies").headers["content-security-policy"] == CSP
    assert trainer.get(f"{BASE}/search").headers["content-security-policy"] == CSP


@pytest.mark.parametrize(
    "host, place",
    [
        ("127.0.0.1:8080", "127.0.0.1:8080/static/bundle.js"),
        ("train.example.org", "train.example.org/static/bundle.js"),
        ("192.168.0.7:8080", "'self'"),
        ("[::1]:8080", "'self'"),
    ],
)
def test_hosts_that_no_policy_can_name_with_a_path(host: str, place: str) -> None:
    assert f"script-src {place} 'unsafe-eval'" in dashboard.page_headers(host)["content-security-policy"]


def test_its_script_comes_however_it_is_asked_for(trainer: TestClient) -> None:
    for encoding in ("gzip", "identity"):
        answer = trainer.head(f"{BASE}/static/bundle.js", headers={"accept-encoding": encoding})
        assert answer.status_code == 200
        assert answer.headers.get("content-encoding") == (encoding if encoding == "gzip" else None)
    bare = trainer.build_request("HEAD", f"{BASE}/static/bundle.js")
    del bare.headers["accept-encoding"]
    assert trainer.send(bare).status_code == 200


def test_without_the_package_there_is_no_link(trainer: TestClient, monkeypatch: Any) -> None:
    assert f"/search/{id_of('tess')}/dashboard" in page_of(trainer)
    monkeypatch.setattr(dashboard, "installed", lambda: False)
    assert "dashboard" not in page_of(trainer)
    assert trainer.get(f"{BASE}/dashboard").status_code == 404
    assert trainer.get(f"{BASE}/api/studies").headers["content-type"] == "application/problem+json"


def page_of(client: TestClient) -> str:
    return client.get(f"{BASE}/search").text + client.get(f"{BASE}/search/{id_of('tess')}").text
