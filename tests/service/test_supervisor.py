"""The supervisor with processes that only pretend to train: what starts, what ends, what is taken over."""

from __future__ import annotations

import datetime
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from helpers.service import TINY
from sqlalchemy import Engine, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from gait_trainers.service.app import create_app
from gait_trainers.service.db import engine as database
from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Alert, Job, TrainingSession, new_id, now
from gait_trainers.service.jobs import outcomes, supervisor, watch
from gait_trainers.service.jobs.process import lives, spawn
from gait_trainers.service.jobs.schedule import Capacity, next_jobs
from gait_trainers.service.jobs.supervisor import Loop
from gait_trainers.service.jobs.watch import check
from gait_trainers.service.settings import Settings

SLEEP = "exec sleep 60"
DONE = 'echo 1 >> "$0"; exit 0'
FINISH = """echo '{"validation": {"passed": true}}' > "$1/result.json" """


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> dict[str, str]:
    """What the processes of each kind do; `$0` is a file beside the run, `$1` the folder of results."""
    scripts = {"train": DONE, "finish": FINISH, "evaluate": "exit 0", "film": "exit 0"}

    def command(_: Session, job: Job, settings: Settings) -> list[str]:
        log, results = settings.home / f"{job.kind}.starts", settings.results / str(job.session_id)
        return ["/bin/sh", "-c", scripts[job.kind], str(log), str(results)]

    monkeypatch.setattr(supervisor, "command", command)
    return scripts


@pytest.fixture
def loop(engine: Engine, settings: Settings, script: dict[str, str]) -> Iterator[Callable[[], Loop]]:
    loops: list[Loop] = []

    def begin() -> Loop:
        loops.append(Loop(engine, settings))
        loops[-1].begin()
        return loops[-1]

    yield begin
    for made in loops:
        for watched in made.watched.values():
            if watched.child is not None:
                with suppress(ProcessLookupError):
                    os.killpg(watched.child.pid, signal.SIGKILL)
                watched.child.wait()


def until(loop: Loop, condition: Callable[[], bool], seconds: float = 120.0) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "it did not happen"
        loop.look()
        time.sleep(0.02)


@pytest.fixture
def state(trainer: TestClient) -> Callable[[str], str]:
    return lambda id: trainer.get(f"/sessions/{id}").json()["state"]


def start(trainer: TestClient) -> str:
    return trainer.post("/sessions", json=TINY).json()["id"]


def test_a_training_is_followed_by_its_bundle(trainer: TestClient, loop, state, settings: Settings) -> None:
    id, running = start(trainer), loop()
    until(running, lambda: state(id) == "completed")
    assert trainer.get(f"/sessions/{id}").json()["validation"] == {"passed": True}
    until(running, lambda: not running.watched)
    assert (settings.home / "train.starts").read_text() == "1\n"
    assert [alert["kind"] for alert in trainer.get("/alerts").json()["items"]] == ["finished"]


def test_a_failure_says_what_the_process_said_last(trainer: TestClient, loop, state, script, settings) -> None:
    script["train"] = f'echo "it is all wrong in {settings.home}/runs"; exit 2'
    id = start(trainer)
    until(loop(), lambda: state(id) == "failed")
    found = trainer.get(f"/sessions/{id}").json()
    assert found["message"] == "it is all wrong in /runs", "without the folders of the server"
    assert [alert["kind"] for alert in trainer.get("/alerts").json()["items"]] == ["failed"]


@pytest.mark.parametrize(("action", "end"), [("stop", "stopped"), ("pause", "paused")])
def test_a_process_is_interrupted_when_asked(trainer: TestClient, loop, state, script, action: str, end: str) -> None:
    script["train"] = SLEEP
    id, running = start(trainer), loop()
    until(running, lambda: state(id) == "running")
    trainer.post(f"/sessions/{id}/{action}")
    until(running, lambda: state(id) == end)
    assert not running.watched
    assert trainer.post(f"/sessions/{id}/resume").json()["state"] == "queued"


def test_what_is_queued_ends_without_beginning(trainer: TestClient, loop, state, settings: Settings) -> None:
    id = start(trainer)
    trainer.post(f"/sessions/{id}/stop")
    until(loop(), lambda: state(id) == "stopped")
    assert not (settings.home / "train.starts").exists()


def test_a_process_that_ignores_the_interrupt_is_killed(
    trainer: TestClient, loop, state, script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "PATIENCE", (0.1, 0.2))
    script["train"] = "trap '' INT TERM; while :; do sleep 0.05; done"
    id, running = start(trainer), loop()
    until(running, lambda: state(id) == "running")
    trainer.post(f"/sessions/{id}/stop")
    until(running, lambda: state(id) == "stopped")


def test_a_killed_process_begins_again(trainer: TestClient, loop, state, script, engine: Engine) -> None:
    script["train"] = SLEEP
    id, running = start(trainer), loop()
    until(running, lambda: state(id) == "running")
    with Session(engine) as db:
        os.kill(db.scalars(select(Job.pid)).one(), signal.SIGKILL)
    script["train"] = DONE
    until(running, lambda: state(id) == "completed")


def test_a_process_that_only_dies_fails_in_the_end(
    trainer: TestClient, loop, state, script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outcomes, "MOST_ATTEMPTS", 4)
    script["train"] = 'echo 1 >> "$0"; kill -9 $$'
    id = start(trainer)
    until(loop(), lambda: state(id) == "failed")
    assert "killed 4 times" in trainer.get(f"/sessions/{id}").json()["message"]


def test_the_next_supervisor_finds_what_runs(trainer: TestClient, loop, state, script, settings: Settings) -> None:
    script["train"] = 'echo 1 >> "$0"; exec sleep 60'
    id, first = start(trainer), loop()
    until(first, lambda: (settings.home / "train.starts").exists())
    second = loop()  # the first one is gone without a word
    for _ in range(5):
        second.look()
    assert state(id) == "running"
    assert (settings.home / "train.starts").read_text() == "1\n", "no session runs twice"
    trainer.post(f"/sessions/{id}/stop")
    until(second, lambda: state(id) == "stopped")


@pytest.mark.parametrize("noted", [False, True])
def test_the_next_supervisor_finds_what_has_died(
    trainer: TestClient, loop, state, script, engine: Engine, settings: Settings, noted: bool
) -> None:
    """Killed together with its supervisor, before or after it was noted which process it is."""
    script["train"] = SLEEP
    id, first = start(trainer), loop()
    until(first, lambda: state(id) == "running")
    (watched,) = first.watched.values()
    watched.child.kill()
    watched.child.wait()
    if not noted:
        with transaction(engine) as db:
            job = db.scalars(select(Job)).one()
            job.pid = job.process_started = None
    script["train"] = DONE
    until(loop(), lambda: state(id) == "completed")


def test_a_claim_without_a_process_is_taken_back(trainer: TestClient, loop, state, engine: Engine) -> None:
    """Killed between the claim and the start."""
    id, first = start(trainer), loop()
    with transaction(engine) as db:
        job = db.scalars(select(Job)).one()
        job.state, job.supervisor_id = "running", first.id
    until(loop(), lambda: state(id) == "completed")


def test_the_lock_of_a_process_lasts_as_long_as_what_it_has_forked(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    child = spawn(folder, ["/bin/sh", "-c", "sleep 0.4 & exit 0"], tmp_path / "log", 1)
    assert child is not None
    assert child.wait() == 0
    assert lives(folder)
    assert spawn(folder, ["/bin/true"], tmp_path / "log", 1) is None
    time.sleep(0.6)
    assert not lives(folder)
    again = spawn(folder, ["/bin/true"], tmp_path / "log", 1)
    assert again is not None
    again.wait()


def test_a_process_knows_no_secret_of_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GAITNET_ADMIN_PASSWORD", "do-not-tell")
    child = spawn(tmp_path / "job", ["/usr/bin/env"], tmp_path / "log", 2)
    assert child is not None
    child.wait()
    told = (tmp_path / "log").read_text()
    assert "do-not-tell" not in told
    assert "OMP_NUM_THREADS=2" in told


def test_a_training_has_its_time(trainer: TestClient, loop, state, script, engine: Engine, monkeypatch) -> None:
    monkeypatch.setattr(supervisor, "KEEP_TIME", 0.05)
    script["train"] = SLEEP
    id, running = start(trainer), loop()
    with transaction(engine) as db:
        db.get_one(TrainingSession, id).timeout_s = 0.3
    until(running, lambda: state(id) == "failed")
    assert "its time is up" in trainer.get(f"/sessions/{id}").json()["message"]
    assert [alert["kind"] for alert in trainer.get("/alerts").json()["items"]] == ["time-out"]
    assert trainer.post(f"/sessions/{id}/resume").status_code == 202


def test_nothing_begins_on_a_full_disk(trainer: TestClient, engine: Engine, settings: Settings, script) -> None:
    id = start(trainer)
    full = Loop(engine, settings.model_copy(update={"least_disk_mb": 10**9}))
    full.begin()
    for _ in range(3):
        full.look()
    assert trainer.get(f"/sessions/{id}").json()["state"] == "queued"
    with Session(engine) as db:
        assert [alert.kind for alert in db.scalars(select(Alert))] == ["disk nearly full"]


def test_a_clock_that_is_set_back_stops_no_films(trainer: TestClient, engine: Engine, settings: Settings) -> None:
    id = start(trainer)
    (settings.runs / id / "checkpoints").mkdir(parents=True)
    (settings.runs / id / "checkpoints" / "step_32.pt").touch()
    with transaction(engine) as db:
        session = db.get_one(TrainingSession, id)
        tomorrow = now() + datetime.timedelta(days=1)
        earlier = Job(kind="film", owner_id=session.owner_id, session_id=id, state="ended", created_at=tomorrow)
        db.add(earlier)
        db.flush()
        watch.film(db, session, settings)
        assert len(list(db.scalars(select(Job).where(Job.kind == "film", Job.state == "queued")))) == 1
        earlier.created_at = now()
        watch.film(db, session, settings)
        assert len(list(db.scalars(select(Job).where(Job.kind == "film")))) == 2, "the last one has only just ended"


def test_a_database_that_is_locked_says_so_and_loses_nothing(
    trainer: TestClient, engine, settings, monkeypatch
) -> None:
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL locks rows alone")
    monkeypatch.setattr(database, "BUSY", 0.05)
    other = database.make_engine(settings.database_url)
    headers = {"authorization": trainer.headers["authorization"]}
    impatient = TestClient(create_app(settings, other), base_url="http://localhost/api/v1", headers=headers)
    with transaction(engine) as db:  # a writer that takes its time
        answer = impatient.post("/sessions", json=TINY)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.headers["content-type"] == "application/problem+json"
        assert impatient.get("/sessions").json()["total"] == 0, "who only reads is not kept waiting"
        with pytest.raises(OperationalError):
            Loop(other, settings).begin()  # `supervise` waits and tries again
        assert db.scalars(select(Job)).all() == []
    assert impatient.post("/sessions", json=TINY).status_code == 201
    other.dispose()


@pytest.mark.parametrize("first", [0, 1])
def test_a_process_is_ended_by_one_supervisor(
    first: int, trainer: TestClient, loop, engine: Engine, state, monkeypatch
) -> None:
    """One that was silent for a while, so that another has taken over, finds that it watches nothing any more."""
    id, loops = start(trainer), [loop(), loop()]

    class Ended:
        pid = 0

        def poll(self) -> int:
            return 0

        def wait(self) -> None: ...

    with transaction(engine) as db:
        one = db.scalars(select(Job)).one()
        one.state, one.supervisor_id = "running", loops[0].id
        db.get_one(TrainingSession, id).state = "running"
        loops[0].watched[one.id] = supervisor.Watched(one.id, Ended(), None, time.monotonic())
    monkeypatch.setattr(supervisor, "lives", lambda _: False)
    monkeypatch.setattr(loops[1], "_gone", lambda _: {loops[0].id})
    loops[1]._take_over()
    for at in (first, 1 - first):
        for watched in list(loops[at].watched.values()):
            loops[at]._check(watched)
        assert not loops[at].watched
    with transaction(engine) as db:
        assert db.get_one(TrainingSession, id).state == "queued", "nobody has seen how it ended"
        assert [(x.kind, x.state, x.attempts) for x in db.scalars(select(Job))] == [("train", "queued", 1)]


# -- the order of the queue ----------------------------------------------------------------------------------


def job(owner: str, kind: str = "train", cores: float = 1.0, memory: int = 100, at: int = 0) -> Job:
    return Job(id=new_id(), kind=kind, owner_id=owner, cores=cores, memory_mb=memory, created_at=at)


def test_users_take_turns() -> None:
    queued = [*(job("ann", at=i) for i in range(4)), *(job("bob", at=10 + i) for i in range(2)), job("cyd", at=20)]
    chosen = next_jobs(queued, [], Capacity(5, 10_000), {})
    assert [x.owner_id for x in chosen] == ["ann", "bob", "cyd", "ann", "bob"]
    one = next_jobs(queued, [], Capacity(1, 10_000), {"ann": 1, "bob": 2})
    assert [x.owner_id for x in one] == ["cyd"], "who has never had a turn comes first"


def test_jobs_fit_into_cores_and_memory() -> None:
    running = [job("ann", cores=1.0, memory=600)]
    queued = [job("bob", memory=500), job("cyd", memory=400, at=1), job("cyd", cores=4.0, at=2)]
    assert [x.owner_id for x in next_jobs(queued, running, Capacity(4, 1000), {})] == ["cyd"]
    assert len(next_jobs([job("bob", cores=64.0, memory=10**6)], [], Capacity(4, 1000), {})) == 1, "alone it may"
    assert not next_jobs([job("bob", cores=64.0)], running, Capacity(4, 1000), {})


def test_short_work_comes_before_long() -> None:
    queued = [
        job("ann", "film", at=0),
        job("ann", "train", at=1),
        job("ann", "finish", at=2),
        job("ann", "import", at=3),
    ]
    chosen = next_jobs(queued, [], Capacity(9, 10_000), {})
    assert [x.kind for x in chosen] == ["import", "finish", "train", "film"]


def test_a_large_training_is_not_passed_by_for_ever() -> None:
    """Small ones of another user that come one after another leave it no room; once it is overdue, they wait."""
    big, running = job("ann", cores=4.0), [job("bob", at=1)]
    queued, turns, begun = [big], {}, []
    for at in range(2, 40):
        queued += [job("bob", at=at), job("bob", "film", at=at)]
        chosen = next_jobs(queued, running, Capacity(4, 10_000), turns, overdue=20 if at > 20 else 0)
        for one in chosen:
            queued.remove(one)
            turns[one.owner_id] = max(turns.values(), default=0) + 1
        begun += [(at, one.kind) for one in chosen]
        if big in chosen:
            break
        running = [one for one in [*running, *chosen] if one.kind == "train"]  # films take seconds
        running = running[-2:] if at <= 20 else running[1:]
    assert big in chosen
    assert (2, "train") in begun, "at first they pass"
    assert not [at for at, kind in begun if kind == "train" and 20 < at < begun[-1][0]]
    assert [at for at, kind in begun if kind == "film" and at > 20], "what is short goes on"


def test_an_overdue_training_is_not_passed_by_whoever_runs_less() -> None:
    """Its owner runs something, and so comes after a user who runs nothing."""
    big, small = job("ann", cores=4.0), job("bob", at=30)
    assert next_jobs([big, small], [job("ann", at=1)], Capacity(4, 10_000), {}, overdue=20) == []
    assert next_jobs([big, small], [job("ann", at=1)], Capacity(4, 10_000), {}, overdue=0) == [small]
    assert next_jobs([big, small], [], Capacity(4, 10_000), {"ann": 1}, overdue=20) == [big]


# -- alerts --------------------------------------------------------------------------------------------------


def row(iteration: int, **values: float) -> dict[str, float]:
    return {"iteration": float(iteration), "episode_reward": 1.0, **values}


def test_alerts_come_once_and_survive_a_restart(trainer: TestClient, engine: Engine) -> None:
    id = start(trainer)
    still = {"forward_velocity": 0.01, "command": 0.4, "episode_length": 400.0}
    for first in range(1, 61):  # a row at a time, as if the supervisor were started again for each
        with transaction(engine) as db:
            check(db, db.get_one(TrainingSession, id), [row(first, **still)])
    found = [alert["kind"] for alert in trainer.get("/alerts").json()["items"]]
    assert found == ["standing still"]


def test_what_diverges_or_stalls_is_told(trainer: TestClient, engine: Engine) -> None:
    id = start(trainer)
    with transaction(engine) as db:
        session = db.get_one(TrainingSession, id)
        check(db, session, [row(i) for i in range(1, 301)])
        assert [x.kind for x in db.scalars(select(Alert))] == []
        check(db, session, [row(301), row(302, value_loss=float("nan")), row(303, value_loss=float("inf"))])
    alerts = trainer.get("/alerts").json()["items"]
    assert sorted(alert["kind"] for alert in alerts) == ["diverged", "no progress"]
    one = alerts[0]["id"]
    assert trainer.post(f"/alerts/{one}/acknowledge").json()["acknowledged_at"]
    assert trainer.get("/alerts").json()["total"] == 1


def test_alerts_go_to_a_webhook_once(trainer: TestClient, engine: Engine, settings: Settings, monkeypatch) -> None:
    from gait_trainers.service.jobs import notify

    sent = []
    monkeypatch.setattr(notify, "send_post", lambda url, alert: sent.append((url, alert.kind)))
    id = start(trainer)
    with transaction(engine) as db:
        check(db, db.get_one(TrainingSession, id), [row(1, loss=float("nan"))])
    told = settings.model_copy(update={"webhooks": ["http://ops.example/hook"]})
    for _ in range(3):
        notify.send(notify.take(engine, told), told)
    assert sent == [("http://ops.example/hook", "diverged")]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x/y"])
def test_a_webhook_is_http(url: str, db: Session) -> None:
    from gait_trainers.service.jobs.notify import send_post

    with pytest.raises(ValueError, match="http"):
        send_post(url, Alert(id="x", kind="k", message="m"))
