"""The human body as a robot, and what walking and following clips ask of it, on states made by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import gymnasium
import mujoco
import numpy as np
import pytest

from gait_envs import IDS
from gait_envs.control.stable_pd import StablePD
from gait_envs.models.robot import humanoid
from gait_envs.models.traits import HUMANOID
from gait_envs.reference.clip import ClipError, save_clip
from gait_envs.reference.library import load_clips
from gait_envs.registry import make_task
from gait_envs.rotations import quat_mul, yaw_quat
from gait_envs.simulation.base import State
from gait_envs.simulation.batch import BatchSimulation
from gait_envs.tasks.base import Task
from gait_envs.tasks.config import HUMANOID_REWARD, HUMANOID_TRACK_REWARD, HumanoidTrackConfig, TrackConfig
from gait_envs.tasks.memory import Memory
from gait_envs.tasks.rewards import ENDS, MASSES, ROOT, ROOT_VELOCITY, TURN
from gait_envs.vector_env import GaitVectorEnv

ROBOT = humanoid()
KNEE = ROBOT.joint_names.index("left_knee_flexion")
HUMANOIDS = [name for name in IDS if "Humanoid" in name]
ELBOW = ROBOT.joint_names.index("left_elbow_flexion")


# -- the body ---------------------------------------------------------------------------------------------


def test_rates_and_gains() -> None:
    assert ROBOT.control_rate == 30.0
    assert 480 <= ROBOT.substeps * ROBOT.control_rate <= 600
    assert len(ROBOT.joint_names) == 50
    np.testing.assert_allclose(ROBOT.lead, 0.1)  # kd = 0.1 s · kp
    # A leg's knee bears its strength within half a radian of its target.
    strength = ROBOT.model.actuator_forcerange[KNEE, 1]
    assert 0.1 < strength / ROBOT.model.actuator_gainprm[KNEE, 0] < 0.5
    # Every joint of the table is one of the body's, and every joint has gains.
    assert HUMANOID.gains is not None
    assert {name.removeprefix("left_").removeprefix("right_") for name in ROBOT.joint_names} == set(HUMANOID.gains)


def test_torques_are_those_of_stable_pd() -> None:
    """What the state reports is the law of Tan et al. at the step's own acceleration, whatever a simulation's gains."""
    one = dataclasses.replace(ROBOT, substeps=1)
    physics = BatchSimulation(one, 2, 1)
    rng = np.random.default_rng(0)
    factor = np.array([1.0, 0.8])
    for field in ("actuator_gainprm", "actuator_biasprm"):
        physics.fields.own(field)[:] *= factor[:, None, None]
    physics.reset(np.arange(2), np.tile(ROBOT.home_qpos, (2, 1)), 0.2 * rng.standard_normal((2, 56)))
    target = ROBOT.home + 0.1 * rng.standard_normal((2, 50))
    for _ in range(5):
        before = physics.read()
        physics.step(target)
        after = physics.read()
    acceleration = (after.qvel - before.qvel) / ROBOT.model.opt.timestep
    for row in (0, 1):
        kp = np.append(np.zeros(6), ROBOT.model.actuator_gainprm[:, 0]) * factor[row]
        kd = np.append(np.zeros(6), -ROBOT.model.actuator_biasprm[:, 2]) * factor[row]
        i = slice(row, row + 1)
        law = StablePD(ROBOT.model, kp, kd).torque_at(target[i], before.qpos[i], before.qvel[i], acceleration[i])
        np.testing.assert_allclose(after.torque[row], law[0, 6:], rtol=1e-9, atol=1e-8)


def test_standing_feet_bear_the_weight() -> None:
    physics = BatchSimulation(ROBOT, 1, 1)
    physics.reset(np.arange(1), ROBOT.home_qpos[None].copy(), np.zeros((1, 56)))
    for _ in range(60):
        physics.step(ROBOT.home[None])
    force = physics.read().foot_force[0]
    np.testing.assert_allclose(force.sum(), 9.81 * ROBOT.mass, rtol=0.02)
    assert (force > HUMANOID.loaded).all()
    np.testing.assert_allclose(force[:2].sum(), force[2:].sum(), rtol=0.1)


@pytest.mark.parametrize("ankle", [-0.3, 0.0, 0.3])
def test_the_lowest_sole_is_what_touches_first(ankle: float) -> None:
    qpos = ROBOT.home_qpos.copy()
    qpos[7 + ROBOT.joint_names.index("left_ankle_dorsiflexion")] += ankle
    qpos[2] -= BatchSimulation(ROBOT, 1, 1).lowest_sole(qpos) + 1e-3
    data = mujoco.MjData(ROBOT.model)
    data.qpos[:] = qpos
    mujoco.mj_forward(ROBOT.model, data)
    assert data.contact.dist.min() == pytest.approx(-1e-3, abs=1e-6)


# -- following a clip ---------------------------------------------------------------------------------------


def tracking(reference: str | tuple[str, ...], **config: object) -> tuple[GaitVectorEnv, Task]:
    env = GaitVectorEnv(1, task="humanoid_track", reference=reference, autoreset_mode="Disabled", **config)
    task = env.core.task
    env.reset(seed=0, options={"clip": 1, "frame": 12})
    return env, task


def next_frame(env: GaitVectorEnv, task: Task) -> tuple[np.ndarray, np.ndarray, Memory]:
    """The reference after one step, and the memory there."""
    _, memory = task.act(env.core.memory, np.zeros((1, 50)))
    return *task.player.reference(memory), memory


def rewards(env: GaitVectorEnv, task: Task, memory: Memory, qpos: np.ndarray, qvel: np.ndarray) -> dict:
    """Every term, unweighted, of a body put there."""
    settings = task.adjusted(task.settings, dict.fromkeys(HUMANOID_TRACK_REWARD, 1.0))
    env.core.physics.reset(np.arange(1), qpos, qvel)
    state: State = env.core.physics.read()
    found = task.reward(task.advance(task.view(state, memory, settings)))
    return {name: float(value[0]) for name, value in found.items()}


def test_zero_asks_for_the_next_frame_ahead_of_the_damping(human_reference: str) -> None:
    env, task = tracking(human_reference)
    qpos, qvel, _ = next_frame(env, task)
    target, _ = task.act(env.core.memory, np.zeros((1, 50)))
    np.testing.assert_allclose(target, qpos[:, 7:] + 0.1 * qvel[:, 6:])
    action = np.zeros((1, 50))
    action[0, KNEE] = 0.5
    moved, _ = task.act(env.core.memory, action)
    config = HumanoidTrackConfig()
    half_range = 0.5 * (ROBOT.upper - ROBOT.lower)
    np.testing.assert_allclose(moved - target, config.action_gain * half_range * action, atol=1e-12)


def test_servos_are_led_by_the_torque_that_the_clip_needs(human_reference: str, tmp_path: Path) -> None:
    clip = load_clips(human_reference)[1]
    torque = np.arange(clip.frames)[:, None] * np.linspace(-1.0, 1.0, 50)
    known = str(save_clip(tmp_path / "known.npz", dataclasses.replace(clip, torque=torque)))
    targets = {}
    for feed_forward in (False, True):
        env, task = tracking((human_reference, known), feed_forward=feed_forward)
        for number in (1, 2):  # the same frames: without torques, with them
            env.reset(seed=0, options={"clip": number, "frame": 12})
            targets[feed_forward, number] = task.act(env.core.memory, np.zeros((1, 50)))[0][0]
    np.testing.assert_array_equal(targets[True, 1], targets[False, 1])
    np.testing.assert_array_equal(targets[False, 2], targets[False, 1])
    np.testing.assert_allclose(targets[True, 2] - targets[False, 2], torque[13] / ROBOT.kp, atol=1e-12)


def test_led_by_its_torques_the_embedded_walk_stays_up_longer() -> None:
    """Open loop: an action of zero, from every sixth frame of a walk at 1 m/s, until it falls or strays."""
    lasts = {}
    for feed_forward in (False, True):
        env = GaitVectorEnv(6, task="humanoid_track", feed_forward=feed_forward, autoreset_mode="Disabled")
        env.reset(seed=0, options={"clip": [2] * 6, "frame": list(range(0, 36, 6))})
        steps, alive = np.zeros(6), np.ones(6, dtype=bool)
        while alive.any():
            _, _, terminated, truncated, _ = env.step(np.zeros((6, 50), dtype=np.float32))
            steps += alive
            alive &= ~(terminated | truncated)
        lasts[feed_forward] = steps.mean()
    assert lasts[True] > 1.5 * lasts[False]


def test_targets_stay_within_reach() -> None:
    """A servo must ask for more than its joint's range to push where its range ends; not for ever more."""
    task = make_task("humanoid_walk", {})
    far = np.full((1, 50), 5.0)  # five times half the range away from home
    np.testing.assert_allclose(task.actions.target(far, task.blank_memory(1)), [ROBOT.upper + 0.4])
    np.testing.assert_allclose(task.actions.target(-far, task.blank_memory(1)), [ROBOT.lower - 0.4])


def test_every_kernel_reads_one_on_the_reference(human_reference: str) -> None:
    env, task = tracking(human_reference)
    qpos, qvel, memory = next_frame(env, task)
    found = rewards(env, task, memory, qpos, qvel)
    assert found.pop("action_rate") == 0
    assert found == pytest.approx(dict.fromkeys(found, 1.0))


def test_a_shifted_body_by_hand(human_reference: str) -> None:
    """0.1 m forward: root and centre of mass are off, and nothing else."""
    env, task = tracking(human_reference)
    qpos, qvel, memory = next_frame(env, task)
    off = qpos.copy()
    off[:, 0] += 0.1
    expected = dict.fromkeys(HUMANOID_TRACK_REWARD, 1.0) | {
        "track_root": np.exp(-ROOT * 0.01),
        "track_com": np.exp(-MASSES * 0.01),
        "action_rate": 0.0,
    }
    assert rewards(env, task, memory, off, qvel) == pytest.approx(expected)


def test_a_bent_elbow_by_hand(human_reference: str) -> None:
    """0.2 rad and 3 rad/s off at one joint: the hand goes round it, and takes its share of the mass along."""
    env, task = tracking(human_reference)
    qpos, qvel, memory = next_frame(env, task)
    before = ROBOT.body_positions(qpos)[0]
    off, rate = qpos.copy(), qvel.copy()
    off[:, 7 + ELBOW] += 0.2
    rate[:, 6 + ELBOW] += 3.0
    found = rewards(env, task, memory, off, rate)
    config = HumanoidTrackConfig()
    assert found["track_pose"] == pytest.approx(np.exp(-config.pose_sharpness * 0.04))
    assert found["track_velocity"] == pytest.approx(np.exp(-config.rate_sharpness * 9.0))
    # The hand's origin lies a forearm's length from the elbow's axis: a chord of 2 r sin(0.1).
    body = lambda name: ROBOT.model.body(name).id - ROBOT.pelvis  # noqa: E731
    moved = ROBOT.body_positions(off)[0] - before
    chord = np.linalg.norm(moved[body("left_hand")])
    assert chord == pytest.approx(2 * 0.25 * np.sin(0.1), rel=0.15)
    assert found["track_end_effector"] == pytest.approx(np.exp(-ENDS * chord**2))
    masses = ROBOT.model.body_mass[1:]
    centre = (masses[:, None] * moved).sum(axis=0) / ROBOT.mass
    assert found["track_com"] == pytest.approx(np.exp(-MASSES * (centre**2).sum()))
    assert found["track_root"] == found["track_turn"] == 1.0


def test_a_turned_and_pushed_body_by_hand(human_reference: str) -> None:
    env, task = tracking(human_reference)
    qpos, qvel, memory = next_frame(env, task)
    off, rate = qpos.copy(), qvel.copy()
    off[:, 3:7] = quat_mul(yaw_quat(np.array([0.3])), qpos[:, 3:7])
    rate[:, 1] += 0.5
    found = rewards(env, task, memory, off, rate)
    assert found["track_turn"] == pytest.approx(np.exp(-TURN * 0.09))
    assert found["track_root_velocity"] == pytest.approx(np.exp(-ROOT_VELOCITY * 0.25))
    assert found["track_end_effector"] == pytest.approx(1.0)  # in its own heading frame it is where it was


# -- walking to a command -----------------------------------------------------------------------------------


def test_the_walking_reward_by_hand() -> None:
    """1.0 m/s where 1.2 are asked, 0.1 m/s aside, 0.2 rad off the heading, 400 W at the knees."""
    task = make_task("humanoid_walk", {})
    env = GaitVectorEnv(1, task="humanoid_walk", autoreset_mode="Disabled")
    env.reset(seed=0, options={"command": [1.2, 0.0, 0.0]})
    state, memory = env.core.state, env.core.memory
    qpos, qvel, torque = np.tile(ROBOT.home_qpos, (1, 1)), np.zeros((1, 56)), np.zeros((1, 50))
    qvel[0, :2] = 1.0, 0.1
    qvel[0, 6 + KNEE], torque[0, KNEE] = -4.0, 100.0
    action = np.zeros((2, 1, 50))
    action[1, 0, :4] = 0.5
    state = dataclasses.replace(state, qpos=qpos, qvel=qvel, torque=torque)
    memory = memory.replace(heading=np.array([0.2]), previous_action=action[0], action=action[1])
    weights = HUMANOID_REWARD
    expected = {
        "tracking_lin_vel": weights["tracking_lin_vel"] * np.exp(-2.0 * 0.2),
        "tracking_lateral": weights["tracking_lateral"] * np.exp(-2.0 * 0.1),
        "tracking_heading": weights["tracking_heading"] * np.exp(-1.0 * 0.2),
        "alive": weights["alive"],
        "cost_of_transport": weights["cost_of_transport"] * 400 / (9.81 * ROBOT.mass * np.hypot(1.0, 0.1)),
        "action_rate": weights["action_rate"] * 4 * 0.25,
    }
    found = {name: float(value[0]) for name, value in task.reward(task.view(state, memory)).items()}
    assert found == pytest.approx(expected)


# -- references that will not do ------------------------------------------------------------------------------


def test_a_missing_reference_is_named() -> None:
    with pytest.raises(ClipError, match=r"no_such_walk: neither a clip, .* nor an embedded set"):
        gymnasium.make("GaitNet/HumanoidImitation-v0", reference="no_such_walk")


@pytest.mark.parametrize("made", [gymnasium.make, gymnasium.make_vec])
@pytest.mark.parametrize("name", HUMANOIDS)
def test_a_reference_of_another_body_is_refused(name: str, made: Callable, reference: str) -> None:
    with pytest.raises(ClipError, match=r"^clip 'procedural_030', of the model 'wildrobot'") as error:
        made(name, reference=reference)
    assert "missing ['right_hip_flexion', " in str(error.value)
    assert "unknown ['waist_yaw', " in str(error.value)
    assert len(str(error.value)) < 600


def test_a_human_reference_is_no_robots(human_reference: str) -> None:
    with pytest.raises(ClipError, match="joints differ: missing"):
        gymnasium.make("GaitNet/WildRobotImitation-v0", reference=human_reference)


def test_a_reference_at_another_rate_is_refused(human_reference: str, tmp_path: Path) -> None:
    clip = dataclasses.replace(load_clips(human_reference)[0], fps=50.0)
    path = save_clip(tmp_path / "fast.npz", clip)
    with pytest.raises(ClipError, match="fps is 50, this body is controlled at 30"):
        gymnasium.make("GaitNet/HumanoidImitation-v0", reference=str(path))


def test_a_mixture_of_settings_keeps_the_tasks_own_defaults() -> None:
    assert HumanoidTrackConfig().rsi_probability == TrackConfig().rsi_probability == 1.0
    assert HumanoidTrackConfig().actuation == "torque"
