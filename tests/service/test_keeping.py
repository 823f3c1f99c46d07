"""Migrations, backup and restore."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from helpers.service import NAMES, TINY
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from gait_trainers.service.db.engine import make_engine, transaction
from gait_trainers.service.db.migrate import MigrationError, differences, migrate
from gait_trainers.service.db.tables import Job, TrainingSession, User
from gait_trainers.service.keeping import BackupError, backup, restore
from gait_trainers.service.settings import Settings


def test_the_migrations_make_the_tables_of_the_code(engine: Engine) -> None:
    assert differences(engine) == []
    migrate(engine)  # once more changes nothing
    assert differences(engine) == []


def test_the_first_revision_is_brought_up_to_date_with_its_rows(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/old.sqlite")
    migrate(engine, "0001")
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO users (id, created_at, name, password_hash, role, active) "
                "VALUES ('aaaaaaaaaaaaaaaa', '2026-01-01 00:00:00', 'old', 'x', 'viewer', 1)"
            )
        )
    migrate(engine)
    assert differences(engine) == []
    with Session(engine) as db:
        assert db.scalars(select(User.name)).all() == ["old"]
    engine.dispose()


def test_a_database_of_a_later_version_is_left_alone(engine: Engine) -> None:
    with engine.begin() as connection:
        before = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MigrationError, match="9999"):
        migrate(engine)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = :it"), {"it": before})


def test_a_backup_brings_everything_back(
    trainer: TestClient, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    id = trainer.post("/sessions", json=TINY).json()["id"]
    (settings.runs / id / "checkpoints").mkdir(parents=True)
    (settings.runs / id / "checkpoints" / "step_1.pt").write_bytes(b"weights")
    with transaction(engine) as db:
        job = db.scalars(select(Job)).one()
        job.state, job.supervisor_id, job.pid = "running", "gone", 12345
    file = tmp_path / "backup.tar.gz"
    backup(engine, settings, file)
    there = Settings(home=tmp_path / "there")
    restore(there, file)
    assert (there.runs / id / "checkpoints" / "step_1.pt").read_bytes() == b"weights"
    assert sorted(path.name for path in there.home.iterdir()) == [
        "jobs", "motions", "registry", "results", "runs", "service.sqlite"
    ]  # fmt: skip
    again = make_engine(there.database_url)
    with Session(again) as db:
        assert db.get_one(TrainingSession, id).name == "tiny"
        assert set(db.scalars(select(User.name))) == {*NAMES.values(), "tom"}
        job = db.scalars(select(Job)).one()
        assert (job.state, job.supervisor_id, job.pid) == ("running", None, None), "the next supervisor takes it over"
    assert differences(again) == []
    again.dispose()
    with pytest.raises(BackupError, match="not empty"):
        restore(there, file)


def test_what_is_no_backup_leaves_nothing_behind(tmp_path: Path) -> None:
    file = tmp_path / "bad.tar.gz"
    file.write_bytes(b"no archive")
    there = Settings(home=tmp_path / "there")
    with pytest.raises(BackupError, match="no whole backup"):
        restore(there, file)
    with tarfile.open(file, "w:gz") as archive:
        for name in ("../outside", "/absolute", "rows.sqlite"):
            member = tarfile.TarInfo(name)
            member.size = 1
            archive.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(BackupError):
        restore(there, file)
    assert not there.home.exists()
    assert not (tmp_path / "outside").exists()
