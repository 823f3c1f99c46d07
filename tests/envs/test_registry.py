"""One row an id; robots and tasks of other packages join the table."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from dataclasses import replace
from importlib import metadata
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from gait_envs import IDS, registry
from gait_envs.assets import asset_path
from gait_envs.models.robot import Robot, load_robot
from gait_envs.models.traits import WILDROBOT
from gait_envs.registry import Environment, RegistryError, find_id, register_all, register_environment
from gait_envs.tasks.config import WalkConfig


def test_every_row_is_registered_as_it_says() -> None:
    assert len({row.id for row in registry.OWN}) == len({row.task for row in registry.OWN}) == len(registry.OWN) == 6
    for row in registry.OWN:
        spec = gymnasium.spec(row.id)
        assert (spec.max_episode_steps, spec.kwargs, IDS[row.id]) == (row.steps, {"task": row.task}, row.task)
        assert find_id(row.id) is row
        assert row.make_task({}).config == row.options_type()()
    assert find_id("CartPole-v1") is None


def test_presets_of_the_table_exist_and_are_for_their_environment() -> None:
    from gait_trainers.config.layers import load_config

    for row in registry.OWN:
        if row.preset is not None:
            assert load_config(preset=row.preset).env.id == row.id


@pytest.fixture
def my_robot(tmp_path: Path) -> Path:
    """An MJCF file outside the package."""
    folder = asset_path("wildrobot")
    shutil.copytree(folder, tmp_path / "mine")
    return tmp_path / "mine" / "scene.xml"


def test_a_robot_of_ones_own_walks_without_touching_the_package(my_robot: Path) -> None:
    def robot(options: WalkConfig) -> Robot:
        return load_robot(my_robot, traits=WILDROBOT)

    register_environment(
        Environment("Mine/Walk-v0", "my_walk", robot, registry.find("walk").make, WalkConfig, steps=100)
    )
    ours, theirs = gymnasium.make("Mine/Walk-v0"), gymnasium.make("GaitNet/WildRobot-v0")
    for env in (ours, theirs):
        env.reset(seed=0)
    assert ours.unwrapped.core.robot.name == "scene"  # type: ignore[attr-defined]
    action = np.full(9, 0.1, np.float32)
    np.testing.assert_array_equal(ours.step(action)[0], theirs.step(action)[0])  # the same body, after all
    with pytest.raises(ValueError, match="physics_rate is 250 Hz, and the robot of Mine/Walk-v0 is simulated at 500"):
        gymnasium.make("Mine/Walk-v0", physics_rate=250.0)
    many = gymnasium.make_vec("Mine/Walk-v0", 2, vectorization_mode="vector_entry_point")
    many.reset(seed=0)
    assert many.step(np.zeros((2, 9), np.float32))[0].shape == (2, 37)
    with pytest.raises(RegistryError, match=r"Mine/Walk-v0, task 'other': Mine/Walk-v0, task 'my_walk', is already"):
        register_environment(Environment("Mine/Walk-v0", "other", robot, "a:b", WalkConfig, steps=100))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name="left_ankle_pitch" axis="0 -1 0" range="-0.785 0.785"', 'name="left_ankle_pitch" axis="0 -1 0"',
         "scene.xml: joints without a range: left_ankle_pitch$"),
        ('name="left_ankle_pitch" axis="0 -1 0" range="-0.785 0.785"',
         'name="left_ankle_pitch" axis="0 -1 0" range="-0.785 0.1"',
         "scene.xml: the keyframe home is outside of the range of left_ankle_pitch$"),
        ('<freejoint name="root"/>', '<inertial pos="0 0 0" mass="1" diaginertia="1 1 1"/>',
         "scene.xml: the first joint must be the root's, a free one$"),
    ],
)  # fmt: skip
def test_joints_that_could_not_be_moved_are_refused(my_robot: Path, old: str, new: str, message: str) -> None:
    file = my_robot.parent / "wildrobot.xml"
    text = file.read_text().replace('inheritrange="1"', 'ctrlrange="-3 3"')
    assert old in text
    file.write_text(text.replace(old, new))
    if "freejoint" in old:  # the keyframe's other numbers are the joints'
        file.write_text(re.sub(r'(<key name="home" qpos=")(\S+\s+){7}', r"\1", file.read_text()))
    with pytest.raises(ValueError, match=message):
        load_robot(my_robot, traits=WILDROBOT)


def test_plugins_register_and_a_failing_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    row = registry.find("walk")

    def good() -> None:
        register_environment(Environment("Good/Walk-v0", "good_walk", row.robot, row.make, row.options, steps=10))

    def bad() -> None:
        raise OSError("no licence key")

    class Plugin:
        def __init__(self, name: str, function: object) -> None:
            self.name, self.value, self.load = name, f"{name}:register", lambda: function

    plugins = [Plugin("bad", bad), Plugin("good", good)]
    monkeypatch.setattr(metadata, "entry_points", lambda group: plugins if group == "gaitnet.environments" else [])
    with pytest.warns(UserWarning, match=r"plug-in 'bad' \(bad:register\) are left out: OSError\('no licence key'\)"):
        register_all()
    assert registry.find_id("Good/Walk-v0") is not None
    assert gymnasium.make("Good/Walk-v0").spec.max_episode_steps == 10  # type: ignore[union-attr]


@pytest.mark.parametrize("limit", [3, 1000, None])
def test_the_limit_is_that_of_the_spec_that_is_made(monkeypatch: pytest.MonkeyPatch, limit: int | None) -> None:
    """By the name of an entry of one's own, and by a changed spec: the core knows Gymnasium's limit."""
    spec = replace(gymnasium.spec("GaitNet/WildRobot-v0"), id="My/Walk-v0", max_episode_steps=limit)
    monkeypatch.setitem(gymnasium.registry, spec.id, spec)
    for asked in (spec.id, spec, gymnasium.make(spec.id).spec):
        env = gymnasium.make(asked)
        assert env.unwrapped.core.max_episode_steps == limit  # type: ignore[attr-defined]
        assert env.spec.max_episode_steps == limit  # type: ignore[union-attr]
    env = gymnasium.make(spec.id, max_episode_steps=7)
    assert env.unwrapped.core.max_episode_steps == 7  # type: ignore[attr-defined]


def test_importing_the_package_loads_no_physics() -> None:
    code = "import sys, gait_envs; assert 'mujoco' not in sys.modules, 'mujoco'; print(len(gait_envs.IDS))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "6"
