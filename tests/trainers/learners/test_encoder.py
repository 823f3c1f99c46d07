"""Encoders in trainings of gait-train: with AMP, resumed bit for bit, exported, and refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.encoders import small_model, small_model_file
from helpers.runs import differences, final_state, metrics

from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError
from gait_trainers.models.encoders import EncoderMeanStd
from gait_trainers.policies.export import export
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.build import build
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.checkpoint import load_checkpoint, read_networks, save_checkpoint
from gait_trainers.runs.run_folder import Run, RunError

STEPS = 8 * 16
SMALL = {
    "env.num_envs": 8,
    "ppo.n_steps": 16,
    "ppo.minibatches": 2,
    "ppo.epochs": 1,
    "networks.policy": [8],
    "networks.value": [8],
    "amp.hidden": [8],
    "amp.batch_size": 32,
    "encoder.unfreeze_at": 2,
    "encoder.unfreeze_every": 1,
    "encoder.critic_warmup": 1,
    "run.iterations": 4,
    "run.checkpoint_every": 1,
    "run.keep_checkpoints": 9,
    "run.tensorboard": False,
}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_model_file(tmp_path_factory.mktemp("model"))


def settings(out: Path, name: str, clip: Path, model: Path, **more: object) -> dict[str, object]:
    own = {"run.out": str(out), "run.name": name, "run.seed": 3, "env.kwargs.reference": str(clip)}
    return SMALL | own | {"amp.data": str(clip), "encoder.path": str(model)} | more


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, reference_clip: Path, model_file: Path) -> Path:
    out = tmp_path_factory.mktemp("runs")
    train(load_config(overrides=settings(out, "whole", reference_clip, model_file)))
    return out / "whole"


def encoder_of(run: Path, iteration: int) -> dict[str, torch.Tensor]:
    prefix = "features_extractor.network."
    state = load_checkpoint(Run(run).checkpoint_file(iteration * STEPS))["policy"]
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def test_it_is_frozen_to_the_bit_and_unfrozen_on_schedule(whole: Path) -> None:
    pretrained = small_model().network.state_dict()
    for iteration in (0, 1, 2):
        assert differences(encoder_of(whole, iteration), dict(pretrained)) == []
    third, fourth = encoder_of(whole, 3), encoder_of(whole, 4)
    # Layers 0 and 3 are linear, 1 and 4 normalise: the last of them first, then one more.
    assert {name.split(".")[1] for name in third if not torch.equal(third[name], pretrained[name])} == {"4"}
    assert {name.split(".")[1] for name in fourth if not torch.equal(fourth[name], third[name])} == {"3", "4"}
    rows = metrics(whole)
    assert [float(row["encoder_learning"]) for row in rows[:2]] == [0.0, 0.0]
    assert float(rows[3]["encoder_moved"]) > 0.0


def test_the_value_network_learns_first(whole: Path) -> None:
    before, after = (load_checkpoint(Run(whole).checkpoint_file(i * STEPS))["policy"] for i in (0, 1))
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {"mlp_extractor.value_net.0.weight", "mlp_extractor.value_net.0.bias", "value_net.weight",
                     "value_net.bias"}  # fmt: skip


def test_resumed_it_ends_bit_for_bit_the_same(
    whole: Path, tmp_path: Path, reference_clip: Path, model_file: Path
) -> None:
    part = settings(tmp_path, "part", reference_clip, model_file)
    train(load_config(overrides=part | {"run.iterations": 3}))
    resume(tmp_path / "part", {"run.iterations": 4})
    assert differences(final_state(whole), final_state(tmp_path / "part")) == []


def test_a_table_says_what_learns(model_file: Path) -> None:
    """In the first iteration of a warm-up the value network alone; nothing has moved yet."""
    training = build(load_config(overrides=SMALL | {"algorithm": "ppo", "encoder.path": str(model_file)}))
    lines = training.learners["encoder"].describe(training.model)
    assert lines[0].split() == ["module", "weights", "moved"]
    rows = {words[0]: words[1:] for words in map(str.split, lines[1:])}
    assert rows["features_extractor.network.layers.0"] == ["224", "frozen", "0.00%"]  # 27 inputs and a bias to 8
    assert rows["value_net"] == ["9", "learns", "0.00%"]
    assert rows["action_net"] == ["81", "frozen", "0.00%"]
    with torch.no_grad():
        training.model.policy.value_net.bias.fill_(1.0)
        training.model.policy.value_net.weight.zero_()
    moved = dict(line.split()[::3] for line in training.learners["encoder"].describe(training.model)[1:])
    # Its weights had the norm 1 (an orthogonal row): away by them and by a bias of 1 is √2.
    assert moved["value_net"] == "141.42%"


def test_read_back_and_exported_it_acts_the_same(whole: Path, tmp_path: Path) -> None:
    policy, normalizer, _ = read_networks(whole)
    assert type(policy.features_extractor).__name__ == "PretrainedMotionExtractor"
    bundle = export(whole, tmp_path / "bundle")  # refuses a graph that differs from torch
    rng = np.random.default_rng(0)
    obs = rng.normal(size=(50, 37)).astype(np.float32)
    with torch.no_grad():
        expected = policy.get_distribution(torch.from_numpy(normalizer(obs))).mode().numpy()
    acting = load_policy(bundle)
    mean, _, _ = acting.network(obs, acting.initial_state(50), np.ones(50, dtype=bool))
    np.testing.assert_allclose(mean, expected, atol=1e-5)


def test_its_inputs_keep_its_own_normaliser(whole: Path) -> None:
    _, normalizer, _ = read_networks(whole)
    model = small_model()
    np.testing.assert_allclose(normalizer.mean[:27], model.mean, rtol=1e-6)
    np.testing.assert_allclose(np.sqrt(normalizer.var[:27] + normalizer.epsilon), model.std, rtol=1e-6)


def test_hostile_checkpoints_are_refused(whole: Path, tmp_path: Path) -> None:
    run = Run(whole)
    state = load_checkpoint(run.checkpoints()[-1])
    for change in ({"columns": [0] * 27}, {"frame": 10**12}, {"normalized": "maybe"}):
        state["spaces"]["encoder"] |= change
        broken = Run(tmp_path / "run")
        (broken.path / "checkpoints").mkdir(parents=True, exist_ok=True)
        (broken.path / "config.yaml").write_text((whole / "config.yaml").read_text())
        save_checkpoint(broken, state, 4 * STEPS, keep=1)
        with pytest.raises(RunError, match="does not fit its configuration"):
            read_networks(broken.path)


def test_what_cannot_be_an_encoder_is_an_error_of_the_configuration(tmp_path: Path, model_file: Path) -> None:
    with pytest.raises(ConfigError, match=r"encoder\.path: .*nowhere\.npz: no such motion model"):
        build(load_config(overrides={"algorithm": "ppo", "encoder.path": str(tmp_path / "nowhere.npz")}))
    with pytest.raises(ConfigError, match=r"networks\.symmetric: a policy with an encoder"):
        load_config(overrides={"algorithm": "ppo", "encoder.path": str(model_file), "networks.symmetric": True})
    warmed = {"algorithm": "ppo", "encoder.path": str(model_file), "encoder.critic_warmup": 3}
    with pytest.raises(ConfigError, match=r"encoder\.critic_warmup: not with ppo\.lr_schedule kl"):
        load_config(overrides=warmed | {"ppo.lr_schedule": "kl"})
    with pytest.raises(ConfigError, match=r"encoder\.path is null; the learner encoder needs a motion model"):
        load_config(overrides={"algorithm": "ppo", "learners": ["encoder"]})


@pytest.mark.parametrize("more", [{"ppo.freeze_obs_after": 0}, {"ppo.l2_initial": 0.01}])
def test_frozen_statistics_and_a_pull_to_the_start_go_with_an_encoder(
    model_file: Path, more: dict[str, object]
) -> None:
    small = SMALL | {"algorithm": "ppo", "encoder.path": str(model_file), "encoder.unfreeze_at": None}
    model = build(load_config(overrides=small | more)).model
    statistics = model.get_vec_normalize_env().obs_rms  # type: ignore[union-attr]
    assert isinstance(statistics, EncoderMeanStd)
    before = statistics.var.copy()
    statistics.update(np.random.default_rng(0).normal(3.0, 0.1, (64, len(before))))
    assert (statistics.var == before).all() == ("ppo.freeze_obs_after" in more)
    learns = [p.requires_grad for p in model.policy.features_extractor.network.parameters()]
    assert learns
    assert not any(learns)


def test_without_an_encoder_nothing_of_it_is_built() -> None:
    small = {key: value for key, value in SMALL.items() if not key.startswith("encoder")}
    training = build(load_config(overrides=small | {"algorithm": "ppo"}))
    assert "encoder" not in training.learners
    assert type(training.model.policy.optimizer) is torch.optim.Adam
    assert not isinstance(training.model.get_vec_normalize_env().obs_rms, EncoderMeanStd)
