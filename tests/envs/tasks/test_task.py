"""The contract of a task: parts of one's own join it, and each moment's quantities are derived once."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from gait_envs.core import Core
from gait_envs.layout import Row
from gait_envs.models.robot import wildrobot
from gait_envs.registry import OWN, make_task
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.tasks.actions import Actions
from gait_envs.tasks.base import Task
from gait_envs.tasks.body import body_part, command_part, feet_part
from gait_envs.tasks.config import WalkConfig
from gait_envs.tasks.memory import Field, Memory, blank_memory
from gait_envs.tasks.part import Observed, Part, Start
from gait_envs.tasks.rewards import ALL, Term, default_weights, table
from gait_envs.tasks.view import View, derived, velocity
from gait_envs.tasks.walk import standing

ROBOT = wildrobot()


def distance_part() -> Part:
    """Counts the metres that a body went forward; pays for them, shows them, and ends the episode at three."""
    walked = Term("walked", "m", "forward way of this step", lambda v: velocity(v)[:, 0] * v.task.robot.dt)

    def begin(memory: Memory, ids: np.ndarray, starts: Any) -> None:
        memory.metres[ids] = 0.0

    return Part(
        fields=(Field("metres", (), "m", "gone forward since the reset"),),
        begin=begin,
        after=lambda v: {"metres": v.memory.metres + walked.of(v)},
        observed=(Observed(Row("metres", 1, "m", "gone forward"), lambda v: v.memory.metres[:, None]),),
        terms=table([walked]),
        columns={"metres": lambda v: v.memory.metres.copy()},
        endings=(lambda v: v.memory.metres >= 0.01,),
    )


def my_task(**options: Any) -> Task:
    config = WalkConfig(reward_weights={"walked": 100.0, "alive": 0.5}, reset_noise=0.0, **options)

    def draw(rng: np.random.Generator, level: float, options: Any, settings: Any) -> Start:
        qpos, qvel = standing(ROBOT, config.reset_noise, rng)
        qvel[0] = 0.4
        return Start(qpos, qvel, np.array([0.4, 0.0, 0.0]), on_floor=True)

    parts = (command_part(ROBOT.dt), body_part(ROBOT, config), feet_part(ROBOT), distance_part())
    return Task(ROBOT, config, Actions(ROBOT, config), parts, draw, {}, param_space=ParamSpace(ROBOT))


def test_a_part_of_ones_own_remembers_shows_pays_and_ends() -> None:
    core = Core(my_task(), 2, threads=1)
    core.seed([0, 1])
    obs, _ = core.reset()
    assert obs.shape == (2, 38)
    np.testing.assert_array_equal(obs[:, -1], 0.0)
    gone = np.zeros(2)
    for _ in range(20):
        result = core.step(np.zeros((2, 9)))
        gone += result.info["x_velocity"] * 0.02
        np.testing.assert_allclose(result.info["metres"], gone)
        np.testing.assert_allclose(result.obs[:, -1], gone, rtol=1e-6)
        np.testing.assert_allclose(result.reward, 100.0 * result.info["x_velocity"] * 0.02 + 0.5)
        assert result.truncated.tolist() == core.finished.tolist() == (gone >= 0.01).tolist()
        if result.truncated.any():
            break
    assert result.truncated.all()
    saved = core.get_state()
    assert saved["memory"]["metres"].tolist() == pytest.approx(gone)
    core.reset()
    assert core.memory.metres.tolist() == [0.0, 0.0]


def test_a_name_belongs_to_one_part() -> None:
    with pytest.raises(ValueError, match="two parts of the task have a memory field 'steps'; rename one of them"):
        blank_memory((Field("steps", (), "", ""), Field("steps", (2,), "", "")), 3)


def test_memory_is_changed_by_replacing_only() -> None:
    memory = blank_memory((Field("a", (2,), "m", ""), Field("b", (), "", "", int, 7)), 3)
    assert memory.a.shape == (3, 2)
    assert (memory.b.tolist(), memory.b.dtype.kind) == ([7, 7, 7], "i")
    later = memory.replace(a=np.ones((3, 2)))
    assert (later.a.sum(), memory.a.sum(), later.b is memory.b) == (6.0, 0.0, True)
    with pytest.raises(ValueError, match="the memory has no c; it has a, b"):
        memory.replace(c=np.zeros(3))
    with pytest.raises(AttributeError, match="the memory has no 'c'; it has a, b"):
        _ = memory.c
    with pytest.raises(AttributeError, match=r"use memory.replace\(a=...\)"):
        memory.a = np.zeros((3, 2))


def test_what_is_derived_is_derived_once_a_moment() -> None:
    calls = []

    @derived
    def height(view: View) -> np.ndarray:
        calls.append(1)
        return view.state.qpos[:, 2]

    task = make_task("walk", {})
    core = Core(task, 2, threads=1)
    core.reset()
    view = task.view(core.state, core.memory)
    assert height(view) is height(view) is height(view.after(core.memory))
    assert len(calls) == 1
    height(task.view(core.state, core.memory))
    assert len(calls) == 2


def test_settings_are_an_input_and_the_task_stays_as_it_was() -> None:
    task = make_task("track", {})
    changed = task.adjusted(task.settings, {"track_pose": 2.0}, 0.5)
    assert (dict(changed.reward_weights), changed.max_distance) == ({"track_pose": 2.0}, 0.5)
    assert task.settings == task.adjusted(task.settings)
    assert task.settings.max_distance == task.config.distance_limit == 0.25
    assert dict(task.settings.reward_weights) == task.config.reward_weights


def test_every_default_reward_comes_from_the_table() -> None:
    assert list(default_weights("walk").items()) == [
        ("tracking_lin_vel", 5.0), ("base_height", 0.3), ("action_rate", -0.01), ("torque", -0.001),
    ]  # fmt: skip
    assert default_weights("humanoid_walk") == {
        "tracking_lin_vel": 1.5, "tracking_lateral": 0.3, "tracking_heading": 0.5, "alive": 0.5,
        "cost_of_transport": -0.05, "action_rate": -0.005,
    }  # fmt: skip
    assert default_weights("track") == {
        "track_pose": 1.0, "track_velocity": 0.2, "track_end_effector": 0.2, "track_root": 0.8,
        "track_root_velocity": 0.6, "track_turn": 0.6, "scuff": -0.5, "action_rate": -0.1, "torque": -0.002,
        "slip": -1.0,
    }  # fmt: skip
    assert default_weights("humanoid_track") == {
        "track_pose": 1.0, "track_velocity": 0.2, "track_end_effector": 0.4, "track_com": 0.4, "track_root": 0.6,
        "track_root_velocity": 0.4, "track_turn": 0.6, "action_rate": -0.005,
    }  # fmt: skip
    assert default_weights("muscle") == {"activation": -0.5}
    tasks = {"walk", "track", "humanoid_walk", "humanoid_track", "muscle"}
    for name, term in ALL.items():
        assert name == term.name
        assert set(term.weights) <= tasks, name
        assert term.unit, name
        assert term.meaning, name
        assert all((weight < 0) == ("(a cost" in term.meaning) for weight in term.weights.values()), name
    for row in OWN:
        task = make_task(row.task, {})
        assert list(task.settings.reward_weights) == [name for name in ALL if name in task.settings.reward_weights]


def test_every_field_of_every_memory_is_documented_and_has_a_row_each() -> None:
    for row in OWN:
        task = make_task(row.task, {})
        arrays = task.blank_memory(3).arrays()
        assert arrays.keys() == {field.name for field in task.fields}
        assert all(len(array) == 3 for array in arrays.values())
        assert all(field.meaning for field in task.fields)
        assert dataclasses.is_dataclass(task.config)
