"""Training a RefNN: the loss by hand, the replay buffer, what is held out, exact resume, the command."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.still_refnn import facts, gliding, sequences, write_model
from typer.testing import CliRunner

from gait_envs.reference.pose_features import POSE_LAYOUT
from gait_envs.reference.refnn.network import load_network
from gait_envs.reference.refnn.walks import WalkError, save_sequences
from gait_trainers.cli import app
from gait_trainers.config.section import ConfigError
from gait_trainers.models.ref_nn import RefNN, load_refnn
from gait_trainers.pretrain.refnn.config import PRESETS, RefNNConfig, dump_refnn_config, load_refnn_config
from gait_trainers.pretrain.refnn.data import Stream, open_data, rows_of
from gait_trainers.pretrain.refnn.evaluate import evaluate_refnn
from gait_trainers.pretrain.refnn.figures import group_errors, summary, walk_figures
from gait_trainers.pretrain.refnn.learner import RefLearner, loss_weights, pose_loss
from gait_trainers.pretrain.refnn.run import resume_refnn, train_refnn
from gait_trainers.runs.run_folder import Run, RunError

SIZE = POSE_LAYOUT.size
TINY: dict[str, Any] = {
    "hidden": [8], "learning_rate": 1e-2, "batch_size": 64, "epochs": 2, "replay": 300, "stream_batch": 200,
    "stream_scale": 3, "iterations": 5, "checkpoint_every": 2, "holdout": 0.25,
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sequences")
    for seed in (0, 1):
        save_sequences(folder / f"{seed}.npz", sequences(8, seed))
    return folder


# -- loss and learner -------------------------------------------------------------------------------------


def test_loss_by_hand() -> None:
    weights = loss_weights(RefNNConfig(), facts())
    found, wanted = torch.zeros(1, SIZE), torch.zeros(1, SIZE)
    wanted[0, [0, 6, 8, 56, 57, 100]] = torch.tensor([1.0, 1.0, -1.0, 1.0, 2.0, -2.0])
    # 5 · (1² + 2² + 2² + 1² + (0.5 · 2)² + (0.5 · 2)²) / 101
    assert pose_loss(found, wanted, weights, 5.0).item() == pytest.approx(60.0 / 101, rel=1e-6)


def test_defaults_are_forward_gaitnets() -> None:
    config = load_refnn_config(preset="paper")
    assert config == RefNNConfig()
    assert (config.hidden, config.learning_rate, config.batch_size, config.epochs) == ([512, 512, 512], 1e-5, 128, 5)
    assert (config.replay, config.stream_batch, config.stream_scale) == (30_000, 65_536, 100)
    assert (config.gradient_clamp, config.checkpoint_every) == (0.1, 50)
    learner = RefLearner(config, facts())
    assert [layer.out_features for layer in learner.network.linear] == [512, 512, 512, SIZE]
    bound = math.sqrt(6 / (512 + 512))  # Xavier's
    weight = learner.network.linear[1].weight
    assert 0.99 * bound < weight.abs().max().item() <= bound
    assert not learner.network.linear[1].bias.any()


def test_settings_are_checked(tmp_path: Path) -> None:
    unknown = r"^override epoch=3: unknown key 'epoch' \(did you mean 'epochs'\?\); allowed here: hidden, learning_rate"
    with pytest.raises(ConfigError, match=unknown):
        load_refnn_config(overrides={"epoch": 3})
    with pytest.raises(ConfigError, match=r"unknown preset 'phone'; available: paper, laptop"):
        load_refnn_config(preset="phone")
    config = RefNNConfig(**(PRESETS["laptop"] | TINY))
    (tmp_path / "config.yaml").write_text(dump_refnn_config(config))
    assert load_refnn_config(tmp_path / "config.yaml") == config


def test_the_replay_buffer_keeps_the_newest() -> None:
    learner = RefLearner(RefNNConfig(**TINY | {"replay": 5, "epochs": 1}), facts())
    inputs = np.zeros((4, 5), np.float32)
    for k in range(3):
        learner.learn(inputs + k, np.zeros((4, SIZE), np.float32))
    assert learner.replay[0][:, 0].tolist() == [1.0, 2.0, 2.0, 2.0, 2.0]
    assert learner.iteration == 3


def test_gradients_are_clamped() -> None:
    learner = RefLearner(RefNNConfig(**TINY | {"gradient_clamp": 1e-3, "epochs": 1}), facts())
    learner.learn(np.ones((4, 5), np.float32), np.full((4, SIZE), 100.0, np.float32))
    largest = max(float(p.grad.abs().max()) for p in learner.network.parameters() if p.grad is not None)
    assert largest == pytest.approx(1e-3)


def test_the_learning_rate_falls_along_a_cosine() -> None:
    learner = RefLearner(RefNNConfig(**TINY | {"learning_rate": 1.0, "final_learning_rate": 0.5}), facts())
    rates = []
    for learner.iteration in range(5):
        rates.append(learner.learning_rate())
    assert rates == pytest.approx([1.0, 0.75 + 0.25 * math.sqrt(0.5), 0.75, 0.75 - 0.25 * math.sqrt(0.5), 0.5])


def test_torch_and_numpy_agree(tmp_path: Path) -> None:
    network = RefNN(facts(), [16, 16], torch.Generator().manual_seed(0))
    write_model(tmp_path / "mine", network.numpy())
    read = load_refnn(tmp_path / "mine")
    rng = np.random.default_rng(0)
    params, phase = rng.uniform(facts().low, facts().high, size=(6, 3)), rng.uniform(size=6)
    inputs = np.column_stack([params, np.sin(2 * np.pi * phase), np.cos(2 * np.pi * phase)])
    with torch.no_grad():
        poses = read(torch.as_tensor(inputs, dtype=torch.float32)).numpy()
        features = read.encode(torch.as_tensor(inputs, dtype=torch.float32))
    np.testing.assert_allclose(poses, load_network(tmp_path / "mine")(params, phase), atol=1e-5)
    assert features.shape == (6, read.feature_size) == (6, 16)
    assert read.input_names == ("stride", "cadence", "scale.thigh", "phase_sin", "phase_cos")
    np.testing.assert_allclose(
        read.normalize(torch.tensor([[0.8, 130.0, 1.0, -1.0, 0.5]])), [[0, 1, 0.5, -1, 0.5]], rtol=1e-6
    )


# -- data -------------------------------------------------------------------------------------------------


def test_what_is_held_out_is_never_learned_from(data: Path) -> None:
    opened = open_data([data], holdout=0.25, seed=0, balanced=True)
    params, motions = opened.whole(held_out=False)
    kept, _ = opened.whole(held_out=True)
    assert (len(params), len(kept), motions.shape[1:]) == (12, 4, (60, SIZE))  # 2 of 8 walkers of each file
    assert not set(params[:, 0]) & set(kept[:, 0])
    allowed = set(params[:, 0].astype(np.float32).tolist())
    stream = Stream(opened, 200, 2, seed=0)
    assert set(np.concatenate([stream.draw()[0][:, 0] for _ in range(4)]).tolist()) <= allowed


def test_rows_of_a_sequence() -> None:
    made = sequences(2)
    inputs, poses = rows_of(made.params, made.motions)
    assert inputs.shape == (120, 4)
    angle = 2 * np.pi * 7 / 30
    np.testing.assert_allclose(inputs[60 + 7], [*made.params[1], np.sin(angle), np.cos(angle)], rtol=1e-6)
    np.testing.assert_array_equal(poses[60 + 7], made.motions[1, 7])


def test_data_without_a_changing_stride_is_refused(tmp_path: Path) -> None:
    made = sequences(3)
    made.params[:, 0] = 1.0
    save_sequences(tmp_path / "one.npz", made)
    with pytest.raises(WalkError, match=r"stride never changes"):
        open_data([tmp_path], holdout=0.0, seed=0, balanced=False)


# -- runs -------------------------------------------------------------------------------------------------


def test_resumed_is_uninterrupted(data: Path, tmp_path: Path) -> None:
    config = RefNNConfig(**TINY)
    whole = train_refnn([data], tmp_path / "whole", config)
    train_refnn([data], tmp_path / "cut", RefNNConfig(**TINY | {"iterations": 4}))
    Run(tmp_path / "cut").checkpoints()[-1].unlink()  # as if it had been killed after iteration 3
    cut, _ = resume_refnn(tmp_path / "cut", {"iterations": 5})
    for a, b in zip(whole.parameters(), cut.parameters(), strict=True):
        assert torch.equal(a, b)
    rows = [(tmp_path / name / "metrics.csv").read_text() for name in ("whole", "cut")]
    assert rows[0] == rows[1]
    with pytest.raises(RunError, match=r"exists already"):
        train_refnn([data], tmp_path / "whole", config)


def test_the_command_trains_what_serves(data: Path, tmp_path: Path) -> None:
    settings = [word for key, value in TINY.items() for word in ("--set", f"{key}={value}")]
    result = CliRunner().invoke(app, ["refnn", str(data), "--out", str(tmp_path / "run"), *settings])
    assert result.exit_code == 0, result.output
    network = load_network(tmp_path / "run" / "model")
    assert network.facts.names == ("stride", "cadence")
    told = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert told["data"]["files"][0] | {"file": ""} == {
        "file": "", "sequences": 8, "walkers": 8, "source": "made for a test", "license": "MIT",
        "sha256": hashlib.sha256((data / "0.npz").read_bytes()).hexdigest(),
    }  # fmt: skip
    assert len(told["data"]["held_out"]) == 4
    assert told["held_out_error"]["stride_percent"] >= 0
    rows = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert rows[0].split(",") == ["iteration", "loss", "learning_rate", "held_out_loss"]
    assert len(rows) == 6


# -- figures ----------------------------------------------------------------------------------------------


def test_errors_by_hand() -> None:
    made = sequences(2)
    network = gliding(("stride", "cadence"))
    errors = group_errors(network, made.params, made.motions)
    assert errors["root_step_mm"] == pytest.approx(0.0, abs=1e-3)
    assert errors["stride_percent"] == pytest.approx(0.0, abs=1e-3)
    # Ten joints of the legs, of which one differs: a sine against the pose that is held.
    knee = POSE_LAYOUT.slices()["right_knee"].start
    held = network(made.params[:1], np.zeros(1))[0, knee]
    swing = np.degrees(np.sin(2 * np.pi * np.arange(60) / 30) - held)
    assert errors["legs_deg"] == pytest.approx(np.sqrt(np.mean(swing**2) / 10), rel=1e-3)
    assert errors["trunk_deg"] == pytest.approx(0.0, abs=0.05)


def test_feet_that_glide_slip() -> None:
    network = gliding(("stride", "cadence"))
    network.facts.low[1] = 60.0
    walks = walk_figures(network, network.params({"stride": 0.8, "cadence": 60.0}, 1))
    # The pose is held, so every sole is as fast as the root, and stands as it is slower than 0.5 m/s.
    assert walks["speed"][0] == pytest.approx(0.4, rel=1e-5)
    assert (walks["slip"][0], walks["slip_mean"][0]) == (pytest.approx(0.4, rel=1e-4), pytest.approx(0.4, rel=1e-4))
    found = summary(walks)
    assert found["speed_percent"] == pytest.approx(0.0, abs=1e-2)
    assert found["unmeasured"] == 1  # no foot ever steps


def test_every_reading_has_rows_of_every_file_by_their_number(tmp_path: Path) -> None:
    """However small the pool is beside a file; which file a row is of, its stride says."""
    for number, count in enumerate((12, 12, 24)):
        made = sequences(count, number)
        made.params[:, 0] = 1.0 + number + np.linspace(0, 0.1, count)
        save_sequences(tmp_path / f"{number}.npz", made)
    opened = open_data([tmp_path], holdout=0.0, seed=0, balanced=False)
    for scale in (1, 4):
        stream = Stream(opened, 100, scale, seed=0)
        for _ in range(2):
            strides = np.concatenate([stream.draw()[0][:, 0] for _ in range(scale)])
            shares = np.bincount(strides.astype(int) - 1, minlength=3) / len(strides)
            assert shares == pytest.approx([0.25, 0.25, 0.5], abs=3 / len(strides))
    more = Stream(opened, 5000, 1, seed=0).draw()[0][:, 0]  # more than there is: every row once, then again
    assert len(more) == 5000
    assert set(np.bincount(more.astype(int) - 1) >= 60 * np.array([12, 12, 24])) == {True}


def test_figures_are_of_every_file(tmp_path: Path) -> None:
    """Also of two of one name in two folders."""
    files = [tmp_path / "a" / "walks.npz", tmp_path / "b" / "walks.npz", tmp_path / "b" / "runs.npz"]
    for number, file in enumerate(files):
        file.parent.mkdir(exist_ok=True)
        save_sequences(file, sequences(4 + number, number))
    found = evaluate_refnn(gliding(), files, walks=1)["data"]
    assert {name: one["sequences"] + one["beyond"] for name, one in found.items()} == {
        str(files[0]): 4, str(files[1]): 5, "runs.npz": 6,
    }  # fmt: skip
