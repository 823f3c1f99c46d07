"""Killing parts of a service that trains: nothing is lost, nothing runs twice, and the weights are the same."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.runs import differences, final_state, metrics
from helpers.service import TINY
from helpers.service_process import Service, twice_alive

from gait_trainers.service.client import AT_REST


def undisturbed(service: Service, id: str, out: Path) -> Path:
    """The same training by `gait-train` alone."""
    config = service.settings.results / id / "config.yaml"
    words = ["-m", "gait_trainers", "ppo", "--config", str(config), "--out", str(out), "--name", id]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return out / id


def disturb(home: Path, sessions: int, kills: int, seed: int, iterations: int, seconds: float) -> None:
    """Queue trainings, kill parts while they run, then compare every one with its undisturbed twin."""
    rng = random.Random(seed)
    with Service(home) as service:
        asked = [
            service.client.start(key=f"k{i}", **TINY | {"seed": i, "name": f"run {i}", "iterations": iterations})["id"]
            for i in range(sessions)
        ]
        done, ends = [], time.monotonic() + seconds
        while len(done) < kills and time.monotonic() < ends:
            time.sleep(rng.uniform(0.0, 3.0))
            assert not twice_alive(home)
            if part := service.disturb(rng):
                done.append(part)
            if all(row["state"] == "completed" for row in service.client.sessions()):
                break
        found = {row["id"]: row for row in (service.client.wait(id, timeout=seconds) for id in asked)}
        assert {row["state"] for row in found.values()} <= set(AT_REST)
        assert [row["state"] for row in found.values()] == ["completed"] * sessions, found
        assert {row["id"] for row in service.client.sessions()} == set(asked), "none is lost, none is there twice"
        assert done
        for id in asked:
            run, twin = service.settings.runs / id, undisturbed(service, id, home / "twins")
            assert differences(final_state(run), final_state(twin)) == []
            assert metrics(run) == metrics(twin)
        print(
            f"{sessions} trainings, {len(done)} kills: {', '.join(f'{p} {done.count(p)}' for p in sorted(set(done)))}"
        )


@pytest.mark.web
def test_kills_change_nothing(tmp_path: Path) -> None:
    disturb(tmp_path / "home", sessions=2, kills=5, seed=1, iterations=60, seconds=300)


@pytest.mark.soak
def test_a_hundred_kills_change_nothing(tmp_path: Path) -> None:
    share = float(os.environ.get("GAITNET_SOAK", "1"))
    disturb(
        tmp_path / "home", sessions=max(2, int(20 * share)), kills=max(3, int(100 * share)), seed=2, iterations=100,
        seconds=7200,
    )  # fmt: skip


@pytest.mark.web
def test_a_service_that_is_stopped_goes_on_later(tmp_path: Path) -> None:
    """An orderly end, as by Ctrl-C: its trainings are queued, and resume."""
    with Service(tmp_path / "home") as service:
        id = service.client.start(**TINY | {"iterations": 400})["id"]
        while service.client.session(id)["progress"]["iteration"] < 2:
            time.sleep(0.2)
        assert service.server is not None
        service.server.terminate()
        assert service.server.wait(timeout=90) == 0
        assert not service.supervisors()
        assert not service.trainings()
        service.start()
        service.client.act(id, "stop")
        assert service.client.wait(id, timeout=60)["state"] in ("stopped", "completed")
