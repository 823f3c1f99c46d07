"""Following clips: the reference, its observation, reward, end and errors, on motions made by hand."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import mujoco
import numpy as np
import pytest

from gait_envs.models.robot import wildrobot
from gait_envs.reference.clip import Clip, ClipError, save_clip, velocities
from gait_envs.reference.library import MotionLibrary
from gait_envs.registry import make_task
from gait_envs.rotations import quat_mul, quat_rotate, yaw_quat
from gait_envs.simulation.base import State
from gait_envs.tasks import terms
from gait_envs.tasks.base import Task
from gait_envs.tasks.config import TRACK_REWARD, TrackConfig, build
from gait_envs.tasks.memory import Memory
from gait_envs.tasks.player import clip_commands
from gait_envs.tasks.rewards import ENDS, ROOT
from gait_envs.vector_env import GaitVectorEnv

ROBOT = wildrobot()
KERNELS = tuple(name for name in TRACK_REWARD if name.startswith("track_"))
RATE = 50.0  # frames and control steps a second


def walking(frames: int, speed: float = 0.4, turn: float = 0.0, **changes: Any) -> Clip:
    """Legs that swing while the root glides at `speed` m/s straight ahead and turns at `turn` rad/s."""
    time = np.arange(frames) / RATE
    yaw = turn * time
    qpos = np.zeros((frames, 16))
    # A circle of radius speed / turn, or a line.
    qpos[:, 0] = speed * (np.sin(yaw) / turn if turn else time)
    qpos[:, 1] = speed * ((1 - np.cos(yaw)) / turn if turn else 0 * time)
    qpos[:, 2] = ROBOT.home_qpos[2]
    qpos[:, 3:7] = yaw_quat(yaw)
    swing = 0.1 * np.sin(2 * np.pi * time[:, None] + np.arange(9))
    qpos[:, 7:] = np.clip(ROBOT.home + swing, ROBOT.lower, ROBOT.upper)
    clip = Clip(qpos, velocities(qpos, RATE), RATE, ROBOT.joint_names, False, "wildrobot", "a test", "MIT")
    return dataclasses.replace(clip, **changes)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Saves clips and gives the folder they lie in."""

    def save(**named: Clip) -> str:
        folder = tmp_path_factory.mktemp("clips")
        for name, clip in named.items():
            save_clip(folder / f"{name}.npz", clip)
        return str(folder)

    return save


@pytest.fixture(scope="module")
def straight(clips: Callable) -> str:
    return clips(straight=walking(61))


def tracking(reference: str, n: int = 4, **config: object) -> GaitVectorEnv:
    return GaitVectorEnv(n, task="track", reference=reference, autoreset_mode="Disabled", **config)


def task_of(env: Any) -> Task:
    return env.unwrapped.core.task


def on_reference(env: GaitVectorEnv) -> tuple[Task, State, Memory]:
    """One step on, with the robots put exactly where the reference has them; the state is as physics sees it."""
    task, physics = task_of(env), env.core.physics
    _, memory = task.act(env.core.memory, np.zeros((env.num_envs, 9)))
    return task, posed(physics, *task.player.reference(memory)), memory


def posed(physics: Any, qpos: np.ndarray, qvel: np.ndarray) -> State:
    physics.reset(np.arange(len(qpos)), qpos, qvel)
    return physics.read()


# -- the reference ----------------------------------------------------------------------------------------


def test_it_starts_on_the_reference(reference: str) -> None:
    env = tracking(reference, 32)
    env.reset(seed=1)
    for _ in range(3):  # an earlier life, whose errors are forgotten
        env.step(np.ones((32, 9)))
    _, info = env.reset(seed=0)
    memory, task = env.core.memory, task_of(env)
    library = task.library
    assert isinstance(library, MotionLibrary)
    assert set(memory.clip) == {0, 1}
    assert len(set(memory.frame)) > 10
    qpos, qvel = library.at(memory.clip, memory.frame)
    np.testing.assert_array_equal(env.core.state.qvel, qvel)
    np.testing.assert_allclose(env.core.state.qpos[:, 7:], np.clip(qpos[:, 7:], ROBOT.lower, ROBOT.upper))
    np.testing.assert_array_equal(info["command"], task.player.commands[library.starts[memory.clip] + memory.frame])
    # The reference's root stands over the robot's.
    np.testing.assert_allclose(memory.reference_qpos[:, :2], env.core.state.qpos[:, :2])
    # Joints drawn beyond their limits are put within them, which is the only error there is.
    within = (qpos[:, 7:] == env.core.state.qpos[:, 7:]).all(axis=1)
    assert 0 < within.sum() < 32
    for key in ("mpjpe_global", "mpjpe_root", "mpjpe_aligned"):
        np.testing.assert_allclose(info[key][within], 0.0, atol=1e-9)
    clipped = ROBOT.body_positions(env.core.state.qpos) - ROBOT.body_positions(memory.reference_qpos)
    np.testing.assert_allclose(info["mpjpe_global"], 1e3 * np.linalg.norm(clipped, axis=-1).mean(-1), atol=1e-9)
    np.testing.assert_array_equal(info["velocity_error"], 0.0)


def test_frames_in_flight_stay_there_and_sunk_ones_are_lifted(tmp_path: Path) -> None:
    flies, sinks = walking(61), walking(61)
    flies.qpos[:, 2] += 0.15
    sinks.qpos[:, 2] -= 0.05
    for name, clip in (("flies", flies), ("sinks", sinks)):
        save_clip(tmp_path / f"{name}.npz", clip)
    env = tracking(str(tmp_path), 2)
    _, info = env.reset(seed=0, options={"clip": [0, 1], "frame": 5})
    heights = env.core.state.qpos[:, 2]
    assert heights[0] == flies.qpos[5, 2]
    lifted = heights[1] - sinks.qpos[5, 2]
    assert lifted == pytest.approx(-env.core.physics.lowest_sole(sinks.qpos[5]))
    assert lifted > 0.03
    np.testing.assert_allclose(info["mpjpe_global"], [0.0, 1e3 * lifted], atol=1e-9)
    np.testing.assert_allclose(info["mpjpe_root"], 0.0, atol=1e-9)


def test_rare_random_frames_leave_the_first(straight: str) -> None:
    env = tracking(straight, 8, rsi_probability=0.0)
    env.reset(seed=0)
    assert env.core.memory.frame.tolist() == [0] * 8  # type: ignore[attr-defined]
    np.testing.assert_array_equal(env.core.state.qvel, np.tile(walking(61).qvel[0], (8, 1)))


def test_noise_where_a_clip_begins_and_nowhere_else(clips: Callable) -> None:
    folder = clips(straight=walking(61), round=walking(61, loop=True))
    env = tracking(folder, 64, start_noise=0.02)
    chosen = np.arange(64) // 32  # round, then straight
    frames = np.where(np.arange(64) % 2 == 0, 0, 7)
    env.reset(seed=0, options={"clip": chosen, "frame": frames})
    library = task_of(env).library
    assert isinstance(library, MotionLibrary)
    assert tuple(library.names) == ("round", "straight")
    qpos, qvel = library.at(chosen, frames)
    off, rate = env.core.state.qpos[:, 7:] - qpos[:, 7:], env.core.state.qvel - qvel
    begins = (chosen == 1) & (frames == 0)
    assert not rate[~begins].any()
    assert not off[~begins].any()
    assert not rate[begins, :6].any()  # the root's
    # Uniform: deviations of 0.02 / √3 rad and of 0.2 / √3 rad/s; joints at a limit cannot pass it.
    assert np.abs(off[begins]).max() <= 0.02
    assert rate[begins, 6:].std() == pytest.approx(0.2 / np.sqrt(3), rel=0.15)
    assert off[begins].std() == pytest.approx(0.02 / np.sqrt(3), rel=0.25)


def test_loops_go_on_where_they_got_to(reference: str) -> None:
    env = tracking(reference)
    env.reset(seed=0, options={"clip": "procedural_060", "frame": 3})
    task, memory = task_of(env), env.core.memory
    assert task.library is not None
    period = task.library.lengths[1] - 1
    rounds = [memory.replace(frame=memory.frame + i) for i in range(3 * period)]
    xs = [task.player.reference(m)[0][0, 0] for m in rounds]
    np.testing.assert_allclose(np.diff(xs), 0.6 / RATE, atol=1e-9)  # the root goes on across the seam
    assert not any(task.finished(task.view(env.core.state, m)).any() for m in rounds)


def test_steps_count_frames(straight: str) -> None:
    env = tracking(straight)
    env.reset(seed=0, options={"frame": 3})
    for _ in range(5):
        env.step(np.zeros((4, 9)))
    assert env.core.memory.frame.tolist() == [8] * 4  # type: ignore[attr-defined]


@pytest.mark.parametrize("turn", [0.0, 0.8])
def test_bodies_of_the_reference_are_those_of_its_pose(clips: Callable, turn: float) -> None:
    """Also where a loop has gone round twice and has turned with each round."""
    loop = walking(51, turn=turn, loop=True)
    loop.qpos[-1, 7:] = loop.qpos[0, 7:]
    env = tracking(clips(loop=loop), 6)
    env.reset(seed=3)
    task, memory = task_of(env), env.core.memory
    memory = memory.replace(frame=memory.frame + np.array([0, 0, 30, 50, 100, 137]))
    memory = memory.replace(reference_qpos=task.player.reference(memory)[0])
    data = mujoco.MjData(ROBOT.model)
    for row, bodies in enumerate(task.player.reference_bodies(memory)):
        data.qpos[:] = memory.reference_qpos[row]
        mujoco.mj_kinematics(ROBOT.model, data)
        np.testing.assert_allclose(bodies, data.xpos[ROBOT.pelvis :], atol=1e-9)


def test_body_positions_are_physics_own(straight: str) -> None:
    env = tracking(straight, 5)
    env.reset(seed=1)
    for action in np.random.default_rng(0).uniform(-1, 1, (6, 5, 9)):
        env.step(action)
    state = env.core.state
    names = [ROBOT.model.body(ROBOT.pelvis + i).name for i in range(state.body_pos.shape[1])]
    assert (names[0], len(names)) == (ROBOT.model.body(ROBOT.pelvis).name, ROBOT.model.nbody - 1)
    assert np.ptp(state.qpos[:, 7]) > 0.01  # they do differ
    again = posed(env.core.physics, state.qpos, state.qvel)
    np.testing.assert_allclose(ROBOT.body_positions(state.qpos), again.body_pos, atol=1e-12)
    np.testing.assert_allclose(state.body_pos, again.body_pos, atol=1e-12)  # after a step as after a reset


# -- commands ---------------------------------------------------------------------------------------------


def test_commands_are_the_clips_velocity(clips: Callable) -> None:
    """Straight: its speed. On a circle of 0.8 rad/s: that rate, and the chord over a second or, at the ends, half."""
    line, circle = walking(101, speed=0.5), walking(101, speed=0.3, turn=0.8)
    sideways = walking(101, speed=0.0)
    sideways.qpos[:, 1] += 0.2 * np.arange(101) / RATE
    sideways.qpos[:, 3:7] = yaw_quat(np.full(101, np.pi / 2))  # north is ahead now
    task = make_task("track", {"reference": clips(a=line, b=circle, c=sideways)})
    assert task.library is not None
    a, b, c = np.split(task.player.commands, task.library.starts[1:])
    np.testing.assert_allclose(a, np.tile([0.5, 0, 0], (101, 1)), atol=1e-9)
    np.testing.assert_allclose(c, np.tile([0.2, 0, 0], (101, 1)), atol=1e-9)
    np.testing.assert_allclose(b[:, 2], 0.8)
    chord = 2 * (0.3 / 0.8) * np.sin(0.8 / 2)  # of a second, as long as the window
    np.testing.assert_allclose(b[50], [chord, 0, 0.8], atol=1e-9)
    half = 2 * (0.3 / 0.8) * np.sin(0.8 / 4) / 0.5
    np.testing.assert_allclose(b[0], [half * np.cos(0.2), half * np.sin(0.2), 0.8], atol=1e-9)


@pytest.mark.parametrize("turn", [0.0, 0.6])
def test_commands_of_a_loop_have_no_seam(clips: Callable, turn: float) -> None:
    """A pelvis that sways and yaws as it walks: over a lap, the commands lead where the lap does. 36 frames are
    shorter than the window, and half of it is no whole number of laps."""
    frames = 37
    sway = 0.2 * np.sin(2 * np.pi * np.arange(frames) / (frames - 1) + 0.4)
    steady = walking(frames, turn=turn, loop=True)
    steady.qpos[:, 3:7] = quat_mul(steady.qpos[:, 3:7], yaw_quat(sway))
    steady.qpos[:, 1] += 0.05 * sway
    task = make_task("track", {"reference": clips(steady=steady)})
    assert task.library is not None
    commands, lap = task.player.commands, task.library.durations[0]
    np.testing.assert_allclose(commands[-1], commands[0], atol=1e-9)
    assert commands[:-1, 2].mean() == pytest.approx(task.library.turns[0] / lap, abs=1e-9)
    # What one lap's frames are told is what frames far within many laps would be.
    many = task.library.at(np.zeros(5 * 36 + 1, dtype=int), np.arange(-72, 109))[0]
    np.testing.assert_allclose(commands, clip_commands(many, ROBOT.dt)[72:109], atol=1e-12)


def test_the_command_is_that_of_the_frame(clips: Callable) -> None:
    clip = walking(121)
    clip.qpos[60:, 0] += 0.01 * np.arange(61)  # half a metre a second quicker from here on
    env = tracking(clips(clip=clip), 1)
    _, info = env.reset(seed=0, options={"frame": 10})
    assert info["command"][0] == pytest.approx([0.4, 0, 0])
    _, info = env.reset(options={"frame": 100})
    assert info["command"][0] == pytest.approx([0.9, 0, 0])
    _, info = env.reset(options={"frame": 59})
    info = env.step(np.zeros((1, 9)))[-1]
    assert info["command"][0] == pytest.approx([0.65, 0, 0])


# -- observation and action -------------------------------------------------------------------------------


def test_frames_to_come_are_seen_from_the_root(clips: Callable) -> None:
    """Every number of it by hand, on a turning clip, with the robot off its place."""
    folder = clips(circle=walking(101, speed=0.3, turn=0.8))
    env = tracking(folder, 2, future_frames=(1, 5, 10))
    rows = [(row.name, row.size) for row in task_of(env).layout]
    joints, rates, root, turn = rows[-4:]
    assert joints == ("reference_joint_position", 27)
    assert rates == ("reference_joint_velocity", 27)
    assert (root, turn) == (("root_error", 9), ("turn_error", 9))
    env.reset(seed=0, options={"frame": 20})
    task, memory = task_of(env), env.core.memory
    assert task.library is not None
    clip = task.library.clips[0]
    qpos = np.tile(clip.qpos[20], (2, 1))
    qpos[:, :2] = memory.origin + clip.qpos[20, :2] + [0.03, -0.02]
    qpos[:, 2] += 0.01
    qpos[:, 3:7] = quat_mul(yaw_quat(np.full(2, 0.25)), qpos[:, 3:7])
    obs = task.observe(task.view(posed(env.core.physics, qpos, np.zeros((2, 15))), memory))
    at = task.layout.slices()
    for i, ahead in enumerate((1, 5, 10)):
        pose, rate = clip.qpos[20 + ahead], clip.qvel[20 + ahead]
        seen = {name: obs[:, slice_].reshape(2, 3, -1)[:, i] for name, slice_ in at.items() if name in dict(rows[-4:])}
        expected = (pose[7:] - ROBOT.home) / (0.5 * (ROBOT.upper - ROBOT.lower))
        np.testing.assert_allclose(seen["reference_joint_position"], [expected] * 2, atol=1e-6)
        np.testing.assert_allclose(seen["reference_joint_velocity"], [rate[6:]] * 2, atol=1e-5)
        # The way there in the world, turned back by the robot's heading.
        way = pose[:3] - clip.qpos[20, :3] - [0.03, -0.02, 0.01]
        c, s = np.cos(0.8 * 20 / RATE + 0.25), np.sin(0.8 * 20 / RATE + 0.25)
        expected = [c * way[0] + s * way[1], -s * way[0] + c * way[1], way[2]]
        np.testing.assert_allclose(seen["root_error"], [expected] * 2, atol=1e-6)
        np.testing.assert_allclose(seen["turn_error"], [[0, 0, 0.8 * ahead / RATE - 0.25]] * 2, atol=1e-6)


def test_phase_is_one_turn_a_clip(clips: Callable) -> None:
    loop = walking(41, loop=True)
    env = tracking(clips(finite=walking(61), loop=loop), 2, reference_observation="phase")
    task = task_of(env)
    assert task.layout.size == 37 + 2
    env.reset(seed=0, options={"frame": 0})
    memory = env.core.memory
    for clip, frame, share in ((0, 0, 0), (0, 15, 0.25), (0, 60, 1), (0, 99, 1), (1, 10, 0.25), (1, 90, 0.25)):
        now = memory.replace(clip=np.full(2, clip), frame=np.full(2, frame))
        np.testing.assert_allclose(task.player.phase(now), share)
        seen = task.observe(task.view(env.core.state, now))[:, -2:]
        np.testing.assert_allclose(seen, [[np.sin(2 * np.pi * share), np.cos(2 * np.pi * share)]] * 2, atol=1e-6)


def test_without_a_reference_in_sight_it_is_walking(straight: str) -> None:
    """Same table, same numbers, same servo targets: a policy of the one environment runs in the other."""
    env = tracking(straight, 3, reference_observation="none", action_base="home")
    walk = GaitVectorEnv(3, autoreset_mode="Disabled")
    assert task_of(env).layout.table() == walk.core.task.layout.table()
    assert env.single_observation_space == walk.single_observation_space
    env.reset(seed=0, options={"frame": 7})
    start, command = env.core.state, np.array([0.4, 0, 0])
    begin = {"qpos": start.qpos, "qvel": start.qvel, "command": command}
    np.testing.assert_allclose(
        walk.reset(seed=0, options=begin)[0], task_of(env).observe(task_of(env).view(start, env.core.memory)), atol=1e-6
    )
    for action in np.random.default_rng(0).uniform(-0.3, 0.3, (10, 3, 9)):
        ours, theirs = env.step(action), walk.step(action)
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)
        for key in ("x_velocity", "speed_error", "amp_obs"):
            np.testing.assert_allclose(ours[-1][key], theirs[-1][key], atol=1e-5)


def test_what_an_action_of_zero_asks_for(straight: str) -> None:
    for base in ("reference", "home"):
        env = tracking(straight, 2, action_base=base, action_filter=1.0, action_gain=0.25)
        env.reset(seed=0, options={"frame": 7})
        task = task_of(env)
        assert task.library is not None
        target, _ = task.act(env.core.memory, np.zeros((2, 9)))
        expected = task.library.qpos[8, 7:] if base == "reference" else ROBOT.home
        np.testing.assert_allclose(target, [expected] * 2)
        target, _ = task.act(env.core.memory, np.full((2, 9), 0.1))
        gain = 0.25 if base == "reference" else 1.0
        moved = np.clip(expected + 0.1 * gain * ROBOT.half_range, ROBOT.lower, ROBOT.upper)
        np.testing.assert_allclose(target, [moved] * 2)


# -- reward -----------------------------------------------------------------------------------------------


def test_a_perfect_tracker_is_paid_in_full(reference: str) -> None:
    """Put on the reference's next frame, every kernel reads its weight."""
    env = tracking(reference, reward_weights=dict.fromkeys(KERNELS, 2.0))
    env.reset(seed=0)
    task, state, memory = on_reference(env)
    assert "track_end_effector" in KERNELS
    for name, value in task.reward(task.view(state, memory)).items():
        np.testing.assert_allclose(value, 2.0, err_msg=name)
    memory = task.advance(task.view(state, memory)).memory
    np.testing.assert_allclose(memory.error, 0, atol=1e-9)
    assert not task.failed(task.view(state, memory)).any()


def test_errors_cost_what_their_kernels_say(clips: Callable) -> None:
    env = tracking(clips(circle=walking(61, turn=0.5)), reward_weights=dict.fromkeys(KERNELS, 1.0))
    env.reset(seed=0, options={"frame": 20})
    task, right, memory = on_reference(env)
    # A tenth of a metre forward: only the root is off, for the feet have come along.
    off = right.qpos.copy()
    off[:, 0] += 0.1
    found = task.reward(task.view(posed(env.core.physics, off, right.qvel), memory))
    expected = dict.fromkeys(KERNELS, 1.0) | {"track_root": np.exp(-ROOT * 0.01)}
    for name, value in found.items():
        np.testing.assert_allclose(value, expected[name], err_msg=name)
    # Turned on the spot: in the heading frame the feet are where they were.
    off = right.qpos.copy()
    off[:, 3:7] = quat_mul(yaw_quat(np.full(4, 0.3)), off[:, 3:7])
    found = task.reward(task.view(posed(env.core.physics, off, right.qvel), memory))
    np.testing.assert_allclose(found["track_end_effector"], 1.0)
    assert (found["track_turn"] < 0.6).all()
    # A leg swung from the hip: the foot moves on a circle about it.
    hip = ROBOT.model.joint("left_hip_pitch").qposadr[0]
    off = right.qpos.copy()
    off[:, hip] += 0.1
    state = posed(env.core.physics, off, right.qvel)
    found = task.reward(task.view(state, memory))
    np.testing.assert_allclose(found["track_pose"], np.exp(-TrackConfig().pose_sharpness * 0.01))
    foot = ROBOT.model.body("left_foot").id - ROBOT.pelvis
    chord = np.linalg.norm(state.body_pos[:, foot] - right.body_pos[:, foot], axis=-1)
    np.testing.assert_allclose(chord, 0.033, atol=0.012)  # a tenth of a leg's length
    np.testing.assert_allclose(found["track_end_effector"], np.exp(-ENDS * chord**2))
    np.testing.assert_allclose(found["track_root"], 1.0)


# -- errors -----------------------------------------------------------------------------------------------


def test_errors_of_a_shifted_robot(straight: str) -> None:
    """A tenth of a metre aside: 100 mm in the world, nothing relative to the root."""
    env = tracking(straight)
    env.reset(seed=0, options={"frame": 20})
    task, right, memory = on_reference(env)
    off = right.qpos.copy()
    off[:, 1] += 0.1
    state = posed(env.core.physics, off, right.qvel)
    info = task.info(task.view(state, task.advance(task.view(state, memory)).memory))
    np.testing.assert_allclose(info["mpjpe_global"], 100.0)
    np.testing.assert_allclose(info["mpjpe_root"], 0.0, atol=1e-9)
    np.testing.assert_allclose(info["mpjpe_aligned"], 0.0, atol=1e-9)


def test_errors_of_a_turned_robot_vanish_once_aligned(straight: str) -> None:
    env = tracking(straight)
    env.reset(seed=0, options={"frame": 20})
    task, right, memory = on_reference(env)
    off = right.qpos.copy()
    off[:, 3:7] = quat_mul(yaw_quat(np.full(4, 0.3)), off[:, 3:7])
    off[:, 0] += 0.2
    state = posed(env.core.physics, off, right.qvel)
    info = task.info(task.view(state, task.advance(task.view(state, memory)).memory))
    relative = right.body_pos - right.body_pos[:, :1]
    turned = quat_rotate(yaw_quat(np.array(0.3)), relative)
    expected = np.linalg.norm(turned - relative, axis=-1).mean(axis=-1)
    np.testing.assert_allclose(info["mpjpe_root"], 1e3 * expected)
    assert (expected > 0.005).all()
    shifted = np.linalg.norm(turned - relative + np.array([0.2, 0, 0]), axis=-1).mean(axis=-1)
    np.testing.assert_allclose(info["mpjpe_global"], 1e3 * shifted)
    np.testing.assert_allclose(info["mpjpe_aligned"], 0.0, atol=1e-6)


def test_errors_in_info_are_those_of_a_direct_computation(straight: str) -> None:
    env = tracking(straight, 3, max_distance=10.0)
    env.reset(seed=0, options={"frame": 5})
    origin = env.core.memory.origin.copy()  # type: ignore[attr-defined]
    before, library = None, task_of(env).library
    assert library is not None
    for frame, action in enumerate(np.random.default_rng(0).uniform(-1, 1, (8, 3, 9)), start=6):
        info = env.step(action)[-1]
        qpos = np.tile(library.qpos[frame], (3, 1))
        qpos[:, :2] += origin
        difference = env.core.state.body_pos - ROBOT.body_positions(qpos)
        np.testing.assert_allclose(info["mpjpe_global"], 1e3 * np.linalg.norm(difference, axis=-1).mean(axis=-1))
        relative = difference - difference[:, :1]
        np.testing.assert_allclose(info["mpjpe_root"], 1e3 * np.linalg.norm(relative, axis=-1).mean(axis=-1))
        wanted = env.core.state.body_pos - difference
        aligned = terms.procrustes(env.core.state.body_pos, wanted) - wanted
        np.testing.assert_allclose(info["mpjpe_aligned"], 1e3 * np.linalg.norm(aligned, axis=-1).mean(axis=-1))
        if before is not None:
            rate = np.linalg.norm(difference - before, axis=-1).mean(axis=-1) * RATE
            np.testing.assert_allclose(info["velocity_error"], rate, atol=1e-9)
        before = difference
    assert info["mpjpe_global"].min() > 5


def test_training_leaves_out_what_takes_a_share_of_a_step(reference: str) -> None:
    env, short = tracking(reference), tracking(reference)
    short.core.costly_info = False
    for each in (env, short):
        each.reset(seed=0)
    full, less = (each.step(np.zeros((4, 9)))[-1] for each in (env, short))
    assert full.keys() - less.keys() == {"mpjpe_aligned", "_mpjpe_aligned"}
    for key, value in less.items():
        np.testing.assert_array_equal(value, full[key])


def test_velocity_error_of_one_that_drifts_away(straight: str) -> None:
    """0.2 m/s sideways from the reference, whatever the distance by now."""
    env = tracking(straight, 2, max_distance=10.0)
    env.reset(seed=0, options={"frame": 10})
    task, memory = task_of(env), env.core.memory
    memory = memory.replace(error=np.zeros_like(memory.error))
    for step in range(1, 5):
        _, memory = task.act(memory, np.zeros((2, 9)))
        qpos, qvel = task.player.reference(memory)
        qpos[:, 1] += 0.2 * step / RATE
        state = posed(env.core.physics, qpos, qvel)
        memory = task.advance(task.view(state, memory)).memory
        info = task.info(task.view(state, memory))
        np.testing.assert_allclose(info["velocity_error"], 0.2)
        np.testing.assert_allclose(info["mpjpe_global"], 200 * step / RATE)


# -- ends -------------------------------------------------------------------------------------------------


def test_too_far_from_the_reference_is_a_failure(straight: str) -> None:
    env = tracking(straight, 2, max_distance=0.25)
    env.reset(seed=0, options={"frame": 10})
    task, right, memory = on_reference(env)
    for distance, lost in ((0.24, False), (0.26, True)):
        off = right.qpos.copy()
        off[1, 1] += distance
        state = posed(env.core.physics, off, right.qvel)
        assert task.failed(task.advance(task.view(state, memory))).tolist() == [False, lost]
        without = task.adjusted(task.settings, max_distance=np.inf)
        assert not task.failed(task.advance(task.view(state, memory, without))).any()


# Nothing but the end of the clip can end these episodes.
TOLERANT = {"max_distance": 10.0, "max_tilt": 9.0, "min_height": 0.0, "max_height": 9.0}


def test_the_clips_own_posture_is_no_fall(clips: Callable) -> None:
    """A fall is counted from the clip, which here bends over by 1.2 rad and crouches, or hops, by 0.2 m."""
    allowed = {"max_tilt": 1.0, "min_height": ROBOT.home_qpos[2] - 0.1, "max_height": ROBOT.home_qpos[2] + 0.1}
    for rise, tilt in ((0.0, 1.2), (-0.2, 0.0), (0.2, 0.0), (-0.2, 1.2)):
        clip = walking(61)
        clip.qpos[:, 2] += rise
        clip.qpos[:, 3:7] = np.array([np.cos(tilt / 2), 0.0, np.sin(tilt / 2), 0.0])
        env = tracking(clips(bent=clip), 4, max_distance=10.0, **allowed)
        task, right, memory = on_reference(env)
        off = right.qpos.copy()
        turn = lambda angle: np.array([np.cos(angle / 2), 0.0, np.sin(angle / 2), 0.0])  # noqa: E731
        off[1, 3:7] = turn(tilt + 0.9)
        off[2, 3:7] = turn(tilt + 1.1)
        off[3, 2] += np.copysign(0.11, rise)  # beyond what the clip itself is off
        view = task.view(posed(env.core.physics, off, right.qvel), memory)
        assert task.failed(task.advance(view)).tolist() == [False, False, True, True]
        # A lower clip does not lower the ceiling, and a higher one does not raise the floor.
        off[:, 3:7] = turn(tilt)
        off[0, 2], off[1, 2] = ROBOT.home_qpos[2] - 0.09, ROBOT.home_qpos[2] + 0.09
        view = task.view(posed(env.core.physics, off, right.qvel), memory)
        assert task.failed(task.advance(view))[:2].tolist() == [False, False]
        # Without a limit on the distance a clip only commands, and a fall is counted from upright.
        without = task.adjusted(task.settings, max_distance=np.inf)
        assert task.failed(task.advance(task.view(right, memory, without))).all()


def test_the_end_of_a_clip_truncates(clips: Callable) -> None:
    folder = clips(finite=walking(31), loop=walking(31, loop=True))
    env = tracking(folder, 2, reference_observation="none", **TOLERANT)
    scalar = gymnasium.make("GaitNet/WildRobotImitation-v0", reference=folder, reference_observation="none", **TOLERANT)
    env.reset(seed=0, options={"clip": ["finite", "loop"], "frame": 20})
    scalar.reset(seed=0, options={"clip": "finite", "frame": 20})
    for step in range(1, 13):
        _, _, terminated, truncated, info = env.step(np.zeros((2, 9)))
        assert not terminated.any()
        assert info["success"].tolist() == truncated.tolist()
        assert not truncated[1]  # a loop has no end
        if step <= 10:
            assert truncated[0] == (step == 10)  # frame 30 is the last
            _, _, terminated, truncated, info = scalar.step(np.zeros(9))
            assert (terminated, truncated, info["success"]) == (False, step == 10, step == 10)
            assert info["frame"] == 20 + step


def test_what_cannot_be_seen_to_its_end_ends_before(clips: Callable) -> None:
    """Frames to come must be there to be seen; a whole clip is followed to its last frame all the same."""
    folder = clips(finite=walking(31))
    for config, last in (({"future_frames": (1, 5)}, 25), ({"future_frames": (1, 5), "whole_clips": True}, 30)):
        env = tracking(folder, 1, **config, **TOLERANT)
        env.reset(seed=0, options={"frame": 20})
        ends = [bool(env.step(np.zeros((1, 9)))[3][0]) for _ in range(last - 20)]
        assert ends == [False] * (last - 21) + [True]


def test_clips_that_cannot_be_seen_at_all_are_refused(clips: Callable) -> None:
    """Of 31 frames the last is 30 ahead of the first: no step of it is followed by an observed frame."""
    short, enough, loop = walking(31), walking(32), walking(31, loop=True)
    with pytest.raises(ClipError, match=r"^clips a, b: they end before the farthest observed frame, 30 frames"):
        tracking(clips(a=short, b=walking(5), c=enough), 1, future_frames=(1, 30))
    assert tracking(clips(c=enough, d=loop), 1, future_frames=(1, 30)).core.task.player.last_frames.tolist() == [1, 30]
    tracking(clips(a=short), 1, future_frames=(1, 30), whole_clips=True)
    tracking(clips(a=short), 1, future_frames=(1, 29))


@pytest.mark.parametrize("width", [2, 8])
def test_contacts_of_other_soles_are_refused(clips: Callable, width: int) -> None:
    """Two columns, loads of whole feet, were compared with four soles by broadcasting."""
    with pytest.raises(
        ClipError, match=f"its clips, 'a' the first, have contacts of {width} soles; of wildrobot they are 4"
    ):
        tracking(clips(a=walking(61, contacts=np.ones((61, width)))), 1)


def test_a_fall_on_the_last_frame_is_a_fall(straight: str) -> None:
    env = tracking(straight, 2, reference_observation="none", max_distance=10.0)
    env.reset(seed=0, options={"frame": 59})
    env.core.physics.batch.qpos[1, 3:7] = [np.cos(0.75), np.sin(0.75), 0, 0]
    _, _, terminated, truncated, _ = env.step(np.zeros((2, 9)))
    assert terminated.tolist() == [False, True]
    assert truncated.tolist() == [True, False]


def test_without_a_limit_the_clip_only_commands(straight: str) -> None:
    """Its end ends nothing, its last command stays, and some begin standing."""
    env = tracking(straight, 2, max_distance=np.inf, reference_observation="none", action_base="home")
    assert env.core.settings.free
    env.reset(seed=0, options={"frame": 58})
    for step in range(1, 6):
        _, _, terminated, truncated, info = env.step(np.zeros((2, 9)))
        assert not (terminated | truncated).any()
        assert info["frame"].tolist() == [58 + step] * 2
        np.testing.assert_allclose(info["command"], [[0.4, 0, 0]] * 2)
    env = tracking(straight, 400, max_distance=np.inf, rsi_probability=0.8, reset_noise=0.0)
    _, info = env.reset(seed=0)
    moving = env.core.state.qvel[:, 0] > 0.3
    assert moving.mean() == pytest.approx(0.8, abs=0.06)
    standing = ~moving
    np.testing.assert_array_equal(env.core.state.qpos[standing, 7:], [ROBOT.home] * standing.sum())
    np.testing.assert_array_equal(env.core.state.qvel[standing], 0.0)
    np.testing.assert_allclose(info["command"], [[0.4, 0, 0]] * 400, atol=1e-9)
    np.testing.assert_allclose(info["mpjpe_root"][moving], 0.0, atol=1e-9)


def test_the_reference_may_be_let_go_between_two_steps(straight: str) -> None:
    """As a schedule does: weights to nothing, the limit lifted, with the same keys in `info`."""
    env = tracking(straight, 2, reference_observation="none")
    env.reset(seed=0, options={"frame": 50})
    task, before = task_of(env), env.step(np.zeros((2, 9)))[-1]
    assert before["reward_track_pose"].min() > 0.5
    env.set_settings(dict.fromkeys(task.config.reward_weights, 0.0), np.inf)
    for _ in range(15):
        _, reward, _, truncated, info = env.step(np.zeros((2, 9)))
        assert info.keys() == before.keys()
        assert not truncated.any()
        np.testing.assert_array_equal(reward, 0.0)
    with pytest.raises(ValueError, match=r"unknown reward term \['speed'\]; known are \['tracking_lin_vel'"):
        env.set_settings({"speed": 1.0})
    for wrong in (0.0, -1.0, float("nan")):
        with pytest.raises(ValueError, match=f"max_distance is {wrong}, it must be greater than 0"):
            env.set_settings(max_distance=wrong)
    with pytest.raises(ValueError, match=r"max_distance is 1\.0, but the task follows no reference"):
        GaitVectorEnv(1).set_settings(max_distance=1.0)


# -- options ----------------------------------------------------------------------------------------------


def test_reset_options_choose_clip_and_frame(reference: str) -> None:
    env = tracking(reference)
    memory = env.core.memory
    env.reset(options={"command": [0.65, 0, 0]})
    assert memory.clip.tolist() == [1] * 4
    env.reset(options={"command": [[0.65, 0, 0], [0.1, 0, 0], [0.4, 0, 0], [0.9, 0, 0]]})
    assert memory.clip.tolist() == [1, 0, 0, 1]
    env.reset(options={"clip": [0, 1, 1, 0], "frame": [0, 1, 2, 3]})
    assert (memory.clip.tolist(), memory.frame.tolist()) == ([0, 1, 1, 0], [0, 1, 2, 3])
    env.reset(options={"clip": "procedural_060", "frame": 5, "reset_mask": np.array([True, False, True, False])})
    assert (memory.clip.tolist(), memory.frame.tolist()) == ([1, 1, 1, 0], [5, 1, 5, 3])


@pytest.mark.parametrize(
    "options, message",
    [
        ({"clip": "run"}, "no clip 'run'; the library has procedural_030, procedural_060"),
        ({"clip": 2}, "no clip 2; the library has 0 to 1"),
        ({"clip": 0, "frame": 999}, r"options\['frame'\] is 999, clip 'procedural_030' has 0 to"),
        ({"frame": -1}, r"options\['frame'\] is -1"),
        ({"frame": [1, 2, 3]}, r"options\['frame'\] has 3 rows for 4 sub-environments"),
        ({"command": [0.4, 0]}, r"options\['command'\] must be 3 finite numbers"),
        ({"qpos": ROBOT.home_qpos}, r"unknown reset option \['qpos'\]; known are \['clip', 'frame', 'command'\]"),
    ],
)
def test_reset_options_that_cannot_be(reference: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        tracking(reference).reset(seed=0, options=options)


@pytest.mark.parametrize(
    "config, message",
    [
        (
            {"reference_observation": "all"},
            r"reference_observation is 'all', allowed are \('future', 'phase'",
        ),
        ({"action_base": "zero"}, r"action_base is 'zero', allowed are \('reference', 'home'\)"),
        ({"future_frames": ()}, r"future_frames is \(\), expected ascending whole numbers of at least 1"),
        ({"future_frames": (0, 1)}, r"future_frames is \(0, 1\)"),
        ({"future_frames": (5, 1)}, r"future_frames is \(5, 1\)"),
        ({"future_frames": (1, 1)}, r"future_frames is \(1, 1\)"),
        ({"future_frames": (1.5,)}, r"future_frames is \(1.5,\)"),
        ({"max_distance": 0.0}, "max_distance is 0.0, it must be greater than 0"),
        ({"start_noise": -0.1}, "start_noise is -0.1, allowed is 0 or more"),
        ({"action_scale": 1.5}, "action_scale is of actions about the home pose; set action_gain"),
        ({"action_gain": -1.0}, "action_gain is -1.0, it must be greater than 0"),
        ({"reference": None}, "needs a reference"),
        ({"reference": None, "rsi_probability": 0.0}, "tracking needs a reference: a clip, a folder of clips"),
        ({"reward_weights": {"track_hands": 1.0}}, r"unknown reward term \['track_hands'\]; known are .*'track_pose'"),
    ],
)
def test_settings_that_cannot_be(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_task("track", config)


def test_an_unknown_setting_lists_the_known() -> None:
    with pytest.raises(TypeError, match=r"unknown key 'command_low' in config; known are .*max_distance"):
        build(TrackConfig, {"command_low": [0, 0, 0]})


def test_a_clip_of_another_robot_is_refused(tmp_path: Path) -> None:
    clip = walking(31, joint_names=tuple(f"joint_{i}" for i in range(9)))
    file = save_clip(tmp_path / "other.npz", clip)
    with pytest.raises(ClipError, match="other"):
        make_task("track", {"reference": str(file)})


def test_the_default_layout_is_walking_and_one_frame_to_come() -> None:
    task = make_task("track", {})
    walk = make_task("walk", {}).layout
    assert list(task.layout)[: len(list(walk))] == list(walk)
    assert task.layout.size == 37 + 9 + 9 + 3 + 3


def test_the_embedded_reference_spans_speeds_and_carries_its_weight() -> None:
    env = GaitVectorEnv(16, task="track")
    _, info = env.reset(seed=0)
    assert np.isfinite(info["amp_obs"]).all()
    library = task_of(env).library
    assert isinstance(library, MotionLibrary)
    assert library.speeds.min() < 0.35
    assert library.speeds.max() > 0.7
    for clip in library.clips:
        assert clip.contacts is not None
        load = clip.contacts.sum(axis=1).mean() / (ROBOT.mass * 9.81)
        assert load == pytest.approx(1, abs=0.1)  # it carries its weight
        assert (clip.qpos[:, 7:] >= ROBOT.lower - 0.06).all()
        assert (clip.qpos[:, 7:] <= ROBOT.upper + 0.06).all()  # limits are a little soft
