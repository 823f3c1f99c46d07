"""Models that are fitted to motions, through the service: motionnn and refnn."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from helpers import service
from helpers.html import Page
from helpers.service import NAMES, PASSWORD
from helpers.service_process import Service
from helpers.web import Visitor
from sqlalchemy import Engine, select
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.models.robot import humanoid
from gait_envs.reference.clip import load_clip
from gait_envs.reference.refnn.network import load_network
from gait_envs.reference.sources import load_clips
from gait_trainers.reports import motion_page
from gait_trainers.service import cli
from gait_trainers.service.algorithms.table import algorithm
from gait_trainers.service.client import Client
from gait_trainers.service.commands import client as terminal
from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Job, Motion, TrainingSession, User
from gait_trainers.service.jobs import models, pretrain, watch
from gait_trainers.service.jobs.commands import command
from gait_trainers.service.jobs.outcomes import end
from gait_trainers.service.operations import files
from gait_trainers.service.settings import Settings

TINY: dict[str, dict[str, Any]] = {
    "motionnn": {
        "name": "tiny", "algorithm": "motionnn", "motions": ["bundled:human_walk"], "iterations": 4, "batch_size": 64,
        "hidden_sizes": [8],
        "settings": {
            "run.log_every": 2, "run.checkpoint_every": 2, "loss.horizon": 2, "optim.least_windows": 2,
            "model.conditions": ["speed"],
        },
    },
    "refnn": {
        "name": "tiny", "algorithm": "refnn", "motions": ["bundled:human_walk"], "iterations": 4, "hidden_sizes": [8],
        "settings": {
            "stream_batch": 64, "stream_scale": 2, "replay": 64, "checkpoint_every": 2, "holdout": 0.2,
        },
    },
}  # fmt: skip


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run a command line of a job in this process, which has torch in memory already; its exit status."""

    def run(words: list[str]) -> int:
        assert words[:2] == [sys.executable, "-m"]
        module = {"gait_trainers": "gait_trainers.cli"}.get(words[2], words[2])
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", [module, *words[3:]])
            try:
                importlib.import_module(module).main()
            except SystemExit as ended:
                return int(ended.code or 0)
        return 0

    monkeypatch.setattr(pretrain, "run_through", run)
    monkeypatch.setattr(pretrain, "become", lambda words: sys.exit(run(words)))
    # The page itself has tests of its own, and takes seconds to draw.
    monkeypatch.setattr(motion_page, "write_motion_page", lambda path, *_: path.write_bytes(b"\x89PNG"))
    return run


def start(client: TestClient, name: str, **changes: object) -> str:
    answer = client.post("/sessions", json=TINY[name] | changes)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def advance(engine: Engine, settings: Settings, here: Any) -> list[str]:
    """Run every job that waits, as a supervisor would; their kinds."""
    done = []
    while True:
        with transaction(engine) as db:
            job = db.scalar(select(Job).where(Job.state == "queued").order_by(Job.created_at))
            if job is None:
                return done
            words = command(db, job, settings)
        status = here(words)
        with transaction(engine) as db:
            job = db.get_one(Job, job.id)
            if job.kind == "train":
                watch.training(db, job, settings)
            end(db, job, status, settings)
        done.append(job.kind)


@pytest.mark.parametrize("name", TINY)
def test_a_model_is_trained_evaluated_and_fetched(
    name: str, app: Any, trainer: TestClient, engine: Engine, settings: Settings, here: Any, tmp_path: Path
) -> None:
    id = start(trainer, name)
    assert advance(engine, settings, here) == ["train", "finish"], "a model is not filmed"
    found = trainer.get(f"/sessions/{id}").json()
    assert (found["state"], found["message"], found["env"]) == ("completed", "", "humanoid")
    assert found["progress"]["iteration"] == found["progress"]["steps"] == 4
    assert trainer.get(f"/sessions/{id}/metrics").json()["loss"]["iterations"][-1] == 4
    packed = trainer.get(f"/sessions/{id}/files/model")
    (tmp_path / "model.zip").write_bytes(packed.content)
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        archive.extractall(tmp_path)
    told = json.loads((tmp_path / "model" / "evaluation.json").read_text())
    assert told == found["evaluation"]
    keys = {file["key"] for file in trainer.get(f"/sessions/{id}/files").json()}
    assert {"model", "run", "metrics", "config"} <= keys
    assert not keys & {"bundle", "film"}
    if name == "motionnn":
        from gait_trainers.models.motion import load_motion_model

        assert list(load_motion_model(tmp_path / "model").spec.conditions) == ["speed"]
        assert (told["clips"], told["windows"]) == (1, 87)  # 241 frames; windows of 68 after one for the rates
        assert trainer.get(f"/sessions/{id}/files/trajectories").content.startswith(b"\x89PNG")
    else:
        assert load_network(tmp_path / "model").facts.names == ("stride", "cadence")
        assert set(told) == {"held_out", "generated"}

    page = Visitor(app, NAMES["trainer"], PASSWORD)
    results, monitor = page.get(f"/sessions/{id}/results").text, page.get(f"/sessions/{id}").text
    for text in (results, monitor):
        assert Page(text).wrong == []
        assert not [word for word in ("/film", "/view", "/publish", "in 3D", "Continue") if word in text]
    assert "/files/model" in results
    assert ("/files/trajectories" in results) == (name == "motionnn")
    shown = "Growth of the error" if name == "motionnn" else "Error of the legs, held-out walkers"
    assert shown in results
    assert 'data-names="loss' in monitor

    for action, status in (("film", 409), ("view", 409), ("publish", 409), ("resume", 409)):
        assert trainer.post(f"/sessions/{id}/{action}", json={"name": "m"}).status_code in (status, 422), action
    assert trainer.post(f"/sessions/{id}/resume", json={"iterations": 9}).status_code == 409
    clone = trainer.post(f"/sessions/{id}/clone", json={"changes": {"iterations": 9}}).json()
    assert clone["progress"]["iterations"] == 9


def test_what_a_kind_of_training_never_has_is_not_promised(trainer: TestClient) -> None:
    """Every key that there is, of a session that makes a policy and of one that makes a model."""
    ids = {
        "policy": trainer.post("/sessions", json=service.TINY).json()["id"],
        "model": trainer.post("/sessions", json=TINY["motionnn"]).json()["id"],
    }
    for makes, id in ids.items():
        for key in (*files.PLACES, *files.FOLDERS):
            answer = trainer.get(f"/sessions/{id}/files/{key}")
            assert answer.status_code == 404
            if files.ONLY.get(key, makes) == makes:
                assert answer.json()["detail"] == f"the session has no {key} yet"
            else:
                assert f"makes a {makes} and has no {key}; files are metrics, config, log" in answer.json()["detail"]
                assert f", {key}" not in answer.json()["detail"].split("files are")[1]


def test_the_commands_are_those_that_a_person_would_type(
    trainer: TestClient, engine: Engine, settings: Settings
) -> None:
    for name in TINY:
        id = start(trainer, name)
        run, results = settings.runs / id, settings.results / id
        with transaction(engine) as db:
            job = db.scalars(select(Job).where(Job.session_id == id)).one()
            begin = ["gait_trainers.service.jobs.pretrain", name, str(run), str(results), "human_walk"]
            assert command(db, job, settings)[2:] == begin
            *_, train = algorithm(name).commands(run, results)
            source = results / ("clips" if name == "motionnn" else "sequences.npz")
            file = str(results / "config.yaml")
            assert train == ("gait_trainers", name, str(source), "--out", str(run), "--config", file)
            run.mkdir()
            (run / "config.yaml").touch()
            assert command(db, job, settings)[2:] == ["gait_trainers", name, "--resume", str(run)]


def test_the_terminal_submits_models(trainer: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    class Here(Client):
        """A client of the service in this process."""

        def start(self, *, key: str | None = None, **request: Any) -> dict[str, Any]:
            found: dict[str, Any] = trainer.post("/sessions", json=request).json()
            return found

    monkeypatch.setattr(terminal, "Client", Here)
    words = ["submit", "tiny", "--algorithm", "motionnn", "--env", "wildrobot", "--motion", "bundled:wildrobot_walk"]
    words += ["--iterations", "5", "--seed", "3", "--set", "model.network=gru", "--set", "model.settings.width=16"]
    told = CliRunner().invoke(cli.app, [*words, "--token", "gn_x"])
    assert told.exit_code == 0, told.output
    made = trainer.get(f"/sessions/{told.stdout.strip()}").json()
    assert (made["algorithm"], made["env"], made["progress"]["iterations"]) == ("motionnn", "wildrobot", 5)
    config = made["config"]
    assert (config["model"]["network"], config["model"]["settings"]["width"], config["run"]["seed"]) == ("gru", 16, 3)


# -- what may be asked for -----------------------------------------------------------------------------------


def upload(engine: Engine, owner: str = "tess", body: str = "humanoid", state: str = "accepted") -> str:
    """A motion as it is after its import, without files."""
    with transaction(engine) as db:
        user = db.scalars(select(User).where(User.name == owner)).one()
        motion = Motion(owner=user, name="walk", format="bvh", state=state, size=1, sha256="0" * 64, body=body)
        db.add(motion)
        db.flush()
        return str(motion.id)


@pytest.mark.parametrize(
    ("name", "changes", "field"),
    [
        ("motionnn", {"motions": []}, "motions"),
        ("motionnn", {"motions": ["/etc/passwd"]}, "motions"),
        ("motionnn", {"motions": ["bundled:../human_walk"]}, "motions"),
        ("motionnn", {"motions": ["bundled:wildrobot_walk"]}, "motions"),
        ("refnn", {"env": "wildrobot"}, "env"),
        ("refnn", {"motions": []}, "motions"),
        ("motionnn", {"num_envs": 4}, "num_envs"),
        ("motionnn", {"total_steps": 400}, "total_steps"),
        ("motionnn", {"epochs": 3}, "epochs"),
        ("motionnn", {"batch_size": 5_000_000}, "batch_size"),
        ("motionnn", {"settings": {"data.held_out": ["x"]}}, "data.held_out"),
        ("motionnn", {"settings": {"model.conditions": ["weather"]}}, "model.conditions"),
        ("motionnn", {"settings": {"model.network": "forest"}}, "model.network"),
        ("motionnn", {"settings": {"model.network": "gru"}, "hidden_sizes": [8]}, "hidden_sizes"),
        ("motionnn", {"settings": {"model.network": "lstm", "model.settings.history": 4}}, "model.settings.history"),
        ("motionnn", {"settings": {"model.settings.heads": 2}}, "model.settings.heads"),
        ("motionnn", {"settings": {"optim.least_windows": 64, "optim.most_windows": 8}}, "optim.most_windows"),
        ("refnn", {"settings": {"holdout": 1.5}}, "holdout"),
        ("refnn", {"settings": {"final_learning_rate": 0.5}}, "final_learning_rate"),
        ("refnn", {"preset": "conditioned"}, "preset"),
    ],
)
def test_what_is_not_allowed_names_its_field(name: str, changes: dict, field: str, trainer: TestClient) -> None:
    answer = trainer.post("/sessions", json=TINY[name] | changes)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == field


def test_motions_are_those_of_the_body_that_one_sees(trainer: TestClient, other: TestClient, engine: Engine) -> None:
    mine, more = upload(engine), upload(engine)
    assert trainer.post("/sessions", json=TINY["motionnn"] | {"motions": [mine, more]}).status_code == 201
    alone = trainer.post("/sessions", json=TINY["motionnn"] | {"motions": [mine]})
    assert (alone.status_code, alone.json()["field"]) == (422, "motions"), "nothing would be held out"
    kept = TINY["motionnn"]["settings"] | {"data.test_share": 0.0}
    assert trainer.post("/sessions", json=TINY["motionnn"] | {"motions": [mine], "settings": kept}).status_code == 201
    refused = {
        "another user's": other.post("/sessions", json=TINY["motionnn"] | {"motions": [mine, more]}),
        "of another body": trainer.post(
            "/sessions", json=TINY["motionnn"] | {"motions": [mine, upload(engine, body="wildrobot")]}
        ),
        "rejected": trainer.post("/sessions", json=TINY["refnn"] | {"motions": [upload(engine, state="rejected")]}),
    }
    assert {why: (answer.status_code, answer.json()["field"]) for why, answer in refused.items()} == dict.fromkeys(
        refused, (422, "motions")
    )


def test_a_search_compares_policies(trainer: TestClient) -> None:
    space = {"learning_rate": {"low": 1e-4, "high": 1e-3}}
    answer = trainer.post("/studies", json={"name": "x", "base": TINY["refnn"], "space": space})
    assert (answer.status_code, answer.json()["field"]) == (422, "base.algorithm")


def test_the_form_has_the_settings_of_the_model(trainer: TestClient) -> None:
    fields = {field["key"]: field for field in trainer.get("/form", params={"algorithm": "motionnn"}).json()}
    assert fields["optim.updates"]["least"] == 1
    assert fields["model.conditions"]["choices"] == ["path", "speed", "phase"]
    assert fields["model.settings.hidden"]["kind"] == "sizes"
    assert fields["optim.learning_rate"]["description"] == "Step size at first."
    assert not {"data.held_out", "data.curriculum", "run.tensorboard"} & set(fields)
    told = trainer.get("/form", params={"algorithm": "motionnn", "preset": "conditioned"}).json()
    assert {field["key"]: field["default"] for field in told}["model.conditions"] == ["path", "speed", "phase"]
    makes = {known["name"]: known["makes"] for known in trainer.get("/algorithms").json()}
    assert makes == dict.fromkeys(("ppo-amp", "ppo", "imitate", "muscle"), "policy") | dict.fromkeys(TINY, "model")


def test_an_estimate_counts_updates(trainer: TestClient, engine: Engine) -> None:
    id = start(trainer, "motionnn")
    with transaction(engine) as db:
        row = db.get_one(TrainingSession, id)
        row.iteration, row.seconds = 40, 2.0
    found = trainer.post("/estimate", json=TINY["motionnn"] | {"iterations": 100}).json()
    assert (found["seconds"], found["steps"]) == (pytest.approx(5.0), 100)
    assert found["basis"].startswith("20 updates/s")
    with transaction(engine) as db:
        row = db.get_one(TrainingSession, id)
        row.state, row.iterations = "running", 100
    assert trainer.get(f"/sessions/{id}").json()["progress"]["seconds_left"] == pytest.approx(60 * 2.0 / 40)


def test_the_page_offers_motions_of_the_body(app: Any, trainer: TestClient, engine: Engine) -> None:
    ids = {body: upload(engine, body=body) for body in ("humanoid", "wildrobot")}
    page = Visitor(app, NAMES["trainer"], PASSWORD)
    for body, bundled in (("humanoid", "human_walk"), ("wildrobot", "wildrobot_walk")):
        text = page.get(f"/train?algorithm=motionnn&env={body}").text
        assert [name for name, id in ids.items() if f'value="{id}"' in text] == [body]
        assert f'value="bundled:{bundled}"' in text
        assert "Final length of rollouts, frames" in text
        assert "what the preset names" not in text
        assert Page(text).wrong == []


# -- clips and evaluation ------------------------------------------------------------------------------------


def test_a_short_loop_goes_on_lap_after_lap() -> None:
    clip = load_clips("human_walk")[0]
    lap = clip.frames - 1
    made = pretrain.continued(clip, seconds=4.0)
    assert (made.frames, made.loop) == (121, False)
    np.testing.assert_allclose(made.qpos[:lap], clip.qpos[:lap], atol=1e-12)
    stride = clip.qpos[-1, 0] - clip.qpos[0, 0]
    np.testing.assert_allclose(made.qpos[lap : 2 * lap, 0], clip.qpos[:lap, 0] + stride, atol=1e-9)
    np.testing.assert_allclose(made.qpos[lap : 2 * lap, 7:], clip.qpos[:lap, 7:], atol=1e-9)
    np.testing.assert_array_equal(made.contacts[lap : 2 * lap], clip.contacts[:lap])
    assert pretrain.continued(made, seconds=4.0) is made


def test_uploaded_motions_are_gathered_by_their_ids(tmp_path: Path) -> None:
    for id in ("aaaa", "bbbb"):
        (tmp_path / id).mkdir()
        (tmp_path / id / "clip.npz").write_bytes(asset_path("motions/human_walk/walk_100.npz").read_bytes())
    sources = [str(tmp_path / id / "clip.npz") for id in ("aaaa", "bbbb")]
    pretrain.gather([*sources, "human_walk"], tmp_path / "clips")
    names = sorted(file.stem for file in (tmp_path / "clips").iterdir())
    assert names == ["aaaa", "bbbb", *(f"walk_{speed:03d}" for speed in range(60, 161, 20))]
    assert load_clip(tmp_path / "clips" / "aaaa.npz").joint_names == humanoid().joint_names


def test_a_model_that_cannot_be_evaluated_is_still_one(tmp_path: Path) -> None:
    run, results = tmp_path / "run", tmp_path / "results"
    run.mkdir()
    results.mkdir()
    for name in ("model.npz", "config.yaml", "metrics.csv"):
        (run / name).touch()

    def judge(*_: Path) -> dict[str, Any]:
        raise models.NotEvaluated("no motion was held out")

    told = models.finish(run, results, judge)
    assert told == {"validation": None, "evaluation": None, "message": "not evaluated: no motion was held out"}
    assert sorted(file.name for file in (results / "model").iterdir()) == [
        "SHA256SUMS", "config.yaml", "metrics.csv", "model.npz",
    ]  # fmt: skip


# -- with real processes -------------------------------------------------------------------------------------


@pytest.mark.web
@pytest.mark.parametrize("name", TINY)
def test_a_model_that_is_killed_and_paused_ends_with_the_same_weights(name: str, tmp_path: Path) -> None:
    """Against the same training by `gait-train` alone."""
    file = {"motionnn": "model.npz", "refnn": "model/refnn.npz"}[name]
    with Service(tmp_path / "home") as service:
        id = service.client.start(**TINY[name] | {"iterations": 400})["id"]
        _until_it_trains(service, id, 2)
        for pid in service.trainings():
            os.kill(pid, signal.SIGKILL)
        _until_it_trains(service, id, service.client.session(id)["progress"]["iteration"] + 2)
        if service.client.session(id)["state"] == "running":
            service.client.act(id, "pause")
            if service.client.wait(id, timeout=120)["state"] == "paused":
                service.client.act(id, "resume")
        assert service.client.wait(id, timeout=300)["state"] == "completed"
        results, twin = service.settings.results / id, tmp_path / "twin"
        if name == "motionnn":
            assert (results / "trajectories.png").read_bytes().startswith(b"\x89PNG")
        *_, (module, *words) = algorithm(name).commands(twin, results)
        subprocess.run([sys.executable, "-m", module, *words], check=True, capture_output=True)
        with np.load(service.settings.runs / id / file) as mine, np.load(twin / file) as theirs:
            assert mine.files == theirs.files
            for key in mine.files:
                np.testing.assert_array_equal(mine[key], theirs[key], err_msg=key)


def _until_it_trains(service: Service, id: str, iteration: int, seconds: float = 120.0) -> None:
    ends = time.monotonic() + seconds
    while (row := service.client.session(id))["progress"]["iteration"] < iteration and row["state"] != "completed":
        assert time.monotonic() < ends, row
        assert row["state"] in ("queued", "running", "finishing"), row
        time.sleep(0.05)
