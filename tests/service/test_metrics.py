"""Metrics: read once, kept in order, thinned out for a page."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from helpers.service import TINY
from sqlalchemy import Engine, insert

from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Point, Series, TrainingSession
from gait_trainers.service.jobs import ingest as module
from gait_trainers.service.jobs.ingest import ingest, read_new


@pytest.fixture
def session(trainer: TestClient) -> str:
    return trainer.post("/sessions", json=TINY).json()["id"]


def take_in(engine: Engine, id: str, file: Path) -> list[dict[str, float]]:
    with transaction(engine) as db:
        return ingest(db, db.get_one(TrainingSession, id), file)


def test_only_what_is_new_is_read(tmp_path: Path) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("iteration,loss\n" + "".join(f"{i},0.5\n" for i in range(1, 2001)))
    read = read_new(file, {})
    assert len(read.rows) == 2000
    with open(file, "a") as out:
        out.write("2001,0.25\n2002,0.1")  # the last row is not whole yet
    read = read_new(file, read.at)
    assert read.rows == [{"iteration": 2001.0, "loss": 0.25}]
    assert read.at["offset"] == file.stat().st_size - len("2002,0.1")
    with open(file, "a") as out:
        out.write("25\n")
    assert read_new(file, read.at).rows == [{"iteration": 2002.0, "loss": 0.125}]


def test_another_file_under_the_same_number_is_another_file(tmp_path: Path) -> None:
    """File systems use numbers again: a file that was rewritten twice may have the number of the one before both."""
    file = tmp_path / "metrics.csv"
    file.write_text("\n")  # as a training leaves it before its first metrics
    read = read_new(file, {})
    assert read == ([], {})
    same = file.stat().st_ino
    file.write_text("iteration,loss\n1,0.5\n")  # in place, and so under the same number
    assert file.stat().st_ino == same
    read = read_new(file, read.at)
    assert read.rows == [{"iteration": 1.0, "loss": 0.5}]
    file.write_text("iteration,loss,reward\n1,0.5,\n2,0.25,7\n")
    read = read_new(file, read.at)
    assert read.rows == [{"iteration": 1.0, "loss": 0.5}, {"iteration": 2.0, "loss": 0.25, "reward": 7.0}]
    file.write_text("iteration,loss,reward\n1,0.125,70\n2,0.0625,80\n3,0.5,9\n")  # the place is within a row now
    assert [row["iteration"] for row in read_new(file, read.at).rows] == [1.0, 2.0, 3.0]
    file.write_text("iteration,lo")
    assert read_new(file, {}) == ([], {})


def test_rows_come_in_whatever_pieces(engine: Engine, session: str, tmp_path: Path, monkeypatch, trainer) -> None:
    monkeypatch.setattr(module, "CHUNK", 64)
    file = tmp_path / "metrics.csv"
    file.write_text("iteration,steps,loss\n" + "".join(f"{i},{32 * i},{i / 10}\n" for i in range(1, 41)))
    assert len(take_in(engine, session, file)) == 40
    assert take_in(engine, session, file) == []
    curve = trainer.get(f"/sessions/{session}/metrics").json()
    assert list(curve) == ["loss"]
    assert curve["loss"]["iterations"] == list(range(1, 41))
    assert curve["loss"]["steps"][-1] == 40 * 32
    assert curve["loss"]["mean"][9] == pytest.approx(1.0)


def test_a_file_that_was_replaced_is_read_again_but_stored_once(
    engine: Engine, session: str, tmp_path: Path, trainer: TestClient
) -> None:
    """As a resumed run does, which drops the rows past its checkpoint, and as a new column does."""
    file = tmp_path / "metrics.csv"
    file.write_text("iteration,loss\n1,0.1\n2,0.2\n3,0.3\n")
    take_in(engine, session, file)
    replaced = tmp_path / "new"
    replaced.write_text("iteration,loss,extra\n1,0.1,\n2,0.2,\n")
    os.replace(replaced, file)
    take_in(engine, session, file)
    assert trainer.get(f"/sessions/{session}").json()["progress"]["iteration"] == 2, "it is as far as it is"
    with open(file, "a") as out:
        out.write("3,0.3,\n4,0.4,9\n")
    take_in(engine, session, file)
    curves = trainer.get(f"/sessions/{session}/metrics").json()
    assert curves["loss"]["iterations"] == [1, 2, 3, 4]
    assert curves["extra"]["iterations"] == [4]


def test_what_is_no_number_is_left_out(engine: Engine, session: str, tmp_path: Path, trainer: TestClient) -> None:
    file = tmp_path / "metrics.csv"
    file.write_text("iteration,loss,note\n1,nan,<script>\n2,inf,x\n3,0.5,\n")
    rows = take_in(engine, session, file)
    assert len(rows) == 3
    assert rows[0]["loss"] != rows[0]["loss"], "whoever looks for divergence sees it"
    curves = trainer.get(f"/sessions/{session}/metrics").json()
    assert curves == {"loss": curves["loss"]}
    assert curves["loss"]["iterations"] == [3]


def test_curves_are_thinned_out_with_their_extremes(engine: Engine, session: str, trainer: TestClient) -> None:
    with transaction(engine) as db:
        series = Series(session_id=session, name="loss")
        db.add(series)
        db.flush()
        rows = [{"series_id": series.id, "iteration": i, "value": float(i == 777)} for i in range(1, 1001)]
        db.execute(insert(Point), rows)
    curve = trainer.get(f"/sessions/{session}/metrics", params={"points": 10}).json()["loss"]
    assert curve["iterations"] == list(range(100, 1001, 100))
    assert curve["most"] == [0.0] * 7 + [1.0, 0.0, 0.0]
    assert curve["mean"][7] == pytest.approx(0.01)
    later = trainer.get(f"/sessions/{session}/metrics", params={"since": 990}).json()["loss"]
    assert later["iterations"] == list(range(991, 1001))


def test_the_stream_ends_with_the_training(engine: Engine, session: str, trainer: TestClient, tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("iteration,loss\n1,0.5\n")
    take_in(engine, session, tmp_path / "metrics.csv")
    with transaction(engine) as work:
        work.get_one(TrainingSession, session).state = "completed"
    text = trainer.get(f"/sessions/{session}/events").text
    assert 'event: metrics\ndata: {"loss": [[1, 0.5]]}' in text
    assert '"state": "completed"' in text
