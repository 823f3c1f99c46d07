"""Libraries of clips: what they answer, by hand-made numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from helpers.drawn import JOINTS, ask, clip, drift, library, wander
from hypothesis import given, settings
from hypothesis import strategies as st

from gait_envs.reference.clip import ClipError
from gait_envs.reference.library import MotionLibrary, weights_from_failures
from gait_envs.rotations import quat_mul, quat_rotate, quat_to_rotvec, yaw_quat

HALF = np.sqrt(0.5)


# -- frames -----------------------------------------------------------------------------------------------


def test_the_mean_velocity_is_in_the_frame_of_the_heading() -> None:
    """A quarter of a circle of radius 2 m in 0.5 s, to the left: a chord of 2√2 m along the heading half-way."""
    turn = np.linspace(0.0, np.pi / 2, 26)
    arc = drift(26)
    qpos = arc.qpos.copy()
    qpos[:, :2] = 2 * np.stack([np.sin(turn), 1 - np.cos(turn)], axis=1)
    qpos[:, 3:7] = yaw_quat(turn)
    aside = arc.qpos.copy()  # 0.1 m a frame along y, facing y: forward
    aside[:, :2] = np.stack([np.zeros(26), 0.1 * np.arange(26)], axis=1)
    aside[:, 3:7] = yaw_quat(np.full(26, np.pi / 2))
    crab = aside.copy()
    crab[:, 3:7] = yaw_quat(np.zeros(26))
    found = library(*(replace(arc, qpos=each, name=str(i)) for i, each in enumerate((qpos, aside, crab))))
    expected = [[2 * np.sqrt(2) / 0.5, 0, np.pi], [5, 0, 0], [0, 5, 0]]
    np.testing.assert_allclose(found.velocities, expected, atol=1e-9)
    assert found.nearest_velocity(np.array([0.5, 4.0, 0.0])) == 2


def test_a_library_answers_by_clip_and_frame() -> None:
    walk, stand = drift(6, loop=True), drift(4, speed=0.0)
    found = library(walk, stand)
    np.testing.assert_allclose(found.speeds, [0.5, 0.0])
    np.testing.assert_allclose(found.durations, [0.1, 0.06])
    assert found.nearest_velocity(np.array([0.3, 0.0, 0.0])) == 0
    assert found.nearest_velocity(np.array([0.2, 0.0, 0.0])) == 1
    qpos, qvel = found.frame(0, 3)
    np.testing.assert_array_equal(qpos[:3], [0, 0, 0.46])  # over the origin
    np.testing.assert_array_equal(qvel, walk.qvel[3])
    # A loop of 5 intervals: frame 12 is frame 2 after two turns of 0.05 m; the other stops on its last frame.
    which, frames = np.array([0, 0, 0, 1, 1, 1]), np.array([2, 12, -1, 3, 12, -1])
    qpos, qvel = found.at(which, frames)
    np.testing.assert_allclose(qpos[:, 0], [0.02, 0.12, -0.01, 0.0, 0.0, 0.0])
    np.testing.assert_array_equal(qpos[3:], stand.qpos[[3, 3, 0]])
    np.testing.assert_array_equal(qvel[:3], walk.qvel[[2, 2, 4]])
    np.testing.assert_array_equal(found.index_at(which, frames), [2, 2, 4, 9, 9, 6])
    qpos += 1.0
    np.testing.assert_array_equal(found.at(np.array([0]), np.array([2]))[0], walk.qpos[2:3])  # a copy


def test_outside_its_frames_a_finite_clip_stands_still() -> None:
    walk = drift(4)
    found = library(walk)
    qpos, qvel = ask(found, 0, -0.01, 0.0, 0.06, 0.0601, 9.0)
    np.testing.assert_array_equal(qpos, walk.qpos[[0, 0, 3, 3, 3]])
    np.testing.assert_array_equal(qvel, walk.qvel[[0, 0, 3, 3, 3]] * np.array([[0], [1], [1], [0], [0]]))
    np.testing.assert_array_equal(found.at(np.zeros(2, int), np.array([3, 4]))[1], [walk.qvel[3], np.zeros(8)])
    assert found.ended(np.zeros(4, int), np.array([0.0, 0.0599, 0.06, 1.0])).tolist() == [False, False, True, True]
    assert not library(drift(4, loop=True)).ended(np.zeros(1, int), np.array([9.0])).any()


def test_a_clip_is_found_by_name_and_number() -> None:
    found = library(drift(name="a"), drift(name="b"))
    assert (found.index("b"), found.index(0)) == (1, 0)
    with pytest.raises(ClipError, match="no clip 'c'; the library has a, b"):
        found.index("c")
    with pytest.raises(ClipError, match="no clip 2; the library has 0 to 1"):
        found.index(2)


def test_libraries_refuse_what_does_not_fit() -> None:
    with pytest.raises(ClipError, match="at least one"):
        MotionLibrary([], JOINTS, 50.0)
    with pytest.raises(ClipError, match="controlled at 50"):
        MotionLibrary([drift(), wander(5, 0, fps=30.0)], JOINTS, 50.0)
    with pytest.raises(ClipError, match="2 in clip 'a', 4 in clip 'b'"):
        library(drift(name="a", contacts=np.ones((6, 2))), drift(name="b", contacts=np.ones((6, 4))))
    with pytest.raises(ValueError, match="time is not finite: nan"):
        ask(library(drift()), 0, 0.0, np.nan)


def test_clips_become_views_and_unknown_loads_infinite() -> None:
    torque = np.full((6, len(JOINTS)), 3.0)
    found = library(drift(name="a", contacts=np.full((6, 2), 7.0), torque=torque), drift(name="b"))
    np.testing.assert_array_equal(found.torque, np.concatenate([torque, np.inf * torque]))
    np.testing.assert_array_equal(found.clips[0].torque, torque)
    assert found.clips[1].torque is None
    np.testing.assert_array_equal(found.contacts, [[7, 7]] * 6 + [[np.inf, np.inf]] * 6)
    assert found.clips[1].contacts is None
    assert np.shares_memory(found.clips[1].qpos, found.qpos)
    np.testing.assert_array_equal(found.clips[1].qpos, drift().qpos)


# -- times between frames ---------------------------------------------------------------------------------


def test_between_frames_the_root_turns_evenly_and_the_rest_is_linear() -> None:
    """A quarter turn about z in one interval, worked out by hand."""
    qpos = np.array([[0, 0, 1, 1, 0, 0, 0, 0, 1.0], [0.4, 0, 2, HALF, 0, 0, HALF, -1, 3]])
    qvel = np.array([np.zeros(8), np.arange(8.0)])
    for sign in (1, -1):  # q and -q are one orientation: the short way either way
        turned = qpos * ([1, 1, 1] + [1] * 4 + [1, 1])
        turned[1, 3:7] *= sign
        found, rates = ask(library(clip(turned, qvel=qvel)), 0, 0.005, 0.01)
        np.testing.assert_allclose(found[:, :3], [[0.1, 0, 1.25], [0.2, 0, 1.5]], atol=1e-15)
        angle = np.radians([22.5, 45])
        np.testing.assert_allclose(found[:, 3], np.cos(angle / 2))
        np.testing.assert_allclose(found[:, 6], np.sin(angle / 2))
        np.testing.assert_allclose(found[:, 7:], [[-0.25, 1.5], [-0.5, 2.0]])
        np.testing.assert_allclose(rates, [np.arange(8) / 4, np.arange(8) / 2])


@pytest.mark.parametrize("fps", [30.0, 50.0, 120.0, 29.97])
def test_at_a_frames_time_the_answer_is_the_frame(fps: float) -> None:
    """Bit for bit, loops gone round and all, although i / fps * fps is not always i."""
    found = library(wander(40, 0, fps, loop=True), wander(60, 1, fps))
    frame = np.arange(-50, 1000)
    for at in (0, 1):
        which = np.full(len(frame), at)
        for one, other in zip(found.sample(which, frame / fps), found.at(which, frame), strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_loop_goes_on_by_its_stride() -> None:
    qpos, _ = ask(library(drift(6, loop=True)), 0, 0.0, 0.05, 0.1, 0.115, 0.23, -0.03)
    np.testing.assert_allclose(qpos[:, 0], [0, 0.025, 0.05, 0.0575, 0.115, -0.015], atol=1e-15)
    np.testing.assert_allclose(qpos[:, 1:], np.tile(drift().qpos[:1, 1:], (6, 1)))


@pytest.mark.parametrize("start", [(0.0, 0.0), (2.0, 3.0)])
def test_a_loop_that_turns_goes_round_a_square(start: tuple[float, float]) -> None:
    """One metre ahead, then a quarter turn to the left: after four loops the clip is where it began."""
    qpos = np.zeros((3, 9))
    qpos[:, :2] = np.array(start) + np.array([[0, 0], [1, 0], [1, 0]])
    qpos[:, 3:7] = yaw_quat(np.array([0, 0, np.pi / 2]))
    qvel = np.zeros((3, 8))
    qvel[:, 0] = 1.0  # along the clip's own x
    found = library(clip(qpos, qvel=qvel, loop=True))
    np.testing.assert_allclose(found.turns, [np.pi / 2])
    at, frames = np.zeros(7, int), np.array([0, 1, 2, 4, 6, 8, -2])
    poses, rates = found.at(at, frames)
    np.testing.assert_allclose(
        poses[:, :2] - start, [[0, 0], [1, 0], [1, 0], [1, 1], [0, 1], [0, 0], [0, 1]], atol=1e-12
    )
    np.testing.assert_allclose(found.turn_at(at, frames) / (np.pi / 2), [0, 0, 1, 2, 3, 4, -1])
    forward = quat_rotate(poses[:, 3:7], np.tile([1.0, 0, 0], (7, 1)))
    np.testing.assert_allclose(forward[:, :2], [[1, 0], [1, 0], [0, 1], [-1, 0], [0, -1], [1, 0], [0, -1]], atol=1e-12)
    np.testing.assert_allclose(rates[:, :2], [[1, 0], [1, 0], [0, 1], [-1, 0], [0, -1], [1, 0], [0, -1]], atol=1e-12)


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), frames=st.integers(2, 12), turn=st.floats(-3, 3), rounds=st.integers(-3, 9))
def test_a_loop_has_no_seam(seed: int, frames: int, turn: float, rounds: int) -> None:
    """Any motion whose end is its start, shifted and turned about the vertical, goes on smoothly for ever."""
    base = wander(frames, seed)
    qpos = base.qpos.copy()
    qpos[-1, 2:] = qpos[0, 2:]
    qpos[-1, 3:7] = quat_mul(yaw_quat(np.array(turn)), qpos[0, 3:7])
    found, seam = library(clip(qpos, loop=True)), rounds * base.duration
    (before, after), _ = ask(found, 0, seam - 1e-5, seam + 1e-5)
    np.testing.assert_allclose(before[:3], after[:3], atol=1e-2)
    np.testing.assert_allclose(before[7:], after[7:], atol=1e-2)
    gap = quat_to_rotvec(quat_mul(before[3:7] * [1, -1, -1, -1], after[3:7]))
    assert np.linalg.norm(gap) < 1e-2
    # A whole round later everything is the same but for one rigid motion.
    time = np.random.default_rng(seed).uniform(-1, 5, 50)
    (here, rate), (later, rate_later) = (found.sample(np.zeros(50, int), t) for t in (time, time + base.duration))
    np.testing.assert_allclose(np.linalg.norm(here[:, 3:7], axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(later[:, 2], here[:, 2], atol=1e-8)
    angle = found.turns[0]
    turned = quat_rotate(yaw_quat(np.full(50, angle)), here[:, :3])[:, :2] + found.strides[0]
    np.testing.assert_allclose(later[:, :2], turned, atol=1e-8)
    speed, speed_later = (np.linalg.norm(v[:, :2], axis=1) for v in (rate, rate_later))
    np.testing.assert_allclose(speed_later, speed, atol=1e-6)


# -- draws ------------------------------------------------------------------------------------------------


def test_every_second_is_as_likely_as_any_other() -> None:
    found = library(drift(11, name="short"), drift(31, name="long"))
    np.testing.assert_allclose(found.weights, [0.25, 0.75])
    which, time = found.draw(np.random.default_rng(0), 20_000)
    assert which.mean() == pytest.approx(0.75, abs=0.01)
    for at in (0, 1):
        share = time[which == at] / found.durations[at]
        assert share.min() >= 0
        assert share.max() < 1
        assert np.histogram(share, 4, (0, 1))[0].std() < 0.03 * len(share)
    found.set_weights(np.array([3, 1]))
    assert found.draw(np.random.default_rng(0), 20_000)[0].mean() == pytest.approx(0.25, abs=0.01)
    again = found.draw(np.random.default_rng(0), 10)
    np.testing.assert_array_equal(again, found.draw(np.random.default_rng(0), 10))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([1.0, 0.0], r"weights\[1\] is 0.0, expected a finite number above 0"),
        ([-1.0, 2.0], r"weights\[0\] is -1.0"),
        ([1.0, np.nan], r"weights\[1\] is nan"),
        ([1.0, np.inf], r"weights\[1\] is inf"),
        ([1.0], r"weights has shape \(1,\), expected \(2,\)"),
    ],
)
def test_weights_leave_no_clip_out(weights: list[float], message: str) -> None:
    found = library(drift(name="a"), drift(name="b"))
    with pytest.raises(ValueError, match=message):
        found.set_weights(np.array(weights))
    np.testing.assert_allclose(found.weights, 0.5)  # as before


def test_failures_make_hard_clips_likely() -> None:
    np.testing.assert_allclose(weights_from_failures(np.array([0, 1, 3]), floor=0.3), [0.1, 0.275, 0.625])
    np.testing.assert_allclose(weights_from_failures(np.zeros(4)), 0.25)
    np.testing.assert_allclose(weights_from_failures(np.array([0, 5]), floor=1.0), 0.5)
    for failures in ([-1, 2], [np.nan, 1], [], [[1]]):
        with pytest.raises(ValueError, match="failures is"):
            weights_from_failures(np.array(failures))
    for floor in (0.0, -0.1, 1.1, np.nan):
        with pytest.raises(ValueError, match="floor is"):
            weights_from_failures(np.ones(2), floor)
