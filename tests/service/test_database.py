"""A database that cannot be used: one sentence without the password, and nothing is made."""

from __future__ import annotations

import signal
import sqlite3
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import Engine
from sqlalchemy.exc import IntegrityError, OperationalError
from typer.testing import CliRunner

from gait_trainers.service.cli import COMMANDS, app
from gait_trainers.service.db import engine as database
from gait_trainers.service.db.engine import DatabaseError, make_engine
from gait_trainers.service.db.migrate import MigrationError, check_revision, migrate
from gait_trainers.service.keeping import backup
from gait_trainers.service.settings import Settings
from gait_trainers.service.setup import open_database

AWAY = "postgresql+psycopg://user:secret@127.0.0.1:1/name"
WRONG = {
    "nosuch://user:secret@host/name": r"nosuch://user:\*\*\*@host/name: databases are SQLite and PostgreSQL",
    "mysql://user:secret@host/name": "databases are SQLite and PostgreSQL",
    "user:secret": "the address of the database is no URL",
    "postgresql+psycopg://user:secret@host:port/name": "the address of the database is no URL",
    "postgresql+nosuch://user:secret@host/name": "nosuch",
    "mysql://user@host/name?password=secret": "mysql://user@host/name: databases are SQLite and PostgreSQL",
    "postgresql+nosuch://user@host/name?password=secret": "postgresql.nosuch://user@host/name: ",
    "postgresql+psycopg://user@127.0.0.1:1/name?password=secret": "user@127.0.0.1:1/name: .*refused",
    "sqlite:////nowhere/service.sqlite": "unable to open database file",
}


@pytest.mark.parametrize("url", WRONG)
def test_a_wrong_address_is_one_sentence_and_makes_no_home(url: str, tmp_path: Path) -> None:
    with pytest.raises(DatabaseError, match=WRONG[url]) as found:
        open_database(Settings(home=tmp_path / "home", database=url))
    assert "\n" not in str(found.value)
    assert "secret" not in str(found.value)
    assert not list(tmp_path.iterdir())


# Every command that opens the database; "" serves.
WORDS = {
    "": ["--port", "0"], "supervise": [], "migrate": [], "user": ["bob"], "backup": ["--out", "b.tar.gz"],
    "restore": ["backup.tar.gz"],
}  # fmt: skip
CLIENTS = {"submit", "status", "wait", "fetch"}


def test_every_command_is_a_client_or_among_these() -> None:
    assert WORDS.keys() - {""} == COMMANDS.keys() - CLIENTS


@pytest.mark.parametrize("command", WORDS)
def test_no_command_makes_anything_where_the_database_is_away(
    command: str, tmp_path: Path, settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.chdir(tmp_path)
    if command == "restore":
        backup(engine, settings, tmp_path / "backup.tar.gz")
    home = settings.home if command == "backup" else tmp_path / "new"
    before = sorted(tmp_path.iterdir())
    words = [*([command] if command else []), *WORDS[command], "--home", str(home), "--database", AWAY]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, DatabaseError), done.output
    assert str(done.exception).startswith("postgresql+psycopg://user:***@127.0.0.1:1/name: ")
    assert "refused" in str(done.exception)
    assert "\n" not in str(done.exception)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_is_no_database_is_named(settings: Settings) -> None:
    file = settings.home / "service.sqlite"
    file.write_text("no database " * 100)
    with pytest.raises(DatabaseError, match=rf"sqlite:///{file}: file is not a database"):
        open_database(Settings(home=settings.home))


@pytest.mark.parametrize("words", [["--port", "0"], ["user", "bob"], ["supervise"]], ids=lambda words: words[0])
def test_a_database_that_others_write_to_for_long_is_one_sentence(
    words: list[str], settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY", 0.1)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the tests' own stay as they are
    with sqlite3.connect(settings.home / "service.sqlite", isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        done = CliRunner().invoke(app, [*words, "--home", str(settings.home)], input="correct horse\n")
        other.execute("ROLLBACK")
    other.close()
    assert isinstance(done.exception, DatabaseError), done.output
    assert str(done.exception).endswith("service.sqlite: database is locked")


def test_a_database_of_another_version_is_named_without_its_options(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/old.sqlite?timeout=7")
    with pytest.raises(MigrationError) as found:
        check_revision(engine)
    assert "timeout" not in str(found.value)


@pytest.mark.parametrize("command", [["supervise"], ["backup", "--out", "b.tar.gz"]], ids=lambda words: words[0])
def test_who_asks_for_an_up_to_date_database_makes_none(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "home").mkdir()
    done = CliRunner().invoke(app, [*command, "--home", str(tmp_path / "home")])
    assert isinstance(done.exception, MigrationError), done.output
    assert [path.name for path in tmp_path.rglob("*")] == ["home"]


def test_a_supervisor_and_a_backup_ask_for_a_database_that_is_up_to_date(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite:///{tmp_path}/old.sqlite")
    with pytest.raises(MigrationError, match=r"revision none, .*gait-serve migrate"):
        check_revision(engine)
    migrate(engine)
    check_revision(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '0000'")
    with pytest.raises(MigrationError, match=r"revision 0000, .*gait-serve migrate"):
        check_revision(engine)
    engine.dispose()


@pytest.mark.parametrize(
    ("typed", "told"),
    [("", "no terminal, and the first line of standard input is no password"), ("short\n", "10 to 200 characters")],
)
def test_a_password_that_is_missing_says_where_it_was_looked_for(
    typed: str, told: str, settings: Settings, engine: Engine
) -> None:
    done = CliRunner().invoke(app, ["user", "bob", "--home", str(settings.home)], input=typed)
    assert told in str(done.exception)
    assert "standard input" in str(done.exception)


def test_the_role_of_a_user_who_exists_is_kept_unless_given(settings: Settings, engine: Engine) -> None:
    def user(*words: str) -> str:
        done = CliRunner().invoke(
            app, ["user", "carol", *words, "--home", str(settings.home)], input="correct horse battery\n"
        )
        return done.output if done.exception is None else str(done.exception)

    assert user("--role", "king") == "roles are viewer, trainer, administrator"
    assert user() == "carol: created as trainer\n"
    assert user("--role", "administrator") == "carol: has a new password, and is administrator\n"
    assert user() == "carol: has a new password, and is administrator\n"
    assert user("--role", "king") == "roles are viewer, trainer, administrator"
    assert user("--role", "viewer") == "carol: has a new password, and is viewer\n"


def test_a_mistake_in_the_supervisor_keeps_its_traceback(
    settings: Settings, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for error, raised in ((IntegrityError, IntegrityError), (OperationalError, DatabaseError)):
        broken = Mock(side_effect=error("", {}, Exception("told")))
        monkeypatch.setattr("gait_trainers.service.jobs.supervisor.supervise", broken)
        done = CliRunner().invoke(app, ["supervise", "--home", str(settings.home)])
        assert type(done.exception) is raised
