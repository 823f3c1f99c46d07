"""Connections: SQLite in WAL mode, or PostgreSQL. Every thread and process opens its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.orm import Session

from gait_envs.errors import GaitNetError, one_line

BUSY = 15.0  # s to wait for another writer of SQLite
EXAMPLE = "postgresql+psycopg://user@host/name"


class DatabaseError(GaitNetError, RuntimeError):
    """A database that cannot be used; names its address without the password."""


def make_engine(url: str | URL) -> Engine:
    """An engine with a pool of connections; on SQLite with foreign keys, WAL, and patience with other writers.

    DatabaseError for an address that is none, or whose driver is not installed. Nothing is connected yet.
    """
    address = _address(url)
    try:
        return _postgres(address) if address.get_backend_name() == "postgresql" else _sqlite(address)
    except ModuleNotFoundError as error:
        raise DatabaseError(
            f"{shown(address)}: {error.name} is not installed; write {EXAMPLE} and pip install 'gaitnet[postgres]'"
        ) from None
    except (SQLAlchemyError, TypeError) as error:  # TypeError: options that the driver does not take
        raise DatabaseError(f"{shown(address)}: {one_line(error)}") from None


@contextmanager
def usable(engine: Engine) -> Iterator[None]:
    """DatabaseError where the database cannot be reached in the block, or does not do what it is asked."""
    try:
        yield
    except SQLAlchemyError as error:
        raise _failed(engine, error) from None


@contextmanager
def reachable(engine: Engine) -> Iterator[None]:
    """`usable` for much code: what only a mistake in it can bring about (IntegrityError, …) keeps its traceback."""
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        raise _failed(engine, error) from None


def _failed(engine: Engine, error: SQLAlchemyError) -> DatabaseError:
    reason = error.orig if isinstance(error, DBAPIError) else error
    return DatabaseError(f"{shown(engine.url)}: {one_line(reason, 500)}")


def shown(url: URL) -> str:
    """An address for a message: without the password, which may be among the options behind its "?" as well."""
    return str(url.set(query={}))


def _address(url: str | URL) -> URL:
    """The URL in its parts; what is none may hold a password, and is not repeated."""
    try:
        address = make_url(url)
    except (ArgumentError, ValueError):  # ValueError: a port that is no number
        raise DatabaseError(f"the address of the database is no URL; write it as {EXAMPLE}") from None
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(f"{shown(address)}: databases are SQLite and PostgreSQL ({EXAMPLE})")
    return address


def _postgres(address: URL) -> Engine:
    return create_engine(address, pool_pre_ping=True, pool_size=10, max_overflow=20)


def _sqlite(address: URL) -> Engine:
    engine = create_engine(address, connect_args={"timeout": BUSY}, pool_size=10, max_overflow=30)

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
