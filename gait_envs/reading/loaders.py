"""The table of all functions that read external files.

A function that reads files which others may have written registers itself:

    @loader("clip", ".npz")
    def load_clip(path): ...

Whatever bytes it is given, it returns a result or raises a `GaitNetError` or an `OSError` whose message is one line
and names the file, soon and within a modest amount of memory. `scripts/fuzz.py` walks this table and holds it to that;
a test demands an example file for each entry, and an entry of each module that parses files.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

FOLDER = "/"  # the suffix of a loader that is given a folder
Read = TypeVar("Read", bound=Callable[..., Any])


@dataclass(frozen=True)
class Loader:
    """One kind of file, or of folder, that comes from outside."""

    name: str
    read: Callable[..., Any]  # its first argument is the path
    suffixes: tuple[str, ...]  # lower case, with the point, or `FOLDER`


LOADERS: dict[str, Loader] = {}  # of the modules imported so far; `all_loaders` imports them all


def loader(name: str, *suffixes: str) -> Callable[[Read], Read]:
    """Register a function, unchanged, under a name; raises ValueError if another function has that name."""

    def enrol(read: Read) -> Read:
        known = LOADERS.get(name)
        if known is not None and known.read is not read:
            raise ValueError(f"loader {name!r} is registered twice: {known.read!r} and {read!r}")
        LOADERS[name] = Loader(name, read, suffixes)
        return read

    return enrol


def all_loaders(*packages: str) -> dict[str, Loader]:
    """Every loader of these packages, whose modules are all imported to find them."""
    for package in packages:
        found = importlib.import_module(package)
        for module in pkgutil.walk_packages(found.__path__, f"{package}."):
            importlib.import_module(module.name)
    return dict(LOADERS)
