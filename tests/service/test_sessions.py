"""Starting, listing, ending and cloning trainings, without any process."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from helpers.service import TINY
from sqlalchemy import Engine, func, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Job, TrainingSession, User
from gait_trainers.service.jobs.commands import command
from gait_trainers.service.operations import sessions
from gait_trainers.service.settings import Quota, Settings


def start(client: TestClient, **changes: object) -> dict:
    answer = client.post("/sessions", json=TINY | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_start_is_a_session_with_its_configuration_and_a_job(trainer: TestClient, db: Session) -> None:
    made = start(trainer, learning_rate=0.002, seed=7)
    assert made["state"] == "queued"
    assert made["progress"]["total_steps"] == 3 * 4 * 8
    config = made["config"]
    assert (config["ppo"]["learning_rate"], config["run"]["seed"], config["networks"]["policy"]) == (0.002, 7, [8])
    job = db.scalars(select(Job)).one()
    assert (job.session_id, job.kind, job.state) == (made["id"], "train", "queued")


def test_the_documents_routes_mean_the_same(trainer: TestClient) -> None:
    root = "http://localhost/training"
    made = trainer.post(f"{root}/start", json=TINY).json()
    assert trainer.get(f"{root}/status/{made['id']}").json() == trainer.get(f"/sessions/{made['id']}").json()
    assert trainer.get(f"{root}/metrics/{made['id']}").json() == {}


def test_a_key_makes_a_start_happen_once(trainer: TestClient, other: TestClient) -> None:
    key = {"Idempotency-Key": "one"}
    first, second = (trainer.post("/sessions", json=TINY, headers=key).json()["id"] for _ in range(2))
    assert first == second
    changed = trainer.post("/sessions", json=TINY | {"name": "another"}, headers=key)
    assert changed.status_code == 409
    assert changed.json()["field"] == "Idempotency-Key"
    assert other.post("/sessions", json=TINY, headers=key).json()["id"] != first, "keys are each user's own"
    assert trainer.get("/sessions").json()["total"] == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"learning_rate": 0}, "learning_rate"),
        ({"learning_rate": "fast"}, "learning_rate"),
        ({"algorithm": "dqn"}, "algorithm"),
        ({"env": "../../etc:Env-v0"}, "env"),
        ({"preset": "/etc/passwd"}, "preset"),
        ({"motions": ["/etc/passwd"]}, "motions"),
        ({"motions": ["bundled:../x"]}, "motions"),
        ({"batch_size": 7}, "batch_size"),
        ({"total_steps": 10, "iterations": 3}, "total_steps"),
        ({"learning_rate": 0.1, "settings": {"ppo.learning_rate": 0.2}}, "learning_rate"),
        ({"hidden_sizes": [8], "settings": {"networks.value": [4]}}, "hidden_sizes"),
        ({"batch_size": 8}, "batch_size"),  # beside ppo.minibatches
        ({"settings": {"run.iterations": 9}}, "iterations"),
        ({"settings": {"run.out": "/tmp"}}, "run.out"),
        ({"settings": {"run.init": "/tmp/x"}}, "run.init"),
        ({"settings": {"run.device": "cuda"}}, "run.device"),
        ({"settings": {"amp.data": "/etc"}}, "amp.data"),
        ({"settings": {"env.kwargs.reference": "/etc"}}, "env.kwargs.reference"),
        ({"settings": {"encoder.path": "/etc/x.pt"}}, "encoder.path"),
        ({"settings": {"ppo.gamma": 1.5}}, "ppo.gamma"),
        ({"settings": {"ppo.gamma": True}}, "ppo.gamma"),
        ({"settings": {"ppo.n_steps": 10**9}}, "ppo.n_steps"),
        ({"settings": {"networks.policy": [10**6]}}, "networks.policy"),
        ({"settings": {"networks.activation": "relu; rm -rf /"}}, "networks.activation"),
        ({"settings": {"env.kwargs.action_filter": 2.0}}, "env.kwargs"),
        ({"settings": {"env.kwargs.physics_rate": 77.0}}, "env.kwargs"),  # no multiple of the control rate
        ({"name": ""}, "name"),
        ({"name": "a\nb"}, "name"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_what_is_not_allowed_names_its_field(trainer: TestClient, changes: dict, field: str) -> None:
    body = TINY | changes
    if "settings" in changes:
        body["settings"] = TINY["settings"] | changes["settings"]
    answer = trainer.post("/sessions", json=body)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["field"].startswith(field)
    assert trainer.get("/sessions").json()["total"] == 0


def test_lists_come_in_pages(trainer: TestClient) -> None:
    ids = [start(trainer, name=f"run {i}")["id"] for i in range(5)]
    first = trainer.get("/sessions", params={"limit": 2}).json()
    second = trainer.get("/sessions", params={"limit": 2, "offset": 2}).json()
    assert [item["id"] for item in first["items"] + second["items"]] == ids[:0:-1]
    assert first["total"] == 5
    assert trainer.get("/sessions", params={"text": "RUN 3"}).json()["total"] == 1
    assert trainer.get("/sessions", params={"text": "%"}).json()["total"] == 0, "a sign of LIKE is a sign like others"
    assert trainer.get("/sessions", params={"state": "failed"}).json()["total"] == 0
    assert trainer.get("/sessions", params={"state": "active"}).json()["total"] == 5
    assert trainer.get("/sessions", params={"limit": 1000}).status_code == 422


def test_stop_and_pause_are_asked_for_once(trainer: TestClient, db: Session) -> None:
    id = start(trainer)["id"]
    assert trainer.post(f"/sessions/{id}/pause").json()["state"] == "pausing"
    assert trainer.post(f"/sessions/{id}/pause").status_code == 202
    assert trainer.post(f"/sessions/{id}/stop").json()["state"] == "stopping", "who wants it paused may want it ended"
    assert trainer.post(f"/sessions/{id}/resume").status_code == 409
    assert trainer.delete(f"/sessions/{id}").status_code == 409
    assert db.scalars(select(Job)).one().wanted == "stop"


def test_a_clone_has_the_changes_and_its_parent(trainer: TestClient) -> None:
    parent = start(trainer, tags=["first"])
    made = trainer.post(
        f"/sessions/{parent['id']}/clone", json={"changes": {"seed": 5, "settings": {"ppo.gamma": 0.9}}}
    ).json()
    assert made["parent"] == parent["id"]
    assert made["tags"] == ["first"]
    changed = {key for key in made["config"] if made["config"][key] != parent["config"][key]}
    assert changed == {"run", "ppo"}
    bad = trainer.post(f"/sessions/{parent['id']}/clone", json={"changes": {"settings": {"run.out": "/"}}})
    assert bad.json()["field"] == "run.out"


def test_what_a_clone_changes_wins_over_what_its_parent_asked_for(trainer: TestClient) -> None:
    parent = start(trainer, learning_rate=1e-3, settings=TINY["settings"] | {"ppo.gamma": 0.9})

    def clone(of: dict, **changes: object) -> dict:
        answer = trainer.post(f"/sessions/{of['id']}/clone", json={"changes": changes})
        assert answer.status_code == 201, answer.text
        return answer.json()

    by_key = clone(parent, settings={"ppo.learning_rate": 1e-4, "networks.value": [4], "run.iterations": 5})
    config = by_key["config"]
    assert (config["ppo"]["learning_rate"], config["ppo"]["gamma"], config["run"]["iterations"]) == (1e-4, 0.9, 5)
    assert (config["networks"]["policy"], config["networks"]["value"]) == ([8], [4]), "the field decided both"
    by_field = clone(by_key, learning_rate=1e-2, hidden_sizes=[16], batch_size=8)["config"]
    assert (by_field["ppo"]["learning_rate"], by_field["networks"]["value"]) == (1e-2, [16])
    assert by_field["ppo"]["minibatches"] == 4 * 8 // 8


def test_quotas_hold(engine: Engine, settings: Settings, trainer: TestClient, administrator: TestClient) -> None:
    mine = trainer.get("/me").json()["user"]["id"]
    administrator.patch(f"/users/{mine}", json={"quota_sessions": 1})
    start(trainer)
    refused = trainer.post("/sessions", json=TINY)
    assert refused.status_code == 429
    assert "of 1" in refused.json()["detail"]
    with transaction(engine) as db:
        row = db.scalars(select(TrainingSession)).one()
        row.state, row.seconds = "completed", 7200.0
    administrator.patch(f"/users/{mine}", json={"quota_hours": 2})
    assert "hours" in trainer.post("/sessions", json=TINY).json()["detail"]
    administrator.patch(f"/users/{mine}", json={"quota_hours": 3})
    start(trainer)
    assert Quota().sessions > 1


def test_a_resumption_has_the_time_that_was_asked_for(trainer: TestClient, engine: Engine) -> None:
    id = start(trainer, timeout_hours=1)["id"]
    with transaction(engine) as db:
        row = db.get_one(TrainingSession, id)
        row.state, row.seconds = "failed", 3600.0
        db.scalars(select(Job)).one().state = "ended"
    assert trainer.post(f"/sessions/{id}/resume").status_code == 202
    with transaction(engine) as db:
        assert db.get_one(TrainingSession, id).timeout_s == 2 * 3600


def test_a_session_is_deleted_with_its_files(trainer: TestClient, engine: Engine, settings: Settings) -> None:
    id = start(trainer)["id"]
    with transaction(engine) as db:
        db.get_one(TrainingSession, id).state = "stopped"
        job = db.scalars(select(Job)).one()
        job.state = "ended"
    for folder in (settings.runs / id, settings.results / id, settings.jobs / job.id):
        folder.mkdir()
        (folder / "file").touch()
    assert trainer.delete(f"/sessions/{id}").status_code == 204
    assert trainer.get(f"/sessions/{id}").status_code == 404
    assert not any(settings.runs.iterdir())
    assert not any(settings.results.iterdir())
    assert not any(settings.jobs.iterdir())
    with Session(engine) as db:
        assert db.scalar(select(func.count()).select_from(Job)) == 0


def test_the_command_is_the_one_that_a_person_would_type(
    trainer: TestClient, engine: Engine, settings: Settings
) -> None:
    id = start(trainer, algorithm="ppo-amp", preset="laptop", hidden_sizes=None, num_envs=8)["id"]
    with transaction(engine) as db:
        job = db.scalars(select(Job)).one()
        words = command(db, job, settings)
        assert words[1:4] == ["-m", "gait_trainers", "ppo-amp"]
        file = settings.results / id / "config.yaml"
        assert words[4:] == ["--config", str(file), "--out", str(settings.runs), "--name", id]
        (settings.runs / id).mkdir()
        (settings.runs / id / "config.yaml").touch()
        assert command(db, job, settings)[4:] == ["--resume", str(settings.runs / id), "--iterations", "3"]


def test_the_form_tells_ranges_and_defaults_of_the_schema(trainer: TestClient) -> None:
    fields = {field["key"]: field for field in trainer.get("/form", params={"algorithm": "ppo-amp"}).json()}
    assert fields["ppo.learning_rate"]["default"] == 3e-4
    assert fields["ppo.gamma"]["most"] == 1
    assert fields["networks.activation"]["choices"] == ["elu", "silu", "relu", "tanh"]
    assert not fields["ppo.learning_rate"]["advanced"]
    assert "amp.data" not in fields
    assert "muscle.hidden" not in fields
    for algorithm in trainer.get("/algorithms").json():
        for preset in (None, *algorithm["presets"]):
            params = {"algorithm": algorithm["name"]} | ({"preset": preset} if preset else {})
            assert trainer.get("/form", params=params).status_code == 200, params


def test_an_estimate_comes_before_the_start(trainer: TestClient, engine: Engine) -> None:
    assert trainer.post("/estimate", json=TINY).json()["seconds"] is None
    id = start(trainer)["id"]
    with transaction(engine) as db:
        row = db.get_one(TrainingSession, id)
        row.iteration, row.seconds = 3, 9.6  # 96 steps: 10 a second
    found = trainer.post("/estimate", json=TINY).json()
    assert found["seconds"] == pytest.approx(9.6)
    assert found["memory_mb"] > 500


def test_a_resumption_goes_on_to_more_iterations(
    db: Session, engine: Engine, settings: Settings, trainer: TestClient
) -> None:
    id = start(trainer)["id"]
    with transaction(engine) as work:
        row = work.get_one(TrainingSession, id)
        row.state, row.iteration = "completed", 3
        work.scalars(select(Job)).one().state = "ended"
    assert trainer.post(f"/sessions/{id}/resume").status_code == 409
    assert trainer.post(f"/sessions/{id}/resume", json={"iterations": 2}).status_code == 422
    made = trainer.post(f"/sessions/{id}/resume", json={"iterations": 6}).json()
    assert (made["state"], made["progress"]["iterations"]) == ("queued", 6)
    user = db.scalars(select(User).where(User.name == "tess")).one()
    assert sessions.find(db, user, id).config["run"]["iterations"] == 6
