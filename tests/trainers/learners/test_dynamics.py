"""The learned dynamics model: what it is fitted to, which way it moves a policy, and resuming with it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from helpers.encoders import small_model_file
from helpers.runs import differences, final_state
from stable_baselines3.common.policies import ActorCriticPolicy

from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError
from gait_trainers.learners.dynamics.learner import DynamicsCallback, actor_parameters
from gait_trainers.learners.dynamics.model import DynamicsModel, Memory, Segments, unbroken
from gait_trainers.learners.dynamics.spec import DynamicsConfig
from gait_trainers.rl.build import build
from gait_trainers.rl.train import resume, smoke_settings, train

# -- memory -----------------------------------------------------------------------------------------------


def test_segments_lie_within_an_episode_by_hand() -> None:
    starts = np.array([[1, 0], [0, 0], [0, 1], [0, 0], [0, 0]], dtype=bool)  # the second's episode ends with step 1
    assert unbroken(starts, 1).tolist() == [[True, True], [True, False], [True, True], [True, True]]
    assert unbroken(starts, 2).tolist() == [[True, False], [True, False], [True, True]]
    assert unbroken(starts, 4).tolist() == [[True, False]]


def rollout(number: int, steps: int = 6, envs: int = 3) -> dict[str, np.ndarray]:
    """Observations say where they are from: rollout, environment, step."""
    place = np.stack(np.meshgrid(np.arange(steps + 1), np.arange(envs), indexing="ij"), axis=-1)
    obs = np.concatenate([np.full((*place.shape[:2], 1), number), place], axis=2)
    starts = np.zeros((steps + 1, envs), dtype=bool)
    starts[3, 1] = True
    return {"obs": obs, "actions": -obs[:-1], "rewards": 10.0 * obs[:-1, :, 1], "starts": starts}


def test_drawn_segments_follow_one_another_and_old_rollouts_are_forgotten() -> None:
    memory, rng = Memory(2), np.random.default_rng(0)
    for number in range(3):
        memory.add(**rollout(number))
    segments = memory.draw(400, 3, rng)
    assert segments is not None
    obs = segments.obs.numpy()
    assert obs.shape == (4, 400, 3)
    assert set(obs[..., 0].ravel()) == {1.0, 2.0}
    np.testing.assert_array_equal(obs[1:, :, 1] - obs[:-1, :, 1], 1)
    np.testing.assert_array_equal(obs[1:, :, 2], obs[:-1, :, 2])
    np.testing.assert_array_equal(segments.actions, -obs[:-1])
    np.testing.assert_array_equal(segments.rewards, 10 * obs[:-1, :, 1])
    begins = obs[0, obs[0, :, 2] == 1, 1]
    assert set(begins) == {3.0}  # 0, 1 and 2 would lead across the end of the episode
    newest = memory.draw(50, 3, rng, newest=True)
    assert newest is not None
    assert set(newest.obs[..., 0].ravel().tolist()) == {2.0}
    assert memory.draw(1, 6, rng) is not None
    assert memory.draw(1, 7, rng) is None


# -- the model --------------------------------------------------------------------------------------------


def silent(obs_size: int = 2, action_size: int = 1) -> DynamicsModel:
    """A model whose network says 0."""
    model = DynamicsModel(obs_size, action_size, [4], torch.Generator().manual_seed(0))
    torch.nn.init.zeros_(model.net[-1].weight)
    return model


def test_scales_and_errors_by_hand() -> None:
    model = silent()
    obs, following = np.zeros((2, 2)), np.array([[1.0, 5.0], [3.0, 5.0]])
    model.set_scales(obs, following, np.array([1.0, 3.0]))
    np.testing.assert_allclose(model.spread, [1.0, 1e-3])
    np.testing.assert_allclose(model.reward_scale, [2.0, 1.0])
    model.spread.copy_(torch.tensor([2.0, 1.0]))
    model.net[-1].bias.data[:] = torch.tensor([0.5, 0.0, 0.25])
    after, reward = model(torch.tensor([[1.0, 1.0]]), torch.zeros(1, 1))
    assert (after.tolist(), reward.tolist()) == ([[2.0, 1.0]], [2.25])
    # Freely on: 1, 2, 3 where 1, 4, 3 was seen, and 1 throughout; rewards of 2.25 where 2.25 and 4.25 were paid.
    seen = torch.tensor([[[1.0, 1.0]], [[4.0, 1.0]], [[3.0, 1.0]]])
    errors, rewards = model.errors(Segments(seen, torch.zeros(2, 1, 1), torch.tensor([[2.25], [4.25]])))
    assert (errors.tolist(), rewards.tolist()) == ([0.5, 0.0], [0.0, 4.0])


# -- a world in which actions move a point, and the nearer to the origin the better -----------------------


class Point:
    """A callback for it, with a memory of random walks."""

    def __init__(self, **settings: Any) -> None:
        box = SimpleNamespace(observation_space=Box(-5, 5, (2,)), action_space=Box(-1, 1, (2,)))
        config = DynamicsConfig(
            hidden=[32], horizon=3, learning_rate=5e-3, updates=400, batch_size=128, start_at=0, **settings
        )
        self.callback = DynamicsCallback(box, config, 0.9, seed=0, device="cpu")  # type: ignore[arg-type]
        torch.manual_seed(0)
        self.policy = ActorCriticPolicy(box.observation_space, box.action_space, lambda _: 1e-3, log_std_init=-1.0)
        self.callback.model = SimpleNamespace(policy=self.policy, lr_schedule=lambda left: 1e-3 * left)  # type: ignore[assignment]
        rng = np.random.default_rng(0)
        obs, actions = [rng.uniform(-2, 2, (64, 2))], rng.uniform(-1, 1, (40, 64, 2))
        for action in actions:
            obs.append(obs[-1] + 0.3 * action)
        walks = np.array(obs)
        self.callback.memory.add(walks, actions, -np.square(walks[:-1]).sum(axis=2), np.zeros((41, 64)))
        self.callback.iteration = 1
        self.callback._on_training_start()

    def mean(self, *obs: float) -> np.ndarray:
        return self.policy.get_distribution(torch.tensor([obs])).distribution.mean.detach().numpy()[0]


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
    """The model of that world, fitted, and its errors before and after."""
    point = Point()
    before = point.callback.measure()
    point.callback.fit()
    return {"model": point.callback.network.state_dict(), "before": before, "after": point.callback.measure()}


def test_it_learns_the_world(known: dict[str, Any]) -> None:
    assert known["before"]["model_error"] > 0.5
    after = known["after"]
    assert after["model_error"] < 0.05
    assert after["model_error"] < after["model_error_horizon"] < 0.2
    assert after["model_reward_error"] < 0.05


def test_the_policy_moves_towards_what_is_better_and_nothing_else_changes(known: dict[str, Any]) -> None:
    point = Point(trust=0.0, policy_learning_rate=3e-3, policy_updates=40)
    point.callback.network.load_state_dict(known["model"])
    others = {
        name: value.clone()
        for name, value in point.policy.state_dict().items()
        if "value" in name or name == "log_std" or "vf" in name
    }
    assert len(others) > 3
    assert np.abs(point.mean(1.5, 0.0)).max() < 0.3
    first = point.callback.improve()
    later = point.callback.improve()
    assert later["predicted_return"] > first["predicted_return"]
    for x, y in ((1.5, 0.0), (0.0, -1.5), (-1.5, 1.0)):
        direction = point.mean(x, y) @ [x, y]
        assert direction < -0.3, "towards the origin"
    assert all((point.policy.state_dict()[name] == value).all() for name, value in others.items())
    assert all(parameter.grad is None for parameter in point.policy.parameters())
    assert point.policy.optimizer.state == {}


def test_the_steps_fade_with_those_of_ppo(known: dict[str, Any]) -> None:
    """The rate is a quarter of the first after three quarters of PPO's linear schedule, and 0 at its end."""
    point = Point(policy_learning_rate=4e-3, policy_updates=1)
    before = point.mean(1.5, 0.0)
    (group,) = point.policy.optimizer.param_groups
    group["lr"] = 0.0
    point.callback.improve()
    assert (point.mean(1.5, 0.0) == before).all()
    group["lr"] = 2.5e-4
    point.callback.improve()
    assert point.callback.steps is not None
    assert point.callback.steps.param_groups[0]["lr"] == pytest.approx(1e-3)
    assert (point.mean(1.5, 0.0) != before).any()


def test_trust_keeps_it_near(known: dict[str, Any]) -> None:
    shifts = []
    for trust in (0.0, 100.0):
        point = Point(trust=trust, policy_learning_rate=3e-3, policy_updates=40)
        point.callback.network.load_state_dict(known["model"])
        shifts.append(point.callback.improve()["policy_shift"])
    assert shifts[1] < 0.05 * shifts[0]


def test_the_actor_is_all_that_the_mean_depends_on() -> None:
    policy = Point().policy
    names = {name for name, p in policy.named_parameters() if any(p is found for found in actor_parameters(policy))}
    assert names == {
        *(f"mlp_extractor.policy_net.{layer}.{kind}" for layer in (0, 2) for kind in ("weight", "bias")),
        *(f"action_net.{kind}" for kind in ("weight", "bias")),
    }


# -- in a training ----------------------------------------------------------------------------------------

TINY = {
    "algorithm": "ppo", "env.num_envs": 4, "env.threads": 1, "ppo.n_steps": 8, "ppo.minibatches": 2,
    "networks.policy": [8], "networks.value": [8], "run.tensorboard": False, "run.checkpoint_every": 1,
    "dynamics.hidden": [8], "dynamics.batch_size": 16, "dynamics.updates": 2, "dynamics.policy_updates": 2,
    "dynamics.start_at": 1, "dynamics.rollouts": 2,
}  # fmt: skip


def config_of(out: Path, name: str, iterations: int, **more: Any) -> Any:
    own = {"learners": ["dynamics"], "run.out": str(out), "run.name": name, "run.iterations": iterations}
    return load_config(overrides=TINY | own | more)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return train(config_of(tmp_path_factory.mktemp("runs"), "whole", 4)).run


@pytest.mark.parametrize("done", [1, 2, 3])
def test_resumed_equals_uninterrupted(whole: Any, tmp_path: Path, done: int) -> None:
    run = train(config_of(tmp_path, "part", done)).run
    resume(run.path, {"run.iterations": 4})
    assert differences(final_state(run.path), final_state(whole.path)) == []


def test_without_updates_of_the_policy_ppo_goes_on_as_if_it_were_not_there(tmp_path: Path) -> None:
    watched = train(config_of(tmp_path, "watched", 3, **{"dynamics.policy_updates": 0})).run
    plain = train(config_of(tmp_path, "plain", 3, learners=[])).run
    states = [final_state(run.path)["policy"] for run in (watched, plain)]
    assert differences(*states) == []
    moved = train(config_of(tmp_path, "moved", 3)).run
    assert differences(final_state(moved.path)["policy"], states[1]) != []


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"dynamics.horizon": 8}, r"dynamics\.horizon is 8, allowed is 1 to ppo.n_steps - 1 = 7"),
        ({"networks.memory": "lstm", "networks.memory_size": 8}, "a policy without a memory"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, settings: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        config_of(tmp_path, "wrong", 1, **settings)


def test_it_is_refused_where_the_policy_does_not_learn_or_its_encoder_learns_by_schedule(tmp_path: Path) -> None:
    model = small_model_file(tmp_path)
    with pytest.raises(ConfigError, match=r"dynamics cannot improve a policy with an encoder"):
        load_config(preset="imitate", overrides={"learners": ["dynamics"], "encoder.path": str(model)})
    frozen = {"algorithm": "muscle", "muscle.policy_frozen": True, "learners": ["dynamics"]}
    with pytest.raises(ConfigError, match=r"muscle\.policy_frozen"):
        load_config(overrides=frozen | {"env.id": "GaitNet/MuscleHumanoidImitation-v0"})


def test_verify_takes_any_horizon(tmp_path: Path) -> None:
    long = {"learners": ["dynamics"], "dynamics.horizon": 20}
    load_config(preset="imitate", overrides=long)
    assert load_config(preset="imitate", overrides=long | smoke_settings()).section("dynamics").horizon == 2


def test_a_symmetric_policy_stays_symmetric(tmp_path: Path) -> None:
    training = build(config_of(tmp_path, "symmetric", 1, **{"networks.symmetric": True}))
    policy = training.model.policy
    assert 0 < len(actor_parameters(policy)) < len(list(policy.parameters()))
