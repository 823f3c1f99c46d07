"""`gait-serve supervise`, `migrate` and `user`: on the machine of the service, by who may read its home folder."""

from __future__ import annotations

import getpass
import sys
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy import select

from gait_trainers.service.cli import Database, Home
from gait_trainers.service.db.engine import make_engine, reachable, transaction, usable
from gait_trainers.service.db.migrate import check_revision, migrate
from gait_trainers.service.db.tables import User
from gait_trainers.service.operations import users
from gait_trainers.service.security.secrets import check_password
from gait_trainers.service.settings import load_settings
from gait_trainers.service.setup import open_database


def supervise_command(home: Home = Path("gaitnet-home"), database: Database = None) -> None:
    """Run queued trainings; several machines may, with a PostgreSQL database and a home folder that they share."""
    from gait_trainers.runs.lock import Locked
    from gait_trainers.service.jobs.supervisor import LOCKED, supervise

    settings = load_settings(home, database=database)
    engine = make_engine(settings.database_url)
    check_revision(engine)
    settings.create_folders()
    try:
        with reachable(engine):
            supervise(engine, settings)
    except Locked:  # one works here already
        raise typer.Exit(LOCKED) from None


def migrate_command(home: Home = Path("gaitnet-home"), database: Database = None) -> None:
    """Bring the database up to date; gait-serve does so as well when it starts."""
    open_database(load_settings(home, database=database))
    typer.echo("the database is up to date")


def user_command(
    name: Annotated[str, typer.Argument(help="Name of the user.")],
    role: Annotated[
        str | None, typer.Option(help="viewer, trainer (of a new user, unless given) or administrator.")
    ] = None,
    home: Home = Path("gaitnet-home"),
    database: Database = None,
) -> None:
    """Create a user, or set a new password for one that exists, and another role if one is given.

    The password is asked for on the terminal; without one it is the first line of standard input.
    """
    settings = load_settings(home, database=database)
    engine = make_engine(settings.database_url)
    migrate(engine)
    password = _read_password()
    with usable(engine), transaction(engine) as db:
        found = db.scalar(select(User).where(User.name == name))
        if found is None:
            found = users.create(db, None, name, password, role or "trainer")
            done = "created as"
        else:
            users.set_password(db, found, password)
            if role is not None:
                users.edit(db, None, found.id, role=role)
            done = "has a new password, and is"
        typer.echo(f"{name}: {done} {found.role}")


def _read_password() -> str:
    """Asked for on the terminal, or else the first line of standard input."""
    asked = sys.stdin.isatty()
    password = getpass.getpass("Password: ") if asked else sys.stdin.readline().rstrip("\n")
    check_password(password, "" if asked else "no terminal, and the first line of standard input is no password")
    return password
