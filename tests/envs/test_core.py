"""The order of a step, automatic resets, and the tracking task on top of it."""

from __future__ import annotations

import dataclasses

import mujoco
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from gait_envs.assets import asset_path
from gait_envs.models.robot import wildrobot
from gait_envs.motion.library import MotionLibrary
from gait_envs.tasks.track import POSE, ROOT, TrackMemory
from gait_envs.vector_env import GaitVectorEnv

ROBOT = wildrobot()
HOME = {"qpos": ROBOT.home_qpos, "qvel": np.zeros(15), "command": [0.3, 0.0, 0.0]}


def test_a_step_is_ten_of_mujocos_with_the_filtered_target() -> None:
    """One environment step, done by hand with MuJoCo alone."""
    env = GaitVectorEnv(1)
    env.reset(seed=0, options=HOME)
    data = mujoco.MjData(ROBOT.model)
    data.qpos[:] = ROBOT.home_qpos
    data.ctrl[:] = ROBOT.home
    mujoco.mj_forward(ROBOT.model, data)
    filtered = np.zeros(9)
    for action in np.random.default_rng(0).uniform(-1, 1, (10, 9)):
        env.step(action[None])
        filtered = 0.7 * action + 0.3 * filtered
        data.ctrl[:] = np.clip(ROBOT.home + filtered * (ROBOT.upper - ROBOT.lower) / 2, ROBOT.lower, ROBOT.upper)
        mujoco.mj_step(ROBOT.model, data, 10)
        np.testing.assert_allclose(env.core.state.qpos[0], data.qpos, atol=1e-9)
    assert env.core.memory.steps.tolist() == [10]


def fall_over(env: GaitVectorEnv, row: int) -> None:
    """Lay one robot on its side, so that its next step ends."""
    env.core.physics.batch.qpos[row, 3:7] = [np.cos(0.75), np.sin(0.75), 0, 0]


def test_next_step_mode_resets_in_the_step_after() -> None:
    env = GaitVectorEnv(3, autoreset_mode="NextStep")
    env.reset(seed=0)
    fall_over(env, 1)
    lying, reward, terminated, _, info = env.step(np.zeros((3, 9)))
    assert terminated.tolist() == info["fall"].tolist() == [False, True, False]
    assert reward[1] != 0
    assert lying[1, 26] > -0.6  # gravity z: on its side
    upright, reward, terminated, truncated, info = env.step(np.zeros((3, 9)))
    assert reward[1] == 0 == info["reward_tracking_lin_vel"][1]
    assert (reward[[0, 2]] != 0).all()
    assert not (terminated | truncated).any()
    assert upright[1, 26] == pytest.approx(-1)
    assert env.core.memory.steps.tolist() == [2, 0, 2]


def test_same_step_mode_keeps_the_end_aside() -> None:
    env = GaitVectorEnv(3, autoreset_mode=AutoresetMode.SAME_STEP)
    env.reset(seed=0)
    _, _, _, _, info = env.step(np.zeros((3, 9)))
    assert "final_obs" not in info
    fall_over(env, 1)
    obs, reward, terminated, _, info = env.step(np.zeros((3, 9)))
    assert terminated.tolist() == info["_final_obs"].tolist() == info["_final_info"].tolist() == [False, True, False]
    assert info["final_obs"][1, 26] > -0.6
    assert obs[1, 26] == pytest.approx(-1)
    final = info["final_info"]
    assert final["fall"][1]
    assert not info["fall"][1]
    assert reward[1] == pytest.approx(sum(final[k][1] for k in final if k.startswith("reward_")))
    assert info["reward_tracking_lin_vel"][1] == 0
    assert env.core.memory.steps.tolist() == [2, 0, 2]
    np.testing.assert_array_equal(obs[[0, 2]], info["final_obs"][[0, 2]])  # those who go on


def test_disabled_mode_waits_for_the_caller() -> None:
    env = GaitVectorEnv(2, autoreset_mode="Disabled", max_episode_steps=3)
    env.reset(seed=0)
    ends = [env.step(np.zeros((2, 9)))[3].tolist() for _ in range(3)]
    assert ends == [[False] * 2, [False] * 2, [True] * 2]
    _, info = env.reset(options={"reset_mask": np.array([True, False])})
    assert env.core.memory.steps.tolist() == [0, 3]
    assert info["reward_tracking_lin_vel"].tolist() == [0, 0]


def test_a_fall_at_the_time_limit_is_a_fall() -> None:
    env = GaitVectorEnv(2, max_episode_steps=1)
    env.reset(seed=0)
    fall_over(env, 1)
    _, _, terminated, truncated, info = env.step(np.zeros((2, 9)))
    assert terminated.tolist() == [False, True]
    assert truncated.tolist() == info["success"].tolist() == [True, False]


# -- assets ---------------------------------------------------------------------------------------------


def test_assets_are_found_and_missing_ones_name_their_neighbours() -> None:
    assert asset_path("wildrobot/scene.xml").is_file()
    with pytest.raises(FileNotFoundError, match=r"no asset 'wildrobot/scenes.xml'.*holds .*scene\.xml"):
        asset_path("wildrobot/scenes.xml")
    with pytest.raises(FileNotFoundError, match=r"no asset 'robots/a.xml'.*holds .*wildrobot"):
        asset_path("robots/a.xml")


def test_the_embedded_reference_spans_speeds_and_carries_its_weight() -> None:
    env = GaitVectorEnv(16, task="track")
    _, info = env.reset(seed=0)
    assert np.isfinite(info["amp_obs"]).all()
    library = env.core.task.library
    assert isinstance(library, MotionLibrary)
    assert library.speeds.min() < 0.35
    assert library.speeds.max() > 0.7
    for clip in library.clips:
        assert clip.contacts is not None
        load = clip.contacts.sum(axis=1).mean() / (ROBOT.mass * 9.81)
        assert load == pytest.approx(1, abs=0.1)  # it carries its weight
        assert (clip.qpos[:, 7:] >= ROBOT.lower - 0.06).all()
        assert (clip.qpos[:, 7:] <= ROBOT.upper + 0.06).all()  # limits are a little soft


# -- tracking -------------------------------------------------------------------------------------------


def tracking(reference: str, n: int = 4, **config: object) -> GaitVectorEnv:
    return GaitVectorEnv(n, task="track", reference=reference, autoreset_mode="Disabled", **config)


def test_tracking_starts_on_the_reference(reference: str) -> None:
    env = tracking(reference, 32)
    _, info = env.reset(seed=0)
    memory, library = env.core.memory, env.core.task.library
    assert isinstance(memory, TrackMemory)
    assert library is not None
    assert set(memory.clip) == {0, 1}
    assert len(set(memory.frame)) > 10
    qpos, qvel = library.at(memory.clip, memory.frame)
    np.testing.assert_array_equal(env.core.state.qvel, qvel)
    np.testing.assert_allclose(env.core.state.qpos[:, 7:], np.clip(qpos[:, 7:], ROBOT.lower, ROBOT.upper))
    np.testing.assert_allclose(info["command"], np.stack([library.speeds[memory.clip], *np.zeros((2, 32))], 1))


def test_tracking_counts_frames_and_goes_on_with_the_clip(reference: str) -> None:
    env = tracking(reference)
    env.reset(seed=0, options={"clip": "procedural_060", "frame": 3})
    library, task = env.core.task.library, env.core.task
    assert library is not None
    period = library.lengths[1] - 1
    xs = []
    for _ in range(2 * period):
        env.step(np.zeros((4, 9)))
        xs.append(task.reference(env.core.memory)[0][0, 0])
    assert env.core.memory.frame.tolist() == [3 + 2 * period] * 4
    np.testing.assert_allclose(np.diff(xs), 0.6 / 50, atol=1e-9)  # the root goes on across the seam


def test_a_perfect_tracker_is_paid_in_full(reference: str) -> None:
    """Put on the reference's next frame, every bell reads its weight."""
    env = tracking(reference, reward_weights=dict.fromkeys(BELLS, 2.0), max_distance=0.25)
    env.reset(seed=0)
    task, memory = env.core.task, env.core.memory
    _, memory = task.act(memory, np.zeros((4, 9)))
    qpos, qvel = task.reference(memory)
    state = dataclasses.replace(env.core.state, qpos=qpos, qvel=qvel)
    for name, value in task.reward(state, memory).items():
        np.testing.assert_allclose(value, 2.0, err_msg=name)
    assert not task.fallen(state, memory).any()
    obs = task.observe(state, memory)
    at = task.layout.slices()
    later, _ = task.reference(memory, ahead=1)
    np.testing.assert_allclose(obs[:, at["root_error"].start], later[:, 0] - qpos[:, 0], atol=1e-6)
    # And off it by hand-made errors.
    off = qpos.copy()
    off[:, 7] += 0.2
    off[:, 0] += 0.1
    rewards = task.reward(dataclasses.replace(state, qpos=off), memory)
    np.testing.assert_allclose(rewards["track_pose"], 2 * np.exp(-POSE * 0.2**2))
    np.testing.assert_allclose(rewards["track_root"], 2 * np.exp(-ROOT * 0.1**2))
    np.testing.assert_allclose(rewards["track_velocity"], 2)
    off[:, 0] += 0.16  # 0.26 m from where it should be
    assert task.fallen(dataclasses.replace(state, qpos=off), memory).all()


BELLS = ("track_pose", "track_velocity", "track_root", "track_root_velocity", "track_turn")


def test_tracking_options_and_their_faults(reference: str) -> None:
    env = tracking(reference)
    env.reset(options={"command": [0.65, 0, 0]})
    assert env.core.memory.clip.tolist() == [1] * 4
    for options, message in (
        ({"clip": "run"}, "no clip 'run'; the library has procedural_030, procedural_060"),
        ({"clip": 2}, "no clip 2; the library has 0 to 1"),
        ({"clip": 0, "frame": 999}, r"options\['frame'\] is 999, clip 'procedural_030' has 0 to"),
    ):
        with pytest.raises(ValueError, match=message):
            env.reset(options=options)
    with pytest.raises(ValueError, match="tracking needs a reference"):
        GaitVectorEnv(1, task="track", reference=None)
