"""A server and the supervisor beside it: whose it is, and when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gait_trainers.runs.lock import holder
from gait_trainers.service import serve
from gait_trainers.service.jobs.supervisor import lock_folder
from gait_trainers.service.settings import Settings

pytestmark = pytest.mark.web  # seconds of processes
GONE = "4000000"  # above every number of a process


@pytest.mark.parametrize(
    ("server", "goes_on"), [(GONE, False), ("", True), (str(os.getpid()), True)],
    ids=["its server was killed", "started by itself", "of another server that lives"],
)  # fmt: skip
def test_a_supervisor_that_was_left_behind_ends_with_the_next_server(
    server: str, goes_on: bool, settings: Settings, engine: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = {key: value for key, value in os.environ.items() if key != serve.SERVER}
    words = [sys.executable, "-m", "gait_trainers.service.cli", "supervise", "--home", str(settings.home)]
    left = subprocess.Popen(words, env=environment | ({serve.SERVER: server} if server else {}))
    try:
        ends = time.monotonic() + 120
        while holder(lock_folder(settings)) != left.pid:
            assert time.monotonic() < ends
            time.sleep(0.1)
        begun = []

        class Spy(subprocess.Popen):
            def __init__(self, *words: object, **options: object) -> None:
                super().__init__(*words, **options)
                begun.append(self)

        with monkeypatch.context() as patch:
            patch.setattr(serve.subprocess, "Popen", Spy)
            with serve._supervisor(settings):
                while not begun or begun[0].poll() is None:
                    assert time.monotonic() < ends
                    time.sleep(0.1)
                time.sleep(2 * serve.AGAIN)
        assert len(begun) == 1, "it waits for the place to be free"
        assert (left.poll() is None) is goes_on
    finally:
        left.terminate()
        left.wait(60)


@pytest.mark.parametrize("words", [["--home", "X", "backup", "--out", "y"], ["--database", "sqlite://", "migrate"]])
def test_an_option_before_its_command_is_refused_rather_than_ignored(words: list[str], tmp_path: Path) -> None:
    """Or the command would quietly act on another home."""
    done = subprocess.run(
        [sys.executable, "-m", "gait_trainers.service.cli", *words], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert f"give {words[0]} after the command" in " ".join(done.stderr.split())
    assert not list(tmp_path.iterdir())
