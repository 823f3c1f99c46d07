"""A run killed with SIGKILL and continued ends bit for bit like one that was never interrupted."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from helpers.runs import differences, final_state, metrics
from helpers.still_clips import IMITATION, still, write
from typer.testing import CliRunner

from gait_envs.assets import asset_path
from gait_trainers.cli import app
from gait_trainers.config.layers import load_config
from gait_trainers.config.section import ConfigError
from gait_trainers.rl.build import make_vec_env
from gait_trainers.rl.early_stop import WalkGoal
from gait_trainers.rl.train import resume, resume_or_train, train
from gait_trainers.runs.checkpoint import load_checkpoint
from gait_trainers.runs.checkpoint_format import to_tensors
from gait_trainers.runs.loggers import read_metrics
from gait_trainers.runs.run_folder import Run, RunError

ITERATIONS = 20
SETTINGS = {
    "env.num_envs": 8,
    "env.kwargs.rsi_probability": 0.5,
    "ppo.n_steps": 16,
    "ppo.minibatches": 4,
    "ppo.lr_schedule": "linear",
    "ppo.normalize_reward": True,
    "networks.policy": [32, 16],
    "networks.value": [32, 16],
    "amp.frames": 2,
    "amp.hidden": [32, 16],
    "amp.batch_size": 64,
    "amp.replay_size": 500,
    "amp.input_noise_final": 0.1,
    "amp.input_noise_decay": 20,
    "run.iterations": ITERATIONS,
    "run.checkpoint_every": 2,
    "run.tensorboard": False,
}


def settings(out: Path, name: str, clip: Path, **run: object) -> dict[str, object]:
    own = {"run.out": str(out), "run.name": name, "run.seed": 5, "env.kwargs.reference": str(clip)}
    return SETTINGS | own | {f"run.{key}": value for key, value in run.items()}


def start_killable(*args: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "gait_trainers.cli", "ppo-amp", *args]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def kill_after(process: subprocess.Popen, run: Run, iterations: int) -> None:
    """SIGKILL once the checkpoint of `iterations` is there, a moment into what follows it."""
    deadline = time.monotonic() + 600  # a busy machine takes minutes for what an idle one does in seconds
    while process.poll() is None and time.monotonic() < deadline:
        latest = run.checkpoints()[-1:]
        if latest and int(latest[0].stem.removeprefix("step_")) >= iterations * 8 * 16:
            time.sleep(0.013 * iterations)
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors


def interrupt_after(process: subprocess.Popen, run: Run, iterations: int) -> str:
    """SIGINT, as of Ctrl-C, once `iterations` are logged; what it says on stderr."""
    deadline = time.monotonic() + 600
    while process.poll() is None and time.monotonic() < deadline:
        if run.metrics_file.is_file() and len(run.metrics_file.read_text().splitlines()) > iterations:
            break
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    assert process.returncode not in (0, -signal.SIGINT), errors
    return str(errors)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, reference_clip: Path) -> Path:
    out = tmp_path_factory.mktemp("runs")
    train(load_config(overrides=settings(out, "whole", reference_clip)))
    return out / "whole"


def test_killed_and_resumed_equals_uninterrupted(uninterrupted: Path, reference_clip: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "killed")
    assignments = [f"--set={key}={value}" for key, value in settings(tmp_path, "killed", reference_clip).items()]
    kill_after(start_killable(*assignments), run, iterations=4)
    kill_after(start_killable("--resume", str(run.path)), run, iterations=10)
    assert len(read_metrics(run.metrics_file)) < ITERATIONS
    resume(run.path)

    expected, found = final_state(uninterrupted), final_state(run.path)
    assert expected["sb3"]["num_timesteps"] == ITERATIONS * 8 * 16
    assert len(expected["metrics"]["episodes"]) > 10  # resets did happen
    assert differences(expected, found) == []
    assert metrics(run.path) == metrics(uninterrupted)
    assert [row["iteration"] for row in metrics(run.path)] == [str(i) for i in range(1, ITERATIONS + 1)]


@pytest.mark.usefixtures("ctrl_c")
def test_interrupted_ends_with_a_checkpoint_of_its_last_iteration(
    uninterrupted: Path, reference_clip: Path, tmp_path: Path
) -> None:
    run = Run(tmp_path / "cut")
    rare = settings(tmp_path, "cut", reference_clip, checkpoint_every=1000)
    said = interrupt_after(start_killable(*(f"--set={key}={value}" for key, value in rare.items())), run, 3)
    done = len(read_metrics(run.metrics_file))
    assert 3 <= done < ITERATIONS
    assert int(run.checkpoints()[-1].stem.removeprefix("step_")) == done * 8 * 16
    assert "ends once this iteration is done and saved; Ctrl-C again ends at once" in said
    assert f"interrupted; from iteration {done} it goes on with: gait-train ppo-amp --resume {run.path}" in said
    resume(run.path)
    assert differences(final_state(uninterrupted), final_state(run.path)) == []
    assert metrics(run.path) == metrics(uninterrupted)


def test_resume_or_train_begins_a_run_then_continues_it_then_leaves_it(
    reference_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = settings(tmp_path, "again", reference_clip)
    first = resume_or_train(load_config(overrides=own | {"run.iterations": 2}))
    assert first.run.path == tmp_path / "again"
    longer = resume_or_train(load_config(overrides=own | {"run.iterations": 3}))
    assert [row["iteration"] for row in read_metrics(longer.run.metrics_file)] == ["1", "2", "3"]
    before = longer.run.metrics_file.read_bytes()
    assert "is complete" not in capsys.readouterr().err
    assert resume_or_train(load_config(overrides=own | {"run.iterations": 3})).steps == longer.steps
    assert longer.run.metrics_file.read_bytes() == before
    said = capsys.readouterr().err
    assert "again is complete: nothing is left to train" in said
    assert "makes it longer" not in said  # a script may not have the option
    with pytest.raises(ConfigError, match=r"asked for now is not what again was trained with: ppo\.gamma is 0\.5, was"):
        resume_or_train(load_config(overrides=own | {"ppo.gamma": 0.5}))
    with pytest.raises(RunError, match=r"run\.name is not given"):
        resume_or_train(load_config(overrides=own | {"run.name": None}))


def test_a_checkpoint_of_version_1_is_continued_as_it_would_have_been(uninterrupted: Path, tmp_path: Path) -> None:
    """The layout of before learners had a place of their own, made from a checkpoint of today."""
    run = Run(Path(shutil.copytree(uninterrupted, tmp_path / "old")))
    run.drop_checkpoints_after(28 * 8 * 16)
    (*_, file) = run.checkpoints()
    now = load_checkpoint(file)
    old = {key: value for key, value in now.items() if key != "learners"} | {
        "amp": now["learners"]["amp"],
        "muscle": None,
    }
    old["metrics"] = old["metrics"] | {"episodes": [episode[:3] for episode in now["metrics"]["episodes"]]}
    torch.save({"format_version": 1, "state": to_tensors(old)}, file)
    for version in (0, 3):  # 3 has a checksum before it
        torch.save({"format_version": version, "state": {}}, tmp_path / "other.pt")
        with pytest.raises(RunError, match=f"format version {version}, this version reads 1, 2"):
            load_checkpoint(tmp_path / "other.pt")
    assert load_checkpoint(file)["learners"].keys() == {"amp"}
    resume(run.path)
    expected, found = final_state(uninterrupted), final_state(run.path)
    for state in (expected, found):
        state.pop("metrics")  # recent episodes do not say whether they followed
    assert differences(expected, found) == []


def test_an_evaluation_on_the_way_changes_nothing(uninterrupted: Path, reference_clip: Path, tmp_path: Path) -> None:
    goal = {"success_rate": 1.0, "speed_error": 1e-6, "every": 10, "episodes": 2}
    train(load_config(overrides=settings(tmp_path, "watched", reference_clip, stop_when=goal)))
    assert differences(final_state(uninterrupted), final_state(tmp_path / "watched")) == []
    rows = read_metrics(tmp_path / "watched" / "metrics.csv")
    assert [row["iteration"] for row in rows if row["check_success_rate"]] == ["10", "20"]


def test_training_ends_when_the_goal_is_met(
    reference_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    goal = {"success_rate": 0.01, "speed_error": 100, "command": 0.0, "every": 2, "episodes": 4}
    # Nothing counts as a fall here, and none is told to go anywhere, so that an untrained robot meets the goal.
    easy = {"env.kwargs.min_height": 0, "env.kwargs.max_tilt": 9}
    result = train(load_config(overrides=settings(tmp_path, "early", reference_clip, stop_when=goal) | easy))
    assert result.stopped.startswith("it walks straight: success ")
    assert (result.iterations, result.steps) == (4, 4 * 8 * 16)  # the second time in a row
    assert final_state(tmp_path / "early")["sb3"]["num_timesteps"] == 4 * 8 * 16

    before = final_state(tmp_path / "early")
    again = resume(tmp_path / "early", by_command=True)
    assert (again.iterations, again.stopped, again.walks) == (4, "run.stop_when was met", True)
    assert "early is complete: nothing is left to train; --iterations N makes it longer" in capsys.readouterr().err
    assert differences(before, final_state(tmp_path / "early")) == []
    longer = resume(tmp_path / "early", {"run.iterations": again.run.config().run.iterations + 1})
    assert longer.iterations == 8  # asked to go on, until the goal is met twice in a row again

    short = settings(tmp_path, "halves", reference_clip, stop_when=goal, iterations=3) | easy
    train(load_config(overrides=short))
    assert resume(tmp_path / "halves", {"run.iterations": 30}).iterations == 4  # the first time is remembered


def test_a_robot_that_stands_still_does_not_walk(reference_clip: Path, tmp_path: Path) -> None:
    goal = {"success_rate": 0.01, "speed_error": 100, "command": 0.4, "every": 1, "times": 1, "episodes": 4}
    easy = {"env.kwargs.min_height": 0, "env.kwargs.max_tilt": 9}  # it survives, lying down
    result = train(
        load_config(overrides=settings(tmp_path, "lies", reference_clip, stop_when=goal, iterations=2) | easy)
    )
    assert result.stopped is None
    (*_, row) = read_metrics(tmp_path / "lies" / "metrics.csv")
    assert float(row["check_success_rate"]) == 0.0


def test_a_run_whose_time_is_up_is_complete_until_it_is_given_more(
    reference_clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = train(load_config(overrides=settings(tmp_path, "timed", reference_clip, minutes=1e-4, iterations=3)))
    assert (first.iterations, first.stopped) == (1, "0.0001 minutes of training are up")
    before = final_state(tmp_path / "timed")
    again = resume(tmp_path / "timed", by_command=True)
    assert "timed is complete: nothing is left to train; --set run.minutes=N makes it longer" in capsys.readouterr().err
    assert (again.iterations, again.steps, again.stopped) == (1, first.steps, first.stopped)
    assert differences(before, final_state(tmp_path / "timed")) == []
    assert len(read_metrics(tmp_path / "timed" / "metrics.csv")) == 1
    more = resume(tmp_path / "timed", {"run.minutes": 60.0})
    assert (more.iterations, more.stopped) == (3, None)
    assert load_config(tmp_path / "timed" / "config.yaml").run.minutes == 60


def test_a_training_that_diverges_says_so_and_saves_nothing_undefined(reference_clip: Path, tmp_path: Path) -> None:
    wild = settings(tmp_path, "wild", reference_clip) | {"ppo.learning_rate": 1e30}
    with pytest.raises(RunError, match=r"wild: diverged in iteration \d+: .* Lower ppo\.learning_rate"):
        train(load_config(overrides=wild))
    for file in Run(tmp_path / "wild").checkpoints():
        assert all(torch.isfinite(value).all() for value in load_checkpoint(file)["policy"].values())


def test_a_bundle_is_no_run() -> None:
    with pytest.raises(RunError, match=r"is a bundle, not a run folder; a new training begins from it with --init"):
        resume(asset_path("policies/wildrobot_walk"))


def test_another_command_goes_on_with_the_runs_own(reference_clip: Path, tmp_path: Path) -> None:
    small = settings(tmp_path, "amp", reference_clip) | {"run.iterations": 1}
    run = train(load_config(overrides=small)).run.path
    found = CliRunner().invoke(app, ["ppo", "--resume", str(run)])
    assert found.exit_code == 0
    assert f"{run} is a run of gait-train ppo-amp, and goes on as one" in found.output


def test_a_trackers_goal_is_judged_on_the_clips_that_it_is_trained_on(tmp_path: Path) -> None:
    folder = write(tmp_path / "clips", still("mine", 60))
    own = {"algorithm": "ppo", "env.id": IMITATION, "env.num_envs": 2, "env.kwargs.reference": folder}
    config = load_config(overrides=own | {"run.stop_when.episodes": 2})
    goal = WalkGoal(config, None, make_vec_env)  # type: ignore[arg-type]
    assert goal.env is not None
    assert goal.env.env.unwrapped.core.task.library.names == ("mine",)  # type: ignore[attr-defined]
    goal.close()
