"""The adapter: ends of episodes, bootstrapping, and the rest of SB3's interface."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from helpers.scripted_env import ScriptedEnv
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor

from gait_envs.vector_env import GaitVectorEnv
from gait_trainers.rl.sb3_vec import SB3VecEnv


def step(env: SB3VecEnv, times: int = 1):
    for _ in range(times):
        result = env.step(np.zeros((env.num_envs, 1), np.float32))
    return result


def test_needs_resets_within_the_step() -> None:
    with pytest.raises(ValueError, match="SAME_STEP"):
        SB3VecEnv(ScriptedEnv([3], [True], AutoresetMode.NEXT_STEP))


def test_end_of_episode_shows_the_new_start_and_reports_the_old_end() -> None:
    env = SB3VecEnv(ScriptedEnv(lengths=[2, 2, 9], falls=[True, False, False]))
    env.reset()
    obs, reward, done, infos = step(env)
    assert infos == [{}, {}, {}]
    obs, reward, done, infos = step(env)

    assert done.tolist() == [True, True, False]
    assert reward.tolist() == [2.0, 12.0, 22.0]
    assert obs.tolist() == [[0, 0], [1, 0], [2, 2]]
    assert infos[2] == {}
    fall, time_out = infos[0], infos[1]
    assert fall["terminal_observation"].tolist() == [0, 2]
    assert time_out["terminal_observation"].tolist() == [1, 2]
    assert not fall["TimeLimit.truncated"]
    assert time_out["TimeLimit.truncated"]
    assert (fall["is_success"], time_out["is_success"]) == (False, True)
    assert (fall["episode"]["r"], fall["episode"]["l"]) == (1.0 + 2.0, 2)
    assert (time_out["episode"]["r"], time_out["episode"]["l"]) == (11.0 + 12.0, 2)
    assert time_out["x_velocity"] == 2.0  # of the last state, not of the new start


def test_transition_describes_the_step_and_info_the_new_episode() -> None:
    env = SB3VecEnv(ScriptedEnv(lengths=[2, 9], falls=[True, False]))
    env.reset()
    step(env, 2)
    assert env.last_transition["amp_obs"].tolist() == [[0, 0, 2], [1, 0, 2]]
    assert env.last_info["amp_obs"].tolist() == [[0, 1, 0], [1, 0, 2]]


class Nothing(BaseCallback):
    def _on_step(self) -> bool:
        return True


def test_time_outs_are_bootstrapped_and_falls_are_not() -> None:
    # V(s) = 100 everywhere. Environment 0 falls after 2 steps, environment 1 times out after 2.
    gamma, value = 0.5, 100.0
    env = SB3VecEnv(ScriptedEnv(lengths=[2, 2], falls=[True, False]))
    model = PPO("MlpPolicy", env, n_steps=3, batch_size=6, gamma=gamma, gae_lambda=1.0, seed=0, device="cpu")
    with torch.no_grad():
        model.policy.value_net.weight.zero_()
        model.policy.value_net.bias.fill_(value)
    _, callback = model._setup_learn(6, Nothing())
    callback.on_training_start(locals(), globals())
    model.collect_rollouts(env, callback, model.rollout_buffer, n_rollout_steps=3)
    rewards, returns = model.rollout_buffer.rewards, model.rollout_buffer.returns

    assert rewards[:, 0].tolist() == [1.0, 2.0, 1.0]
    assert rewards[:, 1].tolist() == [11.0, 12.0 + gamma * value, 11.0]
    # returns with lambda = 1: r0 + g r1 (+ g² V after the time-out); the last step ends in V of the next state
    assert returns[:, 0] == pytest.approx([1 + 0.5 * 2, 2, 1 + 0.5 * 100])
    assert returns[:, 1] == pytest.approx([11 + 0.5 * 12 + 0.25 * 100, 12 + 0.5 * 100, 11 + 0.5 * 100])


def test_equals_the_vector_environment_it_wraps() -> None:
    raw = GaitVectorEnv(4, autoreset_mode=AutoresetMode.SAME_STEP, threads=1)
    env = SB3VecEnv(GaitVectorEnv(4, autoreset_mode=AutoresetMode.SAME_STEP, threads=1))
    env.seed(7)
    expected, _ = raw.reset(seed=7)
    assert np.array_equal(env.reset(), expected)
    rng, falls = np.random.default_rng(0), 0
    for _ in range(80):
        action = rng.uniform(-1, 1, (4, 9)).astype(np.float32)
        obs, reward, terminated, truncated, info = raw.step(action)
        obs2, reward2, done2, infos2 = env.step(action)
        assert np.array_equal(obs, obs2)
        assert np.array_equal(reward, reward2)
        assert np.array_equal(terminated | truncated, done2)
        for i in np.flatnonzero(done2):
            assert np.array_equal(infos2[i]["terminal_observation"], info["final_obs"][i])
            falls += 1
    assert falls > 0
    raw.close()
    env.close()


def test_seeds_and_options_reach_the_next_reset_only() -> None:
    inner = ScriptedEnv([5, 5], [True, True])
    env = SB3VecEnv(inner)
    assert env.seed(3) == [3, 4]
    env.set_options({"command": [0.4, 0, 0]})
    env.reset()
    assert inner.seeds == [3, 4]
    assert inner.options == {"command": [0.4, 0, 0]}
    env.reset()
    assert inner.seeds is None
    assert inner.options is None


def test_attributes_and_methods_belong_to_all_environments() -> None:
    inner = ScriptedEnv([5, 5], [True, True])
    env = SB3VecEnv(inner)
    env.set_attr("note", "here")
    assert inner.note == "here"
    assert env.get_attr("note") == ["here", "here"]
    assert env.get_attr("note", indices=1) == ["here"]
    with pytest.raises(AttributeError):
        env.get_attr("nothing")
    with pytest.raises(ValueError, match="all 2 environments"):
        env.set_attr("note", 1, indices=[0])
    assert env.env_is_wrapped(object) == [False, False]
    assert len(env.env_method("get_state")) == 2


def test_state_goes_there_and_back() -> None:
    env = SB3VecEnv(ScriptedEnv([4, 9], [True, True]))
    env.reset()
    step(env, 3)
    state = env.get_state()
    expected = [step(env) for _ in range(3)]
    other = SB3VecEnv(ScriptedEnv([4, 9], [True, True]))
    other.reset()
    other.set_state(state)
    for obs, reward, _, infos in expected:
        obs2, reward2, _, infos2 = step(other)
        assert np.array_equal(obs, obs2)
        assert np.array_equal(reward, reward2)
        assert [info.get("episode") for info in infos] == [info.get("episode") for info in infos2]


def test_its_episodes_are_reported_as_by_a_monitor() -> None:
    # `evaluate_policy` warns otherwise that rewards may have been changed; warnings are errors in these tests.
    env = SB3VecEnv(ScriptedEnv(lengths=[2, 3], falls=[True, False]))
    assert env.env_is_wrapped(Monitor) == [True, True]
    model = PPO("MlpPolicy", env, n_steps=4, batch_size=8, device="cpu")
    returns, lengths = evaluate_policy(model, env, n_eval_episodes=2, return_episode_rewards=True)
    assert (sorted(returns), sorted(lengths)) == ([1 + 2, 11 + 12 + 13], [2, 3])
