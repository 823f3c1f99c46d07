"""A service in a temporary folder, with a user of each role."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("sqlalchemy")
if sys.platform == "win32":
    pytest.skip("the supervisor needs POSIX", allow_module_level=True)

from fastapi import FastAPI
from fastapi.testclient import TestClient
from helpers.service import NAMES, PASSWORD
from sqlalchemy import Engine
from sqlalchemy.orm import Session

from gait_trainers.service.app import create_app
from gait_trainers.service.db.engine import make_engine, transaction
from gait_trainers.service.db.migrate import migrate
from gait_trainers.service.db.tables import Base
from gait_trainers.service.keeping import copy_rows
from gait_trainers.service.operations import users
from gait_trainers.service.settings import Settings

# Set by `test_postgres.py`, which runs the other tests again on it.
DATABASE = os.environ.get("GAITNET_TEST_DATABASE", "")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    found = Settings(home=tmp_path / "home", database=DATABASE, least_disk_mb=0, poll_seconds=0.05)
    found.create_folders()
    return found


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file with the users, to be copied: hashing passwords takes a moment."""
    file = tmp_path_factory.mktemp("database") / "service.sqlite"
    engine = make_engine(f"sqlite:///{file}")
    migrate(engine)
    with transaction(engine) as db:
        for role, name in NAMES.items():
            users.create(db, None, name, PASSWORD, role)
        users.create(db, None, "tom", PASSWORD, "trainer")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    if DATABASE:
        target = make_engine(DATABASE)
        migrate(target)
        target.dispose()
    return file


@pytest.fixture
def engine(settings: Settings, empty_database: Path) -> Iterator[Engine]:
    if not DATABASE:
        shutil.copyfile(empty_database, settings.home / "service.sqlite")
    made = make_engine(settings.database_url)
    if DATABASE:
        source = make_engine(f"sqlite:///{empty_database}")
        with source.connect() as rows, made.begin() as target:
            for table in reversed(Base.metadata.sorted_tables):
                target.execute(table.delete())
            copy_rows(rows, target)
        source.dispose()
    yield made
    made.dispose()


@pytest.fixture
def db(engine: Engine) -> Iterator[Session]:
    with Session(engine, expire_on_commit=False) as session:
        yield session


@pytest.fixture(scope="session")
def shared_app(tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Made once: a hundred routes take a moment."""
    return create_app(Settings(home=tmp_path_factory.mktemp("nowhere")))


@pytest.fixture
def app(shared_app: FastAPI, settings: Settings, engine: Engine) -> FastAPI:
    shared_app.state.settings, shared_app.state.engine = settings, engine
    return shared_app


@pytest.fixture
def anybody(app: FastAPI) -> TestClient:
    """Nobody in particular."""
    return TestClient(app, base_url="http://localhost")


@pytest.fixture
def sign_in(app: FastAPI, engine: Engine) -> Callable[[str], TestClient]:
    """A client with a token, by the user's name."""

    def by(name: str) -> TestClient:
        from sqlalchemy import select

        from gait_trainers.service.db.tables import User

        with transaction(engine) as db:
            user = db.scalars(select(User).where(User.name == name)).one()
            token, _ = users.create_token(db, user, "test")
        return TestClient(app, base_url="http://localhost/api/v1", headers={"authorization": f"Bearer {token}"})

    return by


@pytest.fixture
def trainer(sign_in: Callable[[str], TestClient]) -> TestClient:
    return sign_in("tess")


@pytest.fixture
def other(sign_in: Callable[[str], TestClient]) -> TestClient:
    return sign_in("tom")


@pytest.fixture
def viewer(sign_in: Callable[[str], TestClient]) -> TestClient:
    return sign_in("viola")


@pytest.fixture
def administrator(sign_in: Callable[[str], TestClient]) -> TestClient:
    return sign_in("admin")
