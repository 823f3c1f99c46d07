"""Connections: SQLite in WAL mode, or PostgreSQL. Every thread and process opens its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

BUSY = 15.0  # s to wait for another writer of SQLite


def make_engine(url: str) -> Engine:
    """An engine with a pool of connections; on SQLite with foreign keys, WAL, and patience with other writers."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
    engine = create_engine(url, connect_args={"timeout": BUSY}, pool_size=10, max_overflow=30)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        cursor = connection.cursor()
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", f"busy_timeout={int(BUSY * 1000)}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    return engine


@contextmanager
def transaction(engine: Engine) -> Iterator[Session]:
    """A session that is committed when the block ends well, and rolled back otherwise.

    On SQLite it takes the write lock at once: a reader that becomes a writer would fail when another has written
    meanwhile, however patient it is.
    """
    with Session(engine, expire_on_commit=False) as db:
        begin_writing(db)
        yield db
        db.commit()


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """A session that changes nothing, and keeps nobody from writing."""
    with Session(engine, expire_on_commit=False) as db:
        yield db


def begin_writing(db: Session) -> None:
    """Take SQLite's write lock now; on PostgreSQL operations lock the rows that they check (`with_for_update`)."""
    if db.get_bind().dialect.name == "sqlite":
        db.connection().exec_driver_sql("BEGIN IMMEDIATE")
