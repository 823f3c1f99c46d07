"""The order of a step, and automatic resets."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from gait_envs.assets import asset_path
from gait_envs.models.robot import wildrobot
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
    assert not final["is_success"].any()
    assert not info["fall"][1]
    assert reward[1] == pytest.approx(sum(final[k][1] for k in final if k.startswith("reward_")))
    assert info["reward_tracking_lin_vel"][1] == 0
    assert info["success"].tolist() == info["is_success"].tolist() == [False] * 3  # nobody reached the time limit
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


def test_a_reset_by_the_caller_leaves_no_reset_due() -> None:
    env = GaitVectorEnv(2, autoreset_mode="NextStep")
    env.reset(seed=0)
    fall_over(env, 1)
    env.step(np.zeros((2, 9)))
    env.reset(options={"reset_mask": np.array([False, True])})
    _, reward, *_ = env.step(np.zeros((2, 9)))
    assert (reward != 0).all()
    assert env.core.memory.steps.tolist() == [2, 1]
    fall_over(env, 0)
    env.step(np.zeros((2, 9)))
    env.reset()
    env.step(np.zeros((2, 9)))
    assert env.core.memory.steps.tolist() == [1, 1]


def test_a_changed_command_is_observed_without_a_step() -> None:
    env = GaitVectorEnv(1)
    seen, _ = env.reset(seed=0, options=HOME)
    np.testing.assert_array_equal(env.core.observe(), seen)
    env.core.memory.command[:] = [0.7, 0.1, -0.2]
    again, _ = GaitVectorEnv(1).reset(seed=0, options=HOME | {"command": [0.7, 0.1, -0.2]})
    np.testing.assert_array_equal(env.core.observe(), again)


def test_a_fall_at_the_time_limit_is_a_fall() -> None:
    env = GaitVectorEnv(2, max_episode_steps=1)
    env.reset(seed=0)
    fall_over(env, 1)
    _, _, terminated, truncated, info = env.step(np.zeros((2, 9)))
    assert terminated.tolist() == [False, True]
    assert truncated.tolist() == info["success"].tolist() == [True, False]


@pytest.mark.parametrize("config", [{}, {"command_interval": 0.02}, {"randomize": {"push_interval": 0.1}}], ids=str)
def test_a_step_before_the_first_reset_is_refused(config: dict) -> None:
    env = GaitVectorEnv(2, **config)
    with pytest.raises(ResetNeeded, match="step before the first reset"):
        env.step(np.zeros((2, 9)))
    env.reset(seed=0)
    env.step(np.zeros((2, 9)))


def test_gravity_is_the_opposite_of_what_an_accelerometer_at_rest_shows() -> None:
    """On its right side, with its left up: gravity points along the body's -y, and a sensor at rest shows +y."""
    env, qpos = GaitVectorEnv(1), ROBOT.home_qpos.copy()
    qpos[2], qpos[3:7] = 5.0, [np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0]
    obs, _ = env.reset(options=HOME | {"qpos": qpos})
    np.testing.assert_allclose(obs[0, env.core.task.layout.slices()["gravity"]], [0.0, -1.0, 0.0], atol=1e-6)


def test_nothing_has_ended_before_the_first_step() -> None:
    finished = GaitVectorEnv(2).core.finished
    assert (finished.dtype, finished.tolist()) == (np.dtype(bool), [False, False])


def test_an_action_whose_square_overflows_is_clipped_as_any_other() -> None:
    huge, full = GaitVectorEnv(1), GaitVectorEnv(1)
    huge.reset(seed=0)
    full.reset(seed=0)
    np.testing.assert_array_equal(huge.step(np.full((1, 9), 1e200))[0], full.step(np.ones((1, 9)))[0])


# -- assets ---------------------------------------------------------------------------------------------


def test_assets_are_found_and_missing_ones_name_their_neighbours() -> None:
    assert asset_path("wildrobot/scene.xml").is_file()
    with pytest.raises(FileNotFoundError, match=r"no asset 'wildrobot/scenes.xml'.*holds .*scene\.xml"):
        asset_path("wildrobot/scenes.xml")
    with pytest.raises(FileNotFoundError, match=r"no asset 'robots/a.xml'.*holds .*wildrobot"):
        asset_path("robots/a.xml")


@pytest.mark.parametrize("mode", ["SameStep", "NextStep"])
def test_only_the_rows_that_begin_anew_are_observed_again(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    env = GaitVectorEnv(5, autoreset_mode=mode)
    env.reset(seed=0)
    task, sizes = env.core.task, []
    observe = task.observe
    monkeypatch.setattr(task, "observe", lambda view: sizes.append(len(view)) or observe(view))
    fall_over(env, 1)
    fall_over(env, 3)
    for _ in range(2):
        obs, *_ = env.step(np.zeros((5, 9)))
    assert sizes == ([5, 2, 5] if mode == "SameStep" else [5, 5, 2])
    np.testing.assert_allclose(obs[:, 26], -1, atol=0.01)  # all stand
