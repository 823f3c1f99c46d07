"""Joints found by name in any rig, and feet completed where a rig does not tell where they point."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import DUTY, PERIOD, walker_bvh

from gait_envs.mocap.capture import MotionError, Skeleton, SkeletonMotion, forward_kinematics
from gait_envs.mocap.formats import find_format, read_capture
from gait_envs.mocap.retarget.footholds import read_foot
from gait_envs.mocap.retarget.joint_names import match_joints
from gait_envs.mocap.retarget.landmarks import extract_landmarks
from gait_envs.rotations import quat_from_rotvec, quat_mul

MOCAP = Path(os.environ.get("GAITNET_MOCAP", ""))
SIDED = ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist")

# Rig -> its names of the parts above on the left, and of chest, neck and head; "-" where it has none.
RIGS = {
    "cmu asf": "lfemur ltibia lfoot ltoes lhumerus lradius lwrist thorax lowerneck head",
    "cmu bvh": "LeftUpLeg LeftLeg LeftFoot LeftToeBase LeftArm LeftForeArm LeftHand Spine1 Neck Head",
    "cmu bvh, other": "LeftHip LeftKnee LeftAnkle LeftToe LeftShoulder LeftElbow LeftWrist Chest2 Neck Head",
    "lafan": "LeftUpLeg LeftLeg LeftFoot LeftToe LeftArm LeftForeArm LeftHand Spine2 Neck Head",
    "bandai": "UpperLeg_L LowerLeg_L Foot_L Toes_L UpperArm_L LowerArm_L Hand_L Chest Neck Head",
    "games": "lHip lKnee lAnkle lToeJoint lShoulder lElbow lWrist lowerback_torso - torso_head",
    "smpl": "L_Hip L_Knee L_Ankle L_Foot L_Shoulder L_Elbow L_Wrist Spine3 Neck Head",
    "smpl, long": "left_hip left_knee left_ankle left_foot left_shoulder left_elbow left_wrist spine3 neck head",
    "smpl robot": "L_Hip L_Knee L_Ankle L_Toe L_Shoulder L_Elbow L_Wrist Chest Neck Head",
    "deepmimic": "left_hip left_knee left_ankle - left_shoulder left_elbow left_wrist chest neck -",
    "isaac": "left_thigh left_shin left_foot - left_upper_arm left_lower_arm left_hand torso - head",
    "poser": "lThigh lShin lFoot - lShldr lForeArm lHand chest neck head",
    "biped": "Bip01_L_Thigh Bip01_L_Calf Bip01_L_Foot Bip01_L_Toe Bip01_L_UpperArm Bip01_L_Forearm Bip01_L_Hand "
    "Bip01_Spine2 Bip01_Neck Bip01_Head",
}
# Other joints that these rigs have, whose names are close enough to mislead.
ALSO = {
    "cmu asf": "root lhipjoint lowerback upperback upperneck lclavicle lhand lfingers lthumb",
    "cmu bvh": "Hips LHipJoint LowerBack Spine Neck1 LeftShoulder LeftHandIndex1 LThumb",
    "cmu bvh, other": "Hips LHipJoint lowerback Chest LeftCollar lhand LFingers",
    "lafan": "Hips Spine Spine1 LeftShoulder",
    "bandai": "joint_Root Hips Spine Shoulder_L",
    "smpl": "Pelvis Spine1 Spine2 L_Collar L_Hand",
    "smpl, long": "pelvis spine1 spine2 left_collar left_hand",
    "smpl robot": "Pelvis Torso Spine L_Thorax L_Hand",
    "isaac": "pelvis",
    "biped": "Bip01 Bip01_Pelvis Bip01_Spine Bip01_L_Clavicle",
}


# Robots' hinges of the left leg, from the hip on, and which of them is hip, knee, ankle and toe.
HINGES = {
    "left_hip_pitch left_hip_roll left_knee left_ankle_pitch left_ankle_roll left_foot": (0, 2, 4, 5),
    "left_hip_pitch_joint left_hip_roll_joint left_knee_joint left_ankle_pitch_joint left_ankle_roll_joint": (0, 2, 4),
    "left_hip_joint left_knee_joint left_ankle_joint left_toe_joint": (0, 1, 2, 3),
}


@pytest.mark.parametrize("leg", HINGES)
def test_hinges_of_a_robot_are_parts_of_its_joints(leg: str) -> None:
    left, count = leg.split(), len(leg.split())
    names = ("pelvis", *left, *(name.replace("left", "right") for name in left))
    parents = np.array([-1, 0, *range(1, count), 0, *range(count + 1, 2 * count)])
    shares = np.array([name.rsplit("_", 1)[0].endswith("roll") or name.endswith("roll") for name in left])
    offsets = np.where(shares, 0.0, 0.4)[:, None] * [0.0, -1.0, 0.0]
    skeleton = Skeleton(names, parents, np.concatenate([np.zeros((1, 3)), offsets, offsets]))
    roles = ("hip", "knee", "ankle", "toe")[: len(HINGES[leg])]
    found = {f"left_{role}": 1 + at for role, at in zip(roles, HINGES[leg], strict=True)}
    found |= {role.replace("left", "right"): node + count for role, node in found.items()}
    assert match_joints(skeleton) == found


def mirrored(name: str) -> str:
    """The right side's name."""
    for left, right in (("Left", "Right"), ("left", "right"), ("L_", "R_"), ("_L", "_R"), ("LHip", "RHip")):
        if left in name and name not in ("LeftLeg",):
            return name.replace(left, right, 1)
    return name.replace("Left", "Right") if "Left" in name else f"r{name[1:]}" if name[0] == "l" else name


@pytest.mark.parametrize("rig", RIGS)
def test_every_part_of_common_rigs_is_found(rig: str) -> None:
    names = RIGS[rig].split()
    sided, middle = names[: len(SIDED)], names[len(SIDED) :]
    left = [name for name in sided if name != "-"]
    other = [name for name in ALSO.get(rig, "").split() if name not in names]
    everything = [*other, *middle, *left, *map(mirrored, left)]
    everything = [name for name in everything if name != "-"]
    skeleton = Skeleton(tuple(everything), np.arange(len(everything)) - 1, np.zeros((len(everything), 3)))
    skeleton = replace(skeleton, parents=np.r_[-1, np.zeros(len(everything) - 1, dtype=int)])
    found = {role: skeleton.names[node] for role, node in match_joints(skeleton).items()}
    wanted = {f"left_{part}": name for part, name in zip(SIDED, sided, strict=True)}
    wanted |= {f"right_{part}": mirrored(name) for part, name in zip(SIDED, sided, strict=True) if name != "-"}
    wanted |= dict(zip(("chest", "neck", "head"), middle, strict=True))
    assert found == {role: name for role, name in wanted.items() if name != "-"}


def without_toes(motion: SkeletonMotion) -> SkeletonMotion:
    """The walker with feet that end at the ankle."""
    keep = [i for i, name in enumerate(motion.skeleton.names) if "Toe" not in name]
    parents = np.array([keep.index(p) if p >= 0 else -1 for p in motion.skeleton.parents[keep]])
    skeleton = Skeleton(tuple(motion.skeleton.names[i] for i in keep), parents, motion.skeleton.offsets[keep])
    return replace(
        motion, skeleton=skeleton, rotations=motion.rotations[:, keep], translations=motion.translations[:, keep]
    )


@pytest.mark.parametrize("yaw", [0.0, 75.0])
def test_a_foot_without_toes_points_where_its_rotation_says(tmp_path: Path, yaw: float) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh", yaw=yaw))
    # Another rest pose of the feet: what their local axes are must not matter.
    for side in ("Left", "Right"):
        foot = motion.skeleton.index(f"{side}Foot")
        turned = quat_mul(motion.rotations[:, foot], quat_from_rotvec(np.array([0.4, -0.9, 1.3])))
        motion.rotations[:, foot] = turned
    whole, cut = extract_landmarks(read_capture(tmp_path / "walk.bvh")), extract_landmarks(without_toes(motion))
    assert any("no left toe; where it points is taken from how the foot turns" in note for note in cut.notes)
    for side in ("left", "right"):
        wanted, found = read_foot(whole, side), read_foot(cut, side)
        np.testing.assert_allclose(found.pitch, wanted.pitch, atol=0.01)
        np.testing.assert_allclose(np.cos(found.yaw - wanted.yaw), 1.0, atol=1e-3)
        assert (found.toe == wanted.toe).mean() > 0.95


def test_a_foot_without_toes_or_rotation_is_flat(tmp_path: Path) -> None:
    motion = without_toes(read_capture(walker_bvh(tmp_path / "walk.bvh", yaw=40.0)))
    position, _ = forward_kinematics(motion)
    parents = np.r_[-1, np.zeros(position.shape[1] - 1, dtype=int)]
    still = np.zeros((*position.shape[:2], 4))
    still[..., 0] = 1.0
    steps = position.copy()
    steps[:, 1:] -= position[:, :1]
    bare = replace(motion, skeleton=replace(motion.skeleton, parents=parents), rotations=still, translations=steps)
    landmarks = extract_landmarks(bare)
    assert any("taken from the pelvis; the feet count as flat" in note for note in landmarks.notes)
    foot = read_foot(landmarks, "left")
    np.testing.assert_allclose(foot.pitch, 0.0, atol=1e-9)
    np.testing.assert_allclose(foot.roll, 0.0, atol=1e-9)
    phase = np.arange(landmarks.frames) / landmarks.fps / PERIOD % 1.0
    assert (foot.heel & foot.toe)[phase < DUTY - 0.05].all()
    assert not (foot.heel | foot.toe)[(phase > DUTY + 0.1) & (phase < 0.9)].any()


def test_knees_tell_swapped_sides_where_there_are_no_toes(tmp_path: Path) -> None:
    motion = without_toes(read_capture(walker_bvh(tmp_path / "walk.bvh")))
    names = [n.replace("Left", "@").replace("Right", "Left").replace("@", "Right") for n in motion.skeleton.names]
    with pytest.raises(MotionError, match="toes or knees point backwards; left and right are swapped"):
        extract_landmarks(replace(motion, skeleton=replace(motion.skeleton, names=tuple(names))))


def test_turn_out_and_roll_of_a_foot(tmp_path: Path) -> None:
    """Feet turned out by 0.2 rad all the time, and rolled by 0.1 rad, left edge up, for ten frames in the air."""
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh", rest_frame=False))
    rotations = motion.rotations.copy()
    foot = motion.skeleton.index("LeftFoot")  # the file's axes: x left, y up, z ahead
    phase = np.arange(motion.frames) / 60 / PERIOD % 1.0
    flying = (phase > 0.76) & (phase < 0.84)
    rotations[:, foot] = quat_mul(rotations[:, foot], quat_from_rotvec(np.array([0.0, 0.2, 0.0])))
    turned = read_foot(extract_landmarks(replace(motion, rotations=rotations)), "left")
    rolled = rotations.copy()
    rolled[flying, foot] = quat_mul(rotations[flying, foot], quat_from_rotvec(np.array([0.0, 0.0, 0.1])))
    found = read_foot(extract_landmarks(replace(motion, rotations=rolled)), "left")
    still = read_foot(extract_landmarks(motion), "left")
    flat = found.heel & found.toe & (phase < DUTY - 0.02)
    np.testing.assert_allclose((found.yaw - still.yaw)[flat], 0.2, atol=1e-6)
    np.testing.assert_allclose(found.roll[flat], 0.0, atol=1e-6)
    np.testing.assert_allclose((found.roll - turned.roll)[flying], 0.1, atol=0.01)


def test_what_the_file_says_counts_unless_more_is_given(tmp_path: Path) -> None:
    motion = replace(read_capture(walker_bvh(tmp_path / "walk.bvh")), unit=0.02, up="+y")
    assert extract_landmarks(motion).leg_length == pytest.approx(1.64)
    assert extract_landmarks(motion, unit="cm").leg_length == pytest.approx(0.82)
    with pytest.raises(MotionError, match="toes or knees point backwards"):
        extract_landmarks(replace(motion, up="-y"))


@pytest.mark.skipif(not MOCAP.is_dir() or not os.environ.get("GAITNET_MOCAP"), reason="GAITNET_MOCAP names no folder")
def test_every_real_rig_is_matched() -> None:
    seen: dict[tuple[str, ...], Path] = {}
    folders = [MOCAP / part for part in ("bvh", "asfamc", "robot")]
    for path in sorted(
        p for folder in folders for p in folder.rglob("*") if p.suffix in (".bvh", ".amc", ".npz", ".txt")
    ):
        try:
            find_format(path)
            motion = read_capture(path)
        except MotionError:
            continue  # not a motion, or not a whole one: the importers' business
        seen.setdefault(motion.skeleton.names, path)
        if seen[motion.skeleton.names] == path:
            found = match_joints(motion.skeleton)
            assert {f"{side}_{part}" for side in ("left", "right") for part in SIDED} <= set(found), path
    assert len(seen) >= 12
