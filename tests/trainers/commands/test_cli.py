"""What the training commands make of their options; no training takes place."""

from types import SimpleNamespace

import pytest
from helpers.still_clips import IMITATION
from typer.testing import CliRunner

from gait_trainers.cli import app
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError
from gait_trainers.rl import train as trainer


@pytest.fixture
def asked(monkeypatch) -> list:
    """Configurations, and resumptions, that would have been trained."""
    found: list = []
    result = SimpleNamespace(stopped=None, iterations=0, steps=0, seconds=0.0, run=SimpleNamespace(path="run"))
    for name in ("train", "verify"):
        monkeypatch.setattr(trainer, name, lambda config: found.append(config) or result)

    def resume(path, overrides, *, by_command):
        assert by_command
        found.append((path.name, overrides))
        return result

    monkeypatch.setattr(trainer, "resume", resume)
    env = SimpleNamespace(id="GaitNet/WildRobot-v0")
    run = SimpleNamespace(config=lambda: SimpleNamespace(algorithm="ppo-amp", env=env))
    monkeypatch.setattr(trainer, "open_run", lambda path: (run, None))
    return found


def run_cli(*arguments: str) -> str:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False).output


def test_options_land_in_the_configuration(asked):
    options = ["--num-envs", "64", "--lr", "0.001", "--seed", "5", "--iterations", "7", "--out", "o", "--name", "n"]
    run_cli("ppo", "--preset", "laptop", *options, "--set", "ppo.gamma=0.9", "--set", "run.seed=6")
    named = {"env.num_envs": 64, "ppo.learning_rate": 0.001, "run.seed": 6, "run.iterations": 7, "run.out": "o"}
    assert asked == [
        load_config(preset="laptop", overrides={"algorithm": "ppo", "run.name": "n", "ppo.gamma": 0.9, **named})
    ]


def test_amp_data_is_the_reference_of_both(asked):
    run_cli("ppo-amp", "--amp-data", "wildrobot_walk", "--amp-weight", "2", "--total-steps", "131073")
    (config,) = asked
    assert (config.algorithm, config.amp.data, config.amp.weight) == ("ppo-amp", "wildrobot_walk", 2.0)
    assert config.env.kwargs == {"reference": "wildrobot_walk"}
    assert config.run.iterations == 2  # 131,072 steps each


def test_imitate_takes_its_own_preset(asked):
    run_cli("imitate")
    run_cli("imitate", "--reference", "a.npz", "--verify")
    run_cli("imitate", "--reference", "a", "--reference", "b", "--set", "algorithm=ppo-amp", "--set", "env.num_envs=8")
    plain, one, two = asked
    assert plain == load_config(preset="imitate")
    assert (one.env.kwargs["reference"], one.run.iterations) == ("a.npz", 2)
    assert (two.env.kwargs["reference"], two.algorithm, two.env.num_envs) == (["a", "b"], "ppo-amp", 8)


def test_what_is_given_wins_over_what_verify_makes_small(asked):
    run_cli("ppo", "--verify", "--preset", "laptop")
    run_cli("ppo", "--verify", "--num-envs", "8", "--iterations", "5", "--set", "ppo.n_steps=4")
    run_cli("ppo", "--verify", "--total-steps", "1000")
    small, given, steps = asked
    assert (small.env.num_envs, small.run.iterations, small.ppo.n_steps) == (16, 2, 16)
    assert (given.env.num_envs, given.run.iterations, given.ppo.n_steps, given.ppo.minibatches) == (8, 5, 4, 4)
    assert (steps.env.num_envs, steps.run.iterations) == (16, 4)  # of 256 steps each


def test_a_body_of_ones_choice_follows(asked, tmp_path):
    """Named by the command or by a file; who needs a preset of their own gets it."""
    humanoid = "GaitNet/HumanoidImitation-v0"
    file = tmp_path / "mine.yaml"
    file.write_text(f"env: {{id: {humanoid}, num_envs: 8}}\n")
    run_cli("imitate", "--env", humanoid)
    run_cli("imitate", "--config", file)
    preset, own = asked
    assert preset == load_config(preset="imitate_humanoid")
    assert (own.env.id, own.env.num_envs, own.algorithm) == (humanoid, 8, "ppo")
    with pytest.raises(ConfigError, match="'GaitNet/Humanoid-v0' follows no clips"):
        run_cli("imitate", "--config", file, "--env", "GaitNet/Humanoid-v0")
    with pytest.raises(ConfigError, match="'GaitNet/Humanoid-v0' follows no clips"):
        run_cli("imitate", "--env", "GaitNet/Humanoid-v0")
    run_cli("imitate", "--env", "GaitNet/MuscleHumanoidImitation-v0")
    assert asked[-1].env.kwargs == preset.env.kwargs


def test_muscle_takes_its_own_preset(asked, tmp_path):
    file = tmp_path / "mine.yaml"
    file.write_text("env: {num_envs: 8}\n")
    run_cli("muscle")
    run_cli("muscle", "--reference", "a", "--init", "runs/b")
    run_cli("muscle", "--config", file)
    preset, two, own = asked
    assert preset == load_config(preset="muscle")
    assert (two.env.kwargs["reference"], two.run.init) == ("a", "runs/b")
    muscles = ("GaitNet/MuscleHumanoidImitation-v0", "muscle", 8)
    assert (own.env.id, own.algorithm, own.env.num_envs) == muscles


@pytest.mark.parametrize(
    "said, algorithm", [("", "ppo"), ("algorithm: ppo-amp\n", "ppo-amp"), ("algorithm: ppo\n", "ppo")]
)
def test_a_file_takes_the_presets_place(asked, tmp_path, said, algorithm):
    file = tmp_path / "mine.yaml"
    file.write_text(f"{said}env: {{kwargs: {{max_distance: 0.4}}}}\n")
    run_cli("imitate", "--config", file)
    (config,) = asked
    assert (config.env.id, config.algorithm, config.env.kwargs) == (IMITATION, algorithm, {"max_distance": 0.4})
    assert config.networks == load_config().networks  # nothing of the preset


def test_options_of_walking_are_not_for_imitation(asked):
    with pytest.raises(ConfigError, match=r"preset 'laptop': unknown key 'env\.kwargs\.command_"):
        run_cli("imitate", "--preset", "laptop")
    assert asked == []


def test_resuming_takes_the_runs_own_settings(asked, tmp_path):
    said = run_cli("imitate", "--resume", tmp_path, "--iterations", "9")
    assert f"{tmp_path} is a run of gait-train ppo-amp, and goes on as one" in said
    assert "goes on as one" not in run_cli("ppo-amp", "--resume", tmp_path)
    assert asked == [(tmp_path.name, {"run.iterations": 9}), (tmp_path.name, {})]
    for arguments, named in ((["--reference", "x"], "env.kwargs.reference"), (["--verify"], "--verify")):
        with pytest.raises(ConfigError, match=f"so {named} cannot be given"):
            run_cli("imitate", "--resume", tmp_path, *arguments)


def test_saying_how_long_twice(asked):
    with pytest.raises(ConfigError, match="say the same thing twice"):
        run_cli("ppo", "--total-steps", "10", "--iterations", "1")


@pytest.mark.parametrize("name", ["ppo", "ppo-amp", "imitate", "evaluate", "record", "play", "export"])
def test_every_command_explains_itself(name):
    done = CliRunner().invoke(app, [name, "--help"], terminal_width=200)
    assert done.exit_code == 0
    assert ("--resume" in done.stdout) == (name in ("ppo", "ppo-amp", "imitate"))
    assert ("--reference" in done.stdout) == (name in ("imitate", "evaluate", "record", "play"))
