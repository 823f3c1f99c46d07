"""The third-party files of the page: which, of which version, and fetching them from npm once.

They are 22 MB, most of it WebAssembly, and therefore neither in the repository nor in the wheel. `vendor.json` pins
packages, versions and checksums; `python -m gait_trainers.web.vendor` asks npm for them and keeps the files in a cache.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from importlib import resources
from pathlib import Path
from typing import Any

from gait_envs.errors import GaitNetError
from gait_envs.files import replacing

COMMAND = "python -m gait_trainers.web.vendor"
CACHE = "GAITNET_VENDOR"  # environment variable: another folder than the usual cache


class VendorError(GaitNetError, RuntimeError):
    """Third-party files that are missing, damaged or cannot be fetched; says what to run."""


def packages() -> list[dict[str, Any]]:
    """What `vendor.json` pins: package, version, license, source, and files with their checksums."""
    text = (resources.files("gait_trainers.web") / "vendor.json").read_text(encoding="utf-8")
    pinned: list[dict[str, Any]] = json.loads(text)
    return pinned


def folder() -> Path:
    """Where the files are kept: $GAITNET_VENDOR, else `gaitnet/vendor` in the user's cache."""
    if given := os.environ.get(CACHE):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gaitnet" / "vendor"


def vendored() -> dict[str, Path]:
    """The files by name, each as pinned; VendorError names what is missing or differs, and the command."""
    found, wrong = {}, []
    for package in packages():
        for name, digest in package["files"].items():
            path = folder() / Path(name).name
            if not path.is_file():
                wrong.append(f"{path.name} is missing")
            elif _sha256(path.read_bytes()) != digest:
                wrong.append(f"{path.name} differs from its checksum")
            found[path.name] = path
    if wrong:
        raise VendorError(f"{folder()}: {', '.join(wrong)}; fetch what the page needs from npm with: {COMMAND}")
    return found


def fetch() -> Path:
    """Download the pinned packages with npm, check the files and keep them; the folder. VendorError says why not."""
    npm = shutil.which("npm")
    if npm is None:
        raise VendorError(
            "npm is not installed; it comes with Node.js and is needed once, to fetch the page's libraries"
        )
    for package in packages():
        with tempfile.TemporaryDirectory() as temporary:
            wanted = f"{package['package']}@{package['version']}"
            call = [npm, "pack", wanted, "--silent", "--pack-destination", temporary]
            ended = subprocess.run(call, capture_output=True, text=True, check=False)
            archives = list(Path(temporary).glob("*.tgz"))
            if ended.returncode or len(archives) != 1:
                told = (ended.stderr.strip() or ended.stdout.strip() or "no reason given").splitlines()[-1]
                raise VendorError(f"npm cannot fetch {wanted}: {told}")
            _keep(archives[0], package)
    return folder()


def _keep(archive: Path, package: dict[str, Any]) -> None:
    """Copy the pinned files of a package out of its archive, once their checksums are right."""
    wanted = f"{package['package']} {package['version']}"
    with tarfile.open(archive) as tar:
        for name, digest in package["files"].items():
            try:
                member = tar.extractfile(f"package/{name}")
            except KeyError:
                member = None
            if member is None:
                raise VendorError(f"{wanted} has no {name}")
            data = member.read()
            if _sha256(data) != digest:
                raise VendorError(f"{name} of {wanted} differs from its checksum in vendor.json")
            with replacing(folder() / Path(name).name) as temporary:
                temporary.write_bytes(data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def ensure() -> Path:
    """The folder, its files fetched if they are not all there."""
    try:
        vendored()
    except VendorError:
        fetch()
    return folder()


if __name__ == "__main__":
    print(ensure())
