"""Smoothness: shares of power by hand, and joints that accelerate no more than their tasks ask."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.assets import asset_path
from gait_envs.mocap.capture import Skeleton, SkeletonMotion
from gait_envs.mocap.export import motion_from_clip
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.quality import SHAKING, carry, faults, measure
from gait_envs.mocap.retarget.ik import solve
from gait_envs.mocap.retarget.landmarks import _rest_frames
from gait_envs.mocap.retarget.pipeline import Retargeted, retarget, solve_smoothly
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.mocap.retarget.trajectory import newton_step, settle
from gait_envs.mocap.smoothness import (
    captured_smoothness,
    joint_shares,
    leg_joints,
    share_percent,
    smoothness,
    speed_power,
)
from gait_envs.reference.clip import load_clip

FPS = 50.0
TIME = np.arange(200) / FPS  # 4 s: whole periods of 2 and of 10 Hz


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("wildrobot")


@pytest.fixture(scope="module")
def walk(body: Body, tmp_path_factory: pytest.TempPathFactory) -> Retargeted:
    motion = read_capture(walker_bvh(tmp_path_factory.mktemp("capture") / "walk.bvh", seconds=3.0))
    return retarget(motion, body)


# --- the figure, by hand -----------------------------------------------------------------------------


def test_power_of_two_sines() -> None:
    """3 rad/s at 2 Hz and 1 rad/s at 10 Hz have mean squares 9/2 and 1/2: a tenth of the power is quick."""
    speed = 3.0 * np.sin(2 * np.pi * 2 * TIME) + np.sin(2 * np.pi * 10 * TIME)
    power = speed_power(speed[:, None], FPS)
    np.testing.assert_allclose(power[:, 0], [0.5, 5.0], rtol=2e-3)
    assert share_percent(power) == pytest.approx(10.0, abs=0.05)
    # A joint beside it that turns at 2 Hz alone: (1/2) / (9/2 + 1/2 + 9/2).
    both = speed_power(np.stack([speed, 3.0 * np.sin(2 * np.pi * 2 * TIME)], axis=1), FPS)
    assert share_percent(both) == pytest.approx(100 * 0.5 / 9.5, abs=0.05)


def test_neither_a_constant_speed_nor_a_motion_that_ends_elsewhere_is_quick() -> None:
    assert share_percent(speed_power(np.full((200, 1), 5.0), FPS)) == 0.0
    ends_elsewhere = 3.0 * np.sin(2 * np.pi * 0.6 * TIME)[:, None]
    assert share_percent(speed_power(ends_elsewhere, FPS)) < 0.1
    trembling = 0.05 * np.sin(2 * np.pi * 10 * TIME)[:, None]
    assert share_percent(speed_power(trembling, FPS)) == 0.0  # too slow to have a share


def test_joints_of_legs(body: Body) -> None:
    names = {part: [body.joint_names[j] for j in joints] for part, joints in leg_joints(body).items()}
    assert names["hip"] == ["left_hip_pitch", "left_hip_roll", "right_hip_pitch", "right_hip_roll"]
    assert names["knee"] == ["left_knee_pitch", "right_knee_pitch"]
    assert names["ankle"] == ["left_ankle_pitch", "right_ankle_pitch"]
    human = leg_joints(load_body("humanoid"))
    assert {part: len(joints) for part, joints in human.items()} == {"hip": 6, "knee": 2, "ankle": 6}


def test_figures_of_joints_that_shake(body: Body) -> None:
    """One knee at 2 Hz, one ankle at 10 Hz; finite differences scale a sine by 2 fps sin(π f / fps)."""
    qpos = np.repeat(body.home[None], len(TIME), axis=0)
    knee, ankle = (7 + body.joint_names.index(name) for name in ("left_knee_pitch", "right_ankle_pitch"))
    qpos[:, knee] += 0.2 * np.sin(2 * np.pi * 2 * TIME)
    qpos[:, ankle] += 0.02 * np.sin(2 * np.pi * 10 * TIME)
    slow, quick = (a * 2 * FPS * np.sin(np.pi * f / FPS) for a, f in ((0.2, 2.0), (0.02, 10.0)))
    figures = smoothness(qpos, FPS, body)
    assert figures["quick_hip_percent"] == 0.0
    assert figures["quick_knee_percent"] < 0.1
    assert figures["quick_ankle_percent"] == pytest.approx(100.0, abs=0.1)
    assert figures["quick_legs_percent"] == pytest.approx(100 * quick**2 / (quick**2 + slow**2), rel=0.02)
    shares = joint_shares(qpos, FPS, body)
    assert len(shares) == 8
    assert shares["right_ankle_pitch"] == pytest.approx(100.0, abs=0.1)
    assert shares["right_knee_pitch"] == 0.0
    assert joint_shares(qpos[:12], FPS, body) == {}
    qpos[100:, knee] += 0.6  # a leap: 0.6 rad in one frame, and none in the next
    leap = smoothness(qpos, FPS, body)["joint_leap_max"]
    assert leap == pytest.approx(0.6 * FPS, rel=0.15)


def test_a_captures_own_share() -> None:
    """Hips that turn at 2 Hz, knees and ankles at 2 and 10 Hz, 9 to 1 in power, about different axes."""
    names = ("root", *(f"{side}_{part}" for side in ("left", "right") for part in ("hip", "knee", "ankle")))
    skeleton = Skeleton(names, np.arange(-1, 6), np.zeros((7, 3)))
    swing = 0.3 * np.sin(2 * np.pi * 2 * TIME)
    shake = swing + 0.3 / 15 * np.sin(2 * np.pi * 10 * TIME)  # a third of the speed at five times the frequency
    half = 0.5 * np.stack([0 * TIME, *[swing, shake, shake] * 2], axis=1)  # (T, 7)
    rotations = np.zeros((len(TIME), 7, 4))
    rotations[..., 0] = np.cos(half)
    rotations[:, np.arange(7), 1 + np.arange(7) % 3] = np.sin(half)
    motion = SkeletonMotion(skeleton, rotations, np.zeros((len(TIME), 7, 3)), FPS)
    roles = {name: i for i, name in enumerate(names) if i}
    found = captured_smoothness(motion, roles, slice(0, None), 1.0, FPS)
    quick, slow = 1 / 15 * np.sin(np.pi * 10 / FPS), np.sin(np.pi * 2 / FPS)
    share = 100 * quick**2 / (quick**2 + slow**2)
    assert found["captured_quick_hip_percent"] < 0.05
    assert found["captured_quick_knee_percent"] == pytest.approx(share, rel=0.05)
    assert found["captured_quick_ankle_percent"] == pytest.approx(share, rel=0.05)
    # At half the pace both are slower, 1 and 5 Hz: nothing is quick.
    assert captured_smoothness(motion, roles, slice(0, None), 2.0, FPS)["captured_quick_legs_percent"] < 0.05
    still = SkeletonMotion(skeleton, np.tile([1.0, 0, 0, 0], (200, 7, 1)), np.zeros((200, 7, 3)), FPS)
    assert captured_smoothness(still, roles, slice(0, None), 1.0, FPS) == {}  # positions alone


def test_a_motion_whose_legs_would_shake_is_solved_more_smoothly(body: Body, walk: Retargeted) -> None:
    """A drawn walk of WildRobot, retargeted to it: at the usual cost of accelerations its legs shake."""
    clip = load_clip(asset_path("motions/wildrobot_walk/walk_030_calm_0.npz"))
    result = retarget(motion_from_clip(clip, body), body)
    assert result.faults == []
    assert result.clip.meta["body"]["acceleration"] == 4 * body.acceleration
    assert any("accelerations weigh 4 times as much as usual" in note for note in result.clip.meta["notes"])
    assert result.quality["sole_error_mm"] < 3.0
    captured = result.quality["captured_quick_legs_percent"]
    usual = solve(result.targets, body, body.fps)
    assert smoothness(usual, body.fps, body)["quick_legs_percent"] - captured > SHAKING
    for told, times in ((captured, 4.0), (None, 1.0), (-100.0, 1.0)):  # not known; and where no cost would help
        qpos, found = solve_smoothly(result.targets, body, told)
        assert found == times
        assert np.array_equal(qpos, usual) == (times == 1.0)
    assert walk.clip.meta["body"]["acceleration"] == body.acceleration  # as most walks
    assert not any("accelerations" in note for note in walk.clip.meta["notes"])


def test_a_shaking_clip_is_unfit(body: Body, walk: Retargeted) -> None:
    assert walk.faults == []
    assert walk.quality["quick_legs_percent"] < 5.0
    assert max(walk.clip.meta["quick_percent"].values()) < 15.0
    qpos, contact = walk.clip.qpos.copy(), walk.targets.contact
    qpos[:, 7:] = np.clip(qpos[:, 7:] + 0.03 * (-1.0) ** np.arange(len(qpos))[:, None], body.lower, body.upper)
    shaken = walk.quality | measure(qpos, FPS, contact, carry(qpos, FPS, contact, body), body)
    shaken["quick_excess_percent"] = shaken["quick_legs_percent"] - shaken["captured_quick_legs_percent"]
    assert any("the legs shake" in fault for fault in faults(shaken, body))
    qpos[70, 9] += 0.8
    leapt = measure(qpos, FPS, contact, carry(qpos, FPS, contact, body), body)
    assert any("a joint leaps" in fault for fault in faults(leapt, body))


# --- the whole motion at once ------------------------------------------------------------------------


def test_step_of_coupled_frames_is_that_of_the_dense_system() -> None:
    rng = np.random.default_rng(0)
    frames, size = 6, 8
    roots = rng.normal(size=(frames, size, size))
    hessian, gradient = roots @ roots.transpose(0, 2, 1) + np.eye(size), rng.normal(size=(frames, size))
    second = 3.0 * np.diff(np.eye(frames), 2, axis=0)
    dense = np.zeros((frames * size, frames * size))
    for t in range(frames):
        dense[t * size : (t + 1) * size, t * size : (t + 1) * size] = hessian[t]
    joints = np.diag(np.r_[np.zeros(6), np.ones(size - 6)])
    dense += np.kron(second.T @ second, joints)
    expected = np.linalg.solve(dense, -gradient.ravel()).reshape(frames, size)
    np.testing.assert_allclose(newton_step(hessian, gradient, second.T @ second), expected, rtol=1e-9)


def test_what_no_task_asks_of_a_joint_is_a_straight_line_within_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A free body with two hinges: one is told its angle at both ends of 21 frames, the other would go beyond 0.5."""
    monkeypatch.setattr("gait_envs.mocap.retarget.trajectory._DAMPING", 1e-3)  # to its end in few sweeps
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><freejoint/><geom size='.1'/><body><joint name='a'/><geom size='.1'/>"
        "<body><joint name='b'/><geom size='.1'/></body></body></body></worldbody></mujoco>"
    )
    start = np.tile(np.r_[0, 0, 0, 1, 0, 0, 0, 0.0, 0.0], (21, 1))
    start[::2, 7] = 0.3  # shaking

    def linearised(t: int, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weight = np.r_[np.full(6, 1.0), 1e4 if t in (0, 20) else 0.0, 1.0]
        wanted = np.r_[0.1 * t / 20, 0.9]
        return np.diag(weight), weight * np.r_[q[:6] * 0, q[7:] - wanted]

    done = settle(start, linearised, model, np.full(2, -0.5), np.full(2, 0.5), 10.0)
    np.testing.assert_allclose(done[:, 7], 0.1 * np.arange(21) / 20, atol=0.003)
    np.testing.assert_allclose(done[:, 8], 0.5, atol=1e-12)
    np.testing.assert_array_equal(done[:, :7], start[:, :7])


def test_long_motions_are_settled_in_windows_as_in_one(monkeypatch: pytest.MonkeyPatch) -> None:
    model = mujoco.MjModel.from_xml_string(
        "<mujoco><worldbody><body><freejoint/><geom size='.1'/><body><joint/><geom size='.1'/></body></body>"
        "</worldbody></mujoco>"
    )
    wanted = np.sin(np.arange(150) / 7.0) + 0.2 * (-1.0) ** np.arange(150)
    start = np.tile(np.r_[0, 0, 0, 1, 0, 0, 0, 0.0], (150, 1))

    def linearised(t: int, q: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.eye(7), np.r_[np.zeros(6), q[7] - wanted[t]]

    bounds = np.full(1, -9.0), np.full(1, 9.0)
    whole = settle(start, linearised, model, *bounds, 5.0)
    module = "gait_envs.mocap.retarget.trajectory"
    monkeypatch.setattr(f"{module}._WINDOW", 60)
    monkeypatch.setattr(f"{module}._OVERLAP", 25)
    parts = settle(start, linearised, model, *bounds, 5.0)
    np.testing.assert_allclose(parts, whole, atol=2e-3)
    assert np.abs(np.diff(whole[:, 7], 2)).max() < 0.05  # the shaking is gone


def test_a_rest_pose_of_one_arm_is_left_out() -> None:
    """The first frame of a capture may hold a single arm where it was when the recording began."""
    still = {"left_hip": [0, 0.1, 0.9], "left_knee": [0, 0.1, 0.5], "left_wrist": [0.0, 0.3, 0.9]}
    points = {role: np.tile(np.array(place, float), (30, 1)) for role, place in still.items()}
    points |= {f"other{k}": np.zeros((30, 3)) for k in range(15)}
    assert _rest_frames(points) == 0
    points["left_wrist"][0] = [0.0, 0.8, 1.4]  # out to the side
    assert _rest_frames(points) == 1
