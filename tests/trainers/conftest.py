"""A small reference clip that needs no asset, and Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from gait_envs.models.robot import wildrobot
from gait_envs.reference.clip import Clip, save_clip, velocities


@pytest.fixture(scope="session")
def reference_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four seconds of swinging legs at 0.4 m/s, with made-up foot forces."""
    robot = wildrobot()
    time = np.arange(200) / 50.0
    qpos = np.zeros((200, 16))
    qpos[:, 0], qpos[:, 2], qpos[:, 3] = 0.4 * time, 0.46, 1.0
    qpos[:, 7:] = robot.home + 0.1 * np.sin(2 * np.pi * time[:, None] + np.arange(9))
    qpos[:, 7:] = np.clip(qpos[:, 7:], robot.lower, robot.upper)
    contacts = 16.0 * (1.0 + np.sin(2 * np.pi * time[:, None] + np.array([0.0, 0.5, 3.1, 3.6])))
    clip = Clip(
        qpos, velocities(qpos, 50.0), 50.0, robot.joint_names, True, "wildrobot", "a test", "MIT", contacts=contacts
    )
    return save_clip(tmp_path_factory.mktemp("clips") / "swing.npz", clip)


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """SIGINT interrupts, here and in processes that are started, even where the tests run in the background of a shell
    that has them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
