"""The drawn start: it begins standing, its feet stand, the ground could push so, and it ends as the walk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gait_envs.assets import asset_path
from gait_envs.mocap.quality import Poses, robot_poses
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.reference.clip import Clip, ClipError, load_clip
from gait_envs.reference.library import MotionLibrary
from gait_envs.reference.sources import load_clips
from gait_envs.synthesis import gait_initiation as module
from gait_envs.synthesis.gait_initiation import RAMP, SPEEDS, WAIT, gait_initiation


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("humanoid")


def walk(speed: float) -> Clip:
    return load_clip(asset_path(f"motions/human_walk/walk_{round(100 * speed):03d}.npz"))


@pytest.fixture(scope="module", params=SPEEDS)
def start(request: pytest.FixtureRequest, body: Body) -> Clip:
    return gait_initiation(body, walk(request.param))


def test_it_begins_at_rest_in_the_home_pose(start: Clip, body: Body) -> None:
    np.testing.assert_allclose(start.qpos[:3, 7:], np.tile(body.home[7:], (3, 1)), atol=0.02)
    np.testing.assert_allclose(start.qpos[0, :2], 0.0, atol=0.01)
    assert np.abs(start.qvel[:3]).max() < 0.1


def test_the_right_foot_goes_first_and_clears_the_floor(start: Clip, body: Body) -> None:
    lowest = robot_poses(start.qpos, body).corners[..., 2].min(axis=2).reshape(start.frames, 2, -1).min(axis=2)
    first = int(np.argmax(lowest.max(axis=1) > 0.02))
    assert WAIT < first / start.fps < WAIT + 0.5
    assert lowest[first, 1] > 0.02 > lowest[first, 0]
    second = slice(first, first + round(1.2 * start.fps))  # the left foot follows, its toes too
    assert lowest[second, 0].max() > 0.02


def test_it_ends_as_the_walk(start: Clip) -> None:
    speed, whole = start.meta["command"][0], walk(start.meta["command"][0])
    # The clock has run at its full rate since WAIT + RAMP; the root's mean speed is that of the walk from then on.
    settled = round((WAIT + RAMP) * start.fps)
    cycle = whole.frames - 1
    assert start.frames > settled + cycle
    moved = start.qpos[-1, 0] - start.qpos[-1 - cycle, 0]
    assert moved * start.fps / cycle == pytest.approx(speed, rel=0.08)
    poses, _ = MotionLibrary([whole], whole.joint_names, whole.fps).sample(
        np.zeros(500, dtype=int), np.linspace(0.0, whole.duration, 500)
    )
    named = ("left_arm_flexion", "right_arm_flexion", "right_knee_flexion")
    columns = [7 + start.joint_names.index(name) for name in named]
    assert np.abs(poses[:, columns] - start.qpos[-1, columns]).max(axis=1).min() < 0.01  # the last pose is one of them


def test_the_feet_stand_and_the_ground_can_push_so(start: Clip, body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    quality = start.meta["quality"]
    assert start.meta["faults"] == []
    assert quality["balance_mm"] < 12.0
    assert quality["feasible_percent"] > 80.0
    # Toes bend; at 1.2 m/s and more, as far as they can and not enough.
    assert quality["toe_penetration_mm"] < (2.0 if start.meta["command"][0] < 1.1 else 18.0)
    monkeypatch.setattr(module, "ROUNDS", 0)
    upright = gait_initiation(body, walk(start.meta["command"][0])).meta["quality"]
    assert upright["balance_mm"] > quality["balance_mm"] + 1.0  # what the leaning is for


def test_the_bundled_clips_are_what_is_drawn(start: Clip) -> None:
    (bundled,) = [clip for clip in load_clips("human_start") if clip.name == start.name]
    np.testing.assert_allclose(bundled.qpos, start.qpos, atol=1e-6)
    assert bundled.meta["command"] == start.meta["command"]


def test_a_push_outside_the_soles_goes_to_their_nearest_edge() -> None:
    corners = np.zeros((2, 2, 4, 3))  # a sole of 0.2 m by 0.1 m about the origin, and one a metre to the left
    corners[:, 0, :, :2] = [[-0.1, -0.05], [-0.1, 0.05], [0.1, -0.05], [0.1, 0.05]]
    corners[:, 1] = corners[:, 0] + [0.0, 1.0, 0.0]
    poses = Poses(np.zeros((2, 2, 3, 3)), np.zeros((2, 2, 3)), corners, np.zeros((2, 0, 2, 3)))
    push = np.array([[0.3, 0.2], [0.3, 0.2]])
    # Only the first stands: 0.02 m from its side. Both stand: between them, only too far ahead.
    found = module._within(push, poses, np.array([[True, False], [True, True]]))
    np.testing.assert_allclose(found, [[0.1, 0.03], [0.1, 0.2]])
    np.testing.assert_array_equal(module._within(push, poses, np.zeros((2, 2), dtype=bool)), push)


def test_other_clips_are_refused(body: Body) -> None:
    for wrong in ({"loop": False}, {"contacts": None}, {"meta": {"speed": 1.0}}):
        with pytest.raises(ClipError, match="loops and knows its contacts, speed and foot_off"):
            gait_initiation(body, replace(walk(1.0), **wrong))
