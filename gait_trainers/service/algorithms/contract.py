"""What the service asks of an algorithm.

The service itself knows run folders: a process that holds the lock of its job, trains there, writes rows with a column
`iteration` to `metrics.csv`, ends with status 0 when it is done, and continues where it was interrupted. Everything
else differs between a policy that walks and a model that is fitted to motions, and is told by a record of this kind. A
new algorithm is such a record, and a line in `table.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from gait_trainers.config.section import ConfigError
from gait_trainers.service.algorithms.fields import Field, check, check_value
from gait_trainers.service.algorithms.request import NUMBERS, StartRequest
from gait_trainers.service.errors import Invalid

Command = tuple[str, ...]  # a module that Python runs, and its arguments


@dataclass(frozen=True)
class Plan:
    """A training as it will be queued: its whole configuration, and what it takes."""

    config: Any  # a pydantic model
    env_id: str
    iterations: int
    rollout_steps: int  # environment steps of an iteration; 1 where nothing is stepped
    cores: float
    memory_mb: int
    disk_mb: int


@dataclass(frozen=True)
class Algorithm(ABC):
    """A command of `gait-train` that trains."""

    name: str
    description: str
    makes: Literal["policy", "model"]  # what is filmed, walks in 3D and goes into the registry; or what is downloaded
    env_id: str  # that it begins with: an environment, or the name of a body where nothing is simulated
    environments: tuple[str, ...]
    preset: str | None  # that it begins with
    presets: tuple[str, ...]
    needs_motions: bool  # whether it follows clips, or is fitted to them, and so asks for some

    simple: ClassVar[tuple[str, ...]]  # settings that are not under "advanced", in the order of the form
    named: ClassVar[Mapping[str, tuple[str, ...]]]  # fields of a StartRequest -> the settings that they stand for
    derived: ClassVar[Mapping[str, tuple[str, ...]]] = {}  # likewise, of those that another value follows from
    unit: ClassVar[str]  # what its speed is counted in
    follows: ClassVar[tuple[str, ...]] = ()  # jobs behind the one that finishes a training
    extends: ClassVar[bool] = False  # whether one that is complete may go on to more iterations

    # -- configuration ----------------------------------------------------------------------------------------

    @abstractmethod
    def base(self, preset: str | None = None, env: str | None = None) -> Any:
        """The configuration before anybody sets anything; Invalid for a preset or a body that it does not have."""

    @abstractmethod
    def form(self, preset: str | None = None, env: str | None = None) -> list[Field]:
        """Every setting, with the value that it begins with; the usual ones first."""

    @abstractmethod
    def plan(self, request: StartRequest, clips: Sequence[str]) -> Plan:
        """What was asked for, checked; Invalid names the field at fault.

        clips: names of bundled sets and placeholders for the files of uploaded motions.
        """

    @abstractmethod
    def written(self, tree: Mapping[str, Any]) -> str:
        """A stored configuration as the YAML file that the command reads."""

    def check_choice(self, preset: str | None, env: str | None) -> None:
        """Invalid for a preset or an environment that is not one of its own."""
        if preset is not None and preset not in self.presets:
            raise Invalid(f"{self.name} has the presets {', '.join(self.presets)}", "preset")
        if env is not None and env not in self.environments:
            raise Invalid(f"{self.name} is for {', '.join(self.environments)}", "env")

    def keys(self, name: str) -> tuple[str, ...]:
        """Settings that a field of a request decides."""
        return (*self.named.get(name, ()), *self.derived.get(name, ()))

    def changed(self, asked: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a StartRequest with some of them changed, and of `settings` those that are named.

        A setting can be asked for by a field or by its key: whichever is changed takes the place of the other.
        """
        tree, more = {**asked, **changes}, dict(changes.get("settings") or {})
        settings = dict(asked.get("settings") or {})
        for name in NUMBERS:
            if tree.get(name) is None:
                continue
            settings = {key: value for key, value in settings.items() if key not in self.keys(name)}
            if changes.get(name) is None and any(key in more for key in self.keys(name)):
                settings |= dict.fromkeys(self.named.get(name, ()), tree[name])  # it may decide others, too
                tree[name] = None
        return tree | {"settings": settings | more}

    def overrides(self, request: StartRequest) -> dict[str, Any]:
        """Settings that a request changes, by key, each found possible by the form; Invalid for one that it gives by a
        field and by its key."""
        known = self.form(request.preset, request.env)
        found = check(known, request.settings)
        by_key = {field.key: field for field in known}
        for name in NUMBERS:
            if (value := getattr(request, name)) is None:
                continue
            if name not in self.named:
                raise Invalid(f"{self.name} has no such setting", name)
            if twice := [key for key in self.keys(name) if key in request.settings]:
                raise Invalid(f"{name} and {twice[0]} say the same thing twice; give one of them", name)
            for key in self.named[name]:
                try:
                    check_value(by_key[key], value)
                except Invalid as error:
                    raise Invalid(error.message, name) from None
                found[key] = value
        return found

    # -- processes --------------------------------------------------------------------------------------------

    @abstractmethod
    def begun(self, run: Path) -> bool:
        """Whether a run folder can be continued."""

    @abstractmethod
    def start(self, run: Path, results: Path, clips: Sequence[str]) -> Command:
        """Begin the training in a run folder, with `results/config.yaml`.

        clips: names of bundled sets and files of uploaded motions.
        """

    @abstractmethod
    def resume(self, run: Path, results: Path, iterations: int) -> Command:
        """Continue from the last checkpoint."""

    @abstractmethod
    def after(self, kind: str, run: Path, results: Path) -> Command:
        """A process behind the training: `finish` writes `results/result.json`; others are those of `follows`."""

    def checks(self) -> list[Any]:
        """Health checks of its own, for rows of metrics."""
        return []


def invalid(error: ConfigError, overrides: Mapping[str, Any], otherwise: str | None = None) -> Invalid:
    """What a configuration refuses, with the setting that its message names."""
    message = str(error)
    named = (key for key in overrides if key in message or key.removeprefix("env.kwargs.") in message)
    keys = sorted(named, key=len, reverse=True)
    return Invalid(message, keys[0] if keys else otherwise)
