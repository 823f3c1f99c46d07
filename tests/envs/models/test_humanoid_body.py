"""The humanoid's body: figures, order, symmetry, and that it stands."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from helpers.human import ARM, JOINTS, LEG, at_home, load

BODIES = {"femur", "tibia", "talus", "big_toe", "small_toes", "shoulder", "arm", "forearm", "hand"}


@pytest.fixture(scope="module")
def torque() -> mujoco.MjModel:
    return load("scene")


@pytest.fixture(scope="module", params=["scene", "muscle_scene"])
def model(request: pytest.FixtureRequest) -> mujoco.MjModel:
    return load(request.param)


def test_size_and_order(model: mujoco.MjModel) -> None:
    assert model.nbody - 1 == 23
    assert model.nv == 56
    assert tuple(model.joint(i).name for i in range(model.njnt)) == ("root", *JOINTS)
    assert model.body_subtreemass[1] == pytest.approx(73.0, abs=1e-3)
    assert 1 / model.opt.timestep == pytest.approx(480)
    assert (1 / 30) / model.opt.timestep == pytest.approx(round((1 / 30) / model.opt.timestep))


def test_stature(model: mujoco.MjModel) -> None:
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    crown = data.geom("head").xpos[2] + model.geom("head").size[2]
    sole = data.geom("left_heel").xpos[2] - model.geom("left_heel").size[2]
    assert crown - sole == pytest.approx(1.70, abs=0.002)
    hip, ankle = data.body("left_femur").xpos[2], data.body("left_talus").xpos[2]
    assert hip - ankle == pytest.approx(1.70 * (422.2 + 440.3) / 1741, abs=0.001)  # de Leva's thigh and shank


def test_a_segment_by_hand(torque: mujoco.MjModel) -> None:
    # de Leva's thigh: 14.16 % of 73 kg, 0.4125 m long, centre 40.95 % down, radius 32.9 % of the length.
    thigh = torque.body("left_femur")
    length = 0.2425 * 1.70
    assert thigh.mass[0] == pytest.approx(0.1416 * 73.0, rel=1e-4)
    np.testing.assert_allclose(thigh.ipos, [0, 0, -0.4095 * length], atol=1e-4)
    assert thigh.inertia[0] == pytest.approx(0.1416 * 73.0 * (0.329 * length) ** 2, rel=1e-3)


def test_both_sides_are_alike(model: mujoco.MjModel) -> None:
    for name in BODIES:
        left, right = model.body(f"left_{name}"), model.body(f"right_{name}")
        np.testing.assert_allclose(left.pos, right.pos * [1, -1, 1], atol=1e-12)
        np.testing.assert_allclose(left.ipos, right.ipos * [1, -1, 1], atol=1e-12)
        assert left.mass[0] == right.mass[0]
        np.testing.assert_array_equal(left.inertia, right.inertia)
    for name in (*LEG, *ARM):
        left, right = model.joint(f"left_{name}"), model.joint(f"right_{name}")
        np.testing.assert_array_equal(left.range, right.range)
        np.testing.assert_array_equal(left.axis, right.axis * [-1, 1, -1])  # a mirror turns rotations about y only
        np.testing.assert_array_equal(left.damping, right.damping)
    for i in range(model.nu):
        name = model.actuator(i).name
        if name.startswith("left_"):
            left, right = model.actuator(name), model.actuator(name.replace("left_", "right_"))
            np.testing.assert_array_equal(left.gainprm, right.gainprm)
            np.testing.assert_array_equal(left.forcerange, right.forcerange)


@pytest.mark.parametrize("joint, end, axis, sign", [
    ("hip_flexion", "tibia", 0, 1), ("hip_abduction", "tibia", 1, 1), ("knee_flexion", "talus", 0, -1),
    ("ankle_dorsiflexion", "big_toe", 2, 1), ("big_toe_extension", "big_toe", 2, 1), ("arm_flexion", "forearm", 0, 1),
    ("arm_abduction", "forearm", 1, 1), ("elbow_flexion", "hand", 0, 1), ("shoulder_elevation", "arm", 2, 1),
    ("shoulder_protraction", "arm", 0, 1),
])  # fmt: skip
def test_positive_is_forward_outward_and_up(torque: mujoco.MjModel, joint: str, end: str, axis: int, sign: int) -> None:
    data = mujoco.MjData(torque)
    for side, outward in (("left", 1), ("right", -1)):
        data.qpos[:] = torque.qpos0
        mujoco.mj_kinematics(torque, data)
        before = data.body(f"{side}_{end}").xipos.copy()
        data.qpos[torque.joint(f"{side}_{joint}").qposadr] += 0.3
        mujoco.mj_kinematics(torque, data)
        moved = (data.body(f"{side}_{end}").xipos - before) * [1, outward, 1]
        assert moved[axis] * sign > 0.001, side


def test_home_stands_on_its_soles(model: mujoco.MjModel) -> None:
    data = at_home(model)
    soles = [data.geom(f"{side}_{part}") for side in ("left", "right") for part in ("toe", "heel")]
    assert [sole.xpos[2] for sole in soles] == pytest.approx([0.010] * 4, abs=2e-4)  # boxes 2 cm high
    ankle, toe = data.body("left_talus").xpos[0], data.body("left_big_toe").xpos[0]
    assert ankle + 0.02 < data.subtree_com[1, 0] < toe - 0.02
    assert data.subtree_com[1, 1] == pytest.approx(0, abs=1e-9)


def test_parts_that_are_no_neighbours_do_not_touch(torque: mujoco.MjModel) -> None:
    data = at_home(torque)
    solid = [i for i in range(torque.ngeom) if torque.geom_bodyid[i] and torque.geom_conaffinity[i]]
    touching = [
        (torque.geom(a).name, torque.geom(b).name)
        for n, a in enumerate(solid)
        for b in solid[n + 1 :]
        if distance_in_tree(torque, a, b) > 2 and mujoco.mj_geomDistance(torque, data, a, b, 1.0, None) <= 0
    ]
    assert not touching


def distance_in_tree(model: mujoco.MjModel, a: int, b: int) -> int:
    """Joints between two geoms' bodies."""
    chains = []
    for geom in (a, b):
        chain, body = [], int(model.geom_bodyid[geom])
        while body:
            chain.append(body)
            body = int(model.body_parentid[body])
        chains.append(set(chain))
    return len(chains[0] ^ chains[1])


def test_the_mass_matrix_is_well_conditioned(model: mujoco.MjModel) -> None:
    data = at_home(model)
    matrix = np.zeros((model.nv, model.nv))
    mujoco.mj_fullM(model, data, matrix)
    scale = 1 / np.sqrt(np.diag(matrix))
    assert np.linalg.cond(scale[:, None] * matrix * scale) < 2000
    assert np.linalg.eigvalsh(matrix).min() > 1e-4


def test_sensors_lie_as_a_robots_do(model: mujoco.MjModel) -> None:
    for run in (("left_toe", "left_heel", "right_toe", "right_heel"), ("left_sole_pos", "right_sole_pos"),
                ("left_sole_vel", "right_sole_vel")):  # fmt: skip
        starts = [int(model.sensor(name).adr[0]) for name in run]
        assert np.diff(starts).tolist() == [int(model.sensor(run[0]).dim[0])] * (len(run) - 1)
    assert model.sensor("gyro").dim[0] == 3
    for name in ("left_toe", "left_heel", "right_toe", "right_heel"):
        assert model.geom(name).type == mujoco.mjtGeom.mjGEOM_BOX


def test_it_stands_when_its_joints_are_held() -> None:
    model = load("scene")
    model.qpos_spring[:] = model.key("home").qpos
    model.jnt_stiffness[1:], model.dof_damping[6:] = 1000, 30  # two ankles must outdo m g h = 670 N·m/rad
    data = at_home(model)
    mujoco.mj_step(model, data, 960)
    assert data.qpos[2] == pytest.approx(model.key("home").qpos[2], abs=0.01)
    names = [f"{side}_{part}" for side in ("left", "right") for part in ("toe", "heel", "big_toe", "small_toes")]
    weight = sum(float(data.sensor(name).data[0]) for name in names)
    assert weight == pytest.approx(73.0 * 9.81, rel=0.1)


def test_random_pulls_do_not_upset_the_numbers(model: mujoco.MjModel) -> None:
    rng, data = np.random.default_rng(0), at_home(model)
    lower, upper = model.actuator_ctrlrange.T
    for _ in range(15):  # half a second at 30 Hz
        data.ctrl[:] = np.where(rng.uniform(size=model.nu) < 0.5, 0.3 * lower, 0.3 * upper)
        mujoco.mj_step(model, data, 16)
    assert np.abs(data.qvel).max() < 100
    assert not any(warning.number for warning in data.warning)
