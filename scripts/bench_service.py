"""What the training service costs and how fast it answers, on an empty home folder.

    python scripts/bench_service.py idle [--seconds 60]
    python scripts/bench_service.py pages [--seconds 60] [--rate 20] [--training]
    python scripts/bench_service.py monitor [--turns 6] [--seconds 20]
    python scripts/bench_service.py rows [--sessions 10000] [--iterations 10490]

`idle`     memory and processor time of server and supervisor while nothing happens
`pages`    how long answers take at a steady rate of requests, alone or beside a training
`monitor`  steps per second of a training, in turns without and with an open monitor page: its stream of events, and
           the requests that `monitor.js` makes for what they tell. The browser runs on somebody else's machine.
`rows`     lists and curves in a database of many sessions and 10 million values

A line of JSON each. On a machine with other work, look at processor times and at ratios within a run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
from sqlalchemy import insert, select, text

from gait_envs.cli import run_script
from gait_trainers.service.client import Client, ClientError
from gait_trainers.service.db.engine import transaction
from gait_trainers.service.db.tables import Job, Series, TrainingSession, User, new_id
from gait_trainers.service.operations import users
from gait_trainers.service.settings import load_settings
from gait_trainers.service.setup import prepare

PASSWORD = "only for a benchmark"
METRICS, SHORT = 20, 48  # curves of a session, and iterations of all sessions but one
PAGES = ("/sessions", "/train", "/motions", "/registry", "/search", "/alerts", "/account")
TRAINING: dict[str, Any] = {"name": "walk", "algorithm": "ppo-amp", "preset": "laptop", "iterations": 100_000}


class Running:
    """`gait-serve` on a home folder, and a client of it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        (home / "service.yaml").write_text("least_disk_mb: 0\nfilm_minutes: 0\n")
        os.environ["GAITNET_ADMIN_PASSWORD"] = PASSWORD
        self.engine = prepare(load_settings(home), say=lambda _: None)
        with transaction(self.engine) as db:
            self.token, _ = users.create_token(db, db.scalars(select(User)).one(), "benchmark")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        words = [sys.executable, "-m", "gait_trainers.service.cli", "--home", str(home), "--port", str(self.port)]
        self.server = subprocess.Popen(words, stdout=subprocess.DEVNULL)
        self.client = Client(self.base, self.token)
        while True:
            with suppress(ClientError):
                self.client.call("GET", "/me")
                return
            time.sleep(0.2)

    def parts(self) -> dict[str, psutil.Process]:
        """Server and supervisor."""
        server = psutil.Process(self.server.pid)
        supervisor = next((p for p in server.children() if "supervise" in p.cmdline()), None)
        return {"server": server} | ({"supervisor": supervisor} if supervisor else {})

    def browser(self) -> httpx.Client:
        """Somebody who is logged in on the pages."""
        found = httpx.Client(base_url=self.base, timeout=60.0)
        found.post("/login", data={"name": "admin", "password": PASSWORD, "next": "/"})
        found.get("/sessions").raise_for_status()
        return found

    def train(self) -> tuple[str, psutil.Process]:
        """Start a training; its id and process, once it has reported something."""
        id = self.client.start(**TRAINING)["id"]
        while self.client.session(id)["progress"]["iteration"] < 3:
            time.sleep(1.0)
        with transaction(self.engine) as db:
            pid = db.scalar(select(Job.pid).where(Job.session_id == id, Job.state == "running"))
        return id, psutil.Process(pid)

    def close(self) -> None:
        """Interrupt it, as Ctrl-C does; trainings end with it."""
        self.client.close()
        self.server.terminate()
        self.server.wait(timeout=120)
        self.engine.dispose()


@contextmanager
def running() -> Iterator[Running]:
    folder = Path(tempfile.mkdtemp(prefix="bench-service-"))
    service = Running(folder / "home")
    try:
        yield service
    finally:
        service.close()
        shutil.rmtree(folder, ignore_errors=True)


def cpu(process: psutil.Process) -> float:
    """Processor seconds so far."""
    times = process.cpu_times()
    return float(times.user + times.system)


def idle(args: argparse.Namespace) -> dict[str, Any]:
    with running() as service:
        time.sleep(20.0)  # until everything is loaded
        parts = service.parts()
        before = {name: cpu(process) for name, process in parts.items()}
        time.sleep(args.seconds)
        return {
            name: {
                "memory_mb": round(process.memory_full_info().pss / 1e6, 1),
                "cores_percent": round(100 * (cpu(process) - before[name]) / args.seconds, 2),
            }
            for name, process in parts.items()
        }


def pages(args: argparse.Namespace) -> dict[str, Any]:
    with running() as service:
        addresses = list(PAGES)
        if args.training:
            id, _ = service.train()
            addresses += [f"/sessions/{id}", f"/sessions/{id}/live", f"/sessions/{id}/results"]
        browser = service.browser()
        for address in addresses:  # templates are compiled, schemas are read
            browser.get(address).raise_for_status()
        taken: list[tuple[str, float]] = []

        def ask(address: str, due: float) -> None:
            answer = browser.get(address)
            taken.append((address, 1e3 * (time.monotonic() - due)))  # ms since it was due: waiting counts
            answer.raise_for_status()

        server = service.parts()["server"]
        begun, busy = time.monotonic(), cpu(server)
        with ThreadPoolExecutor(64) as pool:
            asked = []
            for number in range(int(args.seconds * args.rate)):
                due = begun + number / args.rate
                time.sleep(max(0.0, due - time.monotonic()))
                asked.append(pool.submit(ask, addresses[number % len(addresses)], due))
            for request in asked:
                request.result()
        busy = cpu(server) - busy
        browser.close()
        by_page = {
            address: round(statistics.median(ms for name, ms in taken if name == address)) for address in addresses
        }
        return {
            "requests": len(taken),
            "p50_ms": round(percentile([ms for _, ms in taken], 50), 1),
            "p99_ms": round(percentile([ms for _, ms in taken], 99), 1),
            "server_cpu_ms_a_request": round(1e3 * busy / len(taken), 1),
            "median_ms": {name.replace(id, "ID") if args.training else name: ms for name, ms in by_page.items()},
        }


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` percent do not exceed."""
    ranked = sorted(values)
    return ranked[min(len(ranked) - 1, int(len(ranked) * share / 100))]


class Monitor(threading.Thread):
    """What an open monitor page asks of the server: the stream, and its parts when the stream tells of something."""

    def __init__(self, service: Running, id: str) -> None:
        super().__init__(daemon=True)
        self.browser, self.id, self.over, self.asked = service.browser(), id, threading.Event(), 0

    def run(self) -> None:
        with suppress(httpx.HTTPError):  # its client is closed in the middle of the stream
            self._get(f"/sessions/{self.id}")
            latest = -1e9
            with self.browser.stream("GET", f"/api/v1/sessions/{self.id}/events") as stream:
                for line in stream.iter_lines():
                    if self.over.is_set():
                        return
                    if line.startswith("event:") and time.monotonic() - latest >= 5.0:  # as monitor.js
                        latest = time.monotonic()
                        self._get(f"/sessions/{self.id}/live")
                        self._get(f"/api/v1/sessions/{self.id}/metrics?points=300")

    def _get(self, address: str) -> None:
        self.browser.get(address).raise_for_status()
        self.asked += 1

    def close(self) -> None:
        self.over.set()
        self.join(timeout=10)
        self.browser.close()


def monitor(args: argparse.Namespace) -> dict[str, Any]:
    with running() as service:
        id, training = service.train()
        metrics = service.home / "runs" / id / "metrics.csv"
        turns: dict[bool, list[dict[str, float]]] = {False: [], True: []}
        asked = 0
        for turn in range(2 * args.turns):
            opened = turn % 4 in (1, 2)  # without, with, with, without: a drift of the machine falls on both
            page = Monitor(service, id) if opened else None
            if page is not None:
                page.start()
                time.sleep(2.0)
            turns[opened].append(measured(service, training, metrics, args.seconds))
            if page is not None:
                page.close()
                asked += page.asked
        rate = {opened: [row["per_cpu_s"] for row in rows] for opened, rows in turns.items()}
        wall = {opened: [row["per_s"] for row in rows] for opened, rows in turns.items()}
        cores = {opened: statistics.mean(row["service_cores"] for row in rows) for opened, rows in turns.items()}
        return {
            "turns": args.turns,
            "requests": asked,
            "slowdown_percent_cpu": round(100 * (statistics.mean(rate[False]) / statistics.mean(rate[True]) - 1), 2),
            "slowdown_percent_wall": round(100 * (statistics.mean(wall[False]) / statistics.mean(wall[True]) - 1), 2),
            "spread_percent_cpu": round(100 * statistics.stdev(rate[False]) / statistics.mean(rate[False]), 2),
            "service_cores_percent": {"without": round(100 * cores[False], 2), "with": round(100 * cores[True], 2)},
            "training_cores": round(statistics.mean(row["cores"] for row in turns[False]), 2),
        }


def measured(service: Running, training: psutil.Process, metrics: Path, seconds: float) -> dict[str, float]:
    """Iterations of a training per second, from one end of an iteration to another, and processor time."""
    parts = list(service.parts().values())
    began, first = next_row(metrics)
    busy, own = cpu(training), sum(map(cpu, parts))
    while time.monotonic() - began < seconds:
        time.sleep(0.05)
    ended, last = next_row(metrics)
    busy, own = cpu(training) - busy, sum(map(cpu, parts)) - own
    took = ended - began
    return {
        "per_s": (last - first) / took, "per_cpu_s": (last - first) / busy, "service_cores": own / took,
        "cores": busy / took,
    }  # fmt: skip


def next_row(metrics: Path) -> tuple[float, int]:
    """Wait for the end of an iteration: when it was, s, and how many lines the file has then."""
    size = metrics.stat().st_size
    while metrics.stat().st_size == size:
        time.sleep(0.005)
    return time.monotonic(), metrics.read_bytes().count(b"\n")


def rows(args: argparse.Namespace) -> dict[str, Any]:
    with running() as service:
        id = many(service, args)
        found: dict[str, Any] = {
            "sessions": args.sessions,
            "values": ((args.sessions - 1) * SHORT + args.iterations) * METRICS,
        }
        last = max(0, args.sessions - 50)
        asks: dict[str, Callable[[], Any]] = {
            "first 50 of the list": lambda: service.client.call("GET", "/sessions?limit=50"),
            "its last 50": lambda: service.client.call("GET", f"/sessions?limit=50&offset={last}"),
            "by a part of the name": lambda: service.client.call("GET", "/sessions?text=run+77&limit=50"),
            "all 20 curves of the longest": lambda: service.client.call("GET", f"/sessions/{id}/metrics?points=500"),
        }
        browser = service.browser()
        asks["page of the list"] = lambda: browser.get("/sessions").raise_for_status()
        asks["monitor of the longest"] = lambda: browser.get(f"/sessions/{id}").raise_for_status()
        server = service.parts()["server"]
        for title, ask in asks.items():
            ask()
            wall, busy = [], cpu(server)
            for _ in range(10):
                began = time.monotonic()
                ask()
                wall.append(1e3 * (time.monotonic() - began))
            used = 1e2 * (cpu(server) - busy)
            found[title] = {"median_ms": round(statistics.median(wall), 1), "server_cpu_ms": round(used, 1)}
        browser.close()
        return found


def many(service: Running, args: argparse.Namespace) -> str:
    """Fill the database; the id of a session of `iterations` iterations, the others have 48, 20 metrics each."""
    one = str(service.client.start(**TRAINING | {"iterations": args.iterations})["id"])
    service.client.act(one, "stop")
    with service.engine.begin() as connection:
        first = dict(connection.execute(select(TrainingSession.__table__)).mappings().one())
        copies = [first | {"id": new_id(), "name": f"run {n}"} for n in range(1, args.sessions)]
        connection.execute(insert(TrainingSession.__table__), copies)
        names = [f"metric {n}" for n in range(METRICS)]
        series = [{"session_id": row["id"], "name": name} for row in (first, *copies) for name in names]
        connection.execute(insert(Series.__table__), series)
        connection.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most) "
                "INSERT INTO points (series_id, iteration, value) "
                "SELECT series.id, n.i, abs(random() % 1000) / 1000.0 FROM series CROSS JOIN n "
                "WHERE n.i <= :short OR series.session_id = :longest"
            ),
            {"most": args.iterations, "short": SHORT, "longest": one},
        )
    return one


COMMANDS = {"idle": idle, "pages": pages, "monitor": monitor, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=COMMANDS)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=20.0, help="Requests a second.")
    parser.add_argument("--training", action="store_true", help="Beside a training.")
    parser.add_argument("--turns", type=int, default=6, help="Turns with and without the page, each.")
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--iterations", type=int, default=10_490, help="Of the longest session.")
    args = parser.parse_args()
    if args.turns < 2:
        parser.error(f"--turns: {args.turns} tells no spread, allowed is 2 or more")
    print(json.dumps({args.what: COMMANDS[args.what](args)}), flush=True)


if __name__ == "__main__":
    run_script(main)
