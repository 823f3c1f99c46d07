"""A run of one kind of training, given to a command for another, is told what it is and which commands take it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from gait_envs.errors import GaitNetError
from gait_trainers.cli import app
from gait_trainers.config.kinds import KINDS, kind_of
from gait_trainers.config.layers import dump_yaml, load_config
from gait_trainers.pretrain.motionnn.config import MotionConfig, dump_motion_config
from gait_trainers.pretrain.refnn.config import RefNNConfig, dump_refnn_config

SETTINGS = {
    "policy": dump_yaml(load_config()),
    "motionnn": dump_motion_config(MotionConfig()),
    "refnn": dump_refnn_config(RefNNConfig()),
}
MADE_BY = {"policy": "a policy's training", "motionnn": "gait-train motionnn", "refnn": "gait-train refnn"}
SMALL = ["--num-envs", "8", "--set", "ppo.n_steps=8", "--set", "ppo.minibatches=1"]
# Command lines with a run in the place of RUN, by the kind that they take.
TAKERS = {
    "policy": [
        "evaluate RUN", "play RUN --video x.mp4", "record RUN --out x", "rollout RUN --out x", "gait RUN",
        "export RUN --out x", "export RUN --web x", "validate RUN", "demonstrate RUN --out x.npz",
        "bc wildrobot_walk --rounds 2 --expert RUN", "ppo --resume RUN", "ppo-amp --resume RUN", "imitate --resume RUN",
        "muscle --resume RUN", "ppo --init RUN",
    ],
    "motionnn": ["evaluate-motion RUN", "generate RUN", "motionnn --resume RUN", "ppo --encoder RUN"],
    "refnn": ["refnn --resume RUN", "evaluate-refnn RUN", "backward RUN x.npz --out x.pt"],
}  # fmt: skip
WRONG = [(words, kind) for taken, lines in TAKERS.items() for words in lines for kind in KINDS if kind != taken]


def test_settings_tell_their_kind() -> None:
    assert set(KINDS) == set(SETTINGS) == set(TAKERS)
    for kind in KINDS:
        assert kind_of(load(SETTINGS[kind])) == kind
    assert kind_of({"anything": 1}) is None
    assert kind_of([1]) is None


def load(text: str) -> object:
    import yaml

    return yaml.safe_load(text)


@pytest.mark.parametrize("words, kind", WRONG)
def test_another_kind_of_run_is_named(words: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if words.startswith("bc"):
        pytest.importorskip("imitation")
    if "--web" in words:
        monkeypatch.setattr("gait_trainers.commands.export.vendored", lambda: None)
    run = tmp_path / "mine"
    (run / "checkpoints").mkdir(parents=True)
    (run / "config.yaml").write_text(SETTINGS[kind])
    monkeypatch.chdir(tmp_path)
    more = SMALL if words.startswith("ppo --") and "--resume" not in words else []
    result = CliRunner().invoke(app, [*words.replace("RUN", str(run)).split(), *more])
    assert isinstance(result.exception, GaitNetError), result.output
    said = str(result.exception)
    assert f"{run} is a run of {MADE_BY[kind]}, for {KINDS[kind].taken_by}" in said
    assert len(said) < 400
    assert not list(tmp_path.glob("x*"))


@pytest.mark.parametrize(
    "words", ["evaluate RUN", "export RUN --out x", "validate RUN", "ppo --resume RUN", "refnn --resume RUN"]
)
def test_what_is_not_there_is_told_from_what_is_no_run(words: str, tmp_path: Path) -> None:
    for there in (False, True):
        if there:
            (tmp_path / "no").mkdir()
        result = CliRunner().invoke(app, words.replace("RUN", str(tmp_path / "no")).split())
        assert isinstance(result.exception, GaitNetError), result.output
        assert ("no such file or folder" in str(result.exception)) != there


def test_a_bundle_is_validated_by_its_name_and_a_run_is_told_from_one(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["validate", "wildrobot_walk", "--calls", "10", "--json"])
    assert '"environment": "GaitNet/WildRobot-v0"' in result.stdout
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "config.yaml").write_text(SETTINGS["policy"])
    result = CliRunner().invoke(app, ["validate", str(tmp_path)])
    assert "a run, not a bundle; gait-train export" in str(result.exception)
