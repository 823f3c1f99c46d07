"""What an administrator decides: where everything is kept, how it is reached, and the limits.

`HOME/service.yaml` holds what differs from the defaults; options of the command line win over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import URL

from gait_envs.errors import GaitNetError, one_line
from gait_envs.reading.loaders import loader
from gait_envs.reading.yaml_text import read_yaml

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SettingsError(GaitNetError, ValueError):
    """Settings of the service that cannot be used; names the file and the key."""


def sqlite_file(path: Path) -> URL:
    """The address of a database in this file, whatever signs its folders have in their names."""
    return URL.create("sqlite", database=str(path))


class Part(BaseModel):
    """A group of settings; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Quota(Part):
    """What a user may use, unless the user's own figures say otherwise."""

    sessions: int = Field(default=20, ge=0, description="Sessions that are queued or running at once.")
    hours: float = Field(default=500.0, ge=0, description="Hours of training in the last 30 days.")
    disk_mb: int = Field(default=20_000, ge=0, description="Megabytes of run folders and motions.")


class Mail(Part):
    """The SMTP server that alerts go through."""

    host: str = Field(description="Name of the SMTP server.")
    port: int = Field(default=587, ge=1, le=65535, description="Its port.")
    sender: str = Field(description="Address that the mails come from.")
    user: str | None = Field(default=None, description="Name to log in with; null logs in nowhere.")
    password: str | None = Field(default=None, description="Password to log in with.")
    starttls: bool = Field(default=True, description="Whether to encrypt the connection before anything is sent.")


class Settings(Part):
    """Everything that the parts of the service need to know."""

    home: Path = Field(description="Folder of the database, run folders, motions and models.")
    database: str = Field(default="", description="URL of the database; empty: SQLite in the home folder.")
    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8080, ge=0, le=65535, description="Port to listen on.")
    hosts: list[str] = Field(default_factory=list, description="Further names under which the service is reached.")
    https: bool = Field(default=False, description="Whether browsers reach it by HTTPS: cookies are then secure.")
    cores: float | None = Field(default=None, gt=0, description="Cores for trainings; null: all.")
    memory_mb: int | None = Field(default=None, gt=0, description="Memory for trainings; null: 80 % of the machine's.")
    least_disk_mb: int = Field(default=1000, ge=0, description="Free disk below which nothing is started.")
    timeout_hours: float = Field(default=72.0, gt=0, description="Longest time of a session.")
    quota: Quota = Field(default_factory=Quota)
    upload_mb: int = Field(default=100, ge=1, description="Largest upload, in megabytes.")
    login_hours: float = Field(default=72.0, gt=0, description="Hours after which a log-in ends.")
    webhooks: list[str] = Field(default_factory=list, description="URLs that alerts are posted to.")
    mail: Mail | None = Field(default=None, description="SMTP server for alerts; null sends no mail.")
    film_minutes: float = Field(default=10.0, ge=0, description="Minutes between films of a running policy; 0: none.")
    poll_seconds: float = Field(default=0.5, gt=0, description="Seconds between two looks of the supervisor.")
    grace_days: float = Field(default=7.0, ge=0, description="Days for which a deleted model version is kept.")

    @property
    def database_url(self) -> str | URL:
        """The URL for SQLAlchemy."""
        return self.database or sqlite_file(self.home / "service.sqlite")

    @property
    def runs(self) -> Path:
        """Run folders of sessions, named by their ids."""
        return self.home / "runs"

    @property
    def jobs(self) -> Path:
        """Folders of processes: lock, process number, output."""
        return self.home / "jobs"

    @property
    def motions(self) -> Path:
        """Uploaded captures and the clips made of them."""
        return self.home / "motions"

    @property
    def models(self) -> Path:
        """The registry's files."""
        return self.home / "registry"

    @property
    def results(self) -> Path:
        """Bundles, films and pages of sessions."""
        return self.home / "results"

    def create_folders(self) -> None:
        """Make the home folder, for its owner's eyes only, and what is in it."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.runs, self.jobs, self.motions, self.models, self.results):
            folder.mkdir(exist_ok=True, mode=0o700)


GROUPS: dict[str, type[Part]] = {"quota": Quota, "mail": Mail}  # keys of settings that hold others


def load_settings(home: Path, **given: object) -> Settings:
    """The settings of a home folder; `given` wins where it is not None. SettingsError names file and key."""
    home = home.expanduser().resolve()
    file = home / "service.yaml"
    tree = read_settings(file).model_dump(exclude_unset=True) if file.is_file() else {}
    tree |= {key: value for key, value in given.items() if value is not None}
    return _validated(tree | {"home": home}, file)


@loader("service settings", ".yaml")
def read_settings(file: Path) -> Settings:
    """What `service.yaml` says, for the folder that it is in."""
    tree = read_yaml(file, SettingsError)
    if not isinstance(tree or {}, dict):
        raise SettingsError(f"{file}: expected a mapping of settings")
    return _validated((tree or {}) | {"home": file.parent}, file)


def _validated(tree: dict[Any, Any], file: Path) -> Settings:
    try:
        return Settings.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        path = first["loc"]
        if first["type"] in ("extra_forbidden", "missing"):
            fault = f"{'unknown' if first['type'] == 'extra_forbidden' else 'missing'}; {_known(path[:-1])}"
        else:
            fault = one_line(first["msg"])
        raise SettingsError(f"{file}: {one_line('.'.join(map(str, path)))}: {fault}") from None


def _known(path: Sequence[int | str]) -> str:
    """The keys of the group of settings that is at a path."""
    group: type[Part] = GROUPS[str(path[0])] if path else Settings
    return f"known keys{f' of {path[0]}' if path else ''} are {', '.join(group.model_fields)}"
