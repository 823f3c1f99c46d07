"""Retargeting: a walk written here lands on the robot as it should, and the numbers say what is true."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import ANKLE_HEIGHT, DUTY, HIP_HEIGHT, LEG, PERIOD, SPEED, walker_bvh

from gait_envs.assets import asset_path
from gait_envs.mocap.capture import MotionError, Skeleton
from gait_envs.mocap.cleaning import signal as filters
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.quality import carry, faults, measure, robot_poses
from gait_envs.mocap.retarget.footholds import CapturedFoot, SoleShape, _blend, _floor, _rolling, read_foot, sole_target
from gait_envs.mocap.retarget.joint_names import ROLES, match_joints
from gait_envs.mocap.retarget.landmarks import Landmarks, crop, extract_landmarks, face_forward, heading, retime
from gait_envs.mocap.retarget.pipeline import Retargeted, retarget, time_scale
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.mocap.retarget.targets import _trunk
from gait_envs.rotations import quat_conj, quat_from_rotvec, quat_mul, quat_to_rotvec

LEG_ROBOT = 0.193 + 0.180  # m, thigh and shank of WildRobot
SCALE = LEG_ROBOT / LEG


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("wildrobot")


@pytest.fixture(scope="module")
def walk(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Retargeted:
    path = walker_bvh(tmp_path_factory.mktemp("capture") / "walk.bvh")
    return retarget(read_capture(path), body, source="written by the test", license="MIT")


# --- the whole way -----------------------------------------------------------------------------------


def test_the_clip_is_what_was_asked_for(walk: Retargeted, body: Body) -> None:
    clip = walk.clip
    assert clip.fps == 50.0
    assert clip.duration == pytest.approx(4.0, abs=0.05)  # the rest frame in front is gone
    assert clip.joint_names == body.joint_names
    assert (clip.model, clip.source, clip.license) == ("wildrobot", "written by the test", "MIT")
    meta = clip.meta
    assert (meta["unit_m"], meta["up"], meta["rest_frames_dropped"]) == (0.01, "+y", 1)
    assert meta["scale"] == pytest.approx(SCALE, rel=1e-4)
    assert meta["time_scale"] == 1.0


def test_it_walks_ahead_at_the_scaled_speed(walk: Retargeted) -> None:
    qpos = walk.clip.qpos
    np.testing.assert_allclose(qpos[0, :2], 0.0, atol=1e-12)
    seconds = walk.clip.duration
    assert (qpos[-1, 0] - qpos[0, 0]) / seconds == pytest.approx(SCALE * SPEED, rel=0.01)
    assert abs(qpos[:, 1]).max() < 0.045  # it sways over the foot that stands
    yaw = np.arctan2(2 * (qpos[:, 3] * qpos[:, 6]), 1 - 2 * qpos[:, 6] ** 2)
    assert abs(yaw).max() < np.radians(3)


def test_joints_stay_within_their_limits_and_knees_bend_forwards(walk: Retargeted, body: Body) -> None:
    joints = walk.clip.qpos[:, 7:]
    assert (joints >= body.lower).all()
    assert (joints <= body.upper).all()
    knees = joints[:, [body.joint_names.index(f"{side}_knee_pitch") for side in ("left", "right")]]
    assert np.ptp(knees, axis=0).min() > 0.4  # they swing
    poses = robot_poses(walk.clip.qpos, body)
    hip, knee, ankle = np.moveaxis(poses.joints, 2, 0)
    straight = hip[..., 0] + (ankle[..., 0] - hip[..., 0]) * (hip - knee)[..., 2] / (hip - ankle)[..., 2]
    assert (knee[..., 0] > straight - 1e-6).all()  # every knee lies ahead of the line from hip to ankle


def test_feet_stand_still_and_stay_above_the_floor(walk: Retargeted, body: Body) -> None:
    poses = robot_poses(walk.clip.qpos, body)
    assert poses.corners[..., 2].min() > -1e-9
    contact = walk.targets.contact
    slip = np.linalg.norm(np.diff(poses.patches[..., :2], axis=0), axis=-1)[contact[1:] & contact[:-1]] * 50
    assert np.median(slip) < 0.005
    assert np.percentile(slip, 95) < 0.02
    standing = contact.reshape(-1, 2, 2).all(axis=2)  # toe and heel down: the sole is flat
    heights = poses.corners[..., 2].reshape(len(contact), 2, -1)
    assert standing.mean() > 0.3
    assert heights[standing].max() < 0.005  # a sole 92 mm wide that tilts by up to 3° with the pelvis
    assert heights.max() > 0.025  # and lifted in swing
    toes_down = np.stack([sole.pitch for sole in walk.targets.soles], axis=1) < -0.1
    toe, heel = heights[..., :4].mean(axis=2), heights[..., 4:].mean(axis=2)
    assert toes_down.any()
    assert (heel > toe)[toes_down].all()


def test_steps_alternate_as_captured(walk: Retargeted) -> None:
    left, right = (sole.contact.any(axis=1) for sole in walk.targets.soles)
    assert (left | right).all()
    for stands in (left, right):
        assert stands.mean() == pytest.approx(DUTY, abs=0.1)
        starts = np.flatnonzero(np.diff(stands.astype(int)) == 1)
        np.testing.assert_allclose(np.diff(starts), PERIOD * 50, atol=2)
    assert not (left & ~right).all()
    assert walk.quality["cadence"] == pytest.approx(2 * 60 / PERIOD, rel=0.01)


def test_soles_reach_their_targets(walk: Retargeted) -> None:
    assert walk.faults == []
    assert walk.quality["sole_error_mm"] < 3
    assert walk.quality["ankle_path_mm"] < 10
    assert walk.quality["load_percent"] > 95
    weight = 3.38 * 9.81
    assert walk.clip.contacts.sum(axis=1).mean() == pytest.approx(weight, rel=0.05)


@pytest.mark.parametrize(
    "variant",
    [
        {"unit": 1.0},
        {"unit": 0.0254 / 0.45},
        {"yaw": 110.0},
        {"up": "z", "unit": 0.0254},
        {"rest_frame": False},
    ],
    ids=["metres", "the CMU unit", "another heading", "z up, inches", "no rest frame"],
)
def test_units_axes_and_heading_of_the_file_change_nothing(
    walk: Retargeted, body: Body, tmp_path: Path, variant: dict
) -> None:
    other = retarget(read_capture(walker_bvh(tmp_path / "other.bvh", **variant)), body)
    np.testing.assert_allclose(other.clip.qpos, walk.clip.qpos, atol=1e-5)


def test_frame_rate_of_the_file_hardly_matters(walk: Retargeted, body: Body, tmp_path: Path) -> None:
    slow = retarget(read_capture(walker_bvh(tmp_path / "slow.bvh", fps=30.0)), body).clip
    # A threshold on speed may flip one frame earlier or later.
    assert np.abs(slow.qpos[:190] - walk.clip.qpos[:190])[:, 7:].mean() < 0.005


def test_a_mirrored_walk_is_the_mirrored_clip(walk: Retargeted, body: Body, tmp_path: Path) -> None:
    """Half a period later the walk does with the right what it did with the left."""
    half = round(PERIOD / 2 * 50)
    joints = walk.clip.qpos[:, 7:]
    swapped = joints[:, [0, 5, 6, 7, 8, 1, 2, 3, 4]] * [-1, 1, 1, 1, 1, 1, 1, 1, 1]
    middle = slice(40, 120)
    np.testing.assert_allclose(joints[half:][middle], swapped[middle], atol=0.05)


def test_strides_can_be_shorter_than_the_scaled_ones(walk: Retargeted, body: Body, tmp_path: Path) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh"))
    short = retarget(motion, body, stride=0.5)
    for name in ("stride_length", "step_length_left", "step_length_right", "speed"):
        assert short.quality[name] == pytest.approx(0.5 * walk.quality[name], rel=0.03), name
    assert short.quality["cadence"] == walk.quality["cadence"]
    assert short.clip.meta["stride_scale"] == 0.5
    apart, whole = (np.ptp(made.clip.qpos[:, 2]) for made in (short, walk))
    assert apart == pytest.approx(whole, abs=0.01)  # the pelvis rides as high
    person = load_body("humanoid")  # whose feet are as far apart as captured
    apart = [np.mean(left.ankle[:, 1] - right.ankle[:, 1]) for left, right in (
        retarget(motion, person, stride=stride).targets.soles for stride in (1.0, 0.5))]  # fmt: skip
    assert apart[1] == pytest.approx(apart[0], rel=0.05)  # and not half as far
    assert retarget(motion, body, stride=0.5, speed=0.3).clip.mean_speed == pytest.approx(0.3, rel=0.02)


def test_time_and_speed(walk: Retargeted, body: Body, tmp_path: Path) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh"))
    froude = retarget(motion, body, time="froude").clip
    assert froude.duration == pytest.approx(walk.clip.duration * np.sqrt(SCALE), abs=0.03)
    assert froude.mean_speed == pytest.approx(np.sqrt(SCALE) * SPEED, rel=0.01)
    paced = retarget(motion, body, speed=0.5).clip
    assert paced.mean_speed == pytest.approx(0.5, rel=0.02)
    assert paced.meta["time_scale"] == pytest.approx(SCALE * SPEED / 0.5, rel=0.02)
    assert [time_scale(choice, 0.25) for choice in ("keep", "froude", "1.5", 2.0)] == [1.0, 0.5, 1.5, 2.0]
    for wrong in ("fast", -1.0, "nan", 0):
        with pytest.raises(MotionError, match="expected keep, froude or a positive number"):
            time_scale(wrong, 0.5)
    standing = replace(motion, rotations=motion.rotations[[9, 9, 9]], translations=motion.translations[[9, 9, 9]])
    with pytest.raises(MotionError, match=r"scaled capture moves at 0\.000 m/s"):
        retarget(standing, body, speed=0.5)


def test_cut(body: Body, tmp_path: Path) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh"))
    clip = retarget(motion, body, start=1.0, end=2.0).clip
    assert clip.duration == pytest.approx(1.0)
    assert clip.meta["cut_s"] == [1.0, 2.0]
    with pytest.raises(MotionError, match=r"cannot cut from 3 s to 9 s: the capture lasts 3\.983 s"):
        retarget(motion, body, start=3.0, end=9.0)


def test_a_drifting_floor_is_made_even(walk: Retargeted, body: Body, tmp_path: Path) -> None:
    """The capture sinks by 4 cm from its first step to its last."""
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh", rest_frame=False))
    sinking = motion.translations.copy()
    sinking[:, 0, 1] -= np.linspace(0.0, 4.0, motion.frames)
    clip = retarget(replace(motion, translations=sinking), body).clip
    assert np.abs(clip.qpos - walk.clip.qpos)[:, 2].max() < 0.005
    assert np.abs(clip.qpos - walk.clip.qpos)[:, 7:].mean() < 0.01
    held_up = np.r_[np.zeros(60), np.full(180, 0.3)]  # m, a foot held up for three seconds
    np.testing.assert_allclose(_floor(held_up, LEG, 60.0)[[0, 239]], [0.0, 0.08 * LEG])


def test_walking_backwards(walk: Retargeted, body: Body, tmp_path: Path) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh", rest_frame=False, yaw=40.0))
    motion = replace(motion, rotations=motion.rotations[::-1], translations=motion.translations[::-1])
    qpos = retarget(motion, body).clip.qpos
    assert qpos[-1, 0] == pytest.approx(-walk.clip.qpos[-1, 0], rel=0.02)
    assert abs(qpos[:, 6]).max() < 0.05  # still facing +x


# --- what the capture holds --------------------------------------------------------------------------


def test_landmarks_of_the_walker(tmp_path: Path) -> None:
    landmarks = extract_landmarks(read_capture(walker_bvh(tmp_path / "walk.bvh", yaw=30.0)))
    assert landmarks.leg_length == pytest.approx(LEG, rel=1e-5)
    hips = landmarks.mid("hip")
    assert hips[:, 2].mean() == pytest.approx(ANKLE_HEIGHT + HIP_HEIGHT * LEG, abs=0.01)
    # The file walks along z turned by 30° about y: with y up that is x forward of the file's (x, z) plane.
    np.testing.assert_allclose(np.diff(heading(landmarks, PERIOD)), 0.0, atol=1e-9)
    ahead = face_forward(landmarks, PERIOD)
    np.testing.assert_allclose(heading(ahead, PERIOD), 0.0, atol=0.01)
    assert ahead.mid("hip")[-1, 0] == pytest.approx(SPEED * (landmarks.frames - 1) / landmarks.fps, rel=1e-3)
    assert (ahead.across("hip")[:, 1] > 0).all()  # left is +y


def test_contacts_are_those_of_the_walker(tmp_path: Path) -> None:
    landmarks = extract_landmarks(read_capture(walker_bvh(tmp_path / "walk.bvh")))
    for side, offset in (("left", 0.0), ("right", 0.5)):
        foot = read_foot(landmarks, side)
        phase = (np.arange(landmarks.frames) / landmarks.fps / PERIOD + offset) % 1.0
        assert (foot.heel & foot.toe)[phase < DUTY - 0.01].all()
        assert not (foot.heel | foot.toe)[(phase > DUTY + 0.09) & (phase < 0.91)].any()
        np.testing.assert_allclose(foot.pitch[phase < DUTY - 0.01], 0.0, atol=1e-6)
        assert foot.pitch.min() == pytest.approx(-0.3, abs=0.01)
        assert foot.rise.max() == pytest.approx(0.12, abs=0.002)


def test_stretched_time_finds_the_same_contacts(tmp_path: Path) -> None:
    landmarks = extract_landmarks(read_capture(walker_bvh(tmp_path / "walk.bvh")))
    normal, quick = (read_foot(retime(landmarks, 60.0 / scale, scale), "left") for scale in (1.0, 0.5))
    np.testing.assert_array_equal(quick.heel, normal.heel)
    np.testing.assert_array_equal(quick.toe, normal.toe)


def named(*names: str) -> Skeleton:
    return Skeleton(names, np.arange(len(names)) - 1, np.zeros((len(names), 3)))


@pytest.mark.parametrize(
    ("names", "hip", "toe"),
    [
        ("{S}UpLeg {S}Leg {S}Foot {S}ToeBase {S}Arm", "LeftUpLeg", "LeftToeBase"),
        ("{S}HipJoint {S}Hip {S}Knee {S}Ankle {S}Toe", "LeftHip", "LeftToe"),
        ("mixamorig:{S}UpLeg mixamorig:{S}Leg mixamorig:{S}Foot mixamorig:{S}ToeBase", "mixamorig:LeftUpLeg",
         "mixamorig:LeftToeBase"),
        ("Character1_{S}UpLeg Character1_{S}Leg Character1_{S}Foot Character1_{S}ToeBase {s}_Femur {s}_Foot",
         "Character1_LeftUpLeg", "Character1_LeftToeBase"),
        ("UpperLeg_{s} LowerLeg_{s} Foot_{s} Toes_{s}", "UpperLeg_L", "Toes_L"),
        ("{s}_Hip {s}_Knee {s}_Ankle {s}_Foot {s}_Shoulder", "L_Hip", "L_Foot"),
        ("{s}Thigh {s}Shin {s}Foot {s}Foot_end {s}Shldr", "LThigh", "LFoot_end"),
        ("Bip01_{s}_Thigh Bip01_{s}_Calf Bip01_{s}_Foot Bip01_{s}_Toe", "Bip01_L_Thigh", "Bip01_L_Toe"),
    ],
    ids=["cmu, lafan", "cmu, other", "mixamo", "mass", "bandai", "smpl", "poser, no toe joint", "biped"],
)  # fmt: skip
def test_common_rigs_are_recognised(names: str, hip: str, toe: str) -> None:
    sides = [names.format(S=long, s=short).split() for long, short in (("Left", "L"), ("Right", "R"))]
    skeleton = named("Hips", *sides[0], *sides[1])
    found = match_joints(skeleton)
    assert skeleton.names[found["left_hip"]] == hip
    assert skeleton.names[found["left_toe"]] == toe
    assert len(set(found.values())) == len(found)
    other = found["right_toe"] - found["left_toe"]
    assert all(found[f"right_{part}"] - found[f"left_{part}"] == other for part in ("hip", "knee", "ankle"))


def test_unknown_joints_are_listed(tmp_path: Path, body: Body) -> None:
    path = walker_bvh(tmp_path / "odd.bvh", leg_names=("A", "B", "C", "D"))
    with pytest.raises(MotionError, match=r"no joint found for left_hip, .*The skeleton has Hips, LeftA, LeftB"):
        retarget(read_capture(path), body, joint_map={"left_toe": "LeftD"})  # a map is all that then counts
    parts = zip(("hip", "knee", "ankle", "toe"), "ABCD", strict=True)
    joint_map = {f"{side.lower()}_{part}": side + name for part, name in parts for side in ("Left", "Right")}
    assert retarget(read_capture(path), body, joint_map=joint_map).faults == []
    with pytest.raises(MotionError, match=r"no joint 'LeftKnie'; the skeleton has Hips, LeftA"):
        retarget(read_capture(path), body, joint_map=joint_map | {"left_knee": "LeftKnie"})
    with pytest.raises(MotionError, match=re.escape(f"unknown role 'tail'; roles: {', '.join(ROLES)}")):
        retarget(read_capture(path), body, joint_map=joint_map | {"tail": "Hips"})


def test_swapped_sides_are_refused(tmp_path: Path, body: Body) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh"))
    names = [n.replace("Left", "@").replace("Right", "Left").replace("@", "Right") for n in motion.skeleton.names]
    with pytest.raises(MotionError, match="left and right are swapped"):
        retarget(replace(motion, skeleton=replace(motion.skeleton, names=tuple(names))), body)


def test_unit_and_up_can_be_given_or_are_refused(tmp_path: Path) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh"))
    assert extract_landmarks(motion, unit="inch").leg_length == pytest.approx(2.54 * LEG, rel=1e-5)
    assert extract_landmarks(motion, unit="0.005", up="+y").leg_length == pytest.approx(LEG / 2, rel=1e-5)
    for wrong in ("furlong", "-1", 0.0):
        with pytest.raises(MotionError, match="expected metres a unit or one of mm, cm, inch, cmu, m"):
            extract_landmarks(motion, unit=wrong)
    for wrong in ("w", "y+", "+", "yy"):
        with pytest.raises(MotionError, match="expected one of x, y, z"):
            extract_landmarks(motion, up=wrong)
    small = replace(motion, translations=motion.translations * 0.6)
    assert "the legs measure" in extract_landmarks(small).notes[0]


def test_too_short_a_capture(tmp_path: Path, body: Body) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh", seconds=1 / 60))
    with pytest.raises(MotionError, match="nothing moves"):
        retarget(motion, body)


# --- parts, by hand ----------------------------------------------------------------------------------


def test_a_sole_rolls_over_its_edges() -> None:
    """A sole from -0.05 to 0.1 m, 0.06 m under the ankle: the edge that it tilts over stays where it is."""
    shape = SoleShape(toe=0.1, heel=-0.05, bottom=-0.06)
    pitch = np.array([0.0, 0.4, -0.4])
    ankle = _rolling(0.0, pitch, shape)
    np.testing.assert_allclose(ankle[0], [0.0, 0.0, 0.06], atol=1e-12)
    for row, edge, angle in ((1, -0.05, 0.4), (2, 0.1, -0.4)):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        np.testing.assert_allclose(ankle[row, [0, 2]] + turn @ [edge, -0.06], [edge, 0.0], atol=1e-12)
    sideways = _rolling(np.pi / 2, pitch, shape)
    np.testing.assert_allclose(sideways, np.stack([0 * pitch, ankle[:, 0], ankle[:, 2]], axis=1), atol=1e-12)


def test_a_standing_sole_keeps_place_and_heading_in_a_turn() -> None:
    """A foot that stands flat in frames 2-5 while the body turns and the captured ankle creeps."""
    ramp = np.arange(9.0)
    stands = np.isin(ramp, [2, 3, 4, 5])
    path = np.stack([0.01 * ramp, 0 * ramp, np.full(9, 0.06)], axis=1)
    foot = CapturedFoot(
        ankle=path, rise=0 * ramp, pitch=0 * ramp, yaw=0 * ramp, roll=0 * ramp, heel=stands, toe=stands, length=0.1
    )
    sole = sole_target(foot, path, 0.1 * ramp, 1.0, SoleShape(0.1, -0.05, -0.06), 0.02)
    np.testing.assert_allclose(sole.ankle[stands], np.tile([0.035, 0.0, 0.06], (4, 1)), atol=1e-12)
    np.testing.assert_allclose(sole.yaw[stands], 0.35, atol=1e-12)
    np.testing.assert_array_equal(sole.contact, np.stack([stands, stands], axis=1))
    # Outside the one stance the offset to its nearer end is held.
    np.testing.assert_allclose(sole.ankle[[0, 8], 0], [0.0 + 0.015, 0.08 - 0.015], atol=1e-12)
    np.testing.assert_allclose(sole.yaw[[0, 8]], [0.0 + 0.15, 0.8 - 0.15], atol=1e-12)


def test_swings_join_the_stances_around_them() -> None:
    values, free = np.array([5.0, 0, 0, 0, 9.0]), np.array([1.0, 2, 3, 4, 5.0])
    u = _blend(values, free, 1, 4)
    np.testing.assert_allclose(u, [0.25, 0.5, 0.75])
    # Offsets 4 before and 4 after: the free path, lifted by 4.
    np.testing.assert_allclose(values, [5, 6, 7, 8, 9])
    values = np.array([5.0, 0, 0, 0, 9.0])
    _blend(values, np.zeros(5), 1, 4)
    np.testing.assert_allclose(values, [5, 5 + 4 * 0.103515625, 7, 9 - 4 * 0.103515625, 9])


def test_trunk_follows_hips_and_shoulders() -> None:
    """Hips tilted up on the left by 0.1, trunk leaning 0.2 ahead, shoulders turned 0.3 to the left."""
    hip = np.array([0.0, np.cos(0.1), np.sin(0.1)])
    shoulder = np.array([-np.sin(0.3), np.cos(0.3), 0.0])
    top = np.array([np.sin(0.2), 0.0, np.cos(0.2)])
    points = {"left_hip": hip, "right_hip": -hip, "left_shoulder": top + shoulder, "right_shoulder": top - shoulder}
    landmarks = Landmarks({role: np.tile(p, (3, 1)) for role, p in points.items()}, 50.0, 0.8, 1.0, "+z")
    pelvis, chest = _trunk(landmarks, np.zeros(3), None)
    np.testing.assert_allclose(quat_to_rotvec(pelvis[0]), [0.1, 0.2, 0.0], atol=1e-9)
    # The shoulders are level: the chest leans, then turns about its own spine.
    about_spine = quat_mul(quat_conj(quat_from_rotvec(np.array([0.0, 0.2, 0.0]))), chest[0])
    np.testing.assert_allclose(quat_to_rotvec(about_spine), [0.0, 0.0, 0.3], atol=1e-9)
    leant, _ = _trunk(landmarks, np.zeros(3), 0.15)
    np.testing.assert_allclose(quat_to_rotvec(leant[0]), [0.1, 0.15, 0.0], atol=1e-9)


def test_filters_by_hand() -> None:
    ramp = np.arange(4.0)  # 3 s at 1 Hz
    np.testing.assert_allclose(filters.resample(ramp, 1.0, 4.0), np.arange(13) / 4, atol=1e-12)
    assert len(filters.resample(ramp, 1.0, 0.9)) == 3  # 0, 1.11, 2.22 s; the next would be past the end
    time = np.arange(90) / 30
    fine = np.arange(149) / 50
    np.testing.assert_allclose(filters.resample(np.sin(6 * time), 30, 50)[10:-10], np.sin(6 * fine)[10:-10], atol=1e-4)
    swing = 0.5 * time + np.sin(2 * np.pi * time)  # one swing a second on top of a turn
    np.testing.assert_allclose(filters.trend(swing, 30, 1.0)[20:-20], 0.5 * time[20:-20], atol=0.04)
    np.testing.assert_allclose(filters.trend(ramp, 1.0, 10.0), 1.5)  # shorter than the window: its mean
    np.testing.assert_allclose(filters.smooth(time, 30, 0.1), time, atol=1e-12)  # a straight line stays
    rng = np.random.default_rng(0)
    noise = rng.normal(size=50)
    assert (filters.envelope(noise, 4) >= noise - 1e-12).all()
    half_turn = np.stack([np.cos(time / 2), 0 * time, 0 * time, np.sin(time / 2)], axis=1)
    flipped = half_turn * np.where(np.arange(90) % 7 < 3, -1, 1)[:, None]
    recovered = filters.smooth_quaternions(flipped, 30, 0.05)
    np.testing.assert_allclose(np.abs(np.sum(recovered * half_turn, axis=1)), 1.0, atol=1e-5)


def test_load_of_standing(body: Body) -> None:
    """Both soles carry the weight; one alone would have to push from outside itself."""
    qpos = np.repeat(body.home[None], 5, axis=0)
    weight = float(body.model.body_subtreemass[1] * 9.81)
    both = carry(qpos, 50.0, np.ones((5, 4), dtype=bool), body)
    np.testing.assert_allclose(both.contact_force.sum(axis=1), weight, rtol=1e-4)
    assert both.missing_moment.max() < 1e-3 * weight
    left = np.tile([True, True, False, False], (5, 1))
    one = carry(qpos, 50.0, left, body)
    np.testing.assert_allclose(one.contact_force[:, 2:], 0.0)
    # The centre of mass is over y = 0, the left sole's inner edge 0.09 - 0.046 m to its left.
    np.testing.assert_allclose(one.missing_moment / weight, 0.044, atol=0.001)
    none = carry(qpos, 50.0, np.zeros((5, 4), dtype=bool), body)
    np.testing.assert_allclose(none.missing_force, weight, rtol=1e-4)


def test_measured_faults(body: Body) -> None:
    qpos = np.repeat(body.home[None], 20, axis=0)
    contact = np.ones((20, 4), dtype=bool)
    dip = -float(robot_poses(qpos, body).corners[..., 2].min())
    qpos[:, 2] += dip - 0.007  # 7 mm under the floor
    qpos[:, 0] += 0.1 * np.arange(20) / 50  # sliding at 0.1 m/s
    qpos[3, 7] = body.upper[0] + 0.01
    quality = measure(qpos, 50.0, contact, carry(qpos, 50.0, contact, body), body)
    assert quality["penetration_mm"] == pytest.approx(7.0, abs=0.01)
    assert quality["slip_median"] == pytest.approx(0.1, rel=1e-3)
    assert quality["speed"] == pytest.approx(0.1)
    assert quality["limit_violations"] == 1
    assert quality["double_support_percent"] == 100.0
    words = " ".join(faults(quality, body))
    assert all(key in words for key in ("penetration_mm", "slip_median", "limit_violations"))
    flying = measure(qpos, 50.0, ~contact, carry(qpos, 50.0, ~contact, body), body)
    assert "no foot ever stands" in faults(flying, body)


# --- the robot's description -------------------------------------------------------------------------


def test_lengths_of_wildrobot(body: Body) -> None:
    assert body.leg_length == pytest.approx(LEG_ROBOT)
    assert body.step_width == pytest.approx(0.18)
    np.testing.assert_allclose(body.hip_centre, [0, 0, -0.04], atol=1e-9)
    for shape in body.shapes:
        assert (shape.heel, shape.toe, shape.bottom) == pytest.approx((-0.05, 0.1, -0.064))
    np.testing.assert_allclose(
        np.sort(body.corners[0], axis=0)[[0, -1]], [[-0.038, -0.046, -0.008], [0.038, 0.046, -0.008]]
    )
    np.testing.assert_allclose(body.strength, 4.0)
    assert body.weight == pytest.approx(3.375 * 9.81)
    assert body.contact_names == ("left_toe", "left_heel", "right_toe", "right_heel")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("posture:", "postures:", "unknown key postures; allowed: name, model, legs"),
        ("crouch: 0.015", "", "missing key crouch"),
        ("crouch: 0.015", "crouch: low", "crouch is 'low', expected a number"),
        ("scene.xml", "nowhere.xml", r"nowhere\.xml does not exist"),
        ("knee: left_shank", "knee: left_shin", "left_shin"),
        ("sole: left_sole,", "", r"missing key legs\.left\.sole"),
        ("body: pelvis,", "part: pelvis,", r"unknown key tasks\.pelvis\.part; allowed: position, orientation, body"),
        ("name: wildrobot", "name: [wildrobot", "not valid YAML"),
    ],
)
def test_faulty_descriptions_name_the_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = asset_path("wildrobot/retarget.yaml").read_text()
    assert old in text
    model = str(asset_path("wildrobot/scene.xml"))
    path = tmp_path / "robot.yaml"
    path.write_text(text.replace(old, new, 1).replace("model: scene.xml", f"model: {model}"))
    with pytest.raises(MotionError, match=message) as error:
        load_body(path)
    assert str(path) in str(error.value)


def test_a_robot_of_ones_own(tmp_path: Path, body: Body) -> None:
    text = asset_path("wildrobot/retarget.yaml").read_text()
    path = tmp_path / "robot.yaml"
    path.write_text(text.replace("model: scene.xml", f"model: {asset_path('wildrobot/scene.xml')}")
                    .replace("step_width: null", "step_width: 0.2").replace("lean: 0.15", "lean: null"))  # fmt: skip
    mine = load_body(path)
    assert (mine.step_width, mine.lean, mine.leg_length) == (0.2, None, body.leg_length)
    upright = retarget(read_capture(walker_bvh(tmp_path / "walk.bvh", seconds=2.0)), mine).clip
    pitch = 2 * upright.qpos[:, 5]
    assert abs(pitch.mean()) < 0.02  # the walker's trunk is upright, and stays so
    with pytest.raises(MotionError, match=r"unknown robot 'hal'; known: .*wildrobot"):
        load_body("hal")


def test_crop_keeps_the_frames_named(tmp_path: Path) -> None:
    landmarks = extract_landmarks(read_capture(walker_bvh(tmp_path / "walk.bvh", seconds=1.0)))
    part = crop(landmarks, 0.5, None)
    np.testing.assert_array_equal(part.points["left_toe"], landmarks.points["left_toe"][30:])


# --- captures ----------------------------------------------------------------------------------------


@pytest.mark.skipif("GAITNET_MOCAP" not in os.environ, reason="GAITNET_MOCAP names no folder")
@pytest.mark.parametrize(
    "path",
    [
        "asfamc/cmu/02/02_01.amc",
        "asfamc/cmu/16/16_15.amc",
        "bvh/accad_excerpt/Female1_B01_StandToWalk.bvh",
        "bvh/bandai_namco_1/dataset-1_walk_angry_001.bvh",
        "bvh/bandai_namco_2/dataset-2_walk-turn-right_normal_002.bvh",
        "bvh/cmu_cgspeed/02_01.bvh",
        "bvh/games105/walk_and_ture_right.bvh",
        "robot/deepmimic/humanoid3d_walk.txt",
        "robot/isaacgym_amp/amp_humanoid_walk.npz",
    ],
)
@pytest.mark.parametrize("robot", ["wildrobot", "humanoid"])
def test_real_walks_are_fit(path: str, robot: str) -> None:
    target = load_body(robot)
    result = retarget(read_capture(Path(os.environ["GAITNET_MOCAP"]) / path), target)
    quality = result.quality
    assert result.faults == []
    assert quality["ankle_path_mm"] < 40 * target.leg_length
    assert quality["slip_median"] < 0.02
    assert (quality["limit_violations"], quality["penetration_mm"]) == (0, 0)
    assert quality["load_percent"] > 90
    assert quality["root_acceleration_max"] < 25 * np.sqrt(target.leg_length / LEG_ROBOT) + 20
    assert result.clip.duration > 1.0


@pytest.mark.skipif("GAITNET_MOCAP" not in os.environ, reason="GAITNET_MOCAP names no folder")
def test_one_capture_in_two_formats_is_one_clip(body: Body) -> None:
    """CMU 02_01 as AMC and as BVH, which has a rest pose more in front."""
    mocap = Path(os.environ["GAITNET_MOCAP"])
    amc = retarget(read_capture(mocap / "asfamc/cmu/02/02_01.amc"), body).clip
    bvh = retarget(read_capture(mocap / "bvh/cmu_cgspeed/02_01.bvh"), body).clip
    assert amc.frames == bvh.frames
    assert np.abs(amc.qpos - bvh.qpos).mean() < 0.002
    assert amc.meta["captured_leg_m"] == pytest.approx(bvh.meta["captured_leg_m"], rel=1e-3)
