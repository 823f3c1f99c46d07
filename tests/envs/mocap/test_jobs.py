"""What `gait-data import` and `retarget` share: nothing that is read is overwritten, no origin is lost or mistaken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.formats import position_arrays, save
from helpers.walker import walker_bvh

from gait_envs.assets import asset_path
from gait_envs.mocap.capture import MotionError
from gait_envs.mocap.formats import open_capture, open_with_gaps
from gait_envs.mocap.jobs import check_targets, find_captures, open_job
from gait_envs.mocap.provenance import read_table
from gait_envs.mocap.retarget.folder import Recipe, retarget_folder
from gait_envs.mocap.retarget.pipeline import retarget
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.reference.clip import load_clip


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return walker_bvh(tmp_path_factory.mktemp("walk") / "walk.bvh", seconds=1.5)


@pytest.fixture
def captures(walk: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "captures"
    folder.mkdir()
    shutil.copy(walk, folder)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# -- captures are not overwritten -------------------------------------------------------------------------


def test_the_rule(tmp_path: Path) -> None:
    a, b = tmp_path / "a.npz", tmp_path / "b.npz"
    check_targets([(a, tmp_path / "out" / "a.npz"), (b, tmp_path / "out" / "b.npz")])
    with pytest.raises(MotionError, match=r"a\.npz: would be overwritten; give another --out"):
        check_targets([(a, tmp_path / "x" / ".." / "a.npz")])
    with pytest.raises(MotionError, match=r"b\.npz: would be overwritten by what .*a\.npz becomes"):
        check_targets([(a, b), (b, tmp_path / "c.npz")])


def test_retarget_spares_its_captures(run, captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rig = tmp_path / "rig"
    assert run("import", captures, "--out", rig, "--license", "CC0")[0] == 0
    before = contents(rig)
    monkeypatch.chdir(rig)
    for words in (("walk.npz",), (rig, "--out", rig), ("walk.npz", "--out", rig), (rig, "--out", "../rig")):
        code, _, errors = run("retarget", *words)
        assert code == 2
        assert "walk.npz: would be overwritten; give another --out" in errors
        assert contents(rig) == before
    (rig / "unfit").mkdir()
    (rig / "walk.npz").rename(rig / "unfit" / "walk.npz")
    code, _, errors = run("retarget", rig / "unfit", "--out", rig)
    assert (code, "would be overwritten" in errors) == (2, True)
    (job,), _ = find_captures([rig / "unfit"])
    with pytest.raises(MotionError, match="would be overwritten"):
        list(retarget_folder([job], Recipe(), "wildrobot", rig))
    assert contents(rig / "unfit") == before


def test_import_spares_its_captures(run, captures: Path) -> None:
    before = contents(captures)
    code, _, errors = run("import", captures / "walk.bvh", "--out", captures, "--to", "bvh", "--fps", 30)
    assert (code, "walk.bvh: would be overwritten; give another --out" in errors) == (2, True)
    assert contents(captures) == before


# -- origins ----------------------------------------------------------------------------------------------


def test_the_licence_within_a_capture_counts(run, walk: Path, tmp_path: Path) -> None:
    """Before anything is written, and no warning says that it is unknown."""
    both = tmp_path / "both"
    for name in ("a", "b"):
        shutil.copy(walk, tmp_path / f"{name}.bvh")
        assert run("import", tmp_path / f"{name}.bvh", "--out", both, "--license", f"MIT {name}",
                   "--source", "us", "--accept-license")[0] == 0  # fmt: skip
    for command in ("import", "retarget"):
        code, _, errors = run(command, both, "--out", tmp_path / command)
        assert code == 2
        assert "2 licences in one set: MIT a: a.npz; MIT b: b.npz" in errors
        assert not (tmp_path / command).exists()
    code, _, errors = run("import", both, "--out", tmp_path / "out", "--accept-license")
    assert (code, "unknown" in errors) == (0, False)
    assert run("import", both, "--out", tmp_path / "one", "--license", "MIT")[0] == 0  # a word for all counts more


def test_a_row_with_a_folder_is_of_that_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("file,license\n02/02_01.bvh,Free\nwalk.bvh,CC0\ngone.bvh,MIT\n02/gone.bvh,MIT\n")
    table = read_table(path)
    assert table.of(tmp_path / "02" / "02_01.bvh") == {"license": "Free"}
    assert table.of(tmp_path / "other" / "02_01.bvh") == {}
    assert table.of(tmp_path / "other" / "walk.bvh") == {"license": "CC0"}
    assert table.unused([tmp_path / "02" / "02_01.bvh", tmp_path / "x" / "walk.bvh"]) == ["gone.bvh", "gone.bvh"]
    assert table.unused([tmp_path / "02" / "gone.bvh"]) == ["02_01.bvh", "walk.bvh"]


@pytest.mark.parametrize("command", ["import", "retarget"])
def test_rows_of_no_capture_are_said(run, captures: Path, tmp_path: Path, command: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text("file,source,license\nwalk.bvh,us,CC0\nother.bvh,us,CC0\n")
    code, _, errors = run(command, captures, "--out", tmp_path / "out", "--table", table)
    assert code == 0
    assert f"{table}: no capture here for 1 row: other.bvh" in errors


def test_what_lies_beside_a_bvh_comes_back(run, captures: Path, tmp_path: Path) -> None:
    told = ("--source", "us", "--license", "CC0", "--subject", "7", "--activity", "walk")
    moved = tmp_path / "moved"
    assert run("import", captures, "--out", moved, "--to", "bvh", "--fps", 30, *told)[0] == 0
    (moved / "notes.json").write_text("{}")
    code, _, errors = run("import", moved, "--out", tmp_path / "out")
    assert code == 0
    assert "walk.json" not in errors
    assert "notes.json" in errors  # is no sidecar
    assert "unknown" not in errors
    again = open_capture(tmp_path / "out" / "walk.npz")
    assert again.origin == {"source": "us", "license": "CC0", "subject": "7", "activity": "walk"}
    assert again.history[0] == "imported from bvh: walk.bvh"
    assert "resampled from 60 to 30 Hz (rotations slerp, translations linear)" in again.history
    assert run("retarget", moved, "--out", tmp_path / "clips")[0] == 0
    clip = load_clip(tmp_path / "clips" / "walk.npz")
    assert (clip.source, clip.license, clip.meta["subject"]) == ("us", "CC0", "7")
    assert clip.meta["captured_fps"] == 60.0
    (moved / "walk.json").write_text('{"origin": 3}')  # not what we write: nothing is known
    (job,), _ = find_captures([moved / "walk.bvh"])
    assert open_job(job, Recipe().reading, gaps=True).origin == {}


# -- what it was before -----------------------------------------------------------------------------------


def test_rate_unit_and_axis_outlive_the_import(run, captures: Path, tmp_path: Path) -> None:
    mid, out = tmp_path / "mid", tmp_path / "clips"
    assert run("import", captures, "--out", mid, "--fps", 30)[0] == 0
    assert run("import", mid, "--out", tmp_path / "again", "--fps", 25)[0] == 0
    for folder in (mid, tmp_path / "again"):
        was = open_capture(folder / "walk.npz").recorded
        assert was is not None
        assert (was.fps, was.unit, was.up, was.rest_frames) == (60.0, 0.01, "+y", 1)
    assert run("retarget", mid, "--out", out)[0] == 0
    meta = load_clip(out / "walk.npz").meta
    assert (meta["captured_fps"], meta["unit_m"], meta["up"], meta["rest_frames_dropped"]) == (60.0, 0.01, "+y", 1)


# -- reader options ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["import", "retarget"])
def test_options_of_the_readers_are_reached(run, tmp_path: Path, command: str) -> None:
    """A table without times, under a suffix of its own, with names that no rig has."""
    arrays = position_arrays(tmp_path, 1.5)
    names = [f"j{n}" for n in range(len(arrays["names"]))]
    rows = arrays["positions"].reshape(len(arrays["positions"]), -1)
    path = tmp_path / "walk.csv"
    header = ",".join(f"{name}_{axis}" for name in names for axis in "xyz")
    np.savetxt(path, rows, fmt="%.5f", delimiter=",", header=header, comments="")
    out = tmp_path / "out"
    errors = " ".join(run(command, path, "--out", out)[1:])
    assert "--captured-fps" in errors
    words = (command, path, "--out", out, "--captured-fps", 60)
    errors = " ".join(run(*words)[1:])
    assert "--map" in errors
    roles = {"Left": "left", "Right": "right"}
    parts = {"UpLeg": "hip", "Leg": "knee", "Foot": "ankle", "ToeBase": "toe"}
    known = list(arrays["names"])
    lines = [f"{roles[s]}_{parts[p]}: {names[known.index(s + p)]}" for s in roles for p in parts]
    (tmp_path / "map.yaml").write_text("\n".join(lines))
    out.mkdir(exist_ok=True)
    code, _, errors = run(*words, "--map", tmp_path / "map.yaml", "--format", "positions", "--longest-gap", 0.05)
    assert code == 0, errors
    if command == "import":
        assert open_capture(out / "walk.npz").fps == 60.0


def test_the_rate_of_any_format_can_be_said(walk: Path) -> None:
    assert open_with_gaps(walk).fps == 60.0
    assert open_with_gaps(walk, fps=59.94, asf="other.asf").fps == 59.94  # a BVH needs no .asf


# -- the robot's rate -------------------------------------------------------------------------------------


def test_clips_come_at_the_robots_rate(walk: Path, tmp_path: Path) -> None:
    text = asset_path("wildrobot/retarget.yaml").read_text()
    text = text.replace("model: scene.xml", f"model: {asset_path('wildrobot/scene.xml')}")
    path = tmp_path / "robot.yaml"
    path.write_text(f"{text}\nfps: 100\n")
    usual, quick = (retarget(open_capture(walk).read(), load_body(robot)).clip for robot in ("wildrobot", path))
    assert (usual.fps, quick.fps) == (50.0, 100.0)
    assert quick.duration == pytest.approx(usual.duration, abs=0.011)
    assert quick.meta["history"][-1] == "retargeted to wildrobot at 100 Hz"
    np.testing.assert_allclose(quick.qpos[::2][: usual.frames, :3], usual.qpos[: len(quick.qpos[::2]), :3], atol=0.01)
    for wrong in ("0", "fast", ".nan", "null"):
        path.write_text(f"{text}\nfps: {wrong}\n")
        with pytest.raises(MotionError, match=r"fps is .*expected a"):
            load_body(path)


# -- a set's folder ---------------------------------------------------------------------------------------


def test_a_foreign_file_in_the_folder_is_told_before_work(run, captures: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("gait_envs.mocap.retarget.folder.retarget", None)  # no work is done
    out = tmp_path / "out"
    assert run("import", captures, "--out", out, "--license", "CC0")[0] == 0
    (out / "walk.npz").rename(out / "other.npz")
    code, _, errors = run("retarget", captures, "--out", out)
    assert code == 2
    assert "other.npz: is a capture, not a clip" in errors
    (out / "other.npz").write_bytes(b"broken")
    code, _, errors = run("retarget", captures, "--out", out)
    assert code == 2
    assert "other.npz: not a readable clip" in errors
    assert sorted(path.name for path in out.iterdir()) == ["other.npz"]


def test_pictures_of_kept_clips_and_notes_are_not_forgotten(run, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a", "b"):
        arrays = position_arrays(tmp_path, 1.0)
        keep = [i for i, joint in enumerate(arrays["names"]) if "Arm" not in joint]
        save(folder / f"{name}.npz", arrays, positions=arrays["positions"][:, keep], names=arrays["names"][keep])
    out = tmp_path / "out"
    assert run("retarget", folder, "--out", out, "--robot", "humanoid")[0] in (0, 1)
    (clip,) = list(out.rglob("a.npz"))
    note = load_clip(clip).meta["notes"][0]
    assert not clip.with_suffix(".png").exists()
    stamp = clip.stat().st_mtime_ns
    errors = run("retarget", folder, "--out", out, "--robot", "humanoid")[2]
    assert clip.stat().st_mtime_ns == stamp  # kept, and its notes are said again
    assert f"a.npz and 1 more: {note}" in errors
    run("retarget", folder, "--out", out, "--robot", "humanoid", "--picture")
    assert clip.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    assert json.loads((out / "set.json").read_text())["clips"]


def test_swapped_sides_are_an_error_whatever_is_given(run, walk: Path, tmp_path: Path) -> None:
    swapped = tmp_path / "swapped.bvh"
    text = walk.read_text().replace("Left", "LEFT").replace("Right", "Left").replace("LEFT", "Right")
    swapped.write_text(text)
    code, _, errors = run("import", swapped, "--out", tmp_path / "out", "--unit", "cm", "--up", "y")
    assert code == 2
    assert "left and right are swapped" in errors
