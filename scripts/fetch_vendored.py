"""Fetch the JavaScript and CSS of others that the repository holds, from npm, and check it.

    python scripts/fetch_vendored.py           check the files that are here against VENDORED.md
    python scripts/fetch_vendored.py --fetch   fetch them again with `npm pack`, check, and write them

Each VENDORED.md lists, in a table, file, package, version, licence, path inside the package, and SHA-256.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
LISTS = (
    ROOT / "gait_trainers/service/pages/static/vendor/VENDORED.md",
    ROOT / "tests/service/vendor/VENDORED.md",
)


class Vendored(NamedTuple):
    """A file of somebody else, and where it came from."""

    file: Path
    package: str
    version: str
    licence: str
    member: str  # path inside the npm package
    sha256: str


def listed(page: Path) -> Iterator[Vendored]:
    """The rows of the table of a VENDORED.md."""
    for line in page.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip().strip("`") for cell in line.strip("|").split("|")]
        if line.startswith("| `"):
            yield Vendored(page.parent / cells[0], *cells[1:])


def fetch(row: Vendored, folder: Path) -> bytes:
    """The file as npm has it today; its bytes are not checked here."""
    name = f"{row.package}@{row.version}"
    pack = subprocess.run(["npm", "pack", "--silent", name], cwd=folder, check=True, capture_output=True, text=True)
    with tarfile.open(folder / pack.stdout.strip()) as archive:
        stream = archive.extractfile(f"package/{row.member}")
        assert stream is not None, f"{name} has no file {row.member}"
        return stream.read()


def main(arguments: list[str] | None = None) -> int:
    """Exit status 1 where a file is not what its list says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fetch", action="store_true", help="Fetch the files again and write them.")
    wanted = parser.parse_args(arguments)
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        for row in (row for page in LISTS for row in listed(page)):
            data = fetch(row, Path(folder)) if wanted.fetch else row.file.read_bytes()
            if hashlib.sha256(data).hexdigest() != row.sha256:
                print(f"{row.file}: not the file that VENDORED.md names", file=sys.stderr)
                wrong += 1
            elif wanted.fetch:
                row.file.write_bytes(data)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
