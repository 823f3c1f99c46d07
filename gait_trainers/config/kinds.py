"""What a run folder is the training of, by its settings: a command that takes runs takes those of one kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gait_envs.reading.loaders import loader
from gait_envs.reading.yaml_text import read_yaml
from gait_trainers.config.section import ConfigError

KindName = Literal["policy", "motionnn", "refnn"]


@dataclass(frozen=True)
class Kind:
    """A kind of training."""

    marks: frozenset[str]  # keys that its settings always have, and no other kind's
    made_by: str
    taken_by: str  # commands of gait-train, and options


KINDS: dict[KindName, Kind] = {
    "policy": Kind(
        frozenset({"env", "ppo"}),
        "a policy's training",  # bc, gail and airl leave settings of ppo
        "evaluate, play, record, export and, to go on, --resume and --init of ppo",
    ),
    "motionnn": Kind(
        frozenset({"loss", "optim"}),
        "gait-train motionnn",
        "evaluate-motion, generate, motionnn --resume and ppo --encoder",
    ),
    "refnn": Kind(
        frozenset({"hidden", "stream_batch"}),
        "gait-train refnn",
        "refnn --resume; evaluate-refnn and backward take its model/",
    ),
}


@loader("kind of run", ".yaml")
def check_kind(config_file: Path, expected: KindName) -> None:
    """ConfigError, which names the commands that take it, where a run's settings are those of another kind.

    Settings of no known kind, and a file that is not there, pass: who reads them says what is wrong.
    """
    tree: Any = read_yaml(config_file, ConfigError) if config_file.is_file() else None
    found = kind_of(tree)
    if found is not None and found != expected:
        raise ConfigError(f"{config_file.parent} is a run of {KINDS[found].made_by}, for {KINDS[found].taken_by}")


def kind_of(tree: Any) -> KindName | None:
    """The kind of the training that these are the settings of; None of a kind that is unknown."""
    keys = set(tree) if isinstance(tree, dict) else set()
    return next((name for name, kind in KINDS.items() if kind.marks <= keys), None)
