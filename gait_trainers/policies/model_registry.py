"""Policies of a training service's registry by name: `registry:NAME`, `registry:NAME@champion`, `registry:NAME@3`.

Only the registry's folder is read: `index.json`, which the service keeps, and a bundle a version in NAME/NUMBER. It is
the folder `registry` of the service's home, or what the environment variable GAITNET_REGISTRY names.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from gait_envs.errors import one_line
from gait_envs.reading.loaders import loader
from gait_envs.reading.text import read_json
from gait_trainers.policies.base import PolicyError

PREFIX, VARIABLE, USUAL = "registry:", "GAITNET_REGISTRY", Path("gaitnet-home/registry")
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_NUMBER = re.compile(r"[0-9]{1,18}")
_ALIAS = "champion"


def is_reference(text: str) -> bool:
    """Whether a policy is named by the registry."""
    return text.startswith(PREFIX)


def find_registered(text: str, folder: Path | None = None) -> Path:
    """The bundle that `registry:NAME@REFERENCE` means; PolicyError says what there is."""
    folder = folder or Path(os.environ.get(VARIABLE) or USUAL)
    name, _, reference = text.removeprefix(PREFIX).partition("@")
    reference = reference or _ALIAS
    index = read_index(folder / "index.json")
    if name not in index:
        raise PolicyError(f"{one_line(text)}: {folder} has {one_line(', '.join(index)) or 'no models'}")
    numbers, aliases = index[name]["versions"], index[name]["aliases"]
    number = int(reference) if _NUMBER.fullmatch(reference) else aliases.get(reference)
    if number not in numbers:
        known = one_line(", ".join([*sorted(aliases), *map(str, numbers)]))
        raise PolicyError(f"{one_line(text)}: {name} has no version {one_line(reference)}; known are {known}")
    return folder / name / str(number)


@loader("registry index", ".json")
def read_index(file: Path) -> dict[str, Any]:
    """Name -> {"versions": numbers, "aliases": alias -> number}."""
    if not file.exists():
        raise PolicyError(f"{file}: no such file; name the registry's folder by {VARIABLE}")
    index = read_json(file, PolicyError)
    if not isinstance(index, dict):
        raise PolicyError(f"{file}: expected an object")
    for name, entry in index.items():
        whole = isinstance(entry, dict) and isinstance(entry.get("versions"), list)
        if not _NAME.fullmatch(name) or not whole or not isinstance(entry.get("aliases"), dict):
            raise PolicyError(f"{file}: {one_line(name)}: expected a name with versions and aliases")
        if not all(type(n) is int and n > 0 for n in (*entry["versions"], *entry["aliases"].values())):
            raise PolicyError(f"{file}: {name}: versions are whole numbers from 1 on")
    return index
