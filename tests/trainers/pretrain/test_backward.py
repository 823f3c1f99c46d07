"""Backward GaitNet: what the RefNN shows in a window, figures by hand, and that a tiny one learns and is saved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.still_refnn import STEP, facts, gliding, write_model

from gait_envs.reference.refnn.walks import Walks
from gait_trainers.models.backward import FRAMES, seen
from gait_trainers.models.ref_nn import RefNN, load_refnn
from gait_trainers.pretrain.refnn.backward import (
    BackwardConfig,
    generated_windows,
    inferred,
    load_backward,
    recovery,
    refined,
    save_backward,
    train_backward,
)
from gait_trainers.pretrain.refnn.windows import windows_of
from gait_trainers.runs.run_folder import RunError

NAMES = ("stride", "cadence")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> RefNN:
    return load_refnn(write_model(tmp_path_factory.mktemp("models") / "gliding", gliding(NAMES)))


def test_a_window_shows_time_not_phase(network: RefNN) -> None:
    params = torch.tensor([[1.2, 90.0]])
    poses = seen(network, params, torch.tensor([0.0]), torch.arange(3.0))
    # 1.2 m in 120 / 90 s is 0.9 m/s: 0.03 m from one frame to the next.
    np.testing.assert_allclose(poses[0, :, STEP.start].detach().numpy(), 0.03, rtol=1e-5)


def test_windows_are_measured() -> None:
    time = np.arange(75) / 30.0
    motions = np.zeros((75, 57))
    motions[:, 0], motions[:, 1], motions[:, 2] = -0.6 * time, 0.8 * time, 0.9  # 1 m/s
    motions[:, 56] = (time / 1.25) % 1.0  # 96 steps/min, 1.25 m a cycle
    walks = Walks(np.array([[1.0, 100.0]]), NAMES, motions, np.array([75]), ("one",), 30.0, "a test", "MIT")
    found = windows_of([walks], NAMES)
    assert found.poses.shape == (2, FRAMES, 101)  # from frames 1 and 11
    np.testing.assert_allclose(found.params, [[1.25, 96.0]] * 2, rtol=1e-6)
    np.testing.assert_allclose(found.phase, [1 / 30 / 1.25, 11 / 30 / 1.25], rtol=1e-6)
    np.testing.assert_allclose(found.poses[0, :, STEP], [[1 / 30, 0.0]] * FRAMES, atol=1e-6)
    faster = windows_of([walks], NAMES, stretch=(1.1,))
    np.testing.assert_allclose(faster.params, [[1.25, 105.6]], rtol=1e-3)


def test_recovery_by_hand() -> None:
    wanted = np.array([[1.0, 100.0], [1.2, 100.0]])
    found = np.array([[1.1, 100.0], [1.2, 90.0]])
    figures = recovery(NAMES, found, wanted)
    assert figures["stride_percent"] == pytest.approx(5.0)
    assert figures["cadence_percent"] == pytest.approx(5.0)
    assert figures["speed_percent"] == pytest.approx(10.0)
    # Of the stride 0.1² of 2 · 0.1² is missed; the cadence does not change.
    assert figures["r2"] == {"stride": pytest.approx(0.5), "cadence": None}


def test_a_tiny_one_learns_what_can_be_seen(network: RefNN, tmp_path: Path) -> None:
    params = np.random.default_rng(0).uniform(facts(NAMES).low, facts(NAMES).high, size=(50, 2))
    windows = generated_windows(network, params, 200, np.random.default_rng(1))
    config = BackwardConfig(steps=60, batch_size=32, learning_rate=3e-3)
    model = train_backward(network, windows, config)
    # A pose that is held shows the speed, the product of both; the RefNN itself stays as it was.
    assert recovery(NAMES, inferred(model, windows), windows.params)["speed_percent"] < 8.0
    assert not any(p.requires_grad for p in network.parameters())
    few = windows.take(np.arange(200) < 4)
    better = recovery(NAMES, refined(model, few, steps=30), few.params)["speed_percent"]
    assert better < recovery(NAMES, inferred(model, few), few.params)["speed_percent"] + 1.0
    save_backward(tmp_path / "backward.pt", model)
    read = load_backward(tmp_path / "backward.pt", network)
    np.testing.assert_array_equal(inferred(read, few), inferred(model, few))
    with pytest.raises(RunError, match=r"was trained for other parameters than stride, cadence, scale.thigh"):
        load_backward(tmp_path / "backward.pt", RefNN(facts(), [2]))
