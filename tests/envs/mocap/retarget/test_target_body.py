"""Bodies of any build: the example's robot with arms, hip yaw and ankle roll, the humanoid, and faulty ones."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import mink
import mujoco
import numpy as np
import pytest
import yaml

from gait_envs.mocap.capture import MotionError, SkeletonMotion
from gait_envs.mocap.quality import robot_poses
from gait_envs.mocap.retarget.ik import BoneTask
from gait_envs.mocap.retarget.pelvis_sway import pendulum, sway
from gait_envs.mocap.retarget.pipeline import Retargeted, retarget
from gait_envs.mocap.retarget.retarget_config import read_description
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.rotations import quat_to_matrix, yaw_quat

EXAMPLE = Path(__file__).resolve().parents[4] / "examples" / "my_robot"


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("walking_human", EXAMPLE / "walking_human.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def human() -> SkeletonMotion:
    return load_example().walk(4.0, 60.0)


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body(EXAMPLE / "retarget.yaml")


@pytest.fixture(scope="module")
def walk(human: SkeletonMotion, body: Body) -> Retargeted:
    return retarget(human, body, source="drawn", license="MIT")


def joint(result: Retargeted, name: str) -> np.ndarray:
    return result.clip.qpos[:, 7 + result.clip.joint_names.index(name)]


# --- a whole humanoid --------------------------------------------------------------------------------


def test_the_example_walks(walk: Retargeted, body: Body) -> None:
    quality = walk.quality
    assert walk.faults == []
    assert quality["ankle_path_mm"] < 10
    assert quality["slip_median"] < 0.001
    assert quality["penetration_mm"] < 0.1
    assert quality["limb_error_deg"] < 1.0
    assert quality["cadence"] == pytest.approx(120 / 1.15, rel=0.01)
    scale = body.leg_length / 0.82
    assert walk.clip.mean_speed == pytest.approx(0.8 * scale, rel=0.02)
    assert quality["stride_length"] == pytest.approx(0.8 * 1.15 * scale, rel=0.02)
    assert quality["step_time_asymmetry_percent"] < 5


def test_arms_swing_as_the_humans(walk: Retargeted) -> None:
    """Shoulders by 0.35 rad about the level axis, elbows bent by 0.35 ± 0.15 rad, left against right."""
    for side, sign in (("left", 1), ("right", -1)):
        shoulder, elbow = joint(walk, f"{side}_shoulder_pitch"), joint(walk, f"{side}_elbow")
        time = np.arange(walk.clip.frames) / 50
        np.testing.assert_allclose(shoulder, sign * 0.35 * np.cos(2 * np.pi * time / 1.15), atol=0.03)
        np.testing.assert_allclose(elbow, -0.35 + sign * 0.15 * np.cos(2 * np.pi * time / 1.15), atol=0.03)
        assert np.abs(joint(walk, f"{side}_shoulder_roll")).max() < 0.05


def test_feet_turn_out_and_lie_flat_where_the_robot_can(walk: Retargeted, body: Body) -> None:
    poses, contact = robot_poses(walk.clip.qpos, body), walk.targets.contact
    corners = poses.corners.reshape(walk.clip.frames, 2, 2, 4, 3)  # side, toe and heel
    for k, sign in ((0, 1), (1, -1)):
        flat = contact[:, 2 * k : 2 * k + 2].all(axis=1)
        along = corners[flat, k, 0].mean(axis=1) - corners[flat, k, 1].mean(axis=1)
        turnout = np.degrees(sign * np.arctan2(along[:, 1], along[:, 0]))
        assert turnout.mean() == pytest.approx(8.0, abs=1.2)  # the way is set straight by up to a degree
        assert np.abs(corners[flat, k, ..., 2]).max() < 5e-4  # both soles whole on the floor
    pelvis = np.arctan2(2 * walk.clip.qpos[:, 3] * walk.clip.qpos[:, 6], 1 - 2 * walk.clip.qpos[:, 6] ** 2)
    assert np.ptp(pelvis) == pytest.approx(0.14, abs=0.02)  # it turns with every step


def test_switches_of_the_description(human: SkeletonMotion, tmp_path: Path) -> None:
    """Without the shares feet and pelvis point along the way; without joints of an arm it stays as at home."""
    text = (EXAMPLE / "retarget.yaml").read_text().replace("model: robot.xml", f"model: {EXAMPLE / 'robot.xml'}")
    for key in ("foot_yaw", "foot_roll", "pelvis_yaw"):
        assert f"{key}: 1.0" in text
        text = text.replace(f"{key}: 1.0", f"{key}: 0.0")
    path = tmp_path / "robot.yaml"
    path.write_text(text)
    names = tuple(name.replace("RightHand", "Paw") for name in human.skeleton.names)
    odd = replace(human, skeleton=replace(human.skeleton, names=names))
    plain = load_body(path)
    result = retarget(odd, plain)
    assert np.abs(joint(result, "left_hip_yaw")).max() < 0.03
    assert "the capture lacks joints of right_arm" in " ".join(result.clip.meta["notes"])
    assert result.clip.meta["body"]["digest"] != load_body(EXAMPLE / "retarget.yaml").digest


def test_the_built_in_humanoid(human: SkeletonMotion) -> None:
    humanoid = load_body("humanoid")
    result = retarget(human, humanoid)
    assert result.faults == []
    assert len(result.clip.joint_names) == 50
    assert result.quality["limb_error_deg"] < 1.0
    assert result.quality["limit_violations"] == 0
    assert result.clip.mean_speed == pytest.approx(0.8 * humanoid.leg_length / 0.82, rel=0.02)
    for side in ("left", "right"):
        assert joint(result, f"{side}_knee_flexion").min() > 0.0  # never bent backwards, though it could by 5°
        assert np.ptp(joint(result, f"{side}_arm_flexion")) > 0.4
    assert result.quality["toe_penetration_mm"] < 0.1


# --- parts -------------------------------------------------------------------------------------------


def test_a_bones_direction_and_its_derivative(body: Body) -> None:
    configuration = mink.Configuration(body.model, body.home)
    task = BoneTask(next(bone for bone in body.bones if bone.roles == ("left_elbow", "left_wrist")))
    task.direction = np.array([0.0, 0.0, -1.0])
    # At home shoulder and elbow are bent by 0 and -0.3 rad about y: the forearm points ahead of down.
    wanted = np.array([np.sin(0.3), 0.0, -np.cos(0.3)]) - task.direction
    rng = np.random.default_rng(0)
    # Roll of 0.1 rad at the shoulder tilts the arm to the side; checked against MuJoCo's own frames instead.
    forearm = quat_to_matrix(configuration.data.body("left_forearm").xquat)
    np.testing.assert_allclose(task.compute_error(configuration), forearm @ [0, 0, -1] - task.direction, atol=1e-12)
    np.testing.assert_allclose(task.compute_error(configuration)[0], wanted[0], atol=0.01)
    jacobian, error = task.compute_jacobian(configuration), task.compute_error(configuration)
    for _ in range(5):
        step = rng.normal(size=body.model.nv) * 1e-6
        moved = body.home.copy()
        mujoco.mj_integratePos(body.model, moved, step, 1.0)
        change = task.compute_error(mink.Configuration(body.model, moved)) - error
        np.testing.assert_allclose(jacobian @ step, change, atol=1e-10)


def test_knees_keep_a_bend_to_the_side_of_home() -> None:
    """The humanoid's knee could bend back by 5°, and is straight a little beyond 0."""
    humanoid = load_body("humanoid")
    for side in ("left", "right"):
        knee = humanoid.model.joint(f"{side}_knee_flexion").id
        low, high = humanoid.bent.jnt_range[knee]
        assert humanoid.model.jnt_range[knee, 0] < 0.0 < low < 0.2
        assert high == humanoid.model.jnt_range[knee, 1]
    wildrobot = load_body("wildrobot")
    changed = np.flatnonzero((wildrobot.bent.jnt_range != wildrobot.model.jnt_range).any(axis=1))
    assert [wildrobot.model.joint(j).name for j in changed] == ["left_knee_pitch", "right_knee_pitch"]
    np.testing.assert_allclose(wildrobot.bent.jnt_range[changed, 0], 0.05)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('timestep="0.002"', 'timestep="0.002" gravity="0 0 -1.62"'),
        ('damping="0.1"', 'damping="0.1" stiffness="5"'),
        ('kp="40"', 'kp="41"'),
        ('size="0.04 0.06 0.03" mass="0.8"', 'size="0.04 0.06 0.03" pos="0.01 0 0" mass="0.8"'),
        ("inheritrange", 'gear="2" inheritrange'),
    ],
)
def test_the_digest_is_of_all_of_the_robot_and_of_nothing_else(tmp_path: Path, old: str, new: str, body: Body) -> None:
    text = (EXAMPLE / "robot.xml").read_text()
    assert old in text
    (tmp_path / "retarget.yaml").write_text((EXAMPLE / "retarget.yaml").read_text())
    (tmp_path / "robot.xml").write_text(text)
    assert load_body(tmp_path / "retarget.yaml").digest == body.digest  # wherever it lies
    (tmp_path / "robot.xml").write_text(text.replace(old, new))
    assert load_body(tmp_path / "retarget.yaml").digest != body.digest


def test_strength_of_motors_and_servos(tmp_path: Path) -> None:
    """A servo's force limit, a motor's control range times gain and gear, and a joint that nothing drives."""
    text = (EXAMPLE / "robot.xml").read_text()
    text = text.replace('<position joint="left_knee"/>', '<motor joint="left_knee" gear="3" ctrlrange="-2 2"/>')
    text = text.replace('<position joint="neck_yaw"/>', "")
    (tmp_path / "robot.xml").write_text(text)
    (tmp_path / "robot.yaml").write_text((EXAMPLE / "retarget.yaml").read_text())
    found = load_body(tmp_path / "robot.yaml")
    strength = dict(zip(found.joint_names, found.strength, strict=True))
    assert (strength["right_knee"], strength["left_knee"], strength["neck_yaw"]) == (10.0, 6.0, np.inf)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("left_wrist: left_hand", "left_paw: left_hand", r"limbs\.left_arm\.chain: unknown role 'left_paw'; roles:"),
        ("left_wrist: left_hand", "left_wrist: paw", r"limbs\.left_arm\.chain\.left_wrist: the model has no body or"),
        ("hip: left_thigh", "hip: left_thigth", r"legs\.left\.hip: the model has no body 'left_thigth'; it has pelv"),
        ("sole: right_sole", "sole: sole", r"legs\.right\.sole: the model has no site 'sole'; it has .*left_sole"),
        ("left_toe, left_heel]", "left_toe, heel]", r"legs\.left\.contacts: the model has no geom 'heel'; it has .*"),
        ("body: torso,", "body: chest,", r"tasks\.chest\.body: the model has no body 'chest'; it has pelvis,"),
        ("left_wrist: left_hand", "left_wrist: left_forearm", r"'left_forearm' and 'left_forearm' are in one place"),
        ("weight: 5}", "weight: much}", r"limbs\.left_arm\.weight is 'much', expected a number"),
        ("chain: {left_shoulder", "links: {left_shoulder", r"unknown key limbs\.left_arm\.links; allowed: chain,"),
        ("body: pelvis,", "body: torso,", r"tasks\.pelvis\.body must be the root, 'pelvis'"),
        ("knee: left_shank", "knee: left_foot", "no joint of 'left_foot' bends the leg"),
        ("contacts: [left_toe, left_heel]", "contacts: [left_toe]", "the left foot has 1 contacts, the right one 2"),
        ("contacts: [left_toe, left_heel]", "contacts: [left_toe, right_heel]", "'right_heel' is no part of 'left_f"),
        ("step_width: capture", "step_width: wide", "step_width is 'wide', expected a number"),
        ("  left_arm: {", "  left_arm: [", "not valid YAML"),
        ("ankle: right_foot", "ankle: -1", r"legs\.right\.ankle is -1, expected the name of a body"),
        ("sole: left_sole", "sole: null", r"legs\.left\.sole is None, expected the name of a site"),
        ("model: robot.xml", f"model: {'x' * 300}", r"model: .*xxx.* does not exist"),
        ("body: pelvis,", "body: 0,", r"tasks\.pelvis\.body is 0, expected the name of a body"),
    ],
)  # fmt: skip
def test_faulty_descriptions_of_limbs_and_legs(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (EXAMPLE / "retarget.yaml").read_text()
    assert old in text
    path = tmp_path / "robot.yaml"
    path.write_text(text.replace(old, new, 1).replace("model: robot.xml", f"model: {EXAMPLE / 'robot.xml'}"))
    with pytest.raises(MotionError, match=message):
        load_body(path)


def test_a_robot_that_faces_another_way_is_refused(tmp_path: Path) -> None:
    turned = "0 0 0.4520 0 0 0 1"
    text = (EXAMPLE / "robot.xml").read_text().replace("0 0 0.4520 1 0 0 0", turned)
    assert turned in text
    (tmp_path / "robot.xml").write_text(text)
    (tmp_path / "robot.yaml").write_text((EXAMPLE / "retarget.yaml").read_text())
    with pytest.raises(MotionError, match=r"left hip is not to the left \(\+y\) of the right; the robot must face \+x"):
        load_body(tmp_path / "robot.yaml")


# --- sway --------------------------------------------------------------------------------------------


def test_a_pendulums_path_over_a_push() -> None:
    np.testing.assert_allclose(pendulum(np.full(40, 0.3), 0.4, 50.0), 0.3, atol=1e-12)
    time = np.arange(200) / 50
    push = np.cos(np.pi * time)  # flat at both ends, as the path must be there
    # y - (h/g) y'' = cos(πt) has y = cos(πt) / (1 + (h/g) π²).
    gain = 1 / (1 + 0.4 / 9.81 * np.pi**2)
    np.testing.assert_allclose(pendulum(push, 0.4, 50.0)[20:-20], gain * push[20:-20], atol=2e-3)


def test_sway_leads_the_pelvis_over_the_standing_foot(walk: Retargeted) -> None:
    pelvis, soles = walk.targets.pelvis, walk.targets.soles
    yaw = np.zeros(len(pelvis))
    still = sway(pelvis, soles, yaw, 0.0, 50.0, 1.15)
    middle = slice(40, 160)
    assert np.ptp(still[middle, 1] - np.linspace(*still[[40, 159], 1], 120)) < 0.002  # straight on
    np.testing.assert_array_equal(still[:, [0, 2]], pelvis[:, [0, 2]])
    over = sway(pelvis, soles, yaw, 1.0, 50.0, 1.15)
    left, right = (sole.contact.any(axis=1) for sole in soles)
    assert (over[middle, 1][(left & ~right)[middle]]).mean() > 0.005
    assert (over[middle, 1][(right & ~left)[middle]]).mean() < -0.005
    # Turned by a right angle the same comes out, turned.
    quarter = quat_to_matrix(yaw_quat(np.array(np.pi / 2)))
    turned_soles = [replace(sole, ankle=sole.ankle @ quarter.T) for sole in soles]
    turned = sway(pelvis @ quarter.T, turned_soles, yaw + np.pi / 2, 1.0, 50.0, 1.15)
    np.testing.assert_allclose(turned, over @ quarter.T, atol=1e-9)


# --- the page about it -------------------------------------------------------------------------------


def test_the_page_shows_the_example_and_every_key() -> None:
    page = EXAMPLE.parents[1] / "docs" / "retarget_your_robot.md"
    if not page.is_file():
        pytest.skip("an installed package carries no docs")
    text = page.read_text(encoding="utf-8")
    shown = yaml.safe_load(text.split("```yml\n")[1].split("```")[0])
    example = yaml.safe_load((EXAMPLE / "retarget.yaml").read_text())
    shown["limbs"] |= {key: example["limbs"][key] for key in example["limbs"] if key not in shown["limbs"]}
    assert shown == {key: example[key] for key in shown}
    keys = set(read_description(EXAMPLE / "retarget.yaml").numbers)
    assert {key for key in keys if f"`{key}`" not in text} == set()
