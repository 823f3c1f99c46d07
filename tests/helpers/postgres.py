"""A PostgreSQL server for tests: Debian's, in a temporary folder, on a socket, as a user who is not root."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

PLACES = ("/usr/local/bin", "/usr/lib/postgresql/17/bin", "/usr/lib/postgresql/16/bin", "/usr/lib/postgresql/15/bin")


def program(name: str) -> str | None:
    """Where a program of PostgreSQL is."""
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(PLACES))


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database, for SQLAlchemy; skips the test where there is no PostgreSQL."""
    pytest.importorskip("psycopg")
    postgres, initdb = program("postgres"), program("initdb")
    if postgres is None or initdb is None:
        pytest.skip("PostgreSQL is not installed")
    become: list[str] = []
    folder = Path(tempfile.mkdtemp(prefix="gaitnet-postgres-"))
    try:
        if os.getuid() == 0:
            try:
                owner = pwd.getpwnam("postgres")
            except KeyError:
                pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
            become = ["setpriv", f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        environment = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        data = folder / "data"
        quiet = {"check": True, "env": environment, "stdout": subprocess.DEVNULL, "cwd": folder}
        subprocess.run([*become, initdb, "-D", str(data), "-U", "gaitnet", "-A", "trust", "-N"], **quiet)  # type: ignore[call-overload]
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
        with subprocess.Popen(
            [*become, postgres, "-D", str(data), *options], env=environment, cwd=folder, stderr=subprocess.DEVNULL
        ) as process:
            try:
                yield _ready(f"postgresql+psycopg://gaitnet@/postgres?host={folder}")
            finally:
                process.terminate()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _ready(url: str) -> str:
    """The URL, once the server answers."""
    import time

    from sqlalchemy import create_engine
    from sqlalchemy.exc import OperationalError

    engine = create_engine(url)
    for _ in range(200):
        try:
            engine.connect().close()
        except OperationalError:
            time.sleep(0.1)
        else:
            engine.dispose()
            return url
    raise TimeoutError("PostgreSQL does not answer")
