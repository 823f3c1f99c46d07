"""A learner of another package: known by its entry point, trained, resumed bit for bit; and who names learners."""

from __future__ import annotations

import dataclasses
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import yaml
from helpers.runs import differences, final_state, metrics

from gait_trainers.config import registry
from gait_trainers.config.layers import dump_yaml, load_config
from gait_trainers.config.schema import ConfigError
from gait_trainers.config.section import Section
from gait_trainers.learners.base import Artefacts, Learner, LearnerSpec, WarmStart
from gait_trainers.rl.build import build
from gait_trainers.rl.train import resume, train

ROOT = Path(__file__).resolve().parents[3]
TINY = {
    "algorithm": "ppo",
    "learners": ["curiosity"],
    "env.num_envs": 4,
    "env.threads": 1,
    "ppo.n_steps": 8,
    "ppo.minibatches": 2,
    "networks.policy": [8],
    "networks.value": [8],
    "run.tensorboard": False,
    "run.checkpoint_every": 1,
}


class Plugins:
    """Stands in for `importlib.metadata.entry_points`, as with these packages installed."""

    def __init__(self, **places: str) -> None:
        self.points = [metadata.EntryPoint(name, place, registry.GROUP) for name, place in places.items()]

    def __call__(self, *, group: str) -> list[metadata.EntryPoint]:
        return [point for point in self.points if point.group == group]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Iterator:
    """Installs learners by name and place."""

    def forget() -> None:
        registry.learner_specs.cache_clear()

    def install(**places: str) -> None:
        monkeypatch.setattr(registry, "entry_points", Plugins(**places))
        forget()

    monkeypatch.syspath_prepend(ROOT / "examples" / "extending")
    yield install
    monkeypatch.undo()
    forget()


@pytest.fixture
def curiosity(install) -> ModuleType:
    install(curiosity="my_learner:SPEC")
    registry.learner_specs()
    return sys.modules["my_learner"]


# -- configuration ----------------------------------------------------------------------------------------


def test_its_section_is_one_of_the_configuration(curiosity: ModuleType, tmp_path: Path) -> None:
    config = load_config(overrides=TINY | {"curiosity.weight": 0.5})
    assert isinstance(config.section("curiosity"), curiosity.CuriosityConfig)
    assert [spec.name for spec in config.specs] == ["curiosity"]
    assert [spec.name for spec in load_config(overrides={"learners": ["curiosity", "amp"]}).specs] == [
        "amp",
        "curiosity",
    ]
    (tmp_path / "config.yaml").write_text(dump_yaml(config))
    assert load_config(tmp_path / "config.yaml") == config
    with pytest.raises(ConfigError, match=r"unknown key 'curiosity\.wait'.*allowed here: weight$"):
        load_config(overrides={"curiosity.wait": 1})
    with pytest.raises(ConfigError, match=r"curiosity\.weight: Input should be greater than or equal to 0"):
        load_config(overrides={"curiosity.weight": -1})


def test_without_it_its_section_is_unknown() -> None:
    with pytest.raises(ConfigError, match="unknown key 'curiosity'"):
        load_config(overrides={"curiosity.weight": 0.5})
    with pytest.raises(ConfigError, match="unknown learner curiosity; known are amp, dynamics, encoder, muscle"):
        load_config(overrides={"learners": ["curiosity"]})
    with pytest.raises(ConfigError, match="algorithm: unknown algorithm; known are ppo-amp, ppo, muscle, got 'sac'"):
        load_config(overrides={"algorithm": "sac"})


@pytest.mark.parametrize(
    "places, reason",
    [
        ({"curiosity": "no_such_module:SPEC"}, "learner 'curiosity' .*no_such_module"),
        ({"amp": "my_learner:SPEC"}, "learner 'amp' .*its name is taken"),
        ({"other": "my_learner:SPEC"}, "learner 'other' .*named 'curiosity'; both names must be the same"),
    ],
)
def test_one_that_fails_takes_no_other_along(install, places: dict[str, str], reason: str) -> None:
    install(**places)
    with pytest.warns(UserWarning, match=reason):
        assert list(registry.learner_specs()) == ["amp", "dynamics", "encoder", "muscle", "resampling"]
    assert load_config(preset="laptop").specs[0].name == "amp"


def test_a_section_of_ours_cannot_be_taken(install, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = LearnerSpec("ppo", Section, lambda config, base: Learner())
    monkeypatch.setitem(sys.modules, "taken", ModuleType("taken"))
    monkeypatch.setattr(sys.modules["taken"], "SPEC", spec, raising=False)
    install(ppo="taken:SPEC")
    with pytest.raises(ConfigError, match="learner 'ppo': the configuration has a section of this name already"):
        load_config()


def test_a_script_registers_its_own(install) -> None:
    install()
    spec = LearnerSpec("mine", Section, lambda config, base: Learner())
    registry.register_learner(spec)
    registry.register_learner(spec)
    assert load_config(overrides={"learners": ["mine"]}).specs[-1] is spec
    with pytest.raises(ConfigError, match="learner 'mine': its name is taken"):
        registry.register_learner(LearnerSpec("mine", Section, lambda config, base: Learner()))


def test_a_run_without_it_is_readable_where_it_is_not_installed(curiosity: ModuleType, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(dump_yaml(load_config(overrides={"learners": ["curiosity"]})))
    assert "curiosity" in yaml.safe_load(file.read_text())
    file.write_text(dump_yaml(load_config(overrides={"curiosity.weight": 0.5})))
    registry.learner_specs.cache_clear()
    registry.entry_points.points.clear()
    assert load_config(file).learners == []


# -- training -----------------------------------------------------------------------------------------------


def test_it_trains_and_is_resumed_bit_for_bit(curiosity: ModuleType, tmp_path: Path) -> None:
    own = {"run.out": str(tmp_path), "run.iterations": 3}
    train(load_config(overrides=TINY | own | {"run.name": "whole"}))
    train(load_config(overrides=TINY | own | {"run.name": "part", "run.iterations": 1}))
    resume(tmp_path / "part", {"run.iterations": 3})
    whole, part = final_state(tmp_path / "whole"), final_state(tmp_path / "part")
    assert whole["learners"].keys() == {"curiosity"}
    assert differences(whole, part) == []
    rows = metrics(tmp_path / "whole")
    assert rows == metrics(tmp_path / "part")
    bonus, loss = ([float(row[f"curiosity_{name}"]) for row in rows] for name in ("reward", "loss"))
    assert min(bonus) > 0
    assert loss[2] < loss[0]  # the predictor learns

    train(load_config(overrides=TINY | own | {"run.name": "plain", "learners": []}))
    assert differences(whole["policy"], final_state(tmp_path / "plain")["policy"])  # the bonus is in the reward
    plain = tmp_path / "plain" / "config.yaml"
    plain.write_text(plain.read_text().replace("learners: []", "learners: [curiosity]"))
    with pytest.raises(ConfigError, match=r"learners is \['curiosity'\], was \[\]"):
        resume(tmp_path / "plain")


def test_the_bonus_is_what_the_predictor_fails_by(curiosity: ModuleType) -> None:
    training = build(load_config(overrides=TINY | {"curiosity.weight": 2.0, "ppo.normalize_obs": False}))
    learner = training.learners["curiosity"]
    env = training.model.get_env()
    env.seed(0)
    env.reset()
    obs, reward, *_ = env.step(np.zeros((4, 9), np.float32))
    with torch.no_grad():
        target, predictor = learner.env.networks
        missed = predictor(torch.from_numpy(obs)) - target(torch.from_numpy(obs))
    bonus = missed.square().mean(dim=1).numpy()
    task = sum(training.base.last_transition[key] for key in training.base.last_transition if key.startswith("reward_"))
    assert reward == pytest.approx(task + 2.0 * bonus, rel=1e-5)
    training.base.close()


# -- the contract ---------------------------------------------------------------------------------------------


def test_a_learner_that_overrides_nothing_does_nothing() -> None:
    learner, env = Learner(), object()
    assert learner.wrap(env) is env
    assert (learner.callback, learner.get_state(), learner.step_metrics(), learner.warnings()) == (None, {}, {}, [])
    assert learner.warm_start(WarmStart(None, None, {})) == []
    spec = LearnerSpec("nothing", Section, lambda config, base: learner)
    assert spec.build(load_config(), env) is learner
    assert spec.left_by(Section(), {}, Path("step_1.pt")) == Artefacts()
    assert (spec.style_weight(None), spec.freezes_policy(None), spec.check(None, None)) == (None, False, None)


def test_trainer_runs_and_configuration_name_no_learner() -> None:
    """Only learners and the commands of training know names, beside the registry, version 1 of checkpoints and
    the translation of the design document's file."""
    named = re.compile(r"\b(amp|muscle)\b|AMP[A-Z]|Muscle[A-Z]|learners\.(amp|muscle)")
    for package in ("rl", "runs", "config"):
        for path in (ROOT / "gait_trainers" / package).glob("*.py"):
            lines = [line for line in path.read_text().splitlines() if named.search(line)]
            few = {"registry.py": 3, "checkpoint_format.py": 2, "schema.py": 1, "schedule.py": 1}
            allowed = (few | {"design_document.py": 10}).get(path.name, 0)
            assert len(lines) == allowed, (path, lines)


def test_the_page_lists_every_field_and_member() -> None:
    page = (ROOT / "docs" / "contracts" / "learner.md").read_text(encoding="utf-8")
    declared, in_training = page.split("## `Learner`: in a training")[0], page.split("## `Learner`: in a training")[1]
    listed = [
        {name for row in re.findall(r"^\| (`.*?) \|", part, re.MULTILINE) for name in re.findall(r"`(\w+)", row)}
        for part in (declared, in_training)
    ]
    assert listed[0] == {field.name for field in dataclasses.fields(LearnerSpec)}
    assert listed[1] == {name for name in vars(Learner) if not name.startswith("_")}
