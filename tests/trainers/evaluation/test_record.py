"""Recordings of following clips: what is kept is what happened, the closest first, and all of it or nothing."""

import dataclasses
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.still_clips import IMITATION, ROBOT, idle, still, write
from typer.testing import CliRunner

from gait_envs.models.robot import wildrobot
from gait_envs.reference.library import load_clips
from gait_trainers.cli import app
from gait_trainers.commands import record as record_command
from gait_trainers.evaluation import record as record_module
from gait_trainers.evaluation.record import (
    KEPT,
    METRICS,
    RecordError,
    check_out,
    chosen,
    record_clips,
    write_recordings,
)
from gait_trainers.policies.environment import make_env

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def stills(tmp_path_factory) -> str:
    """A clip that stands, with a past, and one that glides away."""
    told = {
        "subject": "s1",
        "activity": "standing",
        "history": ["drawn"],
        "quality": {"slip_median": 0.0},
        "faults": [],
    }
    return write(tmp_path_factory.mktemp("stills"), still("stand", 41, **told), still("glide", 101, speed=0.5))


def test_a_finite_clip_is_recorded_from_its_first_frame_to_its_last(stills):
    recorded = record_clips(idle(), stills, tries=3, threads=1)
    assert recorded.success == {"glide": 0.0, "stand": 1.0}
    (clip,) = recorded.clips
    env = make_env(IMITATION, threads=1, reference=stills)
    env.reset(seed=1, options={"clip": "stand", "frame": 0})
    states = [env.core.state]
    for _ in range(40):
        env.step(np.zeros((1, 9)))
        states.append(env.core.state)
    np.testing.assert_array_equal(clip.qpos, [state.qpos[0] for state in states])
    np.testing.assert_array_equal(clip.qvel, [state.qvel[0] for state in states])
    np.testing.assert_array_equal(clip.contacts, [state.foot_force[0] for state in states])
    assert (clip.name, clip.loop, clip.fps, clip.model) == ("stand", False, 50.0, "wildrobot")
    assert (clip.source, clip.license) == ("drawn in a test, tracked in simulation", "CC0-1.0")
    history = ["drawn", "tracked in simulation by idle"]
    said = {"history": history, "contacts": "measured in simulation"}
    assert clip.meta == {"subject": "s1", "activity": "standing", **said}


def test_figures_are_of_the_recording(stills):
    (figures,) = record_clips(idle(), stills, threads=1).figures
    (clip,) = record_clips(idle(), stills, threads=1).clips
    assert (figures["name"], figures["from"], figures["speed"]) == ("stand", "stand", 0.0)
    assert clip.contacts is not None
    assert figures["load_carried"] == pytest.approx(clip.contacts.sum(1).mean() / (ROBOT.mass * 9.81), abs=1e-6)
    assert figures["load_carried"] == pytest.approx(1.0, abs=0.1)
    assert 0 < figures["mpjpe_global"] < 3.0
    assert figures["foot_slip"] < 0.01
    assert 0 < figures["torque_rms"] < 2.0
    assert figures["torque_saturated"] == 0.0
    assert figures["step_symmetry"] is None  # it took no step
    json.dumps(figures, allow_nan=False)


def test_a_looping_clip_is_recorded_once_it_has_settled(tmp_path):
    folder = write(tmp_path, still("round", 26, loop=True))
    recorded = record_clips(idle(), folder, tries=2, keep=2, threads=1)
    assert [clip.name for clip in recorded.clips] == ["round_0", "round_1"]
    for clip in recorded.clips:
        assert clip.frames == KEPT
        np.testing.assert_array_equal(clip.qpos[0, :2], 0.0)
        assert not clip.loop


def test_tries_along_a_looping_clip_begin_in_different_places(reference):
    opened = record_module.open_reference(idle(), reference)
    plan = record_module.plan_tries(opened, 1, 4, seed=7)
    assert plan.clip.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert plan.seed.tolist() == list(range(7, 15))
    assert len(set(plan.frame[:4])) > 1
    assert (plan.frame < opened.task.library.lengths[plan.clip] - 1).all()


def test_the_closest_tries_are_kept(stills):
    options = {"tries": 4, "stochastic": True, "seed": 2, "threads": 1}
    every = record_clips(idle(std=0.1), stills, keep=4, **options)
    errors = [figures["mpjpe_global"] for figures in every.figures]
    assert errors == sorted(errors)
    assert len(set(errors)) == 4
    best = record_clips(idle(std=0.1), stills, keep=2, **options)
    assert best.figures == every.figures[:2]
    np.testing.assert_array_equal(best.clips[1].qpos, every.clips[1].qpos)
    assert best.clips[0].name == "stand_0"
    assert best.clips[0].meta["history"][-1] == "tracked in simulation by idle with 1.5 times its noise"


def test_recordings_are_chosen_by_their_figures(stills):
    every = record_clips(idle(std=0.1), stills, tries=4, keep=4, stochastic=True, seed=2, threads=1)
    second = every.figures[1]["mpjpe_global"]
    kept = chosen(every, lambda row: row["mpjpe_global"] != second, 2, "noisy")
    assert [row["name"] for row in kept.figures] == ["stand_noisy_0", "stand_noisy_1"] == [c.name for c in kept.clips]
    assert [row["mpjpe_global"] for row in kept.figures] == [every.figures[i]["mpjpe_global"] for i in (0, 2)]
    np.testing.assert_array_equal(kept.clips[1].qpos, every.clips[2].qpos)
    assert kept.success == every.success
    assert chosen(every, lambda row: False, 2, "noisy").clips == []


def test_noise_is_a_factor_on_the_policys_own(stills):
    loud, quiet = (record_clips(idle(std=0.2), stills, stochastic=True, noise=noise, threads=1) for noise in (1.0, 0.0))
    calm = record_clips(idle(std=0.2), stills, threads=1)
    np.testing.assert_array_equal(quiet.clips[0].qpos, calm.clips[0].qpos)
    assert loud.figures[0]["mpjpe_global"] > calm.figures[0]["mpjpe_global"]
    double = record_clips(idle(std=0.1), stills, stochastic=True, noise=2.0, threads=1)
    np.testing.assert_array_equal(double.clips[0].qpos, loud.clips[0].qpos)


def test_two_clips_of_one_name_are_refused(stills, tmp_path):
    other = write(tmp_path, still("stand", 31))
    with pytest.raises(RecordError, match="several clips named stand"):
        record_clips(idle(), [stills, other])


# -- files ---------------------------------------------------------------------------------------------


def test_a_folder_appears_whole_or_not_at_all(stills, tmp_path, monkeypatch):
    recorded, out = record_clips(idle(), stills, threads=1), tmp_path / "set"
    write_recordings(out, recorded.clips, recorded.figures)
    before = sorted(path.name for path in out.iterdir())
    assert before == [METRICS, "stand.npz"]
    assert json.loads((out / METRICS).read_text())[0]["name"] == "stand"
    (found,) = load_clips(out)
    np.testing.assert_array_equal(found.qpos, recorded.clips[0].qpos)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(record_module, "save_clip", fail)
    with pytest.raises(OSError, match="disk full"):
        write_recordings(out, recorded.clips, [])
    assert sorted(path.name for path in out.iterdir()) == before
    assert list(tmp_path.iterdir()) == [out]


def test_where_recordings_may_go(stills, tmp_path):
    check_out(tmp_path / "new", [stills], force=False)
    check_out(tmp_path, [stills], force=False)  # there, and empty
    with pytest.raises(RecordError, match="is the reference itself"):
        check_out(Path(stills), [stills], force=True)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(RecordError, match=r"holds no recordings \(no metrics\.json\)"):
        check_out(tmp_path, [stills], force=True)
    (tmp_path / METRICS).write_text("[]")
    with pytest.raises(RecordError, match="replace them with --force"):
        check_out(tmp_path, [stills], force=False)
    check_out(tmp_path, [stills], force=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [METRICS, "notes.txt"]


def test_where_recordings_cannot_go_is_known_before_anything_is_simulated(loaded_idle, stills, tmp_path, monkeypatch):
    monkeypatch.setattr(record_command, "record_clips", lambda *_, **__: pytest.fail("it simulates"))
    (tmp_path / "notes.txt").write_text("mine")
    for out in (tmp_path / "notes.txt" / "set", tmp_path / "notes.txt" / "deep" / "set"):
        with pytest.raises(RecordError, match=f"--out {out} cannot be written: Not a directory"):
            run_cli("--reference", stills, "--out", str(out))
    with pytest.raises(RecordError, match="cannot be written: File name too long"):
        run_cli("--reference", stills, "--out", str(tmp_path / "new" / ("n" * 250)))
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]  # what was tried is gone again


def test_recordings_may_go_into_the_folder_one_is_in(stills, tmp_path, monkeypatch):
    recorded = record_clips(idle(), stills, threads=1)
    monkeypatch.chdir(tmp_path)
    check_out(Path("."), [stills], force=False)
    write_recordings(Path("."), recorded.clips, recorded.figures)
    assert sorted(path.name for path in tmp_path.iterdir()) == [METRICS, "stand.npz"]


def test_the_reference_a_run_was_trained_on_is_not_overwritten(stills, monkeypatch):
    """It is what is followed where no other is given."""
    for own in (stills, [stills]):
        policy = dataclasses.replace(idle(), reference=own)
        monkeypatch.setattr(record_command, "load_policy", lambda path, policy=policy: policy)
        with pytest.raises(RecordError, match="is the reference itself"):
            run_cli("--out", stills, "--force")


# -- command line --------------------------------------------------------------------------------------


@pytest.fixture
def loaded_idle(monkeypatch):
    monkeypatch.setattr(record_command, "load_policy", lambda path: idle(std=0.05))


def run_cli(*arguments: str):
    return CliRunner().invoke(app, ["record", "anything", "--threads", "1", *arguments], catch_exceptions=False)


def test_the_command_writes_clips_and_says_what_they_are_worth(loaded_idle, stills, tmp_path):
    out = tmp_path / "set"
    done = run_cli("--reference", stills, "--out", str(out), "--stochastic", "--tries", "3", "--keep", "2")
    rows = {line.split("│")[0].strip(): line for line in done.stdout.splitlines()}
    assert "1.5 times its noise" in " ".join(done.stdout.split())
    assert f"idle along {stills}," in done.stdout.replace("\n", "")
    assert "0%" in rows["glide"]
    assert "100%" in rows["stand"]
    assert done.stdout.splitlines()[-1] == f"2 clips in {out}"
    assert sorted(clip.name for clip in load_clips(out)) == ["stand_0", "stand_1"]


def test_recordings_can_be_followed_themselves(loaded_idle, stills, tmp_path):
    run_cli("--reference", stills, "--out", str(tmp_path / "once"))
    run_cli("--reference", str(tmp_path / "once"), "--out", str(tmp_path / "twice"))
    (clip,) = load_clips(tmp_path / "twice")
    assert clip.meta["history"][-2:] == ["tracked in simulation by idle"] * 2


def test_bad_requests_write_nothing(loaded_idle, stills, tmp_path, monkeypatch):
    gliding, out = write(tmp_path / "gliding", still("glide", 101, speed=0.5)), tmp_path / "set"
    for arguments, message in (
        (["--reference", gliding], "no clip was tracked to its end; nothing was written"),
        (["--reference", stills, "--noise", "2"], "--noise is of sampled actions; give --stochastic too"),
    ):
        with pytest.raises(RecordError, match=message):
            run_cli("--out", str(out), *arguments)
    monkeypatch.setattr(record_command, "load_policy", lambda path: idle(env_id="GaitNet/WildRobot-v0"))
    with pytest.raises(ValueError, match=r"idle obeys commands, in .* needs a policy that follows clips"):
        run_cli("--out", str(out))
    assert not out.exists()


# -- the embedded reference ----------------------------------------------------------------------------


@pytest.mark.skipif(not (ROOT / "scripts").is_dir(), reason="an installed package carries no scripts")
def test_the_embedded_reference_is_made_of_recordings(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("make_motions", ROOT / "scripts" / "make_motions.py")
    assert spec is not None
    assert spec.loader is not None
    make_motions = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(make_motions)
    out, arguments = tmp_path / "out", ["--work", str(tmp_path / "work"), "--picture", str(tmp_path / "page.png")]
    monkeypatch.setattr(sys, "argv", ["make_motions.py", "--out", str(out), *arguments])
    monkeypatch.setattr(make_motions, "tracker", lambda work, drawn, seed: idle(std=0.01))
    monkeypatch.setattr(make_motions, "TRIES", 2)
    monkeypatch.setattr(make_motions, "SPEEDS", [0.4])
    monkeypatch.setattr(make_motions, "SIDEWAYS", ())
    walk = make_motions.walk_clip(make_motions.natural_gait(0.4), wildrobot().joint_names)
    monkeypatch.setattr(make_motions, "standing_clip", lambda robot: walk)
    with pytest.raises(SystemExit, match="nothing is written"):  # who corrects nothing cannot walk
        make_motions.main()
    assert not out.exists()

    def draw(folder: Path, robot: object) -> Path:
        return Path(write(folder, still("walk_020", 26, loop=True)))

    monkeypatch.setattr(make_motions, "draw", draw)
    make_motions.main()
    names = ["walk_020_calm_0", "walk_020_noisy_0", "walk_020_noisy_1"]
    assert [figures["name"] for figures in json.loads((out / METRICS).read_text())] == names
    assert sorted(clip.name for clip in load_clips(out)) == sorted(names)
    assert (tmp_path / "page.png").is_file()
