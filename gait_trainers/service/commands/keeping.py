"""`gait-serve backup` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gait_envs.wording import size_text
from gait_trainers.service.cli import Database, Home
from gait_trainers.service.db.engine import make_engine, usable
from gait_trainers.service.db.migrate import check_revision
from gait_trainers.service.keeping import BackupError, backup, restore
from gait_trainers.service.settings import load_settings


def backup_command(
    out: Annotated[Path, typer.Option(help="File to write, ending in .tar.gz.")],
    home: Home = Path("gaitnet-home"),
    database: Database = None,
) -> None:
    """Write everything to one file, also while the service runs."""
    settings = load_settings(home, database=database)
    if not settings.home.is_dir():
        raise BackupError(f"{settings.home}: no such folder")
    if out.exists():
        raise BackupError(f"{out} exists already; choose another --out")
    engine = make_engine(settings.database_url)
    check_revision(engine)
    with usable(engine):
        backup(engine, settings, out)
    typer.echo(f"{out}: {size_text(out.stat().st_size)}")


def restore_command(
    backup_file: Annotated[Path, typer.Argument(metavar="BACKUP", help="File that gait-serve backup has written.")],
    home: Home = Path("gaitnet-home"),
    database: Database = None,
) -> None:
    """Make a home folder from a backup, with the same database or another."""
    settings = load_settings(home, database=database)
    restore(settings, backup_file)
    typer.echo(f"{settings.home}: restored; start it with gait-serve --home {home}")
