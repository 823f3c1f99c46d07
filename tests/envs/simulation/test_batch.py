"""The robot as the design says, and the physics as MuJoCo does it."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from gait_envs.models.robot import SOLES, load_robot, wildrobot
from gait_envs.rotations import quat_from_rotvec, quat_mul
from gait_envs.simulation.base import State
from gait_envs.simulation.batch import BatchSimulation

ROBOT = wildrobot()
MODEL = ROBOT.model
NAMES = (
    "waist_yaw",
    *("left_hip_pitch", "left_hip_roll", "left_knee_pitch", "left_ankle_pitch"),
    *("right_hip_pitch", "right_hip_roll", "right_knee_pitch", "right_ankle_pitch"),
)
SWAPPED = [0, 5, 6, 7, 8, 1, 2, 3, 4]  # joints of the other side
MIRROR = [0, 1, 6, 7, 8, 9, 2, 3, 4, 5]  # bodies of the other side


# -- the robot ------------------------------------------------------------------------------------------


def test_masses() -> None:
    """kg: waist 0.440, chassis 0.841; each leg's hip 0.085, thigh 0.237, shank 0.376, foot 0.349."""
    mass = {MODEL.body(i).name: MODEL.body_mass[i] for i in range(MODEL.nbody)}
    assert mass["pelvis"] == pytest.approx(0.440)
    assert mass["chassis"] == pytest.approx(0.841)
    for side in ("left", "right"):
        legs = {"hip": 0.085, "thigh": 0.237, "shank": 0.376, "foot": 0.349}
        assert {part: mass[f"{side}_{part}"] for part in legs} == pytest.approx(legs)
    assert ROBOT.mass == pytest.approx(0.440 + 0.841 + 2 * (0.085 + 0.237 + 0.376 + 0.349)) == pytest.approx(3.375)


def test_joints_and_ranges() -> None:
    assert ROBOT.joint_names == NAMES
    leg = [(-0.087, 1.571), (-0.175, 1.571), (0.0, 1.396), (-0.785, 0.785)]
    np.testing.assert_allclose(np.stack([ROBOT.lower, ROBOT.upper], 1), [(-0.524, 0.524), *leg, *leg])
    np.testing.assert_allclose(ROBOT.half_range, (ROBOT.upper - ROBOT.lower) / 2)
    np.testing.assert_array_equal(ROBOT.home, ROBOT.home_qpos[7:])
    np.testing.assert_array_equal(ROBOT.home, ROBOT.home[SWAPPED])


def test_servos() -> None:
    np.testing.assert_allclose(MODEL.actuator_gainprm[:, 0], 21.1)
    np.testing.assert_allclose(MODEL.actuator_biasprm[:, :3], np.tile([0, -21.1, -0.5], (9, 1)))
    np.testing.assert_allclose(MODEL.actuator_forcerange, np.tile([-4, 4], (9, 1)))
    for field, value in (("dof_damping", 0.0852), ("dof_armature", 0.025), ("dof_frictionloss", 0.0223)):
        np.testing.assert_allclose(getattr(MODEL, field)[6:], value)
        np.testing.assert_allclose(getattr(MODEL, field)[:6], 0)  # nothing holds the root in the air


def test_rates() -> None:
    assert MODEL.opt.timestep == 0.002
    assert ROBOT.substeps == 10
    assert ROBOT.dt == pytest.approx(0.02)
    with pytest.raises(ValueError, match=r"70.0 Hz control is no whole number of 0.002 s"):
        load_robot("wildrobot/scene.xml", 70.0)
    with pytest.raises(FileNotFoundError, match=r"no asset 'wildrobot/nowhere\.xml'"):
        load_robot("wildrobot/nowhere.xml")


def test_feet() -> None:
    np.testing.assert_allclose(2 * MODEL.geom_size[ROBOT.soles][:, :2], [[0.076, 0.092], [0.044, 0.091]] * 2)
    assert [MODEL.geom(i).name for i in ROBOT.soles] == list(SOLES)
    np.testing.assert_allclose(MODEL.geom_friction[ROBOT.soles, 0], 1)
    np.testing.assert_allclose(pose({})["left_toe"][2] - 0.008, 0, atol=2e-3)  # at home the sole is on the floor


def pose(angles: dict[str, float]) -> dict[str, np.ndarray]:
    """Places (m) of the named points with the joints at `angles`, the others at home."""
    data = mujoco.MjData(MODEL)
    data.qpos[:] = ROBOT.home_qpos
    for name, angle in angles.items():
        data.joint(name).qpos += angle
    mujoco.mj_kinematics(MODEL, data)
    return {name: data.geom(name).xpos.copy() for name in (*SOLES, "left_arm", "right_arm")}


@pytest.mark.parametrize("side, outward", [("left", 1), ("right", -1)])
def test_signs(side: str, outward: int) -> None:
    """Hip + swings the foot forward, knee + backward, ankle + lifts the toe, roll + moves the foot outward."""
    home, toe, heel = pose({}), f"{side}_toe", f"{side}_heel"
    assert pose({f"{side}_hip_pitch": 0.3})[toe][0] > home[toe][0] + 0.05
    bent = pose({f"{side}_knee_pitch": 0.3})
    assert bent[toe][0] < home[toe][0] - 0.03
    raised = pose({f"{side}_ankle_pitch": 0.3})
    assert raised[toe][2] > home[toe][2] + 0.01
    assert raised[heel][2] < home[heel][2]
    assert outward * (pose({f"{side}_hip_roll": 0.3})[toe][1] - home[toe][1]) > 0.05
    other = "right_toe" if side == "left" else "left_toe"
    np.testing.assert_array_equal(pose({f"{side}_hip_roll": 0.3})[other], home[other])


def test_the_waist_turns_left() -> None:
    turned = pose({"waist_yaw": 0.3})
    assert turned["left_arm"][0] < pose({})["left_arm"][0] - 0.01
    assert turned["right_arm"][0] > pose({})["right_arm"][0] + 0.01


# -- the physics ----------------------------------------------------------------------------------------


def started(qpos: np.ndarray, qvel: np.ndarray | None = None, threads: int = 1) -> BatchSimulation:
    """Simulations that begin at the rows of `qpos` (n, nq)."""
    physics = BatchSimulation(ROBOT, len(qpos), threads)
    physics.reset(np.arange(len(qpos)), qpos, np.zeros((len(qpos), MODEL.nv)) if qvel is None else qvel)
    return physics


def random_starts(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    qpos = np.tile(ROBOT.home_qpos, (n, 1))
    qpos[:, 7:] = np.clip(qpos[:, 7:] + rng.uniform(-0.2, 0.2, (n, 9)), ROBOT.lower, ROBOT.upper)
    qpos[:, 3:7] = quat_from_rotvec(rng.uniform(-0.2, 0.2, (n, 3)))
    qpos[:, 2] += 0.02
    return qpos, rng.uniform(-0.5, 0.5, (n, 15))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_batch_is_a_loop_over_mjdata(threads: int) -> None:
    """Bit for bit over random controls, resets and pushes on the way."""
    qpos, qvel = random_starts(5)
    physics, rng = started(qpos, qvel, threads), np.random.default_rng(1)
    loop = [mujoco.MjData(MODEL) for _ in qpos]

    def restart(i: int) -> None:
        mujoco.mj_resetData(MODEL, loop[i])
        loop[i].qpos[:], loop[i].qvel[:], loop[i].ctrl[:] = qpos[i], qvel[i], qpos[i, 7:]
        mujoco.mj_forward(MODEL, loop[i])

    for i in range(5):
        restart(i)
    for step in range(60):
        target = rng.uniform(ROBOT.lower, ROBOT.upper, (5, 9))
        if step == 20:
            restart(3)
            physics.reset(np.array([3]), qpos[[3]], qvel[[3]])
        if step == 30:
            physics.push(np.array([1]), np.array([[0.4, -0.2]]))
            loop[1].qvel[:2] += [0.4, -0.2]
        ids = None if step % 3 else np.array([0, 1, 3, 4])
        physics.step(target, ids)
        for i, data in enumerate(loop):
            if ids is None or i in ids:
                data.ctrl[:] = target[i]
                mujoco.mj_step(MODEL, data, ROBOT.substeps)
        state = physics.read()
        np.testing.assert_array_equal(state.qpos, [data.qpos for data in loop], err_msg=f"step {step}")
        np.testing.assert_array_equal(state.qvel, [data.qvel for data in loop], err_msg=f"step {step}")


def test_sensors_describe_the_state_they_come_with() -> None:
    """Kinematic sensors are refreshed at the new state, not one substep behind it."""
    qpos, qvel = random_starts(3)
    physics = started(qpos, qvel)
    data = mujoco.MjData(MODEL)
    for step in range(15):
        physics.step(qpos[:, 7:] + 0.1 * np.sin(step))
    state = physics.read()
    for i in range(3):
        data.qpos[:], data.qvel[:] = state.qpos[i], state.qvel[i]
        mujoco.mj_forward(MODEL, data)
        np.testing.assert_allclose(state.gyro[i], state.qvel[i, 3:6], atol=1e-12)  # the IMU's axes are the root's
        for foot, side in enumerate(("left", "right")):
            np.testing.assert_allclose(state.foot_pos[i, foot], data.site(f"{side}_sole").xpos, atol=1e-12)
            velocity = np.zeros(6)
            site = MODEL.site(f"{side}_sole").id
            mujoco.mj_objectVelocity(MODEL, data, mujoco.mjtObj.mjOBJ_SITE, site, velocity, 0)
            np.testing.assert_allclose(state.foot_vel[i, foot], velocity[3:], atol=1e-12)


def test_home_stands_for_two_seconds() -> None:
    physics = started(ROBOT.home_qpos[None])
    heights, loads = [], []
    for _ in range(100):
        physics.step(ROBOT.home[None])
        state = physics.read()
        heights.append(state.qpos[0, 2])
        loads.append(state.foot_force[0])
    assert min(heights) > 0.45
    assert state.qpos[0, 3] > np.cos(0.1 / 2)  # tilted by less than 0.1 rad
    weight = ROBOT.mass * 9.81
    assert np.mean(loads[50:], axis=0).sum() == pytest.approx(weight, rel=0.02)
    left, right = np.mean(loads[50:], axis=0).reshape(2, 2).sum(1)
    assert left == pytest.approx(right, rel=0.02)
    assert np.abs(state.torque).max() < 4.0


def test_a_servo_pushes_by_its_law() -> None:
    """torque = kp (target - q) - kv q', within 4 N·m."""
    qpos = np.tile(ROBOT.home_qpos, (2, 1))
    qpos[:, 2] = 5.0  # in the air
    physics = started(qpos)
    physics.batch.ctrl[:] = [ROBOT.home + 0.05, ROBOT.home + 1.0]
    physics.batch.forward()
    np.testing.assert_allclose(physics.read().torque, [[21.1 * 0.05] * 9, [4.0] * 9])


def mirrored(state: State) -> State:
    """The state seen in a mirror on the x-z plane."""
    joints = np.array([-1.0] + [1.0] * 8)
    return State(
        qpos=np.concatenate(
            [state.qpos[:, :7] * [1, -1, 1, 1, -1, 1, -1], (state.qpos[:, 7:] * joints)[:, SWAPPED]], axis=1
        ),
        qvel=np.concatenate(
            [state.qvel[:, :6] * [1, -1, 1, -1, 1, -1], (state.qvel[:, 6:] * joints)[:, SWAPPED]], axis=1
        ),
        gyro=state.gyro * [-1, 1, -1],
        foot_force=state.foot_force[:, [2, 3, 0, 1]],
        foot_pos=state.foot_pos[:, ::-1] * [1, -1, 1],
        foot_vel=state.foot_vel[:, ::-1] * [1, -1, 1],
        torque=(state.torque * joints)[:, SWAPPED],
        body_pos=state.body_pos[:, MIRROR] * [1, -1, 1],
    )


def test_the_simulation_is_left_right_symmetric() -> None:
    qpos, qvel = random_starts(4, seed=3)
    physics = started(qpos, qvel)
    reflection = mirrored(physics.read())
    twin = started(reflection.qpos, reflection.qvel)
    for step in range(12):  # a quarter of a second with contacts; longer, chaos magnifies rounding
        target = ROBOT.home + 0.3 * np.random.default_rng(step).uniform(-1, 1, (4, 9))
        physics.step(target)
        twin.step((target * ([-1.0] + [1.0] * 8))[:, SWAPPED])
    expected, found = mirrored(physics.read()), twin.read()
    assert expected.foot_force.max() > 10
    for name in ("qpos", "qvel", "gyro", "foot_pos", "foot_vel", "torque"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-6, err_msg=name)
    np.testing.assert_allclose(found.foot_force, expected.foot_force, atol=1e-3)


def test_the_lowest_sole_is_the_lowest_corner() -> None:
    physics, data = BatchSimulation(ROBOT, 1, threads=1), mujoco.MjData(MODEL)
    rng = np.random.default_rng(0)
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, 8).T
    for _ in range(20):
        qpos = ROBOT.home_qpos.copy()
        qpos[7:] = rng.uniform(ROBOT.lower, ROBOT.upper)
        qpos[3:7] = quat_from_rotvec(rng.uniform(-1, 1, 3))
        data.qpos[:] = qpos
        mujoco.mj_kinematics(MODEL, data)
        heights = [
            (data.geom_xpos[g] + data.geom_xmat[g].reshape(3, 3) @ (corner * MODEL.geom_size[g]))[2]
            for g in ROBOT.soles
            for corner in corners
        ]
        assert physics.lowest_sole(qpos) == pytest.approx(min(heights), abs=1e-12)


def test_a_push_changes_the_roots_velocity() -> None:
    physics = started(np.tile(ROBOT.home_qpos, (2, 1)))
    physics.push(np.array([1]), np.array([[0.3, -0.1]]))
    physics.step(np.tile(ROBOT.home, (2, 1)))
    velocity = physics.read().qvel[:, :2]
    assert np.abs(velocity[0]).max() < 0.02
    assert velocity[1, 0] > 0.1
    assert velocity[1, 1] < -0.02


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e8])
def test_divergence_is_reported_and_forgotten(value: float, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(str(tmp_path))  # MuJoCo writes its warnings to a file where it is run
    home = np.tile(ROBOT.home_qpos, (3, 1))
    physics, calm = started(home), started(home)
    physics.batch.qvel[1, 8] = value
    for simulation in (physics, calm):
        simulation.step(home[:, 7:])
    assert physics.diverged.tolist() == [False, True, False]
    physics.reset(np.array([1]), home[:1], np.zeros((1, 15)))
    assert not physics.diverged.any()
    calm.reset(np.array([1]), home[:1], np.zeros((1, 15)))
    for simulation in (physics, calm):
        simulation.step(home[:, 7:])
    assert not physics.diverged.any()
    for name in ("qpos", "qvel", "foot_force", "torque"):
        np.testing.assert_array_equal(getattr(physics.read(), name), getattr(calm.read(), name))


def test_states_are_copies() -> None:
    physics = started(ROBOT.home_qpos[None])
    state = physics.read()
    before = state.qpos.copy()
    for _ in range(5):
        physics.step(ROBOT.home[None] + 0.2)
    np.testing.assert_array_equal(state.qpos, before)
    both = state.where(np.array([True]), physics.read())
    np.testing.assert_array_equal(both.qpos, physics.read().qpos)
    assert not np.array_equal(both.qpos, state.qpos)


def test_turning_the_start_turns_the_life() -> None:
    """The floor has no direction."""
    qpos, qvel = random_starts(1, seed=5)
    turn = quat_from_rotvec(np.array([0, 0, np.pi / 2]))
    turned, velocity = qpos.copy(), qvel.copy()
    turned[:, 3:7] = quat_mul(turn, qpos[:, 3:7])
    velocity[:, 0], velocity[:, 1] = -qvel[:, 1], qvel[:, 0]
    one, two = started(qpos, qvel), started(turned, velocity)
    for _ in range(6):
        one.step(ROBOT.home[None])
        two.step(ROBOT.home[None])
    np.testing.assert_allclose(two.read().qpos[:, 7:], one.read().qpos[:, 7:], atol=1e-3)
    np.testing.assert_allclose(two.read().qpos[:, 1], one.read().qpos[:, 0], atol=1e-3)


@pytest.mark.parametrize("n", [1, 3])
def test_a_step_reads_the_sensors_of_mujocos_own_and_leaves_the_model_alone(n: int) -> None:
    """Sensors are computed in the last physics step only; they and the state have MuJoCo's bits."""
    robot = ROBOT.copy()
    physics, data, flags = (
        BatchSimulation(robot, n, threads=1),
        mujoco.MjData(robot.model),
        robot.model.opt.disableflags,
    )
    physics.reset(np.arange(n), np.tile(robot.home_qpos, (n, 1)), np.zeros((n, robot.model.nv)))
    physics.get_data(0, data)
    for target in np.random.default_rng(0).uniform(robot.lower, robot.upper, (6, len(robot.home))):
        physics.step(np.tile(target, (n, 1)))
        data.ctrl[:] = target
        mujoco.mj_step(robot.model, data, robot.substeps)
        np.testing.assert_array_equal(physics.batch.qpos[-1], data.qpos)
        np.testing.assert_array_equal(physics.read().foot_force[-1], data.sensordata[robot.touch])
        assert robot.model.opt.disableflags == flags
    assert physics.read().foot_force.max() > 0
