"""The stages in a row: streamed equals whole, metres and z up, a history that is true, a file that comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.formats import walker_motion
from helpers.walker import walker_bvh
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gait_envs.mocap.capture import Capture, MotionError, Skeleton, SkeletonMotion, forward_kinematics
from gait_envs.mocap.cleaning.clean import butterworth, resample_motion
from gait_envs.mocap.cleaning.convert import Cleaning, Window, convert, look, windowed
from gait_envs.mocap.formats import find_format, open_capture, read_capture
from gait_envs.mocap.formats.bvh_writer import as_capture, write_bvh
from gait_envs.mocap.formats.capture_file import write_capture
from gait_envs.mocap.retarget.joint_names import match_joints
from gait_envs.mocap.retarget.pipeline import retarget
from gait_envs.mocap.retarget.target_body import load_body

MOCAP = Path(os.environ.get("GAITNET_MOCAP", "nowhere"))
WHOLE = 10**9
ALONE = Skeleton(("hips",), np.array([-1]), np.zeros((1, 3)))


@pytest.fixture(scope="module")
def long_walk(tmp_path_factory: pytest.TempPathFactory) -> SkeletonMotion:
    """Half a minute at 120 frames a second in cm, y up, with a shake and some faults of every kind."""
    motion = walker_motion(tmp_path_factory.mktemp("walk"), seconds=30.0, fps=120.0)
    rng = np.random.default_rng(0)
    rotations, translations = motion.rotations.copy(), motion.translations.copy()
    translations[:, 0] += rng.normal(scale=0.2, size=(motion.frames, 3))
    for at in rng.integers(5, motion.frames - 20, 30):
        joint = rng.integers(1, 9)
        rotations[at : at + rng.integers(1, 12), joint] = np.nan
    for at in rng.integers(5, motion.frames - 20, 10):
        rotations[at] *= -1.0  # the same rotation
        translations[at + 9, 0] += 80.0
    return replace(motion, rotations=rotations, translations=translations)


def frames_of(capture: Capture, size: int) -> tuple[np.ndarray, np.ndarray]:
    blocks = list(capture.blocks(size))
    assert max(len(rotations) for rotations, _ in blocks) <= size
    rotations, translations = (np.concatenate(part) for part in zip(*blocks, strict=True))
    assert len(rotations) == len(translations) == capture.frames
    return rotations, translations


@pytest.mark.parametrize(
    "cleaning",
    [
        Cleaning(),
        Cleaning(low_pass=6.0),
        Cleaning(fps=50.0),
        Cleaning(fps=400.0),
        Cleaning(low_pass=10.0, fps=29.97, unit="cm", up="y"),
    ],
    ids=["repair", "low-pass", "down", "up", "all"],
)
def test_streamed_equals_whole(long_walk: SkeletonMotion, cleaning: Cleaning) -> None:
    capture = convert(as_capture(long_walk), cleaning)
    whole = frames_of(capture, WHOLE)
    assert np.isfinite(whole[0]).all()
    for size in (1000, 333, 64):
        for got, expected in zip(frames_of(capture, size), whole, strict=True):
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)


def test_the_stages_are_the_functions(tmp_path: Path) -> None:
    """Against the plain functions on the whole arrays, applied here in the order that the history states."""
    motion = walker_motion(tmp_path, seconds=5.0, fps=120.0)
    capture = convert(as_capture(motion), Cleaning(low_pass=8.0, fps=50.0))
    assert capture.history == (
        "from units of 0.01 m and +y up to metres and z up",
        "low-pass 8 Hz, 4th order Butterworth, zero phase",
        "resampled from 120 to 50 Hz (rotations slerp, translations linear)",
    )
    smooth = butterworth(motion.rotations, motion.translations, 8.0, 120.0)
    expected = replace(motion, fps=50.0)
    arrays = resample_motion(*smooth, 120.0, 50.0, np.arange(capture.frames))
    expected = replace(expected, rotations=arrays[0], translations=arrays[1])
    position = forward_kinematics(expected)[0] * 0.01
    got, _ = forward_kinematics(capture.read())
    np.testing.assert_allclose(got, position[..., [2, 0, 1]], atol=1e-9)  # y up, z ahead to z up, x ahead


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=st.integers(1, 120), size=st.integers(1, 50), margin=st.integers(0, 20))
def test_windows_show_every_frame_once_with_its_margin(frames: int, size: int, margin: int) -> None:
    values = np.arange(frames, dtype=float)
    rotations, translations = np.zeros((frames, 1, 4)), np.repeat(values, 3).reshape(frames, 1, 3)
    capture = as_capture(SkeletonMotion(ALONE, rotations, translations, 60.0))
    seen: list[int] = []

    def check(window: Window) -> tuple[np.ndarray, np.ndarray]:
        last = window.first + len(window.rotations)
        assert window.translations[0, 0, 0] == window.first
        assert window.first <= max(window.start - margin, 0)
        assert last >= min(window.stop + margin, frames)
        seen.extend(range(window.start, window.stop))
        return window.rotations, window.translations + 1.0

    _, out = frames_of(windowed(capture, margin, check), size)
    assert seen == list(range(frames))
    np.testing.assert_array_equal(out[:, 0, 0], values + 1.0)


@pytest.mark.parametrize(("unit", "up"), [(0.01, "y"), (0.001, "y"), (0.0254, "z"), (1.0, "z")])
def test_unit_and_axis_are_seen_and_put_right(tmp_path: Path, unit: float, up: str) -> None:
    motion = walker_motion(tmp_path, seconds=2.0, unit=unit, up=up)
    seen = look(as_capture(motion), Cleaning())
    assert (seen.unit, seen.up) == (unit, f"+{up}")
    assert seen.leg == pytest.approx(0.82)
    assert seen.stature == pytest.approx(1.70)
    capture = convert(as_capture(motion))
    assert (capture.unit, capture.up) == (1.0, "+z")
    assert np.linalg.norm(capture.skeleton.offsets[capture.skeleton.index("LeftLeg")]) == pytest.approx(0.42)
    height = forward_kinematics(capture.read())[0][..., 2]
    assert height.min() == pytest.approx(0.02, abs=0.03)  # the toes
    assert height.max() == pytest.approx(0.08 + 0.93 * 0.82 + 0.5, abs=0.03)  # the shoulders


def test_what_is_given_counts_more(tmp_path: Path) -> None:
    motion = walker_motion(tmp_path, seconds=1.0)
    seen = look(as_capture(replace(motion, unit=0.02, up="+y")), Cleaning())
    assert seen.unit == 0.02
    seen = look(as_capture(replace(motion, unit=0.02, up="+y")), Cleaning(unit="mm", up="y"))
    assert seen.unit == 0.001
    with pytest.raises(MotionError, match="unit 'league'"):
        look(as_capture(motion), Cleaning(unit="league"))
    with pytest.raises(MotionError, match="up axis 'w'"):
        convert(as_capture(motion), Cleaning(up="w"))


def test_a_skeleton_without_legs(tmp_path: Path) -> None:
    motion = SkeletonMotion(ALONE, np.tile([1.0, 0, 0, 0], (9, 1, 1)), np.arange(27.0).reshape(9, 1, 3), 30.0, "prop")
    with pytest.raises(MotionError, match=r"no joint found for .*Its unit and vertical axis cannot be detected; give"):
        convert(as_capture(motion))
    capture = convert(as_capture(motion), Cleaning(unit="0.5", up="y"))
    np.testing.assert_allclose(capture.read().translations[0, 0], 0.5 * np.array([2, 0, 1]), atol=1e-9)
    assert capture.notes[0].startswith("legs not found")
    capture = convert(as_capture(motion), Cleaning(unit="cm", up="y"))  # a named unit will do as well
    np.testing.assert_allclose(capture.read().translations[0, 0], 0.01 * np.array([2, 0, 1]), atol=1e-9)


def test_a_rest_pose_is_dropped_before_a_filter_smears_it(tmp_path: Path) -> None:
    capture = open_capture(walker_bvh(tmp_path / "walk.bvh", seconds=2.0))
    out = convert(capture, Cleaning(low_pass=6.0))
    assert out.frames == capture.frames - 1
    assert out.history[0] == "1 leading frame of rest pose dropped"
    plain = convert(capture).read()
    np.testing.assert_allclose(out.read().translations[:5, 0], plain.translations[:5, 0], atol=0.02)


def test_faults_are_told_before_anything_is_written(tmp_path: Path) -> None:
    motion = walker_motion(tmp_path, seconds=2.0, fps=120.0)
    rotations = motion.rotations.copy()
    rotations[100:150, 1] = np.nan
    broken = as_capture(replace(motion, rotations=rotations, name="broken"))
    with pytest.raises(MotionError, match="broken: LeftUpLeg missing in frames 100 to 149"):
        convert(broken)
    with pytest.raises(MotionError, match="broken: not finite at frame 100"):
        convert(broken, Cleaning(repair=False))
    with pytest.raises(MotionError, match="none of the first 240 frames is whole"):
        convert(as_capture(replace(motion, rotations=rotations * np.nan)))
    rotations[105:150] = motion.rotations[105:150]
    filled = convert(as_capture(replace(motion, rotations=rotations)))
    assert filled.history[-1] == "5 frames filled at 0.83 s: LeftUpLeg missing"


@pytest.mark.parametrize("wrong", [{"fps": 0.0}, {"fps": float("nan")}, {"low_pass": 99.0}, {"low_pass": 0.0}])
def test_impossible_rates_are_refused(tmp_path: Path, wrong: dict[str, float]) -> None:
    with pytest.raises(MotionError, match="expected"):
        convert(as_capture(walker_motion(tmp_path, seconds=1.0)), Cleaning(**wrong))


def test_a_low_pass_that_blunts_is_noted(tmp_path: Path) -> None:
    capture = convert(as_capture(walker_motion(tmp_path, seconds=4.0, fps=120.0)), Cleaning(low_pass=2.0))
    assert any("low-pass 2 Hz blunts foot strikes" in note for note in capture.notes)
    assert not convert(as_capture(walker_motion(tmp_path, seconds=4.0, fps=120.0))).notes


# -- files ------------------------------------------------------------------------------------------------


@pytest.fixture
def converted(tmp_path: Path) -> Capture:
    motion = walker_motion(tmp_path, seconds=2.0)
    origin = {"source": "us", "license": "CC0"}
    return convert(as_capture(replace(motion, origin=origin, notes=("a note",))), Cleaning(fps=50.0))


def test_a_capture_comes_back(tmp_path: Path, converted: Capture) -> None:
    path = write_capture(tmp_path / "deep" / "walk.npz", converted, {"plan": "x"})
    assert [p.name for p in path.parent.iterdir()] == ["walk.npz"]  # no temporary left
    assert find_format(path).name == "capture"
    again, before = read_capture(path), converted.read()
    assert again.skeleton.names == before.skeleton.names
    np.testing.assert_array_equal(again.skeleton.offsets, before.skeleton.offsets)
    np.testing.assert_allclose(again.rotations, before.rotations, atol=1e-7)
    np.testing.assert_allclose(again.translations, before.translations, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(again.rotations, axis=-1), 1.0, atol=1e-15)
    for key in ("fps", "unit", "up", "origin", "history", "notes"):
        assert getattr(again, key) == getattr(before, key)
    with np.load(path, allow_pickle=False) as file:  # what the format promises, by NumPy alone
        assert (str(file["format"]), int(file["format_version"])) == ("capture", 1)
        assert file["rotations"].dtype == np.float32
        assert json.loads(str(file["meta"]))["plan"] == "x"
    assert write_capture(tmp_path / "again.npz", converted, {"plan": "x"}).read_bytes() == path.read_bytes()


def test_the_retargeted_walk_is_the_same_by_every_road(tmp_path: Path, converted: Capture) -> None:
    body = load_body("wildrobot")
    direct = retarget(converted.read(), body).clip
    for path in (write_capture(tmp_path / "a.npz", converted), write_bvh(tmp_path / "a.bvh", converted)):
        clip = retarget(read_capture(path), body).clip
        np.testing.assert_allclose(clip.qpos, direct.qpos, atol=1e-4)


def rewritten(path: Path, drop: str = "", **changed) -> Path:
    with np.load(path) as file:
        arrays = {key: file[key] for key in file.files if key != drop}
    np.savez(path, **(arrays | changed), allow_pickle=True)
    return path


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"drop": "offsets"}, "missing offsets"),
        ({"drop": "format"}, "missing format"),
        ({"format": np.array("clip")}, "format: it is 'clip', expected 'capture'"),
        ({"format_version": np.array(2)}, "format_version: it is 2, this GaitNet reads 1"),
        ({"rotations": np.zeros((3, 2, 4))}, "rotations: its shape is (3, 2, 4)"),
        ({"translations": np.zeros((3, 15, 3))}, "translations: its shape is (3, 15, 3), expected (100, 15, 3)"),
        ({"meta": np.array("{")}, "meta: not a JSON text"),
        ({"meta": np.array("[]")}, "meta: expected an object with origin, history, notes"),
        ({"meta": np.array('{"origin": {"a": 1}, "history": [], "notes": []}')}, "must be texts"),
        ({"fps": np.array(0.0)}, "fps: it is 0"),
        ({"unit": np.array(-1.0)}, "unit: it is -1"),
        ({"parents": np.zeros(15, int)}, "parents: joint 0 has parent 0"),
        ({"names": np.array(["a"] * 15)}, "names: the name 'a' is there twice"),
        ({"names": np.array([{}] * 15)}, "names: it holds pickled Python objects"),
    ],
)
def test_faults_of_a_file_name_the_key(tmp_path: Path, converted: Capture, changed: dict, message: str) -> None:
    assert len(converted.skeleton.names) == 15
    path = rewritten(write_capture(tmp_path / "a.npz", converted), **changed)
    with pytest.raises(MotionError) as error:
        open_capture(path, "capture").read()
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_cut_or_altered_file_is_an_error(tmp_path: Path, converted: Capture) -> None:
    path = write_capture(tmp_path / "a.npz", converted)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert find_format(path).name == "capture"  # so that the complaint is this one:
    with pytest.raises(MotionError, match=r"no whole \.npz archive"):
        read_capture(path)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("readme", "x")
    with pytest.raises(MotionError, match="missing format; it holds readme"):
        open_capture(tmp_path / "a.zip", "capture")
    altered = bytearray(whole)
    altered[len(whole) // 2] ^= 0x40  # one bit of a rotation
    path.write_bytes(altered)
    with pytest.raises(MotionError, match=r"Bad CRC|length"):
        read_capture(path)


def test_nothing_half_written(tmp_path: Path, converted: Capture) -> None:
    def dying(size: int):
        yield next(converted.blocks(5))
        raise MotionError("the source broke")

    out = tmp_path / "out"
    for blocks, message in (
        (dying, "the source broke"),
        (lambda size: iter([next(converted.blocks(5))]), "frames came of the 100"),
    ):
        with pytest.raises(MotionError, match=message):
            write_capture(out / "a.npz", replace(converted, blocks=blocks))
        assert list(out.iterdir()) == []
    with pytest.raises(MotionError, match="must be known; convert it first"):
        write_capture(out / "a.npz", replace(converted, unit=None))
    with pytest.raises(MotionError, match=r"ends in \.npz"):
        write_capture(out / "a.bvh", converted)


MEMORY = """
import sys
import numpy as np
from pathlib import Path
from gait_envs.mocap.cleaning.convert import Cleaning, convert
from gait_envs.mocap.formats import open_capture
from gait_envs.mocap.formats.capture_file import write_capture
from gait_envs.mocap.capture import Capture, Skeleton

frames, folder = int(sys.argv[1]), Path(sys.argv[2])
skeleton = Skeleton(tuple(f"j{i}" for i in range(12)), np.arange(-1, 11), np.ones((12, 3)))

def blocks(size):
    for start in range(0, frames, size):
        t = np.arange(start, min(start + size, frames)) / 120
        rotations = np.zeros((len(t), 12, 4))
        rotations[..., 0], rotations[..., 1] = np.cos(0.3 * np.sin(t))[:, None], np.sin(0.3 * np.sin(t))[:, None]
        translations = np.ones((len(t), 12, 3))
        translations[:, 0, 0] = t
        yield rotations, translations

raw = write_capture(folder / "raw.npz", Capture(skeleton, 120.0, frames, blocks, unit=1.0, up="+z"))
out = convert(open_capture(raw), Cleaning(low_pass=8.0, fps=50.0))
assert open_capture(write_capture(folder / "out.npz", out)).frames == int((frames - 1) / 120 * 50 + 1e-9) + 1
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_memory_does_not_grow_with_the_capture(tmp_path: Path) -> None:
    peaks = []
    for frames in (10_000, 60_000):
        words = [sys.executable, "-c", MEMORY, str(frames), str(tmp_path)]
        peaks.append(int(subprocess.run(words, capture_output=True, text=True, check=True).stdout) / 1024)  # MiB
    assert peaks[1] - peaks[0] < 12  # the frames alone would be 32 MiB, several times over


@pytest.mark.skipif(not MOCAP.is_dir(), reason="GAITNET_MOCAP names no folder")
def test_the_zeroed_start_of_a_published_capture() -> None:
    capture = open_capture(MOCAP / "asfamc" / "cmu" / "09" / "09_10.amc")
    raw = next(capture.blocks(1))[1]
    assert (raw[0, 0] == 0).all()
    out = convert(capture)
    assert any("leading frames of rest pose dropped" in line for line in out.history)
    motion = out.read()
    steps = np.linalg.norm(np.diff(motion.translations[:, 0], axis=0), axis=1) * motion.fps
    assert steps.max() < 8.0  # m/s; he runs


@pytest.mark.skipif(not MOCAP.is_dir(), reason="GAITNET_MOCAP names no folder")
def test_published_captures_need_little_repair() -> None:
    paths = sorted(MOCAP.glob("bvh/bandai_namco_1/*.bvh"))[:6] + sorted(MOCAP.glob("asfamc/cmu/07/*.amc"))[:3]
    for path in paths:
        out = convert(open_capture(path), Cleaning(low_pass=10.0))
        assert not any("filled" in line for line in out.history), path
        hip = match_joints(out.skeleton)["left_hip"]
        assert 0.6 < np.median(forward_kinematics(out.read())[0][:, hip, 2]) < 1.1, path  # m
