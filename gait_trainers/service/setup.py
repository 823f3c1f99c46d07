"""The first start: the home folder, the tables, and the first administrator."""

from __future__ import annotations

import getpass
import os
import secrets
import sys
from collections.abc import Callable

from sqlalchemy import Engine, select

from gait_trainers.service.db.engine import make_engine, transaction
from gait_trainers.service.db.migrate import migrate
from gait_trainers.service.db.tables import User
from gait_trainers.service.operations import registry, users
from gait_trainers.service.settings import Settings

ADMINISTRATOR = "admin"
PASSWORD = "GAITNET_ADMIN_PASSWORD"  # environment variable with the first administrator's password


def prepare(settings: Settings, say: Callable[[str], None] = print) -> Engine:
    """Everything that has to be there before anything is served; can be called any number of times."""
    settings.create_folders()
    engine = make_engine(settings.database_url)
    migrate(engine)
    with transaction(engine) as db:
        if db.scalar(select(User.id).limit(1)) is None:
            users.create(db, None, ADMINISTRATOR, _password(say), "administrator")
        registry.write_index(db, settings)  # a server that was killed may have left it behind
    return engine


def _password(say: Callable[[str], None]) -> str:
    """From the environment, asked for on a terminal, or made up and shown this once."""
    given = os.environ.get(PASSWORD)
    if given:
        return given
    if sys.stdin.isatty():
        typed = getpass.getpass(f"Password for the first administrator, {ADMINISTRATOR!r} (empty: make one up): ")
        if typed:
            return typed
    made = secrets.token_urlsafe(12)
    say(f"first administrator: name {ADMINISTRATOR}, password {made} (shown this once)")
    return made
