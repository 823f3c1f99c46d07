"""A user's own Stable-Baselines3 model: what becomes a bundle acts as the model does, what cannot is said."""

import copy
import json
import subprocess
import sys
from pathlib import Path

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from sb3_contrib import TQC, RecurrentPPO
from stable_baselines3 import A2C, DDPG, PPO, SAC
from stable_baselines3.common.vec_env import DummyVecEnv, VecFrameStack, VecNormalize
from typer.testing import CliRunner

import gait_trainers
from gait_trainers.cli import app
from gait_trainers.evaluation.rollout import record
from gait_trainers.policies import sb3_export
from gait_trainers.policies.base import PolicyError
from gait_trainers.policies.export import ExportError
from gait_trainers.rl.sb3_vec import SB3VecEnv

WALK = "GaitNet/WildRobot-v0"
SMALL = {"policy_kwargs": {"net_arch": [16]}, "device": "cpu", "seed": 0}


def model_of(env, kind=PPO, **options):
    return kind("MlpPolicy", env, **({"n_steps": 32, "batch_size": 32} if kind is PPO else {}), **SMALL, **options)


@pytest.fixture(scope="module")
def normalized() -> VecNormalize:
    """An environment with options of its own, behind VecNormalize, on which a model has learnt a little."""
    env = gymnasium.make(f"gait_envs:{WALK}", previous_action="all", rsi_probability=0.0, render_mode="rgb_array")
    return VecNormalize(DummyVecEnv([lambda: env]), clip_obs=5.0)


@pytest.fixture(scope="module")
def learnt(normalized) -> PPO:
    return model_of(normalized).learn(64)


@pytest.fixture(scope="module")
def bundle(learnt, tmp_path_factory) -> Path:
    learnt.policy.set_training_mode(True)
    before = {name: value.clone() for name, value in learnt.policy.state_dict().items()}
    out = gait_trainers.export_policy(learnt, None, tmp_path_factory.mktemp("out") / "mine")  # its own VecNormalize
    assert learnt.policy.training  # the model goes on as it was
    assert all((before[name] == value).all() for name, value in learnt.policy.state_dict().items())
    return out


def test_the_bundle_acts_as_the_model_does(learnt, normalized, bundle):
    policy = gait_trainers.load_policy(bundle)
    assert (policy.name, policy.env_id, dict(policy.env_kwargs)) == ("mine", WALK, {"previous_action": "all"})
    rollout, _ = record(policy, np.array([[0.4, 0.0, 0.0]]), seconds=0.2, threads=1)
    env = gymnasium.make(WALK, **policy.env_kwargs)
    obs, _ = env.reset(seed=0, options={"command": [0.4, 0.0, 0.0]})
    for _ in range(10):
        action, _ = learnt.predict(normalized.normalize_obs(obs), deterministic=True)
        obs, *_ = env.step(action)
    np.testing.assert_allclose(rollout.qpos[-1, 0], env.unwrapped.core.state.qpos[0], atol=1e-4)
    training = json.loads((bundle / "policy.json").read_text())["training"]
    assert (training["algorithm"], training["steps"], training["seed"]) == ("PPO", 64, 0)
    with pytest.raises(ExportError, match="exists already"):
        gait_trainers.export_policy(learnt, None, bundle)


def test_our_vector_environments_and_models_without_normaliser(tmp_path):
    make = {"vectorization_mode": "vector_entry_point", "autoreset_mode": AutoresetMode.SAME_STEP, "threads": 1}
    base = gymnasium.make_vec(WALK, num_envs=2, target_height=0.4, **make)
    model = model_of(SB3VecEnv(base), A2C)
    policy = gait_trainers.load_policy(gait_trainers.export_policy(model, None, tmp_path / "mine"))
    assert (policy.env_id, dict(policy.env_kwargs)) == (WALK, {"target_height": 0.4})
    obs = np.random.default_rng(0).normal(size=(4, 37)).astype(np.float32)
    expected, _ = model.predict(obs, deterministic=True)
    np.testing.assert_allclose(policy.act(obs, (), np.ones(4, bool))[0], expected, atol=1e-5)


def test_a_model_loaded_without_its_environment_needs_it_named(learnt, normalized, tmp_path, monkeypatch):
    learnt.save(tmp_path / "mine.zip")
    loaded = PPO.load(tmp_path / "mine.zip", device="cpu")
    with pytest.raises(ExportError, match=r"no environment.*give env_id"):
        gait_trainers.export_policy(loaded, None, tmp_path / "out")
    with pytest.raises(ExportError, match=r"observes \(39,\), GaitNet/WildRobot-v0 shows \(37,\)"):
        gait_trainers.export_policy(loaded, None, tmp_path / "out", env_id=WALK)
    with pytest.raises(ExportError, match="give both"):
        gait_trainers.export_policy(loaded, None, tmp_path / "out", env_kwargs={"previous_action": "all"})
    options = {"env_id": f"gait_envs:{WALK}", "env_kwargs": {"previous_action": "all"}}
    written = []
    monkeypatch.setattr(sb3_export, "write_bundle", lambda trained, out: written.append(trained))
    gait_trainers.export_policy(loaded, normalized, tmp_path / "out", **options)
    assert (written[0].acting.env_id, written[0].network.clip) == (WALK, 5.0)
    np.testing.assert_array_equal(written[0].network.mean, normalized.obs_rms.mean.astype(np.float32))


@pytest.mark.parametrize("kind", [SAC, TQC])
def test_squashed_actors_act_the_same_and_explore_alike(kind, tmp_path):
    """The deviation of samples is that of tanh to first order, which holds while it is small."""
    model = kind("MlpPolicy", f"gait_envs:{WALK}", buffer_size=10, **copy.deepcopy(SMALL))
    with torch.no_grad():
        model.actor.log_std.weight.zero_()
        model.actor.log_std.bias.fill_(-4.0)
        model.actor.mu.weight.mul_(20)
    policy = gait_trainers.load_policy(gait_trainers.export_policy(model, None, tmp_path / "mine"))
    obs = np.random.default_rng(0).normal(size=(3, 37)).astype(np.float32)
    expected, _ = model.predict(obs, deterministic=True)
    assert np.abs(expected).max() > 0.3
    np.testing.assert_allclose(policy.act(obs, (), np.ones(3, bool))[0], expected, atol=1e-5)
    many, starts = np.repeat(obs, 2000, axis=0), np.ones(6000, bool)
    deviations = [
        actions.reshape(3, 2000, -1).std(axis=1)
        for actions in (
            model.predict(many, deterministic=False)[0],
            policy.act(many, (), starts, deterministic=False, rng=np.random.default_rng(0))[0],
        )
    ]
    np.testing.assert_allclose(*deviations, rtol=0.12, atol=1e-4)


def test_a_recurrent_model_keeps_its_state(tmp_path):
    env = DummyVecEnv([lambda: gymnasium.make(f"gait_envs:{WALK}")])
    model = RecurrentPPO("MlpLstmPolicy", env, n_steps=8, **copy.deepcopy(SMALL))
    policy = gait_trainers.load_policy(gait_trainers.export_policy(model, None, tmp_path / "mine"))
    rng, theirs, ours = np.random.default_rng(0), None, policy.initial_state(2)
    for step in range(12):
        obs = rng.normal(size=(2, 37)).astype(np.float32)
        starts = np.array([step == 0, step in (0, 7)])
        expected, theirs = model.predict(obs, theirs, episode_start=starts, deterministic=True)
        action, ours = policy.act(obs, ours, starts)
        np.testing.assert_allclose(action, expected, atol=1e-5)


@pytest.mark.parametrize(
    "kind, options",
    [
        (SAC, {"buffer_size": 10, "use_sde": True}),
        (RecurrentPPO, {"n_steps": 8, "policy_kwargs": {"n_lstm_layers": 2}}),
        (PPO, {"use_sde": True}),
        (DDPG, {"buffer_size": 10}),
    ],
    ids=["SAC with sde", "two layers", "sde", "DDPG"],
)
def test_what_no_bundle_can_hold_is_named(kind, options, tmp_path):
    model = kind("MlpLstmPolicy" if kind is RecurrentPPO else "MlpPolicy", f"gait_envs:{WALK}", device="cpu", **options)
    with pytest.raises(ExportError, match=rf"{kind.__name__} with .* cannot be exported; supported are PPO, A2C, SAC"):
        gait_trainers.export_policy(model, None, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_wrappers_that_change_what_is_seen_are_named(tmp_path):
    scaled = gymnasium.wrappers.TimeAwareObservation(gymnasium.make(WALK))
    with pytest.raises(ExportError, match="wrapped in TimeAwareObservation, and a bundle holds no wrappers"):
        gait_trainers.export_policy(model_of(scaled), None, tmp_path / "out")
    stacked = VecFrameStack(DummyVecEnv([lambda: gymnasium.make(WALK)]), 2)
    with pytest.raises(ExportError, match="wrapped in VecFrameStack"):
        gait_trainers.export_policy(model_of(stacked), None, tmp_path / "out")


# -- the command line ----------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [["evaluate"], ["play"], ["export", "--out", "out"], ["ppo", "--init"]])
def test_a_saved_model_is_recognised_and_never_opened(words, learnt, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learnt.save(tmp_path / "mine.zip")
    monkeypatch.setattr("pickle.loads", lambda *_, **__: pytest.fail("it unpickles"))
    monkeypatch.setattr("cloudpickle.loads", lambda *_, **__: pytest.fail("it unpickles"))
    message = (
        r"mine\.zip: a model saved by Stable-Baselines3.*pickle.*gait_trainers\.export_policy\(model, vec_normalize"
    )
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(app, [*words, "mine.zip"], catch_exceptions=False)


def test_other_files_are_told_apart(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(PolicyError, match=r"notes\.txt: a file outside of any run folder; expected a bundle"):
        gait_trainers.load_policy(tmp_path / "notes.txt")


def test_the_package_imports_nothing_heavy_until_it_is_asked():
    code = """
import sys, gait_trainers
assert set(gait_trainers.__all__) == {"Policy", "export_policy", "load_policy"}
heavy = {"torch", "stable_baselines3", "mujoco", "gymnasium", "pydantic"} & set(sys.modules)
assert not heavy, heavy
gait_trainers.load_policy
assert "torch" not in sys.modules
try:
    gait_trainers.load_polcy
except AttributeError as error:
    assert "it offers Policy, export_policy, load_policy" in str(error)
"""
    root = Path(gait_trainers.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=False)
    assert done.returncode == 0, done.stderr
