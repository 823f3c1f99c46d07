"""The BVH reader: numbers computed by hand, pybvh as the oracle, and every fault named with its line."""

from __future__ import annotations

import itertools
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gait_envs.mocap.capture import MotionError, SkeletonMotion, forward_kinematics
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.formats.bvh import open_capture
from gait_envs.mocap.formats.text import MAX_JOINTS

SMALL = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Knee
  {
    OFFSET 0 -40 0
    CHANNELS 3 Xrotation Yrotation Zrotation
    End Site
    {
      OFFSET 0 -30 0
    }
    End Site
    {
      OFFSET 0 0 10
    }
  }
}
MOTION
Frames: 3
Frame Time: 0.0333333
0 90 0 0 0 0 0 0 0
1 90 2 90 0 0 90 0 0
1 90 2 30 40 50 60 70 80
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "motion.bvh"
    path.write_text(text)
    return path


def turn(axis: str, degrees: float) -> np.ndarray:
    """Rotation matrix about one axis, written out."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {
        "X": np.array([[1, 0, 0], [0, c, -s], [0, s, c]]),
        "Y": np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]),
        "Z": np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]),
    }[axis]


def test_small_file_by_hand(tmp_path: Path) -> None:
    motion = read_capture(write(tmp_path, SMALL))
    assert motion.skeleton.names == ("Hips", "Knee", "Knee_end", "Knee_end#2")
    assert motion.skeleton.parents.tolist() == [-1, 0, 1, 1]
    assert motion.fps == 30.0  # 0.0333333 means 1/30
    assert motion.notes == ()
    position, _ = forward_kinematics(motion)
    np.testing.assert_allclose(position[0], [[0, 90, 0], [0, 50, 0], [0, 20, 0], [0, 50, 10]], atol=1e-12)
    # Frame 1: the root turns 90° about z, which sends -y to +x: the knee is at (41, 90, 2). There x points
    # along the world's y and y along -x; 90° about x then sends the shin's -y to its -z, unmoved by the root.
    np.testing.assert_allclose(position[1], [[1, 90, 2], [41, 90, 2], [41, 90, -28], [51, 90, 2]], atol=1e-12)
    root = turn("Z", 30) @ turn("X", 40) @ turn("Y", 50)
    knee = np.array([1, 90, 2]) + root @ [0, -40, 0]
    shin = root @ turn("X", 60) @ turn("Y", 70) @ turn("Z", 80)
    np.testing.assert_allclose(position[2, 2], knee + shin @ [0, -30, 0], atol=1e-12)


def test_position_channels_replace_the_offset_axis_by_axis(tmp_path: Path) -> None:
    text = SMALL.replace("CHANNELS 3 Xrotation Yrotation Zrotation", "CHANNELS 3 Yposition Xrotation Zposition")
    position, _ = forward_kinematics(read_capture(write(tmp_path, text.replace("0 0 0 0 0 0 0\n", "0 0 0 0 -5 0 7\n"))))
    np.testing.assert_allclose(position[0, 1], [0, 90 - 5, 7], atol=1e-12)  # x stays the offset's 0


@pytest.mark.parametrize(
    "text",
    [
        SMALL.replace("\n", "\r\n"),
        SMALL.rstrip("\n"),
        "\ufeff" + SMALL,
        SMALL.replace("  ", "\t").replace("MOTION\n", "\n\nMOTION\n\n"),
        SMALL.replace("ROOT Hips\n{", "ROOT Hips {").replace("End Site\n    {", "End Site {"),
        SMALL.replace("Xrotation", "XROTATION"),
        SMALL.replace("Frames: 3", "Frames:3").replace("0 90 0 0", "0.0 9.0e1 0E0 -0"),
    ],
    ids=["crlf", "no final newline", "byte order mark", "tabs and blank lines", "brace on the line", "case", "numbers"],
)
def test_harmless_variants_read_the_same(tmp_path: Path, text: str) -> None:
    expected, _ = forward_kinematics(read_capture(write(tmp_path, SMALL)))
    position, _ = forward_kinematics(read_capture(write(tmp_path, text)))
    np.testing.assert_array_equal(position, expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file ends where HIERARCHY is expected"),
        (SMALL[SMALL.index("MOTION") :], "line 1: expected HIERARCHY, found 'MOTION'"),
        (SMALL[: SMALL.index("MOTION")], "the file ends where MOTION is expected"),
        (SMALL[: SMALL.index("End Site")], "the file ends where a joint or a closing brace is expected"),
        (SMALL.replace("}\nMOTION", "MOTION"), "line 19: MOTION before joint 'Hips' (line 2) is closed"),
        (SMALL.replace("}\nMOTION", "}\n}\nMOTION"), "line 20: one closing brace too many"),
        (SMALL.replace("MOTION\n", ""), "line 20: expected MOTION, found 'Frames:'"),
        (SMALL.replace("CHANNELS 3", "CHANNELS 4"), "line 9: CHANNELS says 4 and names 3"),
        (SMALL.replace("Zposition", "Wposition"), "line 5: unknown channel 'Wposition'; allowed: xposition"),
        (SMALL.replace("OFFSET 0 -40 0", "OFFSET 0 -40"), "line 8: OFFSET needs 3 numbers, found 2"),
        (SMALL.replace("OFFSET 0 -40 0", "OFFSET 0 -40 foot"), "line 8: OFFSET: 'foot' is not a number"),
        (SMALL.replace("    OFFSET 0 -40 0\n", ""), "joint 'Knee' (line 6) has no OFFSET"),
        (SMALL.replace("JOINT Knee", "ROOT Knee"), "line 6: a second ROOT; 'Hips' is the first (line 2)"),
        (SMALL.replace("Frames: 3", "Frames: many"), "line 21: expected 'Frames: <count>', found 'Frames: many'"),
        (SMALL.replace("Frames: 3", "Frames: 0"), "Frames is 0"),
        (SMALL.replace("0.0333333", "0,0333333"), "line 22: Frame Time: '0,0333333' is not a number (a decimal comma?"),
        (SMALL.replace("0.0333333", "0"), "line 22: Frame Time is 0 s; expected a positive number"),
        (SMALL.replace("0.0333333", "-0.03"), "line 22: Frame Time is -0.03 s"),
        (SMALL.replace("0.0333333", "nan"), "line 22: Frame Time: 'nan' is not finite"),
        (SMALL.replace("1 90 2 90", "1 nan 2 90"), "line 24: motion row: 'nan' is not finite"),
        (SMALL.replace("1 90 2 90", "1 inf 2 90"), "line 24: motion row: 'inf' is not finite"),
        (SMALL.replace("1 90 2 90", "1 ninety 2 90"), "line 24: motion row: 'ninety' is not a number"),
        (SMALL.replace("1 90 2 90", "1,5 90 2 90"), "line 24: motion row: '1,5' is not a number (a decimal comma?"),
        (SMALL.replace("1 90 2 90", "1 90 2"), "line 24: the row has 8 values, the channels need 9"),
        (SMALL.replace("1 90 2 90", "1 90 2 0 90"), "line 24: the row has 10 values, the channels need 9"),
        (SMALL.replace("Frames: 3", "Frames: 5"), "line 25: the file ends here after 3 of 5 frames"),
        (SMALL[: SMALL.index("0 90 0")], "line 22: the file ends here after 0 of 3 frames"),
        (SMALL[: SMALL.rindex("50")], "line 25: the row has 5 values, the channels need 9"),
        (SMALL.replace("Frames: 3", "Frames: 999999999999"), "line 25: the file ends here after 3 of 999999999999"),
        (SMALL.replace("Frames: 3", f"Frames: {'9' * 5000}"), "line 21: Frames: '99999"),
        (SMALL.replace("CHANNELS 3", f"CHANNELS {'9' * 5000}"), "line 9: CHANNELS: '99999"),
        (SMALL.replace("CHANNELS 3 X", f"CHANNELS 7{4 * ' Zrotation'} X"), "line 9: 7 channels; a joint has 6 at most"),
        (SMALL.replace("0.0333333", "1e-320"), "line 22: Frame Time is 9.99989e-321 s; expected"),
        (SMALL.replace("1 90 2 90", "1 1e99 2 90"), "line 24: motion row: '1e99' is too large"),
        (SMALL.replace("1 90 2 90", "1 9_0 2 90"), "line 24: motion row: '9_0' is not a number"),
        (SMALL.replace("1 90 2 90", "1 90 2" + " " * (1 << 20)), "line 24: the line has 1048576 characters or more"),
        (
            "HIERARCHY\n" + "ROOT a {\nOFFSET 0 0 0\n" + "JOINT a {\nOFFSET 0 0 0\n" * 9999,
            f"more than {MAX_JOINTS} joints",
        ),
    ],
)
def test_faults_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(MotionError) as error:
        read_capture(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


HEAD, ROWS = SMALL.partition("MOTION\n")[0], SMALL.partition("Frame Time")[2].partition("\n")[2]


@pytest.mark.parametrize(
    "text",
    [
        " ".join(HEAD.split()) + "\n" + SMALL.removeprefix(HEAD),
        " ".join(HEAD.split()) + " MOTION Frames: 3 Frame Time: 0.0333333\n" + ROWS,
        "\n\n".join(HEAD.split()) + "\n" + SMALL.removeprefix(HEAD),
        HEAD.replace("\n", " ").replace(" {", "{").replace("Site{", "Site {")
        + "MOTION\nFrames: 3\nFrame Time: .0333333\n"
        + ROWS,
        HEAD.replace("  }\n}\n", "}}") + SMALL.removeprefix(HEAD),
    ],
    ids=["one line", "the header on it too", "a word a line", "braces glued", "braces together"],
)
def test_white_space_is_free_in_the_hierarchy(tmp_path: Path, text: str) -> None:
    assert text != SMALL
    expected, motion = read_capture(write(tmp_path, SMALL)), read_capture(write(tmp_path, text))
    assert motion.skeleton.names == expected.skeleton.names
    for mine, theirs in ((motion, expected), (motion.skeleton, expected.skeleton)):
        for key in ("rotations", "translations", "parents", "offsets"):
            if hasattr(mine, key):
                np.testing.assert_array_equal(getattr(mine, key), getattr(theirs, key))
    assert motion.fps == expected.fps


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from([" ", "\n", "\t ", " \r\n"]), min_size=60, max_size=60))
def test_any_wrapping_of_the_words_reads_the_same(tmp_path: Path, gaps: list[str]) -> None:
    wrapped = "".join(word + gap for word, gap in zip(HEAD.split(), itertools.cycle(gaps), strict=False))
    motion = read_capture(write(tmp_path, f"{wrapped}\n{SMALL.removeprefix(HEAD)}"))
    expected = read_capture(write(tmp_path, SMALL))
    np.testing.assert_array_equal(forward_kinematics(motion)[0], forward_kinematics(expected)[0])
    assert motion.skeleton.names == expected.skeleton.names


def test_a_fault_in_a_wrapped_hierarchy_names_the_line_it_begins_in(tmp_path: Path) -> None:
    path = write(tmp_path, SMALL.replace("OFFSET 0 -40 0", "OFFSET 0\n-40"))
    with pytest.raises(MotionError, match=r"line 8: OFFSET needs 3 numbers, found 2"):
        open_capture(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(MotionError, match=r"nowhere\.bvh: no such file"):
        read_capture(tmp_path / "nowhere.bvh")
    with pytest.raises(MotionError, match="not a file"):
        open_capture(tmp_path)


def test_what_is_put_right_is_noted(tmp_path: Path) -> None:
    motion = read_capture(write(tmp_path, SMALL.replace("JOINT Knee", "JOINT Hips").replace("Frames: 3", "Frames: 2")))
    assert motion.frames == 2
    assert motion.skeleton.names[:2] == ("Hips", "Hips#2")
    assert "Frames says 2 and 3 rows follow" in motion.notes[0]
    assert "line 6: a second joint 'Hips'" in motion.notes[1]


def test_names_stay_apart(tmp_path: Path) -> None:
    text = SMALL.replace("JOINT Knee", "JOINT Hips_end").replace("End Site", "JOINT Hips_end", 1)
    text = text.replace("OFFSET 0 -30 0", "OFFSET 0 -30 0\nCHANNELS 0\nJOINT Hips_end#2 {\nOFFSET 0 0 0\n}\n")
    names = read_capture(write(tmp_path, text)).skeleton.names
    assert names == ("Hips", "Hips_end", "Hips_end#2", "Hips_end#2#2", "Hips_end_end")


# -- blocks -----------------------------------------------------------------------------------------------


def long_text(frames: int) -> str:
    rows = np.random.default_rng(0).uniform(-180, 180, (frames, 9))
    head = SMALL[: SMALL.index("0 90 0 0")].replace("Frames: 3", f"Frames: {frames}")
    return head + "".join(" ".join(f"{x:.6f}" for x in row) + "\n" for row in rows)


def test_blocks_are_the_whole(tmp_path: Path) -> None:
    capture = open_capture(write(tmp_path, long_text(25) + "extra\n"))
    whole = capture.read()
    assert (capture.frames, whole.frames, whole.name, whole.fps) == (25, 25, "motion", 30.0)
    assert whole.notes == ("Frames says 25 and 26 rows follow; the last 1 are ignored",)
    for _ in range(2):  # a capture can be gone through again
        rotations, translations = zip(*capture.blocks(10), strict=True)
        assert [len(block) for block in rotations] == [10, 10, 5]
        np.testing.assert_array_equal(np.concatenate(rotations), whole.rotations)
        np.testing.assert_array_equal(np.concatenate(translations), whole.translations)


def test_a_fault_in_a_later_block_names_its_line(tmp_path: Path) -> None:
    lines = long_text(25).splitlines()
    lines[22 + 13] = lines[22 + 13].replace(" ", " x", 1)
    blocks = open_capture(write(tmp_path, "\n\n" + "\n".join(lines))).blocks(10)
    next(blocks)
    with pytest.raises(MotionError, match="line 38: motion row: 'x"):  # two blank lines came first
        next(blocks)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    def peak(frames: int) -> int:
        path = write(tmp_path, long_text(frames))
        tracemalloc.start()
        try:
            for _ in open_capture(path).blocks(100):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak(200)  # what is imported and cached on the way is no part of the comparison
    assert peak(6000) < 1.2 * peak(400)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, len(SMALL)), length=st.integers(0, 40), put=st.text("{}0-9.,naEeROTJ \n", max_size=6))
@example(start=0, length=len(SMALL), put="")
def test_a_damaged_file_reads_or_complains(tmp_path: Path, start: int, length: int, put: str) -> None:
    path = write(tmp_path, SMALL[:start] + put + SMALL[start + length :])
    try:
        motion = read_capture(path)
    except MotionError as error:
        complaint = str(error)
    else:
        complaint = str(path)
        assert np.isfinite(forward_kinematics(motion)[0]).all()
    assert str(path) in complaint


def assert_equals_pybvh(path: Path, motion: SkeletonMotion) -> None:
    pybvh = pytest.importorskip("pybvh")
    oracle = pybvh.read_bvh_file(str(path), world_up="+y", warn_on_world_up_disagreement=False)
    expected = oracle.node_positions(centered="world")
    position, _ = forward_kinematics(motion)
    size = np.ptp(expected[0], axis=0).max()
    np.testing.assert_allclose(position, expected, rtol=0, atol=1e-6 * size)


@pytest.mark.parametrize("order", ["".join(p) for p in itertools.permutations("XYZ")])
def test_forward_kinematics_equals_pybvh(tmp_path: Path, order: str) -> None:
    channels = " ".join(f"{axis}rotation" for axis in order)
    path = write(tmp_path, SMALL.replace("Xrotation Yrotation Zrotation", channels))
    assert_equals_pybvh(path, read_capture(path))


def test_walker_equals_pybvh(tmp_path: Path) -> None:
    path = walker_bvh(tmp_path / "walk.bvh", seconds=0.5, yaw=30.0)
    assert_equals_pybvh(path, read_capture(path))


def captures() -> list[Path]:
    """Real captures, where the environment variable GAITNET_MOCAP names a folder of them."""
    folder = os.environ.get("GAITNET_MOCAP")
    return sorted(Path(folder).glob("bvh/*/*.bvh")) if folder else []


@pytest.mark.skipif(not captures(), reason="GAITNET_MOCAP names no folder with bvh/*/*.bvh")
def test_captures_equal_pybvh() -> None:
    pybvh = pytest.importorskip("pybvh")
    compared = 0
    for path in captures():
        motion = read_capture(path)
        try:
            pybvh.read_bvh_file(str(path), world_up="+y", warn_on_world_up_disagreement=False)
        except ValueError:
            continue  # pybvh reads no positions below the root
        assert_equals_pybvh(path, motion)
        compared += 1
    assert compared


@pytest.mark.skipif(not captures(), reason="GAITNET_MOCAP names no folder with bvh/*/*.bvh")
def test_malformed_files_do_as_expected() -> None:
    folder = Path(os.environ["GAITNET_MOCAP"], "malformed", "synthetic")
    rows = [line.split("\t") for line in (folder / "EXPECT.tsv").read_text().splitlines()[1:]]
    for name, expected, what in rows:
        if not name.endswith(".bvh"):
            continue
        try:
            happened = "warning" if read_capture(folder / name).notes else "ok"
        except MotionError:
            happened = "error"
        assert happened in expected, f"{name} ({what})"


@pytest.mark.skipif(not captures(), reason="GAITNET_MOCAP names no folder with bvh/*/*.bvh")
def test_real_files_that_strain_readers() -> None:
    """All of them can be read; three say one frame and hold two."""
    files = sorted(Path(os.environ["GAITNET_MOCAP"], "malformed", "real").glob("*.bvh"))
    assert len(files) >= 8
    for path in files:
        notes = read_capture(path).notes
        assert bool(notes) == ("frames1_has2rows" in path.name), path
