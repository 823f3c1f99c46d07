"""What the command lines say of doubtful requests, and how they count."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.mocap.cli import app as data_app
from gait_envs.wording import counted
from gait_trainers.cli import COMMANDS, app
from gait_trainers.commands.checks import beyond_training
from gait_trainers.commands.list import embedded_sets
from gait_trainers.policies.loading import load_policy


@pytest.mark.parametrize(
    "program, wrong, meant",
    [
        (app, "ppo_amp", "ppo-amp"),
        (app, "lst", "list"),
        (app, "evaluate_motion", "evaluate-motion"),
        (data_app, "retargt", "retarget"),
    ],
)
def test_a_misspelt_command_is_told_what_it_may_be(program: Any, wrong: str, meant: str) -> None:
    result = CliRunner().invoke(program, [wrong, "--anything"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert f"No such command '{wrong}'. Did you mean '{meant}'?" in result.output


def test_nothing_is_suggested_for_what_is_like_no_command() -> None:
    result = CliRunner().invoke(app, ["xyzzy"], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert "No such command 'xyzzy'" in result.output
    assert "Did you mean" not in result.output
    assert all(CliRunner().invoke(app, [name, "--help"]).exit_code == 0 for name in list(COMMANDS)[:2])


def test_commands_beyond_the_training_are_warned_of() -> None:
    walker, tracker = load_policy("wildrobot_walk"), load_policy("wildrobot_imitation")
    assert beyond_training(walker, [(0.4, 0.0, 0.0), (0.9, 0.2, -0.5), (0.0, 0.0, 0.0)]) == []
    assert beyond_training(walker, [(-5.0, 0.0, 0.0), (0.5, 0.0, 2.0)]) == [
        "warning: command -5: wildrobot_walk was trained for 0 to 0.9 m/s ahead",
        "warning: command 0.5, 0, 2: wildrobot_walk was trained for -0.5 to 0.5 rad/s",
    ]
    assert beyond_training(tracker, [(9.0, 0.0, 0.0)]) == []
    short = ["--episodes", "1", "--env-set", "max_episode_steps=60"]
    result = CliRunner().invoke(app, ["evaluate", "wildrobot_walk", "--command", "1.5", "--json", *short])
    assert result.exit_code == 0, result.output
    assert "warning: command 1.5: wildrobot_walk was trained for 0 to 0.9 m/s ahead" in result.stderr
    assert "warning" not in result.stdout


def test_every_embedded_set_is_listed() -> None:
    names = {folder.name for folder in embedded_sets()}
    assert names >= {"human_start", "human_walk", "wildrobot_walk"}
    assert names == {path.parent.name for path in asset_path("motions").glob("*/*.npz")}
    text = CliRunner().invoke(app, ["list"]).stdout
    assert all(f"  {name}" in text for name in names)


def test_counted() -> None:
    assert [counted(n, "episode") for n in (0, 1, 2, 3000)] == [
        "0 episodes",
        "1 episode",
        "2 episodes",
        "3,000 episodes",
    ]
