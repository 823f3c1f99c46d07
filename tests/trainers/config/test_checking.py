"""Configurations of every trainer go through one check: file, key and what is allowed are named in one form."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gait_trainers.config.checking import layered, merged
from gait_trainers.config.layers import load_config
from gait_trainers.config.section import ConfigError
from gait_trainers.pretrain.motionnn.config import load_motion_config
from gait_trainers.pretrain.refnn.backward import BackwardConfig
from gait_trainers.pretrain.refnn.config import RefNNConfig, load_refnn_config

ROOT = Path(__file__).resolve().parents[3]
LOADS: dict[str, Callable[..., Any]] = {"ppo": load_config, "motionnn": load_motion_config, "refnn": load_refnn_config}


@pytest.mark.parametrize(
    ("trainer", "text", "said"),
    [
        ("ppo", "ppo: {gama: 1}", r"unknown key 'ppo.gama' \(did you mean 'gamma'\?\); allowed here: n_steps, "),
        ("motionnn", "optim: {update: 1}",
         r"unknown key 'optim.update' \(did you mean 'updates'\?\); allowed here: updates, "),
        ("refnn", "epoch: 3", r"unknown key 'epoch' \(did you mean 'epochs'\?\); allowed here: hidden, "),
        ("ppo", "ppo: {gamma: 2}", r"ppo.gamma: Input should be less than or equal to 1, got 2"),
        ("motionnn", "loss: {horizon: 0}", r"loss.horizon: Input should be greater than or equal to 1, got 0"),
        ("refnn", "holdout: 1", r"holdout: Input should be less than 1, got 1"),
        ("ppo", "networks: {memory: elm}", r"networks.memory: Input should be 'none', .*, got 'elm'"),
        ("motionnn", "model: {network: mpl}", r"model.network: Input should be 'mlp', .*'mixture', got 'mpl'"),
        ("motionnn", "data: {curriculum: [{untill: 1}]}",
         r"data.curriculum.0.until: Field required, .*; .*unknown key .*0.untill' .*: until, activities"),
        ("refnn", "hidden: [0]", r"hidden.0: Input should be greater than or equal to 1, got 0"),
        *[(trainer, "- 3", "expected a mapping of settings, found list") for trainer in LOADS],
    ],
)  # fmt: skip
def test_file_key_and_what_is_allowed_are_named(trainer: str, text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=rf"^{file}: (.*; {file}: )?{said}") as caught:
        LOADS[trainer](file)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("trainer", "key", "value"), [("ppo", "ppo.gamma", 2), ("motionnn", "loss.horizon", 0), ("refnn", "epochs", 0)]
)
def test_the_command_line_is_named_too(trainer: str, key: str, value: int) -> None:
    with pytest.raises(ConfigError, match=rf"^override {key}={value}: {key}: Input should be .*, got {value}$"):
        LOADS[trainer](preset="laptop", overrides={key: value})
    with pytest.raises(ConfigError, match=r"^unknown preset 'best'; available: .*laptop"):
        LOADS[trainer](preset="best")


def test_what_concerns_several_settings_is_judged_on_all_layers() -> None:
    """A layer that is impossible beside the defaults may be possible beside another layer."""
    layers = [("a", {"final_learning_rate": 0.1}), ("b", {"learning_rate": 0.2})]
    assert layered(RefNNConfig, layers, "both").learning_rate == 0.2
    with pytest.raises(ConfigError, match=r"^both: final_learning_rate is above learning_rate$"):
        layered(RefNNConfig, layers[:1], "both")
    with pytest.raises(ConfigError, match=r"^--set: steps: Input should be a valid integer, .*, got 'x'$"):
        layered(BackwardConfig, [("--set", {"steps": "x"})], "all")


def test_merged_by_hand() -> None:
    assert merged([{"a": {"b": 1, "c": [1]}}, {"a": {"c": [2]}, "d": 3}]) == {"a": {"b": 1, "c": [2]}, "d": 3}
    assert merged([]) == {}


def test_no_other_module_explains_what_pydantic_refuses() -> None:
    """A second implementation would drift from the first: its errors are caught in one module of the trainers."""
    catching = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "gait_trainers").rglob("*.py")
        if "service" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler) and "ValidationError" in ast.unparse(node.type or ast.Constant(""))
    }
    assert catching == {"gait_trainers/config/checking.py"}
