"""SMPL poses on a skeleton of our own: hand-computed places, PHC's own global turns, faults that are named."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from helpers.formats import save, smpl_arrays
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gait_envs.mocap.capture import MotionError, forward_kinematics
from gait_envs.mocap.formats import find_format, open_capture, open_with_gaps, read_capture
from gait_envs.mocap.formats.npz import check_finite
from gait_envs.mocap.formats.smpl import STATURE
from gait_envs.mocap.retarget.joint_names import match_joints
from gait_envs.mocap.retarget.pipeline import retarget
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.rotations import quat_mul

MOCAP = Path(os.environ.get("GAITNET_MOCAP", "nowhere"))
PHC = MOCAP / "robot" / "puffer_phc" / "cmu_mocap_05_06.npz"


def test_stands_and_bends_by_hand(tmp_path: Path) -> None:
    arrays = smpl_arrays(seconds=0.1)
    poses = np.zeros_like(arrays["poses"]).reshape(-1, 24, 3)
    poses[:, 0] = [np.pi / 2, 0, 0]  # the body's y up, z ahead to the world's z up, -y ahead
    poses[1:, 4] = [np.pi / 2, 0, 0]  # the left shank straight back
    trans = np.tile([1.0, 2.0, 0.9], (len(poses), 1))
    motion = read_capture(save(tmp_path / "a.npz", arrays, poses=poses.reshape(-1, 72), trans=trans))
    assert (motion.unit, motion.up, motion.fps) == (1.0, "+z", 60.0)
    position, _ = forward_kinematics(motion)
    place = dict(zip(motion.skeleton.names, position.swapaxes(0, 1), strict=True))
    # Winter's fractions of 1.70 m: thigh 0.245, shank 0.246; hip centres 0.05 to the side, 0.018 below the pelvis.
    hip = np.array([1.0 + 0.05 * 1.7, 2.0, 0.9 - 0.018 * 1.7])
    np.testing.assert_allclose(place["pelvis"][0], [1, 2, 0.9], atol=1e-12)
    np.testing.assert_allclose(place["left_hip"][0], hip, atol=1e-12)
    np.testing.assert_allclose(place["left_ankle"][0], hip - [0, 0, 0.491 * 1.7], atol=1e-12)
    np.testing.assert_allclose(place["left_ankle"][1], hip + np.array([0, 0.246, -0.245]) * 1.7, atol=1e-12)
    np.testing.assert_allclose(place["right_ankle"][1], place["right_ankle"][0], atol=1e-12)
    assert place["head"][0, 2] > place["neck"][0, 2] > place["spine1"][0, 2] > 0.9
    assert place["left_foot"][0, 1] < place["left_ankle"][0, 1]  # toes ahead, which is -y


def in_layout(layout: str, poses: np.ndarray) -> dict[str, np.ndarray]:
    """The same turns (T, 72) as other tools write them."""
    return {
        "three axes": {"poses": poses.reshape(len(poses), -1, 3)},
        "body alone": {"poses": poses[:, :66]},
        "root and body": {"root_orient": poses[:, :3], "pose_body": poses[:, 3:66]},
        "root, body and hands": {
            "pose_hand": np.zeros((len(poses), 90)),
            "pose_body": poses[:, 3:66],
            "root_orient": poses[:, :3],
        },
        "global and body": {"global_orient": poses[:, :3], "body_pose": poses[:, 3:]},
        "global and body joints": {"global_orient": poses[:, None, :3], "body_pose": poses[:, 3:].reshape(-1, 23, 3)},
    }[layout]


@pytest.mark.parametrize(
    "layout",
    ["three axes", "body alone", "root and body", "root, body and hands", "global and body", "global and body joints"],
)
@pytest.mark.parametrize("place", ["trans", "transl"])
def test_other_layouts_move_the_body_alike(tmp_path: Path, layout: str, place: str) -> None:
    arrays = smpl_arrays(seconds=0.3)
    expected = read_capture(save(tmp_path / "whole.npz", arrays))
    changed = {"poses": None, "trans": None, place: arrays["trans"]} | in_layout(layout, arrays["poses"])
    path = save(tmp_path / "other.npz", arrays, **changed)
    assert find_format(path).name == "smpl"
    motion = read_capture(path)
    whole, other = forward_kinematics(expected)[0], forward_kinematics(motion)[0]
    for name in expected.skeleton.names[:22]:
        np.testing.assert_array_equal(other[:, motion.skeleton.index(name)], whole[:, expected.skeleton.index(name)])


def test_tables_must_have_as_many_frames(tmp_path: Path) -> None:
    arrays = smpl_arrays(seconds=0.1)
    parts = in_layout("root and body", arrays["poses"])
    path = save(tmp_path / "a.npz", arrays, **{"poses": None} | parts | {"pose_body": parts["pose_body"][1:]})
    frames = len(arrays["poses"])
    with pytest.raises(MotionError, match=rf"a\.npz: pose_body: it has {frames - 1} frames, root_orient has {frames}"):
        open_capture(path)


@pytest.mark.parametrize("rate", [None, np.array(0.0), np.array("thirty"), np.array([30.0, 60.0])])
def test_the_rate_may_be_given(tmp_path: Path, rate: np.ndarray | None) -> None:
    path = save(tmp_path / "a.npz", smpl_arrays(seconds=0.3), mocap_framerate=rate)
    assert open_with_gaps(path, fps=15.0).fps == 15.0
    assert open_with_gaps(path, fps=1e5).fps == 1e5
    with pytest.raises(MotionError, match=r"fps is 100001; expected a positive number up to 100000"):
        open_with_gaps(path, fps=100_001.0)
    with pytest.raises(MotionError, match=r"say the captured frames a second with --captured-fps"):
        open_with_gaps(path)
    with pytest.raises(MotionError, match="fps is -1; expected a positive number"):
        open_with_gaps(path, fps=-1.0)


@pytest.mark.parametrize(("width", "joints"), [(66, 22), (72, 24), (156, 52), (165, 55)])
def test_models_by_width(tmp_path: Path, width: int, joints: int) -> None:
    arrays = smpl_arrays(seconds=0.2, width=width)
    skeleton = open_capture(save(tmp_path / "a.npz", arrays)).skeleton
    assert len(set(skeleton.names)) == joints == width // 3
    assert (skeleton.parents[1:] < np.arange(1, joints)).all()
    assert skeleton.parents[:22][[4, 7, 10, 12, 16]].tolist() == [1, 4, 7, 9, 13]
    for name in skeleton.names:
        if name.startswith("left"):
            left, right = (skeleton.offsets[skeleton.index(n)] for n in (name, name.replace("left", "right")))
            np.testing.assert_array_equal(left * [-1, 1, 1], right)
    roles = {role: skeleton.names[node] for role, node in match_joints(skeleton).items()}
    assert roles["left_ankle"] == "left_ankle"
    assert roles["right_toe"] == "right_foot"
    assert roles["left_wrist"] == "left_wrist"


def test_the_skeleton_is_as_tall_as_it_says(tmp_path: Path) -> None:
    skeleton = open_capture(save(tmp_path / "a.npz", smpl_arrays(seconds=0.1))).skeleton
    height = skeleton.offsets[[skeleton.index(n) for n in ("spine1", "spine2", "spine3", "neck", "head")], 1].sum()
    legs = 0.018 + 0.245 + 0.246 + 0.039  # and the ankle's height
    # de Leva: the gonion, where the head joint is, lies 0.1168 statures below the vertex.
    assert height + (legs + 0.1168) * STATURE == pytest.approx(STATURE, rel=0.02)


@pytest.mark.parametrize("rate", ["mocap_framerate", "mocap_frame_rate", "fps"])
def test_either_rate_and_the_layout_of_phc(tmp_path: Path, rate: str) -> None:
    arrays = smpl_arrays(seconds=0.2)
    expected = read_capture(save(tmp_path / "a.npz", arrays))
    named = {rate: np.array([60])}
    motion = read_capture(save(tmp_path / "b.npz", arrays, **{"mocap_framerate": None, **named}))
    assert motion.fps == expected.fps == 60.0
    phc = {"pose_aa": arrays["poses"], "root_trans_offset": arrays["trans"], "fps": np.array(60)}
    motion = read_capture(save(tmp_path / "c.npz", phc))
    np.testing.assert_array_equal(motion.rotations, expected.rotations)
    np.testing.assert_array_equal(motion.translations, expected.translations)


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    arrays = smpl_arrays(seconds=0.2)
    notes = " ".join(open_capture(save(tmp_path / "a.npz", arrays)).notes)
    assert "generic skeleton of 1.70 m; betas and gender (female) not used" in notes
    assert "trans is taken as the pelvis's place" in notes
    pickled = np.array({"a": 1}, dtype=object)  # of no use to us, so of no harm
    notes = " ".join(open_capture(save(tmp_path / "b.npz", arrays, gender=pickled, labels=pickled)).notes)
    assert "gender (unreadable)" in notes


def test_a_walk_needs_no_joint_map(tmp_path: Path) -> None:
    clip = retarget(read_capture(save(tmp_path / "walk.npz", smpl_arrays())), load_body("wildrobot"))
    assert clip.clip.mean_speed == pytest.approx(0.7 * clip.clip.meta["scale"], rel=0.1)
    assert clip.quality["ankle_path_mm"] < 25
    assert clip.quality["flight_percent"] < 10


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"trans": None}, "missing trans; it holds poses, betas"),
        ({"mocap_framerate": None}, "missing mocap_framerate"),
        (
            {"poses": np.zeros((6, 75))},
            "poses: its rows have 75 numbers; known: 66 (SMPL's body), 72 (SMPL), 156 (SMPL-H)",
        ),
        ({"poses": np.zeros((6, 24, 4))}, "poses: its shape is (6, 24, 4), expected (frames, 66, 72, 156 or 165)"),
        ({"poses": np.zeros((0, 72))}, "poses: it has no frame"),
        ({"poses": np.array([["a"] * 72])}, "poses: it holds <U1, expected numbers"),
        ({"poses": np.full((6, 72), None)}, "poses: it holds pickled Python objects, which are never read"),
        ({"trans": np.zeros((5, 3))}, "trans: its shape is (5, 3), expected (6, 3)"),
        ({"mocap_framerate": np.array(0.0)}, "mocap_framerate: it is 0 frames a second; expected a positive number"),
        ({"mocap_framerate": np.array(-30)}, "it is -30 frames a second"),
        ({"mocap_framerate": np.array(np.nan)}, "mocap_framerate: it is not finite"),
        ({"mocap_framerate": np.array([30, 60])}, "mocap_framerate: its shape is (2,), expected one number"),
    ],
)
def test_faults_name_file_and_key(tmp_path: Path, changed: dict, message: str) -> None:
    path = save(tmp_path / "a.npz", smpl_arrays(seconds=0.1), **changed)
    with pytest.raises(MotionError) as error:
        open_capture(path).read()
    assert str(path) in str(error.value)
    assert message in str(error.value)


def test_a_frame_of_several_faults_is_too_large_only_if_all_are() -> None:
    block = np.zeros((3, 2))
    block[1] = [1e31, -1e31]
    with pytest.raises(MotionError, match=r"^a: too large at frame 11$"):
        check_finite(block, "a", 10, gaps=False)
    block[1, 0] = np.inf
    with pytest.raises(MotionError, match=r"^a: not finite at frame 11$"):
        check_finite(block, "a", 10, gaps=False)


def test_gaps_are_an_error_unless_they_may_be(tmp_path: Path) -> None:
    arrays = smpl_arrays(seconds=0.2)
    arrays["poses"][7, 5] = np.nan
    path = save(tmp_path / "a.npz", arrays)
    with pytest.raises(MotionError, match=r"a\.npz: poses: not finite at frame 7"):
        read_capture(path)
    motion = read_capture(path, gaps=True)
    assert np.isnan(motion.rotations[7, 1]).any()
    assert np.isfinite(np.delete(motion.rotations, 7, axis=0)).all()
    arrays["poses"][3, 5] = np.inf
    with pytest.raises(MotionError, match="poses: infinite at frame 3"):
        read_capture(save(path, arrays), gaps=True)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_reads_or_complains(tmp_path: Path, data: st.DataObject) -> None:
    whole = save(tmp_path / "whole.npz", smpl_arrays(seconds=0.1)).read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    at = data.draw(st.integers(0, len(whole) - 1))
    damaged = bytearray(whole)
    damaged[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path / "a.npz"
    path.write_bytes(bytes(damaged)[: cut if data.draw(st.booleans()) else len(whole)])
    try:
        motion = read_capture(path)
    except MotionError as error:
        complaint = str(error)
    else:
        complaint = str(path)
        assert np.isfinite(forward_kinematics(motion)[0]).all()
    assert str(path) in complaint


@pytest.mark.parametrize(("rows", "message"), [(7, "the data end early"), (5, "more data than its header says")])
def test_a_header_that_lies(tmp_path: Path, rows: int, message: str) -> None:
    arrays = smpl_arrays(seconds=0.1)
    path = save(tmp_path / "a.npz", arrays, trans=arrays["trans"][:1].repeat(rows, 0))
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    assert b"(6, 72)" in members["poses.npy"]
    members["poses.npy"] = members["poses.npy"].replace(b"(6, 72)", f"({rows}, 72)".encode())
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)
    with pytest.raises(MotionError, match=rf"a\.npz: poses: {message}"):
        read_capture(path)


def test_blocks_are_the_whole(tmp_path: Path) -> None:
    capture = open_capture(save(tmp_path / "a.npz", smpl_arrays(seconds=0.5)))
    whole = capture.read()
    for size in (1, 7, 30):
        parts = list(capture.blocks(size))
        assert max(len(rotations) for rotations, _ in parts) <= size
        np.testing.assert_array_equal(np.concatenate([rotations for rotations, _ in parts]), whole.rotations)
        np.testing.assert_array_equal(np.concatenate([places for _, places in parts]), whole.translations)


@pytest.mark.parametrize("order", ["C", "F"])
def test_compressed_single_precision_and_columns_first(tmp_path: Path, order: str) -> None:
    arrays = smpl_arrays(seconds=0.5)
    expected = read_capture(save(tmp_path / "a.npz", arrays))
    np.savez_compressed(
        tmp_path / "b.npz", **(arrays | {"poses": np.asarray(arrays["poses"].astype(np.float32), order=order)})
    )
    motion = read_capture(tmp_path / "b.npz")
    assert motion.rotations.dtype == np.float64
    np.testing.assert_allclose(motion.rotations, expected.rotations, atol=1e-6)


@pytest.mark.skipif(not PHC.is_file(), reason="GAITNET_MOCAP names no folder with robot/puffer_phc")
def test_global_turns_equal_those_of_phc() -> None:
    assert find_format(PHC).name == "smpl"
    motion = read_capture(PHC)
    assert (motion.frames, motion.fps) == (222, 30.0)
    _, rotation = forward_kinematics(motion)
    with np.load(PHC) as file:
        theirs = file["pose_quat_global"][..., [3, 0, 1, 2]]  # xyzw there, limb after limb
    limb_by_limb = [0, 1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12, 15, 13, 16, 18, 20, 22, 14, 17, 19, 21, 23]
    ours = quat_mul(rotation[:, limb_by_limb], np.array([-0.5, 0.5, 0.5, 0.5]))  # their bodies are z up at rest
    assert np.abs(np.sum(ours * theirs, axis=-1)).min() > 1 - 1e-12
    lowest = forward_kinematics(motion)[0][..., 2].min(axis=1)
    assert -0.05 < np.median(lowest) < 0.08  # m: our legs are about as long as theirs
