"""Walkers of their own stride, cadence and lengths follow a clip: the reference by hand, its ends, bits and states."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from gait_envs import IDS
from gait_envs.models.robot import humanoid
from gait_envs.reference.clip import save_clip
from gait_envs.reference.library import load_clips
from gait_envs.tasks.base import Task
from gait_envs.tasks.memory import Memory
from gait_envs.vector_env import GaitVectorEnv

ROBOT = humanoid()
HUMANOIDS = [name for name in IDS if "Humanoid" in name]
BRISK = {"stride": 1.2, "cadence": 1.25}
LEGGY = {"scale": {"thigh": 1.1, "shank": 0.95, "arm": 0.9}}
LEG = 1 + (0.1 * 0.41225 - 0.05 * 0.42993) / 0.90848  # of thigh, shank and the height of the hip, m


def walkers(reference: str, params: Any, n: int = 1, *, clip: int = 1, frame: int = 12, **config: Any) -> GaitVectorEnv:
    env = GaitVectorEnv(
        n, task="humanoid_track", reference=reference, autoreset_mode="Disabled", threads=1, max_distance=9.0, **config
    )
    env.reset(seed=0, options={"clip": clip, "frame": frame, "params": params})
    return env


def task_of(env: GaitVectorEnv) -> Task:
    return env.core.task


def after(env: GaitVectorEnv, steps: int) -> Memory:
    """The memory some control steps on, whatever the body does."""
    memory = env.core.memory
    for _ in range(steps):
        _, memory = env.core.task.act(memory, np.zeros((env.num_envs, 50)))
    return memory


def test_a_brisk_walker_by_hand(human_reference: str) -> None:
    """Four steps at 1.25 frames each are five frames of the clip; its root goes 1.2 times as far."""
    clip = load_clips(human_reference)[1]
    env = walkers(human_reference, BRISK)
    start, memory = env.core.memory.reference_qpos[0], after(env, 4)
    assert (memory.frame[0], memory.between[0]) == (17, 0.0)
    np.testing.assert_array_equal(memory.reference_qpos[0, 2:], clip.qpos[17, 2:])
    np.testing.assert_allclose(memory.reference_qvel[0, 3:], 1.25 * clip.qvel[17, 3:])
    np.testing.assert_allclose(memory.reference_qvel[0, :2], 1.5 * clip.qvel[17, :2])
    way = memory.reference_qpos[0, :2] - start[:2]
    np.testing.assert_allclose(way, 1.2 * (clip.qpos[17, :2] - clip.qpos[12, :2]))
    memory = after(env, 2)  # half way between two frames
    assert (memory.frame[0], memory.between[0]) == (14, 0.5)
    np.testing.assert_allclose(memory.reference_qpos[0, 7:], clip.qpos[14:16, 7:].mean(axis=0))
    assert task_of(env).player.phase(memory)[0] == pytest.approx(14.5 / 36)
    # A frame to come is as far on as the walker gets in a step.
    ahead, _ = task_of(env).player.reference(memory, 2)
    np.testing.assert_allclose(ahead[0, 2:], clip.qpos[17, 2:])


def test_velocities_are_those_of_the_way_and_so_is_the_command(human_reference: str) -> None:
    env = walkers(human_reference, BRISK | LEGGY)
    task, memory, seen = task_of(env), env.core.memory, []
    for _ in range(100):  # more than three times round the loop
        _, memory = task.act(memory, np.zeros((1, 50)))
        seen.append((memory.reference_qpos[0], memory.reference_qvel[0], memory.command[0]))
    qpos, qvel, command = map(np.array, zip(*seen, strict=True))
    speed = 0.8 * 1.2 * 1.25 * LEG  # of the clip, stride, cadence and legs
    np.testing.assert_allclose((qpos[-1, 0] - qpos[0, 0]) * 30 / 99, speed, rtol=1e-3)
    np.testing.assert_allclose(command, np.tile([speed, 0.0, 0.0], (100, 1)), atol=0.02)
    found = (qpos[2:] - qpos[:-2]) * 15
    np.testing.assert_allclose(found[:, :2], qvel[1:-1, :2], atol=0.15)
    np.testing.assert_allclose(found[:, 7:], qvel[1:-1, 6:], atol=0.4)
    assert np.corrcoef(found[:, 7:].ravel(), qvel[1:-1, 6:].ravel())[0, 1] > 0.995


def test_the_reference_of_other_lengths_is_of_that_body(human_reference: str) -> None:
    clip = load_clips(human_reference)[1]
    env = walkers(human_reference, [LEGGY, {}], n=2)
    memory = after(env, 3)
    assert memory.reference_qpos[0, 2] == pytest.approx(LEG * clip.qpos[15, 2])
    np.testing.assert_array_equal(memory.reference_qpos[:, 7:], np.tile(clip.qpos[15, 7:], (2, 1)))
    bodies = task_of(env).player.reference_bodies(memory)
    for sim in (0, 1):
        data = mujoco.MjData(model := env.core.physics.batch.get_model(sim))
        data.qpos[:] = memory.reference_qpos[sim]
        mujoco.mj_kinematics(model, data)
        np.testing.assert_allclose(bodies[sim], data.xpos[1:], atol=1e-12)
    np.testing.assert_array_equal(task_of(env).player.reference_bodies(memory, np.array([1]))[0], bodies[1])
    # The start is the reference, lifted where a sole would be deep in the floor.
    lift = env.core.memory.error[0]
    np.testing.assert_allclose(lift, np.tile(lift[0], (23, 1)), atol=1e-9)
    assert np.abs(lift[0] * [1, 1, 0]).max() < 1e-12
    assert 0 <= lift[0, 2] < 0.02


def test_every_kernel_reads_one_on_its_own_reference(human_reference: str) -> None:
    env = walkers(human_reference, BRISK | LEGGY)
    task, memory = task_of(env), after(env, 3)
    env.core.physics.reset(np.arange(1), memory.reference_qpos, memory.reference_qvel)
    state = env.core.physics.read()
    found = task.reward(task.advance(task.view(state, memory)))
    tracked = {
        name: value[0] / task.settings.reward_weights[name] for name, value in found.items() if name.startswith("track")
    }
    assert len(tracked) == 7
    assert tracked == pytest.approx(dict.fromkeys(tracked, 1.0))


def test_no_start_is_behind_the_end_of_a_quick_walkers_clip(human_reference: str, tmp_path: Path) -> None:
    """Of frames 0 to 36 the last that shows one 15 ahead is 21, and 20 the last to begin at; at 1.25 times the cadence
    it is 21 - 0.25 * 15 - 1.25 = 16. A step follows there; at 0.8 times it, (21 + 3 - 20) / 0.8."""
    once = dataclasses.replace(load_clips(human_reference)[0], loop=False)
    path = str(save_clip(tmp_path / "once.npz", once))
    for cadence, last, steps in ((1.0, 20, 1), (1.25, 16, 1), (0.8, 20, 5)):
        env = walkers(path, {"cadence": cadence}, clip=0, frame=last, future_frames=(1, 15))
        assert env.core.task.player.left(env.core.memory)[0] == pytest.approx(steps)
        with pytest.raises(ValueError, match=f"has 0 to {last}"):
            env.reset(options={"clip": 0, "frame": last + 1, "params": {"cadence": cadence}})


def test_a_finite_clip_ends_sooner_at_a_higher_cadence(human_reference: str, tmp_path: Path) -> None:
    once = dataclasses.replace(load_clips(human_reference)[0], loop=False)  # frames 0 to 36
    path = str(save_clip(tmp_path / "once.npz", once))
    for cadence, steps in ((1.0, 36), (1.25, 29), (0.8, 45)):
        env = walkers(path, {"cadence": cadence}, clip=0, frame=0, whole_clips=True)
        assert not env.core.task.player.over(after(env, steps - 1))[0]
        assert env.core.task.player.over(after(env, steps))[0]


def rollout(env: GaitVectorEnv, steps: int = 12) -> list[np.ndarray]:
    return [env.step(np.full((env.num_envs, 50), 0.1))[0] for _ in range(steps)]


@pytest.mark.parametrize("task", ["humanoid_track", "muscle_track"])
def test_neighbours_do_not_matter(task: str) -> None:
    """A plain walker lives the same beside others; they live the same alone, in the scalar form too."""
    own: list[dict] = [{}, BRISK | LEGGY, {"cadence": 0.9, "mass": 1.1}]
    make = lambda n: GaitVectorEnv(n, task=task, autoreset_mode="Disabled", threads=1)  # noqa: E731
    options = {"clip": 2, "frame": 5}
    env = make(3)
    env.reset(seed=4, options=options | {"params": own})
    together = rollout(env)
    for i, params in enumerate(own):
        alone = make(1)
        alone.reset(seed=4 + i, options=options | ({"params": params} if params else {}))
        np.testing.assert_array_equal([row[0] for row in rollout(alone)], [row[i] for row in together])
    scalar = gymnasium.make(next(name for name in HUMANOIDS if IDS[name] == task), params=own[1]).unwrapped
    scalar.reset(seed=5, options=options)
    found = [scalar.step(np.full(50, 0.1))[0] for _ in range(12)]
    np.testing.assert_array_equal(found, [row[1] for row in together])


def test_a_saved_walker_goes_on(human_reference: str) -> None:
    env = walkers(human_reference, [{}, BRISK | LEGGY], n=2)
    rollout(env, 3)
    saved = copy.deepcopy(env.get_state())
    expected = rollout(env)
    other = walkers(human_reference, {}, n=2)
    other.set_state(saved)
    np.testing.assert_array_equal(rollout(other), expected)


def test_states_of_before_there_were_walkers_are_of_plain_ones(human_reference: str) -> None:
    env = walkers(human_reference, {}, n=2)
    saved = copy.deepcopy(env.get_state())
    expected = rollout(env)
    for name in ("between", "walker"):
        del saved["memory"][name]
    other = walkers(human_reference, BRISK | LEGGY, n=2)
    other.set_state(saved)
    np.testing.assert_array_equal(rollout(other), expected)


@pytest.mark.parametrize("name", HUMANOIDS)
@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"mass": 0}, "parameter mass is 0, allowed is 0.7 to 1.4"),
        ({"mass": float("nan")}, "parameter mass is nan, allowed is 0.7 to 1.4"),
        ({"scale": {"thigh": -1.1}}, "parameter scale.thigh is -1.1, allowed is 0.85 to 1.15"),
        ({"scale": {"leg": 1.1}}, "unknown parameter 'scale.leg'; known are scale.thigh"),
        ({"stride": 3}, "stride"),
        ({"cadence": True}, "cadence"),
        ({"force": {"left_soleus": -1}}, "force.left_soleus"),
        ([1.1, 0.9], "params is"),
        ("strong", "params is 'strong', expected a mapping of names to factors"),
    ],
)
def test_impossible_parameters_are_named(name: str, params: Any, said: str) -> None:
    for make in (gymnasium.make, gymnasium.make_vec):
        with pytest.raises(ValueError, match=said):
            make(name, params=params)
    env = gymnasium.make(name)
    with pytest.raises(ValueError, match=said if isinstance(params, dict) else "params"):
        env.reset(seed=0, options={"params": params})
    with pytest.raises(ValueError, match=said if isinstance(params, dict) else "params"):
        gymnasium.make_vec(name, num_envs=2).reset(options={"params": [{}, params]})
