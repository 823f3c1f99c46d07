"""Ctrl-C in a training of `ppo` and its like: what is saved, what is said, and that nothing follows."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from gait_trainers.config.layers import load_config
from gait_trainers.rl.callbacks import RunCallback
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.loggers import ProgressDisplay
from gait_trainers.runs.run_folder import Run

pytestmark = pytest.mark.usefixtures("ctrl_c")
STEPS = 2 * 8  # in an iteration


def settings(out: Path, **run: object) -> dict[str, object]:
    small = {"env.num_envs": 2, "ppo.n_steps": 8, "ppo.minibatches": 1, "networks.policy": [8], "networks.value": [8]}
    own = {"run.out": str(out), "run.name": "cut", "run.tensorboard": False, "run.iterations": 4}
    return small | own | {f"run.{key}": value for key, value in run.items()}


def press(monkeypatch: pytest.MonkeyPatch, iteration: int, times: int = 1) -> None:
    """Ctrl-C at the end of the rollout of an iteration."""
    measure = RunCallback._keep_std_above_floor

    def pressed(keeper: RunCallback) -> None:
        for _ in range(times if keeper.iteration + 1 == iteration else 0):
            signal.raise_signal(signal.SIGINT)
        measure(keeper)

    monkeypatch.setattr(RunCallback, "_keep_std_above_floor", pressed)


def saved(out: Path) -> int:
    return int(Run(out / "cut").checkpoints()[-1].stem.removeprefix("step_")) // STEPS


def test_an_iteration_is_saved_before_a_broken_stderr_is_written_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise BrokenPipeError

    press(monkeypatch, 2)
    monkeypatch.setattr(ProgressDisplay, "write", lambda _, row, *__: row["time/iteration"] == 2 and broken())
    with pytest.raises(BrokenPipeError):
        train(load_config(overrides=settings(tmp_path, checkpoint_every=100)))
    assert saved(tmp_path) == 2
    monkeypatch.undo()
    assert resume(tmp_path / "cut").iterations == 4


@pytest.mark.parametrize("end", [{"iterations": 2}, {"minutes": 1e-9}])
def test_nothing_follows_where_it_is_the_last_iteration(
    end: dict[str, float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    last = 1 if "minutes" in end else 2
    press(monkeypatch, last)
    with pytest.raises(KeyboardInterrupt):
        train(load_config(overrides=settings(tmp_path, **end)))
    assert saved(tmp_path) == last
    assert f"interrupted; {tmp_path / 'cut'} is complete" in capsys.readouterr().err.replace("\n", " ")


def test_a_run_that_goes_on_from_a_checkpoint_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(load_config(overrides=settings(tmp_path, iterations=3)))
    press(monkeypatch, 4, times=2)
    with pytest.raises(KeyboardInterrupt):
        resume(tmp_path / "cut", {"run.iterations": 6})
    assert "interrupted; from iteration 3 it goes on with: gait-train ppo" in capsys.readouterr().err
