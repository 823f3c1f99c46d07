"""What keeps an update in bounds: L2 towards the initial parameters, step sizes, schedules, frozen statistics."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.runs import differences, final_state, metrics
from stable_baselines3.common.vec_env import VecNormalize
from torch import nn

from gait_envs.models.mirror import SignedPermutation
from gait_trainers.config.layers import load_config
from gait_trainers.config.schedule import KeyFrame, Settings, at, complete
from gait_trainers.config.schema import NetworkConfig
from gait_trainers.models.actor_critic import build_policy, set_std, set_value_rate
from gait_trainers.models.anchor import Anchor
from gait_trainers.rl.ppo import adapted_rate, cosine
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.checkpoint_files import load_checkpoint
from gait_trainers.runs.run_folder import Run
from gait_trainers.runs.usage import Usage

NO_TERMS = Settings({}, None, None)


def test_l2_adds_twice_the_weighted_distance_to_the_gradient() -> None:
    layer = nn.Linear(1, 1, bias=False)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    anchor = Anchor(layer, 0.1)
    with torch.no_grad():
        layer.weight.fill_(1.5)
    (0.2 * layer(torch.ones(1, 1))).sum().backward()
    assert layer.weight.grad.item() == pytest.approx(0.2 + 2 * 0.1 * 0.5)
    assert anchor.distance() == pytest.approx(0.5)
    other = Anchor(layer, 0.0)
    other.set_state(anchor.get_state())
    assert other.distance() == pytest.approx(0.5)
    anchor.reset()
    assert anchor.distance() == 0.0


def test_l2_pulls_what_begins_to_learn_later_too() -> None:
    layer = nn.Linear(1, 1, bias=False).requires_grad_(False)
    anchor = Anchor(layer, 0.1)
    assert not layer.weight.requires_grad
    layer.requires_grad_(True)
    with torch.no_grad():
        layer.weight += 0.5
    layer(torch.zeros(1, 1)).sum().backward()
    assert layer.weight.grad.item() == pytest.approx(2 * 0.1 * 0.5)
    assert anchor.distance() == pytest.approx(0.5)


@pytest.mark.parametrize(
    "found, expected", [(0.021, 2e-4), (0.02, 3e-4), (0.005, 3e-4), (0.0049, 4.5e-4), (0.0, 4.5e-4)]
)
def test_the_step_size_follows_the_kl_divergence(found: float, expected: float) -> None:
    assert adapted_rate(3e-4, found, desired=0.01) == pytest.approx(expected)


def test_a_step_size_that_follows_stays_within_bounds() -> None:
    assert adapted_rate(1.2e-5, 1.0, 0.01) == 1e-5
    assert adapted_rate(9e-3, 0.0, 0.01) == 1e-2


def test_a_cosine_begins_at_the_rate_and_ends_at_zero() -> None:
    assert [cosine(2.0)(remaining) for remaining in (1.0, 0.5, 0.0)] == pytest.approx([2.0, 1.0, 0.0])
    assert cosine(2.0)(0.75) == pytest.approx(1 + np.cos(np.pi / 4))


def test_entropy_and_deviation_are_scheduled() -> None:
    frames = [KeyFrame(iteration=10, ent_coef=0.01), KeyFrame(iteration=20, ent_coef=0.0, std=0.4),
              KeyFrame(iteration=30, std=0.2)]  # fmt: skip
    schedule = complete(frames, NO_TERMS)
    assert [at(schedule, k).ent_coef for k in (0, 10, 15, 20, 99)] == pytest.approx([0.01, 0.01, 0.005, 0.0, 0.0])
    assert [at(schedule, k).std for k in (0, 19)] == [None, None]  # it is learnt until a value is given
    assert [at(schedule, k).std for k in (20, 25, 30)] == pytest.approx([0.4, 0.3, 0.2])
    assert at(schedule, 25).metrics() == pytest.approx({"ent_coef": 0.0, "scheduled_std": 0.3})


def test_a_deviation_that_is_set_holds_for_every_action() -> None:
    policy = build_policy(NetworkConfig(policy=[4], value=[4]), 3, 2)
    set_std(policy, 0.25)
    np.testing.assert_allclose(policy.log_std.exp().detach(), 0.25, rtol=1e-6)


@pytest.mark.parametrize("kind", [{}, {"memory": "lstm"}, {"memory": "gru"}, {"symmetric": True}])
def test_the_value_network_has_its_own_step_size(kind: dict) -> None:
    """Adam's first step is the step size itself, whatever the gradient."""
    mirror = SignedPermutation(np.arange(3), np.array([1.0, -1.0, 1.0]))
    mirrors = {"observation": mirror, "action": SignedPermutation(np.arange(2), np.ones(2))}
    policy = build_policy(NetworkConfig(policy=[4], value=[4], memory_size=3, **kind), 3, 2, mirrors)
    set_value_rate(policy, 50.0)
    before = {name: parameter.detach().clone() for name, parameter in policy.named_parameters()}
    for group in policy.optimizer.param_groups:  # as SB3 does before each update
        group["lr"] = 1e-3
    for parameter in policy.parameters():
        parameter.grad = torch.ones_like(parameter)
    policy.optimizer.step()
    for name, parameter in policy.named_parameters():
        step = 0.05 if "value_net" in name or "critic" in name else 0.001
        torch.testing.assert_close(parameter.detach(), before[name] - step, rtol=0, atol=1e-5)


def test_usage_counts_processors_and_memory() -> None:
    usage = Usage()
    sum(range(200_000))
    found = usage.measure()
    assert 0.0 < found["cpu_cores"] < 1000
    assert 10 < found["memory_mb"] < 1e6


def test_all_of_it_resumes_bit_for_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    means: list[np.ndarray] = []
    plain = VecNormalize.step_wait
    monkeypatch.setattr(VecNormalize, "step_wait", lambda env: (plain(env), means.append(env.obs_rms.mean.copy()))[0])
    settings = {
        "algorithm": "ppo", "env.num_envs": 4, "env.threads": 1, "ppo.n_steps": 8, "ppo.minibatches": 2,
        "ppo.value_rate": 3.0,
        "ppo.epochs": 1, "networks.policy": [8], "networks.value": [8], "ppo.lr_schedule": "kl",
        "ppo.l2_initial": 0.01, "ppo.freeze_obs_after": 1, "run.iterations": 4, "run.checkpoint_every": 2,
        "run.tensorboard": False, "run.out": str(tmp_path), "run.name": "whole",
        "schedule": [{"iteration": 1, "ent_coef": 0.02}, {"iteration": 3, "ent_coef": 0.0, "std": 0.5}],
    }  # fmt: skip
    run = train(load_config(overrides=settings)).run.path
    assert not np.array_equal(means[0], means[7])
    np.testing.assert_array_equal(means[7], means[-1])  # frozen after the first iteration of eight steps
    groups = load_checkpoint(Run(run).checkpoints()[-1])["optimizer"]["param_groups"]
    assert [group["rate"] for group in groups] == [1.0, 3.0]
    rows = metrics(run)
    assert [float(row["ent_coef"]) for row in rows] == pytest.approx([0.02, 0.02, 0.01, 0.0])
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates[0] == pytest.approx(3e-4)
    assert len(set(rates)) > 1
    again = Path(shutil.copytree(run, tmp_path / "again"))
    sorted((again / "checkpoints").iterdir())[-1].unlink()
    resume(again)
    assert differences(final_state(run), final_state(again)) == []
    assert metrics(again) == rows
