"""Run folders, checkpoints, metrics and their warnings, and the command line's errors."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.runs import differences, final_state, metrics

from gait_trainers import cli
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.learners.amp.spec import SPEC as AMP
from gait_trainers.rl.build import build
from gait_trainers.rl.train import resume, train
from gait_trainers.runs.checkpoint import load_checkpoint, read_networks, save_checkpoint
from gait_trainers.runs.checkpoint_format import from_tensors, to_tensors
from gait_trainers.runs.loggers import MetricsCSV, TensorBoard, describe, read_metrics
from gait_trainers.runs.monitoring import HealthMonitor, RolloutMetrics
from gait_trainers.runs.run_folder import Run, RunError, create_run, open_run

TINY = {
    "env.num_envs": 4,
    "ppo.n_steps": 8,
    "ppo.minibatches": 2,
    "networks.policy": [16],
    "networks.value": [16],
    "run.iterations": 3,
    "run.checkpoint_every": 1,
    "run.tensorboard": False,
}


def tiny(out: Path, **more: object) -> TrainConfig:
    changes = {key.replace("__", "."): value for key, value in more.items()}
    return load_config(overrides=TINY | {"algorithm": "ppo", "run.out": str(out), "run.name": "tiny"} | changes)


# -- folders and checkpoints --------------------------------------------------------------------------------


def test_a_run_folder_says_what_it_is_and_is_never_reused(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    run = create_run(config)
    assert load_config(run.config_file) == config
    origin = json.loads(run.provenance_file.read_text())
    assert origin["seed"] == 0
    assert origin["versions"]["torch"] == torch.__version__
    with pytest.raises(RunError, match="exists already"):
        create_run(config)


def test_what_cannot_be_built_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        train(tiny(tmp_path, algorithm="ppo-amp", amp__data="nowhere"))
    assert not (tmp_path / "tiny").exists()


def test_only_the_last_checkpoints_stay_and_the_latest_is_found(tmp_path: Path) -> None:
    run = create_run(tiny(tmp_path))
    for steps in (0, 900, 1000, 20_000):
        save_checkpoint(run, {"steps": steps}, steps, keep=2)
    assert [load_checkpoint(file)["steps"] for file in run.checkpoints()] == [1000, 20_000]
    assert open_run(run.path)[1] == run.checkpoints()[-1]
    assert open_run(run.checkpoints()[0]) == (run, run.checkpoints()[0])


def test_a_checkpoint_appears_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tiny(tmp_path))
    save_checkpoint(run, {"steps": 1}, 1, keep=3)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", die)
        with pytest.raises(KeyboardInterrupt):
            save_checkpoint(run, {"steps": 2}, 2, keep=3)
    assert [file.name for file in (run.path / "checkpoints").iterdir()] == ["step_000000000001.pt"]


@pytest.mark.parametrize("keep", [0, 100, 0.5, -1])
def test_a_damaged_checkpoint_is_named_with_the_one_to_use(tmp_path: Path, keep: float) -> None:
    run = create_run(tiny(tmp_path))
    first = save_checkpoint(run, {"data": np.arange(1000.0)}, 100, keep=3)
    last = save_checkpoint(run, {"data": np.arange(1000.0)}, 200, keep=3)
    size = last.stat().st_size
    os.truncate(last, int(size * keep) if isinstance(keep, float) else keep % size)
    with pytest.raises(RunError) as caught:
        load_checkpoint(last)
    assert str(last) in str(caught.value)
    assert f"the latest intact one before it is {first}" in str(caught.value)


def test_only_a_whole_checkpoint_is_offered_in_place_of_a_damaged_one(tmp_path: Path) -> None:
    run = create_run(tiny(tmp_path))
    files = [save_checkpoint(run, {"data": np.arange(1000.0)}, steps, keep=3) for steps in (100, 200, 300)]

    def offered() -> str:
        with pytest.raises(RunError) as caught:
            load_checkpoint(files[-1])
        (line,) = str(caught.value).splitlines()
        return line.rpartition("; ")[2]

    for file in files[1:]:
        damaged = bytearray(file.read_bytes())
        damaged[len(damaged) // 2] ^= 4
        file.write_bytes(damaged)
    assert offered() == f"the latest intact one before it is {files[0]}"
    files[0].write_bytes(b"")
    assert offered() == "no earlier one is intact"


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "harm"),)

    run = create_run(tiny(tmp_path))
    file = run.path / "checkpoints" / "step_000000000001.pt"
    torch.save({"format_version": 1, "state": Harm()}, file)
    with pytest.raises(RunError):
        load_checkpoint(file)
    assert not (tmp_path / "harm").exists()


def test_state_survives_the_file_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    state = {
        "arrays": [rng.normal(size=(2, 3)), np.array(True), np.arange(4, dtype=np.uint32), np.zeros((0, 3))],
        "generator": rng.bit_generator.state,  # holds integers of 128 bits
        "tuple": (1, 2.5, None, "text", True),
        "scalar": np.float64(0.1),
        "tensor": torch.arange(3),
    }
    run = create_run(tiny(tmp_path))
    found = load_checkpoint(save_checkpoint(run, state, 0, keep=1))
    for expected, array in zip(state["arrays"], found["arrays"], strict=True):
        assert (array.dtype, array.shape) == (expected.dtype, expected.shape)
        assert np.array_equal(array, expected)
    assert found["generator"] == state["generator"]
    assert found["tuple"] == state["tuple"]
    assert found["scalar"] == 0.1
    assert torch.equal(found["tensor"], state["tensor"])
    assert from_tensors(to_tensors({"a": np.ones(2)}))["a"].tolist() == [1, 1]


def test_a_run_killed_before_its_configuration_was_written_is_started_again(tmp_path: Path) -> None:
    path = tmp_path / "tiny"
    (path / "checkpoints").mkdir(parents=True)
    (path / "provenance.json").write_text("{")  # whatever a kill left
    (path / f".config.yaml.{os.getpid()}.tmp").write_text("half")
    with pytest.raises(RunError, match="start it again as it was started"):
        resume(path)
    train(tiny(tmp_path))
    assert len(read_metrics(path / "metrics.csv")) == 3
    assert not list(path.glob(".*.tmp"))


@pytest.mark.parametrize("foreign", ["notes.txt", "metrics.csv", "checkpoints/step_000000000032.pt"])
def test_a_folder_with_anything_else_in_it_is_never_taken(tmp_path: Path, foreign: str) -> None:
    file = tmp_path / "tiny" / foreign
    file.parent.mkdir(parents=True)
    file.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(RunError, match="exists already"):
        train(tiny(tmp_path))
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_killed_before_its_first_checkpoint_begins_at_its_first_step(tmp_path: Path) -> None:
    train(tiny(tmp_path, run__name="whole"))
    run = create_run(tiny(tmp_path))
    run.metrics_file.write_text("iteration,steps\n1,32\n")  # of a checkpoint that somebody removed
    result = resume(run.path)
    assert differences(final_state(tmp_path / "whole"), final_state(run.path)) == []
    assert metrics(run.path) == metrics(tmp_path / "whole")
    assert result.iterations == 3


def test_what_killed_writes_left_is_removed_when_a_run_goes_on(tmp_path: Path) -> None:
    run = train(tiny(tmp_path)).run
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    dead, alive, folder = int(ended.stdout), os.getppid(), run.path / "checkpoints"
    gone = [folder / f".step_000000000032.pt.{pid}.tmp" for pid in (dead, os.getpid())]
    gone += [run.path / f".metrics.csv.{dead}.tmp", folder / "step_000000009999.npz"]
    kept = [run.path / f".page.png.{alive}.tmp", run.path / ".mine.tmp", folder / "step_000000000096.npz"]
    for file in (*gone, *kept):
        file.write_text("half")
    resume(run.path)
    assert [file for file in gone if file.exists()] == []
    assert [file for file in kept if not file.exists()] == []


def test_a_damaged_provenance_is_named(tmp_path: Path) -> None:
    run = train(tiny(tmp_path)).run
    for text in ("{", "[]", "\ufeff", '{"resumed": 1}', "[" * 100_000):
        run.provenance_file.write_text(text)
        with pytest.raises(RunError, match=r"provenance\.json is damaged"):
            resume(run.path)
    run.provenance_file.unlink()
    resume(run.path)
    assert len(json.loads(run.provenance_file.read_text())["resumed"]) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create_run(tiny(tmp_path))
    table = MetricsCSV(run.metrics_file)
    table.write({"a/iteration": 1}, {})
    run.metrics_file.unlink()
    run.metrics_file.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as caught:
        table.write({"a/iteration": 2}, {})
    assert caught.value.filename == str(run.metrics_file)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as caught:
        save_checkpoint(run, {"steps": 1}, 1, keep=1)
    assert caught.value.filename == str(run.checkpoint_file(1))
    assert run.checkpoints() == []
    board = TensorBoard(str(run.tensorboard))
    monkeypatch.setattr(board.writer, "flush", lambda: full(0))
    with pytest.raises(OSError, match="No space left") as caught:
        board.write({"a/b": 1.0}, {"a/b": ()})
    assert caught.value.filename == str(run.tensorboard)


def test_resuming_something_else_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no config\.yaml"):
        open_run(tmp_path)


# -- training ----------------------------------------------------------------------------------------------


def test_loaded_policy_acts_like_the_trained_one(tmp_path: Path) -> None:
    config = tiny(tmp_path)
    train(config)
    run, file = open_run(tmp_path / "tiny")
    policy, normalize, loaded = read_networks(run.path)
    assert loaded == config

    training = build(config)
    state = load_checkpoint(file)
    training.model.policy.load_state_dict(state["policy"])
    norm = training.model.get_vec_normalize_env()
    norm.obs_rms.mean, norm.obs_rms.var = state["vec_normalize"]["mean"], state["vec_normalize"]["var"]
    obs = np.random.default_rng(0).normal(size=(5, 37)).astype(np.float32)
    expected, _ = training.model.policy.predict(norm.normalize_obs(obs), deterministic=True)
    assert np.array_equal(policy.predict(normalize(obs), deterministic=True)[0], expected)
    assert not np.array_equal(expected[0], expected[1])
    training.base.close()


def test_a_finished_run_can_be_extended(tmp_path: Path) -> None:
    train(tiny(tmp_path))
    result = resume(tmp_path / "tiny", {"run.iterations": 5})
    assert (result.iterations, result.steps) == (5, 5 * 32)
    assert [row["iteration"] for row in read_metrics(result.run.metrics_file)] == list("12345")
    assert load_config(result.run.config_file).run.iterations == 5
    assert len(json.loads(result.run.provenance_file.read_text())["resumed"]) == 1


def test_training_from_an_earlier_checkpoint_drops_the_later_future(tmp_path: Path) -> None:
    train(tiny(tmp_path))
    run = Run(tmp_path / "tiny")
    first = run.checkpoints()[0]
    last = load_checkpoint(run.checkpoints()[-1])
    resume(first)
    again = load_checkpoint(run.checkpoints()[-1])
    assert all(torch.equal(again["policy"][key], value) for key, value in last["policy"].items())
    assert [row["iteration"] for row in read_metrics(run.metrics_file)] == ["1", "2", "3"]


def test_reward_and_style_metrics_are_reported(tmp_path: Path, reference_clip: Path) -> None:
    config = tiny(tmp_path, algorithm="ppo-amp", amp__data=str(reference_clip), amp__hidden=[8], amp__batch_size=32)
    row = read_metrics(train(config).run.metrics_file)[-1]
    names = ["disc_acc", "disc_real_mean", "disc_real_std", "disc_fake_mean", "disc_fake_std", "disc_loss", "disc_r1"]
    names += ["amp_reward", "forward_velocity", "speed_error", "command", "steps_per_second"]
    names += ["physics_seconds", "policy_seconds", "update_seconds", "reward_tracking_lin_vel", "reward_torque"]
    for name in names:
        assert np.isfinite(float(row[name])), name


def test_features_that_the_reference_holds_still_are_named_at_the_start(
    tmp_path: Path, reference_clip: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The clip goes straight ahead, at one height and without turning."""
    amp = {"algorithm": "ppo-amp", "amp__data": str(reference_clip), "amp__hidden": [8], "amp__batch_size": 32}
    train(tiny(tmp_path, run__iterations=1, **amp))
    said = capsys.readouterr().err
    assert "warning: the reference holds 7 of 29 style features still" in said
    assert "velocity_direction of 0, 1, 2; angular_velocity of 0, 1, 2; height of 0" in said


def test_reported_rewards_are_in_their_own_units(tmp_path: Path) -> None:
    # The first rollout is the same; only what PPO sees of its rewards differs.
    rows = [
        read_metrics(
            train(tiny(tmp_path, ppo__n_steps=96, ppo__normalize_reward=on, run__name=str(on))).run.metrics_file
        )[0]
        for on in (False, True)
    ]
    assert rows[0]["episode_reward"] == rows[1]["episode_reward"] != ""
    assert rows[0]["value_loss"] != rows[1]["value_loss"]


def test_a_device_that_is_not_there_is_an_error_not_a_fallback(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"run\.device: 'quantum'"):
        train(tiny(tmp_path, run__device="quantum"))


# -- metrics ---------------------------------------------------------------------------------------------------


def test_rollout_metrics_by_hand() -> None:
    metrics = RolloutMetrics(2)
    no, both = np.array([False, False]), np.array([True, True])
    info = {"x_velocity": np.array([0.1, 0.3]), "reward_a": np.array([1.0, 2.0]), "other": np.ones(2)}
    metrics.add_step(np.array([1.0, 2.0]), no, no, info)
    metrics.add_step(np.array([3.0, 4.0]), both, np.array([True, False]), info | {"x_velocity": np.array([0.5, 0.7])})
    metrics.add_step(np.array([9.0, 9.0]), no, no, info)
    metrics.add_mean("amp_reward", np.array([]))
    metrics.add_mean("amp_reward", np.array([0.5, 1.0, 0.0]))
    row = metrics.summary()
    assert row == pytest.approx(
        {
            "forward_velocity": (0.4 + 1.2 + 0.4) / 6,
            "reward_a": 1.5,
            "amp_reward": 0.5,
            "episode_reward": (4.0 + 6.0) / 2,
            "episode_length": 2.0,
            "success_rate": 0.5,
        }
    )
    assert metrics.returns.tolist() == [9.0, 9.0]
    assert "forward_velocity" not in metrics.summary()
    other = RolloutMetrics(2)
    other.set_state(metrics.get_state())
    assert other.summary() == metrics.summary()


FLAT = {"disc_acc": 0.9, "disc_real_mean": 0.53, "disc_fake_mean": 0.47, "disc_real_std": 0.03, "disc_fake_std": 0.03}


def test_the_end_of_a_clip_counts_only_for_those_that_had_to_get_there() -> None:
    """Five episodes that end at once, after 1, 40, 30, 10 and 500 steps of 0.02 s."""
    metrics = RolloutMetrics(5, dt=0.02)
    metrics.lengths[:] = [0, 39, 29, 9, 499]  # before the last step
    info = {
        "frame": np.array([200, 200, 100, 20, 700]),
        # Ahead at the beginning: 0.02 s of 4; 1 s of 4.2; 0.6 s of 2; 0.3 s of a short clip of 0.5; a loop.
        "time_left": np.array([0.0, 0.2, 0.0, 0.1, np.inf]),
        "is_success": np.array([True, False, True, True, False]),
    }
    survived = np.array([True, False, True, True, True])
    metrics.add_step(np.zeros(5), np.ones(5, bool), survived, info)
    assert [episode.survived for episode in metrics.episodes] == [None, False, None, True, True]
    row = metrics.summary()
    assert (row["success_rate"], row["is_success_rate"]) == (pytest.approx(2 / 3), pytest.approx(1 / 3))
    assert row["episode_length"] == np.mean([1, 40, 30, 10, 500])
    again = RolloutMetrics(5)
    again.set_state(from_tensors(to_tensors(metrics.get_state())))
    assert again.summary() == {key: row[key] for key in again.summary()} != {}
    uncounted = RolloutMetrics(1)
    uncounted.add_step(
        np.zeros(1), np.ones(1, bool), np.ones(1, bool), {"frame": np.array([99]), "time_left": np.zeros(1)}
    )
    assert "success_rate" not in uncounted.summary()


@pytest.mark.parametrize(
    "row, word",
    [
        ({"disc_acc": 1.0, "amp_reward": 0.01}, "disc_acc stuck at 1"),
        (FLAT, "flat discriminator"),
        ({"disc_acc": 0.505}, "disc_acc stuck at 0.5"),
        ({"forward_velocity": 0.02, "command": 0.4, "episode_length": 480.0}, "standing still"),
    ],
)
def test_a_lasting_problem_is_told_once_in_words(row: dict[str, float], word: str) -> None:
    healthy = {"disc_acc": 0.7, "forward_velocity": 0.38, "command": 0.4, "episode_length": 480.0}
    monitor = HealthMonitor(AMP.checks, patience=3)
    told = [monitor.check(r) for r in [row, row, healthy, row, row, row, row]]
    assert [len(warnings) for warnings in told] == [0, 0, 0, 0, 0, 1, 0]
    assert told[5][0].startswith(word)


@pytest.mark.parametrize(
    "row",
    [
        {"disc_acc": 0.99, "amp_reward": 0.4},  # as of a training that goes well
        FLAT | {"disc_real_mean": 0.8, "disc_fake_mean": 0.2},  # narrow, but far apart
        FLAT | {"disc_fake_std": 0.2},  # one side still tells windows apart
        {"disc_acc": 0.9},
    ],
)
def test_a_discriminator_that_guides_is_not_warned_of(row: dict[str, float]) -> None:
    assert HealthMonitor(AMP.checks, patience=1).check(row) == []


def test_falling_robots_are_not_told_off_for_standing() -> None:
    row = {"forward_velocity": 0.02, "command": 0.4, "episode_length": 40.0}
    assert not any(HealthMonitor(AMP.checks, patience=1).check(row))


def test_csv_grows_columns_and_forgets_what_came_after_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    csv = MetricsCSV(path)
    csv.write({"time/iteration": 1, "amp/disc_acc": 0.123456789}, {})
    csv.write({"time/iteration": 2, "amp/disc_acc": 0.5, "walk/success_rate": np.float64(1)}, {})
    csv.write({"time/iteration": 3, "amp/disc_acc": 0.6}, {})
    rows = read_metrics(path)
    assert rows[0] == {"iteration": "1", "disc_acc": "0.123457", "success_rate": ""}
    assert rows[1]["success_rate"] == "1"
    with open(path, "a") as file:
        file.write("4,0.7")  # cut off by a kill
    MetricsCSV(path, keep_iterations=2).write({"time/iteration": 3, "amp/disc_acc": 0.9}, {})
    assert [(row["iteration"], row["disc_acc"]) for row in read_metrics(path)] == [
        ("1", "0.123457"),
        ("2", "0.5"),
        ("3", "0.9"),
    ]


def test_progress_line_leaves_out_what_is_not_known() -> None:
    assert describe({"forward_velocity": 0.314, "command": 0.4}) == "speed 0.31 of 0.40 m/s"
    assert "disc 0.70" in describe({"disc_acc": 0.7, "success_rate": 0.5}, AMP.columns)
    assert "disc" not in describe({"disc_acc": 0.7, "success_rate": 0.5})


# -- command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["ppo", "--set", "ppo.gama=1"], ["unknown key 'ppo.gama'", "gamma"]),
        (["ppo", "--preset", "desktop"], ["unknown preset 'desktop'", "laptop"]),
        (["ppo", "--iterations", "3", "--total-steps", "9"], ["give one of them"]),
        (["ppo-amp", "--resume", "somewhere", "--lr", "0.1"], ["ppo.learning_rate cannot be given"]),
        (["ppo-amp", "--resume", "somewhere"], ["somewhere: no such file or folder"]),
    ],
)
def test_expected_problems_are_one_sentence(
    arguments: list[str], words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gait-train", *arguments])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    error = capsys.readouterr().err
    assert stop.value.code == 2
    assert error.startswith("gait-train: ")
    assert all(word in error for word in words)


def test_verify_trains_saves_and_reads_back(
    tmp_path: Path, reference_clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["ppo-amp", "--verify", "--preset", "laptop", "--out", str(tmp_path), "--name", "smoke"]
    arguments += ["--amp-data", str(reference_clip), "--set", f"env.kwargs.reference={reference_clip}"]
    monkeypatch.setattr("sys.argv", ["gait-train", *arguments, "--total-steps", "512"])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code in (0, None)
    assert "2 iterations, 512 steps" in capsys.readouterr().out
    assert (tmp_path / "smoke" / "tb").is_dir()


def test_help_lists_every_command_without_importing_torch() -> None:
    code = "import sys, gait_trainers.cli as c; sys.argv = ['gait-train', '--help']\n"
    code += "try: c.main()\nexcept SystemExit: print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert all(name in out for name in ("ppo-amp", "ppo", "evaluate", "play", "export"))
    assert out.strip().endswith("False")
