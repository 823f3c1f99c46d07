"""Motions and models: what is taken in, what is refused, who sees it, what an alias means."""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from helpers.service import TINY
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from gait_envs.mocap.provenance import read_table
from gait_trainers.policies.base import PolicyError
from gait_trainers.policies.loading import find_policy
from gait_trainers.service.db.engine import reading, transaction
from gait_trainers.service.db.tables import Job, ModelVersion, Motion, TrainingSession, now
from gait_trainers.service.jobs.commands import command
from gait_trainers.service.jobs.outcomes import end
from gait_trainers.service.operations import files, motions, registry
from gait_trainers.service.settings import Settings

BVH = b"HIERARCHY\nROOT Hips\n{\n OFFSET 0 0 0\n}\nMOTION\nFrames: 1\nFrame Time: 0.01\n0 0 0\n"


def archive(**arrays: Any) -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


AMASS = archive(poses=np.zeros((5, 156)), trans=np.zeros((5, 3)), mocap_framerate=120.0)


def upload(client: TestClient, *files: tuple[str, bytes], **fields: str) -> Any:
    sent = [("files", (name, data, "application/octet-stream")) for name, data in files]
    return client.post("/motions", files=sent, data={"name": "walk"} | fields)


@pytest.mark.parametrize(
    ("files", "format"),
    [
        ([("../../etc/passwd.bvh", BVH)], "bvh"),
        ([("C:\\x\\..\\WALK.BVH", BVH)], "bvh"),
        ([("a.amc", b"1\nroot 0"), ("b.asf", b":version 1.10")], "asf-amc"),
        ([("walk_poses.npz", AMASS)], "amass"),
    ],
)
def test_a_capture_is_kept_under_names_of_the_servers_choosing(
    trainer: TestClient, settings: Settings, engine: Engine, files: list[tuple[str, bytes]], format: str
) -> None:
    answer = upload(trainer, *files, labels="slow, straight", license="CC0")
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["format"], made["state"], made["labels"]) == (format, "queued", ["slow", "straight"])
    names = {"bvh": {"capture.bvh"}, "asf-amc": {"capture.amc", "skeleton.asf"}, "amass": {"capture.npz"}}[format]
    folder = settings.motions / made["id"]
    assert {path.name for path in folder.iterdir()} == names | {"provenance.csv"}
    (told,) = read_table(folder / "provenance.csv").by_name.items()
    assert told == (next(name for name in names if name.startswith("capture")), {"license": "CC0"})
    assert [path.name for path in settings.motions.iterdir()] == [made["id"]]
    with transaction(engine) as db:
        assert db.scalars(select(Job)).one().kind == "import"


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name in ("poses.npy", "trans.npy"):
            packed.writestr(name, bytes(20 << 20))
    return out.getvalue()


def pickled() -> bytes:
    out = io.BytesIO()
    np.savez(out, poses=np.array([{"x": 1}], dtype=object), trans=np.zeros(3))
    return out.getvalue()


def spoiled(encrypted: bool) -> bytes:
    """An archive that claims to be encrypted, or whose compressed data are no deflate stream."""
    out = io.BytesIO()
    np.savez_compressed(out, poses=np.zeros((9, 156)), trans=np.zeros((9, 3)))
    data = bytearray(out.getvalue())
    if encrypted:
        for mark, at in ((b"PK\3\4", 6), (b"PK\1\2", 8)):  # flags in each local header, and in the directory
            data[data.find(mark) + at] |= 1
    else:
        start = 30 + len("poses.npy") + int.from_bytes(data[28:30], "little")
        data[start : start + 4] = b"\xff" * 4
    return bytes(data)


@pytest.mark.parametrize(
    "files",
    [
        [("run.sh", b"echo")],
        [("walk.bvh", b"")],
        [("walk.bvh", b"\x80\x04\x95pickle")],
        [("walk.bvh", b"\x1f\x8b" + bytes(100))],
        [("walk.bvh", b"nothing of the kind")],
        [("walk.bvh", b"HIERARCHY\0")],
        [("walk.amc", b"1\n")],
        [("a.bvh", BVH), ("b.bvh", BVH)],
        [("a.bvh", BVH), ("b.npz", AMASS)],
        [("a.npz", b"PK\x03\x04 damaged")],
        [("a.npz", AMASS[:-40])],
        [("a.npz", spoiled(encrypted=True))],
        [("a.npz", spoiled(encrypted=False))],
        [("a.npz", archive(weights=np.zeros(3)))],
        [("a.pkl", b"\x80\x04.")],
    ],
)
def test_what_is_no_capture_is_refused_and_leaves_nothing(
    trainer: TestClient, settings: Settings, files: list[tuple[str, bytes]]
) -> None:
    answer = upload(trainer, *files)
    assert answer.status_code == 422, answer.text
    assert answer.json()["field"] == "files"
    assert not any(settings.motions.iterdir())
    assert trainer.get("/motions").json()["total"] == 0


def test_bombs_and_pickles_are_refused(trainer: TestClient, settings: Settings) -> None:
    assert "expands" in upload(trainer, ("a.npz", bomb())).json()["detail"]
    assert upload(trainer, ("a.npz", pickled())).status_code == 422
    assert not any(settings.motions.iterdir())


def test_large_files_are_refused(trainer: TestClient, settings: Settings, app) -> None:
    app.state.settings = settings.model_copy(update={"upload_mb": 1})
    answer = upload(trainer, ("a.bvh", BVH + b" " * (1 << 20)))
    assert answer.status_code == 413
    assert not any(settings.motions.iterdir())


def test_motions_of_others_do_not_exist(trainer: TestClient, other: TestClient, engine: Engine) -> None:
    id = upload(trainer, ("a.bvh", BVH)).json()["id"]
    for method, path in (
        ("get", f"/motions/{id}"), ("patch", f"/motions/{id}"), ("delete", f"/motions/{id}"),
        ("post", f"/motions/{id}/accept"), ("get", f"/motions/{id}/files"), ("get", f"/motions/{id}/files/clip"),
    ):  # fmt: skip
        options = {"json": {}} if method == "patch" else {}
        assert other.request(method.upper(), path, **options).status_code == 404, path
    with transaction(engine) as db:
        db.execute(update(Motion).values(state="ready"))
    assert other.post("/sessions", json=TINY | {"motions": [id]}).json()["field"] == "motions"
    made = trainer.post("/sessions", json=TINY | {"motions": [id], "algorithm": "ppo-amp"})
    assert made.status_code == 201, made.text
    assert made.json()["config"]["amp"]["data"] == f"motion:{id}", "no path of the server is shown"
    assert trainer.delete(f"/motions/{id}").status_code == 409, "a training needs it"


def test_a_motion_is_judged_once_it_is_converted(trainer: TestClient, engine: Engine) -> None:
    id = upload(trainer, ("a.bvh", BVH)).json()["id"]
    assert trainer.post(f"/motions/{id}/accept").status_code == 409
    with transaction(engine) as db:
        db.execute(update(Motion).values(state="ready"))
    assert trainer.post(f"/motions/{id}/accept").json()["state"] == "accepted"
    assert trainer.post(f"/motions/{id}/reject").json()["state"] == "rejected"
    refused = trainer.post("/sessions", json=TINY | {"motions": [id]})
    assert "rejected" in refused.json()["detail"]


def test_a_motion_that_was_converted_is_filmed(trainer: TestClient, engine: Engine, settings: Settings) -> None:
    id = upload(trainer, ("a.bvh", BVH)).json()["id"]
    assert not (settings.motions / id / "provenance.csv").exists(), "no licence was said"
    (settings.motions / id / "result.json").write_text('{"seconds": 9.5}')
    with transaction(engine) as db:
        end(db, db.scalars(select(Job)).one(), 0, settings)
    with transaction(engine) as db:
        job = db.scalars(select(Job).where(Job.state == "queued")).one()
        words = command(db, job, settings)
        assert (job.kind, job.motion_id) == ("film", id)
        assert motions.is_filmed(db, db.get_one(Motion, id))
    assert words[-2:] == ["--end", "6.0"]
    assert str(settings.motions / id / "film.mp4") in words


# -- registry ------------------------------------------------------------------------------------------------


@pytest.fixture
def completed(trainer: TestClient, engine: Engine, settings: Settings) -> str:
    """A session with something like a bundle."""
    id = trainer.post("/sessions", json=TINY).json()["id"]
    bundle = settings.results / id / "bundle"
    bundle.mkdir(parents=True)
    (bundle / "policy.onnx").write_bytes(b"network")
    (bundle / "policy.json").write_text(json.dumps({"environment": {"id": "x"}}))
    with transaction(engine) as db:
        row = db.get_one(TrainingSession, id)
        row.state, row.validation = "completed", {"passed": True}
    return id


def test_a_policy_can_be_validated_again(trainer: TestClient, completed: str, engine: Engine) -> None:
    assert trainer.post(f"/sessions/{completed}/validate").json()["state"] == "finishing"
    with transaction(engine) as db:
        assert [job.kind for job in db.scalars(select(Job).where(Job.session_id == completed))][-1] == "finish"
    assert trainer.post(f"/sessions/{completed}/validate").status_code == 409, "it is under way"


def publish(client: TestClient, id: str, name: str = "walker") -> Any:
    return client.post(f"/sessions/{id}/publish", json={"name": name})


def test_versions_are_numbered_and_never_change(trainer: TestClient, completed: str, settings: Settings) -> None:
    first = publish(trainer, completed).json()
    (settings.results / completed / "bundle" / "policy.onnx").write_bytes(b"another")
    second = publish(trainer, completed).json()
    assert (first["number"], second["number"]) == (1, 2)
    assert first["files"]["policy.onnx"]["sha256"] == hashlib.sha256(b"network").hexdigest()
    assert trainer.get("/models/walker/1/files/policy.onnx").content == b"network"
    assert first["lineage"]["session"] == completed
    assert len(first["lineage"]["configuration_sha256"]) == 64
    assert trainer.get("/models/walker/1/files/..%2f..%2findex.json").status_code == 404
    assert (settings.models / "walker" / "1" / "policy.onnx").stat().st_mode & 0o222 == 0


def test_aliases_are_promoted_and_rolled_back(trainer: TestClient, completed: str, settings: Settings) -> None:
    for _ in range(3):
        publish(trainer, completed)
    assert trainer.get("/models/walker").json()["aliases"] == {"champion": 1}
    assert trainer.post("/models/walker/rollback", json={}).status_code == 409
    for number in (2, 3):
        trainer.post("/models/walker/promote", json={"number": number})
    assert trainer.get("/models/walker/champion").json()["number"] == 3
    assert trainer.delete("/models/walker/3").status_code == 409, "it is the champion"
    assert trainer.delete("/models/walker/2").json()["deleted_at"]
    assert trainer.get("/models/walker/2").status_code == 404
    assert trainer.post("/models/walker/rollback", json={}).json()["number"] == 1, "past the deleted one"
    assert trainer.post("/models/walker/2/restore").json()["deleted_at"] is None
    index = json.loads((settings.models / "index.json").read_text())
    assert index == {"walker": {"versions": [3, 2, 1], "aliases": {"champion": 1}}}


def test_the_command_line_finds_what_is_registered(
    trainer: TestClient, completed: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(trainer, completed)
    monkeypatch.setenv("GAITNET_REGISTRY", str(settings.models))
    for text in ("registry:walker", "registry:walker@champion", "registry:walker@1"):
        assert find_policy(text) == settings.models / "walker" / "1"
    for text, told in (
        ("registry:runner", "has walker"), ("registry:walker@2", "no version 2; known are champion, 1"),
        ("registry:../../etc", "has walker"), ("registry:walker@../1", "no version"),
    ):  # fmt: skip
        with pytest.raises(PolicyError, match=told):
            find_policy(text)
    monkeypatch.setenv("GAITNET_REGISTRY", str(settings.home / "nowhere"))
    with pytest.raises(PolicyError, match="GAITNET_REGISTRY"):
        find_policy("registry:walker")


def test_names_are_their_owners(trainer: TestClient, other: TestClient, completed: str, engine: Engine) -> None:
    publish(trainer, completed)
    assert other.get("/models").json()["total"] == 0
    for method, path in (("GET", "/models/walker"), ("GET", "/models/walker/1"), ("DELETE", "/models/walker/1")):
        assert other.request(method, path).status_code == 404
    trainer.patch("/models/walker", json={"shared": True})
    assert other.get("/models/walker/champion").status_code == 200
    assert other.delete("/models/walker/1").status_code == 403
    assert publish(other, completed).status_code == 404


@pytest.mark.parametrize("name", ["", "..", "a/b", "A", "x" * 65, "a\n", "registry:x"])
def test_a_name_is_plain(trainer: TestClient, completed: str, name: str) -> None:
    assert publish(trainer, completed, name).status_code == 422


def test_only_what_passed_is_published(trainer: TestClient, completed: str, engine: Engine) -> None:
    with transaction(engine) as db:
        db.get_one(TrainingSession, completed).validation = {"passed": False}
    assert publish(trainer, completed).status_code == 409
    with transaction(engine) as db:
        db.get_one(TrainingSession, completed).state = "failed"
    assert publish(trainer, completed).status_code == 409


def test_deleted_versions_go_after_their_grace_period(
    trainer: TestClient, completed: str, engine: Engine, settings: Settings
) -> None:
    for _ in range(2):
        publish(trainer, completed)
    trainer.delete("/models/walker/2")
    with transaction(engine) as db:
        registry.purge(db, settings)
    folder = settings.models / "walker" / "2"
    assert folder.is_dir()
    with transaction(engine) as db:
        before = now().replace(year=2020)
        db.execute(update(ModelVersion).where(ModelVersion.number == 2).values(deleted_at=before))
        db.expire_all()
        registry.purge(db, settings)
    assert not folder.exists()
    assert trainer.post("/models/walker/2/restore").status_code == 409
    assert Path(settings.models / "walker" / "1").is_dir()


def test_a_study_names_what_cannot_be_searched(trainer: TestClient, other: TestClient) -> None:
    base = TINY | {"name": "base"}
    space = {"ppo.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True}}
    made = trainer.post("/studies", json={"name": "search", "base": base, "space": space, "trials": 2})
    assert made.status_code == 201, made.text
    assert other.get(f"/studies/{made.json()['id']}").status_code == 404
    for bad, field in (
        ({"run.out": {"kind": "choice", "choices": ["/tmp"]}}, "space.run.out"),
        ({"ppo.gamma": {"low": 0.5, "high": 2.0}}, "space.ppo.gamma"),
        ({"ppo.gamma": {"low": 0.9, "high": 0.5}}, "space"),
    ):
        answer = trainer.post("/studies", json={"name": "search", "base": base, "space": bad})
        assert answer.status_code == 422
        assert answer.json()["field"].startswith(field)


@pytest.fixture
def shared(trainer: TestClient, engine: Engine, settings: Settings) -> str:
    """A motion of one user that all may train on."""
    id = upload(trainer, ("a.bvh", BVH)).json()["id"]
    (settings.motions / id / "clip.npz").write_bytes(b"clip")
    with transaction(engine) as db:
        db.execute(update(Motion).values(state="accepted", shared=True))
        db.execute(update(Job).values(state="ended"))
    return id


@pytest.mark.parametrize("algorithm", ["imitate", "motionnn"])
def test_a_training_has_clips_of_its_own(
    algorithm: str, trainer: TestClient, other: TestClient, shared: str, engine: Engine, settings: Settings
) -> None:
    """Until they are copied, when it begins, nobody takes them away; then anybody may, and it begins again."""
    request = {"name": "theirs", "algorithm": algorithm, "motions": [shared, "bundled:wildrobot_walk"]}
    made = other.post("/sessions", json=request | ({"env": "wildrobot"} if algorithm == "motionnn" else {}))
    assert made.status_code == 201, made.text
    session = made.json()["id"]
    for state in ("queued", "running", "paused", "failed"):
        with transaction(engine) as db:
            db.get_one(TrainingSession, session).state = state
        refused = trainer.delete(f"/motions/{shared}")
        assert refused.status_code == 409
        assert "another user" in refused.json()["detail"]
        assert "theirs" not in refused.json()["detail"], "what others call their work is theirs"
    with transaction(engine) as db:
        job = db.scalars(select(Job).where(Job.session_id == session)).one()
        words = command(db, job, settings)
    copy = settings.results / session / "motions" / shared / "clip.npz"
    assert str(copy) in (words if algorithm == "motionnn" else (settings.results / session / "config.yaml").read_text())
    assert trainer.delete(f"/motions/{shared}").status_code == 204
    assert not (settings.motions / shared).exists()
    assert copy.read_bytes() == b"clip"
    with transaction(engine) as db:
        assert command(db, db.scalars(select(Job).where(Job.session_id == session)).one(), settings) == words


def test_a_policy_of_an_earlier_version_keeps_its_motion(trainer: TestClient, shared: str, engine: Engine) -> None:
    """Its film, its evaluation and its extension read the motion's own file."""
    session = trainer.post("/sessions", json=TINY | {"algorithm": "imitate", "motions": [shared]}).json()["id"]
    with transaction(engine) as db:
        db.get_one(TrainingSession, session).state = "completed"
        db.execute(update(Job).values(state="ended"))
    assert "tiny" in trainer.delete(f"/motions/{shared}").json()["detail"]
    assert trainer.delete(f"/sessions/{session}").status_code == 204
    assert trainer.delete(f"/motions/{shared}").status_code == 204


def test_a_motion_is_not_deleted_between_the_trials_of_a_search(
    trainer: TestClient, shared: str, engine: Engine
) -> None:
    base = {"name": "tiny", "algorithm": "imitate", "motions": [shared]}
    space = {"ppo.learning_rate": {"low": 1e-5, "high": 1e-3, "log": True}}
    study = trainer.post("/studies", json={"name": "wide", "base": base, "space": space})
    assert study.status_code == 201, study.text
    assert "wide will train on it" in trainer.delete(f"/motions/{shared}").json()["detail"]
    trainer.post(f"/studies/{study.json()['id']}/stop")
    assert trainer.delete(f"/motions/{shared}").status_code == 204


def test_a_motion_is_not_deleted_beside_a_process(trainer: TestClient, shared: str, engine: Engine) -> None:
    with transaction(engine) as db:
        film = Job(kind="film", owner_id=db.get_one(Motion, shared).owner_id, motion_id=shared, state="running")
        db.add(film)
    assert trainer.delete(f"/motions/{shared}").status_code == 409
    with transaction(engine) as db:
        db.execute(update(Job).values(state="queued"))
    assert trainer.delete(f"/motions/{shared}").status_code == 204


@pytest.mark.parametrize("kind", ["motion", "session"])
def test_files_stay_where_the_deletion_of_their_rows_fails(
    kind: str, trainer: TestClient, shared: str, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = shared if kind == "motion" else trainer.post("/sessions", json=TINY).json()["id"]
    if kind == "session":
        trainer.post(f"/sessions/{id}/stop")
    folder = settings.motions / id if kind == "motion" else settings.results / id
    folder.mkdir(exist_ok=True)

    def full(self: Session) -> None:
        raise OSError("no space left on device")

    with transaction(engine) as db:
        db.execute(update(Job).values(state="ended"))
        db.execute(update(TrainingSession).values(state="stopped"))
    with monkeypatch.context() as patch:
        patch.setattr(Session, "commit", full)
        with pytest.raises(OSError, match="no space"):
            trainer.delete(f"/{kind}s/{id}")
    assert folder.is_dir()
    assert trainer.delete(f"/{kind}s/{id}").status_code == 204
    assert not folder.exists()


def test_the_index_is_written_by_one_at_a_time(
    trainer: TestClient, completed: str, engine: Engine, settings: Settings
) -> None:
    publish(trainer, completed)

    def write(_: int) -> None:
        with reading(engine) as db:
            registry.write_index(db, settings)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(20)))
    assert json.loads((settings.models / "index.json").read_text())["walker"]["versions"] == [1]


def test_a_run_is_packed_once_for_all_who_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And again once a file has changed; one that vanishes meanwhile is left out."""
    run, target = tmp_path / "run", tmp_path / "run.zip"
    run.mkdir()
    for number in range(3):
        (run / f"step_{number}.pt").write_bytes(bytes(100_000))
        os.utime(run / f"step_{number}.pt", (1e9, 1e9))
    packed = []
    whole = files.replacing
    monkeypatch.setattr(files, "replacing", lambda path: packed.append(path) or whole(path))
    with ThreadPoolExecutor(3) as pool:
        assert set(pool.map(lambda _: files._packed(run, target), range(6))) == {target}
    assert len(packed) == 1
    (run / "step_3.pt").write_bytes(b"new")
    real = Path.stat

    def pruned(self: Path, **options: Any) -> os.stat_result:
        if self.name == "step_0.pt":
            self.unlink(missing_ok=True)
        return real(self, **options)

    monkeypatch.setattr(files.Path, "is_file", lambda self: os.path.isfile(self))
    monkeypatch.setattr(files.Path, "stat", pruned)
    files._packed(run, target)
    with zipfile.ZipFile(target) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == [f"run/step_{number}.pt" for number in (1, 2, 3)]
