"""The web server, with a supervisor beside it that outlives a crash of the server."""

from __future__ import annotations

import errno
import logging
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext, suppress

import psutil
import uvicorn

from gait_envs.errors import GaitNetError, one_line
from gait_trainers.runs.lock import holder
from gait_trainers.service.app import create_app
from gait_trainers.service.jobs.process import python
from gait_trainers.service.jobs.supervisor import LOCKED, lock_folder
from gait_trainers.service.settings import Settings
from gait_trainers.service.setup import prepare

AGAIN, OCCUPIED = 2.0, 20.0  # s until a supervisor that has ended is started again; where another is there already
PATIENCE = 60.0  # s for a supervisor to end its processes
SERVER = "GAITNET_SERVER"  # in the environment of a supervisor: number of the server that has started it


class ListenError(GaitNetError, OSError):
    """An address that the server cannot listen on."""


def serve(settings: Settings, *, supervised: bool = True) -> None:
    """Serve until a signal."""
    with listening(settings.host, settings.port) as sockets:
        engine = prepare(settings, say=lambda text: print(text, flush=True))
        config = uvicorn.Config(
            create_app(settings, engine), settings.host, settings.port, log_level="warning", access_log=False,
            server_header=False, proxy_headers=settings.https, timeout_graceful_shutdown=3,
        )  # fmt: skip
        server = uvicorn.Server(config)
        logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
        signal.signal(signal.SIGTERM, _leave)  # uvicorn raises the signal again once it has ended
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        print(f"GaitNet on http://{host}:{sockets[0].getsockname()[1]}, in {settings.home}", flush=True)
        with _supervisor(settings) if supervised else nullcontext():
            server.run(sockets)


@contextmanager
def listening(host: str, port: int) -> Iterator[list[socket.socket]]:
    """Sockets that listen on the addresses of a host; ListenError where that is impossible."""
    with ExitStack() as opened:
        try:
            sockets = [opened.enter_context(one) for one in _sockets(host, port)]
            if not sockets:
                raise OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        except (OSError, UnicodeError) as error:  # UnicodeError: no name that a host can have
            reason = _reason(error)
            raise ListenError(
                f"cannot listen on {one_line(host)}, port {port}: {reason}; give another --host or --port"
            ) from None
        yield sockets


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):
        return "no name of a host"
    if error.errno is not None and error.errno > 0:  # those of names that are not found are below 0
        return os.strerror(error.errno)
    return one_line(error.strerror or error)


def _sockets(host: str, port: int) -> Iterator[socket.socket]:
    """One for each address of the host that this machine has: `localhost` often has two, and one of them no network."""
    for family, _, _, _, address in dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)):
        try:
            yield socket.create_server(address[:2], family=family)
        except OSError as error:
            if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise


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
