"""DeepMimic's and IsaacGym's humanoid: the same body twice, so that one is checked by the other."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from helpers.formats import ISAAC_NAMES, deepmimic_text, isaac_arrays, save
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_envs.mocap.capture import MotionError, forward_kinematics
from gait_envs.mocap.formats import find_format, open_capture, read_capture
from gait_envs.mocap.formats.deepmimic import SKELETON
from gait_envs.mocap.retarget.pipeline import retarget
from gait_envs.mocap.retarget.target_body import load_body

MOCAP = Path(os.environ.get("GAITNET_MOCAP", "nowhere"))
FILES = sorted(MOCAP.glob("robot/deepmimic/*.txt"))
AMP = sorted(MOCAP.glob("robot/isaacgym_amp/*.npz"))
needs_files = pytest.mark.skipif(not (FILES and AMP), reason="GAITNET_MOCAP names no folder with robot/")


def write(folder: Path, text: str, name: str = "a.txt") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def frames(count: int = 4, **columns) -> list[list[float]]:
    """A body at rest at (1, 2, 3), some columns changed."""
    still = [1.0, 0, 0, 0]
    row = [0.1, 1, 2, 3, *still, *still, *still, *still, 0, *still, *still, 0, *still, 0, *still, *still, 0]
    rows = [list(row) for _ in range(count)]
    for column, values in columns.items():
        for t, value in enumerate(values):
            rows[t][int(column[1:])] = value
    rows[-1][0] = 0.0
    return rows


def text(rows: list, **more) -> str:
    return json.dumps({"Loop": "none", "Frames": rows, **more})


def test_rest_and_bent_knee_by_hand(tmp_path: Path) -> None:
    rows = frames(c20=[0, -np.pi / 2])  # the right knee, after duration, root, chest, neck and right hip
    motion = read_capture(write(tmp_path, text(rows)))
    assert (motion.fps, motion.unit, motion.up, motion.notes) == (10.0, 1.0, "+y", ())
    position, _ = forward_kinematics(motion)
    place = dict(zip(motion.skeleton.names, position.swapaxes(0, 1), strict=True))
    np.testing.assert_allclose(place["right_ankle"][0], [1, 2 - 0.421546 - 0.409870, 3 + 0.084887], atol=1e-12)
    # -90° about z (right) takes the hanging shank (0, -1, 0) to (-1, 0, 0): behind.
    np.testing.assert_allclose(place["right_ankle"][1], [1 - 0.409870, 2 - 0.421546, 3 + 0.084887], atol=1e-12)
    np.testing.assert_allclose(place["left_ankle"][1], [1, 2 - 0.421546 - 0.409870, 3 - 0.084887], atol=1e-12)
    assert place["left_ankle_end"][0, 0] > place["left_ankle"][0, 0]  # toes ahead, along x


def test_every_number_of_a_row_moves_what_it_should(tmp_path: Path) -> None:
    turned = {4: "root", 8: "chest", 12: "neck", 16: "right_hip", 20: "right_knee", 21: "right_ankle",
              25: "right_shoulder", 29: "right_elbow", 30: "left_hip", 34: "left_knee", 35: "left_ankle",
              39: "left_shoulder", 43: "left_elbow"}  # fmt: skip
    for column, name in turned.items():
        rows = frames()
        if name.endswith(("knee", "elbow")):
            rows[1][column] = 0.5
        else:
            rows[1][column : column + 4] = [np.cos(0.25), 0, 0, np.sin(0.25)]
        motion = read_capture(write(tmp_path, text(rows)))
        assert np.flatnonzero(np.ptp(motion.rotations, axis=0).any(axis=-1)).tolist() == [SKELETON.index(name)]


def test_uneven_durations_are_resampled(tmp_path: Path) -> None:
    # Frames at 0, 0.1, 0.2 and 0.4 s; a root that goes 1 m a second, and a knee that turns at 1 rad/s.
    rows = frames(4, c1=[0.0, 0.1, 0.2, 0.4], c20=[0.0, -0.1, -0.2, -0.4])
    rows[2][0] = 0.2
    motion = read_capture(write(tmp_path, text(rows)))
    assert (motion.frames, motion.fps) == (5, 10.0)
    np.testing.assert_allclose(motion.translations[:, 0, 0], [0.0, 0.1, 0.2, 0.3, 0.4], atol=1e-12)
    knee = motion.rotations[:, SKELETON.index("right_knee")]
    np.testing.assert_allclose(2 * np.arcsin(knee[:, 3]), [0.0, -0.1, -0.2, -0.3, -0.4], atol=1e-12)
    assert "frames last from 0.1000 to 0.2000 s; resampled at 0.1000 s" in motion.notes[0]


def test_rounded_durations_are_a_whole_rate(tmp_path: Path) -> None:
    rows = frames(3)
    for row in rows[:2]:
        row[0] = 0.033332
    assert read_capture(write(tmp_path, text(rows))).fps == 30.0


def test_a_walk_needs_no_joint_map(tmp_path: Path) -> None:
    walk = read_capture(write(tmp_path, deepmimic_text(), "walk.json"))
    assert walk.notes == ("the motion is meant to loop",)
    clip = retarget(walk, load_body("wildrobot"))
    assert clip.clip.mean_speed == pytest.approx(0.7 * clip.clip.meta["scale"], rel=0.1)
    assert clip.quality["ankle_path_mm"] < 25


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "a.txt: not a whole JSON text"),
        (deepmimic_text(0.1)[:-30], "a.txt: not a whole JSON text"),
        ('{"Loop": "wrap"}', "a.txt: missing Frames; it holds Loop"),
        ('["Frames"]', "a.txt: missing Frames; it holds list"),
        (text([]), "Frames: expected a list of rows of 44 numbers, at least one"),
        (text([*frames(2), [0.1] * 43]), "Frames: frame 2 has 43 values, expected 44 numbers"),
        (text([7]), "Frames: frame 0 has int, expected 44 numbers"),
        (text(frames(c20=["bent"])), "Frames: frame 0 holds 'bent', expected numbers"),
        (text(frames(c20=[None])), "Frames: frame 0 holds 'None', expected numbers"),
        (text(frames(c20=[True])), "Frames: frame 0 holds 'True', expected numbers"),
        (text(frames(c20=[0, float("nan")])), "Frames: not finite at frame 1"),
        (text(frames(c20=[0, 10**400])), "Frames: a number is too large"),
        (text(frames(c0=[0.1, 0.0])), "Frames: the duration of frame 1 is 0; expected 1e-05 to 10 s"),
        (text(frames(c0=[-0.1])), "Frames: the duration of frame 0 is -0.1"),
        (text(frames(c8=[0.1])), "Frames: chest: quaternion 0 of frame 0 has length 0.1000, not 1"),
        ("[" * 100_000, "a.txt: not a whole JSON text"),
        ("[" + "[],".ljust(3) * 1_000_000, "a.txt: more than 2000000 values"),
    ],
)
def test_faults_name_file_key_and_frame(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(MotionError) as error:
        open_capture(write(tmp_path, content), "deepmimic")
    assert "a.txt" in str(error.value)
    assert message in str(error.value)


def test_other_texts_are_told_apart(tmp_path: Path) -> None:
    assert find_format(write(tmp_path, deepmimic_text(0.1))).name == "deepmimic"
    for content in ("", "Frames of a walk", '{"name": "x"}'):
        with pytest.raises(MotionError, match="fits none of the formats"):
            find_format(write(tmp_path, content))
    with pytest.raises(MotionError, match="no such file"):
        open_capture(tmp_path / "nowhere.txt", "deepmimic")


@settings(max_examples=40)
@given(start=st.integers(0, 3000), length=st.integers(0, 30), put=st.text('0123456789-+.,eE[]{}"NaI \n', max_size=6))
def test_a_damaged_file_reads_or_complains(tmp_path_factory, start: int, length: int, put: str) -> None:
    whole = deepmimic_text(0.1)
    path = write(tmp_path_factory.mktemp("damaged"), whole[:start] + put + whole[start + length :])
    try:
        motion = read_capture(path, "deepmimic")
    except MotionError as error:
        complaint = str(error)
    else:
        complaint = str(path)
        assert np.isfinite(forward_kinematics(motion)[0]).all()
    assert str(path) in complaint


# -- IsaacGym ---------------------------------------------------------------------------------------------


def test_isaac_by_hand(tmp_path: Path) -> None:
    arrays = isaac_arrays(0.1)
    turns = np.zeros_like(arrays["local_rotation_xyzw"])
    turns[..., 3] = 1.0
    turns[:, ISAAC_NAMES.index("left_shin")] = [0, np.sqrt(0.5), 0, np.sqrt(0.5)]  # 90° about y: (0,0,-1) to (-1,0,0)
    motion = read_capture(save(tmp_path / "a.npz", arrays, local_rotation_xyzw=turns))
    assert (motion.unit, motion.up, motion.fps) == (1.0, "+z", 60.0)
    position, _ = forward_kinematics(motion)
    root = arrays["root_translation"][0].astype(float)
    place = dict(zip(motion.skeleton.names, position[0], strict=True))
    np.testing.assert_allclose(place["left_foot"] - root, [-0.40, 0.085, -0.42], atol=1e-7)
    np.testing.assert_allclose(place["right_foot"] - root, [0, -0.085, -0.82], atol=1e-7)
    np.testing.assert_allclose(place["right_foot_end"] - root, [0.1335, -0.085, -0.87], atol=1e-7)


def test_isaac_walks(tmp_path: Path) -> None:
    clip = retarget(read_capture(save(tmp_path / "walk.npz", isaac_arrays())), load_body("wildrobot"))
    assert clip.clip.mean_speed == pytest.approx(0.7 * clip.clip.meta["scale"], rel=0.1)
    assert clip.quality["ankle_path_mm"] < 25


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"node_names": None}, "missing node_names"),
        ({"node_names": np.array(["a", "a"])}, "node_names: the name 'a' is there twice"),
        ({"node_names": np.array(["a", "b"])}, "parent_indices: its shape is (15,), expected (2)"),
        ({"parent_indices": np.zeros(15, int)}, "joint 0 has parent 0; expected -1 for joint 0 alone"),
        ({"parent_indices": np.r_[-1, np.full(14, 14)]}, "joint 1 has parent 14"),
        ({"parent_indices": np.r_[-1, np.full(14, 0.5)]}, "expected 15 whole numbers"),
        ({"local_translation": np.zeros((14, 3))}, "local_translation: its shape is (14, 3), expected (15, 3)"),
        ({"local_rotation_xyzw": np.zeros((6, 15, 3))}, "local_rotation_xyzw: its shape is (6, 15, 3)"),
        ({"local_rotation_xyzw": np.zeros((6, 15, 4))}, "quaternion 0 of frame 0 has length 0.0000, not 1"),
        ({"local_rotation_xyzw": np.full((6, 15, 4), np.nan)}, "local_rotation_xyzw: not finite at frame 0"),
        ({"root_translation": np.zeros((7, 3))}, "root_translation: its shape is (7, 3), expected (6, 3)"),
        ({"fps": np.array(0)}, "fps: it is 0 frames a second"),
        ({"node_names": np.array([None] * 15)}, "node_names: it holds pickled Python objects"),
    ],
)
def test_isaac_faults_name_file_and_key(tmp_path: Path, changed: dict, message: str) -> None:
    path = save(tmp_path / "a.npz", isaac_arrays(0.1), **changed)
    with pytest.raises(MotionError) as error:
        open_capture(path, "isaac").read()
    assert str(path) in str(error.value)
    assert message in str(error.value)


# -- published files --------------------------------------------------------------------------------------


@needs_files
def test_published_files() -> None:
    rates = {}
    for path in (*FILES, *AMP):
        assert find_format(path).name == ("deepmimic" if path.suffix == ".txt" else "isaac")
        motion = read_capture(path)
        rates[path.stem] = motion.fps
        height = forward_kinematics(motion)[0][..., 1 if motion.up == "+y" else 2]
        assert -0.2 < np.median(height.min(axis=1)) < 0.5, path  # m, of the lowest point; some jump
    assert rates["humanoid3d_walk"] == 30.0
    assert rates["humanoid3d_spin"] == 24.0
    assert rates["amp_humanoid_walk"] == 60.0


@needs_files
def test_the_two_humanoids_are_one() -> None:
    """The file of IsaacGym carries its skeleton, in other axes: x ahead, y left, z up."""
    theirs = open_capture(AMP[0]).skeleton
    pairs = {
        "right_shin": "right_knee", "right_foot": "right_ankle", "left_thigh": "left_hip", "torso": "chest",
        "left_upper_arm": "left_shoulder", "left_lower_arm": "left_elbow", "right_hand": "right_wrist", "head": "neck",
        "left_foot_end": "left_ankle_end",
    }  # fmt: skip
    for isaac, deepmimic in pairs.items():
        x, y, z = SKELETON.offsets[SKELETON.index(deepmimic)]
        np.testing.assert_allclose(theirs.offsets[theirs.index(isaac)], [x, -z, y], atol=1e-6, err_msg=isaac)


@needs_files
def test_isaac_velocities_agree() -> None:
    """The file's own velocities are those of the places that our forward kinematics gives."""
    path = MOCAP / "robot" / "isaacgym_amp" / "amp_humanoid_walk.npz"
    motion = read_capture(path)
    position, _ = forward_kinematics(motion)
    with np.load(path) as file:
        theirs = file["global_velocity"].astype(float)
    ours = np.gradient(position[:, :15], 1 / motion.fps, axis=0)
    inner = slice(10, -10)  # theirs are smoothed
    for node in (0, 11, 14):
        correlation = np.corrcoef(ours[inner, node].ravel(), theirs[inner, node].ravel())[0, 1]
        assert correlation > 0.98, ISAAC_NAMES[node]
