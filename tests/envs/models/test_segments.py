"""Longer and shorter segments: the fields of each simulation's model against an MJCF written with these lengths."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from gait_envs.assets import asset_path
from gait_envs.models.robot import Robot, humanoid, muscle_humanoid
from gait_envs.render import Offscreen, RenderError
from gait_envs.vector_env import GaitVectorEnv

SCALES = {"thigh": 1.1, "shank": 0.93, "foot": 1.05, "trunk": 0.9, "arm": 1.13}
AXES = {"thigh": 2, "shank": 2, "foot": 0, "trunk": 2, "arm": 2}
SEGMENT_OF = {
    "femur": "thigh",
    "tibia": "shank",
    **dict.fromkeys(("talus", "big_toe", "small_toes"), "foot"),
    **dict.fromkeys(("pelvis", "spine", "torso"), "trunk"),
    **dict.fromkeys(("arm", "forearm", "hand"), "arm"),
}
BODIES = {"humanoid_walk": (humanoid, "humanoid"), "muscle_walk": (muscle_humanoid, "muscle_humanoid")}


def stretch(body: ET.Element, above: np.ndarray, scales: dict[str, float]) -> None:
    """Write a body's lengths, and its children's, into its MJCF; `above`: factors (3,) of the parent's frame."""
    name = body.attrib["name"].removeprefix("left_").removeprefix("right_")
    own = np.ones(3)
    if (segment := SEGMENT_OF.get(name)) is not None:
        own[AXES[segment]] = scales.get(segment, 1.0)
    numbers = lambda key: np.array(body_part.attrib[key].split(), dtype=float)  # noqa: E731
    write = lambda key, value: body_part.set(key, " ".join(map(repr, map(float, value))))  # noqa: E731
    for child in body.findall("body"):
        stretch(child, own, scales)
    for body_part in (body, *(part for part in body if part.tag != "body")):
        if "pos" in body_part.attrib and body_part.tag not in ("camera", "light"):
            write("pos", numbers("pos") * (above if body_part is body else own))
        if "fromto" in body_part.attrib:
            write("fromto", numbers("fromto") * np.tile(own, 2))
        if body_part.get("type") in ("box", "ellipsoid"):
            write("size", numbers("size") * own)
        if body_part.tag == "inertial":
            # A box of the same mass and moments, made longer of the same matter.
            mass, moments = float(body_part.attrib["mass"]), numbers("diaginertia")
            squares = 1.5 * (moments.sum() - 2 * moments) / mass * own**2
            mass *= own.prod()
            write("diaginertia", mass / 3 * (squares.sum() - squares))
            write("mass", [mass])


def written(robot: Robot, folder: str, scales: dict[str, float]) -> mujoco.MjModel:
    """The model compiled from an MJCF of these lengths; what the robot adds to its model is taken from there."""
    scene = ET.parse(asset_path(f"humanoid/{'muscle_' if folder.startswith('muscle') else ''}scene.xml")).getroot()
    root = ET.parse(asset_path(f"humanoid/{folder}.xml")).getroot()
    for pelvis in root.findall("worldbody/body"):
        stretch(pelvis, np.ones(3), scales)
    parts = {f"{folder}.xml": ET.tostring(root)}
    model = mujoco.MjModel.from_xml_string(ET.tostring(scene, encoding="unicode"), parts)
    for name in dir(robot.model):
        if name.startswith("actuator_") or name == "dof_damping":
            value = getattr(robot.model, name)
            if isinstance(value, np.ndarray) and value.shape and name not in DERIVED:
                getattr(model, name)[:] = value
    for name in ("disableflags", "integrator", "timestep"):
        setattr(model.opt, name, getattr(robot.model.opt, name))
    model.dof_armature[:] = robot.armature
    mujoco.mj_setConst(model, mujoco.MjData(model))
    model.dof_armature[:] = robot.model.dof_armature
    return model


DERIVED = ("actuator_length0", "actuator_acc0")
FIELDS = (
    *("body_pos", "body_ipos", "body_mass", "body_inertia", "body_subtreemass", "body_invweight0", "dof_invweight0"),
    *("geom_pos", "geom_size", "site_pos", "site_size", "tendon_length0", "tendon_invweight0", "dof_M0", *DERIVED),
)


def scaled(task: str, scales: dict[str, float], **config: Any) -> GaitVectorEnv:
    """Two bodies, the second of other lengths."""
    env = GaitVectorEnv(2, task=task, autoreset_mode="Disabled", threads=1, **config)
    env.reset(seed=3, options={"params": [{}, {"scale": scales}]})
    return env


@pytest.mark.parametrize("scales", [SCALES, {"thigh": 0.85, "shank": 1.15}, {"arm": 0.85, "trunk": 1.15}])
@pytest.mark.parametrize("task", BODIES)
def test_fields_are_those_of_a_model_written_so(task: str, scales: dict[str, float]) -> None:
    make, folder = BODIES[task]
    robot, env = make(), scaled(task, scales)
    oracle, own = written(robot, folder, scales), env.core.physics.batch.get_model(1)
    for name in FIELDS:
        np.testing.assert_allclose(getattr(own, name), getattr(oracle, name), rtol=1e-6, atol=1e-9, err_msg=name)
    # Orientations, up to a turn of capsules about themselves; in a pose with every joint bent.
    qpos = robot.home_qpos.copy()
    qpos[7:] = np.random.default_rng(0).uniform(robot.lower, robot.upper)
    seen = []
    for model in (own, oracle):
        data = mujoco.MjData(model)
        data.qpos[:] = qpos
        mujoco.mj_forward(model, data)
        axes = [getattr(data, f"{kind}_xmat").reshape(-1, 3, 3)[:, :, 2] for kind in ("geom", "site")]
        seen.append([data.xpos, data.xipos, data.geom_xpos, data.site_xpos, *map(abs, axes), data.ten_length])
    for found, expected in zip(*seen, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-7)
    # The broad phase misses nothing: bounds hold the shapes, which lie in the frame of their body's centre of mass.
    assert (own.geom_rbound >= oracle.geom_rbound - 1e-9).all()
    for (centre, half), geom in zip(own.bvh_aabb.reshape(-1, 2, 3), own.bvh_nodeid, strict=True):
        if geom > 0:  # neither the floor nor a node that holds others
            shape, at = oracle.geom(geom), oracle.geom_pos[geom] - oracle.body_ipos[oracle.geom_bodyid[geom]]
            frame, extent = np.zeros(9), shape.size
            mujoco.mju_quat2Mat(frame, shape.quat)
            if shape.type[0] == mujoco.mjtGeom.mjGEOM_CAPSULE:
                extent = np.abs(frame.reshape(3, 3)[:, 2]) * shape.size[1] + shape.size[0]
            assert (np.abs(at - centre) + extent <= half + 1e-9).all(), shape.name


@pytest.mark.parametrize("task", BODIES)
def test_they_move_as_that_model_does(task: str) -> None:
    """Dropped on its feet and sides, contacts and muscles included."""
    make, folder = BODIES[task]
    robot = make()
    env = scaled(task, SCALES)
    oracle, own = written(robot, folder, SCALES), env.core.physics.batch.get_model(1)
    if robot.muscles is not None:
        oracle.actuator_lengthrange[:] = own.actuator_lengthrange
    rng, ends = np.random.default_rng(1), []
    start = env.core.state.qpos[1]
    rates, controls = rng.normal(0, 1, own.nv), rng.uniform(0, 0.2, own.nu)
    for model in (own, oracle):
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:], data.ctrl[:] = start, rates, controls
        for _ in range(160):
            mujoco.mj_step(model, data)
        ends.append((data.qpos.copy(), data.ncon))
    assert ends[0][1] == ends[1][1] > 0
    np.testing.assert_allclose(ends[0][0], ends[1][0], atol=1e-9)


def test_the_mass_and_moments_of_a_thigh_by_hand() -> None:
    env, robot = scaled("humanoid_walk", {"thigh": 1.1}), humanoid()
    own, body = env.core.physics.batch.get_model(1), robot.model.body("left_femur").id
    assert own.body_mass[body] == pytest.approx(1.1 * robot.model.body_mass[body])
    # Round about its length (z): the squared distances from the axis stay, so that moment grows as the mass; those
    # across are half of it and the squared distances along, which grow with the third power.
    across, _, along = robot.model.body_inertia[body]
    expected = 1.1 * along / 2 + 1.1**3 * (across - along / 2)
    np.testing.assert_allclose(own.body_inertia[body], [expected, expected, 1.1 * along])
    assert own.body_subtreemass[1] - robot.mass == pytest.approx(0.2 * robot.model.body_mass[body])
    mass = scaled("humanoid_walk", {"thigh": 1.1}, params={}).core
    mass.reset(options={"params": {"mass": 0.9, "scale.thigh": 1.1}})
    assert mass.physics.fields.own("body_mass")[0, body] == pytest.approx(0.99 * robot.model.body_mass[body])


def test_fibres_keep_their_place_in_the_neutral_pose() -> None:
    """In best lengths; so a scaled body's muscles give the forces there that the plain one's do."""
    env = scaled("muscle_walk", SCALES)
    physics, robot = env.core.physics, muscle_humanoid()
    assert robot.muscles is not None
    physics._qpos[:], physics._qvel[:] = robot.model.qpos0, 0.0
    physics._act[:] = 0.5
    physics.batch.forward()
    length = physics._length[:, robot.muscles.outputs]
    assert np.abs(length[1] / length[0] - 1).max() > 0.1
    curves = physics._curves
    np.testing.assert_allclose(*((length - curves.slack) / curves.optimum), atol=1e-9)
    np.testing.assert_allclose(*physics._force[:, robot.muscles.outputs], atol=1e-6)
    # And MuJoCo's torques are those of the controller's map.
    found = physics._torque_map(np.arange(2)).torque(np.full((2, 92), 0.5))
    np.testing.assert_allclose(found, physics._joint_torque[:, robot.muscles.dofs], atol=1e-8)


@pytest.mark.parametrize("task", BODIES)
@pytest.mark.parametrize("scales", [SCALES, {"thigh": 0.85, "shank": 0.85}, {"thigh": 1.15, "shank": 1.15}])
def test_it_starts_with_its_soles_on_the_floor(task: str, scales: dict[str, float]) -> None:
    env = scaled(task, scales)
    physics, qpos = env.core.physics, env.core.state.qpos
    for sim in (0, 1):
        assert physics.lowest_sole(qpos[sim], sim) == pytest.approx(0.0, abs=1e-9)
        data = mujoco.MjData(model := physics.batch.get_model(sim))
        data.qpos[:] = qpos[sim]
        data.qpos[2] -= 1e-4
        mujoco.mj_forward(model, data)
        assert data.contact.dist.min() == pytest.approx(-1e-4, abs=1e-7)
    leg = BODIES[task][0]().segments.leg_ratio(np.array([[scales.get(name, 1.0) for name in AXES]]))[0]
    assert qpos[1, 2] / qpos[0, 2] == pytest.approx(leg, abs=0.01)


def test_the_leg_by_hand() -> None:
    """Thigh 0.41225 m, shank 0.42993 m and 0.0663 m of foot, which a longer foot does not raise."""
    ratio = humanoid().segments.leg_ratio(np.array([[1.1, 1.0, 1.0, 1.0, 1.0], [1.0, 0.9, 1.15, 1.15, 0.85]]))
    np.testing.assert_allclose(ratio, [1 + 0.1 * 0.41225 / 0.90848, 1 - 0.1 * 0.42993 / 0.90848])


def same_bits(change: Callable[[GaitVectorEnv], None], task: str) -> None:
    """An env to which something was done before goes on as one that never was."""
    plain = GaitVectorEnv(2, task=task, autoreset_mode="Disabled", threads=1)
    other = GaitVectorEnv(2, task=task, autoreset_mode="Disabled", threads=1)
    change(other)
    a, _ = plain.reset(seed=3)
    b, _ = other.reset(seed=3)
    np.testing.assert_array_equal(a, b)
    for _ in range(4):
        np.testing.assert_array_equal(plain.step(np.ones((2, 50)))[0], other.step(np.ones((2, 50)))[0])


@pytest.mark.parametrize("task", ["humanoid_walk", "muscle_walk", "humanoid_track", "muscle_track"])
def test_a_plain_body_after_a_scaled_one_has_its_own_bits(task: str) -> None:
    same_bits(lambda env: env.reset(seed=1, options={"params": {"scale": SCALES}}), task)


def test_a_state_of_before_takes_the_lengths_back() -> None:
    def there_and_back(env: GaitVectorEnv) -> None:
        env.reset(seed=3)
        before = env.get_state()
        env.reset(seed=3, options={"params": {"scale": SCALES}})
        env.set_state(before)
        np.testing.assert_array_equal(env.core.physics.fields.own("geom_size")[0], env.core.robot.model.geom_size)

    same_bits(there_and_back, "muscle_walk")


def test_pictures_show_the_lengths() -> None:
    try:
        Offscreen(humanoid().model, 16, 16).close()
    except RenderError as error:
        pytest.skip(str(error))
    made: list[Any] = [
        GaitVectorEnv(1, task="humanoid_walk", render_mode="rgb_array", autoreset_mode="Disabled"),
        gymnasium.make("GaitNet/Humanoid-v0", render_mode="rgb_array").unwrapped,
    ]
    for env in made:
        env.reset(seed=0)
        env.render()
        env.reset(seed=0, options={"params": {"scale": SCALES}})
        shown = env.render()
        state, physics = env.core.state, env.core.physics
        expected = []
        for model in (physics.own_model(0), physics.robot.model):
            view = Offscreen(model)
            expected.append(view.frame(state.qpos[0], state.qvel[0]))
            view.close()
        shown = np.asarray(shown[0] if isinstance(shown, tuple) else shown)
        other = [(np.abs(shown.astype(int) - picture).max(axis=2) > 20).mean() for picture in expected]
        assert other[0] < 1e-4 < 1e-2 < other[1]
        env.close()
