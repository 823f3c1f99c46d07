"""Causal states, phase and path of clips, and their streaming."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.strolls import stroll, strolls

from gait_envs.reference.clip import ClipError
from gait_envs.reference.sources import open_clips
from gait_trainers.data.activities import activity_kind
from gait_trainers.data.gait_phase import OFFSETS, gait_cycles, path_ahead, path_speed, root_path
from gait_trainers.data.motion_frames import MotionFrames, read_frames, robot_of
from gait_trainers.data.motion_state import ROOT, YAW, aligned, clip_arrays, coordinates, poses, state_names, states
from gait_trainers.data.windows import FrameTable, MotionStream, cut_windows


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return strolls(tmp_path_factory.mktemp("clips"))


def test_the_root_counts_as_six_coordinates() -> None:
    clip = stroll("a")
    assert states(clip.qpos, 50.0).shape == (119, 30)  # 15 coordinates and 15 rates
    names = state_names(clip.joint_names)
    assert names[:6] == ROOT
    assert len(names) == len(set(names)) == 30


@pytest.mark.parametrize("model", ["wildrobot/../../../evil", "../assets/wildrobot", "/tmp/evil", "mine", ""])
def test_a_clip_names_a_bundled_robot_and_no_path(folder: Path, model: str) -> None:
    clip = replace(open_clips(folder)[0], model=model)
    with pytest.raises(ClipError, match=r"unknown robot .*; known are humanoid, wildrobot"):
        robot_of(clip)


def test_velocities_are_backward_differences() -> None:
    qpos = np.tile(stroll("a", 2).qpos[:1], (4, 1))
    qpos[:, 0] = [0.0, 0.1, 0.3, 0.6]
    qpos[:, 8] = [0.0, 0.0, 0.2, 0.1]
    found = states(qpos, 10.0)
    np.testing.assert_allclose(found[:, 15], [1.0, 2.0, 3.0])
    np.testing.assert_allclose(found[:, 15 + 7], [0.0, 2.0, -1.0], atol=1e-12)
    # The future is not in a state: a different last frame changes the last state alone.
    other = qpos.copy()
    other[3] += 0.01
    np.testing.assert_array_equal(states(other, 10.0)[:2], found[:2])


def test_coordinates_are_the_pose_again() -> None:
    rng = np.random.default_rng(0)
    qpos = np.tile(stroll("a", 50).qpos, 1)
    turns = np.linspace(0, 9, 50)  # rad: more than once round
    q = coordinates(qpos)
    q[:, 3:6] = np.stack([turns, 0.4 * np.sin(turns), 0.3 * np.cos(turns)], axis=1)
    q[:, :3] += rng.normal(size=(50, 3))
    np.testing.assert_allclose(coordinates(poses(q)), q, atol=1e-12)
    again, velocity = clip_arrays(q, 50.0)
    assert again.shape == (50, 16)
    assert velocity.shape == (50, 15)


def test_a_window_is_moved_to_the_origin() -> None:
    q = np.zeros((1, 3, 30))
    q[0, :, :2] = [[1, 2], [1, 3], [0, 3]]
    q[0, :, YAW] = [np.pi / 2, np.pi / 2, np.pi]
    q[0, :, 15:17] = [[0, 1], [0, 1], [-1, 0]]  # walks along +y, then along -x
    path = np.array([1.0, 5.0, np.pi / 2]) * np.ones((1, 3, len(OFFSETS), 1))
    moved, way = aligned(q, path)
    np.testing.assert_allclose(moved[0, :, :2], [[0, 0], [1, 0], [1, 1]], atol=1e-12)
    np.testing.assert_allclose(moved[0, :, YAW], [0, 0, np.pi / 2])
    np.testing.assert_allclose(moved[0, :, 15:17], [[1, 0], [1, 0], [0, 1]], atol=1e-12)
    assert way is not None
    np.testing.assert_allclose(way[0, 2, 1], [3.0, 0.0, 0.0], atol=1e-12)


def test_phase_counts_touchdowns() -> None:
    contacts = np.zeros((60, 4))
    for start in (10, 30, 50):
        contacts[start : start + 12, :2] = 10.0  # the left foot lands at 10, 30 and 50
    for start in (0, 20, 40):
        contacts[start : start + 12, 2:] = 10.0  # the right one, which stands at first, at 20 and 40
    cycles = gait_cycles(contacts, 3.0, 10.0)
    assert cycles is not None
    np.testing.assert_allclose(cycles[[10, 20, 30, 45, 50]], [0.0, 0.5, 1.0, 1.75, 2.0])
    np.testing.assert_allclose(cycles[[0, 58]], [-0.5, 2.4])  # goes on at the mean rate, a cycle in 20 frames
    assert gait_cycles(None, 3.0, 10.0) is None
    assert gait_cycles(contacts * [1, 1, 0, 0], 3.0, 10.0) is None  # hops on one foot


def test_the_path_is_smooth_and_straight_lines_stay() -> None:
    time = np.arange(100) / 30.0
    q = np.zeros((100, 15))
    q[:, 0] = 1.5 * time
    np.testing.assert_allclose(root_path(q, 30.0)[:, 0], q[:, 0], atol=1e-9)
    np.testing.assert_allclose(path_speed(root_path(q, 30.0), 30.0), 1.5, atol=1e-9)
    q[:, 1] = 0.03 * np.sin(2 * np.pi * 2.0 * time)  # a sway of 2 Hz
    assert np.abs(root_path(q, 30.0)[20:80, 1]).max() < 0.1 * 0.03
    ahead = path_ahead(root_path(q, 30.0))
    assert ahead.shape == (100, len(OFFSETS), 3)
    np.testing.assert_allclose(ahead[99, :, 0], 1.5 * (99 + np.array(OFFSETS)) / 30.0, atol=1e-9)


def test_a_mirrored_clip_steps_with_the_other_foot() -> None:
    clip = stroll("a", turn=0.4)
    robot = robot_of(clip)
    one, other = read_frames(clip, robot), read_frames(clip, robot, mirrored=True)
    np.testing.assert_allclose(other.state[:, [1, YAW]], -one.state[:, [1, YAW]], atol=1e-6)
    np.testing.assert_allclose(other.phase, -one.phase, atol=1e-5)  # half a cycle apart
    np.testing.assert_allclose(other.speed, one.speed, atol=1e-5)
    left, right = clip.joint_names.index("left_hip_pitch"), clip.joint_names.index("right_hip_pitch")
    np.testing.assert_allclose(other.state[:, 6 + left], one.state[:, 6 + right], atol=1e-6)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("walk, veer left", "walk"), ("Walk to Run", "run"), ("Run Jump Over", "jump"), ("dash (normal)", "run"),
     ("forward jump", "jump"), ("soccer - kick ball", "other"), ("", "other"), ("drunk walk", "walk"),
     ("trunk rotation", "other"), ("walk_run", "run"), ("Hopping, left foot", "jump"), ("workshop", "other"),
     ("balance", "other"), ("balance on one foot, walk", "walk"), ("sidewalk cafe", "other"), ("runway", "other"),
     ("look at the dashboard", "other"), ("leapfrog", "other"), ("gaiters", "other"), ("hope", "other"),
     ("jumping jacks", "jump"), ("leapt over a bench", "jump"), ("two hops", "jump"), ("cartwheels", "jump"),
     ("jogging", "run"), ("ran away", "run"), ("Sprints", "run"), ("walk3", "walk"), ("tip-toe-walking", "walk"),
     ("RUN", "run"), ("walkF", "walk"), ("slowRun", "run"), ("überrun", "other"), ("strolling", "walk"),
     ("walking gait", "walk")],
)  # fmt: skip
def test_kinds_of_activity(text: str, kind: str) -> None:
    assert activity_kind({"activity": text}) == kind


# -- windows ----------------------------------------------------------------------------------------------


def frames_of(length: int, value: float) -> MotionFrames:
    state = np.full((length, 30), value, np.float32)
    state[:, 2] = np.arange(length)
    return MotionFrames(
        state, np.zeros((length, len(OFFSETS), 3), np.float32), np.zeros((length, 1), np.float32),
        np.zeros((length, 2), np.float32),
    )  # fmt: skip


def test_windows_end_with_their_clip() -> None:
    table = FrameTable([frames_of(10, 1.0), frames_of(20, 2.0)])
    windows = cut_windows(table.frames, np.array([7, 10]), 5, np.array([10, 30]))
    np.testing.assert_array_equal(windows.valid, [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    np.testing.assert_array_equal(windows.state[0, :, 2], [7, 8, 9, 9, 9])
    drawn = table.draw(np.random.default_rng(0), 500, 12)
    assert drawn.valid[:, :6].all()  # at least half a window lies within
    assert (np.diff(drawn.state[..., 2], axis=1)[drawn.valid[:, 1:]] == 1).all()  # never across two clips
    with pytest.raises(ClipError, match="no clip in memory has 50 frames"):
        table.draw(np.random.default_rng(0), 1, 100)


def test_few_files_are_in_memory_and_all_are_seen(folder: Path) -> None:
    clips = open_clips(folder)
    stream = MotionStream(clips, resident=2, refresh=1, workers=2, prefetch=1, mirrored=False, seed=3)
    seen = set()
    for _ in range(30):
        speed = stream.draw(8, 4).speed
        seen |= set(np.round(speed[:, 0, 0].astype(float), 2).tolist())
        assert stream.files_in_memory <= 3
        assert len(stream.frames) == 2 * 119
    assert seen == {0.3, 0.4, 0.5, 0.6, 0.9, 0.2}
    stream.close()


def test_workers_change_nothing_and_a_stream_continues_bit_for_bit(folder: Path) -> None:
    clips = open_clips(folder)
    made = [MotionStream(clips, resident=3, refresh=2, workers=w, prefetch=2, seed=5) for w in (0, 2)]
    for _ in range(5):
        one, other = (stream.draw(4, 6) for stream in made)
        np.testing.assert_array_equal(one.state, other.state)
    late = MotionStream(clips, resident=3, refresh=2, workers=1, prefetch=2, seed=5)
    late.set_state(made[0].get_state())
    for _ in range(7):
        np.testing.assert_array_equal(made[0].draw(4, 6).state, late.draw(4, 6).state)
    for stream in (*made, late):
        stream.close()


def test_a_stage_draws_from_its_clips_alone(folder: Path) -> None:
    stream = MotionStream(open_clips(folder), workers=0)
    stream.begin([4])
    assert set(np.round(stream.draw(50, 2).speed[:, 0, 0].astype(float), 2).tolist()) == {0.9}
    with pytest.raises(ClipError, match="no clips"):
        stream.begin([])
    with pytest.raises(ValueError, match="resident is 0"):
        MotionStream(open_clips(folder), resident=0)
