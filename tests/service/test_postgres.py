"""The tests of the database once more, on PostgreSQL."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.postgres import server

HERE = Path(__file__).parent
FILES = (
    "test_access.py",
    "test_sessions.py",
    "test_supervisor.py",
    "test_metrics.py",
    "test_library.py",
    "test_keeping.py",
)


@pytest.mark.web
def test_everything_holds_on_postgres_too() -> None:
    with server() as url:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *(str(HERE / name) for name in FILES)],
            env=os.environ | {"GAITNET_TEST_DATABASE": url},
            cwd=HERE.parent.parent,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, done.stdout[-5000:]
