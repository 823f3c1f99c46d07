"""Stable PD: by hand, against dense linear algebra and MuJoCo's own servos, and where explicit PD explodes."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from helpers.bodies import add_motors, arm_spec, random_state, walker_spec
from hypothesis import given
from hypothesis import strategies as st
from mujoco.batch import Batch

from gait_envs.control.stable_pd import StablePD, stable_pd
from gait_envs.models.servos import SCHEMES, use_stable_pd_servos

VEL = mujoco.mjtStage.mjSTAGE_VEL


def walker(timestep: float = 1 / 480) -> mujoco.MjModel:
    """56 dof, 50 of them with motors, in free flight; every joint is damped a little."""
    model = add_motors(walker_spec(0, whole=True, timestep=timestep)).compile()
    model.dof_damping[6:] = 0.3
    return model


def gains(model: mujoco.MjModel, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Gains as a body might have, other ones for every joint, none at the root."""
    rng, free = np.random.default_rng(seed), model.nv - model.nu
    kp, kd = np.zeros(model.nv), np.zeros(model.nv)
    kp[free:], kd[free:] = rng.uniform(100, 600, model.nu), rng.uniform(10, 50, model.nu)
    return kp, kd


def started(model: mujoco.MjModel, qpos: np.ndarray, qvel: np.ndarray) -> Batch:
    batch = Batch(model, len(qpos), 1)
    for name in ("M", "qfrc_bias", "qfrc_passive", "qfrc_constraint", "qacc"):
        batch.bind(name)
    batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
    batch.qpos[:], batch.qvel[:] = qpos, qvel
    batch.forward()
    return batch


def torque(pd: StablePD, batch: Batch, target: np.ndarray) -> np.ndarray:
    return pd.torque(target, batch.qpos, batch.qvel, batch.M, batch.qfrc_passive - batch.qfrc_bias)


# -- the law ----------------------------------------------------------------------------------------------


def test_one_joint_by_hand() -> None:
    """I = 2 kg·m², h = 0.1 s, kp = 100, kd = 10; 0.3 rad short, at 1 rad/s, other forces 1 − 3 N·m.

    p = 100 (0.3 − 0.1·1) − 10·1 = 10;  q̈ = (−2 + 10) / (2 + 0.1·10) = 8/3;  τ = 10 − 0.1·10·8/3 = 22/3.
    """
    one = np.ones((1, 1))
    found = stable_pd(2 * one[None], -2 * one, 0.3 * one, one, np.array([100.0]), np.array([10.0]), 0.1)
    assert found.item() == pytest.approx(22 / 3, rel=1e-15)
    # The joint's own damping of 5, which the integrator treats implicitly: q̈ = 8 / (3 + 0.5), τ = 10 − 16/7.
    found = stable_pd(2 * one[None], -2 * one, 0.3 * one, one, np.array([100.0]), np.array([10.0]), 0.1, 5 * one[0])
    assert found.item() == pytest.approx(10 - 8 / 3.5, rel=1e-15)


def test_the_error_of_the_root_is_zero() -> None:
    model = walker()
    pd = StablePD(model, *gains(model))
    found = pd.error(np.full((2, model.nu), 0.75), np.tile(model.qpos0, (2, 1)))
    np.testing.assert_array_equal(found, np.tile(np.r_[np.zeros(6), 0.75 - model.qpos0[7:]], (2, 1)))


@pytest.mark.parametrize("spec", [arm_spec(), walker_spec(0, whole=True)], ids=["arm", "walker"])
def test_the_batch_is_the_dense_law(spec: mujoco.MjSpec) -> None:
    model = add_motors(spec).compile()
    (kp, kd), n, h = gains(model), 6, model.opt.timestep
    pd, batch = StablePD(model, kp, kd, implicit_damping=False), started(model, *random_state(model, n))
    target = np.random.default_rng(1).uniform(-1, 1, (n, model.nu))
    found, data, mass = torque(pd, batch, target), mujoco.MjData(model), np.zeros((model.nv, model.nv))
    free = model.nv - model.nu
    for i in range(n):
        data.qpos[:], data.qvel[:] = batch.qpos[i], batch.qvel[i]
        mujoco.mj_forward(model, data)
        mujoco.mj_fullM(model, data, mass)
        desired = np.concatenate([np.zeros(free), target[i]])
        angle = np.concatenate([np.zeros(free), data.qpos[model.nq - model.nu :]])
        p, d = -kp * (angle + h * data.qvel - desired), -kd * data.qvel
        qacc = np.linalg.inv(mass + h * np.diag(kd)) @ (-data.qfrc_bias + data.qfrc_passive + p + d)
        tan = -kp * (angle + h * data.qvel - desired) - kd * (data.qvel + h * qacc)
        np.testing.assert_allclose(found[i], tan, rtol=0, atol=1e-9)
    assert np.abs(found).max() > 10
    assert (found[:, :free] == 0).all()


def test_the_simulated_acceleration_is_the_predicted_one() -> None:
    """What makes it stable: M q̈ = forces + τ has the solution of the damped equation."""
    model = add_motors(arm_spec()).compile()
    model.dof_damping[:] = 0  # MuJoCo's qacc is without implicit damping
    (kp, kd), h = gains(model), model.opt.timestep
    batch = started(model, *random_state(model, 4))
    target = np.full((4, 3), 0.2)
    batch.ctrl[:] = torque(StablePD(model, kp, kd), batch, target)
    before = batch.qvel.copy()
    batch.step()
    qacc = (batch.qvel - before) / h
    np.testing.assert_allclose(batch.ctrl, StablePD(model, kp, kd).torque_at(target, *random_state(model, 4), qacc))


def test_a_damper_without_a_spring_is_driven_too() -> None:
    pd = StablePD(add_motors(arm_spec()).compile(), np.array([100.0, 0.0, 0.0]), np.array([10.0, 5.0, 0.0]))
    assert pd.dofs.tolist() == [0, 1]


def test_a_row_does_not_depend_on_its_neighbours() -> None:
    model = walker()
    pd, batch = StablePD(model, *gains(model)), started(model, *random_state(model, 7))
    target = np.random.default_rng(0).uniform(-1, 1, (7, 50))
    whole, force = torque(pd, batch, target), batch.qfrc_passive - batch.qfrc_bias
    for i in range(7):
        row = [np.ascontiguousarray(x[i : i + 1]) for x in (target, batch.qpos, batch.qvel, batch.M, force)]
        np.testing.assert_array_equal(pd.torque(*row)[0], whole[i])


def test_a_diverged_simulation_stays_alone() -> None:
    model = add_motors(arm_spec()).compile()
    pd, batch = StablePD(model, *gains(model)), started(model, *random_state(model, 3))
    target, force = np.zeros((3, 3)), batch.qfrc_passive - batch.qfrc_bias
    whole, mass = torque(pd, batch, target), batch.M.copy()
    mass[1] = np.nan
    found = pd.torque(target, batch.qpos, batch.qvel, mass, force)
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[[0, 2]], whole[[0, 2]])


# -- stability --------------------------------------------------------------------------------------------


@given(
    inertia=st.floats(1e-3, 10), h=st.floats(1e-3, 0.1), spring=st.floats(0.01, 30), damping=st.floats(0.01, 30)
)  # fmt: skip
def test_where_one_joint_is_stable(inertia: float, h: float, spring: float, damping: float) -> None:
    """With s = h² kp / I and d = h kd / I, by Jury's conditions: stable PD if 3 s < 4 + 2 d, explicit if s + 2 d < 4.

    Both are linear maps of (q, q̇), here found by applying them to unit states.
    """
    kp, kd = np.array([spring * inertia / h**2]), np.array([damping * inertia / h])
    state = np.eye(2)  # rows: q = 1 and q̇ = 1
    angle, velocity = state[:, :1], state[:, 1:]
    explicit = -kp * angle - kd * velocity
    stable = stable_pd(np.full((2, 1, 1), inertia), np.zeros((2, 1)), -angle, velocity, kp, kd, h)
    for force, margin in ((stable, 4 + 2 * damping - 3 * spring), (explicit, 4 - spring - 2 * damping)):
        faster = velocity + h * force / inertia
        radius = np.abs(np.linalg.eigvals(np.hstack([angle + h * faster, faster]))).max()
        if abs(margin) > 1e-6 * (1 + spring + damping):
            assert (radius < 1) == (margin > 0)


@pytest.mark.parametrize("timestep", [1 / 480, 1 / 120, 1 / 30])
def test_stable_where_explicit_explodes(timestep: float, tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """The arm, kp 300 and kd √600 at every joint: stiff for its light last link, at any of these steps."""
    monkeypatch.chdir(str(tmp_path))  # MuJoCo writes its warnings to a file where it is run
    model = add_motors(arm_spec(timestep)).compile()
    kp, kd, target = np.full(3, 300.0), np.full(3, 600**0.5), np.array([[0.5, -0.4, 0.3]])
    pd = StablePD(model, kp, kd)
    batch = started(model, np.zeros((2, 3)), np.zeros((2, 3)))
    fastest = np.zeros(2)
    for _ in range(round(3 / timestep)):
        batch.ctrl[0] = torque(pd, batch, np.repeat(target, 2, axis=0))[0]
        batch.ctrl[1] = (kp * (target - batch.qpos[1]) - kd * batch.qvel[1])[0]
        batch.step(stage=VEL)
        fastest = np.maximum(fastest, np.abs(batch.qvel).max(axis=1))
        if fastest[1] > 1e4:
            break
    assert fastest[1] > 1e4  # rad/s: it has blown up
    for _ in range(round(3 / timestep)):
        batch.ctrl[0] = torque(pd, batch, np.repeat(target, 2, axis=0))[0]
        batch.step(np.array([0]), stage=VEL)
        fastest[0] = max(fastest[0], np.abs(batch.qvel[0]).max())
    assert fastest[0] < 20
    assert np.abs(batch.qvel[0]).max() < 1e-3
    sag = batch.qfrc_bias[0] - batch.qfrc_passive[0]  # at rest the spring carries the weight
    np.testing.assert_allclose(kp * (target[0] - batch.qpos[0]), sag, atol=0.05)


def test_contact_forces_must_be_known() -> None:
    """A 10 kg block on a driven leg, standing: kp·sag = weight. Blind to the floor, the law takes it for falling."""
    spec = mujoco.MjSpec()
    spec.option.timestep = 0.01
    block = spec.worldbody.add_body(pos=[0, 0, 0.55])
    block.add_joint(name="height", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1])
    block.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.05, 0, 0], mass=10)
    foot = block.add_body(pos=[0, 0, -0.5])
    foot.add_joint(name="leg", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, -1])
    foot.add_geom(type=mujoco.mjtGeom.mjGEOM_SPHERE, size=[0.05, 0, 0], mass=0.5)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[1, 1, 1])
    spec.add_actuator(name="leg", trntype=mujoco.mjtTrn.mjTRN_JOINT, target="leg")
    model = spec.compile()
    pd = StablePD(model, np.array([0, 5000.0]), np.array([0, 100.0]))
    batch = started(model, np.zeros((2, 2)), np.zeros((2, 2)))
    for _ in range(300):
        force = batch.qfrc_passive - batch.qfrc_bias
        force[0] += batch.qfrc_constraint[0]
        batch.ctrl[:] = pd.torque(np.zeros((2, 1)), batch.qpos, batch.qvel, batch.M, force)[:, 1:]
        batch.step(stage=VEL)
    sag = 10 * 9.81 / 5000
    assert -batch.qpos[0, 1] == pytest.approx(sag, rel=1e-3)
    assert -batch.qpos[1, 1] > 1.5 * sag


# -- MuJoCo's own servos ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", list(SCHEMES))
@pytest.mark.parametrize("steps", [1, 40])
def test_native_servos_are_the_law(scheme: str, steps: int) -> None:
    """State after `steps` of flight, and the torque of the last: to rounding (1e-12 measured)."""
    model, native = walker(), walker()
    kp, kd = gains(model)
    native.actuator_ctrllimited[:], native.actuator_ctrlrange[:] = True, [-0.1, 0.1]  # as for small torques
    use_stable_pd_servos(native, kp, kd, scheme)
    start = random_state(model, 4)
    target = np.random.default_rng(2).uniform(-0.5, 0.5, (4, 50))
    pd, batch, servos = StablePD(model, kp, kd), started(model, *start), started(native, *start)
    servos.ctrl[:] = target
    servos.step(nstep=steps)  # the one native call
    for _ in range(steps):
        before = batch.qpos.copy(), batch.qvel.copy()
        batch.ctrl[:] = torque(pd, batch, target)[:, 6:]
        batch.step(stage=VEL)
    assert np.abs(batch.qvel - start[1]).max() > 1
    np.testing.assert_allclose(servos.qpos, batch.qpos, rtol=0, atol=1e-9)
    np.testing.assert_allclose(servos.qvel, batch.qvel, rtol=0, atol=1e-9)
    qacc = (servos.qvel - before[1]) / model.opt.timestep
    np.testing.assert_allclose(pd.torque_at(target, *before, qacc)[:, 6:], batch.ctrl, rtol=0, atol=1e-7)


def test_other_native_forms_are_other_laws() -> None:
    """`implicitfast` is the law with a target moved at every step, and not with the plain target."""
    model = add_motors(arm_spec(1 / 120)).compile()
    model.dof_damping[:] = 0
    kp, kd, h = np.full(3, 300.0), np.full(3, 600**0.5), model.opt.timestep
    start = random_state(model, 1)
    target = np.array([[0.5, -0.4, 0.3]])
    batch = started(model, *start)
    batch.ctrl[:] = torque(StablePD(model, kp, kd), batch, target)
    batch.step()
    for moved, speed_gain in ((True, kd), (False, kd + h * kp)):
        native = add_motors(arm_spec(1 / 120)).compile()
        use_stable_pd_servos(native, kp, kd, "euler")
        native.dof_damping[:] = 0
        native.opt.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
        native.actuator_biasprm[:, 2] = -speed_gain
        servos = started(native, *start)
        servos.ctrl[:] = target - h * start[1] if moved else target
        servos.step()
        gap = np.abs(servos.qvel - batch.qvel).max()
        assert gap < 1e-9 if moved else gap > 0.01


def standing(scheme: str | None, kd: float = 40.0) -> tuple[np.ndarray, float]:
    """The walker on flat feet, knees bending once in a second: floor force in N at every step; its weight."""
    spec = walker_spec(0, whole=True)
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 1])
    for side in ("left", "right"):
        spec.body(f"{side}_foot").add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.12, 0.05, 0.02], pos=[0.04, 0, -0.06], mass=0.1, contype=0
        )
    model = add_motors(spec).compile()
    gain = np.concatenate([np.zeros(6), np.ones(50)])
    pd = StablePD(model, 500 * gain, kd * gain)
    if scheme:
        use_stable_pd_servos(model, 500 * gain, kd * gain, scheme)
    qpos = model.qpos0[None].copy()
    qpos[:, 2] = 0.42 + 0.4 + 0.08
    batch = started(model, qpos, np.zeros((1, model.nv)))
    part = {"thigh_y": -1, "shank_y": 2, "foot_y": -1}
    bend = np.array([part.get(model.actuator(a).name.split("_", 1)[1], 0) for a in range(model.nu)])
    forces = []
    for step in range(480):
        target = 0.1 * (1 - np.cos(2 * np.pi * step * model.opt.timestep)) * bend[None]
        force = batch.qfrc_passive - batch.qfrc_bias + batch.qfrc_constraint
        batch.ctrl[:] = target if scheme else pd.torque(target, batch.qpos, batch.qvel, batch.M, force)[:, 6:]
        batch.step(stage=VEL)
        forces.append(batch.qfrc_constraint[0, 2])
    return np.array(forces), 9.81 * model.body_subtreemass[1]


def test_standing_on_native_servos() -> None:
    """On the floor `discrete` keeps to the law (0.9 N of 790 measured); `euler` is blind to damping there (91 N)."""
    law, weight = standing(None)
    assert law[120:].mean() == pytest.approx(weight, rel=0.02)
    gap = {scheme: np.sqrt(np.mean((standing(scheme)[0] - law)[120:] ** 2)) for scheme in SCHEMES}
    assert gap["discrete"] < 10
    assert gap["euler"] > 5 * gap["discrete"]


# -- bad input --------------------------------------------------------------------------------------------


def test_bad_gains() -> None:
    model = walker()
    kp, kd = gains(model)
    for make in (lambda p, d: StablePD(model, p, d), lambda p, d: use_stable_pd_servos(model, p, d)):
        with pytest.raises(ValueError, match=r"gains have shape \(50,\), expected \(56,\)"):
            make(kp[6:], kd)
        with pytest.raises(ValueError, match=r"left_tip_y.*are not"):
            make(np.where(np.arange(56) == model.joint("left_tip_y").dofadr, -1.0, kp), kd)
        with pytest.raises(ValueError, match=r"root.*hinges and slides"):
            make(kp + 1, kd)
        with pytest.raises(ValueError, match="finite"):
            make(kp, kd * np.nan)


def test_bad_arrays() -> None:
    model = walker()
    pd, batch = StablePD(model, *gains(model)), started(model, *random_state(model, 2))
    force = batch.qfrc_passive - batch.qfrc_bias
    with pytest.raises(ValueError, match=r"targets have shape \(2, 49\), expected \(2, 50\)"):
        pd.torque(np.zeros((2, 49)), batch.qpos, batch.qvel, batch.M, force)
    with pytest.raises(ValueError, match=r"M has shape \(2, 3136\), expected \(2, 719\)"):
        pd.torque(np.zeros((2, 50)), batch.qpos, batch.qvel, np.zeros((2, 56 * 56)), force)
    unread = batch.M.copy()
    unread[1] = 0  # as a batch's field is before the first call
    with pytest.raises(ValueError, match=r"simulations \[1\].*forward\(\)"):
        pd.torque(np.zeros((2, 50)), batch.qpos, batch.qvel, unread, force)


def test_bad_servos() -> None:
    model = walker()
    kp, kd = gains(model)
    with pytest.raises(ValueError, match="unknown scheme 'implicit'; known are discrete, euler"):
        use_stable_pd_servos(model, kp, kd, "implicit")
    model.dof_armature[6] = 1e-6
    with pytest.raises(ValueError, match=r"spine_x.*less than"):
        use_stable_pd_servos(model, kp, kd)
    model = walker()
    model.actuator_gear[3, 0] = 2
    with pytest.raises(ValueError, match=r"torso_x.*gear"):
        use_stable_pd_servos(model, kp, kd)
    spec = arm_spec()
    spec.add_actuator(name="a", trntype=mujoco.mjtTrn.mjTRN_JOINT, target="a")
    with pytest.raises(ValueError, match=r"one actuator; \['b', 'c'\]"):
        use_stable_pd_servos(spec.compile(), np.ones(3), np.ones(3))
