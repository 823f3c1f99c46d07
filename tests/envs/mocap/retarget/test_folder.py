"""A folder of captures: nothing is lost, nothing is done twice, and what went wrong is said."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.assets import asset_path
from gait_envs.mocap.capture import MotionError
from gait_envs.mocap.cleaning.convert import Cleaning
from gait_envs.mocap.jobs import find_captures
from gait_envs.mocap.pages.set_page import write_set
from gait_envs.mocap.provenance import read_table
from gait_envs.mocap.retarget.folder import Outcome, Recipe, retarget_folder
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.reference.catalogue import Entry, counts, read_entries
from gait_envs.reference.clip import load_clip, save_clip

ORIGIN = ("--source", "drawn", "--license", "CC0")


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good walks in two folders, one whose feet never stand, one that is cut off, and a file of another kind."""
    folder = tmp_path_factory.mktemp("captures")
    (folder / "a" / "deep").mkdir(parents=True)
    walker_bvh(folder / "a" / "walk.bvh", seconds=1.5)
    walker_bvh(folder / "a" / "deep" / "walk.BVH", seconds=1.5, yaw=30)
    belt = walker_bvh(folder / "belt.bvh", seconds=1.5)
    lines = belt.read_text().splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("Frame Time")) + 2
    rows = np.array([[float(x) for x in line.split()] for line in lines[first:]])
    rows[:, 0] += 400 * np.arange(len(rows)) / 60
    lines[first:] = [" ".join(f"{x:.5f}" for x in row) for row in rows]
    belt.write_text("\n".join(lines))
    (folder / "cut.bvh").write_text("\n".join((folder / "a" / "walk.bvh").read_text().splitlines()[:60]))
    (folder / "notes.txt").write_text("not a motion")
    return folder


def made(captures: Path, out: Path, recipe: Recipe | None = None, **more) -> dict[str, Outcome]:
    jobs, _ = find_captures([captures])
    return {o.job.name: o for o in retarget_folder(jobs, recipe or Recipe(), "wildrobot", out, **more)}


@pytest.fixture(scope="module")
def set_of(captures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Outcome]]:
    """What `made` makes of the captures, once."""
    folder = tmp_path_factory.mktemp("set")
    return folder, made(captures, folder)


def copy_of(folder: Path, where: Path) -> None:
    """The set again, as old as it is."""
    shutil.copytree(folder, where, dirs_exist_ok=True)


# --- what is found -----------------------------------------------------------------------------------


def test_folders_are_searched_to_the_bottom(captures: Path) -> None:
    jobs, passed = find_captures([captures])
    assert [(job.name, job.shown) for job in jobs] == [
        ("a-deep-walk", "a/deep/walk.BVH"),
        ("a-walk", "a/walk.bvh"),
        ("belt", "belt.bvh"),
        ("cut", "cut.bvh"),
    ]
    assert [path.name for path in passed] == ["notes.txt"]
    jobs, _ = find_captures([captures / "a", captures / "a" / "walk.bvh", captures / "belt.bvh"])
    assert [job.name for job in jobs] == ["deep-walk", "walk", "belt"]  # a file given twice is one


def test_names_do_not_clash(captures: Path, tmp_path: Path) -> None:
    shutil.copy(captures / "a" / "walk.bvh", tmp_path / "walk.bvh")
    (tmp_path / "walk.amc").write_text(":FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\n")
    assert [job.name for job in find_captures([tmp_path])[0]] == ["walk-amc", "walk-bvh"]
    with pytest.raises(MotionError, match=r"would both become walk-bvh; give the folder that holds"):
        find_captures([captures / "a", tmp_path / "walk.bvh"])
    with pytest.raises(MotionError, match="nowhere: no such file or folder"):
        find_captures([tmp_path / "nowhere"])
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(MotionError, match=r"empty: holds no capture; known: bvh \(\.bvh\)"):
        find_captures([empty])


# --- what is made ------------------------------------------------------------------------------------


def test_good_unfit_and_failed_part_ways(set_of: tuple[Path, dict[str, Outcome]], tmp_path: Path) -> None:
    folder, outcomes = set_of
    copy_of(folder, tmp_path)
    assert {name: o.verdict for name, o in outcomes.items()} == {
        "a-walk": "fit",
        "a-deep-walk": "fit",
        "belt": "unfit",
        "cut": "failed",
    }
    assert sorted(p.name for p in tmp_path.glob("*.npz")) == ["a-deep-walk.npz", "a-walk.npz"]
    assert [p.name for p in (tmp_path / "unfit").iterdir()] == ["belt.npz"]
    assert load_clip(tmp_path / "unfit" / "belt.npz").meta["faults"] == ["no foot ever stands"]
    assert "cut.bvh" in outcomes["cut"].faults[0]
    assert "the file ends where" in outcomes["cut"].faults[0]
    clip = load_clip(tmp_path / "a-walk.npz")
    assert (clip.meta["capture"], clip.meta["unit_m"], clip.meta["up"]) == ("a/walk.bvh", 0.01, "+y")
    assert clip.meta["history"][-1] == "retargeted to wildrobot at 50 Hz"
    assert any("leading frame" in line for line in clip.meta["history"])


def test_a_second_run_keeps_what_is_there(captures: Path, set_of, tmp_path: Path) -> None:
    copy_of(set_of[0], tmp_path)
    stamps = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")}
    again = made(captures, tmp_path)
    assert {name: o.kept for name, o in again.items()} == {
        "a-walk": True,
        "a-deep-walk": True,
        "belt": True,
        "cut": False,
    }
    assert again["belt"].verdict == "unfit"
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npz")} == stamps


def test_what_a_killed_run_left_is_made_good(captures: Path, set_of, tmp_path: Path) -> None:
    copy_of(set_of[0], tmp_path)
    whole = (tmp_path / "a-walk.npz").read_bytes()
    (tmp_path / "a-walk.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "a-deep-walk.npz").unlink()
    (tmp_path / ".a-deep-walk.npz.123.tmp").write_bytes(b"half")
    again = made(captures, tmp_path)
    assert {name for name, o in again.items() if o.kept} == {"belt"}
    assert load_clip(tmp_path / "a-walk.npz").frames == load_clip(tmp_path / "a-deep-walk.npz").frames


@pytest.mark.parametrize("what", ["recipe", "origin", "robot", "capture", "older capture"])
def test_a_change_makes_the_clip_anew(captures: Path, tmp_path: Path, what: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    shutil.copy(captures / "a" / "walk.bvh", folder)
    jobs, _ = find_captures([folder])
    robot: str | Path = "wildrobot"
    list(retarget_folder(jobs, Recipe(), robot, tmp_path))
    recipe = Recipe(speed=0.3) if what == "recipe" else Recipe()
    if what == "origin":
        jobs = [type(jobs[0])(jobs[0].capture, jobs[0].name, jobs[0].shown, {"license": "CC0"})]
    elif what == "robot":
        robot = tmp_path / "robot.yaml"
        text = asset_path("wildrobot/retarget.yaml").read_text().replace("crouch: 0.015", "crouch: 0.02")
        robot.write_text(text.replace("model: scene.xml", f"model: {asset_path('wildrobot/scene.xml')}"))
    elif what == "capture":
        later = (tmp_path / "walk.npz").stat().st_mtime + 5
        os.utime(folder / "walk.bvh", (later, later))
    elif what == "older capture":
        shutil.copy(captures / "a" / "deep" / "walk.BVH", folder / "walk.bvh")
        os.utime(folder / "walk.bvh", (1e9, 1e9))
    before = load_clip(tmp_path / "walk.npz").meta["recipe"]
    (outcome,) = retarget_folder(jobs, recipe, robot, tmp_path)
    assert not outcome.kept
    assert (load_clip(tmp_path / "walk.npz").meta["recipe"] == before) == (what == "capture")


def test_a_clip_that_becomes_fit_leaves_the_unfit(captures: Path, set_of, tmp_path: Path) -> None:
    """And the other way round; there is never one of each."""
    copy_of(set_of[0], tmp_path)
    (tmp_path / "unfit" / "a-walk.npz").write_bytes((tmp_path / "a-walk.npz").read_bytes())
    (tmp_path / "a-walk.npz").unlink()
    clip = load_clip(tmp_path / "unfit" / "a-walk.npz")
    save_clip(tmp_path / "unfit" / "a-walk.npz", replace(clip, meta=clip.meta | {"recipe": "another"}))
    made(captures, tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("a-walk.npz")] == ["a-walk.npz"]


def test_two_processes_make_the_same(captures: Path, set_of: tuple[Path, dict[str, Outcome]], tmp_path: Path) -> None:
    folder, one = set_of
    copy_of(folder, tmp_path / "one")
    two = made(captures, tmp_path / "two", workers=2)
    assert {n: (o.verdict, o.faults) for n, o in one.items()} == {n: (o.verdict, o.faults) for n, o in two.items()}
    for name in ("a-walk", "a-deep-walk"):
        first, second = (load_clip(tmp_path / where / f"{name}.npz") for where in ("one", "two"))
        np.testing.assert_array_equal(first.qpos, second.qpos)
    with pytest.raises(MotionError, match="jobs is 0; at least one process is needed"):
        made(captures, tmp_path, workers=0)


def test_a_fault_of_ours_costs_one_capture(captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*words: object, **more: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("gait_envs.mocap.retarget.folder.retarget", broken)
    outcomes = made(captures, tmp_path)
    assert {o.verdict for o in outcomes.values()} == {"failed"}
    assert outcomes["a-walk"].faults[0].endswith("walk.bvh: ZeroDivisionError: oh")


@pytest.mark.parametrize("wrong", [{"time": "slow"}, {"speed": -1.0}, {"start": -1.0}, {"start": 2.0, "end": 1.0}])
def test_a_wrong_choice_is_an_error_at_once(wrong: dict) -> None:
    with pytest.raises(MotionError, match="expected"):
        Recipe(**wrong)


@pytest.mark.parametrize("wrong", [{"unit": "league"}, {"up": "w"}, {"low_pass": -1.0}, {"low_pass": float("nan")}])
def test_a_wrong_cleaning_too(wrong: dict) -> None:
    with pytest.raises(MotionError, match="expected"):
        Cleaning(**wrong)


# --- the report --------------------------------------------------------------------------------------


def test_the_report_tells_all(set_of: tuple[Path, dict[str, Outcome]], tmp_path: Path) -> None:
    folder, outcomes = set_of
    copy_of(folder, tmp_path)
    failed = [Entry("cut", "failed", outcomes["cut"].faults, capture="cut.bvh")]
    entries = [*read_entries(tmp_path), *failed]
    assert counts(entries) == {"fit": 2, "unfit": 1, "failed": 1}
    as_json, picture = write_set(tmp_path, entries)
    told = json.loads(as_json.read_text())
    assert told["counts"] == {"fit": 2, "unfit": 1, "failed": 1}
    by_name = {clip["name"]: clip for clip in told["clips"]}
    assert by_name["belt"]["file"] == "unfit/belt.npz"
    assert by_name["belt"]["faults"] == ["no foot ever stands"]
    assert by_name["a-walk"]["quality"] == load_clip(tmp_path / "a-walk.npz").meta["quality"]
    assert set(by_name["a-walk"]) >= {"source", "license", "subject", "activity", "capture", "model"}
    middle = np.median([by_name[name]["quality"]["ankle_path_mm"] for name in ("a-walk", "a-deep-walk")])
    assert told["medians_of_fit"]["ankle_path_mm"] == pytest.approx(middle)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert not list(tmp_path.glob(".*"))
    write_set(tmp_path, failed)  # nothing but failures can be drawn too


# --- the command -------------------------------------------------------------------------------------


def test_the_command(run, captures: Path, tmp_path: Path) -> None:
    out = tmp_path / "set"
    code, text, errors = run("retarget", captures, "--out", out, *ORIGIN, "--subject", "S1", "--activity", "walk")
    assert code == 1
    assert "4 captures: 2 fit, 1 unfit, 1 failed; 0 kept from an earlier run" in text
    assert "belt: no foot ever stands" in text
    assert "passed over, as nothing in them is a capture: notes.txt" in errors
    assert sorted(p.name for p in out.iterdir()) == ["a-deep-walk.npz", "a-walk.npz", "set.json", "set.png", "unfit"]
    clip = load_clip(out / "a-walk.npz")
    assert (clip.source, clip.license, clip.meta["subject"], clip.meta["activity"]) == ("drawn", "CC0", "S1", "walk")
    code, text, _ = run("retarget", captures, "--out", out, *ORIGIN, "--subject", "S1", "--activity", "walk")
    assert code == 1
    assert "3 kept from an earlier run" in text
    code, text, _ = run("inspect", out, "--plot", tmp_path / "set.png")
    assert code == 0
    assert "cut: " in text  # what failed is remembered
    assert "median, fit" in text
    assert (tmp_path / "set.png").stat().st_size > 10_000


def test_no_fit_clip_is_exit_1_and_no_clip_exit_2(run, captures: Path, tmp_path: Path) -> None:
    code, text, _ = run("retarget", captures / "belt.bvh", captures / "cut.bvh", "--out", tmp_path / "set", *ORIGIN)
    assert code == 1
    assert "2 captures: 0 fit, 1 unfit, 1 failed" in text
    code, text, _ = run("retarget", captures / "cut.bvh", captures / "cut.bvh", "--out", tmp_path / "none", *ORIGIN)
    assert code == 2
    assert "0 fit, 0 unfit, 1 failed" in text


def test_pictures_of_a_set(run, captures: Path, tmp_path: Path) -> None:
    assert run("retarget", captures / "a", "--out", tmp_path / "set", *ORIGIN, "--picture")[0] == 0
    assert (tmp_path / "set" / "walk.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("fault", [KeyError("oh"), OSError(28, "No space left on device")])
def test_a_page_that_cannot_be_drawn_costs_no_clip(
    captures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def broken(*words: object) -> None:
        raise fault

    monkeypatch.setattr("gait_envs.mocap.retarget.folder.write_page", broken)
    jobs, _ = find_captures([captures / "a" / "walk.bvh"])
    (tmp_path / "walk.png").write_bytes(b"of an earlier clip")
    (outcome,) = retarget_folder(jobs, Recipe(), "wildrobot", tmp_path, pictures=True)
    assert (outcome.verdict, outcome.clip) == ("fit", tmp_path / "walk.npz")
    assert outcome.notes[-1].startswith(f"no page: {tmp_path / 'walk.png'}: {type(fault).__name__}: ")
    assert load_clip(tmp_path / "walk.npz").frames > 1
    assert [file.name for file in tmp_path.iterdir()] == ["walk.npz"]


def test_pages_do_not_mind_what_contact_boxes_are_called(captures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bot"
    shutil.copytree(asset_path("wildrobot"), folder)
    for file in (folder / "wildrobot.xml", folder / "scene.xml", folder / "retarget.yaml"):
        text = file.read_text()
        for side in ("left", "right"):
            for box in ("toe", "heel"):
                text = text.replace(f"{side}_{box}", f"{side[0]}{box}")
        file.write_text(text)
    jobs, _ = find_captures([captures / "a" / "walk.bvh"])
    (outcome,) = retarget_folder(jobs, Recipe(), folder / "retarget.yaml", tmp_path / "set", pictures=True)
    assert outcome.verdict == "fit"
    assert (tmp_path / "set" / "walk.png").is_file()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "say with --out in which folder"),
        (("--out", "set.npz"), "several captures need a folder"),
        (("--out", "set", "--jobs", "0"), "greater than or equal to 1"),
        (("--out", "set", "--table", "nowhere.csv"), "nowhere.csv: No such file or directory"),
    ],
)
def test_faulty_words(run, captures: Path, tmp_path: Path, monkeypatch, words: tuple[str, ...], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = run("retarget", captures / "a", *words)
    assert code == 2
    assert message in errors.replace("\n", " ")


def test_several_licences_need_a_word(run, captures: Path, tmp_path: Path) -> None:
    table = captures / "table.csv"
    table.write_text("file,source,license,subject\na/walk.bvh,one,CC0,S1\na/deep/walk.BVH,two,CC BY-NC,\n")
    words = ("retarget", captures / "a", "--out", tmp_path / "set", "--table", table)
    code, _, errors = run(*words)
    assert code == 2
    assert "2 licences in one set" in errors
    assert not (tmp_path / "set").exists()
    assert run(*words, "--accept-license")[0] == 0
    found = {name: load_clip(tmp_path / "set" / f"{name}.npz") for name in ("walk", "deep-walk")}
    assert {name: (clip.source, clip.license) for name, clip in found.items()} == {
        "walk": ("one", "CC0"),
        "deep-walk": ("two", "CC BY-NC"),
    }
    assert (found["walk"].meta["subject"], found["deep-walk"].meta["subject"]) == ("S1", "unknown")
    # What is said for all counts more than the table; and what the folder holds already counts too.
    assert run(*words, "--license", "CC0")[0] == 0
    code, _, errors = run("retarget", captures / "belt.bvh", "--out", tmp_path / "set", "--license", "GPL")
    assert code == 2
    assert "2 licences in one set" in errors


@pytest.mark.parametrize("name", ["a-walk", "other"])
def test_a_folder_holds_clips_of_one_robot(run, captures: Path, tmp_path: Path, name: str, monkeypatch) -> None:
    monkeypatch.setattr("gait_envs.mocap.retarget.folder.retarget", None)  # no work is done
    bundled = sorted(asset_path("motions/wildrobot_walk").glob("*.npz"))[0]
    there = tmp_path / f"{name}.npz"
    save_clip(there, replace(load_clip(bundled), license="CC0"))
    before = there.read_bytes()
    code, _, errors = run("retarget", captures, "--robot", "humanoid", "--out", tmp_path, *ORIGIN)
    assert code == 2
    assert "clips of 2 robots in one set: humanoid: " in errors
    assert f"wildrobot: {name}.npz; keep a folder for each robot" in errors
    assert there.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [there.name]


# --- the table of origins ----------------------------------------------------------------------------


def test_a_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text('\ufefffile, license,activity\na/x.bvh,"free, for all",walk\nb/x.bvh,,run\ny.bvh,CC0,\n', "utf-8")
    table = read_table(path)
    assert table.of(tmp_path / "a" / "x.bvh") == {"license": "free, for all", "activity": "walk"}
    assert table.of(tmp_path / "b" / ".." / "b" / "x.bvh") == {"activity": "run"}
    assert table.of(tmp_path / "elsewhere" / "y.bvh") == {"license": "CC0"}  # a name that is there once
    assert table.of(tmp_path / "elsewhere" / "x.bvh") == {}  # and one that is there twice


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,license\nx,y\n", r"line 1: columns name, license; expected the columns file, source, license"),
        ("file,license,colour\nx,y,z\n", "line 1: columns file, license, colour; expected"),
        ("file,file\nx,y\n", "line 1: column 'file' is there twice"),
        ("", "line 1: columns none; expected"),
        ("file,license\nx.bvh,y,z\n", "line 2: not 2 values; a value with a comma needs quotes"),
        ("file,license\nx.bvh\n", "line 2: not 2 values"),
        ("file,license\n,CC0\n", "line 2: no file"),
        ("file,license\nx.bvh,a\n./x.bvh,b\n", r"line 3: \./x\.bvh is listed twice"),
        ('file,license\nx.bvh,"a\n', "unexpected end of data"),
    ],
)
def test_faulty_tables_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(MotionError, match=message) as error:
        read_table(path)
    assert str(path) in str(error.value)


def test_digest_tells_robots_apart() -> None:
    assert load_body("wildrobot").digest == load_body("wildrobot").digest
    assert load_body("wildrobot").digest != load_body("humanoid").digest
