"""Backup and restore: everything of a home folder in one file, from either database, into either.

The rows of all tables are read in one transaction and go into the archive as an SQLite file; then come the folders.
What the service writes meanwhile is newer than the rows, which is harmless: metrics are read on from where the rows
say, and a training resumes from the checkpoint that is there.
"""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from pathlib import Path

from sqlalchemy import Connection, Engine, insert, select, update

from gait_envs.errors import GaitNetError
from gait_envs.files import replacing, replacing_folder
from gait_trainers.service.db.engine import make_engine
from gait_trainers.service.db.migrate import migrate
from gait_trainers.service.db.tables import Base, Job, Supervisor
from gait_trainers.service.settings import Settings

ROWS = "rows.sqlite"
KEPT = ("runs", "results", "motions", "registry", "optuna.journal", "service.yaml")
BATCH = 5000  # rows written at once


class BackupError(GaitNetError, RuntimeError):
    """A backup that cannot be read, or a place that it cannot be restored to."""


def backup(engine: Engine, settings: Settings, file: Path) -> None:
    """Write everything to a .tar.gz, whole or not at all."""
    with tempfile.TemporaryDirectory(dir=settings.home) as folder:
        rows = make_engine(f"sqlite:///{folder}/{ROWS}")
        migrate(rows)
        with engine.connect().execution_options(isolation_level=_snapshot(engine)) as source, rows.begin() as target:
            copy_rows(source, target)
        rows.dispose()
        with replacing(file) as temporary, tarfile.open(temporary, "w:gz", compresslevel=1) as archive:
            archive.add(Path(folder) / ROWS, ROWS)
            for name in KEPT:
                if (settings.home / name).exists():
                    archive.add(settings.home / name, name, filter=_plain)


def _snapshot(engine: Engine) -> str:
    return "SERIALIZABLE" if engine.dialect.name == "sqlite" else "REPEATABLE READ"


def _plain(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """Files and folders, without what is only temporary."""
    is_temporary = Path(member.name).name.startswith(".") or member.name.endswith((".zip", "-wal", "-shm"))
    return member if (member.isreg() or member.isdir()) and not is_temporary else None


def copy_rows(source: Connection, target: Connection) -> None:
    """All rows of all tables; a row that refers to another of its table comes after it."""
    for table in Base.metadata.sorted_tables:
        order = [column for column in (table.c.get("created_at"), *table.primary_key) if column is not None]
        for rows in source.execute(select(table).order_by(*order)).mappings().partitions(BATCH):
            target.execute(insert(table), [dict(row) for row in rows])


def restore(settings: Settings, file: Path) -> None:
    """Make a home folder of a backup; BackupError where one is there already. The database must be empty."""
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
        url = settings.database or f"sqlite:///{temporary / 'service.sqlite'}"
        rows, target = make_engine(f"sqlite:///{temporary / ROWS}"), make_engine(url)
        migrate(rows)  # a backup of an earlier version
        migrate(target)
        with rows.connect() as source, target.begin() as connection:
            copy_rows(source, connection)
            connection.execute(update(Job).values(supervisor_id=None, pid=None, process_started=None))
            connection.execute(Base.metadata.tables[Supervisor.__tablename__].delete())
            _advance_numbers(connection)
        rows.dispose()
        target.dispose()
        for leftover in temporary.glob(f"{ROWS}*"):
            leftover.unlink()
    settings.create_folders()


def _advance_numbers(connection: Connection) -> None:
    """PostgreSQL counts the numbers of series by itself, and must go on behind those that were copied."""
    if connection.dialect.name != "sqlite":
        connection.exec_driver_sql("SELECT setval('series_id_seq', (SELECT coalesce(max(id), 1) FROM series))")
