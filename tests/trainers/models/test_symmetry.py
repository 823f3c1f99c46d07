"""Symmetric policies: mirrors of real states, equivariance through training and export, exact resume."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from helpers.runs import differences, final_state

import gait_envs
from gait_envs.models.mirror import MirrorError, SignedPermutation, mirror_of
from gait_envs.tasks.symmetry import task_mirror
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError, NetworkConfig
from gait_trainers.models.actor_critic import build_policy, keep_std_above
from gait_trainers.models.symmetry import SymmetricMeanStd, swapped_halves, without_projections
from gait_trainers.policies.export import export
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume, train

WALKS = [name for name in gait_envs.IDS if "Imitation" not in name]


def core_of(env_id: str, n: int = 1, **options: object):
    env = gymnasium.make_vec(env_id, n, vectorization_mode="vector_entry_point", **options)
    env.reset(seed=0)
    return env.unwrapped.core


def networks(mirrors, size: int = 16, **settings: object) -> torch.nn.Module:
    torch.manual_seed(0)
    config = NetworkConfig(policy=[size, size // 2], value=[size], symmetric=True, **settings)
    return build_policy(config, len(mirrors.observation), len(mirrors.action), mirrors._asdict())


def act(policy, obs: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return policy.get_distribution(torch.from_numpy(obs)).distribution.mean.numpy()


@pytest.mark.parametrize("env_id", WALKS)
def test_the_mirrored_state_shows_the_mirrored_observation(env_id: str) -> None:
    """An asymmetric moment and its mirror image, by the simulation itself; a wrong sign or partner shows."""
    core = core_of(env_id, 2)
    mirrors, tables = task_mirror(core.task), mirror_of(core.robot)
    rng = np.random.default_rng(1)
    qpos, qvel = core.robot.home_qpos.copy(), rng.normal(0.0, 0.3, core.robot.model.nv)
    quat = np.array([1.0, 0.1, -0.15, 0.0]) / np.linalg.norm([1.0, 0.1, -0.15, 0.0])
    qpos[3:7] = quat
    qpos[7:] = np.clip(qpos[7:] + rng.normal(0.0, 0.1, len(qpos) - 7), core.robot.lower, core.robot.upper)
    command = np.array([0.5, 0.1, 0.2])
    both = {
        "qpos": np.stack([qpos, tables.qpos(qpos)]),
        "qvel": np.stack([qvel, tables.qvel(qvel)]),
        "command": np.stack([command, command * [1, -1, -1]]),
    }
    obs, _ = core.reset(options=both)
    np.testing.assert_allclose(mirrors.observation(obs[0]), obs[1], atol=2e-5)
    assert np.abs(mirrors.observation(obs[0]) - obs[0]).max() > 0.1  # it is asymmetric
    action = rng.uniform(-0.3, 0.3, len(mirrors.action)).astype(np.float32)
    after = core.step(np.stack([action, mirrors.action(action)])).obs
    np.testing.assert_allclose(mirrors.observation(after[0]), after[1], atol=2e-3)


def test_a_wrong_mirror_is_noticed() -> None:
    core = core_of("GaitNet/WildRobot-v0")
    mirrors = task_mirror(core.task)
    wrong = SignedPermutation(mirrors.observation.index, np.ones(len(mirrors.observation)))
    obs = np.random.default_rng(0).normal(size=(4, len(wrong))).astype(np.float32)
    policy = networks(mirrors)
    assert np.abs(act(policy, wrong(obs)) - mirrors.action(act(policy, obs))).max() > 1e-4


@pytest.mark.parametrize("env_id", WALKS)
def test_the_policy_is_equivariant_and_its_value_invariant(env_id: str) -> None:
    mirrors = task_mirror(core_of(env_id).task)
    policy = networks(mirrors)
    policy.optimizer.param_groups[0]["lr"] = 1e-2
    obs = np.random.default_rng(0).normal(size=(32, len(mirrors.observation))).astype(np.float32)
    for _ in range(2):  # as built, and after steps that know nothing of symmetry
        there, here = act(policy, mirrors.observation(obs)), act(policy, obs)
        np.testing.assert_allclose(there, mirrors.action(here), atol=1e-5)
        with torch.no_grad():
            values = [policy.predict_values(torch.from_numpy(x)).numpy() for x in (obs, mirrors.observation(obs))]
        np.testing.assert_allclose(*values, atol=1e-5)
        assert values[0].std() > 1e-3
        deviation = policy.log_std.detach().numpy()
        np.testing.assert_array_equal(deviation, deviation[mirrors.action.index])
        for _ in range(20):
            value, log_prob, _ = policy.evaluate_actions(torch.from_numpy(obs), torch.full(here.shape, 0.3))
            policy.optimizer.zero_grad()
            ((value - 1.0).square().mean() - log_prob.mean()).backward()
            policy.optimizer.step()
    assert np.abs(act(policy, obs) - here).max() > 1e-3  # it did learn


def test_plain_weights_act_as_the_projected_ones() -> None:
    mirrors = task_mirror(core_of("GaitNet/WildRobot-v0").task)
    policy, obs = networks(mirrors), np.random.default_rng(0).normal(size=(8, 37)).astype(np.float32)
    before = act(policy, obs)
    without_projections(policy)
    np.testing.assert_array_equal(act(policy, obs), before)
    assert not [name for name in policy.state_dict() if "parametrizations" in name]


def test_deviations_are_kept_above_the_floor() -> None:
    policy = networks(task_mirror(core_of("GaitNet/WildRobot-v0").task), log_std_init=-3.0)
    keep_std_above(policy, -1.0)
    np.testing.assert_array_equal(policy.log_std.detach().numpy(), -1.0)


def test_statistics_count_mirror_images_by_hand() -> None:
    """x = (1, 2), (3, 6), the mirror swaps and negates: images (-2, -1), (-6, -3); mean of 1 3 -2 -6 is -1."""
    mirror = SignedPermutation(np.array([1, 0]), np.array([-1.0, -1.0]))
    statistics = SymmetricMeanStd(mirror)
    statistics.count = 0.0
    statistics.update(np.array([[1.0, 2.0], [3.0, 6.0]]))
    np.testing.assert_allclose(statistics.mean, [-1.0, 1.0])
    np.testing.assert_allclose(statistics.var, [(4 + 16 + 1 + 25) / 4] * 2)
    np.testing.assert_array_equal(mirror(statistics.mean), statistics.mean)


def test_odd_layers_and_the_worlds_frame_are_refused() -> None:
    with pytest.raises(ValueError, match="even number of units, not 3"):
        swapped_halves(3)
    with pytest.raises(MirrorError, match="velocity_frame 'world'"):
        task_mirror(core_of("GaitNet/WildRobot-v0", velocity_frame="world").task)
    odd = {"networks.symmetric": True, "networks.policy": [15], "env.num_envs": 2, "ppo.n_steps": 4}
    with pytest.raises(ConfigError, match="networks: a symmetric layer needs an even number"):
        train(load_config(overrides=odd | {"algorithm": "ppo", "ppo.minibatches": 1}))


def settings(out: Path, name: str, **run: object) -> dict[str, object]:
    small = {"env.num_envs": 4, "ppo.n_steps": 16, "ppo.minibatches": 2, "networks.policy": [16, 8]}
    small |= {"networks.value": [16], "networks.symmetric": True, "algorithm": "ppo", "run.tensorboard": False}
    return small | {"run.out": str(out), "run.name": name} | {f"run.{key}": value for key, value in run.items()}


def test_it_trains_resumes_to_the_bit_exports_and_begins_another(tmp_path: Path) -> None:
    train(load_config(overrides=settings(tmp_path, "whole", iterations=4)))
    train(load_config(overrides=settings(tmp_path, "part", iterations=2)))
    resume(tmp_path / "part", {"run.iterations": 4})
    assert differences(final_state(tmp_path / "whole"), final_state(tmp_path / "part")) == []

    export(tmp_path / "whole", tmp_path / "bundle")
    mirrors = task_mirror(core_of("GaitNet/WildRobot-v0").task)
    obs = np.random.default_rng(0).normal(size=(16, 37)).astype(np.float32)
    starts = np.ones(16, dtype=bool)
    for policy in (load_policy(tmp_path / "whole"), load_policy(tmp_path / "bundle")):
        here, _ = policy.act(obs, (), starts)
        there, _ = policy.act(mirrors.observation(obs), (), starts)
        np.testing.assert_allclose(there, mirrors.action(here), atol=1e-5)

    for source in ("whole", "bundle"):
        train(load_config(overrides=settings(tmp_path, f"from_{source}", iterations=1, init=str(tmp_path / source))))
    wider = settings(tmp_path, "wider", init=str(tmp_path / "whole")) | {"networks.policy": [32, 8]}
    with pytest.raises(ConfigError, match="do not fit"):
        train(load_config(overrides=wider))
