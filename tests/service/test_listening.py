"""The address that the server listens on: refused in one sentence before anything is made."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from gait_trainers.service.cli import app
from gait_trainers.service.serve import ListenError, listening


def refused(words: list[str], tmp_path: Path) -> str:
    done = CliRunner().invoke(app, ["--home", str(tmp_path / "new"), *words])
    assert isinstance(done.exception, ListenError), done.output
    assert not done.output, "it did not say that it is there"
    assert not list(tmp_path.iterdir())
    return str(done.exception)


def test_a_port_in_use_is_one_sentence_and_makes_no_home(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert refused(["--port", port], tmp_path) == (
            f"cannot listen on 127.0.0.1, port {port}: Address already in use; give another --host or --port"
        )


@pytest.mark.parametrize("host", ["999.1.1.1", "192.0.2.1", "no host", "a..b", "x" * 300])
def test_a_host_that_is_none_or_another_machine_is_one_sentence(host: str, tmp_path: Path) -> None:
    assert refused(["--host", host, "--port", "0"], tmp_path).startswith(f"cannot listen on {host[:200]}")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_port_0_listens_on_one_that_is_free(host: str) -> None:
    with listening(host, 0) as sockets:
        with socket.create_connection(sockets[0].getsockname()[:2], timeout=5):
            pass
        assert sockets[0].getsockname()[1] > 0
    assert all(one.fileno() == -1 for one in sockets)


@pytest.mark.web  # seconds of a process
def test_the_server_says_which_port_it_found_and_answers_there(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "gait_trainers.service.cli", "--home", str(tmp_path / "new"), "--port", "0"]
    with subprocess.Popen([*words, "--no-supervisor"], stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            told = next(line for line in server.stdout if line.startswith("GaitNet on "))
            address = told.split()[2].rstrip(",")
            assert httpx.get(f"{address}/api/v1/openapi.json", timeout=60).status_code == 200
        finally:
            server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
