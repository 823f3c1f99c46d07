"""Joint positions: what is read comes back through forward kinematics, as it was."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from helpers.formats import position_arrays, save, walker_motion
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gait_envs.mocap.capture import MotionError, forward_kinematics
from gait_envs.mocap.formats import find_format, open_capture, read_capture
from gait_envs.mocap.retarget.pipeline import retarget
from gait_envs.mocap.retarget.target_body import load_body

MOCAP = Path(os.environ.get("GAITNET_MOCAP", "nowhere"))


def small(frames: int = 5) -> dict[str, np.ndarray]:
    positions = np.random.default_rng(0).normal(size=(frames, 3, 3))
    return {"positions": positions, "names": np.array(["hips", "knee", "foot"]), "fps": np.array(100.0)}


def table(arrays: dict[str, np.ndarray], time: bool = True) -> str:
    """The same as text, all digits."""
    names = [f"{name}_{axis}" for name in arrays["names"] for axis in "xyz"]
    rows = [",".join(["time"] * time + names)]
    for t, frame in enumerate(arrays["positions"]):
        values = [repr(float(value)) for value in frame.ravel()]
        rows.append(",".join([f"{t / float(arrays['fps']):.3f}"] * time + values))
    return "\n".join(rows) + "\n"


@pytest.mark.parametrize("parents", [None, np.array([-1, 0, 1])])
def test_positions_come_back(tmp_path: Path, parents: np.ndarray | None) -> None:
    arrays = small()
    motion = read_capture(save(tmp_path / "a.npz", arrays, parents=parents))
    assert motion.skeleton.parents.tolist() == ([-1, 0, 0] if parents is None else [-1, 0, 1])
    assert (motion.rotations == [1, 0, 0, 0]).all()
    np.testing.assert_allclose(forward_kinematics(motion)[0], arrays["positions"], atol=1e-15)
    assert (motion.unit, motion.up, motion.fps) == (None, None, 100.0)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_positions_of_any_tree_come_back(tmp_path: Path, data: st.DataObject) -> None:
    joints = data.draw(st.integers(1, 6))
    parents = np.array([-1, *(data.draw(st.integers(0, j - 1)) for j in range(1, joints))])
    positions = np.random.default_rng(joints).uniform(-1e3, 1e3, (3, joints, 3))
    names = np.array([f"joint{j}" for j in range(joints)])
    path = save(tmp_path / "a.npz", {"positions": positions, "names": names, "fps": np.array(30), "parents": parents})
    np.testing.assert_allclose(forward_kinematics(read_capture(path))[0], positions, atol=1e-12 * 1e3)


def test_a_table_is_the_same(tmp_path: Path) -> None:
    arrays = small(12)
    path = tmp_path / "a.csv"
    path.write_text("\ufeff" + table(arrays).replace("\n", "\r\n"))
    assert find_format(path).name == "positions"
    motion = read_capture(path)
    assert motion.fps == 100.0
    assert motion.skeleton.names == ("hips", "knee", "foot")
    np.testing.assert_allclose(forward_kinematics(motion)[0], arrays["positions"], atol=1e-15)
    path.write_text(table(arrays, time=False))
    np.testing.assert_array_equal(read_capture(path, fps=100.0).translations, motion.translations)


def test_rounded_times_are_a_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,a_x,a_y,a_z\n" + "".join(f"{t / 120:.3f},0,0,{t}\n" for t in range(240)))
    assert read_capture(path).fps == 120.0


def test_a_walk_needs_no_joint_map(tmp_path: Path) -> None:
    clip = retarget(read_capture(save(tmp_path / "walk.npz", position_arrays(tmp_path))), load_body("wildrobot"))
    other = retarget(walker_motion(tmp_path), load_body("wildrobot"))
    assert clip.clip.mean_speed == pytest.approx(other.clip.mean_speed, rel=0.02)
    assert clip.quality["ankle_path_mm"] < 25


def test_missing_values_may_be_let_through(tmp_path: Path) -> None:
    arrays = small()
    arrays["positions"][3, 1, 2] = np.nan
    path = save(tmp_path / "a.npz", arrays)
    with pytest.raises(MotionError, match=r"a\.npz: positions: not finite at frame 3"):
        read_capture(path)
    motion = read_capture(path, gaps=True)
    assert np.argwhere(np.isnan(motion.translations)).tolist() == [[3, 1, 2]]
    text = tmp_path / "a.csv"
    text.write_text(table(arrays).replace("nan", ""))
    with pytest.raises(MotionError, match=r"a\.csv: positions: not finite at frame 3"):
        read_capture(text)
    np.testing.assert_array_equal(read_capture(text, gaps=True).translations, motion.translations)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"names": None}, "missing names; it holds positions, fps"),
        ({"fps": None}, "missing fps"),
        ({"fps": np.array(0)}, "fps: it is 0 frames a second"),
        ({"names": np.array(["a", "b"])}, "positions: its shape is (5, 3, 3), expected (frames, 2, 3)"),
        ({"names": np.array([])}, "names: it holds float64, expected text"),
        ({"names": np.array(["a", "b", "a"])}, "names: the name 'a' is there twice"),
        ({"names": np.array(["a", "b", None])}, "names: it holds pickled Python objects"),
        ({"positions": np.zeros((5, 9))}, "positions: its shape is (5, 9), expected (frames, 3, 3)"),
        ({"positions": np.zeros((0, 3, 3))}, "positions: it has no frame"),
        ({"positions": np.zeros((5, 3, 3), complex)}, "positions: it holds complex128, expected numbers"),
        ({"parents": np.array([0, 0, 1])}, "parents: joint 0 has parent 0"),
        ({"parents": np.array([-1, 2, 0])}, "parents: joint 1 has parent 2"),
        ({"parents": np.array([-1, -1, 0])}, "parents: joint 1 has parent -1"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, changed: dict, message: str) -> None:
    path = save(tmp_path / "a.npz", small(), **changed)
    with pytest.raises(MotionError) as error:
        open_capture(path).read()
    assert str(path) in str(error.value)
    assert message in str(error.value)


HEAD = "time,a_x,a_y,a_z\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("time,a_x,a_y\n0,1,2\n", "line 1: expected columns name_x, name_y and name_z"),
        ("a_x,a_y,a_z\n1,2,3\n", "line 1: no column time; say the captured frames a second with --captured-fps"),
        (HEAD, "0 frames; a time column needs two"),
        (HEAD + "0,1,2,3\n", "1 frames; a time column needs two"),
        (HEAD + "0,1,2,3\n0.1,1,2\n", "line 3: the row has 3 cells, the header 4"),
        (HEAD + "0,1,2,3\n0.1,1,two,3\n", "line 3: row: 'two' is not a number"),
        (HEAD + "0,1,2,3\n0.1,1,2,inf\n", "not finite at frame 1"),
        (HEAD + "0,1,2,3\n0.1,1,2,3\n0.1,1,2,3\n", "line 4: the time 0.1 does not follow 0.1"),
        (HEAD + "0,1,2,3\n,1,2,3\n", "line 3: the time nan does not follow 0"),
        (HEAD + "0,1,2,3\n0.1,1,2,3\n0.5,1,2,3\n", "line 3: the time 0.1 s is uneven; frames are 0.25 s apart"),
    ],
)
def test_table_faults_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(text)
    with pytest.raises(MotionError) as error:
        open_capture(path, "positions").read()
    assert str(path) in str(error.value)
    assert message in str(error.value)


@settings(max_examples=40)
@given(start=st.integers(0, 150), length=st.integers(0, 20), put=st.text('0123456789-+.,eENa"\n', max_size=6))
def test_a_damaged_table_reads_or_complains(tmp_path_factory, start: int, length: int, put: str) -> None:
    whole = HEAD + "".join(f"{t / 30:.4f},{t},1,2\n" for t in range(9))
    path = tmp_path_factory.mktemp("damaged") / "a.csv"
    path.write_text(whole[:start] + put + whole[start + length :])
    try:
        motion = read_capture(path, "positions")
    except MotionError as error:
        complaint = str(error)
    else:
        complaint = str(path)
        assert np.isfinite(motion.translations).all()
    assert str(path) in complaint


def test_times_too_close_are_no_rate(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEAD + "0,1,2,3\n1e-320,1,2,3\n")
    with pytest.raises(MotionError, match=r"a\.csv: the times are .* s apart; expected 1e-05 s or more"):
        open_capture(path)


def test_other_tables_and_rates_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("file,license\nwalk.bvh,CC0\n")
    with pytest.raises(MotionError, match="fits none of the formats"):
        find_format(path)
    path.write_text(table(small(), time=False))
    for fps in (-1.0, float("nan")):
        with pytest.raises(MotionError, match="expected a positive number"):
            open_capture(path, fps=fps)


@pytest.mark.skipif(not MOCAP.is_dir(), reason="GAITNET_MOCAP names no folder")
def test_positions_of_a_capture_retarget_alike(tmp_path: Path) -> None:
    motion = read_capture(MOCAP / "bvh" / "cmu_cgspeed" / "02_01.bvh")
    arrays = {
        "positions": forward_kinematics(motion)[0],
        "names": np.array(motion.skeleton.names),
        "parents": motion.skeleton.parents,
        "fps": np.array(motion.fps),
    }
    again = read_capture(save(tmp_path / "walk.npz", arrays))
    one, two = (retarget(m, load_body("wildrobot")) for m in (motion, again))
    # Without rotations nobody knows how the feet roll; the walk is the same.
    assert two.clip.mean_speed == pytest.approx(one.clip.mean_speed, rel=0.01)
    assert two.faults == []
