"""A run is resumed with the configuration that it was trained with, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from gait_trainers import cli
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.checkpoint import load_checkpoint, save_checkpoint
from gait_trainers.runs.resumption import RESUMABLE, flat
from gait_trainers.runs.run_folder import Run, RunError

SETTINGS = {
    "algorithm": "ppo",
    "env.num_envs": 4,
    "env.kwargs.reward_weights": {"torque": 0.5},
    "ppo.n_steps": 8,
    "ppo.minibatches": 2,
    "networks.policy": [16],
    "networks.value": [16],
    "run.iterations": 1,
    "run.name": "tiny",
    "run.tensorboard": False,
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    return train(load_config(overrides=SETTINGS | {"run.out": str(out)})).run.path


def edit(run: Path, **changes: Any) -> None:
    """Write settings into its config.yaml by hand."""
    tree = yaml.safe_load((run / "config.yaml").read_text())
    for dotted, value in changes.items():
        *parts, last = dotted.split("__")
        at = tree
        for part in parts:
            at = at[part]
        at[last] = value
    (run / "config.yaml").write_text(yaml.safe_dump(tree))


@pytest.mark.parametrize(
    "changes",
    [
        {"ppo__learning_rate": 0.01},
        {"run__seed": 7},
        {"ppo__n_steps": 16},
        {"algorithm": "ppo-amp"},
        {"env__kwargs": {}},
        {"env__kwargs": {"reward_weights": {"torque": 0.25}}},
        {"env__num_envs": 8, "run__checkpoint_every": 3},
        {"schedule": [{"iteration": 1, "reward_weights": {"torque": 1.0}}]},
        {"ppo__normalize_obs": False},
    ],
    ids=str,
)
def test_an_edited_configuration_is_refused_by_name(trained: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "tiny"))
    edit(run, **changes)
    before = {file: file.read_bytes() for file in run.rglob("*") if file.is_file()}
    with pytest.raises(ConfigError) as caught:
        resume(run)
    told = str(caught.value)
    assert len(told.splitlines()) == 1
    for dotted in changes:
        assert dotted.replace("__", ".") in told
    assert f"--config {run / 'config.yaml'} --init {run} --name NEW" in told
    assert {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.name != ".lock"} == {
        file: data for file, data in before.items() if file.name != ".lock"
    }


def test_what_may_change_may_be_edited_and_given(trained: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "tiny"))
    edit(run, run__iterations=2, run__minutes=60.0, run__torch_threads=1)
    assert resume(run).iterations == 2
    assert resume(run, {"run.iterations": 3}).iterations == 3
    with pytest.raises(ConfigError, match=r"ppo\.gamma is 0\.5, was 0\.99"):
        resume(run, {"ppo.gamma": 0.5})
    assert {"run.iterations", "run.minutes", "run.device", "run.torch_threads"} == RESUMABLE


def test_the_way_that_the_error_offers_is_one(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    run = Path(shutil.copytree(trained, tmp_path / "tiny"))
    edit(run, ppo__learning_rate=0.01)
    command = ["ppo", "--config", str(run / "config.yaml"), "--init", str(run), "--name", "new", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", ["gait-train", *command])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code in (0, None), capsys.readouterr().err
    assert load_config(tmp_path / "new" / "config.yaml").ppo.learning_rate == 0.01


def test_a_checkpoint_that_says_nothing_of_its_configuration_is_continued(trained: Path, tmp_path: Path) -> None:
    """Those of before it was recorded."""
    run = Run(Path(shutil.copytree(trained, tmp_path / "tiny")))
    state = load_checkpoint(run.checkpoints()[-1])
    del state["config"]
    save_checkpoint(run, state, 32, keep=1)
    edit(run.path, ppo__learning_rate=0.01, run__iterations=2)
    assert resume(run.path).iterations == 2


@pytest.mark.parametrize("changes", [{"optimizer": []}, {"policy": {"x": 1}}, {"random": None}], ids=str)
def test_a_checkpoint_that_holds_something_else_is_refused(
    trained: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    run = Run(Path(shutil.copytree(trained, tmp_path / "tiny")))
    save_checkpoint(run, load_checkpoint(run.checkpoints()[-1]) | changes, 32, keep=1)
    with pytest.raises(RunError, match=r"step_0+32\.pt: cannot be continued by this version: "):
        resume(run.path)


def test_flat_by_hand() -> None:
    assert flat({"a": {"b": 1, "c": {}}, "d": [{"e": 2}]}) == {"a.b": 1, "a.c": {}, "d": [{"e": 2}]}
