"""Forked children, and what is written into the working directory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import gc, os, sys
import gymnasium as gym, numpy as np
import gait_envs
from gait_envs.simulation.process import ForkedError

def make(threads):
    return gym.make_vec("GaitNet/WildRobot-v0", 4, vectorization_mode="vector_entry_point", threads=threads)

def child(do):
    pid = os.fork()
    if pid == 0:
        do()
        sys.exit(0)  # not os._exit: the end of the process destroys what it has
    return os.waitpid(pid, 0)[1]

def refused():
    for call in (lambda: envs.reset(seed=0), lambda: envs.step(actions), envs.unwrapped.get_state):
        try:
            call()
        except ForkedError as error:
            assert f"process {os.getppid()}" in str(error), error
        else:
            sys.exit(1)
    mine = make(2)
    mine.reset(seed=0)
    mine.step(actions)

def destroyed():
    global envs
    envs = None
    gc.collect()

envs, alone = make(2), make(1)
one = gym.make("GaitNet/WildRobot-v0")
actions = np.zeros((4, 9), np.float32)
envs.reset(seed=0), alone.reset(seed=0), one.reset(seed=0)
found = [child(refused), child(destroyed), child(lambda: None)]
found += [child(lambda: alone.step(actions)), child(lambda: one.step(actions[0]))]
envs.step(actions)  # the parent's are as they were
sys.exit(found != [0] * 5)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_is_refused_and_never_hangs() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT], capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_simulation_that_blows_up_writes_nothing_into_the_working_directory(tmp_path: Path) -> None:
    code = (
        "import gymnasium as gym, numpy as np, gait_envs\n"
        "for n in (1, 2):\n"
        "    env = gym.make_vec('GaitNet/WildRobot-v0', n, vectorization_mode='vector_entry_point')\n"
        "    env.reset(seed=0)\n"
        "    env.unwrapped.core.physics._qvel[:] = 1e9\n"
        "    env.step(np.zeros((n, 9)))\n"
        "    assert env.unwrapped.core.divergences == n\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, timeout=200, check=True)
    assert list(tmp_path.iterdir()) == []
