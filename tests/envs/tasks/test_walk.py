"""The walking task on states made by hand."""

from __future__ import annotations

import dataclasses
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode
from helpers.glider import Glider

from gait_envs.core import Core
from gait_envs.models.robot import wildrobot
from gait_envs.reference.clip import save_clip
from gait_envs.reference.library import load_clips
from gait_envs.registry import make_task
from gait_envs.rotations import quat_from_rotvec, quat_mul, yaw_quat
from gait_envs.simulation.base import State
from gait_envs.tasks.base import Task
from gait_envs.tasks.config import RandomizeConfig, WalkConfig, build
from gait_envs.tasks.memory import Memory
from gait_envs.tasks.part import Start
from gait_envs.tasks.rewards import WALKING
from gait_envs.tasks.view import steered_command
from gait_envs.tasks.walk import Commands, walk
from gait_envs.vector_env import GaitVectorEnv

ROBOT = wildrobot()


def task(**config: Any) -> Task:
    return walk(ROBOT, build(WalkConfig, config))


def standing(n: int = 1, rotvec: tuple[float, float, float] = (0, 0, 0), **changes: Any) -> State:
    """n robots at home, turned by `rotvec`, with some quantities changed."""
    qpos = np.tile(ROBOT.home_qpos, (n, 1))
    qpos[:, 3:7] = quat_from_rotvec(np.array(rotvec, float))
    rest = [np.zeros((n, *shape)) for shape in ((15,), (3,), (4,), (2, 3), (2, 3), (9,))]
    return dataclasses.replace(State(qpos, *rest, ROBOT.body_positions(qpos)), **changes)


def remembering(the_task: Task, n: int = 1, **changes: Any) -> Memory:
    return the_task.blank_memory(n).replace(**changes)


def moving(*velocity: float) -> np.ndarray:
    """qvel (1, 15) of a root moving at `velocity` (x, y, z m/s and then body rates, rad/s)."""
    qvel = np.zeros((1, 15))
    qvel[0, : len(velocity)] = velocity
    return qvel


# -- observation ----------------------------------------------------------------------------------------


def test_the_observation_by_hand() -> None:
    the_task = task()
    tilted = quat_mul(yaw_quat(np.array(np.pi / 2)), quat_from_rotvec(np.array([0, 0.1, 0])))
    state = standing(qvel=moving(0.2, 0.5, -0.1), gyro=np.array([[0.1, 0.2, 0.3]]))
    state.qpos[0, 3:7] = tilted
    state.qpos[0, 7:] = ROBOT.home + 0.25 * ROBOT.half_range
    state.qvel[0, 6:] = np.arange(9)
    filtered = np.arange(9)[None] / 10
    memory = remembering(
        the_task, command=np.array([[0.4, 0.1, 0.2]]), heading=np.array([np.pi / 2]), filtered=filtered
    )
    (obs,) = the_task.observe(the_task.view(state, memory))
    rows = {name: obs[s] for name, s in the_task.layout.slices().items()}
    assert obs.shape == (37,)
    np.testing.assert_allclose(rows["joint_position"], 0.25, rtol=1e-6)
    np.testing.assert_allclose(rows["joint_velocity"], np.arange(9))
    np.testing.assert_allclose(rows["linear_velocity"], [0.5, -0.2, -0.1], rtol=1e-5)  # facing the world's y
    np.testing.assert_allclose(rows["angular_velocity"], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(rows["gravity"], [np.sin(0.1), 0, -np.cos(0.1)], atol=1e-7)
    np.testing.assert_allclose(rows["command"], [0.4, 0.1, 0.2], atol=1e-6)
    # Waist, hips and knees; the ankles (4 and 8) are left out.
    np.testing.assert_allclose(rows["previous_action"], [0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7])


def test_the_order_of_the_37() -> None:
    starts = {name: s.start for name, s in task().layout.slices().items()}
    assert starts == {
        "joint_position": 0,
        "joint_velocity": 9,
        "linear_velocity": 18,
        "angular_velocity": 21,
        "gravity": 24,
        "command": 27,
        "previous_action": 30,
    }


def test_options_of_the_observation() -> None:
    state = standing(qvel=moving(0.2, 0.5, -0.1))
    state.qpos[0, 3:7] = yaw_quat(np.array(np.pi / 2))
    world = task(velocity_frame="world", previous_action="all")
    (obs,) = world.observe(world.view(state, remembering(world)))
    assert obs.shape == (39,)
    np.testing.assert_allclose(obs[18:21], [0.2, 0.5, -0.1], rtol=1e-6)


def test_extremes_stay_in_the_box() -> None:
    the_task = task()
    state = standing(qvel=np.full((1, 15), 1e30), gyro=np.full((1, 3), -1e30))
    (obs,) = the_task.observe(the_task.view(state, remembering(the_task)))
    assert np.isfinite(obs).all()
    assert (np.abs(obs) <= the_task.layout.limits).all()


# -- commands -------------------------------------------------------------------------------------------


def test_the_heading_is_steered_back() -> None:
    """The observed yaw rate adds gain × (due heading − heading), at most 0.5 rad/s, across the half turn too."""
    the_task = task(heading_gain=2.0)
    yaw = np.array([0.0, 0.1, 1.0, -3.1])
    due = np.array([0.0, 0.0, 0.0, 3.1])
    state = standing(4)
    state.qpos[:, 3:7] = yaw_quat(yaw)
    memory = remembering(the_task, 4, heading=due, command=np.tile([0.3, 0.0, 0.1], (4, 1)))
    steered = steered_command(the_task.view(state, memory))
    across = 2 * (3.1 - (-3.1) - 2 * np.pi)
    np.testing.assert_allclose(steered[:, 2], 0.1 + np.array([0, -0.2, -0.5, across]), atol=1e-12)
    np.testing.assert_array_equal(steered[:, :2], memory.command[:, :2])
    free = task(heading_gain=0.0)
    np.testing.assert_array_equal(steered_command(free.view(state, memory)), memory.command)


def test_the_due_heading_turns_at_the_commanded_rate() -> None:
    env = GaitVectorEnv(1, command_low=(0, 0, 0.5), command_high=(0, 0, 0.5))
    env.reset(seed=0)
    for _ in range(10):
        env.step(np.zeros((1, 9)))
    assert env.core.memory.heading[0] == pytest.approx(10 * 0.02 * 0.5)


def test_commands_fill_their_range() -> None:
    low, high = (0.1, -0.2, -0.5), (0.8, 0.2, 0.5)
    drawn = GaitVectorEnv(400, command_low=low, command_high=high).reset(seed=0)[1]["command"]
    for column, (a, b) in enumerate(zip(low, high, strict=True)):
        assert a <= drawn[:, column].min() < a + 0.05 * (b - a)
        assert b - 0.05 * (b - a) < drawn[:, column].max() <= b
        assert drawn[:, column].mean() == pytest.approx((a + b) / 2, abs=0.1 * (b - a))


def test_commands_of_the_reset_options() -> None:
    env = GaitVectorEnv(3)
    np.testing.assert_array_equal(
        env.reset(options={"command": [0.3, 0.1, -0.2]})[1]["command"], [[0.3, 0.1, -0.2]] * 3
    )
    each = np.arange(9.0).reshape(3, 3) / 10
    obs, info = env.reset(options={"command": each})
    np.testing.assert_array_equal(info["command"], each)
    np.testing.assert_allclose(obs[:, 27:30], each, atol=1e-6)
    for wrong in ([0.3], np.zeros((2, 3)), [0.3, np.nan, 0.0], np.zeros((3, 2))):
        with pytest.raises(ValueError, match="command"):
            env.reset(options={"command": wrong})


def test_starting_states_of_the_reset_options() -> None:
    env = GaitVectorEnv(2)
    qpos, qvel = ROBOT.home_qpos.copy(), np.zeros(15)
    qpos[:3], qvel[0] = [1.0, 2.0, 0.5], 0.3
    env.reset(options={"qpos": qpos, "qvel": qvel})
    np.testing.assert_array_equal(env.core.state.qpos, np.tile(qpos, (2, 1)))  # as given, not put on the floor
    np.testing.assert_array_equal(env.core.state.qvel, np.tile(qvel, (2, 1)))
    for key, wrong in (("qpos", qpos[:15]), ("qvel", qpos), ("qvel", qvel * np.nan), ("qpos", 2 * qpos)):
        with pytest.raises(ValueError, match=f"options\\['{key}'\\]"):
            env.reset(options={key: wrong})


def test_commands_are_redrawn_when_due() -> None:
    env = GaitVectorEnv(4, command_interval=0.1, autoreset_mode="Disabled")  # every 5 steps
    _, info = env.reset(seed=0)
    commands = [info["command"]]
    for _ in range(11):
        commands.append(env.step(np.zeros((4, 9)))[4]["command"])
    changed = [not np.array_equal(a, b) for a, b in itertools.pairwise(commands)]
    # Drawn after step 5 is rewarded, so step 6's info is the first to show it.
    assert [i + 1 for i, c in enumerate(changed) if c] == [6, 11]


def test_the_curriculum_opens_with_success() -> None:
    the_task = task(curriculum=True, command_low=(0.1, 0, 0), command_high=(1.1, 0, 0))
    for level, top in ((0.0, 0.4), (0.5, 0.75), (1.0, 1.1)):
        drawn = [Commands(ROBOT, the_task.config).command(np.random.default_rng(i), level)[0] for i in range(300)]
        assert 0.1 <= min(drawn) < 0.12
        assert top - 0.02 < max(drawn) <= top
    memory = remembering(the_task, 4, level=np.array([0.5, 0.5, 1.0, 0.5]), command=np.full((4, 3), 0.2))
    memory.command[3] = 0.1, 0.1, 0.5  # 0.14 m/s: standing still is no more than 0.15 m/s off
    the_task.finish(memory, np.arange(4), np.array([True, False, True, True]))
    np.testing.assert_allclose(memory.level, [0.6, 0.45, 1.0, 0.5])


def episodes(mode: str, count: int, speed: float, low: float) -> np.ndarray:
    """The levels of two bodies that glide at 0.4 m/s (or slower), after some episodes of 20 steps."""
    config = {"curriculum": True, "command_low": (low, 0, 0), "command_high": (0.6, 0, 0)}
    backend = Glider(ROBOT, 2)
    backend.speed[:] = speed
    core = Core(
        make_task("walk", config), 2, simulation=backend, max_episode_steps=20, autoreset_mode=AutoresetMode(mode)
    )
    core.seed([0, 1])
    core.reset()
    done = 0
    while done < count:
        result = core.step(np.zeros((2, 9)))
        assert not result.terminated.any()
        done += int(result.truncated[0])
    levels = core.memory.level.copy()
    core.reset()
    np.testing.assert_array_equal(core.memory.level, levels)
    core.seed([0, 1])  # the same seed is the same sequence of episodes, its curriculum included
    np.testing.assert_array_equal(core.memory.level, 0.0)
    return levels


def test_the_curriculum_counts_each_episode_once() -> None:
    """In both modes of automatic resets, three episodes at the commanded speed move the level three times."""
    for mode in ("NextStep", "SameStep"):
        np.testing.assert_allclose(episodes(mode, 3, 0.4, 0.4), 0.3)


def test_standing_still_opens_no_curriculum() -> None:
    """Zero speed, commands from 0 to 0.6 m/s: survived to the end each time, and the level stays where it was."""
    np.testing.assert_array_equal(episodes("SameStep", 20, 0.0, 0.0), 0.0)


# -- actions --------------------------------------------------------------------------------------------


def test_actions_are_filtered_and_scaled() -> None:
    the_task = task()
    memory = remembering(the_task)
    action = np.zeros((1, 9))
    action[0, [1, 4]] = 0.5, -2.0  # left hip, left ankle; -2 is clipped to -1
    target, memory = the_task.act(memory, action)
    scale = ROBOT.half_range
    expected = ROBOT.home.copy()
    expected[1] += 0.7 * 0.5 * scale[1]
    expected[4] -= 0.7 * 1.0 * scale[4]
    np.testing.assert_allclose(target[0], expected)
    target, memory = the_task.act(memory, action)
    expected[1] = ROBOT.home[1] + 0.91 * 0.5 * scale[1]
    expected[4] = max(ROBOT.home[4] - 0.91 * scale[4], ROBOT.lower[4])
    np.testing.assert_allclose(target[0], expected)
    assert memory.steps[0] == 2
    np.testing.assert_array_equal(memory.previous_action, memory.action)


def test_action_scale_reaches_farther_and_holds_poses_that_lie_farther() -> None:
    """WildRobot's knee, home at 0.4147 rad and half a range of 0.698, bends to 1.113 rad, and at 1.5 to its end."""
    usual, wide = task(action_filter=1.0), task(action_filter=1.0, action_scale=1.5)
    most = [each.act(remembering(each), np.ones((1, 9)))[0][0, 3] for each in (usual, wide)]
    np.testing.assert_allclose(most, [0.4147 + 0.6981, 1.3963], atol=1e-3)
    some = wide.act(remembering(wide), np.full((1, 9), 0.4))[0][0]
    np.testing.assert_allclose(some, ROBOT.home + 0.4 * 1.5 * ROBOT.half_range)
    np.testing.assert_allclose([each.actions.reach()[1, 3] for each in (usual, wide)], most)
    np.testing.assert_allclose(wide.actions.reach()[0, 3], 0.0)  # the knee's other end
    memory, start = remembering(wide), np.append(np.zeros(7), ROBOT.home)
    start[7 + 3] = 1.25
    wide.actions.begin(memory, np.array([0]), [Start(start, np.zeros(15), np.zeros(3), False, 0, 0)], np.zeros(1, int))
    np.testing.assert_allclose(wide.actions.target(memory.filtered, memory)[0], start[7:])


def test_a_lag_delays_the_target() -> None:
    the_task = task(randomize={"latency": (0, 2)}, action_filter=1.0)
    memory = remembering(the_task, 3, lag=np.array([0, 1, 2]))
    memory.delayed[:] = ROBOT.home
    targets = []
    for value in (0.1, 0.2, 0.3):
        target, memory = the_task.act(memory, np.full((3, 9), value))
        targets.append((target[:, 1] - ROBOT.home[1]) / ROBOT.half_range[1])
    np.testing.assert_allclose(np.array(targets).T, [[0.1, 0.2, 0.3], [0, 0.1, 0.2], [0, 0, 0.1]], atol=1e-12)


def test_the_first_target_holds_the_starting_pose() -> None:
    """No jerk out of the reset: the action that is remembered asks for the pose that is there."""
    env = GaitVectorEnv(8)
    env.reset(seed=0)
    memory, state = env.core.memory, env.core.state
    held = env.core.task.actions.target(memory.filtered, memory)
    np.testing.assert_allclose(held, state.qpos[:, 7:], atol=1e-12)
    np.testing.assert_array_equal(memory.action, memory.previous_action)


# -- rewards --------------------------------------------------------------------------------------------


def reward(the_task: Task, state: State, **memory: Any) -> dict[str, float]:
    return {k: v.item() for k, v in the_task.reward(the_task.view(state, remembering(the_task, **memory))).items()}


def test_the_default_reward_by_hand() -> None:
    found = reward(
        task(),
        standing(qvel=moving(0.3), torque=np.full((1, 9), 2.0)),
        command=np.array([[0.5, 0, 0]]),
        action=np.full((1, 9), 0.2),
        previous_action=np.full((1, 9), 0.1),
    )
    assert found == pytest.approx(
        {
            "tracking_lin_vel": 5.0 * np.exp(-4 * 0.2),
            "base_height": 0.3 * np.exp(-((0.019 / 0.1) ** 2)),
            "action_rate": -0.01 * 9 * 0.01,
            "torque": -0.001 * 9 * 4,
        }
    )


def test_every_other_term_by_hand() -> None:
    weights = dict.fromkeys(WALKING, 1.0)
    state = standing(
        rotvec=(0.3, 0, 0),
        qvel=moving(0.3, 0.1, 0.2, 0.4, 0.0, 1.0),
        gyro=np.array([[0.4, 0.5, 1.0]]),
        foot_force=np.array([[10.0, 0, 0, 0]]),
        foot_vel=np.array([[[0.3, 0.4, 0], [1.0, 0, 0]]]),
    )
    # Rolled by 0.3, turning is the body's yaw rate seen along the vertical; a roll rate turns nothing.
    turning = 1.0 * np.cos(0.3)
    found = reward(
        task(reward_weights=weights, heading_gain=0.0),
        state,
        command=np.array([[0.6, 0.0, 0.5]]),
        heading=np.array([-0.25]),
        swing_time=np.array([[0.3, 0.0]]),
    )
    assert found == pytest.approx(
        {
            "tracking_lin_vel": np.exp(-4 * 0.3),
            "tracking_lateral": np.exp(-4 * 0.1),
            "tracking_yaw_rate": np.exp(-2 * (turning - 0.5)),
            "tracking_heading": np.exp(-2 * 0.25),
            "air_time": 0.3 - 0.2,
            "progress": 0.5,
            "base_height": np.exp(-((0.019 / 0.1) ** 2)),
            "upright": np.cos(0.3),
            "alive": 1.0,
            "action_rate": 0.0,
            "torque": 0.0,
            "cost_of_transport": 0.0,
            "power": 0.0,
            "activation": 0.0,
            "slip": 0.5,
            "vertical_velocity": 0.04,
            "roll_pitch_rate": 0.16 + 0.25,
        }
    )


def test_swings_are_timed_from_lift_to_landing() -> None:
    """Left: up for three steps, then down; right: stands. A landing is told once, and a reset forgets."""
    the_task = task()
    memory = remembering(the_task)
    up, down = np.array([[0.0, 2.9, 0.0, 17.0]]), np.array([[10.0, 10.0, 0.0, 17.0]])
    swings = []
    for force in (down, up, up, up, down, down):
        memory = the_task.advance(the_task.view(standing(foot_force=force), memory)).memory
        swings.append(memory.swing_time[0].tolist())
    assert swings == [[0, 0]] * 4 + [pytest.approx([0.06, 0])] + [[0, 0]]
    env = GaitVectorEnv(2)
    env.reset(seed=0, options={"qpos": [0, 0, 0.6, 1, 0, 0, 0, *ROBOT.home], "qvel": np.zeros(15)})
    for _ in range(3):
        env.step(np.zeros((2, 9)))
    np.testing.assert_allclose(env.core.memory.air_time, 0.06)
    env.reset(seed=0)
    np.testing.assert_array_equal(env.core.memory.air_time, 0)


def test_the_reward_is_the_sum_of_its_named_terms() -> None:
    weights = {"tracking_lin_vel": 2.0, "slip": -0.5, "alive": 0.25}
    env = GaitVectorEnv(4, reward_weights=weights)
    env.reset(seed=0)
    for action in np.random.default_rng(0).uniform(-1, 1, (20, 4, 9)):
        _, total, _, _, info = env.step(action)
        assert [k for k in info if k.startswith("reward_")] == [f"reward_{k}" for k in weights]
        np.testing.assert_allclose(total, sum(info[f"reward_{k}"] for k in weights), atol=1e-12)


# -- failure and info -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "height, rotvec, fallen",
    [
        (0.45, (0, 0, 0), False),
        (0.19, (0, 0, 0), True),
        (0.21, (0, 0, 0), False),
        (0.71, (0, 0, 0), True),
        (0.2, (0, 0, 0), False),  # the limits themselves are allowed
        (0.7, (0, 0, 0), False),
        (0.45, (0.99, 0, 0), False),
        (0.45, (1.01, 0, 0), True),
        (0.45, (0, -1.01, 0), True),
        (0.45, (0, 0, 3.0), False),
    ],
)
def test_falls(height: float, rotvec: tuple[float, float, float], fallen: bool) -> None:
    the_task, state = task(), standing(rotvec=rotvec)
    state.qpos[0, 2] = height
    assert the_task.failed(the_task.view(state, remembering(the_task))).tolist() == [fallen]


@pytest.mark.parametrize("most, fallen", [(3.0, True), (np.pi, False), (9.0, False)])
def test_no_tilt_is_beyond_half_a_turn(most: float, fallen: bool) -> None:
    the_task, state = task(max_tilt=most), standing(rotvec=(0, np.pi, 0))
    state.qpos[0, 2] = 0.45
    assert the_task.failed(the_task.view(state, remembering(the_task))).tolist() == [fallen]


def test_info_by_hand() -> None:
    the_task = task()
    state = standing(rotvec=(0, 0, np.pi / 2), qvel=moving(-0.1, 0.5, 0, 0, 0, 0.3))
    state.qpos[0, :2] = 1.0, 2.0
    info = the_task.info(the_task.view(state, remembering(the_task, command=np.array([[0.4, 0.0, 0.1]]))))
    found = {k: v.item() for k, v in info.items() if v.ndim == 1}
    assert found == pytest.approx(
        {
            "x_position": 1.0,
            "y_position": 2.0,
            "x_velocity": 0.5,
            "y_velocity": 0.1,
            "yaw_rate": 0.3,
            "speed_error": 0.1,
            "lateral_error": 0.1,
            "yaw_rate_error": 0.2,
        }
    )


# -- starts ---------------------------------------------------------------------------------------------


def test_starts_stand_on_the_floor() -> None:
    env = GaitVectorEnv(32)
    env.reset(seed=0)
    lowest = [env.core.physics.lowest_sole(qpos) for qpos in env.core.state.qpos]
    np.testing.assert_allclose(lowest, 0, atol=1e-12)
    joints = env.core.state.qpos[:, 7:]
    assert 0.04 < np.abs(joints - ROBOT.home).max() <= 0.05
    assert (joints >= ROBOT.lower).all()
    assert 0.4 < np.abs(env.core.state.qvel[:, 6:]).max() <= 0.5


def test_reference_starts_come_from_the_nearest_clip(reference: str) -> None:
    env = GaitVectorEnv(64, reference=reference, rsi_probability=0.5, command_low=(0.5, 0, 0), command_high=(0.7, 0, 0))
    env.reset(seed=0)
    library = env.core.task.library
    assert library is not None
    (slow, fast), speed = library.clips, library.speeds
    np.testing.assert_allclose(speed, [0.3, 0.6])
    qpos = env.core.state.qpos
    match = (np.abs(qpos[:, None, 2:] - fast.qpos[None, :, 2:]).max(axis=2) < 1e-12).any(axis=1)
    assert 0.3 < match.mean() < 0.7
    np.testing.assert_array_equal(qpos[:, :2], 0)
    assert not (np.abs(qpos[:, None, 2:] - slow.qpos[None, :, 2:]).max(axis=2) < 1e-12).any()
    np.testing.assert_allclose(env.core.state.qvel[match][:, 0], 0.6)


def test_a_reference_frame_in_the_floor_is_lifted_onto_it(tmp_path: Path, reference: str) -> None:
    """Soft contact sinks a millimetre or two, which is kept; two centimetres are a fault of the clip."""
    (clip,) = load_clips(f"{reference}/procedural_030.npz")
    lowest = {}
    for depth in (0.001, 0.02):
        sunk = dataclasses.replace(clip, qpos=clip.qpos - depth * (np.arange(16) == 2))
        path = save_clip(tmp_path / f"sunk_{1000 * depth:.0f}.npz", sunk)
        env = GaitVectorEnv(32, reference=str(path), rsi_probability=1.0)
        env.reset(seed=0)
        lowest[depth] = [env.core.physics.lowest_sole(qpos) for qpos in env.core.state.qpos]
    assert min(lowest[0.001]) < -0.0009
    np.testing.assert_allclose(lowest[0.02], 0, atol=1e-12)


def test_a_given_pose_stands_still_unless_told_otherwise() -> None:
    env = GaitVectorEnv(2)
    env.reset(seed=0, options={"qpos": ROBOT.home_qpos})
    np.testing.assert_array_equal(env.core.state.qvel, 0)


# -- settings -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "config, message",
    [
        ({"command_low": (0.9, 0, 0)}, "command_low exceeds command_high for vx: 0.9 > 0.8"),
        (
            {"command_high": (0.9, 0)},
            r"command_high is \(0\.9, 0\), expected three numbers",
        ),
        ({"velocity_frame": "body"}, r"velocity_frame is 'body', allowed are \('heading', 'world'\)"),
        ({"previous_action": "none"}, "previous_action is 'none', allowed are"),
        ({"action_filter": 0.0}, "action_filter is 0.0"),
        ({"action_scale": 0.0}, "action_scale is 0.0, allowed is more than 0, to 2"),
        ({"action_scale": 2.5}, "action_scale is 2.5, allowed"),
        ({"rsi_probability": 1.5, "reference": "x"}, "rsi_probability is 1.5"),
        ({"rsi_probability": 0.5}, "set reference"),
        ({"randomize": 3}, "randomize is 3, allowed are true, false"),
        ({"randomize": {"mass": (1.1, 0.9)}}, r"randomize.mass is \(1.1, 0.9\), expected .* low <= high"),
        ({"randomize": {"latency": (-1, 0)}}, r"randomize.latency is \(-1, 0\)"),
        ({"randomize": {"push_speed": -1.0}}, "randomize.push_speed is -1.0"),
        ({"min_height": 0.8}, "min_height 0.8 and max_height 0.7"),
        ({"reset_noise": -0.1}, "reset_noise is -0.1"),
        ({"command_high": (1e9, 0, 0)}, r"command_high is \[1000000000\.0, 0\.0, 0\.0\], allowed is up to 100 m/s"),
        ({"max_tilt": 0.0}, r"max_tilt is 0\.0 rad, allowed is more than 0"),
        # 30 % of the way to 0.5 m/s is no more than standing still is allowed to be off.
        (
            {"curriculum": True, "command_low": (0, 0, 0), "command_high": (0.5, 0, 0)},
            r"first commands reach 0\.15 m/s",
        ),
    ],
)
def test_wrong_settings_say_what_is_allowed(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(WalkConfig, config)


def test_one_switch_turns_randomisation_on() -> None:
    assert build(WalkConfig, {}).randomize == RandomizeConfig(enabled=False)
    assert build(WalkConfig, {"randomize": True}).randomize == RandomizeConfig(enabled=True)
    chosen = build(WalkConfig, {"randomize": {"mass": (0.5, 1.5)}}).randomize
    assert chosen == RandomizeConfig(enabled=True, mass=(0.5, 1.5))
    assert not build(WalkConfig, {"randomize": {"enabled": False}}).randomize.enabled


def test_a_share_of_the_commands_is_to_stand() -> None:
    commands = Commands(ROBOT, task(standing_probability=0.25).config)
    drawn = np.array([commands.command(np.random.default_rng(i), 0.0) for i in range(400)])
    still = (drawn == 0).all(axis=1)
    assert 0.18 < still.mean() < 0.32
    assert (drawn[~still, 0] >= 0.1).all()
    with pytest.raises(ValueError, match=r"standing_probability is 1\.5, allowed is"):
        task(standing_probability=1.5)


def test_the_mean_velocity_forgets_the_sway() -> None:
    """The running mean of a miss m from 0 is m (1 - exp(-t/0.5 s)); the term is exp(-8 |mean|) at a sharpness of 4."""
    the_task = task(reward_weights={"tracking_mean_velocity": 1.0})
    command = np.array([[0.4, -0.1, 0.0]])
    memory = remembering(the_task, command=command)
    state = standing(qvel=moving(0.7, 0.3))
    for _ in range(50):  # 1 s
        memory = the_task.advance(the_task.view(state, memory)).memory
    mean = np.array([0.3, 0.4]) * (1 - np.exp(-1.0 / 0.5))
    np.testing.assert_allclose(memory.mean_miss, mean[None], rtol=1e-9)
    found = the_task.reward(the_task.view(state, memory))["tracking_mean_velocity"]
    np.testing.assert_allclose(found, np.exp(-8 * np.linalg.norm(mean)), rtol=1e-9)
    # A sway of one second to and fro about the command leaves nearly nothing.
    memory = memory.replace(mean_miss=np.zeros((1, 2)))
    for step in range(100):
        aside = -0.1 + 0.5 * np.sin(2 * np.pi * step * 0.02 / 0.25)
        memory = the_task.advance(the_task.view(standing(qvel=moving(0.4, aside)), memory)).memory
    assert np.abs(memory.mean_miss).max() < 0.08
