"""Metrics beside the CSV file: Weights & Biases gets the configuration, every number, and an end."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from gait_trainers.config.layers import load_config
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.run_folder import RunError

TINY = {
    "env.num_envs": 2, "ppo.n_steps": 4, "ppo.minibatches": 1, "ppo.epochs": 1, "networks.policy": [4],
    "networks.value": [4], "run.iterations": 2, "run.tensorboard": False, "run.name": "tracked", "algorithm": "ppo",
    "run.wandb": {"enabled": True, "project": "walks", "entity": "us"},
}  # fmt: skip


class Recorder:
    """Stands in for the library."""

    def __init__(self) -> None:
        self.begun: list[dict[str, Any]] = []
        self.logged: list[dict[str, float]] = []
        self.finished = 0

    def init(self, **given: Any) -> Recorder:
        self.begun.append(given)
        return self

    def log(self, numbers: dict[str, float]) -> None:
        self.logged.append(numbers)

    def finish(self) -> None:
        self.finished += 1


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    found = Recorder()
    module = types.ModuleType("wandb")
    module.init = found.init  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    return found


def test_a_run_and_its_continuation_are_one_run_there(recorder: Recorder, tmp_path: Path) -> None:
    result = train(load_config(overrides=TINY | {"run.out": str(tmp_path)}))
    (begun,) = recorder.begun
    assert (begun["project"], begun["entity"], begun["name"]) == ("walks", "us", "tracked")
    assert begun["config"]["ppo"]["n_steps"] == 4
    assert [row["steps"] for row in recorder.logged] == [8, 16]
    assert {"walk/forward_velocity", "train/value_loss", "time/steps_per_second"} <= recorder.logged[-1].keys()
    assert recorder.finished == 1
    resume(result.run.path, {"run.iterations": 3})
    assert recorder.begun[1]["id"] == begun["id"]
    assert [row["steps"] for row in recorder.logged] == [8, 16, 24]
    assert recorder.finished == 2


def test_without_the_library_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(RunError, match=r"run.wandb.enabled needs wandb; install it with: pip install 'gaitnet\[wandb"):
        train(load_config(overrides=TINY | {"run.out": str(tmp_path)}))


@pytest.mark.third_party
def test_the_library_itself_writes_an_offline_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    result = train(load_config(overrides=TINY | {"run.out": str(tmp_path)}))
    assert list((result.run.path / "wandb").glob("offline-run-*/*.wandb"))
