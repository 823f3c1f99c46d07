"""Bringing a database up to date: from any revision that was released, or from nothing."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from gait_envs.errors import GaitNetError
from gait_trainers.service.db.engine import shown, usable
from gait_trainers.service.db.tables import Base

PLACE = "gait_trainers.service.db:migrations"


class MigrationError(GaitNetError, RuntimeError):
    """A database of another version than this one works with."""


def migrate(engine: Engine, revision: str = "head") -> None:
    """Apply what is missing, in one transaction where the database can; MigrationError for a newer database."""
    with usable(engine), engine.begin() as connection:
        config = _config(connection)
        scripts = ScriptDirectory.from_config(config)
        now = MigrationContext.configure(connection).get_current_revision()
        if now is not None and now not in {script.revision for script in scripts.walk_revisions()}:
            raise MigrationError(f"the database has revision {now}, which a later version made; install that version")
        command.upgrade(config, revision)


def check_revision(engine: Engine) -> None:
    """MigrationError unless the database is up to date; nothing is changed."""
    newest = ScriptDirectory.from_config(_config()).get_current_head()
    now = None if _is_missing(engine) else _revision(engine)
    if now != newest:
        raise MigrationError(
            f"{shown(engine.url)}: its tables have revision {now or 'none'}, and this version works with {newest}; "
            "gait-serve migrate brings it up to date"
        )


def _revision(engine: Engine) -> str | None:
    with usable(engine), engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def _is_missing(engine: Engine) -> bool:
    """Whether it would be a new file in a folder that there is: to connect would make it."""
    name = engine.url.database
    if engine.dialect.name != "sqlite" or not name or name.startswith((":", "file:")):
        return False
    return Path(name).parent.is_dir() and not (Path(name).exists() and Path(name).stat().st_size)


def differences(engine: Engine) -> list[object]:
    """What the tables of the code have that the database has not, or the other way round."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def _config(connection: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", PLACE)
    config.attributes["connection"] = connection
    return config
