"""Runs of pre-training are locked, refused and resumed as those of PPO, by one form of the command for each trainer."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from helpers.runs import differences
from helpers.still_refnn import sequences
from helpers.strolls import stroll, strolls
from typer.testing import CliRunner

from gait_envs.reference.clip import save_clip
from gait_envs.reference.refnn.walks import WalkError, save_sequences
from gait_trainers.cli import app
from gait_trainers.config.section import ConfigError
from gait_trainers.pretrain.motionnn.run_folder import read_motion_run
from gait_trainers.pretrain.motionnn.training import Training as MotionTraining
from gait_trainers.pretrain.refnn.data import Version, open_data
from gait_trainers.pretrain.refnn.learner import RefLearner
from gait_trainers.pretrain.refnn.run import read_refnn_run
from gait_trainers.runs.checkpoint_files import load_checkpoint, save_checkpoint
from gait_trainers.runs.lock import Locked, locked
from gait_trainers.runs.loggers import read_metrics
from gait_trainers.runs.run_folder import Run, RunError

CLOCK = ("elapsed", "frames_per_second")  # columns of metrics.csv that depend on it


@dataclass(frozen=True)
class Kind:
    """A trainer, with what makes it quick: 8 updates, a checkpoint every 3, metrics every 2."""

    name: str
    settings: dict[str, Any]
    length: str  # the key of the number of updates
    learned: tuple[str, str]  # keys of a setting that may not change
    data: Callable[[Path], Path]
    change: Callable[[Path], Any]  # of the data
    step: tuple[type, str]  # what makes an update
    read: Callable[..., Any]
    result: str  # the model's file

    def train(self, data: Path, out: Path) -> Any:
        words = [word for key, value in self.settings.items() for word in ("--set", f"{key}={value}")]
        return self.run(str(data), "--out", str(out), *words)

    def run(self, *words: str) -> Any:
        return CliRunner().invoke(app, [self.name, *words])


def two_files(folder: Path) -> Path:
    folder.mkdir()
    for seed in (0, 1):
        save_sequences(folder / f"{seed}.npz", sequences(8, seed))
    return folder


KINDS = {
    "motionnn": Kind(
        "motionnn",
        {"data.workers": 0, "model.settings.hidden": [8], "model.settings.dropout": 0.1, "loss.horizon": 4,
         "optim.updates": 8, "optim.least_windows": 4, "optim.batch_frames": 16, "run.log_every": 2,
         "run.checkpoint_every": 3, "run.tensorboard": False, "data.resident": 2, "data.refresh": 2},
        "optim.updates", ("loss.noise", "optim.learning_rate"), lambda folder: strolls(folder, 100),
        lambda folder: [save_clip(folder / f"{x}1.npz", stroll(f"{x}1", 100, 0.1, x.upper())) for x in "abc"],
        (MotionTraining, "step"),
        read_motion_run, "model.npz",
    ),
    "refnn": Kind(
        "refnn",
        {"hidden": [8], "learning_rate": 1e-2, "final_learning_rate": 1e-3, "batch_size": 64, "epochs": 2,
         "replay": 300, "stream_batch": 200, "stream_scale": 3, "iterations": 8, "checkpoint_every": 3,
         "holdout": 0.25},
        "iterations", ("epochs", "seed"), two_files,
        lambda folder: save_sequences(folder / "0.npz", sequences(8, 7)), (RefLearner, "learn"), read_refnn_run,
        "model/refnn.npz",
    ),
}  # fmt: skip


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    return KINDS[request.param]


@pytest.fixture(scope="module")
def data(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return kind.data(tmp_path_factory.mktemp("data") / "set")


@pytest.fixture(scope="module")
def whole(kind: Kind, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "whole"
    result = kind.train(data, out)
    assert result.exit_code == 0, result.output
    return out


def final_state(run: Path) -> dict[str, Any]:
    file = Run(run).checkpoints()[-1]
    assert file.name == "step_000000000008.pt"
    state = load_checkpoint(file)
    return {key: value for key, value in state.items() if key not in ("seconds", "pending")}


def arrays(file: Path) -> dict[str, np.ndarray]:
    with np.load(file) as archive:
        return {key: archive[key] for key in archive.files}


def assert_same(one: Path, other: Path, kind: Kind) -> None:
    """Every bit that training left, but for the clock."""
    assert differences(final_state(one), final_state(other)) == []
    first, second = arrays(one / kind.result), arrays(other / kind.result)
    assert first.keys() == second.keys()
    assert all(value.tobytes() == second[key].tobytes() for key, value in first.items())
    assert rows_of(one) == rows_of(other)


def rows_of(run: Path) -> list[dict[str, str]]:
    rows = read_metrics(run / "metrics.csv")
    return [{key: value for key, value in row.items() if key not in CLOCK} for row in rows]


def unlocked(run: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in run.rglob("*") if file.is_file() and file.name != ".lock"}


@pytest.mark.parametrize("at", [1, 5, 8])
def test_interrupted_and_resumed_is_undisturbed(
    kind: Kind, data: Path, whole: Path, at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the first checkpoint, between two, and in the last update; the bits are those of a run that went on."""
    (owner, name), made = kind.step, []
    step = getattr(owner, name)

    def interrupted(*args: Any) -> Any:
        made.append(1)
        if len(made) == at:
            raise KeyboardInterrupt
        return step(*args)

    out = tmp_path / "cut"
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, interrupted)
        result = kind.train(data, out)
    assert result.exit_code != 0
    assert not (out / kind.result).exists()
    torch.manual_seed(3)  # another process has other generators
    result = kind.run("--resume", str(out))
    assert result.exit_code == 0, result.output
    assert_same(whole, out, kind)
    assert len(Run(out).origin()["resumed"]) == 1


@pytest.mark.usefixtures("ctrl_c")
@pytest.mark.parametrize("presses", [1, 2])
def test_ctrl_c_ends_after_the_update_and_a_second_one_at_once(
    kind: Kind, data: Path, whole: Path, presses: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the fifth update, after which no checkpoint is due; the last one before it is of the third."""
    (owner, name), made = kind.step, []
    step = getattr(owner, name)

    def pressed(*args: Any) -> Any:
        made.append(1)
        for _ in range(presses if len(made) == 5 else 0):
            signal.raise_signal(signal.SIGINT)
        return step(*args)

    out = tmp_path / "cut"
    with monkeypatch.context() as patched:
        patched.setattr(owner, name, pressed)
        result = kind.train(data, out)
    saved = 5 if presses == 1 else 3
    assert result.exit_code != 0
    assert f"from {'update' if kind.name == 'motionnn' else 'iteration'} {saved} it goes on with: gait-train " in (
        " ".join(result.output.split())
    )
    assert int(Run(out).checkpoints()[-1].stem.removeprefix("step_")) == saved
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert kind.run("--resume", str(out)).exit_code == 0
    assert_same(whole, out, kind)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_in_the_last_update_ends_what_would_follow(
    kind: Kind, data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (owner, name), made = kind.step, []
    step = getattr(owner, name)

    def pressed(*args: Any) -> Any:
        made.append(1)
        if len(made) == 8:
            signal.raise_signal(signal.SIGINT)
        return step(*args)

    monkeypatch.setattr(owner, name, pressed)
    out = tmp_path / "cut"
    result = kind.train(data, out)
    assert result.exit_code != 0
    assert f"interrupted; {out} is complete" in " ".join(result.output.split())
    assert_same(whole, out, kind)


def test_a_checkpoint_may_be_named_and_what_came_after_it_goes(kind: Kind, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "again"))
    early, late = Run(out).checkpoints()
    late.write_bytes(late.read_bytes()[:-20])
    result = kind.run("--resume", str(out))
    assert isinstance(result.exception, RunError)
    said = str(result.exception)
    assert said.startswith(f"{late} cannot be read as a checkpoint: ")
    assert said.endswith(f"the latest intact one before it is {early}")
    assert kind.run("--resume", str(early)).exit_code == 0
    assert_same(whole, out, kind)


def test_a_complete_run_says_so_and_stays_as_it_is(kind: Kind, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "done"))
    result = kind.run("--resume", str(out))
    assert result.exit_code == 0, result.output
    longer = "--updates N" if kind.name == "motionnn" else "--set iterations=N"
    said = " ".join(result.output.split())
    assert f"done is complete: nothing is left to train; {longer} makes it longer" in said
    assert_same(whole, out, kind)


def test_a_changed_configuration_is_refused_by_name(kind: Kind, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "edited"))
    tree = yaml.safe_load((out / "config.yaml").read_text())
    for dotted in kind.learned:
        *parts, last = dotted.split(".")
        section = tree[parts[0]] if parts else tree
        section[last] = section[last] / 2 if isinstance(section[last], float) else section[last] + 1
    (out / "config.yaml").write_text(yaml.safe_dump(tree))
    before = unlocked(out)
    result = kind.run("--resume", str(out))
    assert isinstance(result.exception, ConfigError)
    said = str(result.exception)
    assert said.startswith(f"{out / 'config.yaml'} is not what step_000000000008.pt was trained with: ")
    assert all(f"{key} is " in said for key in kind.learned)
    assert f"only {kind.length}, " in said
    assert "\n" not in said
    assert unlocked(out) == before


def test_only_length_and_threads_may_be_given(kind: Kind, data: Path, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "longer"))
    first, second = kind.learned
    for words, named in (
        ([str(data)], "CLIPS" if kind.name == "motionnn" else "DATA"),
        (["--preset", "paper"], "--preset"),
        (["--out", str(tmp_path)], "--out"),
        (["--set", f"{first}=1", "--set", f"{second}=1"], ", ".join(sorted((first, second)))),
    ):
        result = kind.run("--resume", str(out), *words)
        assert isinstance(result.exception, ConfigError)
        assert f"so {named} cannot be given; only {kind.length}, " in str(result.exception)
    result = kind.run("--resume", str(out), "--set", f"{kind.length}=9")
    assert result.exit_code == 0, result.output
    assert Run(out).checkpoints()[-1].name == "step_000000000009.pt"
    assert kind.read(out).origin["resumed"][0]["command"]


def test_one_process_a_folder(kind: Kind, data: Path, whole: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    (new / "checkpoints").mkdir(parents=True)
    for folder, act in ((whole, lambda: kind.run("--resume", str(whole))), (new, lambda: kind.train(data, new))):
        before = unlocked(folder)
        with locked(folder):
            result = act()
        assert isinstance(result.exception, Locked), folder
        assert unlocked(folder) == before
    assert kind.train(data, new).exit_code == 0  # a folder of a killed process, which is no run yet
    assert isinstance(kind.train(data, new).exception, RunError)


def test_changed_data_are_noticed(kind: Kind, data: Path, whole: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(data, tmp_path / "set"))
    assert kind.train(moved, tmp_path / "run").exit_code == 0
    kind.change(moved)
    result = kind.run("--resume", str(tmp_path / "run"))
    assert isinstance(result.exception, RunError)
    assert "are not those that the run was begun with" in str(result.exception)


def test_a_checkpoint_that_holds_something_else_is_refused(kind: Kind, whole: Path, tmp_path: Path) -> None:
    out = Path(shutil.copytree(whole, tmp_path / "other"))
    run, state = Run(out), load_checkpoint(Run(out).checkpoints()[-1])
    inner = state if kind.name == "motionnn" else state["learner"]
    weights = "model" if kind.name == "motionnn" else "network"
    moments = inner["optimizer"]["state"]
    spoilt = {key: {**row, "exp_avg": torch.zeros(3)} for key, row in moments.items()}
    for changes in (
        {weights: {key: value * float("nan") for key, value in inner[weights].items()}},
        {weights: 3},
        {"optimizer": {"state": spoilt, "param_groups": []}},
        {"generator": None},
        {"optimizer": {}},
    ):
        other = state | changes if kind.name == "motionnn" else state | {"learner": inner | changes}
        save_checkpoint(run, other, 8, keep=1)
        result = kind.run("--resume", str(out))
        assert isinstance(result.exception, RunError), changes
        assert f"{run.checkpoints()[-1]}: it does not fit its configuration: " in str(result.exception)


def test_the_limit_of_a_checkpoint_can_be_set(kind: Kind, whole: Path) -> None:
    with pytest.raises(RunError, match=r"step_0+8\.pt: larger than 100 bytes"):
        kind.read(whole, limit=100)
    assert kind.read(whole, limit=1 << 20).checkpoint == Run(whole).checkpoints()[-1]


def test_a_file_of_sequences_that_changes_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = two_files(tmp_path / "set")
    file = folder / "0.npz"
    data = open_data([folder], holdout=0.0, seed=0, balanced=False, resident=1)
    first, _ = data.part(file, held_out=False)
    save_sequences(file, sequences(8, seed=5))
    with pytest.raises(WalkError, match=r"0\.npz: has changed since it was opened; begin a new run with it"):
        data.part(file, held_out=False)
    again, _ = open_data([folder], holdout=0.0, seed=0, balanced=False, resident=1).part(file, held_out=False)
    assert not np.array_equal(again, first)  # not what the same path held before
    # Of the same size, and at the same time: found by its checksum when it is read again.
    data = open_data([folder], holdout=0.0, seed=0, balanced=False, resident=1)
    monkeypatch.setattr(Version, "of", lambda file: Version(0, 0))
    data = open_data([folder], holdout=0.0, seed=0, balanced=False, resident=1)
    save_sequences(file, sequences(8, seed=6))
    with pytest.raises(WalkError, match=r"0\.npz: has changed"):
        data.part(file, held_out=False)
