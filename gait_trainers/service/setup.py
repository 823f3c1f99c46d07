"""The first start: the home folder, the tables, and the first administrator."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
from collections.abc import Callable

from sqlalchemy import Engine, select

from gait_trainers.service.db.engine import make_engine, transaction, usable
from gait_trainers.service.db.migrate import migrate
from gait_trainers.service.db.tables import User
from gait_trainers.service.operations import registry, users
from gait_trainers.service.security.secrets import check_password
from gait_trainers.service.settings import Settings

ADMINISTRATOR = "admin"
PASSWORD = "GAITNET_ADMIN_PASSWORD"  # environment variable with the first administrator's password


def open_database(settings: Settings) -> Engine:
    """The database, brought up to date, and the home folder, which a database that cannot be used leaves unmade."""
    engine = make_engine(settings.database_url)
    if not settings.database:  # it is a file of the home folder
        settings.create_folders()
    migrate(engine)
    settings.create_folders()
    return engine


def prepare(settings: Settings, say: Callable[[str], None] = print) -> Engine:
    """Everything that has to be there before anything is served; can be called any number of times."""
    engine = open_database(settings)
    with usable(engine), transaction(engine) as db:
        if db.scalar(select(User.id).limit(1)) is None:
            users.create(db, None, ADMINISTRATOR, _password(say), "administrator")
        registry.write_index(db, settings)  # a server that was killed may have left it behind
    return engine


def _password(say: Callable[[str], None]) -> str:
    """From the environment, asked for on a terminal, or made up and shown this once."""
    given = os.environ.get(PASSWORD)
    if given:
        check_password(given, PASSWORD)
        return given
    if sys.stdin.isatty():
        typed = getpass.getpass(f"Password for the first administrator, {ADMINISTRATOR!r} (empty: make one up): ")
        if typed:
            return typed
    made = secrets.token_urlsafe(12)
    say(f"first administrator: name {ADMINISTRATOR}, password {made} (shown this once)")
    return made
