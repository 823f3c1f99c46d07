"""The tests of the database once more, on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.postgres import server

HERE = Path(__file__).parent
FILES = ("access", "sessions", "supervisor", "metrics", "library", "keeping")


@pytest.mark.web
def test_everything_holds_on_postgres_too() -> None:
    with server() as url:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-q",
                "-p",
                "no:cacheprovider",
                *(str(HERE / f"test_{name}.py") for name in FILES),
            ],
            env=os.environ | {"GAITNET_TEST_DATABASE": url},
            cwd=HERE.parent.parent,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-5000:]
