"""Evaluations of policies whose outcome is known beforehand: a statue, one that lies down, a counting critic."""

import dataclasses
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_envs.errors import GaitNetError
from gait_envs.reference.clip import save_clip
from gait_envs.reference.library import load_clips
from gait_trainers.cli import app
from gait_trainers.commands.checks import parse_env_set, stands_still
from gait_trainers.evaluation.rollout import json_options, record
from gait_trainers.evaluation.walking import (
    EvaluationError,
    default_commands,
    evaluate,
    parse_command,
    style_judge,
    thinned,
)
from gait_trainers.policies.base import Feedforward, GaussianPolicy, PolicyError, Style
from gait_trainers.policies.environment import EnvironmentOptionError, make_env
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.evaluation_tables import print_table

ENV = "GaitNet/WildRobot-v0"
SHORT = {"max_episode_steps": 60}  # 1.2 s


def stub(mean: float = 0.0, std: float = 0.0, joint: int | None = None, **kwargs) -> GaussianPolicy:
    """Holds the home pose; `joint` alone is asked for `mean` instead."""

    def forward(obs):
        action = np.zeros((len(obs), 9), np.float32)
        action[:, slice(None) if joint is None else joint] = mean
        return action, np.full_like(action, std)

    return GaussianPolicy("stub", Feedforward(forward), ENV, {}, **kwargs)


def test_a_statue_succeeds_and_is_as_wrong_as_the_command_is_fast():
    result = evaluate(stub(), 7, [(0.3, 0.0, 0.0), (0.8, 0.0, 0.0)], env_kwargs=SHORT, threads=1)
    slow, fast = result["per_command"]
    assert (result["episodes"], slow["episodes"], fast["episodes"]) == (7, 4, 3)
    assert result["success_rate"] == 1.0
    assert result["is_success_rate"] == slow["is_success_rate"] == 0.0
    assert slow["speed_error"] == pytest.approx(0.3, abs=0.02)
    assert fast["speed_error"] == pytest.approx(0.8, abs=0.02)
    assert result["speed_error"] == pytest.approx((4 * slow["speed_error"] + 3 * fast["speed_error"]) / 7)
    assert result["episode_length"] == pytest.approx(1.2)
    assert sum(result["falls"].values()) == 0
    assert result["step_length"] is None  # it took none
    assert result["double_support"] == 1.0
    assert result["style_score"] is None


def test_a_statue_follows_the_command_to_stand():
    """Survival is `success`; to be within 0.15 m/s of the command and 15° of its heading as well is `is_success`."""
    limits = {"max_episode_steps": 110, "command_low": (0.0, 0.0, 0.0)}  # 2.2 s: long enough to speak of drift
    commands = [(0.1, 0.0, 0.0), (0.3, 0.0, 0.0), (0.0, 0.0, 0.5)]
    result = evaluate(stub(), 3, commands, env_kwargs=limits, threads=1)
    slow, fast, turn = result["per_command"]
    assert [row["success_rate"] for row in (slow, fast, turn)] == [1.0, 1.0, 1.0]
    assert [row["is_success_rate"] for row in (slow, fast, turn)] == [1.0, 0.0, 0.0]
    assert turn["speed_error"] < 0.15  # its heading is what is wrong
    assert result["is_success_rate"] == pytest.approx(1 / 3)


def test_falls_are_counted_once_and_by_cause():
    # Ankles pointing down tip the robot backwards, ankles pulled up forwards.
    def forward(obs, ankle):
        action = np.zeros((len(obs), 9), np.float32)
        action[:, [4, 8]] = ankle
        return action, np.zeros_like(action)

    for ankle, cause in ((-1.0, "backward"), (1.0, "forward")):
        policy = GaussianPolicy("tipping", Feedforward(lambda obs, a=ankle: forward(obs, a)), ENV, {})
        result = evaluate(policy, 5, [(0.4, 0.0, 0.0)], threads=1)
        assert result["success_rate"] == 0.0
        assert result["falls"][cause] == 5
        assert sum(result["falls"].values()) == 5
        assert result["episode_length"] < 5.0


def test_an_episode_depends_on_its_seed_alone():
    commands = np.array([[0.2, 0.0, 0.0], [0.5, 0.0, 0.0], [0.7, 0.0, 0.0]])
    together, _ = record(stub(0.1), commands, seed=5, seconds=0.4, threads=1)
    alone, _ = record(stub(0.1), commands[2:], seed=7, seconds=0.4, threads=1)
    np.testing.assert_array_equal(together.qpos[:, 2], alone.qpos[:, 0])


def test_evaluations_repeat_and_stochastic_ones_differ():
    options = {"commands": [(0.4, 0.0, 0.0)], "env_kwargs": SHORT, "threads": 1}
    policy = stub(std=0.3)
    first, again = (evaluate(policy, 3, stochastic=True, seed=3, **options) for _ in range(2))
    assert first == again
    assert first["mode"] == "stochastic"
    assert evaluate(policy, 3, seed=3, **options)["speed_rms"] != first["speed_rms"]


def test_recording_begins_with_the_reset_and_ends_with_the_episode():
    rollout, ends = record(stub(-1.0, joint=4), np.array([[0.4, 0.0, 0.0]] * 2), seed=0, threads=1)
    env = make_env(ENV, 2, threads=1)
    env.reset(seed=0, options={"command": [0.4, 0.0, 0.0]})
    np.testing.assert_array_equal(rollout.qpos[0], env.core.state.qpos)
    np.testing.assert_array_equal(ends["steps"], rollout.valid.sum(0) - 1)
    assert rollout.valid[0].all()
    assert rollout.valid[-1].any()  # the recording stops with the last episode
    assert (np.diff(rollout.valid.astype(int), axis=0) <= 0).all()  # once over, over


def test_reference_starts_and_randomisation_of_training_stay_out():
    kwargs = {"reference": "not/a/clip.npz", "rsi_probability": 0.9, "reset_noise": 0.0}
    policy = GaussianPolicy("p", stub().network, ENV, {**kwargs, "randomize": True})
    rollout, _ = record(policy, np.zeros((2, 3)), seconds=0.1, threads=1)
    np.testing.assert_array_equal(rollout.qpos[0, 0], rollout.qpos[0, 1])  # reset_noise is kept, and is zero


@pytest.mark.parametrize(
    "kwargs, message",
    [({"command_interval": 2.0}, "one command for a whole episode"), ({"max_episode_steps": -1}, "needs one")],
)
def test_what_an_evaluation_cannot_judge_is_refused(kwargs, message):
    with pytest.raises(EvaluationError, match=message):
        record(stub(), np.zeros((1, 3)), env_kwargs=kwargs, threads=1)


def test_each_body_is_weighed():
    heavy = {"randomize": {"mass": (1.2, 1.2)}}
    rollout, _ = record(stub(), np.zeros((2, 3)), seconds=0.1, threads=1, env_kwargs=heavy)
    plain, _ = record(stub(), np.zeros((2, 3)), seconds=0.1, threads=1)
    assert plain.mass == pytest.approx([3.38, 3.38], abs=0.01)
    assert rollout.mass == pytest.approx(1.2 * plain.mass)


def test_style_score_is_the_mean_over_whole_windows_of_living_episodes():
    # This critic scores a two-frame window by the root's height in its older frame (feature 24).
    critic = Style(frames=2, score=lambda windows: windows[:, 24])
    rollout, ends = record(stub(-1.0, joint=4, style=critic), np.zeros((2, 3)), seed=1, threads=1)
    for i, steps in enumerate(ends["steps"]):
        assert ends["style_score"][i] == pytest.approx(rollout.qpos[:steps, i, 2].mean(), rel=1e-5)


# -- options -------------------------------------------------------------------------------------------


def test_a_walk_is_compared_with_the_clips_that_are_asked_for():
    """With the embedded set, of nine speeds three recordings each; with one clip; with two."""
    (one, other) = (str(asset_path(f"motions/wildrobot_walk/walk_{speed}_calm_0.npz")) for speed in ("030", "080"))
    judges = [style_judge(stub(), reference) for reference in (None, one, [one, other])]
    assert [len(judge._cycles) for judge in judges] == [27, 1, 2]
    assert (
        evaluate(stub(), episodes=1, commands=[(0.3, 0, 0)], threads=1, reference=one)["style_gap"] is None
    )  # one group


def test_the_command_compares_with_the_clips_it_is_given(loaded_stub):
    clip = str(asset_path("motions/wildrobot_walk/walk_030_calm_0.npz"))
    found = json.loads(run_cli("--episodes", "1", "--command", "0.3", "--reference", clip, "--json").stdout)
    assert found["style_reference"] == [clip]
    assert json.loads(run_cli("--episodes", "1", "--command", "0.3", "--json").stdout)["style_reference"] is None


def test_the_walker_of_captures_steps_as_they_do():
    """At 0.6 m/s they take 155 to 165 steps a minute; a foot that rebounds or is dragged would count twice."""
    found = evaluate(load_policy("wildrobot_captured"), episodes=4, commands=[(0.6, 0, 0)], threads=1)
    assert 150 < found["cadence"] < 185
    assert found["step_symmetry"] < 0.07
    assert found["is_success_rate"] == 1.0


@pytest.mark.parametrize("changed, message", [
    ({"contacts": None}, "walk without contacts"),
    ({"qvel": 0.0}, "no clip walks straight ahead"),
    ({"fps": 25.0}, "fps is 25, this body is controlled at 50"),
])  # fmt: skip
def test_clips_that_no_gait_can_be_compared_with(changed, message, tmp_path):
    (clip,) = load_clips(str(asset_path("motions/wildrobot_walk/walk_030_calm_0.npz")))
    if "qvel" in changed:
        changed = {"qvel": np.zeros_like(clip.qvel)}
    save_clip(tmp_path / "walk.npz", dataclasses.replace(clip, name="walk", **changed))
    with pytest.raises(GaitNetError, match=message):
        style_judge(stub(), str(tmp_path))


def test_default_commands_are_those_the_environment_gives():
    policy = dataclasses.replace(stub(), env_kwargs={"command_low": (0.25, 0, 0), "command_high": (0.5, 0, 0)})
    assert default_commands(policy) == [(0.3, 0.0, 0.0), (0.4, 0.0, 0.0), (0.5, 0.0, 0.0)]
    policy = dataclasses.replace(stub(), env_kwargs={"command_low": (0.32, 0, 0), "command_high": (0.34, 0, 0)})
    assert default_commands(policy) == [(0.32, 0.0, 0.0)]


def test_thinned_keeps_the_ends():
    commands = [(0.1 * i, 0.0, 0.0) for i in range(10)]
    assert thinned(commands, 3) == [commands[0], commands[4], commands[9]]
    assert thinned(commands, 99) == commands


@pytest.mark.parametrize("text, command", [("0.4", (0.4, 0, 0)), ("0.3,-0.1,0.5", (0.3, -0.1, 0.5))])
def test_commands_are_parsed(text, command):
    assert parse_command(text) == command


@pytest.mark.parametrize("text", ["", "fast", "0.4,0.1", "0.4,0,0,0", "nan", "1e9", "inf"])
def test_bad_commands_say_what_is_expected(text):
    with pytest.raises(EvaluationError, match="expected VX or VX,VY,YAW_RATE"):
        parse_command(text)


def test_env_options_are_yaml_values():
    assert parse_env_set(["randomize=true", "command_low=[0, 0, 0]"]) == {"randomize": True, "command_low": [0, 0, 0]}
    with pytest.raises(EvaluationError, match="expected key=value"):
        parse_env_set(["randomize"])


def test_too_few_episodes_for_the_commands():
    with pytest.raises(EvaluationError, match="1 episodes are too few for 2 commands"):
        evaluate(stub(), 1, [(0.1, 0.0, 0.0), (0.2, 0.0, 0.0)])


def test_unknown_environment_option_lists_the_known_ones():
    with pytest.raises(EnvironmentOptionError, match=r"'warp'.*reset_noise"):
        evaluate(stub(), 1, [(0.1, 0.0, 0.0)], env_kwargs={"warp": 9})


def test_a_policy_for_another_observation_names_the_rows():
    def forward(obs):
        return obs @ np.zeros((37, 9), np.float32), np.zeros((len(obs), 9), np.float32)

    policy = GaussianPolicy("p", Feedforward(forward), ENV, {})
    with pytest.raises(PolicyError, match=r"39 observations \(joint_position 9, .*previous_action 9\)"):
        evaluate(policy, 1, [(0.1, 0.0, 0.0)], env_kwargs={"previous_action": "all"})


def test_load_policy_says_what_is_missing(tmp_path):
    with pytest.raises(PolicyError, match="no such file or folder; expected a bundle"):
        load_policy(tmp_path / "nothing")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(PolicyError, match=r"holds notes\.txt, not a bundle"):
        load_policy(tmp_path)


# -- command line --------------------------------------------------------------------------------------


@pytest.fixture
def loaded_stub(monkeypatch):
    monkeypatch.setattr("gait_trainers.commands.evaluate.load_policy", lambda path, env_id=None: stub(std=0.05))


def run_cli(*arguments: str):
    return CliRunner().invoke(app, ["evaluate", "anything", "--threads", "1", *arguments], catch_exceptions=False)


def test_json_is_one_object_on_one_line(loaded_stub):
    done = run_cli("--episodes", "2", "--command", "0.3", "--env-set", "max_episode_steps=20", "--json")
    assert done.exit_code == 0
    (line,) = done.stdout.splitlines()
    found = json.loads(line)
    assert found["success_rate"] == 1.0
    assert found["per_command"][0]["command"] == [0.3, 0.0, 0.0]
    assert found["env_kwargs"] == {"max_episode_steps": 20}


def test_json_holds_no_infinity(loaded_stub):
    done = run_cli("--episodes", "1", "--command", "0.3", "--env-set", "max_episode_steps=20", "--json")
    found = json.loads(done.stdout, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert found["env_kwargs"] == {"max_episode_steps": 20}
    options = json_options({"max_distance": float("inf"), "command_low": (float("-inf"), 0.0)})
    assert json.loads(json.dumps(options, allow_nan=False)) == {"max_distance": ".inf", "command_low": ["-.inf", 0.0]}


def test_both_carries_the_stochastic_figures_along(loaded_stub):
    done = run_cli("--episodes", "2", "--command", "0.3", "--env-set", "max_episode_steps=20", "--json", "--both")
    found = json.loads(done.stdout)
    assert found["mode"] == "deterministic"
    assert found["stochastic"]["mode"] == "stochastic"
    assert found["stochastic"]["speed_rms"] != found["speed_rms"]


def test_table_has_a_row_a_command_and_one_for_all(loaded_stub):
    done = run_cli("--episodes", "4", "--command", "0.3", "--command", "0.5,0.1,0", "--env-set", "max_episode_steps=60")
    rows = {line.split("│")[0].strip() for line in done.stdout.splitlines()}
    assert {"0.3", "0.5, 0.1, 0", "all"} <= rows


def test_a_symmetric_policy_in_a_symmetric_start_is_warned_of(monkeypatch):
    symmetric = {"training": {"config": {"networks": {"symmetric": True}}}}
    short = ("--episodes", "1", "--command", "0.3", "--env-set", "max_episode_steps=5")
    for details in (symmetric, {}):
        loaded = stub(details=details)
        monkeypatch.setattr("gait_trainers.commands.evaluate.load_policy", lambda path, env=None, it=loaded: it)
        for noise in (0, 0.0, 0.05):
            done = run_cli(*short, "--env-set", f"reset_noise={noise}", "--json")
            assert ("may never take a first step" in done.stderr) == (noise == 0 and details == symmetric)
            assert json.loads(done.stdout)["success_rate"] == 1.0


@pytest.mark.parametrize(
    "training",
    [[], {}, None, {"config": []}, {"config": {"networks": 3}}, {"config": {"networks": {"symmetric": "no"}}}],
)
def test_a_bundle_that_says_it_otherwise_is_not_symmetric(training):
    assert not stands_still(stub(details={"training": training}), {"reset_noise": 0})


def test_the_bundled_walker_says_that_it_is_symmetric():
    walker = load_policy("wildrobot_walk")
    assert stands_still(walker, {"reset_noise": 0})
    assert not stands_still(walker, {})


def test_a_narrow_terminal_gets_the_figures_that_matter_most(loaded_stub):
    result = evaluate(stub(), 1, [(0.3, 0.0, 0.0)], env_kwargs=SHORT, threads=1)
    console = Console(width=80, file=io.StringIO())
    print_table(result, console)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    assert "…" not in text
    assert "success" in text
    assert "cost of" not in text


def test_evaluating_a_bundle_needs_no_torch():
    code = "import sys, gait_trainers.commands.evaluate, gait_trainers.commands.play; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
