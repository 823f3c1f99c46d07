"""The web server, with a supervisor beside it that outlives a crash of the server."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn

from gait_trainers.service.app import create_app
from gait_trainers.service.jobs.process import python
from gait_trainers.service.settings import Settings
from gait_trainers.service.setup import prepare

AGAIN = 2.0  # s until a supervisor that has ended is started again


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
    """A supervisor runs while the block does; one that dies is replaced, one that is there already is left alone."""
    over = threading.Event()
    command = python("gait_trainers.service.cli", "supervise", "--home", str(settings.home))
    environment = dict(os.environ)
    if settings.database:
        environment["GAITNET_DATABASE"] = settings.database  # a password does not belong on a command line
    children: list[subprocess.Popen[bytes]] = []

    def keep() -> None:
        while not over.is_set():
            child = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, start_new_session=True)
            children[:] = [child]
            child.wait()
            over.wait(AGAIN)

    thread = threading.Thread(target=keep, daemon=True, name="supervisor")
    thread.start()
    try:
        yield
    finally:
        over.set()
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                child.wait(timeout=60)
