"""Where a run came from: command, versions, machine, commit."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_PACKAGES = ("gaitnet", "gymnasium", "mujoco", "numpy", "stable-baselines3", "torch")


def provenance(seed: int) -> dict[str, Any]:
    """Where a run came from."""
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "seed": seed,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "commit": _git_commit(),
        "versions": {name: _version(name) for name in _PACKAGES},
    }


def licenses_of(recorded: Any) -> list[str]:
    """Licences of the clips that a run's provenance states, its own or those of what it began from; sorted. Whatever
    else somebody wrote there is no licence."""
    found: set[str] = set()
    for section in (recorded, recorded.get("init")) if isinstance(recorded, Mapping) else ():
        named = section.get("licenses") if isinstance(section, Mapping) else None
        if isinstance(named, list):
            found.update(name for name in named if isinstance(name, str))
    return sorted(found)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _git_commit() -> str | None:
    """The commit of the source tree this package runs from, with a + if it has been changed."""
    folder = Path(__file__).resolve().parent

    def git(*args: str) -> str:
        done = subprocess.run(["git", "-C", str(folder), *args], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        if git("ls-files", "--error-unmatch", __file__) == "":
            return None
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None
