"""Configuration: layers, presets, and errors that say where."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
import yaml

from gait_trainers.config.checking import merge
from gait_trainers.config.layers import dump_yaml, load_config, parse_assignment, preset_names
from gait_trainers.config.schema import ConfigError


def preset_text(name: str) -> str:
    return (resources.files("gait_trainers.config") / "presets" / f"{name}.yaml").read_text()


def leaves(tree: dict, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], object]:
    out: dict[tuple[str, ...], object] = {}
    for key, value in tree.items():
        out |= leaves(value, (*path, key)) if isinstance(value, dict) else {(*path, key): value}
    return out


def test_paper_preset_is_the_defaults() -> None:
    assert load_config(preset="paper") == load_config()


def test_paper_preset_holds_the_design_documents_values() -> None:
    config = load_config(preset="paper")
    assert (config.env.num_envs, config.ppo.n_steps, config.run.iterations) == (1024, 128, 3000)
    assert (config.ppo.learning_rate, config.ppo.gamma, config.ppo.gae_lambda) == (3e-4, 0.99, 0.95)
    assert (config.ppo.clip_range, config.ppo.ent_coef, config.ppo.minibatches, config.ppo.epochs) == (0.2, 0.01, 8, 4)
    assert config.networks.policy == config.networks.value == [512, 256, 128]
    amp = config.amp
    assert (amp.weight, amp.learning_rate, amp.batch_size, amp.updates) == (0.5, 1e-4, 2048, 3)
    assert (amp.hidden, amp.r1_gamma, amp.input_noise) == ([1024, 512, 256], 5.0, 0.02)
    assert (amp.replay_size, amp.replay_ratio, amp.reward, amp.frames) == (100_000, 0.5, "clip", 1)
    assert (config.batch_size, config.total_steps) == (16384, 393_216_000)


@pytest.mark.parametrize("name", [name for name in preset_names() if name != "paper"])
def test_a_preset_holds_only_what_it_changes_each_with_its_reason(name: str) -> None:
    defaults = leaves(load_config().model_dump())
    for path, value in leaves(yaml.safe_load(preset_text(name))).items():
        assert defaults.get(path) != value, f"{name}: {'.'.join(path)} is the default already"
    assert unexplained(preset_text(name)) == []


def test_a_preset_may_begin_with_another() -> None:
    robust, laptop = load_config(preset="robust"), load_config(preset="laptop")
    assert (robust.networks, robust.amp) == (laptop.networks, laptop.amp)
    changed = {"freeze_obs_after": 0, "learning_rate": 1.5e-4}
    assert robust.ppo == laptop.ppo.model_copy(update=changed)
    assert [(key.iteration, key.std) for key in robust.schedule] == [(0, 0.06)]
    assert set(robust.env.kwargs) - set(laptop.env.kwargs) == {"randomize"}
    assert (robust.run.init, robust.run.iterations) == ("wildrobot_walk", 200)


def unexplained(yaml_text: str) -> list[str]:
    """Lines that set a value without a comment on them or on a mapping that they stand in."""
    explained_deeper_than, found = 99, []
    for line in yaml_text.splitlines():
        content, _, comment = line.partition("#")
        if not content.strip():
            continue
        indent = len(content) - len(content.lstrip())
        if indent <= explained_deeper_than:
            explained_deeper_than = 99
        if content.rstrip().endswith(":"):
            explained_deeper_than = indent if comment else explained_deeper_than
        elif not comment and explained_deeper_than == 99:
            found.append(line)
    return found


@pytest.mark.parametrize("name", preset_names())
def test_presets_load(name: str) -> None:
    assert load_config(preset=name).total_steps > 0


def test_later_layers_win(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("ppo: {gamma: 0.9, n_steps: 64}\nenv: {kwargs: {reset_noise: 0.1, target_height: 0.4}}\n")
    config = load_config(file, "laptop", {"ppo.n_steps": 16, "env.kwargs.reset_noise": 0.2})
    assert config.env.num_envs == 256  # the preset
    assert config.ppo.gamma == 0.9  # the file
    assert config.ppo.n_steps == 16  # the override
    assert config.env.kwargs["reset_noise"] == 0.2
    assert config.env.kwargs["target_height"] == 0.4
    assert config.env.kwargs["reference"] == "wildrobot_walk"


@pytest.mark.parametrize(
    "text, named",
    [
        ("ppo: {gama: 0.9}", ["ppo.gama", "did you mean 'gamma'", "learning_rate"]),
        ("training: {lr: 1}", ["'training'", "ppo"]),
        ("run: {stop_when: {succes_rate: 0.5}}", ["run.stop_when.succes_rate", "speed_error"]),
        ("env: {kwargs: {rsi_prob: 0.5}}", ["env.kwargs.rsi_prob", "did you mean 'rsi_probability'"]),
        ("ppo: {gamma: much}", ["ppo.gamma", "number", "'much'"]),
        ("ppo: {gamma: 1.5}", ["ppo.gamma", "less than or equal to 1"]),
        ("amp: {reward: cube}", ["amp.reward", "'clip' or 'quadratic'"]),
        ("ppo: {minibatches: 7}", ["ppo.minibatches = 7", "1024 x 128"]),
        ("env: {kwargs: {rsi_probability: 2}}", ["rsi_probability"]),
        ("run: {name: a/b}", ["run.name", "without / in it"]),
        ("run: {name: ..}", ["run.name", "without / in it"]),
        ("run: {name: ''}", ["run.name", "without / in it"]),
        ('run: {name: "a\\\\b"}', ["run.name", "without / in it"]),
        ("env: {threads: 5000}", ["env.threads", "less than or equal to 1024"]),
        ("run: {torch_threads: 1000000}", ["run.torch_threads", "less than or equal to 1024"]),
        ("run: {seed: 99999999999}", ["run.seed", "less than or equal to 4294967295"]),
        ("- 1\n- 2", ["mapping"]),
        ("a: [", ["YAML"]),
    ],
)
def test_errors_name_the_file_the_key_and_what_is_allowed(tmp_path: Path, text: str, named: list[str]) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    for part in ["wrong.yaml", *named]:
        assert part in str(caught.value)


def test_error_in_one_layer_is_not_blamed_on_another(tmp_path: Path) -> None:
    file = tmp_path / "fine.yaml"
    file.write_text("ppo: {gamma: 0.9}")
    with pytest.raises(ConfigError, match=r"^override ppo\.gama=1: unknown key 'ppo\.gama'"):
        load_config(file, overrides={"ppo.gama": 1})


def test_unknown_preset_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"'desktop'; available: .*laptop, .*paper"):
        load_config(preset="desktop")


def test_written_configuration_reads_back_the_same(tmp_path: Path) -> None:
    config = load_config(preset="laptop", overrides={"run.stop_when": {"command": 0.3}})
    (tmp_path / "config.yaml").write_text(dump_yaml(config))
    assert load_config(tmp_path / "config.yaml") == config


def test_assignments_are_yaml() -> None:
    assert parse_assignment("ppo.gamma=0.98") == ("ppo.gamma", 0.98)
    assert parse_assignment("networks.policy=[64, 64]") == ("networks.policy", [64, 64])
    assert parse_assignment("env.kwargs.reference=a=b") == ("env.kwargs.reference", "a=b")
    with pytest.raises(ConfigError, match=r"dotted\.key=value"):
        parse_assignment("ppo.gamma")


def test_merge_replaces_lists_and_merges_mappings() -> None:
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 1}
    assert merge(base, {"a": {"y": [3]}}) == {"a": {"x": 1, "y": [3]}, "b": 1}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 1}


def test_options_are_those_of_the_environment_that_all_layers_together_name(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("env: {kwargs: {max_distance: 0.3}}")
    assert load_config(file, "imitate").env.kwargs["max_distance"] == 0.3
    with pytest.raises(ConfigError, match=r"mine\.yaml: unknown key 'env\.kwargs\.max_distance'"):
        load_config(file, "laptop")
