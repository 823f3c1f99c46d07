"""Encoders as feature extractors: what they see, by hand, and that nothing but training changes their weights."""

from __future__ import annotations

from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import spaces
from helpers.encoders import small_model
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv

import gait_envs  # noqa: F401 - registers the environments
from gait_envs.layout import Layout, Row
from gait_envs.models.robot import wildrobot
from gait_trainers.learners.encoder.schedule import UnfreezeEncoder, encoders_of, trainable_table
from gait_trainers.models.encoders import (
    EncoderError,
    EncoderMeanStd,
    GroupedAdam,
    PretrainedMotionExtractor,
    input_columns,
    observed_by,
    planned_sizes,
    read_plan,
    with_fresh_weights,
)

ROBOT = wildrobot()
ROWS = small_model().entries
SPACE = spaces.Box(-np.inf, np.inf, (37,), np.float32)
COMMAND = Row("command", 3, "m/s, m/s, rad/s", "forward, leftward, yaw rate")
LAYOUT = Layout((COMMAND, *reversed(ROWS), Row("previous_action", 7, "1", "filtered")))


@pytest.fixture(scope="module")
def env() -> DummyVecEnv:
    return DummyVecEnv([lambda: gymnasium.make("GaitNet/WildRobot-v0")])


# --- by names ----------------------------------------------------------------------------------------


def test_inputs_are_found_by_the_names_of_rows_and_joints() -> None:
    """Rows in another order and the body's joints reversed; places counted by hand."""
    columns = input_columns(small_model(), LAYOUT, ROBOT.joint_names[::-1])
    # The observation: command 0-2, gravity 3-5, angular 6-8, linear 9-11, velocities 12-20, positions 21-29.
    assert columns == [*range(29, 20, -1), *range(20, 11, -1), 9, 10, 11, 6, 7, 8, 3, 4, 5]


def test_features_of_an_observation_by_hand() -> None:
    """One layer that adds its inputs up: the numbers of the encoder's rows, normalised, in any order."""
    model = small_model()
    model.mean.fill_(1.0)
    model.std.fill_(2.0)
    for encoder, passed in (("all", 37), ("rest", 10)):
        extractor = PretrainedMotionExtractor(SPACE, model, LAYOUT, ROBOT.joint_names, observation=encoder)
        extractor.network.forward = lambda x, memory=(): (x.sum(-1, keepdim=True).expand(-1, -1, 6), ())
        obs = torch.arange(37.0)[None]
        features = extractor(obs)
        assert features.shape == (1, 6 + passed) == (1, extractor.features_dim)
        # Inputs are 3 … 29 without 30 … 36: (x - 1) / 2 is 1, 1.5, … and at most 10.
        expected = sum(min((x - 1) / 2, 10.0) for x in range(3, 30))
        np.testing.assert_allclose(features[0, :6], expected, rtol=1e-6)
        seen = [*range(37)] if encoder == "all" else [0, 1, 2, *range(30, 37)]
        np.testing.assert_array_equal(features[0, 6:], seen)


def test_features_are_those_of_encode_also_of_a_stack() -> None:
    model, obs = small_model("gru"), torch.randn(5, 3 * 37)
    space = spaces.Box(-np.inf, np.inf, (3 * 37,), np.float32)
    extractor = PretrainedMotionExtractor(space, model, LAYOUT, ROBOT.joint_names)
    frames = obs.reshape(5, 3, 37)[..., input_columns(model, LAYOUT, ROBOT.joint_names)]
    torch.testing.assert_close(extractor(obs)[:, :6], model.encode(frames), rtol=0, atol=0)
    torch.testing.assert_close(extractor(obs)[:, 6:], obs[:, 2 * 37 :], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("layout", "joints", "message"),
    [
        (Layout(LAYOUT[:-2]), ROBOT.joint_names, "input joint_position is not observed; observed are command, gravity"),
        (LAYOUT, (*ROBOT.joint_names[:-1], "tail"), "joints and the body's differ: .*tail"),
        (
            Layout([row._replace(description="of the root, world frame") if row.name == "linear_velocity" else row
                    for row in LAYOUT]),
            ROBOT.joint_names,
            r"linear_velocity is observed as 3 numbers \(m/s; of the root, world frame\)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(layout: Layout, joints: tuple[str, ...], message: str) -> None:
    with pytest.raises(EncoderError, match=message):
        input_columns(small_model(), layout, joints)


def test_a_model_of_hidden_quantities_is_refused() -> None:
    with pytest.raises(EncoderError, match=r"input height is not observed.*of the encoding observable"):
        input_columns(small_model(encoding="heading"), LAYOUT, ROBOT.joint_names)
    with pytest.raises(EncoderError, match="38 numbers, which is no multiple of the layout's 37"):
        PretrainedMotionExtractor(spaces.Box(-1, 1, (38,)), small_model(), LAYOUT, ROBOT.joint_names)


def test_hostile_plans_are_refused() -> None:
    plan = PretrainedMotionExtractor(SPACE, small_model(), LAYOUT, ROBOT.joint_names).plan.model_dump()
    assert planned_sizes(read_plan(plan)) == (43, sum(p.numel() for p in small_model().network.parameters()) + 2 * 27)
    for change, message in (
        ({"columns": [-1] * 27}, "columns.0"),
        ({"frame": 10**9}, "frame"),
        ({"observation": "none"}, "observation"),
        ({"spec": plan["spec"] | {"network": "cnn"}}, "spec.network"),
        ({"unknown": 1}, "unknown"),
    ):
        with pytest.raises(EncoderError, match=message):
            read_plan(plan | change)
    with pytest.raises(EncoderError, match="columns of 37 are not 27 different ones"):
        PretrainedMotionExtractor(SPACE, read_plan(plan | {"columns": [0] * 27}))
    huge = {"settings": plan["spec"]["settings"] | {"hidden": [4096] * 8}}
    with pytest.raises(EncoderError, match="parameters, at most"):
        planned_sizes(read_plan(plan | {"spec": plan["spec"] | huge}))


# --- the optimiser -----------------------------------------------------------------------------------


def test_each_group_has_its_own_step_size() -> None:
    """Adam's first step is the step size itself, whatever the gradient."""
    fast, slow = torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(2))
    slow.rate = 0.1
    optimizer = GroupedAdam([fast, slow], lr=1.0)
    for group in optimizer.param_groups:  # as SB3 does before each update
        group["lr"] = 0.01
    fast.grad, slow.grad = torch.tensor([3.0, -0.5]), torch.tensor([3.0, -0.5])
    optimizer.step()
    torch.testing.assert_close(fast.data, torch.tensor([-0.01, 0.01]), rtol=1e-4, atol=0)
    torch.testing.assert_close(slow.data, torch.tensor([-0.001, 0.001]), rtol=1e-4, atol=0)
    assert [group["lr"] for group in optimizer.param_groups] == [0.01, 0.01]


def test_statistics_of_inputs_stay_those_of_the_model() -> None:
    extractor = PretrainedMotionExtractor(SPACE, small_model(), LAYOUT, ROBOT.joint_names, normalized=True)
    statistics = EncoderMeanStd(extractor, 37, epsilon=1e-8)
    obs = np.random.default_rng(0).normal(5.0, 3.0, (400, 37))
    statistics.update(obs)
    raw = PretrainedMotionExtractor(SPACE, small_model(), LAYOUT, ROBOT.joint_names)
    seen = np.clip((obs - statistics.mean) / np.sqrt(statistics.var + 1e-8), -10, 10).astype(np.float32)
    ours, theirs = extractor(torch.from_numpy(seen)), raw(torch.from_numpy(obs.astype(np.float32)))
    torch.testing.assert_close(ours[:, :6], theirs[:, :6], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(statistics.mean[:3], 5.0, atol=0.6)  # the command's are learnt as ever


# --- with Stable-Baselines3 alone --------------------------------------------------------------------


def weights(policy) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in policy.named_parameters()}


def kwargs_for(env: DummyVecEnv, **options) -> dict:
    extractor = observed_by(env) | {"encoder": small_model()} | options
    return {
        "features_extractor_class": PretrainedMotionExtractor,
        "features_extractor_kwargs": extractor,
        "optimizer_class": GroupedAdam,
        "net_arch": [8],
    }


def small_ppo(env: DummyVecEnv, **options) -> PPO:
    return PPO(
        "MlpPolicy", env, n_steps=32, batch_size=16, n_epochs=1, seed=0, policy_kwargs=kwargs_for(env, **options)
    )


def test_ppo_keeps_a_frozen_encoder_to_the_bit_and_then_trains_it(env: DummyVecEnv) -> None:
    model, pretrained = small_ppo(env), small_model().network.state_dict()
    encoder = model.policy.features_extractor
    for name, value in encoder.network.state_dict().items():  # SB3's initialisation has left them alone
        torch.testing.assert_close(value, pretrained[name], rtol=0, atol=0)
    callback = UnfreezeEncoder(at=64, every=32)
    model.learn(64, callback=callback)
    for name, value in encoder.network.state_dict().items():
        torch.testing.assert_close(value, pretrained[name], rtol=0, atol=0)
    table = "\n".join(trainable_table(model.policy, callback.initial))
    assert "frozen" in table
    assert "learns" in table
    parts = encoder.parts()
    assert [type(part).__name__ for part in parts] == ["Linear", "LayerNorm", "Linear", "LayerNorm"]
    before = [part.weight.detach().clone() for part in parts]
    model.learn(32, callback=UnfreezeEncoder(at=0, every=32), reset_num_timesteps=True)
    assert [torch.equal(part.weight, old) for part, old in zip(parts, before, strict=True)] == [True] * 3 + [False]
    model.learn(32, callback=UnfreezeEncoder(at=0), reset_num_timesteps=True)
    assert not any(torch.equal(part.weight, old) for part, old in zip(parts, before, strict=True))


def test_the_schedule_unfreezes_from_the_last_layer() -> None:
    schedule = UnfreezeEncoder(at=100, every=10)
    assert [schedule.unfrozen(steps, 4) for steps in (0, 99, 100, 109, 110, 129, 130, 999)] == [0, 0, 1, 1, 2, 3, 4, 4]
    assert [UnfreezeEncoder(at=100).unfrozen(steps, 4) for steps in (99, 100)] == [0, 4]
    assert UnfreezeEncoder().unfrozen(10**9, 4) == 0


def test_the_critic_warms_up_alone(env: DummyVecEnv) -> None:
    model = small_ppo(env)
    before = weights(model.policy)
    model.learn(32, callback=UnfreezeEncoder(at=0, warmup=32))
    moved = {name for name, value in model.policy.named_parameters() if not torch.equal(value, before[name])}
    assert moved == {"mlp_extractor.value_net.0.weight", "mlp_extractor.value_net.0.bias", "value_net.weight",
                     "value_net.bias"}  # fmt: skip
    model.learn(32, callback=UnfreezeEncoder(at=0, warmup=32), reset_num_timesteps=False)
    assert not torch.equal(model.policy.action_net.weight, before["action_net.weight"])


def test_ppo_saves_and_loads(env: DummyVecEnv, tmp_path: Path) -> None:
    model = small_ppo(env, observation="rest")
    model.learn(32, callback=UnfreezeEncoder(at=0))
    model.save(tmp_path / "model.zip")
    again = PPO.load(tmp_path / "model.zip", env=env)
    obs = np.random.default_rng(0).normal(size=(20, 37)).astype(np.float32)
    np.testing.assert_array_equal(again.predict(obs, deterministic=True)[0], model.predict(obs, deterministic=True)[0])
    rates = [group["rate"] for group in again.policy.optimizer.param_groups]
    assert sorted(rates) == [0.1, 1.0]


def test_sac_trains_around_a_frozen_encoder(env: DummyVecEnv) -> None:
    model = SAC(
        "MlpPolicy", env, learning_starts=8, batch_size=8, buffer_size=100, seed=0, policy_kwargs=kwargs_for(env)
    )
    encoders, before = encoders_of(model.policy), weights(model.policy)
    assert len(encoders) == 3  # actor, critic and its target
    model.learn(20, callback=UnfreezeEncoder())
    after = weights(model.policy)
    frozen = {name for name in after if "features_extractor" in name}
    for name in frozen:
        if name.startswith("critic_target"):  # an average of equal weights, which rounds
            torch.testing.assert_close(after[name], before[name])
        else:
            assert torch.equal(after[name], before[name])
    assert not torch.equal(after["actor.mu.weight"], before["actor.mu.weight"])
    model.learn(12, callback=UnfreezeEncoder(at=0))
    assert not torch.equal(encoders[0].parts()[0].weight, small_model().network.layers[0].weight)


def test_a_random_baseline_has_the_trained_normaliser() -> None:
    model = small_model()
    fresh = with_fresh_weights(model)
    assert torch.equal(fresh.mean, model.mean)
    assert torch.equal(fresh.std, model.std)
    assert not torch.equal(fresh.network.layers[0].weight, model.network.layers[0].weight)
