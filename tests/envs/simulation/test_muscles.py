"""Bodies that muscles move: torques that are what was desired, activations, states, rewards by hand, bad settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest
from helpers.bodies import walker_spec

from gait_envs import IDS
from gait_envs.control.muscle_network import MuscleNetwork, save_muscle_network
from gait_envs.control.stable_pd import stable_pd
from gait_envs.models.muscles import REFRESH, find_muscles
from gait_envs.models.robot import humanoid, muscle_humanoid
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.simulation.muscles import MuscleSimulation
from gait_envs.vector_env import GaitVectorEnv

ROBOT = muscle_humanoid()
MUSCLES = ROBOT.muscles
assert MUSCLES is not None
LEGS = MUSCLES.dofs


def in_the_air(n: int = 3, **options: Any) -> MuscleSimulation:
    """Bodies in the home pose a metre above the floor, each turning its joints a little."""
    physics = MuscleSimulation(ROBOT, n, 1, **options)
    qpos, qvel = np.tile(ROBOT.home_qpos, (n, 1)), np.zeros((n, ROBOT.model.nv))
    qpos[:, 2] += 1.0
    qvel[:, 6:] = np.random.default_rng(0).uniform(-0.5, 0.5, (n, 50))
    physics.reset(np.arange(n), qpos, qvel)
    return physics


def nearby(n: int = 3, by: float = 0.03) -> np.ndarray:
    """Poses close to home."""
    return ROBOT.home + np.random.default_rng(1).uniform(-by, by, (n, 50))


def imitation(n: int = 2, human_reference: str | None = None, **config: Any) -> GaitVectorEnv:
    own = {} if human_reference is None else {"reference": human_reference}
    return GaitVectorEnv(n, task="muscle_track", autoreset_mode="Disabled", threads=1, **(own | config))


# -- one body, two ways to move it --------------------------------------------------------------------------


def test_the_body_is_that_of_the_servos() -> None:
    other = humanoid()
    for name in ("joint_names", "traits", "mass", "substeps"):
        assert getattr(ROBOT, name) == getattr(other, name)
    for name in ("lower", "upper", "home_qpos", "half_range", "kp", "lead"):
        np.testing.assert_array_equal(getattr(ROBOT, name), getattr(other, name))
    upper = [i for i in range(50) if 6 + i not in LEGS]
    assert ROBOT.servos.tolist() == upper
    np.testing.assert_array_equal(ROBOT.model.body_mass, other.model.body_mass)
    assert [ROBOT.joint_names[i] for i in upper[:3]] == ["torso_flexion", "torso_bending", "torso_rotation"]


def test_muscles_give_the_torque_of_stable_pd() -> None:
    """After a refresh MuJoCo's own actuator torques are those that the dense law asks for, to the QP's hundredths."""
    physics, target = in_the_air(), nearby()
    expected = np.empty((3, len(LEGS)))
    data = mujoco.MjData(ROBOT.model)
    for i in range(3):
        data.qpos[:], data.qvel[:] = physics._qpos[i], physics._qvel[i]
        mujoco.mj_forward(ROBOT.model, data)
        mass = np.zeros((ROBOT.model.nv, ROBOT.model.nv))
        mujoco.mj_fullM(ROBOT.model, data, mass)
        kp, h = np.concatenate([np.zeros(6), ROBOT.kp]), ROBOT.model.opt.timestep
        mass[6 + ROBOT.servos, 6 + ROBOT.servos] += h**2 * ROBOT.kp[ROBOT.servos]  # the armature that they took
        error = np.concatenate([np.zeros(6), target[i] - data.qpos[7:]])
        force = data.qfrc_passive - data.qfrc_bias
        kd = kp * np.concatenate([np.zeros(6), ROBOT.lead])
        damping = ROBOT.model.dof_damping
        law = stable_pd(mass[None], force[None], error[None], data.qvel[None], kp, kd, REFRESH * h, damping)
        expected[i] = law[0, LEGS]
    terms = physics._refresh(target, np.arange(3))
    for i in range(3):
        data.qpos[:], data.qvel[:], data.act[:] = physics._qpos[i], physics._qvel[i], physics._act[i]
        data.ctrl[:] = 0.0
        mujoco.mj_forward(ROBOT.model, data)
        missing = data.qfrc_actuator[LEGS] - expected[i]
        assert np.abs(expected[i]).max() > 5.0
        assert np.abs(missing).max() < 0.05
        assert terms[1, i] == pytest.approx((expected[i] ** 2).mean())
        assert terms[2, i] == pytest.approx((missing**2).mean(), rel=1e-3, abs=1e-7)
        assert terms[0, i] == pytest.approx((physics._act[i] ** 2).mean())


def test_the_joints_go_where_the_servos_would_take_them() -> None:
    target, muscles, servos = nearby(by=0.05), in_the_air(), BatchSimulation(humanoid(), 3, 1)
    servos.reset(np.arange(3), muscles._qpos.copy(), muscles._qvel.copy())
    for _ in range(10):
        muscles.step(target)
        servos.step(target)
    ours, theirs = muscles.read().qpos[:, 7:], servos.read().qpos[:, 7:]
    assert np.abs(theirs - target).max() < 0.02
    assert np.abs(ours - theirs).max() < 0.01


def test_activations_act_at_once_and_stay(human_reference: str) -> None:
    env = imitation(2, human_reference)
    env.reset(seed=0)
    state = env.core.state
    assert (state.muscles.activation == 0).all()
    assert (state.muscles.effort == 0).all()
    env.step(np.zeros((2, 50)))
    physics = env.core.physics
    np.testing.assert_array_equal(physics._act, physics._ctrl[:, MUSCLES.controls])
    assert 0 <= physics._act.min() < physics._act.max() <= 1
    np.testing.assert_array_equal(env.core.state.muscles.activation, physics._act)
    assert [refresh.demand.shape for refresh in physics.last] == [(2, 21)] * (ROBOT.substeps // REFRESH)
    np.testing.assert_array_equal(physics.last[-1].activations, physics._act)
    env.reset(seed=0, options={"reset_mask": np.array([True, False])})
    assert (physics._act[0] == 0).all()
    assert (physics._memory[0] == 0).all()
    assert (physics._act[1] > 0).any()


def test_beyond_the_muscles_reach_the_residual_says_so() -> None:
    physics = in_the_air(2)
    target = nearby(2, 0.0)
    target[1, ROBOT.joint_names.index("left_hip_rotation")] += 2.0  # 600 N·m at 300 N·m/rad
    physics.step(target)
    state = physics.read()
    assert state.muscles.residual[0] < 0.1
    assert state.muscles.residual[1] > 10
    assert (state.muscles.desired > state.muscles.residual).all()


# -- what an action is --------------------------------------------------------------------------------------


def test_actions_as_activations(human_reference: str) -> None:
    env = imitation(3, human_reference, actuation="activation")
    assert env.single_action_space.shape == (92 + 29,)
    obs, _ = env.reset(seed=0)
    shown = env.core.task.layout.slices()["previous_action"]
    np.testing.assert_array_equal(obs[:, shown][:, :92], -1.0)  # at rest, as the muscles are
    action = np.full((3, 121), -1.0)
    action[:, 92:] = 0.0
    action[0, :92], action[1, :46] = 0.0, 1.0
    *_, info = env.step(action)
    np.testing.assert_array_equal(env.core.state.muscles.activation[:, [0, 91]], [[0.5, 0.5], [1, 0], [0, 0]])
    # squares: 92 · 0.25 / 92; 46 · 1 / 92; rest
    np.testing.assert_allclose(info["activation_energy"], [0.25, 0.5, 0.0])
    np.testing.assert_allclose(info["reward_activation"], -0.5 * np.array([0.25, 0.5, 0.0]))
    assert (info["torque_desired"] == 0).all()
    assert (info["torque_residual"] == 0).all()


def test_no_part_of_an_activations_range_is_dead(human_reference: str) -> None:
    """Two actions that differ anywhere in [-1, 1] give muscles different activations, rising from rest to full."""
    env = imitation(9, human_reference, actuation="activation")
    env.reset(seed=0)
    action = np.zeros((9, 121))
    action[:, :92] = np.linspace(-1, 1, 9)[:, None]
    env.step(action)
    np.testing.assert_allclose(env.core.state.muscles.activation[:, 17], np.linspace(0, 1, 9))


def test_one_body_three_ways(human_reference: str) -> None:
    """The observation's core is the same; torques know no activation."""
    seen = {}
    for way in ("torque", "muscle", "activation"):
        env = imitation(1, human_reference, actuation=way)
        obs, info = env.reset(seed=3)
        layout = env.core.task.layout
        assert ("torque_residual" in info) == (way != "torque")
        seen[way] = {name: obs[0, where] for name, where in layout.slices().items() if name != "previous_action"}
        assert env.step(np.zeros(env.action_space.shape))[-1]["reward_activation"][0] <= 0.0
    for name, rows in seen["torque"].items():
        np.testing.assert_array_equal(rows, seen["muscle"][name])
        np.testing.assert_array_equal(rows, seen["activation"][name])


def test_each_simulation_has_the_controller_that_drives_it() -> None:
    inputs = len(MUSCLES.entry_dof) + len(MUSCLES.dofs)
    network = MuscleNetwork([(np.zeros((inputs, 92)), np.full(92, 0.2))], MUSCLES)
    mixed, optimized, guessed = (in_the_air(3) for _ in range(3))
    mixed.use_controller("nn", np.array([1]), network=network)
    guessed.use_controller("nn", network=network)
    for _ in range(2):
        for physics in (mixed, optimized, guessed):
            physics.step(nearby(3, 0.1))
    for name in ("qpos", "activation", "residual"):
        ours, qp, nn = (physics.read().arrays()[name] for physics in (mixed, optimized, guessed))
        np.testing.assert_array_equal(ours, np.stack([qp[0], nn[1], qp[2]]), err_msg=name)
    mixed.use_controller("nn", np.array([0, 1, 2]), network=network)
    assert (mixed._memory == 0).all()  # of static optimisation, which drives none
    with pytest.raises(ValueError, match="'direct' wants other actions"):
        mixed.use_controller("direct", np.array([0]))


def test_a_network_for_the_muscles(human_reference: str, tmp_path: Path) -> None:
    inputs = len(MUSCLES.entry_dof) + len(MUSCLES.dofs)
    save_muscle_network(tmp_path / "net.npz", [(np.zeros((inputs, 92)), np.full(92, 0.2))], MUSCLES)
    env = imitation(2, human_reference, muscle_controller="nn", muscle_network=str(tmp_path / "net.npz"))
    env.reset(seed=0)
    *_, info = env.step(np.zeros((2, 50)))
    np.testing.assert_allclose(env.core.state.muscles.activation, np.tanh(0.2), rtol=1e-6)
    np.testing.assert_allclose(info["activation_energy"], np.tanh(0.2) ** 2, rtol=1e-6)
    assert (info["torque_residual"] > 1).all()


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"actuation": "wires"}, r"actuation is 'wires', allowed are \('torque', 'muscle', 'activation'\)"),
        ({"muscle_controller": "magic"}, r"muscle_controller is 'magic', allowed are \('qp', 'nn'\)"),
        ({"muscle_network": "x.npz"}, "muscle_network needs muscle_controller='nn', which is 'qp'"),
        ({"actuation": "torque", "muscle_controller": "nn"}, "muscle_controller needs actuation='muscle', which is 't"),
        (
            {"actuation": "activation", "muscle_controller": "nn", "muscle_network": "x.npz"},
            "muscle_controller needs actuation='muscle', which is 'activation'",
        ),
    ],
)
def test_settings_that_cannot_be(config: dict, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        GaitVectorEnv(1, task="muscle_walk", **config)


def test_the_bundled_network_serves_where_none_is_named() -> None:
    """Standing still, it misses little of what is asked."""
    env = GaitVectorEnv(1, task="muscle_walk", muscle_controller="nn")
    env.reset(seed=0)
    *_, info = env.step(np.zeros((1, 50)))
    assert info["torque_residual"] < 0.3 * info["torque_desired"]


def test_a_network_of_another_body(tmp_path: Path) -> None:
    other = find_muscles(walker_spec(6).compile())
    inputs = len(other.entry_dof) + len(other.dofs)
    save_muscle_network(tmp_path / "muscle_nn.npz", [(np.zeros((inputs, 12)), np.zeros(12))], other)
    for name in (name for name in IDS if "Muscle" in name):
        with pytest.raises(ValueError, match=r"muscle_nn\.npz.*made for other muscles; the difference is \['"):
            gymnasium.make(name, muscle_controller="nn", muscle_network=str(tmp_path / "muscle_nn.npz"))


def test_bodies_without_muscles() -> None:
    with pytest.raises(ValueError, match="humanoid has no muscles"):
        MuscleSimulation(humanoid(), 1)


def test_weaker_bodies_are_drawn_by_force_alone() -> None:
    """Randomised gains scale a muscle's forces, not its lengths or speeds, and the controller's map follows."""
    env = GaitVectorEnv(4, task="muscle_walk", threads=1, randomize={"servo_gain": (0.5, 0.6), "mass": (1, 1)})
    env.reset(seed=0)
    gain = env.core.physics.fields.own("actuator_gainprm")[:, MUSCLES.actuators] / np.where(
        MUSCLES.gainprm == 0, np.inf, MUSCLES.gainprm
    )
    assert (gain[..., [1, 5, 6, 7, 8]] == 1).all()
    assert ((gain[..., 2] > 0.5) & (gain[..., 2] < 0.6)).all()
    np.testing.assert_allclose(env.core.physics._curves.peak, gain[..., 2] * MUSCLES.gainprm[:, 2])
