"""Studies, with trainings that are pretended: what is started, pruned, told, and resumed."""

from __future__ import annotations

import pytest

pytest.importorskip("optuna")

from fastapi.testclient import TestClient
from helpers.service import TINY
from sqlalchemy import Engine, select
from sqlalchemy.orm import Session

from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Job, Point, Series, TrainingSession, User
from gait_trainers.service.jobs import search
from gait_trainers.service.jobs.search import advance
from gait_trainers.service.jobs.supervisor import Loop
from gait_trainers.service.operations.studies import PRUNED
from gait_trainers.service.settings import Quota, Settings

pytestmark = pytest.mark.web  # seconds of databases and of Optuna's import
SPACE = {
    "ppo.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "ppo.epochs": {"kind": "int", "low": 1, "high": 4},
}


def begin(trainer: TestClient, **changes: object) -> str:
    request = {"name": "search", "base": TINY | {"settings": {}}, "space": SPACE, "trials": 6, "workers": 2} | changes
    answer = trainer.post("/studies", json=request)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def end(engine: Engine, number: int, value: float, state: str = "completed") -> None:
    """Let a trial's training end with this success."""
    with transaction(engine) as db:
        session = db.scalars(select(TrainingSession).where(TrainingSession.trial == number)).one()
        session.state, session.latest = state, {"success_rate": value}
        report(db, session, 1, value)


def report(db: Session, session: TrainingSession, iteration: int, value: float) -> None:
    series = db.scalar(select(Series).where(Series.session_id == session.id)) or Series(
        session_id=session.id, name="success_rate"
    )
    db.add(series)
    db.flush()
    db.add(Point(series_id=series.id, iteration=iteration, value=value))


def test_trials_are_sessions_within_the_space(trainer: TestClient, engine: Engine, settings: Settings) -> None:
    id = begin(trainer)
    for _ in range(3):
        advance(engine, settings)
    trials = trainer.get(f"/studies/{id}").json()["results"]
    assert [trial["number"] for trial in trials] == [0, 1], "as many at once as there are workers"
    for trial in trials:
        assert 1e-4 <= trial["params"]["ppo.learning_rate"] <= 1e-2
        config = trainer.get(f"/sessions/{trial['session_id']}").json()["config"]["ppo"]
        assert config["epochs"] == trial["params"]["ppo.epochs"]
    end(engine, 0, 0.25)
    end(engine, 1, 0.5, "failed")
    advance(engine, settings)
    found = trainer.get(f"/studies/{id}").json()
    assert found["best"]["value"] == 0.25, "a failure is no result"
    assert len(found["results"]) == 4


def test_what_is_worse_than_the_median_is_pruned(trainer: TestClient, engine: Engine, settings: Settings) -> None:
    id = begin(trainer, workers=4)
    advance(engine, settings)
    for number in range(3):
        end(engine, number, 0.8)
    with transaction(engine) as db:
        slow = db.scalars(select(TrainingSession).where(TrainingSession.trial == 3)).one()
        slow.state = "running"
        report(db, slow, 1, 0.1)
    advance(engine, settings)
    advance(engine, settings)
    with transaction(engine) as db:
        slow = db.scalars(select(TrainingSession).where(TrainingSession.trial == 3)).one()
        assert (slow.state, slow.message) == ("stopping", PRUNED)
        assert db.scalars(select(Job).where(Job.session_id == slow.id)).one().wanted == "stop"
        slow.state = "stopped"
    states = {trial["number"]: trial["state"] for trial in trainer.get(f"/studies/{id}").json()["results"]}
    assert states[3] == "pruned"


def test_a_study_ends_is_stopped_and_resumed(trainer: TestClient, engine: Engine, settings: Settings) -> None:
    id = begin(trainer, trials=3, workers=1)
    advance(engine, settings)
    end(engine, 0, 0.1)
    advance(engine, settings)
    assert trainer.post(f"/studies/{id}/stop").json()["state"] == "stopped"
    assert trainer.get(f"/studies/{id}").json()["results"][1]["state"] == "stopping"
    advance(engine, settings)
    assert len(trainer.get(f"/studies/{id}").json()["results"]) == 2
    with transaction(engine) as db:
        db.scalars(select(TrainingSession).where(TrainingSession.trial == 1)).one().state = "stopped"
    assert trainer.post(f"/studies/{id}/resume").json()["state"] == "running"
    advance(engine, settings)
    end(engine, 2, 0.9)
    advance(engine, settings)
    found = trainer.get(f"/studies/{id}").json()
    assert found["state"] == "completed"
    assert found["best"] == {"trial": 2, "value": 0.9, "params": found["results"][2]["params"]}


def test_a_crash_between_asking_and_starting_loses_only_the_proposal(
    trainer: TestClient, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    id = begin(trainer, trials=1, workers=1)

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(search.sessions, "start", crash)
        with pytest.raises(KeyboardInterrupt):
            advance(engine, settings)
    advance(engine, settings)
    (trial,) = trainer.get(f"/studies/{id}").json()["results"]
    end(engine, trial["number"], 0.5)
    advance(engine, settings)
    assert trainer.get(f"/studies/{id}").json()["state"] == "completed"


@pytest.mark.parametrize("workers", [1, 3])
def test_every_trial_is_another_also_after_a_restart(
    workers: int, trainer: TestClient, engine: Engine, settings: Settings
) -> None:
    id = begin(trainer, workers=workers)
    found = {}
    for restarted in (False, True):
        for number in range(5):
            advance(engine, settings)
            end(engine, number, 0.5)
            if restarted:
                search.kept.cache_clear()
        found[id] = [tuple(trial["params"].values()) for trial in trainer.get(f"/studies/{id}").json()["results"]][:5]
        assert len(set(found[id])) == 5
        trainer.post(f"/studies/{id}/stop")
        with transaction(engine) as db:
            for session in db.scalars(select(TrainingSession)):
                session.trial = None
        id = begin(trainer, workers=workers)
    first, second = found.values()
    assert first == second, "the same seed proposes the same, whoever asks"


def test_a_trial_trains_with_its_own_values_whatever_fields_its_base_has(
    trainer: TestClient, engine: Engine, settings: Settings
) -> None:
    space = SPACE | {"run.seed": {"kind": "int", "low": 50, "high": 90}}
    base = TINY | {"learning_rate": 0.5, "seed": 7, "epochs": 9, "settings": {"ppo.n_steps": 8}}
    id = begin(trainer, base=base, space=space)
    advance(engine, settings)
    for trial in trainer.get(f"/studies/{id}").json()["results"]:
        config = trainer.get(f"/sessions/{trial['session_id']}").json()["config"]
        assert config["ppo"]["learning_rate"] == trial["params"]["ppo.learning_rate"] <= 1e-2
        assert config["run"]["seed"] == trial["params"]["run.seed"] >= 50
        assert config["ppo"]["epochs"] == trial["params"]["ppo.epochs"] <= 4
        assert config["networks"]["policy"] == [8], "what is not searched is as it was asked for"


def test_a_full_quota_asks_for_nothing(trainer: TestClient, engine: Engine, settings: Settings) -> None:
    begin(trainer)
    narrow = settings.model_copy(update={"quota": Quota(sessions=1)})
    for _ in range(4):
        advance(engine, narrow)
    (study,) = search.kept(settings.home).get_all_studies()
    assert len(search.kept(settings.home).get_all_trials(study._study_id)) == 1
    advance(engine, settings)
    assert len(search.kept(settings.home).get_all_trials(study._study_id)) == 2, "it goes on once there is room"


def test_the_journal_is_replayed_once(
    trainer: TestClient, engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin(trainer)
    search.kept.cache_clear()
    made = []
    whole = search.storage
    monkeypatch.setattr(search, "storage", lambda home: made.append(home) or whole(home))
    for _ in range(3):
        advance(engine, settings)
    assert made == [settings.home]


def test_searches_are_looked_at_every_few_seconds(
    engine: Engine, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = []
    monkeypatch.setattr(search, "advance", lambda *_: rounds.append(1))
    loop = Loop(engine, settings)
    loop.begin()
    for _ in range(3):
        loop.look()
    assert len(rounds) == 1


def test_a_closed_account_begins_no_more(trainer: TestClient, engine: Engine, settings: Settings) -> None:
    begin(trainer, workers=1)
    advance(engine, settings)
    with transaction(engine) as db:
        db.scalars(select(User).where(User.name == "tess")).one().active = False
    end(engine, 0, 0.5)
    advance(engine, settings)
    with transaction(engine) as db:
        assert len(db.scalars(select(TrainingSession)).all()) == 1
