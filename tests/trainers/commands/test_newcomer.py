"""The first things that somebody tries: what is there, by which name, and what a mistake is told."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gait_envs import IDS, __version__
from gait_envs.assets import asset_path
from gait_trainers import load_policy
from gait_trainers.cli import app
from gait_trainers.config.layers import load_config, preset_names
from gait_trainers.config.schema import ConfigError
from gait_trainers.policies.base import PolicyError
from gait_trainers.policies.loading import bundled_policies, find_policy
from gait_trainers.rl.build import make_vec_env

BUNDLED = [
    "humanoid_imitation",
    "humanoid_refnn",
    "humanoid_tracker",
    "humanoid_walk",
    "muscle_humanoid_imitation",
    "muscle_humanoid_tracker",
    "wildrobot_captured",
    "wildrobot_clone",
    "wildrobot_imitation",
    "wildrobot_robust",
    "wildrobot_walk",
]


def invoke(*words: str) -> str:
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_names_everything_that_can_be_given() -> None:
    text = invoke("list")
    for name in (*IDS, *preset_names(), *BUNDLED, "wildrobot_walk", "human_walk"):
        assert name in text
    assert not [line for line in text.splitlines() if len(line) > 80]
    found = json.loads(invoke("list", "--json"))
    assert list(found["bundled policies (gait-train play NAME)"].items())[-1] == (
        "wildrobot_walk",
        "GaitNet/WildRobot-v0",
    )
    assert found["demonstrations (gait-train bc NAME)"] == {
        "wildrobot_walk": "6 episodes, 3,000 steps of GaitNet/WildRobot-v0"
    }
    assert found["environments (--env)"]["GaitNet/WildRobot-v0"] == "500 steps, preset laptop"


def test_a_bundled_policy_is_found_by_its_name_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert bundled_policies() == BUNDLED
    assert find_policy("wildrobot_walk") == asset_path("policies/wildrobot_walk")
    assert load_policy("wildrobot_walk").env_id == "GaitNet/WildRobot-v0"
    (tmp_path / "wildrobot_walk").mkdir()  # what is really there comes first
    with pytest.raises(PolicyError, match="wildrobot_walk: holds nothing, not a bundle"):
        load_policy("wildrobot_walk")
    with pytest.raises(PolicyError, match=r"wildrobot_wlk: no such file or folder; .* bundled humanoid_imitation, "):
        load_policy("wildrobot_wlk")
    with pytest.raises(PolicyError, match="no such file or folder"):
        load_policy("policies/wildrobot_walk")


def test_the_version_is_told_by_the_program_and_by_the_module() -> None:
    assert invoke("--version") == f"gait-train {__version__}\n"
    command = [sys.executable, "-m", "gait_trainers", "--version"]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == f"gait-train {__version__}\n"


@pytest.mark.parametrize("name", ["ppo", "ppo-amp", "imitate", "muscle"])
def test_every_trainer_takes_an_environment(name: str) -> None:
    assert "--env" in invoke(name, "--help")


def test_an_environment_that_does_not_exist_is_told_from_options_that_do_not() -> None:
    config = load_config(overrides={"algorithm": "ppo", "env.id": "GaitNet/WildRobt-v0"})
    with pytest.raises(ConfigError, match=r"^env\.id: no environment 'GaitNet/WildRobt-v0'; did you mean 'GaitNet/"):
        make_vec_env(config)


def test_inspect_shows_what_a_capture_holds(tmp_path: Path) -> None:
    pytest.importorskip("mink")
    from helpers.examples import BVH

    from gait_envs.mocap.cli import app as data_app

    capture = tmp_path / "walk.bvh"
    capture.write_text(BVH)
    result = CliRunner().invoke(data_app, ["inspect", str(capture)], env={"COLUMNS": "120"})
    assert result.exit_code == 0, result.output
    assert "3 at 30 Hz, 0.07 s" in result.stdout
    assert "Hips, Knee" in result.stdout
    assert "no joint found for left_hip" in result.stdout  # a piece of a skeleton: no command is proposed
    assert "--out walk.npz" not in result.stdout
    assert CliRunner().invoke(data_app, ["--version"]).stdout == f"gait-data {__version__}\n"


WITHOUT_TORCH = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "stable_baselines3", "sb3_contrib", "tensorboard", "matplotlib"}:
            raise ImportError(f"{name} is not installed here")

sys.meta_path.insert(0, Missing())
from gait_trainers import load_policy
from gait_trainers.cli import main
from gait_trainers.commands import evaluate, play

policy = load_policy("wildrobot_walk")
short = ["--command", "0.4", "--episodes", "1", "--env-set", "max_episode_steps=60"]
sys.argv = ["gait-train", "evaluate", policy.name, *short]
main()
"""


def test_the_extra_play_needs_no_torch() -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "wildrobot_walk: 1 episode, deterministic" in result.stdout
