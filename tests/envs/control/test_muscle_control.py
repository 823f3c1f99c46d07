"""Muscles: torques against MuJoCo and finite differences, static optimisation against SciPy, controllers by name."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from helpers.bodies import random_state, walker_spec
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from mujoco.batch import Batch
from scipy.optimize import lsq_linear

from gait_envs.control.muscle import TorqueMap, active_force, jta_entries, muscle_curves, passive_force, torque_map
from gait_envs.control.muscle_control import CONTROLLERS, make_muscle_controller
from gait_envs.control.static_optimization import WEIGHT, share_torque
from gait_envs.models.muscles import find_muscles

MODEL = walker_spec(12).compile()
MUSCLES = find_muscles(MODEL)
CURVES = muscle_curves(MUSCLES.gainprm, MUSCLES.biasprm, MUSCLES.lengthrange, MUSCLES.acc0)
BOUND = ("actuator_moment", "actuator_length", "actuator_velocity", "qfrc_actuator")


def started(model: mujoco.MjModel, n: int, seed: int = 0) -> Batch:
    batch = Batch(model, n, 1)
    for name in BOUND:
        batch.bind(name)
    batch.reset(stage=mujoco.mjtStage.mjSTAGE_NONE)
    batch.qpos[:], batch.qvel[:] = random_state(model, n, seed)
    batch.qvel[:] *= 0.2
    batch.forward()
    return batch


def mapped(batch: Batch) -> TorqueMap:
    return torque_map(MUSCLES, batch.actuator_moment, batch.actuator_length, batch.actuator_velocity, CURVES)


# -- the model's muscles ------------------------------------------------------------------------------------


def test_each_muscle_moves_the_joints_between_its_ends() -> None:
    joints = [MODEL.joint(MODEL.dof_jntid[d]).name for d in MUSCLES.dofs]
    moved = {name: set() for name in MUSCLES.names}
    for muscle, dof in zip(MUSCLES.entry_muscle, MUSCLES.entry_dof, strict=True):
        moved[MUSCLES.names[muscle]].add(joints[dof])
    hip = {f"left_thigh_{k}" for k in "xyz"}
    ankle = {f"left_foot_{k}" for k in "xyz"}
    assert moved["left_m0"] == hip
    assert moved["left_m1"] == hip | {"left_shank_y"}
    assert moved["left_m2"] == {"left_shank_y"}  # over a wrapping cylinder
    assert moved["left_m3"] == {"left_shank_y"} | ankle
    assert moved["left_m5"] == ankle | {"left_toe_y"}
    assert not any("root" in joint or "tip" in joint for joint in joints)
    assert len(MUSCLES.names) == 24


def test_the_entries_are_all_that_can_be_other_than_zero() -> None:
    """Dense moment arms from MuJoCo, in many poses: exactly the entries are used, and no other place ever is."""
    batch, seen = started(MODEL, 30), np.zeros((len(MUSCLES.names), MODEL.nv))
    data = mujoco.MjData(MODEL)
    for i in range(30):
        data.qpos[:] = batch.qpos[i]
        mujoco.mj_fwdPosition(MODEL, data)
        dense = np.zeros((MODEL.nu, MODEL.nv))
        mujoco.mju_sparse2dense(
            dense, data.actuator_moment, data.moment_rownnz, data.moment_rowadr, data.moment_colind
        )  # fmt: skip
        seen = np.maximum(seen, np.abs(dense))
    used = np.zeros_like(seen, dtype=bool)
    used[MUSCLES.entry_muscle, MUSCLES.dofs[MUSCLES.entry_dof]] = True
    assert seen[~used].max() < 1e-12
    assert seen[used].min() > 1e-4
    pairs = list(zip(MUSCLES.entry_muscle.tolist(), MUSCLES.entry_dof.tolist(), strict=True))
    assert pairs == sorted(pairs)


def test_pulleys_fixed_tendons_and_joints() -> None:
    model = mujoco.MjModel.from_xml_string("""
        <mujoco>
          <worldbody><site name="o"/>
            <body><joint name="a" axis="0 1 0"/><geom size=".1"/><site name="a" pos=".1 0 .2"/>
              <body pos="0 0 1"><joint name="b" axis="0 1 0"/><geom size=".1"/><site name="b" pos=".1 0 .1"/>
                <body pos="0 0 1"><joint name="c" axis="0 1 0"/><geom size=".1"/><site name="c" pos=".1 0 .1"/>
                </body></body></body>
          </worldbody>
          <tendon>
            <spatial name="pulley"><site site="o"/><site site="a"/><pulley divisor="2"/><site site="b"/><site site="c"/>
            </spatial>
            <fixed name="fixed"><joint joint="b" coef="0.1"/><joint joint="c" coef="-0.1"/></fixed>
          </tendon>
          <actuator>
            <muscle name="split" tendon="pulley" lengthrange="0.1 1"/>
            <motor name="motor" joint="b"/>
            <muscle name="pair" tendon="fixed" lengthrange="-1 1"/>
            <muscle name="hinge" joint="a" lengthrange="-1 1"/>
          </actuator>
        </mujoco>""")
    muscles = find_muscles(model)
    assert muscles.names == ("split", "pair", "hinge")
    assert muscles.outputs.tolist() == muscles.controls.tolist() == [0, 2, 3]
    assert muscles.dofs.tolist() == [0, 1, 2]
    pairs = zip(muscles.entry_muscle.tolist(), muscles.entry_dof.tolist(), strict=True)
    assert list(pairs) == [(0, 0), (0, 2), (1, 1), (1, 2), (2, 0)]
    data = mujoco.MjData(model)
    data.qpos[:], data.act[:] = [0.3, -0.4, 0.5], [0.2, 0.5, 0.9]
    mujoco.mj_forward(model, data)
    curves = muscle_curves(muscles.gainprm, muscles.biasprm, muscles.lengthrange, muscles.acc0)
    arrays_of = (x[None] for x in (data.actuator_moment, data.actuator_length, data.actuator_velocity))
    found = torque_map(muscles, *arrays_of, curves).torque(data.act[None])
    np.testing.assert_allclose(found[0], data.qfrc_actuator, atol=1e-9)


def test_models_without_usable_muscles() -> None:
    body = '<body pos="1 0 0"><joint name="a"/><geom size=".1"/><site name="s"/></body>'
    body += '<body><joint type="ball" name="b"/><geom size=".1"/></body>'
    world = f'<worldbody><site name="o"/><site name="p" pos="0 0 1"/>{body}</worldbody>'
    pull = 'lengthrange="0 1" gaintype="muscle" gainprm="0.75 1.05 -1 200 0.5 1.6 1.5 1.3 1.2"'
    cases = {
        r"no muscles; its actuators are \['a'\]": '<actuator><motor name="a" joint="a"/></actuator>',
        r"muscles \['idle'\] cross no joint": (
            '<tendon><spatial name="t"><site site="o"/><site site="p"/></spatial></tendon>'
            '<actuator><muscle name="idle" tendon="t" lengthrange="0 1"/></actuator>'
        ),
        "'push' pulls on neither": f'<actuator><general name="push" site="s" {pull}/></actuator>',
        "'turn' pulls on neither": f'<actuator><general name="turn" joint="b" {pull}/></actuator>',
    }
    for message, rest in cases.items():
        model = mujoco.MjModel.from_xml_string(f"<mujoco>{world}{rest}</mujoco>")
        with pytest.raises(ValueError, match=message):
            find_muscles(model)


# -- torque ---------------------------------------------------------------------------------------------------

SIZE = st.floats(0.05, 2.0)
PARAMETERS = st.tuples(  # range[2], force (negative: from acc0), scale, lmin, lmax, vmax, fpmax, fvmax
    st.floats(0.3, 0.9), st.floats(1.01, 1.5), st.sampled_from([-1.0, 700.0]), st.just(200.0),
    st.floats(0.2, 0.8), st.floats(1.2, 2.0), SIZE, SIZE, st.floats(1.0, 2.0), st.just(0.0),
)  # fmt: skip


@given(parameters=PARAMETERS, short=st.floats(0.02, 0.3), span=st.floats(0.05, 0.5), acc0=SIZE)
def test_the_curves_are_mujocos(parameters: tuple[float, ...], short: float, span: float, acc0: float) -> None:
    prm = np.array(parameters)
    around = np.array([short, short + span])
    length, velocity = (x.ravel() for x in np.meshgrid(np.linspace(0, 1.2, 25), np.linspace(-3, 3, 13)))
    many = (np.tile(x, (len(length), *[1] * np.ndim(x))) for x in (prm, prm, around))
    curves = muscle_curves(*many, np.full(len(length), acc0))
    gain = [mujoco.mju_muscleGain(x, v, around, acc0, prm[:9]) for x, v in zip(length, velocity, strict=True)]
    bias = [mujoco.mju_muscleBias(x, around, acc0, prm[:9]) for x in length]
    scale = max(700.0, 200 / acc0)
    np.testing.assert_allclose(active_force(length, velocity, curves), gain, rtol=1e-9, atol=1e-9 * scale)
    np.testing.assert_allclose(passive_force(length, curves), bias, rtol=1e-9, atol=1e-9 * scale)


def test_torque_is_what_mujoco_applies() -> None:
    batch = started(MODEL, 8)
    batch.act[:] = np.random.default_rng(0).uniform(0, 1, batch.act.shape)
    batch.forward()
    state = mapped(batch)
    expected = batch.qfrc_actuator[:, MUSCLES.dofs]
    np.testing.assert_allclose(state.torque(batch.act), expected, rtol=0, atol=1e-9)
    assert np.abs(expected).max() > 10
    batch.act[:] = 0
    batch.forward()
    np.testing.assert_allclose(state.passive, batch.qfrc_actuator[:, MUSCLES.dofs], rtol=0, atol=1e-9)
    assert np.abs(state.passive).max() > 1
    idle = np.setdiff1d(np.arange(MODEL.nv), MUSCLES.dofs)
    assert np.abs(batch.qfrc_actuator[:, idle]).max() < 1e-9


def test_jta_is_force_times_the_lengths_slope() -> None:
    """Central differences of every path's length in every dof: −∂l/∂q times the pull."""
    batch, step, data = started(MODEL, 3), 1e-5, mujoco.MjData(MODEL)
    state, pull = mapped(batch), active_force(batch.actuator_length, batch.actuator_velocity, CURVES)
    for i in range(3):
        slope = np.zeros((len(MUSCLES.dofs), MODEL.nu))
        for row, dof in enumerate(MUSCLES.dofs):
            ends = []
            for sign in (1, -1):
                qpos, along = batch.qpos[i].copy(), np.zeros(MODEL.nv)
                along[dof] = sign
                mujoco.mj_integratePos(MODEL, qpos, along, step)
                data.qpos[:] = qpos
                mujoco.mj_fwdPosition(MODEL, data)
                ends.append(data.actuator_length.copy())
            slope[row] = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(state.jta[i], slope * pull[i], rtol=0, atol=1e-6 * np.abs(pull).max())


def test_entries_for_a_network() -> None:
    state = mapped(started(MODEL, 5))
    entries = jta_entries(MUSCLES, state.jta)
    rebuilt = np.zeros_like(state.jta)
    rebuilt[:, MUSCLES.entry_dof, MUSCLES.entry_muscle] = entries
    np.testing.assert_array_equal(rebuilt, state.jta)
    assert entries.shape == (5, len(MUSCLES.entry_muscle))


def test_a_simulation_may_have_muscles_of_its_own() -> None:
    """Weakness of one muscle in one simulation, and a contracture in another, through per-simulation model fields."""
    batch = started(MODEL, 3)
    gain, bias = batch.expand("actuator_gainprm"), batch.expand("actuator_biasprm")
    reach = batch.expand("actuator_lengthrange")
    gain[1, 2, 2] *= 0.5
    bias[1, 2, 2] *= 0.5
    reach[2, 4] *= 0.9
    batch.act[:] = 0.4
    batch.forward()
    curves = muscle_curves(gain, bias, reach, MUSCLES.acc0)
    state = torque_map(MUSCLES, batch.actuator_moment, batch.actuator_length, batch.actuator_velocity, curves)
    np.testing.assert_allclose(state.torque(batch.act), batch.qfrc_actuator[:, MUSCLES.dofs], rtol=0, atol=1e-9)
    common = mapped(batch).torque(batch.act) - state.torque(batch.act)
    assert (np.abs(common).max(axis=1) > 1e-3).tolist() == [False, True, True]


def test_bad_shapes_of_the_map() -> None:
    batch = started(MODEL, 2)
    with pytest.raises(ValueError, match=r"\(2, 5\)"):
        torque_map(MUSCLES, batch.actuator_moment, np.zeros((2, 5)), np.zeros((2, 5)), CURVES)
    with pytest.raises(ValueError, match="entries a simulation"):
        torque_map(MUSCLES, batch.actuator_moment[:, :-1], batch.actuator_length, batch.actuator_velocity, CURVES)


# -- static optimisation ----------------------------------------------------------------------------------------


def test_two_muscles_by_hand() -> None:
    """JtA = (10, 5), w = 1, r = 5: λ/1 + (10² + 5²) λ = 5, so a = (10, 5) · 5/126. An antagonist rests: λ = 5/101."""
    found = share_torque(np.array([[[10.0, 5.0]], [[10.0, -10.0]]]), np.array([[5.0], [5.0]]), weight=1.0)
    np.testing.assert_allclose(found.activations, [[50 / 126, 25 / 126], [50 / 101, 0]], rtol=1e-12)
    assert found.converged.all()


def test_the_usual_weight_by_hand() -> None:
    """JtA = (10, 5), w = 100, r = 5: λ/100 + 125 λ = 5."""
    found = share_torque(np.array([[[10.0, 5.0]]]), np.array([[5.0]]))
    np.testing.assert_allclose(found.activations, [np.array([10, 5]) * 5 / 125.01], rtol=1e-12)
    np.testing.assert_allclose(found.multipliers, [[5 / 125.01]], rtol=1e-12)


def test_a_muscle_at_its_limit_by_hand() -> None:
    """JtA = (10, 5), w = 1, r = 14: the first is full, and λ + 10 + 25 λ = 14; r = 100 is out of reach: both full."""
    found = share_torque(np.array([[[10.0, 5.0]]] * 2), np.array([[14.0], [100.0]]), weight=1.0)
    np.testing.assert_allclose(found.activations, [[1, 5 * 4 / 26], [1, 1]], rtol=1e-12)


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan])
def test_a_weight_must_be_positive(weight: float) -> None:
    with pytest.raises(ValueError, match=f"weight is {weight}, expected more than 0"):
        share_torque(np.ones((1, 1, 2)), np.ones((1, 1)), weight=weight)


def by_scipy(jta: np.ndarray, torque: np.ndarray, weight: float) -> np.ndarray:
    stacked = np.vstack([np.sqrt(weight) * jta, np.eye(jta.shape[1])])
    wanted = np.concatenate([np.sqrt(weight) * torque, np.zeros(jta.shape[1])])
    return lsq_linear(stacked, wanted, (0, 1), method="bvls", tol=1e-14, max_iter=1000).x


def problems(n: int, d: int, m: int, seed: int, stray: float = 20.0) -> tuple[np.ndarray, np.ndarray]:
    """Sparse JtA of leg-like size, and torques that muscles can give plus a stray part."""
    rng = np.random.default_rng(seed)
    jta = rng.normal(0, 30, (n, d, m)) * (rng.random((1, d, m)) < 0.3)
    return jta, (jta @ rng.uniform(0, 1, (n, m, 1)))[..., 0] + rng.normal(0, stray, (n, d))


@pytest.mark.parametrize("weight", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("stray", [0.0, 30.0, 500.0], ids=["in reach", "at the edge", "out of reach"])
def test_static_optimisation_is_scipys(weight: float, stray: float) -> None:
    for seed, (d, m) in enumerate(((1, 2), (3, 5), (8, 30), (17, 92))):
        jta, torque = problems(3, d, m, seed, stray)
        found = share_torque(jta, torque, weight=weight)
        assert found.converged.all()
        for i in range(3):
            np.testing.assert_allclose(found.activations[i], by_scipy(jta[i], torque[i], weight), atol=1e-6)


def micro(x: float) -> float:
    """In whole µN·m: what no joint could feel is none."""
    return round(x, 6)


@settings(max_examples=40)
@given(
    jta=arrays(float, (2, 3, 4), elements=st.floats(-50, 50).map(micro)),
    torque=arrays(float, (2, 3), elements=st.floats(-300, 300).map(micro)),
    weight=st.sampled_from([0.01, 1.0, 10.0]),
)
def test_the_answer_fulfils_the_optimality_conditions(jta: np.ndarray, torque: np.ndarray, weight: float) -> None:
    """a = clip(w JtAᵀ (r − JtA a), 0, 1), whatever the muscles, the useless and the opposed among them."""
    a = share_torque(jta, torque, weight=weight).activations
    assert ((a >= 0) & (a <= 1)).all()
    pull = weight * (jta.swapaxes(1, 2) @ (torque[..., None] - jta @ a[..., None]))[..., 0]
    # Away from the answer the residual is multiplied by w and JtA, rounding too.
    np.testing.assert_allclose(a, np.clip(pull, 0, 1), atol=1e-6)


def test_out_of_reach_the_residual_is_the_least() -> None:
    jta, torque = problems(4, 8, 30, 5, stray=400)
    a = share_torque(jta, torque, weight=1e4).activations
    residual = np.linalg.norm((jta @ a[..., None])[..., 0] - torque, axis=1)
    for i in range(4):
        best = lsq_linear(jta[i], torque[i], (0, 1), method="bvls", tol=1e-14, max_iter=1000)
        assert residual[i] > 10
        assert residual[i] == pytest.approx(np.sqrt(2 * best.cost), rel=1e-6)


def test_a_near_start_saves_steps() -> None:
    jta, torque = problems(10, 17, 92, 3)
    cold = share_torque(jta, torque)
    again = share_torque(jta, torque, start=cold.multipliers)
    assert (again.iterations == 0).all()
    np.testing.assert_array_equal(again.activations, cold.activations)
    near = share_torque(jta, torque + 1.0, start=cold.multipliers)
    fresh = share_torque(jta, torque + 1.0)
    np.testing.assert_allclose(near.activations, fresh.activations, atol=1e-9)
    assert near.iterations.sum() < fresh.iterations.sum()


def test_a_problem_does_not_depend_on_its_neighbours() -> None:
    jta, torque = problems(6, 17, 92, 4, stray=100)
    jta[2] = np.nan  # one of them diverged
    whole = share_torque(jta, torque)
    assert np.isnan(whole.activations[2]).all()
    for i in (0, 1, 3, 4, 5):
        alone = share_torque(jta[i : i + 1].copy(), torque[i : i + 1].copy())
        np.testing.assert_array_equal(alone.activations[0], whole.activations[i])


def test_bad_problems() -> None:
    jta, torque = problems(2, 3, 5, 0)
    with pytest.raises(ValueError, match=r"torque has shape \(2, 2\), expected \(2, 3\)"):
        share_torque(jta, torque[:, :2])
    with pytest.raises(ValueError, match=r"start has shape \(3,\)"):
        share_torque(jta, torque, start=np.zeros(3))
    with pytest.raises(ValueError, match="weight is -1"):
        share_torque(jta, torque, weight=-1)


# -- controllers ------------------------------------------------------------------------------------------------


def test_static_optimisation_makes_mujoco_apply_the_torque() -> None:
    """Demand, activations, MuJoCo's forces: what is missed is λ / w, as the optimality conditions say."""
    batch, rng = started(MODEL, 6), np.random.default_rng(2)
    state, control = mapped(batch), make_muscle_controller("qp", MUSCLES)
    demand = state.torque(rng.uniform(0, 1, (6, len(MUSCLES.names))))
    batch.act[:], memory = control(state, demand, np.zeros((6, control.memory_size)))
    batch.forward()
    assert np.abs(demand).max() > 10
    applied = batch.qfrc_actuator[:, MUSCLES.dofs]
    np.testing.assert_allclose(applied, demand - memory / WEIGHT, atol=1e-8)
    np.testing.assert_allclose(applied, demand, atol=0.05)
    again, _ = control(state, demand, memory)
    np.testing.assert_allclose(again, batch.act, atol=1e-12)
    loose, _ = make_muscle_controller("qp", MUSCLES, weight=1e-6)(state, demand, np.zeros_like(memory))
    assert (loose**2).sum() < 0.5 * (batch.act**2).sum()


def test_a_network_sees_entries_and_active_torque() -> None:
    state, seen = mapped(started(MODEL, 4)), {}

    def network(entries: np.ndarray, torque: np.ndarray) -> np.ndarray:
        seen.update(entries=entries, torque=torque)
        return np.linspace(-0.5, 1.5, 4 * len(MUSCLES.names)).reshape(4, -1)

    control = make_muscle_controller("nn", MUSCLES, network=network)
    demand = np.full((4, control.demand_size), 3.0)
    activations, memory = control(state, demand, np.zeros((4, control.memory_size)))
    assert memory.shape == (4, 0)
    assert (activations.min(), activations.max()) == (0, 1)
    np.testing.assert_array_equal(seen["torque"], demand - state.passive)
    np.testing.assert_array_equal(seen["entries"], jta_entries(MUSCLES, state.jta))
    wrong = make_muscle_controller("nn", MUSCLES, network=lambda entries, torque: torque)
    with pytest.raises(ValueError, match=r"activations of shape \(4, 16\), expected \(4, 24\)"):
        wrong(state, demand, memory)


def test_direct_passes_activations() -> None:
    state, control = mapped(started(MODEL, 2)), make_muscle_controller("direct", MUSCLES)
    demand = np.linspace(-0.2, 1.2, 48).reshape(2, 24)
    found, _ = control(state, demand, np.zeros((2, 0)))
    np.testing.assert_array_equal(found, np.clip(demand, 0, 1))
    assert not control.takes_torque
    with pytest.raises(ValueError, match=r"shape \(2, 16\), expected \(2, 24\): activations"):
        control(state, np.zeros((2, 16)), np.zeros((2, 0)))


def test_unknown_controllers_and_options() -> None:
    with pytest.raises(ValueError, match="unknown muscle controller 'cmc'; known are nn, qp, direct"):
        make_muscle_controller("cmc", MUSCLES)
    with pytest.raises(ValueError, match=r"unknown option \['heavy'\] of .* 'qp'; known are \['weight'\]"):
        make_muscle_controller("qp", MUSCLES, heavy=1)
    with pytest.raises(ValueError, match="'nn' needs network="):
        make_muscle_controller("nn", MUSCLES)
    with pytest.raises(ValueError, match="torques of the muscles' dofs"):
        make_muscle_controller("qp", MUSCLES)(mapped(started(MODEL, 2)), np.zeros((2, 24)), np.zeros((2, 16)))
    assert set(CONTROLLERS) == {"nn", "qp", "direct"}
