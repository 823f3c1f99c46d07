"""A service in processes of its own, that can be killed: server, supervisor, trainings."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
from sqlalchemy import select

from gait_trainers.service.client import Client, ClientError
from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Job, Supervisor, User
from gait_trainers.service.operations import users
from gait_trainers.service.settings import load_settings
from gait_trainers.service.setup import prepare


class Service:
    """`gait-serve` in a home folder; a context manager."""

    def __init__(self, home: Path, database: str = "") -> None:
        os.environ["GAITNET_ADMIN_PASSWORD"] = "correct horse"
        home.mkdir(parents=True, exist_ok=True)
        (home / "service.yaml").write_text("least_disk_mb: 0\npoll_seconds: 0.1\nquota: {sessions: 1000}\n")
        self.settings = load_settings(home, database=database or None)
        self.engine = prepare(self.settings)
        with transaction(self.engine) as db:
            self.token, _ = users.create_token(db, db.scalars(select(User)).one(), "test")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.client = Client(f"http://127.0.0.1:{self.port}", self.token)
        self.server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Service:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End everything that was started, however it was disturbed."""
        if self.server is not None:
            self.server.kill()
            self.server.wait()
        while ours := [process for process in psutil.process_iter(["cmdline"]) if self.belongs(process)]:
            for process in ours:  # a supervisor that is only beginning is in no table yet
                kill(process.pid)
            time.sleep(0.2)
        self.client.close()
        self.engine.dispose()

    def belongs(self, process: psutil.Process) -> bool:
        """Whether a process works in this home folder."""
        words = process.info["cmdline"] or []
        is_ours = any(str(self.settings.home) in word for word in words)
        return is_ours and process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE

    def start(self) -> None:
        """Start the server, and with it a supervisor; waits until it answers."""
        environment = os.environ | ({"GAITNET_DATABASE": self.settings.database} if self.settings.database else {})
        words = ["-m", "gait_trainers.service.cli", "--home", str(self.settings.home), "--port", str(self.port)]
        with open(self.settings.home / "server.txt", "ab") as log:
            self.server = subprocess.Popen([sys.executable, *words], env=environment, stdout=log, stderr=log)
        self.until_it_answers()

    def until_it_answers(self, seconds: float = 300.0) -> None:
        ends = time.monotonic() + seconds
        while True:
            try:
                self.client.call("GET", "/me")
            except ClientError:
                assert time.monotonic() < ends, "the server does not answer"
                time.sleep(0.2)
            else:
                return

    def supervisors(self) -> list[int]:
        """Process numbers of supervisors that live."""
        with transaction(self.engine) as db:
            pids = list(db.scalars(select(Supervisor.pid).where(Supervisor.pid > 0)))
        return [pid for pid in pids if says(pid, "supervise")]

    def trainings(self) -> list[int]:
        """Process numbers of jobs that live."""
        with transaction(self.engine) as db:
            rows = db.execute(select(Job.id, Job.pid).where(Job.state == "running")).all()
        return [pid for id, pid in rows if pid and says(pid, "gait_trainers")]

    def disturb(self, rng: random.Random) -> str:
        """Kill one part, chosen at random; what it was."""
        part = rng.choice(["server", "supervisor", "training", "training"])
        if part == "server":
            assert self.server is not None
            self.server.kill()
            self.server.wait()
            if rng.random() < 0.5:  # sometimes together with its supervisor
                for pid in self.supervisors():
                    kill(pid)
            self.start()
            return part
        pids = self.supervisors() if part == "supervisor" else self.trainings()
        if not pids:
            return ""
        kill(rng.choice(pids))
        return part


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def says(pid: int, word: str) -> bool:
    """Whether a process has a word in its command line."""
    try:
        return any(word in part for part in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def twice_alive(home: Path) -> list[str]:
    """Run folders in which more than one training is at work."""
    found: dict[str, int] = {}
    for process in psutil.process_iter(["cmdline"]):
        words: list[str] = process.info["cmdline"] or []
        for option in ("--name", "--resume"):
            if "gait_trainers" in words and str(home) in " ".join(words) and option in words:
                run = Path(words[words.index(option) + 1]).name
                found[run] = found.get(run, 0) + 1
    return [run for run, count in found.items() if count > 1]
