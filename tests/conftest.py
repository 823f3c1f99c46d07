"""What every test shares: quiet threads, repeatable examples, and a small reference."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import hypothesis
import numpy as np
import pytest
from gymnasium.envs import registration

from gait_envs import registry
from gait_envs.mocap.formats import FORMATS
from gait_envs.models.robot import humanoid, wildrobot
from gait_envs.reading.loaders import LOADERS
from gait_envs.reference.clip import Clip, save_clip, velocities
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.synthesis.procedural_walk import natural_gait, walk_clip

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before anything imports torch

# The same examples on every machine, however slow it is.
hypothesis.settings.register_profile("gaitnet", derandomize=True, deadline=None)
hypothesis.settings.load_profile("gaitnet")


@pytest.fixture(autouse=True)
def tables() -> Iterator[None]:
    """What a test registers is forgotten after it: environments, formats of captures, learners.

    A learner that stayed would have a section in the configuration of each later run of this process.
    """
    ours = (registry.ENVIRONMENTS, registry.IDS, FORMATS)
    before, registered = [dict(table) for table in ours], set(registration.registry)
    yield
    for table, rows in zip(ours, before, strict=True):
        if table != rows:
            table.clear()
            table.update(rows)
    for format in {name.removeprefix("capture ") for name in LOADERS if name.startswith("capture ")} - FORMATS.keys():
        del LOADERS[f"capture {format}"]
    for env_id in set(registration.registry) - registered:
        if str(registration.registry[env_id].entry_point).startswith("gait_envs."):
            del registration.registry[env_id]
    # Not imported here: the tests of `gait_envs` run where the trainers' libraries are not installed.
    if (trainers := sys.modules.get("gait_trainers.config.registry")) and trainers.learner_specs.cache_info().currsize:
        for name in trainers.learner_specs().keys() - trainers.LEARNERS.keys():
            del trainers.learner_specs()[name]


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of two looping walks, drawn here: 0.3 and 0.6 m/s."""
    folder = tmp_path_factory.mktemp("reference")
    for speed in (0.3, 0.6):
        clip = walk_clip(natural_gait(speed), wildrobot().joint_names)
        save_clip(folder / f"{clip.name}.npz", clip)
    return str(folder)


@pytest.fixture(scope="session")
def human_reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder of two looping clips of the human body, drawn here: 0.8 and 1.2 m/s."""
    folder = tmp_path_factory.mktemp("human_reference")
    for speed in (0.8, 1.2):
        save_clip(folder / f"human_{10 * speed:.0f}.npz", human_clip(speed))
    return str(folder)


def human_clip(speed: float, frames: int = 37, fps: float = 30.0) -> Clip:
    """One cycle in which legs and arms swing, everything else stirs, and the lowest sole stays on the floor.

    Nothing that a person could do, but every number of it moves.
    """
    robot = humanoid()
    names = robot.joint_names
    phase = 2 * np.pi * np.arange(frames) / (frames - 1)
    qpos = np.tile(robot.home_qpos, (frames, 1))
    qpos[:, 0] = speed * np.arange(frames) / fps
    qpos[:, 1] = 0.01 * np.sin(phase)
    qpos[:, 7:] += 0.02 * np.sin(phase[:, None] + np.arange(len(names)))
    for side, shift in (("left", 0.0), ("right", np.pi)):
        for joint, size, lag in (("hip_flexion", 0.25, 0.0), ("arm_flexion", 0.25, np.pi)):
            qpos[:, 7 + names.index(f"{side}_{joint}")] += size * np.sin(phase + shift + lag)
        qpos[:, 7 + names.index(f"{side}_knee_flexion")] += 0.25 * (1 + np.cos(phase + shift))
    qpos[:, 7:] = np.clip(qpos[:, 7:], robot.lower, robot.upper)
    physics = BatchSimulation(robot, 1, 1)
    qpos[:, 2] -= [physics.lowest_sole(pose) for pose in qpos]
    contacts = 360.0 * (1 + np.sin(phase[:, None] + [0.0, 0.5, 3.1, 3.6]))
    return Clip(
        qpos, velocities(qpos, fps), fps, names, True, "humanoid", "a test", "MIT", f"human_{speed:g}", contacts
    )


# Files that take longest, the longest first. `make test` hands out whole files in this order, so that no worker is left
# with a long one at the end.
LONG = (
    "test_contracts.py", "test_resume.py", "test_folder.py", "test_muscle.py", "test_jobs.py", "test_loaders.py",
    "test_data_cli.py", "test_export.py", "test_gait_command.py", "test_reward_schedule.py", "test_view.py",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: at for at, name in enumerate(LONG)}
    items.sort(key=lambda item: place.get(item.path.name, len(LONG)))  # stable: all else stays in order
