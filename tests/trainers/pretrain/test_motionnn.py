"""MotionNN: losses and figures by hand, training with exact resume, evaluation, generation, commands."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from helpers.strolls import strolls
from typer.testing import CliRunner

from gait_envs.assets import asset_root
from gait_envs.errors import MotionError
from gait_envs.models.robot import wildrobot
from gait_envs.reference.clip import ClipError, load_clip
from gait_envs.reference.licenses import UNKNOWN
from gait_envs.reference.split import read_part
from gait_trainers.cli import app
from gait_trainers.config.section import ConfigError
from gait_trainers.data.motion_frames import MotionFrames
from gait_trainers.models.motion import ModelError, read_motion_model
from gait_trainers.pretrain.motionnn import baselines
from gait_trainers.pretrain.motionnn.again import resume_or_train_motion
from gait_trainers.pretrain.motionnn.augment import Style
from gait_trainers.pretrain.motionnn.conditioning import straight
from gait_trainers.pretrain.motionnn.config import DataConfig, load_motion_config, preset_names
from gait_trainers.pretrain.motionnn.evaluate import evaluate_motion, read_table
from gait_trainers.pretrain.motionnn.figures import errors, fast_share, free_running, growth, r_squared, stability
from gait_trainers.pretrain.motionnn.generate import generate
from gait_trainers.pretrain.motionnn.losses import balance, frame_weights, horizon_at, motion_losses
from gait_trainers.pretrain.motionnn.mean_cycle import MeanCycle
from gait_trainers.pretrain.motionnn.sets import divide, open_training_set
from gait_trainers.pretrain.motionnn.train import resume, train
from gait_trainers.pretrain.motionnn.training import build
from gait_trainers.pretrain.refnn.config import load_refnn_config
from gait_trainers.runs.run_folder import Run, RunError

TINY = {
    "data.workers": 0, "model.settings.hidden": [8], "loss.horizon": 4, "optim.updates": 8, "optim.least_windows": 4,
    "optim.batch_frames": 16, "run.log_every": 2, "run.checkpoint_every": 4, "run.tensorboard": False,
    "data.held_out": ["B"],
}  # fmt: skip


def test_a_style_is_constant_throughout_its_window() -> None:
    """Of seven coordinates: height, pitch, roll and the one joint that moves are shifted, the joint alone is scaled."""
    rng = np.random.default_rng(0)
    states = rng.normal(size=(500, 2 * 8))
    moving = np.array([True] * 7 + [False])
    style = Style.of(states, moving, offset=0.5, scale=0.2)
    windows = rng.normal(size=(400, 5, 16))
    varied = style.vary(windows, rng)
    rates = varied[..., 8:] / windows[..., 8:]
    joint = rates[..., 6]
    assert np.ptp(joint, axis=1).max() < 1e-4  # one factor a window
    assert joint.min() == pytest.approx(0.8, abs=0.02)
    assert joint.max() == pytest.approx(1.2, abs=0.02)
    np.testing.assert_allclose(np.delete(rates, 6, axis=-1), 1.0, rtol=1e-5)
    mean = states[:, 6].mean()
    shift = varied[..., 6] - mean - joint * (windows[..., 6] - mean)
    assert np.ptp(shift, axis=1).max() < 1e-4
    assert shift.std() == pytest.approx(0.5 * states[:, 6].std(), rel=0.1)
    moved = np.abs(varied[..., :8] - windows[..., :8]).max((0, 1)) > 1e-3
    assert moved.tolist() == [False, False, True, False, True, True, True, False]
    assert Style().vary(windows, rng) is windows


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return strolls(tmp_path_factory.mktemp("set") / "clips", 100)


@pytest.fixture(scope="module")
def run(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = load_motion_config(None, "conditioned", TINY)
    return train(config, str(clips), tmp_path_factory.mktemp("runs") / "whole")


# -- losses -----------------------------------------------------------------------------------------------


def test_losses_by_hand() -> None:
    """One coordinate and its rate; two frames, the second of which counts three times as much."""
    target = torch.zeros(1, 2, 2)
    predicted = torch.tensor([[[1.0, 2.0], [3.0, 1.0]]])
    before = torch.tensor([[[0.0, 0.0], [0.0, 1.0]]])
    found = motion_losses(predicted, target, torch.tensor([[0.25, 0.75]]), before)
    assert float(found.position) == pytest.approx(0.25 * 1 + 0.75 * 9)
    assert float(found.velocity) == pytest.approx(0.25 * 4 + 0.75 * 1)
    # Second differences: of 0, 0, 1, 3: 1 and 1; of 0, 1, 2, 1: 0 and -2. Means of the two columns: 0.5 and 2.5.
    assert float(found.smoothness) == pytest.approx(0.25 * 0.5 + 0.75 * 2.5)


def test_frames_behind_a_clip_do_not_count() -> None:
    valid = torch.tensor([[True, True, True, True], [True, False, False, False]])
    weights = frame_weights(valid, given=1, one_step=0.5)
    torch.testing.assert_close(weights[0], torch.tensor([0.1 + 0.25, 0.1, 0.1, 0.1]))
    torch.testing.assert_close(weights[1], torch.tensor([0.1 + 0.25, 0.0, 0.0, 0.0]))


def test_the_balance_is_a_ratio_of_variances() -> None:
    states = torch.tensor([[0.0, 0.0], [2.0, 20.0]])
    assert balance(states) == pytest.approx(0.01)


def test_the_horizon_grows_geometrically() -> None:
    assert [horizon_at(update, 100, 64, 0.5) for update in (0, 25, 50, 99)] == [1, 8, 64, 64]


# -- figures ----------------------------------------------------------------------------------------------


def test_errors_by_hand() -> None:
    """Seven coordinates, the root's six and a joint; the root is 3 m and 4 m off, the joint 0.5 rad."""
    target = np.zeros((2, 60, 14))
    predicted = target.copy()
    predicted[0, 59, :2] = [3.0, 4.0]
    predicted[:, 0, 6] = 0.5
    predicted[:, 4, 7 + 6] = 2.0
    found = errors(predicted, target, np.ones(7, bool))
    assert found["position_mse"]["1"] == pytest.approx(0.25 / 7)
    assert found["joints_mse"]["1"] == pytest.approx(0.25)
    assert found["position_mse"]["60"] == pytest.approx(25 / 14)
    assert found["root_drift_m"]["60"] == pytest.approx(2.5)
    assert found["velocity_mse"]["5"] == pytest.approx(4 / 7)
    assert list(found["velocity_mse"]) == ["1", "5", "10", "30", "60"]


def test_r_squared_of_the_mean_is_zero() -> None:
    target = np.array([[[1.0]], [[3.0]]])
    assert r_squared(np.full((2, 1, 1), 2.0), target, np.array([0]), [1])["1"] == pytest.approx(0.0)
    assert r_squared(target, target, np.array([0]), [1])["1"] == pytest.approx(1.0)
    assert r_squared(target + 1.0, target, np.array([0]), [1])["1"] == pytest.approx(0.0)
    # Variances 1 and 100, each with a squared error of 1: 0 and 0.99; by their variances, 0.99 · 100 / 101.
    both = np.array([[[1.0, 10.0]], [[3.0, 30.0]]])
    assert r_squared(both + 1.0, both, np.arange(2), [1])["1"] == pytest.approx(99 / 101)
    assert r_squared(both + 1.0, both, np.arange(2), [1], uniform=True)["1"] == pytest.approx(0.495)


def test_growth_of_a_straight_line() -> None:
    """An error in proportion to the frames: its root grows 60-fold, with slope 1."""
    found = growth({str(h): 1e-4 * h**2 for h in (1, 5, 10, 30, 60)})
    assert found["mse_ratio"] == pytest.approx(3600)
    assert found["rmse_ratio"] == pytest.approx(60)
    assert found["log_slope"] == pytest.approx(1.0)
    assert growth({"1": 0.0, "60": 1.0})["mse_ratio"] is None


def test_collapse_and_shaking_are_seen() -> None:
    time = np.arange(60) / 30.0
    target = np.zeros((1, 60, 14))
    target[0, :, 13] = np.sin(2 * np.pi * time)
    still = stability(0.1 * target, target, np.ones(7, bool), 30.0)
    assert still["collapsed"] == 1.0
    assert still["energy_ratio"] == pytest.approx(0.01)
    shaking = target.copy()
    shaking[0, :, 13] += np.sin(2 * np.pi * 10.0 * time)
    assert fast_share(shaking[..., 13:], 30.0) == pytest.approx(0.5, abs=0.01)
    assert stability(shaking, target, np.ones(7, bool), 30.0)["fast_power_captured"] < 0.01


def test_a_fall_is_not_upright() -> None:
    target = np.zeros((2, 90, 14))
    target[..., 2], target[..., 13] = 0.9, 1.0
    fallen = target.copy()
    fallen[0, 80, 2] = 0.5
    found = free_running(fallen, target, np.ones(7, bool))
    assert found["upright"] == 0.5
    assert found["joint_rates"] == pytest.approx(1.0)


def test_baselines_by_hand() -> None:
    last = np.zeros((1, 14), np.float32)
    last[0, 0], last[0, 3], last[0, 7], last[0, 13] = 1.0, np.pi / 2, 2.0, 3.0
    assert baselines.repeat(last, 2)[0, 1].tolist() == [*last[0, :7].tolist(), *[0.0] * 7]
    gone = baselines.constant_velocity(last, 3, 10.0)
    assert gone[0, 2, 0] == pytest.approx(1.6)
    assert gone[0, 2, 6] == pytest.approx(0.9)
    pose = np.arange(7.0)
    assert baselines.mean_pose(last, 1, pose)[0, 0, :7] == pytest.approx([1, 0, 2, np.pi / 2, 4, 5, 6])
    ahead = np.zeros((1, 1, 14), np.float32)
    ahead[0, 0, 0] = 2.0  # two metres ahead of a body at x = 1 that faces +y
    assert baselines.placed(ahead, last)[0, 0, :4] == pytest.approx([1.0, 2.0, 0.0, np.pi / 2], abs=1e-6)


def test_a_straight_path_goes_on_from_its_start() -> None:
    told = straight(
        np.array([[1.0, 2.0]]), np.array([np.pi / 2]), np.array([1.5]), np.array([0.25]), np.array([1.0]), 4, 30.0
    )
    assert told["path"][0, 3, 2].tolist() == pytest.approx([1.0, 2.0 + 1.5 * 13 / 30, np.pi / 2], abs=1e-5)
    assert told["phase"][0, 0].tolist() == pytest.approx([1.0, 0.0], abs=1e-6)
    assert told["speed"].shape == (1, 4, 1)


# -- data and configuration -------------------------------------------------------------------------------


def test_parts_share_no_group() -> None:
    groups = {"a1": "A", "a2": "A", "b1": "B", "c1": "C"}
    parts = divide(groups, DataConfig(held_out=["A"]), 0)
    assert (parts.train, parts.test) == (["b1", "c1"], ["a1", "a2"])
    drawn = divide(groups, DataConfig(test_share=0.3), 0)
    assert not {groups[name] for name in drawn.train} & {groups[name] for name in drawn.test}
    with pytest.raises(ClipError, match=r"data\.held_out: no clip of subject 'Z'; there are A, B, C"):
        divide(groups, DataConfig(held_out=["Z"]), 0)
    nameless = {"a1": UNKNOWN, "b1": UNKNOWN}
    with pytest.raises(ClipError, match=r"data\.held_out: no clip says its subject; group them by something else"):
        divide(nameless, DataConfig(held_out=["A"]), 0)
    with pytest.raises(ClipError, match=r"data\.by is subject: too few .*; data\.by=clip holds out single clips"):
        divide(nameless, DataConfig(), 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"data.held_out": ["Z"]},
        {"data.held_out": ["C"], "data.curriculum": [{"until": 1.0, "activities": ["jump"]}]},
    ],
)
def test_a_training_that_cannot_begin_leaves_no_folder(wrong: dict[str, Any], clips: Path, tmp_path: Path) -> None:
    own = TINY | wrong
    with pytest.raises((ClipError, ConfigError)):
        train(load_motion_config(None, "laptop", own), str(clips), tmp_path / "runs" / "new")
    assert not (tmp_path / "runs" / "new").exists()
    (tmp_path / "mine").mkdir()  # somebody's own folder stays
    with pytest.raises((ClipError, ConfigError)):
        train(load_motion_config(None, "laptop", own), str(clips), tmp_path / "mine")
    assert (tmp_path / "mine").is_dir()


def test_an_activity_that_no_clip_shows_is_told_beside_those_there_are(run: Path, clips: Path) -> None:
    model, _ = read_motion_model(run)
    with pytest.raises(ClipError, match=rf"^{clips}: no clip shows wlk; they show "):
        read_table([str(clips)], model, ["wlk"])


def test_clips_named_from_another_folder_are_told_from_missing_ones(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(clips, tmp_path / "set")
    monkeypatch.chdir(tmp_path)
    train(load_motion_config(None, "laptop", TINY | {"optim.updates": 1}), "set", Path("run"))
    (tmp_path / "away").mkdir()
    monkeypatch.chdir(tmp_path / "away")
    with pytest.raises(ClipError, match="relative names in a run are of the folder that it was begun in"):
        resume(tmp_path / "run")
    monkeypatch.chdir(tmp_path)
    resume(tmp_path / "run")


@pytest.mark.parametrize("preset", preset_names())
def test_presets_are_valid(preset: str) -> None:
    load_motion_config(None, preset)


def test_wrong_settings_are_named(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("loss: {horizont: 3}\n")
    unknown = r"mine.yaml: unknown key 'loss.horizont' \(did you mean 'horizon'\?\); allowed here: position_weight"
    with pytest.raises(ConfigError, match=unknown):
        load_motion_config(file)
    with pytest.raises(ConfigError, match="unknown preset 'best'; available: conditioned, laptop, paper"):
        load_motion_config(None, "best")
    with pytest.raises(ConfigError, match="least_windows 64 is more than most_windows 8"):
        load_motion_config(None, None, {"optim.most_windows": 8})
    with pytest.raises(ConfigError, match="the stages end at"):
        load_motion_config(None, None, {"data.curriculum": [{"until": 0.5, "activities": ["walk"]}]})


# -- training ---------------------------------------------------------------------------------------------


def test_a_run_holds_what_it_says(run: Path, clips: Path) -> None:
    assert {path.name for path in run.iterdir()} >= {"config.yaml", "provenance.json", "split.json", "metrics.csv",
                                                     "model.npz", "checkpoints"}  # fmt: skip
    assert read_part(run / "split.json", "test")[1] == ["b1", "b2"]
    assert read_part(run / "split.json", "train")[1] == ["a1", "a2", "c1", "c2"]
    rows = (run / "metrics.csv").read_text().splitlines()
    assert rows[0].split(",")[-2:] == ["iteration", "elapsed"]
    assert len(rows) == 5
    model, extras = read_motion_model(run)
    assert model.entries.slices()["gait_phase"].stop == model.entries.size
    assert extras["license"] == "MIT"


def test_a_killed_run_continues_bit_for_bit(run: Path, clips: Path, tmp_path: Path) -> None:
    config = load_motion_config(None, "conditioned", TINY)
    out = tmp_path / "killed"
    train(config, str(clips), out)
    for file in (out / "model.npz", out / "checkpoints" / "step_000000000008.pt"):
        file.unlink()
    resume(out)
    (one, _), (other, _) = read_motion_model(run), read_motion_model(out)
    for key, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[key]), key


def test_a_damaged_checkpoint_is_named(run: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "damaged"
    shutil.copytree(run, out)
    file = sorted((out / "checkpoints").iterdir())[-1]
    file.write_bytes(file.read_bytes()[:-20])
    whole = out / "checkpoints" / "step_000000000004.pt"
    told = f"{file.name} cannot be read as a checkpoint.*the latest intact one before it is {whole}$"
    with pytest.raises(RunError, match=told):
        resume(out)
    with pytest.raises(RunError, match=f"exists already; choose another --out, or continue it with --resume {out}$"):
        train(load_motion_config(None, "laptop", TINY), str(clips), out)


ANOTHER_WAY = (
    {"loss.rollout": "single"},
    {"loss.rollout": "occasional", "loss.share": 1.0, "loss.balance": "variance", "loss.smoothness": 0.01},
    {"model.network": "gru", "model.settings.width": 8, "optim.sequence": 3, "loss.noise": 0.0},
)


@pytest.mark.parametrize("changes", ANOTHER_WAY)
def test_training_lowers_the_loss(changes: dict[str, object], clips: Path, tmp_path: Path) -> None:
    """One step ahead: the figure that does not depend on how long rollouts have become."""
    settings = TINY | {"optim.updates": 60, "optim.batch_frames": 64, "optim.learning_rate": 0.02} | changes
    training = build(load_motion_config(None, "laptop", settings), str(clips))
    windows = training.stream.draw(32, 6)

    def error() -> float:
        with torch.no_grad():
            states = torch.from_numpy(windows.state)
            return float((training.model(states[:, :-1])[0] - states[:, 1:])[:, -1].square().mean())

    before = error()
    assert all(math.isfinite(training.step()["loss"]) for _ in range(60))
    assert error() < 0.7 * before
    training.stream.close()


def test_networks_that_could_not_be_read_again_are_not_built(clips: Path) -> None:
    large = load_motion_config(None, None, TINY | {"model.settings.hidden": [4096] * 8})
    with pytest.raises(ConfigError, match=r"^model\.settings: \d+ parameters, at most 16777216 are read$"):
        build(large, str(clips))
    with pytest.raises(
        ConfigError, match=r"hidden: a network of 101\d{9} numbers or more; at most 8388608 are read again"
    ):
        load_refnn_config(None, None, {"hidden": [10**9]})


def test_a_curriculum_adds_activities(clips: Path, tmp_path: Path) -> None:
    stages = [{"until": 0.5, "activities": ["walk"]}, {"until": 1.0, "activities": ["walk", "run"]}]
    config = load_motion_config(None, "laptop", TINY | {"data.curriculum": stages, "data.held_out": ["B"]})
    training = build(config, str(clips))
    training.step()
    assert training.stream.allowed.tolist() == [0, 1]  # the walks of A
    training.update = 4
    training.step()
    assert training.stream.allowed.tolist() == [0, 1, 2]  # and the run of C
    training.stream.close()


# -- evaluation and generation ----------------------------------------------------------------------------

KEYS = {"position_mse", "velocity_mse", "velocity_mse_normalized", "r2", "mse_ratio", "rmse_ratio", "baselines",
        "joints_mse", "root_drift_m", "log_slope", "free_running", "energy_ratio", "collapsed"}  # fmt: skip


def test_evaluation_ends_with_one_line_of_json(run: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate-motion", str(run), "--activity", "walk", "--long", "20", "--json"])
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    assert set(found) >= KEYS
    assert list(found["position_mse"]) == ["1", "5", "10", "30", "60"]
    assert set(found["baselines"]) == {"repeat", "constant_velocity", "mean_pose", "nearest_window", "mean_cycle"}
    assert found["clips"] == 2
    assert found["free_running"]["frames"] == 20
    # A stroll at a constant speed is repeated by its mean cycle.
    cycle = found["baselines"]["mean_cycle"]["joints_mse"]["60"]
    assert cycle < 0.2 * found["baselines"]["repeat"]["joints_mse"]["60"]


def test_tables_and_a_page(run: Path, clips: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.png"
    told = ["evaluate-motion", str(run), "--data", str(clips / "b1.npz"), "--long", "0", "--page", str(page)]
    result = CliRunner().invoke(app, told)
    assert result.exit_code == 0, result.output
    assert "the model is conditioned on path, speed, phase" in result.stdout
    assert page.read_bytes().startswith(b"\x89PNG")


def test_generated_motion_is_a_clip(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "walk.npz"
    result = CliRunner().invoke(app, ["generate", str(run), "--speed", "0.4", "--seconds", "2", "--out", str(out)])
    assert result.exit_code == 0, result.output
    clip = load_clip(out)
    assert clip.frames == 101
    assert clip.model == "wildrobot"
    assert clip.license == "MIT"
    assert clip.qpos[0, :2].tolist() == [0.0, 0.0]
    model, extras = read_motion_model(run)
    with pytest.raises(ModelError, match="speed is 50"):
        generate(model, extras, 50.0, 1.0)
    with pytest.raises(ModelError, match="no mean cycle"):
        generate(model, {}, 1.0, 1.0)


BUNDLED = sorted(path.name for path in (asset_root() / "models").iterdir() if (path / "model.npz").is_file())


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_models_walk_from_anywhere(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By name, from any folder; what one generates is a walk upright at the speed it was asked for, and evaluates."""
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["generate", name, "--speed", "1.2", "--seconds", "4", "--out", "walk.npz"])
    assert result.exit_code == 0, result.output
    clip = load_clip("walk.npz")
    if "conditioned" in name:  # the other only begins at this speed, and is warned of
        assert clip.mean_speed == pytest.approx(1.2, abs=0.1)
        assert "warning" not in result.stderr
        fast = CliRunner().invoke(app, ["generate", name, "--speed", "9", "--seconds", "1", "--out", "fast.npz"])
        assert "warning: 9 m/s is outside of what the model was trained on, mostly " in fast.stderr
    else:
        assert "1.2 m/s were asked for: the model is not conditioned on speed" in result.stderr
    assert 0.7 < clip.qpos[:, 2].min() < clip.qpos[:, 2].max() < 1.0
    told_by_json = ["evaluate-motion", name, "--data", "walk.npz", "--long", "0", "--json"]
    found = json.loads(CliRunner().invoke(app, told_by_json).stdout.splitlines()[-1])
    assert found["position_mse"]["60"] < found["baselines"]["repeat"]["position_mse"]["60"]
    figures = json.loads((asset_root() / "models" / name / "metrics.json").read_text())["seeds"][0]
    assert set(figures) >= KEYS
    assert (asset_root() / "models" / name / "model.npz").stat().st_size < 3e6


def test_the_mean_cycle_finds_curves_again(run: Path) -> None:
    """Strolls swing once a second whatever their speed."""
    cycle = MeanCycle.of(read_motion_model(run)[1])
    assert cycle is not None
    assert cycle.cadence(0.4) == pytest.approx(1.0, abs=0.02)
    phase = np.linspace(0, 2 * np.pi, 20)
    found = cycle.coordinates(phase, np.full(20, 0.35), np.tile([2.0, 3.0, 0.5], (20, 1)))
    assert found[:, 0] == pytest.approx(np.full(20, 2.0), abs=1e-3)
    assert found[:, 3] == pytest.approx(np.full(20, 0.5), abs=1e-3)
    assert np.ptp(found[:, 7]) == pytest.approx(0.3, abs=0.05)  # the hip's swing of ± 0.15 rad


def test_too_few_frames_of_a_gait_make_no_cycle() -> None:
    phase = np.zeros((5, 2), np.float32)
    phase[2] = [0.0, 1.0]  # a single frame, through which no line of cadence against speed goes
    state, path, speed = np.zeros((5, 30), np.float32), np.zeros((5, 5, 3), np.float32), np.ones((5, 1), np.float32)
    stream = SimpleNamespace(frames=MotionFrames(state, path, speed, phase), robot=wildrobot(), ends=np.array([5]))
    cycle = MeanCycle.fitted(stream)  # type: ignore[arg-type]
    assert not cycle.weights.any()
    assert cycle.cadence(1.0) == 0.0


def test_nothing_can_be_held_out_of_a_set_that_is_trained_on_as_a_whole() -> None:
    config = load_motion_config(None, "laptop", {"data.by": "clip", "data.held_out": ["walk_160"]})
    with pytest.raises(ConfigError, match=r"data\.held_out: human_walk is trained on as a whole"):
        open_training_set("human_walk", config.data, 0)


def test_clips_of_two_robots_are_no_set(tmp_path: Path, reference: str, human_reference: str) -> None:
    for folder in (reference, human_reference):
        for path in Path(folder).glob("*.npz"):
            shutil.copy(path, tmp_path)
    config = load_motion_config(None, "laptop", {"data.by": "clip"})
    with pytest.raises(MotionError, match=r"clips of 2 robots in one set: humanoid: human_12, human_8; wildrobot: "):
        open_training_set(str(tmp_path), config.data, 0)


@pytest.mark.parametrize("length", [30, 60, 300])
def test_the_cadence_is_that_within_clips(length: int) -> None:
    """Of clips that each begin at another phase; what lies between two of them is no motion."""
    rng, clips, rate = np.random.default_rng(0), 40, 0.9
    angle = rng.uniform(0, 2 * np.pi, (clips, 1)) + 2 * np.pi * rate * np.arange(length) / wildrobot().control_rate
    phase = np.stack([np.sin(angle.ravel()), np.cos(angle.ravel())], axis=1).astype(np.float32)
    count = clips * length
    speed = np.repeat(rng.uniform(0.2, 0.6, clips), length).astype(np.float32)[:, None]
    state, path = np.zeros((count, 30), np.float32), np.zeros((count, 5, 3), np.float32)
    stream = SimpleNamespace(
        frames=MotionFrames(state, path, speed, phase), robot=wildrobot(), ends=length * np.arange(1, clips + 1)
    )
    cycle = MeanCycle.fitted(stream)  # type: ignore[arg-type]
    assert cycle.cadence(0.4) == pytest.approx(rate, abs=1e-4)


@pytest.mark.parametrize("condition", ["path", "speed", "phase"])
def test_whatever_a_model_is_told_is_privileged(condition: str, clips: Path, tmp_path: Path) -> None:
    config = load_motion_config(None, "laptop", TINY | {"model.conditions": [condition], "optim.updates": 2})
    model, extras = read_motion_model(train(config, str(clips), tmp_path / "run"))
    assert evaluate_motion(model, extras, f"{tmp_path / 'run' / 'split.json'}#test", [], long=0)[0]["privileged"]


def test_a_script_that_is_run_again_finds_its_runs(clips: Path, tmp_path: Path) -> None:
    """Complete ones as they are, interrupted ones continued, and those of another configuration not at all."""
    config, out = load_motion_config(None, "laptop", TINY), tmp_path / "run"
    assert resume_or_train_motion(config, str(clips), out) == out
    whole = (out / "model.npz").read_bytes()
    Run(out).checkpoints()[-1].unlink()
    (out / "model.npz").unlink()  # as if it had been killed
    resume_or_train_motion(config, str(clips), out)
    assert (out / "model.npz").read_bytes() == whole
    before = {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()}
    resume_or_train_motion(config, str(clips), out)
    for changes in ({"optim.updates": 9}, {"data.held_out": ["A"]}):
        with pytest.raises(ConfigError, match=next(iter(changes))):
            resume_or_train_motion(load_motion_config(None, "laptop", TINY | changes), str(clips), out)
    with pytest.raises(RunError, match="was trained on"):
        resume_or_train_motion(config, "elsewhere", out)
    assert {file: file.stat().st_mtime_ns for file in out.rglob("*") if file.is_file()} == before
