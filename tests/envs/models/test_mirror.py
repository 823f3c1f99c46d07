"""The mirror image of every body: by forward kinematics, by one step of physics, and in what tasks show."""

from __future__ import annotations

import copy
from dataclasses import replace

import gymnasium
import mujoco
import numpy as np
import pytest

from gait_envs.layout import Layout, Row
from gait_envs.models.mirror import Mirror, MirrorError, find_mirror, mirror_of, other_side, swapped_sides
from gait_envs.models.robot import Robot, humanoid, muscle_humanoid, wildrobot
from gait_envs.reference.amp_features import amp_features, amp_layout
from gait_envs.rotations import normalize, quat_from_rotvec
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.simulation.muscles import MuscleSimulation
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.tasks.layouts import action_names, held_actions

ROBOTS = {"wildrobot": wildrobot, "humanoid": humanoid, "muscle_humanoid": muscle_humanoid}
TABLES = ("joints", "bodies", "qpos", "qvel", "muscles", "soles", "toes", "feet", "features")


@pytest.fixture(params=ROBOTS)
def robot(request: pytest.FixtureRequest) -> Robot:
    return ROBOTS[request.param]()


def random_poses(robot: Robot, n: int, seed: int = 0) -> np.ndarray:
    """Poses (n, nq) with every joint somewhere in its range and the root turned anyhow."""
    rng = np.random.default_rng(seed)
    root = np.concatenate([rng.normal(size=(n, 3)), normalize(rng.normal(size=(n, 4)))], axis=1)
    return np.concatenate([root, rng.uniform(robot.lower, robot.upper, (n, len(robot.home)))], axis=1)


# -- tables ---------------------------------------------------------------------------------------------------


def test_every_table_is_an_involution(robot: Robot) -> None:
    tables, rng = mirror_of(robot), np.random.default_rng(0)
    for name in TABLES:
        table = getattr(tables, name)
        values = rng.normal(size=(3, len(table)))
        np.testing.assert_array_equal(table(table(values)), values, err_msg=name)
        np.testing.assert_array_equal(np.sort(table.index), np.arange(len(table)), err_msg=name)
    assert mirror_of(robot) is tables


def test_the_signs_by_hand() -> None:
    """Bending and rotation of what is in the middle change sign; both legs share one sign convention."""
    negative = {n for n, s in zip(wildrobot().joint_names, mirror_of(wildrobot()).joints.sign, strict=True) if s < 0}
    assert negative == {"waist_yaw"}
    tables = mirror_of(humanoid())
    negative = {n for n, s in zip(tables.joint_names, tables.joints.sign, strict=True) if s < 0}
    assert negative == {
        f"{part}_{way}" for part in ("spine", "torso", "neck", "head") for way in ("bending", "rotation")
    }
    assert tables.soles.index.tolist() == [2, 3, 0, 1]
    assert tables.feet.index.tolist() == [1, 0]


def test_names_of_the_other_side() -> None:
    pairs = {
        "left_knee": "right_knee",
        "force.right_soleus": "force.left_soleus",
        "LeftArm": "RightArm",
        "hip_l": "hip_r",
        "L_Foot": "R_Foot",
        "upright": "upright",
        "bright_lamp": "bright_lamp",
        "roll": "roll",
    }
    for name, other in pairs.items():
        assert other_side(name) == other
        assert other_side(other) == name
    with pytest.raises(MirrorError, match=r"'left_b' has no other side 'right_b' among left_a, right_a, left_b"):
        swapped_sides(["left_a", "right_a", "left_b"])


# -- forward kinematics ---------------------------------------------------------------------------------------


def frames(robot: Robot, qpos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Places (T, bodies, 3) m and rotation matrices (T, bodies, 3, 3) of the robot's bodies, by MuJoCo's kinematics."""
    data, places, turns = mujoco.MjData(robot.model), [], []
    for pose in qpos:
        data.qpos[:] = pose
        mujoco.mj_kinematics(robot.model, data)
        places.append(data.xpos[robot.pelvis :].copy())
        turns.append(data.xmat[robot.pelvis :].reshape(-1, 3, 3).copy())
    return np.array(places), np.array(turns)


def image_error(robot: Robot, qpos: np.ndarray, image: np.ndarray) -> float:
    """How far the bodies of the poses `image` are from the reflected bodies of `qpos`: m, and entries of matrices."""
    (places, turns), (places_image, turns_image) = frames(robot, qpos), frames(robot, image)
    swap, across = mirror_of(robot).bodies.index, np.array([1.0, -1.0, 1.0])
    reflected = across[:, None] * turns[:, swap] * across  # S R S, of bodies that are each other's image at rest
    places_error = np.abs(places_image - places[:, swap] * across).max()
    return float(max(places_error, np.abs(turns_image - reflected).max()))


def test_bodies_of_the_mirrored_pose_are_the_reflected_bodies(robot: Robot) -> None:
    tables, qpos = mirror_of(robot), random_poses(robot, 40)
    assert image_error(robot, qpos, tables.qpos(qpos)) < 1e-9
    expected = tables.body_positions(robot.body_positions(qpos))
    np.testing.assert_allclose(robot.body_positions(tables.qpos(qpos)), expected, atol=1e-9)


def test_any_wrong_sign_or_partner_would_be_found(robot: Robot) -> None:
    """The poses of the check are so asymmetric that every joint and every number of the root counts."""
    tables, qpos = mirror_of(robot), random_poses(robot, 4)
    for number in range(len(qpos[0])):
        if number in (0, 2, 3):  # what a mirror keeps of the root
            continue
        sign = tables.qpos.sign.copy()
        sign[number] *= -1
        assert image_error(robot, qpos, replace(tables.qpos, sign=sign)(qpos)) > 1e-3, number
    for joint in np.flatnonzero(tables.joints.index != np.arange(len(tables.joints))):
        index = tables.qpos.index.copy()
        index[7 + joint] = 7 + joint  # does not swap
        assert image_error(robot, qpos, replace(tables.qpos, index=index)(qpos)) > 1e-3, robot.joint_names[joint]


def test_velocities_mirror_as_positions_do(robot: Robot) -> None:
    """Half a millisecond along a velocity, mirrored, is where the mirrored velocity leads."""
    tables, (qpos,) = mirror_of(robot), random_poses(robot, 1)
    qvel = np.random.default_rng(1).normal(size=robot.model.nv)
    ahead, there = qpos.copy(), tables.qpos(qpos)
    mujoco.mj_integratePos(robot.model, ahead, qvel, 5e-4)
    mujoco.mj_integratePos(robot.model, there, tables.qvel(qvel), 5e-4)
    np.testing.assert_allclose(there, tables.qpos(ahead), atol=1e-12)


# -- dynamics -------------------------------------------------------------------------------------------------


def near_home(robot: Robot, n: int) -> tuple[np.ndarray, np.ndarray]:
    """States on the floor, bent and moving a little, unlike on both sides."""
    rng = np.random.default_rng(2)
    qpos = np.tile(robot.home_qpos, (n, 1))
    qpos[:, 1] = rng.normal(size=n)
    qpos[:, 3:7] = quat_from_rotvec(rng.normal(0, 0.1, (n, 3)))
    qpos[:, 7:] += rng.uniform(-0.1, 0.1, (n, len(robot.home)))
    qpos[:, 7:] = np.clip(qpos[:, 7:], robot.lower, robot.upper)
    qpos[:, 2] += 0.01
    return qpos, rng.normal(0, 0.3, (n, robot.model.nv))


def symmetric(robot: Robot) -> Robot:
    """The robot with contacts that have no handedness.

    MuJoCo's discrete integrator regularises a contact by the first edge of its friction pyramid alone, and a mirror
    turns that edge over: the humanoid's joints differ by up to 4e-3 rad on the floor. A cone has no edge.
    """
    if robot.model.opt.integrator != mujoco.mjtIntegrator.mjINT_DISCRETE:
        return robot
    model = copy.copy(robot.model)
    model.opt.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    return replace(robot, model=model)


@pytest.mark.parametrize("name", ROBOTS)
def test_a_step_of_the_mirrored_state_is_the_mirrored_step(name: str) -> None:
    robot = symmetric(ROBOTS[name]())
    tables, n = mirror_of(robot), 3
    qpos, qvel = near_home(robot, n)
    target = robot.home + np.random.default_rng(3).uniform(-0.15, 0.15, (n, len(robot.home)))
    kind = MuscleSimulation if robot.muscles else BatchSimulation
    states = []
    for q, v, goal in ((qpos, qvel, target), (tables.qpos(qpos), tables.qvel(qvel), tables.joints(target))):
        physics = kind(robot, n, 1)
        physics.reset(np.arange(n), q, v)
        physics.step(goal)
        states.append(physics.read())
    plain, image = states
    assert plain.foot_force.max() > 10  # the floor takes part
    tolerance = {"qpos": 1e-9, "qvel": 1e-7}
    for key, atol in tolerance.items():
        np.testing.assert_allclose(getattr(image, key), getattr(tables, key)(getattr(plain, key)), atol=atol)
    np.testing.assert_allclose(image.torque, tables.joints(plain.torque), atol=1e-6 * np.abs(plain.torque).max())
    np.testing.assert_allclose(image.foot_pos, tables.foot_positions(plain.foot_pos), atol=1e-9)
    np.testing.assert_allclose(image.body_pos, tables.body_positions(plain.body_pos), atol=1e-9)
    np.testing.assert_allclose(image.foot_force, tables.soles(plain.foot_force), atol=1e-6 * plain.foot_force.max())
    if robot.muscles:
        np.testing.assert_allclose(image.activation, tables.muscles(plain.activation), atol=1e-8)
        assert plain.activation.max() > 0.05
    features = [amp_features(s.qpos, s.qvel, s.foot_force) for s in states]
    np.testing.assert_allclose(features[1], tables.features(features[0]), atol=1e-5)


# -- what tasks show ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["WildRobot", "Humanoid", "MuscleHumanoid"])
def test_observations_actions_and_rewards_mirror(name: str) -> None:
    env = gymnasium.make(f"GaitNet/{name}-v0", reset_noise=0.0).unwrapped
    core, config = env.core, env.core.task.config
    robot, tables = core.robot, mirror_of(core.robot)
    (qpos,), (qvel,) = near_home(robot, 1)
    names = action_names(robot, config)
    acted = tables.named(names)
    held = tables.named([names[i] for i in held_actions(robot, config)])
    observed = tables.layout(core.task.layout, previous_action=held)
    action = np.random.default_rng(4).uniform(-0.3, 0.3, len(names)).astype(np.float32)
    command = np.array([0.5, 0.2, -0.3])
    seen = []
    for image in (False, True):
        options = {"qpos": qpos, "qvel": qvel, "command": command}
        if image:
            options = {"qpos": tables.qpos(qpos), "qvel": tables.qvel(qvel), "command": command * [1, -1, -1]}
        first, _ = env.reset(seed=0, options=options)
        then, reward, *_ = env.step(acted(action) if image else action)
        seen.append((first, then, reward))
    (first, then, reward), (first_image, then_image, reward_image) = seen
    assert len(observed) == len(first)
    np.testing.assert_allclose(first_image, observed(first), atol=1e-5)
    np.testing.assert_allclose(then_image, observed(then), atol=1e-3)
    assert reward_image == pytest.approx(reward, abs=1e-3)
    assert np.abs(then - observed(then)).max() > 0.1  # the pose was not its own image
    env.close()


def test_the_features_are_those_of_their_layout(robot: Robot) -> None:
    tables = mirror_of(robot)
    by_layout = tables.layout(amp_layout(len(robot.home)))
    np.testing.assert_array_equal(by_layout.index, tables.features.index)
    np.testing.assert_array_equal(by_layout.sign, tables.features.sign)


def test_parameters_of_a_walker_swap_sides() -> None:
    space = ParamSpace(muscle_humanoid())
    weak = space.values({"force.left_soleus": 0.5, "mass": 1.1, "scale.thigh": 0.9})
    image = mirror_of(muscle_humanoid()).named(space.names)(weak)
    np.testing.assert_array_equal(image, space.values({"force.right_soleus": 0.5, "mass": 1.1, "scale.thigh": 0.9}))


def test_rows_of_several_frames_mirror_frame_by_frame() -> None:
    tables = mirror_of(wildrobot())
    twice = tables.layout(Layout((Row("root_error", 6, "m", ""),)))
    np.testing.assert_array_equal(twice(np.arange(1.0, 7.0)), [1, -2, 3, 4, -5, 6])
    with pytest.raises(MirrorError, match="row 'colour' has no mirror image here; known are joint_position"):
        tables.layout(Layout((Row("colour", 3, "1", ""),)))
    with pytest.raises(MirrorError, match="row 'gravity' has 4 numbers, which is no multiple of 3"):
        tables.layout(Layout((Row("gravity", 4, "1", ""),)))


# -- models that have no mirror image -------------------------------------------------------------------------

ARMS = """<mujoco><worldbody><body name="trunk" pos="0 0 1"><freejoint name="root"/><geom size=".1" mass="1"/>
<body name="left_arm" pos="0 {left} 0"><joint name="left_arm" axis="{axis}"/><geom size=".05" mass="1"/></body>
<body name="right_arm" pos="0 -0.2 0"><joint name="right_arm" axis="0 1 0"/><geom size=".05" mass="1"/></body>
</body></worldbody></mujoco>"""


def arms(left: float = 0.2, axis: str = "0 1 0") -> Mirror:
    return find_mirror(mujoco.MjModel.from_xml_string(ARMS.format(left=left, axis=axis)))


def test_axes_that_point_the_other_way_flip_the_sign() -> None:
    assert arms().joints.sign.tolist() == [1, 1]
    assert arms(axis="0 -1 0").joints.sign.tolist() == [-1, -1]


def test_a_lopsided_model_is_refused_by_name() -> None:
    with pytest.raises(MirrorError, match="place of body 'left_arm' is not the mirror image of that of 'right_arm'"):
        arms(left=0.21)
    with pytest.raises(MirrorError, match="axis of joint 'left_arm' is not the mirror image of that of 'right_arm'"):
        arms(axis="0.6 0.8 0")


def test_a_home_that_leans_to_one_side_is_refused() -> None:
    robot = wildrobot()
    home = robot.home.copy()
    home[robot.joint_names.index("left_knee_pitch")] += 0.1
    with pytest.raises(MirrorError, match="home of joint 'left_knee_pitch'"):
        mirror_of(replace(robot, home=home))
