"""Backup and restore: everything of a home folder in one file, from either database, into either.

The rows of all tables are read in one transaction and go into the archive as an SQLite file; then come the folders.
What the service writes meanwhile is newer than the rows, which is harmless: metrics are read on from where the rows
say, and a training resumes from the checkpoint that is there.
"""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, update

from gait_envs.errors import GaitNetError
from gait_envs.files import replacing, replacing_folder
from gait_trainers.service.db.engine import DatabaseError, make_engine
from gait_trainers.service.db.migrate import migrate
from gait_trainers.service.db.tables import Base, Job, Supervisor
from gait_trainers.service.settings import Settings, sqlite_file

ROWS = "rows.sqlite"
KEPT = ("runs", "results", "motions", "registry", "optuna.journal", "service.yaml")
BATCH = 5000  # rows written at once


class BackupError(GaitNetError, RuntimeError):
    """A backup that cannot be read, or a place that it cannot be restored to."""


def backup(engine: Engine, settings: Settings, file: Path) -> None:
    """Write everything to a .tar.gz, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=settings.home) as folder:
        rows = make_engine(sqlite_file(Path(folder) / ROWS))
        try:
            migrate(rows)
            with _snapshot(engine) as source, rows.begin() as target:
                copy_rows(source, target)
        finally:
            rows.dispose()
        with replacing(file) as temporary, tarfile.open(temporary, "w:gz", compresslevel=1) as archive:
            archive.add(Path(folder) / ROWS, ROWS)
            for name in KEPT:
                _add(archive, settings.home / name, name)


@contextmanager
def _snapshot(engine: Engine) -> Iterator[Connection]:
    """A connection that sees all tables as they are at one time."""
    is_sqlite = engine.dialect.name == "sqlite"
    level = "AUTOCOMMIT" if is_sqlite else "REPEATABLE READ"
    with engine.connect().execution_options(isolation_level=level) as source:
        if is_sqlite:  # whose driver begins no transaction for what only reads
            source.exec_driver_sql("BEGIN")
        yield source
        if is_sqlite:
            source.exec_driver_sql("ROLLBACK")


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    """A file, or a folder with all that is in it, without what is only temporary or is removed meanwhile."""
    if path.name.startswith(".") or name.endswith((".zip", "-wal", "-shm")):
        return
    with suppress(FileNotFoundError):
        if path.is_symlink():
            return
        if path.is_dir():
            children = sorted(path.iterdir())
            archive.addfile(archive.gettarinfo(path, name))
            for child in children:
                _add(archive, child, f"{name}/{child.name}")
        elif path.is_file():
            with open(path, "rb") as file:
                archive.addfile(archive.gettarinfo(arcname=name, fileobj=file), file)


def copy_rows(source: Connection, target: Connection) -> None:
    """All rows of all tables; a row that refers to another of its table comes after it."""
    for table in Base.metadata.sorted_tables:
        order = [column for column in (table.c.get("created_at"), *table.primary_key) if column is not None]
        for rows in source.execute(select(table).order_by(*order)).mappings().partitions(BATCH):
            target.execute(insert(table), [dict(row) for row in rows])


def restore(settings: Settings, file: Path) -> None:
    """Make a home folder of a backup; BackupError where one is there already, or where the database has
    rows."""
    if settings.home.exists() and any(settings.home.iterdir()):
        raise BackupError(f"{settings.home} is not empty; a backup is restored to a new folder")
    with replacing_folder(settings.home) as temporary:
        try:
            with tarfile.open(file, "r:gz") as archive:
                archive.extractall(temporary, filter="data")
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise BackupError(f"{file}: no whole backup: {error}") from None
        if not (temporary / ROWS).is_file():
            raise BackupError(f"{file}: no backup of a service: it has no {ROWS}")
        url = settings.database or sqlite_file(temporary / "service.sqlite")
        rows, target = make_engine(sqlite_file(temporary / ROWS)), make_engine(url)
        try:
            _update_rows(rows, file)
            migrate(target)
            _check_empty(target)
            with rows.connect() as source, target.begin() as connection:
                copy_rows(source, connection)
                connection.execute(update(Job).values(supervisor_id=None, pid=None, process_started=None))
                connection.execute(Base.metadata.tables[Supervisor.__tablename__].delete())
                _advance_numbers(connection)
        finally:
            rows.dispose()
            target.dispose()
        for leftover in temporary.glob(f"{ROWS}*"):
            leftover.unlink()
    settings.create_folders()


def _update_rows(rows: Engine, file: Path) -> None:
    """Bring a backup of an earlier version up to date; BackupError where its rows are no database."""
    try:
        migrate(rows)
    except DatabaseError:
        raise BackupError(f"{file}: no backup of a service: its {ROWS} is no database") from None


def _check_empty(engine: Engine) -> None:
    """BackupError where a table has rows."""
    with engine.connect() as connection:
        for table in Base.metadata.sorted_tables:
            if connection.execute(select(table).limit(1)).first() is not None:
                raise BackupError(f"the database is not empty: it has {table.name}; a backup is restored to a new one")


def _advance_numbers(connection: Connection) -> None:
    """PostgreSQL counts the numbers of series by itself, and must go on behind those that were copied."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SELECT setval('series_id_seq', (SELECT coalesce(max(id), 1) FROM series))")
