"""Migrations, backup and restore."""

from __future__ import annotations

import io
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from helpers.service import NAMES, TINY
from sqlalchemy import Engine, select, text
from sqlalchemy.orm import Session

from gait_trainers.service import keeping
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


@pytest.mark.parametrize("name", ["where?", "a#b", "50%41", "x;y", "a b", "?cache=shared&mode=memory", "für"])
def test_a_home_folder_may_have_any_name(name: str, tmp_path: Path) -> None:
    """In an address as text, what follows "?" are options: the tables were made in a file of another name."""
    here, there = Settings(home=tmp_path / name), Settings(home=tmp_path / f"{name} again")
    here.create_folders()
    engine = make_engine(here.database_url)
    migrate(engine)
    file = tmp_path / name / "backup.tar.gz"
    backup(engine, here, file)
    engine.dispose()
    restore(there, file)
    again = make_engine(there.database_url)
    assert differences(again) == []
    again.dispose()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([name, f"{name} again"])
    assert (here.home / "service.sqlite").is_file()
    assert (there.home / "service.sqlite").is_file()


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


def test_a_backup_is_of_one_moment(
    trainer: TestClient, engine: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that is started while tables are copied is in none of them."""
    first = trainer.post("/sessions", json=TINY).json()["id"]
    started = []

    def between(table: Any) -> Any:
        if getattr(table, "name", "") == "jobs" and not started:
            started.append(trainer.post("/sessions", json=TINY).json()["id"])
        return select(table)

    monkeypatch.setattr(keeping, "select", between)
    backup(engine, settings, tmp_path / "backup.tar.gz")
    there = Settings(home=tmp_path / "there")
    monkeypatch.setattr(keeping, "select", select)
    restore(there, tmp_path / "backup.tar.gz")
    again = make_engine(there.database_url)
    with Session(again) as db:
        assert started
        assert list(db.scalars(select(TrainingSession.id))) == list(db.scalars(select(Job.session_id))) == [first]
    again.dispose()


def test_files_that_vanish_are_left_out_of_a_backup(
    engine: Engine, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b", "c"):
        (settings.runs / name).mkdir()
        (settings.runs / name / "step_1.pt").write_bytes(name.encode())
        (settings.runs / name / ".half.1.tmp").write_bytes(b"half")
    (settings.runs / "a" / "link").symlink_to("/etc/passwd")
    whole = tarfile.TarFile.gettarinfo

    def pruned(self: tarfile.TarFile, name: Any = None, arcname: Any = None, fileobj: Any = None) -> tarfile.TarInfo:
        (settings.runs / "b" / "step_1.pt").unlink(missing_ok=True)
        shutil.rmtree(settings.runs / "c", ignore_errors=True)
        return whole(self, name, arcname, fileobj)

    monkeypatch.setattr(tarfile.TarFile, "gettarinfo", pruned)
    monkeypatch.setattr(keeping, "KEPT", ("runs",))
    backup(engine, settings, tmp_path / "backup.tar.gz")
    with tarfile.open(tmp_path / "backup.tar.gz") as archive:
        assert sorted(archive.getnames()) == ["rows.sqlite", "runs", "runs/a", "runs/a/step_1.pt", "runs/b"]


def test_a_database_that_is_in_use_is_not_restored_to(
    trainer: TestClient, engine: Engine, settings: Settings, tmp_path: Path
) -> None:
    backup(engine, settings, tmp_path / "backup.tar.gz")
    there = Settings(home=tmp_path / "there", database=str(settings.database_url))
    with pytest.raises(BackupError, match="not empty: it has users"):
        restore(there, tmp_path / "backup.tar.gz")
    assert not there.home.exists()
