"""Behaviour cloning, DAgger, GAIL and AIRL by today's libraries: which parts of `imitation` run, and what is left."""

from __future__ import annotations

import dataclasses
import importlib
import json
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode
from helpers.encoders import small_model_file
from helpers.scripted_env import ScriptedEnv
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.tasks.symmetry import task_mirror
from gait_trainers import load_policy
from gait_trainers.cli import app
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import DemonstrationError, Demonstrations
from gait_trainers.policies.base import PolicyError
from gait_trainers.rl.sb3_vec import SB3VecEnv
from gait_trainers.runs.checkpoint import load_checkpoint
from gait_trainers.runs.run_folder import Run

pytest.importorskip("imitation")
from imitation.algorithms import bc

from gait_trainers.imitation import adversarial
from gait_trainers.imitation.adversarial import Adversarial, train_adversarial
from gait_trainers.imitation.cloning import Cloning, act, clone, dagger, fit
from gait_trainers.imitation.horizon import FixedHorizon
from gait_trainers.imitation.student import LEAST_STD, leave_run, prepare, warm_up_critic

# What this project needs of the package, and what its pins of 2023 have broken since.
RUNS = ("algorithms.bc", "algorithms.adversarial.gail", "algorithms.adversarial.airl", "rewards.reward_nets",
        "data.types", "data.rollout", "data.wrappers")  # fmt: skip
BROKEN = ("util.video_wrapper",)  # imports a module that Gymnasium no longer has
EXPERT = "policies/wildrobot_walk"


@pytest.fixture(scope="module")
def demonstrations() -> Demonstrations:
    found = demonstrate(load_policy(asset_path(EXPERT)), episodes=3)
    clips = [{"source": "a lab", "license": "CC-BY-4.0", "clips": 2}]  # as if a tracker had followed these
    return dataclasses.replace(found, source={**found.source, "clips": clips})


def config(folder: Path, **more: object) -> TrainConfig:
    small = {
        "env.num_envs": 4, "env.threads": 1, "ppo.n_steps": 16, "ppo.minibatches": 2,
        "networks.policy": [32], "networks.value": [16],
        "run.iterations": 1, "run.out": str(folder), "run.tensorboard": False, "algorithm": "ppo",
    }  # fmt: skip
    return load_config(preset="laptop", overrides=small | more)


def test_which_parts_of_the_package_run() -> None:
    for name in RUNS:
        importlib.import_module(f"imitation.{name}")
    for name in BROKEN:
        with pytest.raises(ImportError):
            importlib.import_module(f"imitation.{name}")


def test_a_fixed_horizon_hides_falls_and_ends_all_at_once() -> None:
    env = FixedHorizon(SB3VecEnv(ScriptedEnv([2, 9], [True, False], AutoresetMode.SAME_STEP)), 4)
    env.reset()
    ends = []
    for _ in range(8):
        obs, reward, done, infos = env.step(np.zeros((2, 1), np.float32))
        ends.append(done.tolist())
        for i in np.flatnonzero(done):
            assert infos[i]["TimeLimit.truncated"]
            assert infos[i]["terminal_observation"].tolist() == obs[i].tolist()
        if not done.any():
            assert all("terminal_observation" not in info for info in infos)
    assert ends == [[False, False]] * 3 + [[True, True]] + [[False, False]] * 3 + [[True, True]]
    assert reward.tolist() == [2.0, 10.0 + 8.0]  # the environment's own, untouched


def test_a_clone_acts_as_its_expert_and_ppo_begins_from_it(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gait_trainers.rl.train import train

    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    told: list[str] = []
    settings = Cloning(epochs=4, batch_size=64, critic_iterations=1)
    run = clone(config(tmp_path, **{"run.name": "bc"}), demonstrations, settings, told.append)
    policy = load_policy(run.path)
    obs, actions = demonstrations.pairs()
    found, _ = policy.act(obs, (), np.ones(len(obs), bool))
    off = np.sqrt(np.square(found - actions).mean())
    assert off < 0.6 * actions.std()
    assert "critic 1/1" in told[-1]
    assert not list(temporary.glob("SB3-*"))  # an empty folder, which SB3 leaves where it is not given a logger
    origin = run.origin()["init"]
    assert (origin["demonstrated_steps"], origin["queried_steps"], origin["expert_steps"]) == (1500, 0, 1500)
    _, std = policy.first(obs[:1])
    assert std == pytest.approx(np.full((1, 9), np.exp(-2.2)), rel=1e-5)  # it explores as the preset says
    begun = train(config(tmp_path, **{"run.name": "ppo", "run.init": str(run.path)}))
    assert begun.iterations == 1
    taken = begun.run.origin()["init"]
    assert "value" in taken["taken"]  # the critic that was warmed up
    again = prepare(config(tmp_path, **{"run.name": "again", "run.init": str(run.path)}), demonstrations)
    kept = leave_run(again, {"method": "none", "licenses": ["CC0"]}).origin()["init"]
    assert kept["licenses"] == ["CC-BY-4.0", "CC0", "CMU", "MIT"]  # those of what it began from too
    assert kept["begun"]["path"] == str(run.path)
    assert origin["licenses"] == taken["licenses"] == demonstrations.licenses != []  # those of the clips stay known


def test_a_fit_ends_at_a_learning_rate_of_zero(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates: list[float] = []
    train = bc.BC.train

    def recorded(self: bc.BC, *, on_batch_end: Any, **options: Any) -> None:
        def ended() -> None:
            rates.append(self.optimizer.param_groups[0]["lr"])
            on_batch_end()

        train(self, on_batch_end=ended, **options)
        rates.append(self.optimizer.param_groups[0]["lr"])

    monkeypatch.setattr(bc.BC, "train", recorded)
    fit(prepare(config(tmp_path), demonstrations), demonstrations.episodes, Cloning(2, 500, 0.01), lambda text: None)
    # 1,500 pairs are three batches of 500, six in two epochs: 0.01 (1 + cos(π k / 6)) / 2
    expected = [0.01, 0.009330, 0.0075, 0.005, 0.0025, 0.000670, 0.0]
    assert rates == pytest.approx(expected, abs=1e-6)


def test_demonstrations_normalise_and_what_hardly_varies_is_not_blown_up(
    demonstrations: Demonstrations, tmp_path: Path
) -> None:
    training = prepare(config(tmp_path, **{"networks.symmetric": False}), demonstrations)
    obs, _ = demonstrations.pairs()
    norm = training.model.get_vec_normalize_env()
    np.testing.assert_allclose(norm.obs_rms.mean, obs.mean(0, dtype=float))  # type: ignore[union-attr]
    np.testing.assert_allclose(norm.obs_rms.var, np.maximum(obs.var(0, dtype=float), LEAST_STD**2))  # type: ignore[union-attr]
    before = act(training, obs[:4])
    weights = {name: p.clone() for name, p in training.model.policy.named_parameters()}
    warm_up_critic(training, 2, lambda text: None)
    assert np.array_equal(act(training, obs[:4]), before)  # only the critic has learnt
    changed = {name for name, p in training.model.policy.named_parameters() if not torch.equal(p, weights[name])}
    assert changed
    assert all("value_net" in name for name in changed)
    assert leave_run(training, {"method": "none"}).checkpoints()[0].name == "step_000000000000.pt"


@pytest.mark.slow
def test_dagger_asks_the_expert_where_the_policy_went(demonstrations: Demonstrations, tmp_path: Path) -> None:
    told: list[str] = []
    expert, settings = load_policy(asset_path(EXPERT)), Cloning(epochs=1, critic_iterations=0)
    run = dagger(config(tmp_path), expert, demonstrations, settings, rounds=2, say=told.append)
    assert "round 2/2: the policy's own episodes last" in told[1]
    pairs = [int(text.split(" pairs")[0].split()[-1].replace(",", "")) for text in (told[0], told[2])]
    assert pairs[0] == 1500 < pairs[1]
    origin = run.origin()["init"]
    assert origin["method"] == "dagger"
    assert origin["queried_steps"] == pairs[1] - 1500 > 0
    assert (origin["demonstrated_steps"], origin["expert_steps"]) == (1500, pairs[1])
    assert f"the expert was queried {pairs[1] - 1500:,} times" in told[1]


def test_dagger_adds_noise_to_what_the_policy_does(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[dict[str, Any]] = []

    def demonstrated(*_: object, **options: Any) -> Demonstrations:
        given.append(options)
        return demonstrations

    monkeypatch.setattr("gait_trainers.imitation.cloning.demonstrate", demonstrated)
    settings = Cloning(epochs=1, critic_iterations=0)
    run = dagger(
        config(tmp_path), load_policy(asset_path(EXPERT)), demonstrations, settings, rounds=2, noise=0.2,
        say=lambda _: None,
    )  # fmt: skip
    origin = run.origin()["init"]
    assert origin["noise"] == 0.2
    (options,) = given
    obs = np.repeat(demonstrations.episodes[0].obs[:1], 2000, axis=0)
    done = options["choose"](obs, np.zeros((2000, 9)))
    assert done.std(axis=0) == pytest.approx(np.full(9, 0.2), rel=0.1)
    assert np.abs(done - options["choose"](obs, np.zeros((2000, 9)))).max() > 0.2  # drawn for every step
    assert options["keep_failed"] is True
    assert options["threads"] == 1  # the configuration's
    for wrong in (-0.1, np.inf, np.nan):
        with pytest.raises(DemonstrationError, match="a standard deviation is finite and not below 0"):
            dagger(config(tmp_path), load_policy(asset_path(EXPERT)), demonstrations, settings, rounds=2, noise=wrong)


@pytest.mark.parametrize("option, value", [("--noise", "0.1"), ("--expert", "x"), ("--reference", "x")])
def test_options_of_dagger_need_rounds(option: str, value: str, tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["bc", "wildrobot_walk", option, value, "--out", str(tmp_path)])
    assert found.exit_code != 0
    assert isinstance(found.exception, ConfigError)
    assert str(found.exception).startswith(f"{option} is of DAgger")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "method, horizon", [("gail", "fixed"), ("airl", "fixed"), pytest.param("gail", "variable", marks=pytest.mark.slow)]
)
def test_adversarial_imitation_trains_and_leaves_a_policy(
    method: str, horizon: str, demonstrations: Demonstrations, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    settings = Adversarial(horizon, hidden=[16], batch_size=32, updates=1)  # type: ignore[arg-type]
    chosen = config(tmp_path, **{"run.iterations": 2, "ppo.lr_schedule": "cosine", "run.name": None})
    before = prepare(chosen, demonstrations).model.policy.state_dict()  # the same seed
    run = train_adversarial(method, chosen, demonstrations, settings, told.append)  # type: ignore[arg-type]
    assert "discriminator 0." in told[-1] or "discriminator 1." in told[-1]
    assert "it/s" not in capfd.readouterr().err  # no bar between the lines
    assert run.path.name.startswith(f"{method}-")
    assert run.checkpoints()[-1].name == "step_000000000128.pt"
    assert load_policy(run.path).act(demonstrations.episodes[0].obs, (), np.ones(501, bool))[0].shape == (501, 9)
    after = load_checkpoint(run.checkpoints()[-1])["policy"]  # the step size is 0 at the very end only
    assert any(not torch.equal(after[name], values) for name, values in before.items())


def test_ctrl_c_leaves_what_gail_has_trained(
    demonstrations: Demonstrations, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The iteration at whose end it comes is the last; what it has made is what as many iterations make."""
    monkeypatch.setattr(adversarial, "EVERY", 0.0)
    settings = Adversarial(hidden=[16], batch_size=32, updates=1)
    told: list[str] = []

    def say(line: str) -> None:
        told.append(line)
        if line.startswith("2/4"):
            signal.raise_signal(signal.SIGINT)

    chosen = config(tmp_path, **{"run.iterations": 4, "run.name": "ended"})
    with pytest.raises(KeyboardInterrupt):
        train_adversarial("gail", chosen, demonstrations, settings, say)
    ended = Run(tmp_path / "ended")
    assert [path.name for path in ended.checkpoints()] == ["step_000000000128.pt"]
    assert told[-1] == f"interrupted after 2 of 4 iterations: {ended.path}"
    assert json.loads((ended.path / "provenance.json").read_text())["init"]["iterations"] == 2
    assert load_policy(ended.path).act(demonstrations.episodes[0].obs, (), np.ones(501, bool))[0].shape == (501, 9)


def test_a_clone_of_a_symmetric_policy_is_symmetric(demonstrations: Demonstrations, tmp_path: Path) -> None:
    """Its statistics too, though the demonstrations favour a side, and even where they are frozen from the start."""
    training = prepare(config(tmp_path, **{"networks.symmetric": True, "ppo.freeze_obs_after": 0}), demonstrations)
    mirrors = task_mirror(training.base.env.unwrapped.core.task)  # type: ignore[attr-defined]
    statistics: Any = training.model.get_vec_normalize_env().obs_rms  # type: ignore[union-attr]
    obs, _ = demonstrations.pairs()
    both = np.concatenate([obs, mirrors.observation(obs)]).astype(np.float64)
    np.testing.assert_allclose(statistics.mean, both.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(statistics.var, np.maximum(both.var(axis=0), LEAST_STD**2), rtol=1e-5)
    assert statistics.count == len(obs)
    assert np.abs(obs.mean(axis=0) - mirrors.observation(obs.mean(axis=0)[None])[0]).max() > 1e-3  # they do
    here, there = act(training, obs[:64]), act(training, mirrors.observation(obs[:64]))
    np.testing.assert_allclose(there, mirrors.action(here), atol=1e-5)


@pytest.mark.parametrize("more, message", [
    ({"networks.memory": "lstm"}, r"networks\.memory is 'lstm'"),
    ({"networks.memory": "frames"}, r"networks\.memory is 'frames'"),
])  # fmt: skip
def test_what_a_clone_cannot_have_is_refused(
    demonstrations: Demonstrations, tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        prepare(config(tmp_path, **more), demonstrations)


def test_demonstrations_of_actions_that_mean_something_else_are_refused(
    demonstrations: Demonstrations, tmp_path: Path
) -> None:
    wanted = r"demonstrations in GaitNet/WildRobot-v0: they were made with action_scale 1\.5; that environment has 0\.7"
    with pytest.raises(PolicyError, match=wanted):
        prepare(config(tmp_path, **{"env.kwargs.action_scale": 0.7}), demonstrations)


def test_a_clone_of_nothing_has_no_networks_to_stay_near(demonstrations: Demonstrations, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ppo\.l2_initial: a clone has no networks to stay near"):
        clone(config(tmp_path, **{"ppo.l2_initial": 0.1}), demonstrations, Cloning(), lambda text: None)


def test_a_clone_keeps_its_encoders_own_normaliser(demonstrations: Demonstrations, tmp_path: Path) -> None:
    model = small_model_file(tmp_path)
    training = prepare(config(tmp_path, **{"encoder.path": str(model), "networks.symmetric": False}), demonstrations)
    statistics: Any = training.model.get_vec_normalize_env().obs_rms  # type: ignore[union-attr]
    pinned, (mean, var) = statistics.pinned, statistics.own
    np.testing.assert_array_equal(statistics.mean[pinned], mean)
    np.testing.assert_array_equal(statistics.var[pinned], var)
    rest = np.setdiff1d(np.arange(len(statistics.mean)), pinned)
    np.testing.assert_allclose(statistics.mean[rest], demonstrations.pairs()[0].mean(axis=0)[rest], atol=1e-5)
