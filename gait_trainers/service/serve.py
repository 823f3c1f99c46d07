"""The web server, with a supervisor beside it that outlives a crash of the server."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import uvicorn

from gait_trainers.runs.lock import holder
from gait_trainers.service.app import create_app
from gait_trainers.service.jobs.process import python
from gait_trainers.service.jobs.supervisor import LOCKED, lock_folder
from gait_trainers.service.settings import Settings
from gait_trainers.service.setup import prepare

AGAIN, OCCUPIED = 2.0, 20.0  # s until a supervisor that has ended is started again; where another is there already
PATIENCE = 60.0  # s for a supervisor to end its processes
SERVER = "GAITNET_SERVER"  # in the environment of a supervisor: number of the server that has started it


def serve(settings: Settings, *, supervised: bool = True) -> None:
    """Serve until a signal."""
    engine = prepare(settings, say=lambda text: print(text, flush=True))
    config = uvicorn.Config(
        create_app(settings, engine), settings.host, settings.port, log_level="warning", access_log=False,
        server_header=False, proxy_headers=settings.https, timeout_graceful_shutdown=3,
    )  # fmt: skip
    server = uvicorn.Server(config)
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    signal.signal(signal.SIGTERM, _leave)  # uvicorn raises the signal again once it has ended
    print(f"GaitNet on http://{settings.host}:{settings.port}, in {settings.home}", flush=True)
    if not supervised:
        server.run()
        return
    with _supervisor(settings):
        server.run()


def _leave(*_: object) -> None:
    """End as by an exception, so that the supervisor is told."""
    raise SystemExit(0)


@contextmanager
def _supervisor(settings: Settings) -> Iterator[None]:
    """A supervisor runs while the block does, and one that dies is replaced.

    Where one is there already, its end is waited for. One that a killed server has left behind belongs to this one from
    now on, and ends with it; one that somebody has started by itself is left alone.
    """
    over = threading.Event()
    command = python("gait_trainers.service.cli", "supervise", "--home", str(settings.home))
    environment = dict(os.environ) | {SERVER: str(os.getpid())}
    if settings.database:
        environment["GAITNET_DATABASE"] = settings.database  # a password does not belong on a command line
    children: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not over.is_set():
            child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
            children[:] = [child]
            over.wait(OCCUPIED if child.wait() == LOCKED else AGAIN)

    thread = threading.Thread(target=keep, daemon=True, name="supervisor")
    thread.start()
    try:
        yield
    finally:
        over.set()
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                child.wait(timeout=PATIENCE)
        if (left := _left_behind(settings)) is not None:
            with suppress(psutil.Error):
                left.terminate()
                left.wait(timeout=PATIENCE)


def _left_behind(settings: Settings) -> psutil.Process | None:
    """The supervisor of this machine whose server was killed; None where there is none."""
    pid = holder(lock_folder(settings))
    try:
        found = None if pid is None else psutil.Process(pid)
        server = None if found is None else found.environ().get(SERVER)
        return found if found is not None and server not in (None, str(found.ppid())) else None
    except psutil.Error:
        return None
