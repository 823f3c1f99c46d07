"""The ASF/AMC reader: numbers computed by hand, the same captures as BVH, and every fault named with its line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from helpers.acclaim import AMC, ASF, LAST

from gait_envs.mocap.capture import MotionError, SkeletonMotion, forward_kinematics
from gait_envs.mocap.formats import open_capture, read_capture
from gait_envs.mocap.formats.asf import read_asf
from gait_envs.mocap.retarget.joint_names import match_joints


def write(folder: Path, amc: str = AMC, asf: str = ASF, name: str = "02_01") -> Path:
    (folder / f"{name[:2]}.asf").write_text(asf)
    path = folder / f"{name}.amc"
    path.write_bytes(amc.encode())
    return path


def positions(motion: SkeletonMotion) -> np.ndarray:
    return forward_kinematics(motion)[0]


def test_small_file_by_hand(tmp_path: Path) -> None:
    motion = read_capture(write(tmp_path))
    assert motion.skeleton.names == ("root", "lhipjoint", "lfemur", "ltibia", "ltibia_end")
    assert motion.skeleton.parents.tolist() == [-1, 0, 1, 2, 3]
    assert (motion.frames, motion.fps, motion.name, motion.up) == (3, 120.0, "02_01", None)
    assert motion.unit == pytest.approx(0.0564444, abs=1e-7)  # an inch is 0.45 units
    assert motion.notes == ("the file has no frame rate; 120 frames a second are assumed",)
    place = positions(motion)
    # At rest a bone starts where its parent ends: hips at the root, thigh 2 to the left, knee 7 below it.
    np.testing.assert_allclose(place[0] - [10, 20, 30], [[0, 0, 0], [0, 0, 0], [2, 0, 0], [2, -7, 0], [2, -13, 0]])
    # The thigh's own x is the world's y (its axes are turned by 90° about z): it only spins. The shank spins
    # with it, so its own x (the world's x at rest) now points along -z, and 90° about that sends -y to -x.
    np.testing.assert_allclose(place[1, 3:], [[2, -7, 0], [-4, -7, 0]], atol=1e-12)
    # The root turns x to -z. The thigh's own y is -x at rest, so +z now; 90° about +z sends -y to +x.
    np.testing.assert_allclose(place[2, 2:], [[0, 0, -2], [7, 0, -2], [13, 0, -2]], atol=1e-12)


def test_dof_gives_the_order_of_values_and_of_turns(tmp_path: Path) -> None:
    asf = ASF.replace("axis 0 0 90 XYZ\n    dof rx ry rz", "axis 0 0 0 XYZ\n    dof rz rx").replace(LAST, "")
    amc = (
        AMC.replace("lfemur 90 0 0", "lfemur 90 90")
        .replace("lfemur 0 0 0", "lfemur 0 0")
        .replace("0 90 0\nlt", "0 0\nlt")
    )
    place = positions(read_capture(write(tmp_path, amc, asf)))
    # First 90° about z: -y to +x; then 90° about the fixed x leaves it there. (The other way: -y to -z.)
    np.testing.assert_allclose(place[1, 3] - place[1, 2], [7, 0, 0], atol=1e-12)


def test_axis_order_and_root_order(tmp_path: Path) -> None:
    asf = ASF.replace("axis 0 0 90 XYZ", "axis 90 0 90 ZXY").replace("order TX TY TZ RX RY RZ", "order RY TZ TX TY")
    amc = AMC
    for row in ("10 20 30 0 0 0", "0 0 0 0 0 0", "0 0 0 0 90 0"):
        amc = amc.replace(f"root {row}", "root 90 3 1 2")
    place = positions(read_capture(write(tmp_path, amc, asf)))
    np.testing.assert_allclose(place[0, :3], [[1, 2, 3], [1, 2, 3], [1, 2, 1]], atol=1e-12)
    # 90° about z, then about the fixed x: the thigh's own x goes to y and on to z, at rest. Frame 2 turns by
    # 90° about it: -y to +x; the root's turn about y then sends that to -z.
    np.testing.assert_allclose(place[1, 3] - place[1, 2], [0, 0, -7], atol=1e-12)


def test_radians_and_rate(tmp_path: Path) -> None:
    amc = AMC.replace(":DEGREES", ":RADIANS\n:SAMPLES-PER-SECOND 60").replace("90", str(np.pi / 2))
    motion = read_capture(write(tmp_path, amc))
    assert motion.fps == 60.0
    assert motion.notes == ()
    degrees = read_capture(write(tmp_path), fps=30)
    assert degrees.fps == 30.0
    np.testing.assert_allclose(positions(motion), positions(degrees), atol=1e-12)
    # Without a word in the motion file its angles are the skeleton's; the skeleton's own are radians here too.
    asf = ASF.replace("angle deg", "angle rad").replace("axis 0 0 90", f"axis 0 0 {np.pi / 2}")
    motion = read_capture(write(tmp_path, amc.replace(":RADIANS\n", ""), asf))
    np.testing.assert_allclose(positions(motion), positions(degrees), atol=1e-12)


def test_other_lengths_are_in_no_known_unit(tmp_path: Path) -> None:
    assert open_capture(write(tmp_path, asf=ASF.replace("length 0.45", "length 1"))).unit is None
    assert open_capture(write(tmp_path, asf=ASF.replace("  length 0.45\n", ""))).unit is None


def test_root_at_rest_away_and_turned(tmp_path: Path) -> None:
    asf = ASF.replace("position 0 0 0", "position 1 2 3").replace("orientation 0 0 0", "orientation 0 90 0")
    motion = read_capture(write(tmp_path, asf=asf))
    assert "02.asf: the root rests turned" in motion.notes[0]
    np.testing.assert_allclose(positions(motion)[0, :3], [[11, 22, 33], [11, 22, 33], [11, 22, 31]], atol=1e-12)


@pytest.mark.parametrize(
    ("amc", "asf"),
    [
        (AMC.replace("\n", "\r\n"), ASF),
        (AMC.rstrip("\n"), ASF),
        (AMC.replace("2\nroot", "\n# a word\n2  # here\n\troot"), ASF),
        (AMC.replace("ltibia 90", "lhipjoint\nltibia 9.0e1"), ASF),
        (AMC.replace("root 0 0 0 0 90 0\nlfemur 0 90 0\n", "lfemur 0 90 0\nroot 0 0 0 0 90 0\n"), ASF),
        (AMC.replace(":FULLY-SPECIFIED\n:DEGREES\n", ""), ASF),
        (AMC, ASF.replace("\n", "\r\n").upper().replace("LFEMUR", "lfemur").replace("LTIBIA", "ltibia")
                 .replace("LHIPJOINT", "lhipjoint").replace("ROOT L", "root L").replace("ROOT l", "root l")),
    ],
    ids=["crlf", "no final newline", "comments and blank lines", "a bone that cannot move", "any bone order",
         "no keywords", "upper case keywords"],
)  # fmt: skip
def test_harmless_variants_read_the_same(tmp_path: Path, amc: str, asf: str) -> None:
    expected = positions(read_capture(write(tmp_path)))
    np.testing.assert_array_equal(positions(read_capture(write(tmp_path, amc, asf))), expected)


@pytest.mark.parametrize(
    ("amc", "message"),
    [
        ("", "02_01.amc: the file ends where a frame number is expected"),
        (AMC[: AMC.index("1\n")], "02_01.amc: the file ends where a frame number"),
        (AMC.replace("1\nroot 10", "root 10"), "line 4: expected a :keyword or a frame number, found 'root'"),
        (AMC.replace("ltibia 90\n", ""), "line 8: frame 2 has no values for ltibia"),
        (AMC[: AMC.rindex("ltibia")], "line 12: frame 3 has no values for ltibia"),
        (AMC.replace("ltibia 90", "ltibia 90 1"), "line 11: frame 2, ltibia needs 1 number, found 2"),
        (AMC.replace("lfemur 90 0 0", "lfemur 90 0"), "line 10: frame 2, lfemur needs 3 numbers, found 2"),
        (AMC.replace("ltibia 90", "ltibia ninety"), "line 11: frame 2, ltibia: 'ninety' is not a number"),
        (AMC.replace("ltibia 90", "ltibia 9,5"), "'9,5' is not a number (a decimal comma?"),
        (AMC.replace("ltibia 90", "ltibia nan"), "line 11: frame 2, ltibia: 'nan' is not finite"),
        (AMC.replace("ltibia 90", "ltibia 1e99"), "line 11: frame 2, ltibia: '1e99' is too large"),
        (AMC.replace("ltibia 90", "lshin 90"), "line 11: frame 2: 'lshin': the skeleton has no such bone; moved: "),
        (AMC.replace("ltibia 90", "lhipjoint 0 0 0"), "line 11: frame 2: 'lhipjoint': the skeleton gives it no dof"),
        (AMC.replace("ltibia 90", "lfemur 90 0 0"), "line 11: frame 2 has 'lfemur' twice"),
        (AMC.replace("\n2\n", "\n1\n"), "line 8: frame 1 follows frame 1"),
        (AMC.replace("\n2\n", f"\n{'9' * 5000}\n"), "line 8: frame number: '99999"),
        (AMC.replace(":DEGREES", ":SAMPLES-PER-SECOND fast"), "line 3: :samples-per-second: 'fast' is not a number"),
        (AMC.replace(":DEGREES", ":SAMPLES-PER-SECOND -5"), "fps is -5; expected a positive number"),
    ],
)  # fmt: skip
def test_faults_of_the_motion_name_file_line_and_frame(tmp_path: Path, amc: str, message: str) -> None:
    path = write(tmp_path, amc)
    with pytest.raises(MotionError) as error:
        read_capture(path)
    assert str(path) in str(error.value)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("asf", "message"),
    [
        ("", "02.asf: no :root; it has nothing"),
        (ASF[: ASF.index(":hierarchy")], "02.asf: no :hierarchy; it has :version"),
        ("words\n" + ASF, "line 1: expected a :keyword, found 'words'"),
        (ASF.replace("angle deg", "angle grad"), "line 7: angle 'grad'; expected deg or rad"),
        (ASF.replace("length 0.45", "length short"), "line 6: length: 'short' is not a number"),
        (ASF.replace("TX TY TZ RX", "TX TY TZ TX"), "line 11: order: 'tx' is there twice; allowed: tx, ty, tz, rx"),
        (ASF.replace("order TX", "order L"), "line 11: order: 'l' cannot be read"),
        (ASF.replace("position 0 0 0", "position 0 0"), "line 13: position needs 3 numbers, found 2"),
        (ASF.replace("dof rx ry rz", "dof rx tx"), "line 29: dof: 'tx' cannot be read; allowed: rx, ry, rz"),
        (ASF.replace(LAST, ""), "line 30: limits: 4 numbers; expected 6, two for each dof"),
        (ASF.replace("(-10.0 170.0)", "(-10.0)"), "line 41: limits: 1 numbers; expected 2, two for each dof"),
        (ASF.replace("(-160.0 20.0)", "(20.0 -160.0)"), "line 30: limits: a lowest is above its highest"),
        (ASF.replace("(-70.0 70.0)", "(-70.0 much)"), "line 30: limits: 'much' is not a number"),
        (ASF.replace("(-70.0 70.0)", "(-70.0 nan)"), "line 30: limits: 'nan' is not finite"),
        (ASF.replace("0 0 90 XYZ", "0 0 90 XXZ"), "line 28: axis order 'XXZ'; expected the letters XYZ"),
        (ASF.replace("0 0 90 XYZ", "0 90 XYZ"), "line 28: axis"),
        (ASF.replace("    length 7\n", ""), "line 23: no length; there are id, name, direction"),
        (ASF.replace("direction 1 0 0", "direction 1 0"), "line 19: direction needs 3 numbers, found 2"),
        (ASF.replace("name ltibia", "name lfemur"), "line 34: a second bone 'lfemur'"),
        (ASF.replace("name ltibia", "name root"), "line 34: a second bone 'root'"),
        (ASF.replace("name ltibia", "name l tibia"), "line 36: a bone's name is one word, found 'l tibia'"),
        (ASF.replace("  end\n:hierarchy", ":hierarchy"), "line 34: this bone has no end"),
        (ASF.replace("  end\n  begin\n    id 3", "  begin\n    id 3"), "line 33: expected end, found 'begin'"),
        (ASF.replace("  begin\n    id 3", "    id 3"), "line 34: expected begin, found 'id'"),
        (ASF.replace("lfemur ltibia", "lfemur lshin"), "line 47: no bone 'lshin' in :bonedata; there are root, lhip"),
        (ASF.replace("    lfemur ltibia\n", ""), "line 34: the bone 'ltibia' does not hang on the root in :hierarchy"),
        (ASF.replace("    lfemur ltibia", "    lfemur ltibia\n    ltibia lfemur"), "line 48: 'lfemur' already hangs"),
        (ASF.replace("    root lhip", "    ltibia lhip"), "the bone 'lhipjoint' does not hang on the root"),
    ],
)  # fmt: skip
def test_faults_of_the_skeleton_name_file_and_line(tmp_path: Path, asf: str, message: str) -> None:
    path = write(tmp_path, asf=asf)
    with pytest.raises(MotionError) as error:
        read_capture(path)
    assert str(tmp_path / "02.asf") in str(error.value)
    assert message in str(error.value)


def test_a_locked_joint_has_equal_limits(tmp_path: Path) -> None:
    (tmp_path / "locked.asf").write_text(ASF.replace("(-70.0 70.0)", "(5.0 5.0)"))
    np.testing.assert_allclose(np.degrees(read_asf(tmp_path / "locked.asf").limits["lfemur"])[1], [5, 5])


def test_each_node_has_its_own_axes(tmp_path: Path) -> None:
    write(tmp_path, AMC)
    body = read_asf(tmp_path / "02.asf")
    assert len(body.axes) == len(body.skeleton.names)
    for name, axes in zip(body.skeleton.names, body.axes, strict=True):
        assert not name.endswith("_end") or axes.tolist() == [1, 0, 0, 0]
    assert open_capture(tmp_path / "02_01.amc").usual_up == "+y"


def test_limits_are_read_and_do_not_bind(tmp_path: Path) -> None:
    path = write(tmp_path, AMC.replace("ltibia 90", "ltibia 179"))  # beyond its 170°
    body = read_asf(tmp_path / "02.asf")
    assert set(body.limits) == {"lfemur", "ltibia"}
    np.testing.assert_allclose(np.degrees(body.limits["lfemur"]), [[-160, 20], [-70, 70], [-60, np.inf]])
    np.testing.assert_allclose(np.degrees(body.limits["ltibia"]), [[-10, 170]])
    turn = read_capture(path).rotations[1, 3]
    assert np.degrees(2 * np.arccos(turn[0])) == pytest.approx(179)
    (tmp_path / "rad.asf").write_text(ASF.replace("angle deg", "angle rad"))
    np.testing.assert_allclose(read_asf(tmp_path / "rad.asf").limits["ltibia"], [[-10, 170]])


def test_which_skeleton_it_was_is_said(tmp_path: Path) -> None:
    """Above all where it was taken for being the only one: it need not be the motion's."""
    path = write(tmp_path)
    assert not open_capture(path).notes[1:]
    (tmp_path / "02.asf").rename(tmp_path / "other.asf")
    assert "the skeleton is other.asf, the only .asf in its folder" in open_capture(path).notes
    path.write_text(AMC.replace("ltibia 90", "lshin 90"))
    with pytest.raises(MotionError, match=r"has no such bone; moved: .*; it is .*other\.asf"):
        read_capture(path)


def test_jumps_in_the_frame_numbers_are_noted(tmp_path: Path) -> None:
    capture = open_capture(write(tmp_path, AMC.replace("\n3\n", "\n7\n")))
    assert capture.frames == 3
    assert "line 12: frame 7 follows frame 2; frames are taken as evenly spaced" in capture.notes


def test_the_skeleton_is_found(tmp_path: Path) -> None:
    path = write(tmp_path, name="HDM_bd_01")
    (tmp_path / "HD.asf").unlink()
    with pytest.raises(MotionError, match=r"HDM_bd_01\.amc: no skeleton for it.*folder: none"):
        read_capture(path)
    for name in ("walk", "HDM_bd", "HDM_bd_01"):
        (tmp_path / f"{name}.ASF").write_text(ASF.replace("length 7", f"length {len(name)}"))
        assert read_capture(path).skeleton.offsets[3, 1] == -len(name)  # the nearest name wins; one alone is taken
    (tmp_path / "HDM_bd_01.ASF").unlink()
    (tmp_path / "HDM_bd.ASF").unlink()
    (tmp_path / "run.asf").write_text(ASF)
    with pytest.raises(MotionError, match=r"name it with --asf.* run\.asf, walk\.ASF"):
        read_capture(path)
    assert read_capture(path, asf=tmp_path / "run.asf").skeleton.offsets[3, 1] == -7
    with pytest.raises(MotionError, match=r"gone\.asf: no such file"):
        read_capture(path, asf=tmp_path / "gone.asf")
    with pytest.raises(MotionError, match=r"gone\.amc: no such file"):
        read_capture(tmp_path / "gone.amc")


def test_a_tip_gives_way_to_a_bone_of_its_name(tmp_path: Path) -> None:
    path = write(tmp_path, AMC.replace("lfemur", "ltibia_end"), ASF.replace("lfemur", "ltibia_end"))
    assert open_capture(path).skeleton.names == ("root", "lhipjoint", "ltibia_end", "ltibia", "ltibia_end#")


def test_blocks_are_the_whole(tmp_path: Path) -> None:
    capture = open_capture(write(tmp_path))
    whole = capture.read()
    for _ in range(2):  # a capture can be gone through again
        rotations, translations = zip(*capture.blocks(2), strict=True)
        assert [len(block) for block in rotations] == [2, 1]
        np.testing.assert_array_equal(np.concatenate(rotations), whole.rotations)
        np.testing.assert_array_equal(np.concatenate(translations), whole.translations)


# -- real captures, where the environment variable GAITNET_MOCAP names a folder of them ----------------------

MOCAP = Path(os.environ.get("GAITNET_MOCAP", "nowhere"))
with_mocap = pytest.mark.skipif(not (MOCAP / "asfamc").is_dir(), reason="GAITNET_MOCAP names no folder with asfamc")
BOTH = {  # bone -> the same joint in the BVH conversion of the CMU database by B. Hahne
    "root": "Hips", "lfemur": "LeftUpLeg", "ltibia": "LeftLeg", "lfoot": "LeftFoot", "ltoes": "LeftToeBase",
    "ltoes_end": "LeftToeBase_end", "rfemur": "RightUpLeg", "rtibia": "RightLeg", "rfoot": "RightFoot",
    "rtoes": "RightToeBase", "rtoes_end": "RightToeBase_end", "upperback": "Spine", "thorax": "Spine1",
}  # fmt: skip
ABOVE = {  # the conversion leaves the thorax bone out: all above it is lower by that bone
    "lowerneck": "Neck", "upperneck": "Neck1", "head": "Head", "head_end": "Head_end", "lhumerus": "LeftArm",
    "lradius": "LeftForeArm", "lwrist": "LeftHand", "rhumerus": "RightArm", "rradius": "RightForeArm",
    "rwrist": "RightHand",
}  # fmt: skip


@with_mocap
@pytest.mark.parametrize("name", ["02_01", "02_02"])
def test_the_same_capture_as_bvh_within_a_tenth_of_a_millimetre(name: str) -> None:
    motion = read_capture(MOCAP / f"asfamc/cmu/02/{name}.amc")
    other = read_capture(MOCAP / f"bvh/cmu_cgspeed/{name}.bvh")
    assert motion.unit is not None
    place, there = positions(motion) * motion.unit, positions(other)[1:] * motion.unit  # a T-pose comes first
    assert place.shape[0] == there.shape[0]
    thorax = place[:, motion.skeleton.index("lowerneck")] - place[:, motion.skeleton.index("thorax")]
    for names, missing in ((BOTH, np.zeros_like(thorax)), (ABOVE, thorax)):
        for bone, joint in names.items():
            off = place[:, motion.skeleton.index(bone)] - missing - there[:, other.skeleton.index(joint)]
            assert np.linalg.norm(off, axis=1).max() < 1e-4, bone


@with_mocap
def test_all_captures_read_and_their_joints_are_known() -> None:
    for path in sorted(MOCAP.glob("asfamc/cmu/*/*.amc")):
        capture = open_capture(path)
        names = {role: capture.skeleton.names[node] for role, node in match_joints(capture.skeleton).items()}
        wanted = {"left_hip": "lfemur", "left_knee": "ltibia", "left_ankle": "lfoot", "right_toe": "rtoes"}
        assert names | wanted == names, path
        assert sum(len(block) for block, _ in capture.blocks(512)) == capture.frames


@with_mocap
def test_malformed_files_do_as_expected() -> None:
    folder = MOCAP / "malformed/synthetic"
    rows = [line.split("\t") for line in (folder / "EXPECT.tsv").read_text().splitlines()[1:]]
    for name, expected, what in rows:
        if not name.endswith((".amc", ".asf")):
            continue
        asf = folder / (name if name.endswith(".asf") else "ok_reference.asf")
        amc = folder / (name if name.endswith(".amc") else "ok_reference.amc")
        if expected == "ok":
            assert read_capture(amc, asf=asf).frames == 2, what
        else:
            with pytest.raises(MotionError, match=re.escape(name)):
                read_capture(amc, asf=asf)


@with_mocap
@pytest.mark.parametrize(
    ("name", "subject", "message"),
    [
        ("cmu_07_12_truncated", "07", "line 7324: frame 245 has no values for ltoes"),
        ("arihide_16_11_dof_mismatch", "16", "line 5: frame 1: 'lhipjoint': the skeleton gives it no dof"),
        ("dm_control_zeros", "02", None),
    ],
)  # fmt: skip
def test_real_files_that_strain_readers(name: str, subject: str, message: str | None) -> None:
    path, asf = MOCAP / f"malformed/real/{name}.amc", MOCAP / f"asfamc/cmu/{subject}/{subject}.asf"
    if message is None:
        assert read_capture(path, asf=asf).frames == 7
        return
    with pytest.raises(MotionError) as error:
        read_capture(path, asf=asf)
    assert message in str(error.value)


@with_mocap
def test_another_dialect_of_the_skeleton() -> None:
    body = read_asf(MOCAP / "malformed/real/endorphin_skeleton.asf")
    assert body.unit is None  # its lengths are metres, whatever its factor says
    assert body.dof["RightKneeJoint"] == ("rx", "ry", "rz")
    place = {"root": np.zeros(3)}
    for node, name in enumerate(body.skeleton.names[1:], 1):
        place[name] = place[body.skeleton.names[body.skeleton.parents[node]]] + body.skeleton.offsets[node]
    # A man at rest, as the file's lengths say: hips at the root, knees and ankles under them.
    hip, knee, ankle = (place[f"Right{part}Joint"][1] for part in ("Hip", "Knee", "Ankle"))
    assert 0.1 > hip > knee > ankle > -1.1
