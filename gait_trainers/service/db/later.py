"""What a session of the database carries along: where its request comes from, and work on files that waits until the
change is committed, as no rollback would bring a file back."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy.orm import Session

from gait_trainers.service.settings import Settings

AFTERWARDS, ADDRESS = "afterwards", "address"  # in `Session.info`


def do_afterwards(db: Session, name: str, action: Callable[[Session, Settings], None]) -> None:
    """Do it once the change is committed (`run_afterwards`); under one name once."""
    db.info.setdefault(AFTERWARDS, {})[name] = action


def remove_afterwards(db: Session, *folders: Path) -> None:
    """Remove folders whose rows have been deleted."""
    for folder in folders:
        do_afterwards(db, str(folder), functools.partial(_remove, folder))


def _remove(folder: Path, _db: Session, _settings: Settings) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def run_afterwards(db: Session, settings: Settings) -> None:
    """What has been put off, after a commit; each reads anew, as others may have changed rows that `db` knows."""
    for action in db.info.pop(AFTERWARDS, {}).values():
        with Session(db.get_bind(), expire_on_commit=False) as fresh:
            action(fresh, settings)
