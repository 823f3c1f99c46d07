"""One process a run folder: the second is refused, and a dead holder is in nobody's way."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from helpers.runs import metrics

from gait_trainers.config.layers import load_config
from gait_trainers.rl.train import train
from gait_trainers.runs.lock import Locked, locked
from gait_trainers.runs.lock import holder as pid_of_holder
from gait_trainers.runs.run_folder import Run

HOLD = """
import pathlib, sys
from gait_trainers.runs.lock import locked
with locked(pathlib.Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
TINY = [
    "env.num_envs=4", "ppo.n_steps=8", "ppo.minibatches=2", "networks.policy=[16]", "networks.value=[16]",
    "run.checkpoint_every=1", "run.tensorboard=false",
]  # fmt: skip


@pytest.fixture
def holder(tmp_path: Path) -> subprocess.Popen:
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_the_holder_is_named_and_a_killed_one_holds_nothing(tmp_path: Path, holder: subprocess.Popen) -> None:
    with pytest.raises(Locked) as caught, locked(tmp_path):
        pass
    assert str(caught.value) == f"{tmp_path} is in use by process {holder.pid} on {socket.gethostname()!r}"
    assert pid_of_holder(tmp_path) == holder.pid
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert pid_of_holder(tmp_path) is None
    with locked(tmp_path):
        pass
    assert pid_of_holder(tmp_path / "nowhere") is None


def test_a_process_locks_a_folder_once_at_a_time(tmp_path: Path) -> None:
    for _ in range(2):
        with locked(tmp_path), pytest.raises(Locked, match=f"process {os.getpid()} "), locked(tmp_path):
            pass


def test_a_damaged_lock_file_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"\xff{")
    with locked(tmp_path):
        assert b"pid" in (tmp_path / ".lock").read_bytes()
        (tmp_path / ".lock").write_text("[]")
        with pytest.raises(Locked, match="another process"), locked(tmp_path):
            pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_worker_that_outlives_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    pipe = subprocess.PIPE
    code = HOLD.replace('    print("held"', '    import os\n    os.fork() or print("held"')
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=pipe, stdout=pipe, text=True)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    with locked(tmp_path):
        pass
    process.stdin.close()  # which ends the worker
    assert process.stdout.read() == ""
    process.stdout.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_that_ends_leaves_the_lock_to_its_parent(tmp_path: Path) -> None:
    code = "child = os.fork()\n    if child == 0: sys.exit()\n    os.waitpid(child, 0)\n    print"
    code = HOLD.replace("print", code, 1).replace("import pathlib", "import os, pathlib")
    pipe = subprocess.PIPE
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdin=pipe, stdout=pipe, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(Locked), locked(tmp_path):
        pass
    process.communicate()


def test_of_two_processes_that_resume_one_run_the_second_is_refused(tmp_path: Path) -> None:
    settings = dict(text.split("=") for text in TINY)
    import yaml

    overrides = {key: yaml.safe_load(value) for key, value in settings.items()}
    mine = {"algorithm": "ppo", "run.out": str(tmp_path), "run.name": "one", "run.iterations": 2}
    run = train(load_config(overrides=overrides | mine)).run
    command = [sys.executable, "-m", "gait_trainers.cli", "ppo", "--resume", str(run.path), "--iterations"]
    with (tmp_path / "first.txt").open("w") as log:
        first = subprocess.Popen([*command, "100000"], stdout=subprocess.DEVNULL, stderr=log)
    try:
        deadline = time.monotonic() + 300
        while len(metrics(run.path)) < 4 and first.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        second = subprocess.run([*command, "3"], capture_output=True, text=True, check=False)
        assert first.poll() is None, (tmp_path / "first.txt").read_text()
    finally:
        first.kill()
        first.wait()
    told = f"gait-train: {run.path} is in use by process {first.pid} on {socket.gethostname()!r}\n"
    assert (second.returncode, second.stderr) == (2, told)
    done = len(metrics(run.path))
    assert [row["iteration"] for row in metrics(run.path)] == [str(i) for i in range(1, done + 1)]
    third = subprocess.run([*command, str(done + 2)], capture_output=True, text=True, check=False)
    assert third.returncode == 0, third.stderr
    assert [row["iteration"] for row in metrics(run.path)] == [str(i) for i in range(1, done + 3)]
    assert len(Run(run.path).checkpoints()) == 3
