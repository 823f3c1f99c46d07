"""`gait-data import` as a user meets it: what is written, what is kept, what is refused, and in which words."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from helpers.acclaim import AMC, ASF
from helpers.formats import deepmimic_text, isaac_arrays, position_arrays, save, smpl_arrays
from helpers.walker import walker_bvh

from gait_envs.mocap import importing
from gait_envs.mocap.capture import MotionError, forward_kinematics
from gait_envs.mocap.formats import open_capture, read_capture
from gait_envs.mocap.jobs import carried_meta
from gait_envs.reference.licenses import check_licenses


@pytest.fixture
def run(run):
    """Run `gait-data import` with these words; returns exit code, standard output and standard error."""
    return partial(run, "import")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A walk in every format of ours, and files that are none."""
    folder = tmp_path / "captures"
    (folder / "deep").mkdir(parents=True)
    walker_bvh(folder / "hips.bvh", seconds=2.0)
    save(folder / "smpl.npz", smpl_arrays(2.0))
    save(folder / "deep" / "isaac.npz", isaac_arrays(2.0))
    save(folder / "deep" / "positions.npz", position_arrays(tmp_path, 2.0))
    (folder / "mimic.txt").write_text(deepmimic_text(2.0))
    (folder / "README.txt").write_text("A walk in many formats.")
    (folder / "files.csv").write_text("file,license\nhips.bvh,CC0\n")
    np.savez(folder / "other.npz", qpos=np.zeros(3))
    return folder


NAMES = ["deep-isaac", "deep-positions", "hips", "mimic", "smpl"]


def test_a_folder_of_every_format(run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    code, text, errors = run(folder, "--out", out, "--fps", 50, "--source", "us", "--license", "CC0")
    assert code == 0, errors
    assert sorted(p.name for p in out.iterdir()) == [f"{name}.npz" for name in NAMES]
    assert "5 captures: 5 written, 0 kept, 0 failed" in text
    assert (
        f"written  {out}/hips.npz: bvh, 15 joints, 100 frames at 50 Hz, 1.98 s; unit 0.01 m, up +y, stature 1.70 m"
        in text
    )
    assert "imported from bvh: hips.bvh" in text
    assert "1 leading frame of rest pose dropped" in text
    assert "warning: smpl.npz: SMPL on a generic skeleton" in errors
    assert "passed over, as nothing in them is a capture: README.txt, files.csv, other.npz" in errors
    for name in NAMES:
        motion = read_capture(out / f"{name}.npz")
        assert (motion.unit, motion.up, motion.fps) == (1.0, "+z", 50.0)
        assert motion.origin == {"source": "us", "license": "CC0"}
        place, _ = forward_kinematics(motion)
        speed = np.linalg.norm(place[-1, 0] - place[0, 0]) * 50 / (motion.frames - 1)
        assert speed == pytest.approx(0.7, rel=0.03), name
        assert 0.6 < place[:, 0, 2].mean() < 1.0, name


def test_a_second_run_keeps_what_is_there(run, folder: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "out", ("--license", "CC0", "--source", "us")
    run(folder, "--out", out, *words)
    stamps = {p.name: p.stat().st_mtime_ns for p in out.iterdir()}
    code, text, _ = run(folder, "--out", out, *words)
    assert (code, "5 captures: 0 written, 5 kept, 0 failed" in text) == (0, True)
    assert {p.name: p.stat().st_mtime_ns for p in out.iterdir()} == stamps
    (out / "hips.npz").write_bytes((out / "hips.npz").read_bytes()[:1000])  # as a full disk leaves it
    (out / "smpl.npz").unlink()
    os.utime(folder / "mimic.txt", (2e9, 2e9))  # changed since
    code, text, _ = run(folder, "--out", out, *words)
    assert "5 captures: 3 written, 2 kept, 0 failed" in text
    assert read_capture(out / "hips.npz").frames == 120
    code, text, _ = run(folder, "--out", out, *words, "--low-pass", 10)  # another plan
    assert "5 captures: 5 written, 0 kept, 0 failed" in text


@pytest.mark.parametrize("named", [False, True])
def test_another_skeleton_is_another_capture(run, tmp_path: Path, named: bool) -> None:
    """The skeleton beside an `.amc`, or the one that `--asf` names; and a capture that an older one replaces."""
    folder, out = tmp_path / "captures", tmp_path / "out"
    folder.mkdir()
    asf, amc = tmp_path / "other.asf" if named else folder / "01.asf", folder / "01_01.amc"
    asf.write_text(ASF)
    amc.write_text(AMC)
    words = (folder, "--out", out, "--license", "CC0", "--source", "us", "--unit", "cmu", "--up", "y")
    words += ("--asf", asf) if named else ()
    assert "1 written, 0 kept, 0 failed" in run(*words)[1]
    assert "0 written, 1 kept, 0 failed" in run(*words)[1]
    asf.write_text(ASF.replace("length 7", "length 9"))
    assert "1 written, 0 kept, 0 failed" in run(*words)[1]
    amc.write_text(AMC.replace("ltibia 90", "ltibia 80"))
    os.utime(amc, (1e9, 1e9))
    assert "1 written, 0 kept, 0 failed" in run(*words)[1]
    asf.unlink()
    assert "0 written, 0 kept, 1 failed" in run(*words)[1] or named  # a name without a file is refused before


@pytest.mark.parametrize("to", ["npz", "bvh"])
def test_failures_are_set_aside_and_listed(run, folder: Path, tmp_path: Path, to: str) -> None:
    whole = (folder / "smpl.npz").read_bytes()
    (folder / "smpl.npz").write_bytes(whole[: len(whole) // 2])
    arrays = smpl_arrays(2.0)
    arrays["poses"][30:60] = np.nan
    save(folder / "gap.npz", arrays)
    save(folder / "slow.npz", smpl_arrays(2.0), mocap_framerate=np.array(0))
    out = tmp_path / "out"
    code, text, errors = run(folder, "--out", out, "--license", "CC0", "--to", to)
    assert code == 1
    assert "7 captures: 4 written, 0 kept, 3 failed" in text
    last = [line for line in errors.splitlines() if line.startswith("failed")]
    assert last == errors.splitlines()[-3:]
    assert f"{folder}/smpl.npz: no whole .npz archive" in errors
    assert f"{folder}/slow.npz: mocap_framerate: it is 0 frames a second" in errors
    assert f"{folder}/gap.npz: gap: 24 joints missing in frames 30 to 59; at most 6 frames (0.1 s)" in errors
    assert {p.stem for p in out.iterdir()} == {"deep-isaac", "deep-positions", "hips", "mimic"}


def test_a_crash_stops_no_other(run, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path, *args, **kwargs):
        if path.name == "hips.npz":
            raise ZeroDivisionError("a fault of ours")
        return write(path, *args, **kwargs)

    write = importing.write_capture
    monkeypatch.setattr(importing, "write_capture", broken)
    code, text, errors = run(folder, "--out", tmp_path / "out", "--license", "CC0")
    assert code == 1
    assert "4 written, 0 kept, 1 failed" in text
    assert "hips.bvh: ZeroDivisionError: a fault of ours" in errors


def test_short_gaps_are_filled_and_told(run, tmp_path: Path) -> None:
    arrays = smpl_arrays(2.0)
    arrays["poses"][30:33] = np.nan
    path = save(tmp_path / "gap.npz", arrays)
    code, text, _ = run(path, "--out", tmp_path / "out", "--low-pass", 6)
    assert code == 0
    history = carried_meta(tmp_path / "out" / "gap.npz")["history"]
    assert history == [
        "imported from smpl: gap.npz",
        "3 frames filled at 0.50 s: 24 joints missing",
        "low-pass 6 Hz, 4th order Butterworth, zero phase",
    ]
    assert all(line in text for line in history)
    code, _, errors = run(path, "--out", tmp_path / "strict", "--longest-gap", 0.04)
    assert code == 2
    assert "24 joints missing in frames 30 to 32; at most 2 frames (0.04 s) in a row are filled" in errors
    code, _, errors = run(path, "--out", tmp_path / "raw", "--no-repair")
    assert code == 2
    assert "gap.npz: poses: not finite at frame 30" in errors
    assert not list((tmp_path / "raw").glob("*"))


def test_a_bvh_carries_its_provenance_beside_it(run, tmp_path: Path) -> None:
    capture = walker_bvh(tmp_path / "walk.bvh", seconds=2.0)
    out = tmp_path / "out"
    words = ("--out", out, "--to", "bvh", "--source", "us", "--license", "CC0", "--subject", "7", "--activity", "walk")
    assert run(capture, *words)[0] == 0
    assert sorted(p.name for p in out.iterdir()) == ["walk.bvh", "walk.json"]
    meta = json.loads((out / "walk.json").read_text())
    assert meta["origin"] == {"source": "us", "license": "CC0", "subject": "7", "activity": "walk"}
    assert meta["history"][0] == "imported from bvh: walk.bvh"
    assert read_capture(out / "walk.bvh").translations[5, 0, 2] == pytest.approx(0.85, abs=0.05)  # m, z up
    assert "1 capture: 0 written, 1 kept, 0 failed" in run(capture, *words)[1]
    (out / "walk.json").unlink()
    assert "1 written, 0 kept" in run(capture, *words)[1]


def test_unit_axis_and_format_are_as_given(run, tmp_path: Path) -> None:
    capture = walker_bvh(tmp_path / "walk.bvh", seconds=2.0)
    code, text, _ = run(capture, "--out", tmp_path / "out", "--unit", "0.02", "--up", "y", "--format", "bvh")
    assert code == 0
    assert "unit 0.02 m, up y, stature 3.40 m" in text
    other = capture.rename(tmp_path / "walk.txt")
    assert run(other, "--out", tmp_path / "two")[0] == 2
    assert run(other, "--out", tmp_path / "two", "--format", "bvh")[0] == 0


@pytest.mark.parametrize(
    ("unit", "note"),
    [
        ("m", "a unit of 1 m makes a person 170 m tall; cm would make 1.70 m"),
        ("inch", "a unit of 0.0254 m makes a person 4.32 m tall; cm would make 1.70 m"),
        ("mm", "a unit of 0.001 m makes a person 0.17 m tall; cm would make 1.70 m"),
        ("cm", ""),
        ("0.008", ""),  # a child
    ],
)
def test_a_unit_that_makes_a_giant_is_told(run, tmp_path: Path, unit: str, note: str) -> None:
    capture = walker_bvh(tmp_path / "walk.bvh", seconds=1.0)
    code, _, errors = run(capture, "--out", tmp_path / "out", "--unit", unit, "--license", "CC0", "--source", "us")
    assert (code, note in errors, "tall" in errors) == (0, True, bool(note))
    assert carried_meta(tmp_path / "out" / "walk.npz")["notes"] == ([note] if note else [])


# -- licences and provenance ------------------------------------------------------------------------------


def test_several_licences_need_a_word(run, folder: Path, tmp_path: Path) -> None:
    table, out = tmp_path / "captures.csv", tmp_path / "out"
    table.write_text(
        "file,source,license,subject,activity\n"
        f"{folder.name}/hips.bvh,us,CC0,7,walk\n{folder.name}/mimic.txt,them,MIT,,\n"
    )
    words = (folder / "hips.bvh", folder / "mimic.txt", "--out", out, "--table", table)
    code, _, errors = run(*words)
    assert code == 2
    assert "2 licences in one set: CC0: hips.npz; MIT: mimic.npz" in errors
    assert "--accept-license" in errors
    assert not out.exists()
    assert run(*words, "--accept-license")[0] == 0
    assert open_capture(out / "hips.npz").origin == {
        "source": "us", "license": "CC0", "subject": "7", "activity": "walk",
    }  # fmt: skip
    assert open_capture(out / "mimic.npz").origin == {"source": "them", "license": "MIT"}


def test_what_an_earlier_run_left_counts(run, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for to in ("npz", "bvh"):
        assert run(folder / "hips.bvh", "--out", out / to, "--license", "CC0", "--to", to)[0] == 0
        code, _, errors = run(folder / "mimic.txt", "--out", out / to, "--license", "MIT")
        assert code == 2
        assert f"CC0: hips.{to}; MIT: mimic.npz" in errors


def test_unknown_stays_unknown_and_is_said(run, folder: Path, tmp_path: Path) -> None:
    (folder / "LICENSE").write_text("MIT")  # beside the files, and not guessed from
    (folder / "MANIFEST.csv").write_text("path,licence\nhips.bvh,MIT\n")
    code, _, errors = run(folder / "hips.bvh", "--out", tmp_path / "out")
    assert code == 0
    assert "the license of 1 capture is unknown; say it with --license or --table" in errors
    assert "the source of 1 capture is unknown" in errors
    assert open_capture(tmp_path / "out" / "hips.npz").origin == {}


@pytest.mark.parametrize(
    ("licenses", "fine"),
    [
        ({}, True),
        ({"a": "CC0", "b": "cc0 "}, True),
        ({"a": "unknown", "b": ""}, True),
        ({"a": "CC0", "b": "unknown"}, False),
        ({"a": "CC0", "b": "MIT"}, False),
    ],
)
def test_the_rule_of_one_licence(licenses: dict[str, str], fine: bool) -> None:
    check_licenses(licenses, accepted=True)
    if fine:
        check_licenses(licenses, accepted=False)
        return
    with pytest.raises(MotionError, match="2 licences in one set") as error:
        check_licenses(licenses, accepted=False)
    assert all(file in str(error.value) for file in licenses)


def test_the_rule_names_a_few_files_of_many() -> None:
    many = {f"walk{n}": "CC0" for n in range(9)} | {"run": "unknown"}
    with pytest.raises(MotionError, match="CC0: walk0, walk1, walk2, walk3 and 5 more; unknown: run"):
        check_licenses(many, accepted=False)


def test_one_capture_to_one_file(run, tmp_path: Path) -> None:
    """The file is named, and what else lies in its folder, under whatever licence, is left alone."""
    capture = walker_bvh(tmp_path / "captured.bvh", seconds=1.0)
    assert run(capture, "--out", tmp_path / "walk.npz", "--license", "CC0")[0] == 0
    code, text, errors = run(capture, "--out", tmp_path / "walk.bvh", "--license", "MIT")
    assert code == 0, errors
    assert f"written  {tmp_path}/walk.bvh: bvh" in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["captured.bvh", "walk.bvh", "walk.json", "walk.npz"]
    assert read_capture(tmp_path / "walk.npz").frames == read_capture(tmp_path / "walk.bvh").frames
    code, text, _ = run(capture, "--out", tmp_path / "walk.npz", "--license", "CC0")
    assert (code, "1 kept" in text) == (0, True)
    code, _, errors = run(capture, "--out", capture)
    assert (code, "would be overwritten" in errors) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.bvh",), "nowhere.bvh: no such file"),
        (("{capture}", "--to", "fbx"), "to 'fbx': expected one of npz, bvh"),
        (("{capture}", "--format", "fbx"), "format 'fbx': expected one of bvh, asfamc, capture"),
        (("{capture}", "--unit", "league"), "unit 'league': expected metres a unit or one of mm, cm, inch, cmu, m"),
        (("{capture}", "--up", "w"), "up axis 'w': expected one of x, y, z with an optional sign"),
        (("{capture}", "--low-pass", "-1"), "low-pass -1 Hz: expected a positive number"),
        (("{capture}", "--captured-fps", "0"), "captured fps is 0; expected a positive number"),
        (("{capture}", "--asf", "nowhere.asf"), "asf nowhere.asf: no such file"),
        (("{capture}", "--map", "nowhere.yaml"), "nowhere.yaml: No such file or directory"),
        (("{capture}", "--fps", "0"), "fps is 0; expected a positive number"),
        (("{capture}", "--longest-gap", "60"), "the longest gap is 60 s; expected 0 to 10"),
        (("{capture}", "{other}", "--out", "walk.npz"), "--out walk.npz: expected a folder, as there are 2 captures"),
        (
            ("{capture}", "--out", "walk.npz", "--to", "bvh"),
            "--out walk.npz: expected a folder, or a file that ends in .bvh",
        ),
        (("{capture}", "--table", "nowhere.csv"), "nowhere.csv: No such file or directory"),
        (("{folder}",), "holds no capture; known: bvh"),
        (("{made}",), "nothing to import"),
    ],
)
def test_wrong_words_are_explained(run, tmp_path: Path, words: tuple, message: str) -> None:
    capture = walker_bvh(tmp_path / "walk.bvh", seconds=1.0)
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    if "{made}" in words:
        assert run(capture, "--out", out)[0] == 0
    if "{other}" in words:
        walker_bvh(tmp_path / "run.bvh", seconds=1.0)
    names = {"{capture}": capture, "{other}": tmp_path / "run.bvh", "{folder}": tmp_path / "empty", "{made}": out}
    words = tuple(names.get(word, word) for word in words)
    code, _, errors = run(*words, *(() if "--out" in words else ("--out", out)))
    assert code == 2
    assert message in errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--low-pass", "40"), "low-pass 40 Hz: expected more than 0 and less than half the rate, 30 Hz"),
        (("--fps", "0.001"), "0.001 frames a second leave one frame of its 1.00 s"),
    ],
)
def test_what_a_capture_cannot_take_is_its_failure(run, tmp_path: Path, words: tuple, message: str) -> None:
    capture = walker_bvh(tmp_path / "walk.bvh", seconds=1.0)
    code, _, errors = run(capture, "--out", tmp_path / "out", *words)
    assert code == 2
    assert f"failed   {capture}: " in errors
    assert message in errors
    assert not list((tmp_path / "out").glob("*"))


def test_only_the_wanted_format_of_a_folder(run, folder: Path, tmp_path: Path) -> None:
    code, text, _ = run(folder, "--out", tmp_path / "out", "--format", "bvh")
    assert code == 0
    assert "1 capture: 1 written" in text
