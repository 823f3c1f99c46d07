"""Clips that a training cannot use are blamed on the setting that names them, not on the environment."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_trainers.cli import app
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError
from gait_trainers.rl.build import build, make_vec_env
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.resumption import elsewhere

FEW = {"env.num_envs": 2, "ppo.n_steps": 8, "ppo.minibatches": 1}
BOTH = "amp.data and env.kwargs.reference: "


def missing(folder: Path) -> str:
    return str(folder / "tracked")


def empty(folder: Path) -> str:
    (folder / "empty").mkdir()
    return str(folder / "empty")


def other_robot(folder: Path) -> str:
    return str(shutil.copyfile(asset_path("motions/human_walk/walk_120.npz"), folder / "human.npz"))


def broken(folder: Path) -> str:
    (folder / "broken.npz").write_bytes(b"PK no clip")
    return str(folder / "broken.npz")


def no_model(folder: Path) -> str:
    return "refnn:nowhere"


CLIPS = [missing, empty, other_robot, broken, no_model]


@pytest.mark.parametrize("clips", CLIPS)
def test_the_setting_that_names_the_clips_is_told(clips, tmp_path: Path) -> None:
    source = clips(tmp_path)
    for words, begins in (
        (["ppo-amp", "--preset", "laptop", "--amp-data", source], BOTH),
        (["ppo", "--preset", "laptop", "--set", f"env.kwargs.reference={source}"], "env.kwargs.reference: "),
        (["imitate", "--reference", source], "env.kwargs.reference: "),
        (["muscle", "--reference", "wildrobot_walk"], "env.kwargs.reference: "),
    ):
        result = CliRunner().invoke(
            app, [*words, "--num-envs", "8", "--set", "ppo.minibatches=1", "--out", str(tmp_path / "o")]
        )
        assert isinstance(result.exception, ConfigError), result.output
        assert str(result.exception).startswith(begins)
        assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("clips", CLIPS)
def test_clips_of_the_style_alone_are_told_from_those_of_the_environment(clips, tmp_path: Path) -> None:
    config = load_config(overrides={"algorithm": "ppo-amp", "amp.data": clips(tmp_path)} | FEW)
    with pytest.raises(ConfigError, match=r"^amp\.data: "):
        build(config)


def test_clips_named_from_another_folder_are_told_from_missing_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is wrong with a run is not blamed on the folder."""
    shutil.copytree(asset_path("motions/wildrobot_walk"), tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    few = {"algorithm": "ppo-amp", "amp.data": "mine", "env.kwargs.reference": "mine", "run.iterations": 1}
    own = {"run.out": str(tmp_path), "run.name": "run", "amp.batch_size": 8, "networks.policy": [8]}
    train(load_config(overrides=few | own | FEW))
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    with pytest.raises(ConfigError, match="relative names in a run are of the folder that it was begun in"):
        resume(tmp_path / "run")
    assert elsewhere(ConfigError("env.id 'GaitNet/WildRobot-v0' cannot be made"), ["mine"]) == ""
    monkeypatch.chdir(tmp_path)
    assert resume(tmp_path / "run").iterations == 1


def test_a_presets_clips_in_another_body() -> None:
    overrides = {"env.id": "GaitNet/Humanoid-v0"} | FEW
    with pytest.raises(
        ConfigError, match=r"^env\.kwargs\.reference: .*Clips of 'wildrobot' are for GaitNet/WildRobot-v0"
    ):
        make_vec_env(load_config(preset="laptop", overrides=overrides))


def test_an_id_without_our_vector_form_is_told_what_it_lacks() -> None:
    config = load_config(overrides={"algorithm": "ppo", "env.id": "CartPole-v1"} | FEW)
    with pytest.raises(ConfigError, match=r"^env\.id 'CartPole-v1' has no vector form that a training can step"):
        make_vec_env(config)
