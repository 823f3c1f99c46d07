"""The judge of style against numbers worked out by hand, and against what it must not be able to tell."""

from __future__ import annotations

import numpy as np
import pytest

from gait_envs.models.robot import humanoid, wildrobot
from gait_envs.reference.library import load_clips
from gait_trainers.evaluation.gait_metrics import Rollout
from gait_trainers.evaluation.style import (
    CYCLE_POINTS,
    Cycle,
    StyleJudge,
    Windows,
    clip_cycle,
    compare_cycles,
    linear_gap,
    logistic_regression,
    mean_cycle,
    mean_velocity,
    trunk_lean,
    walks_straight,
)

JOINTS = ("waist", "hip", "knee")


def test_the_regression_of_two_points_by_hand() -> None:
    """x = ±1 with their signs: ½ w² + 2 log(1 + exp(−w)) is least where w = 2 / (1 + exp(w)), so at 0.67483."""
    weights, bias = logistic_regression(np.array([[1.0], [-1.0]]), np.array([1.0, -1.0]))
    assert weights[0] == pytest.approx(0.67483, abs=1e-5)
    assert bias == pytest.approx(0.0, abs=1e-9)


def test_the_regression_is_at_its_minimum() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 5)), np.where(rng.random(200) < 0.3, 1.0, -1.0)
    weights, bias = logistic_regression(x, y, c=0.5)
    pull = 0.5 * y / (1.0 + np.exp(y * (x @ weights + bias)))
    np.testing.assert_allclose(weights, x.T @ pull, atol=1e-3)
    assert pull.sum() == pytest.approx(0.0, abs=1e-3)  # the bias is not penalised


def groups(rng: np.random.Generator, mean: float, each: int = 60, count: int = 20, d: int = 4) -> Windows:
    return Windows(rng.normal(mean, 1.0, (each * count, d)), np.repeat(np.arange(count), each))


def test_the_gap_is_half_for_the_same_motion_and_one_for_another() -> None:
    rng = np.random.default_rng(0)
    assert linear_gap(groups(rng, 0.0), groups(rng, 0.0)) == pytest.approx(0.5, abs=0.04)
    assert linear_gap(groups(rng, 3.0), groups(rng, -3.0)) == 1.0
    # Apart by one deviation along each of four axes, so by 2: the best rule is right with Φ(1) = 0.841.
    assert linear_gap(groups(rng, 0.5), groups(rng, -0.5)) == pytest.approx(0.841, abs=0.02)


def test_the_judge_does_not_profit_from_knowing_an_episode() -> None:
    """Each episode has a constant of its own; were windows of one in both folds, this alone would tell them apart."""
    rng = np.random.default_rng(3)

    def constants() -> Windows:
        offsets = np.repeat(rng.normal(0.0, 3.0, (24, 40)), 50, axis=0)
        return Windows(offsets + rng.normal(0.0, 0.01, offsets.shape), np.repeat(np.arange(24), 50))

    assert linear_gap(constants(), constants()) < 0.65
    assert np.isnan(linear_gap(Windows(np.zeros((5, 2)), np.zeros(5, int)), constants()))  # one episode is no fold


def test_lean_is_the_forward_pitch() -> None:
    half = 0.1
    quat = np.array(
        [[1.0, 0.0, 0.0, 0.0], [np.cos(half), 0.0, np.sin(half), 0.0], [np.cos(half), np.sin(half), 0.0, 0.0]]
    )
    np.testing.assert_allclose(trunk_lean(quat), [0.0, 0.2, 0.0], atol=1e-12)


def drawn_walk(periods: int = 6, frames: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Joints that swing once a cycle of 40 frames; each foot stands for 26 of them, half a cycle apart."""
    phase = np.arange(periods * frames) % frames
    qpos = np.zeros((len(phase), 7 + 3))
    qpos[:, 3] = 1.0
    qpos[:, 7:] = 0.3 * np.sin(2 * np.pi * phase[:, None] / frames + [0.0, 1.0, 2.0])
    force = np.zeros((len(phase), 4))
    force[:, 0] = 40.0 * ((phase + 5) % frames < 26)
    force[:, 2] = 40.0 * ((phase + 25) % frames < 26)
    return qpos, force


def test_the_mean_cycle_of_a_drawn_walk() -> None:
    qpos, force = drawn_walk()
    cycle = mean_cycle(qpos, force, dt=0.02, mass=3.4)
    assert cycle is not None
    # The left foot touches down at phase 35 of 40; six touchdowns of each foot in 4.8 s.
    at = 2 * np.pi * (35 + 40 * np.arange(CYCLE_POINTS) / CYCLE_POINTS) / 40
    np.testing.assert_allclose(cycle.joints, 0.3 * np.sin(at[:, None] + [0.0, 1.0, 2.0]), atol=2e-3)
    assert cycle.cadence == pytest.approx(60 * 12 / 4.8)
    assert cycle.lean == 0.0
    assert mean_cycle(qpos[:60], force[:60], dt=0.02, mass=3.4) is None  # no two whole cycles


def test_cadence_does_not_depend_on_where_a_recording_is_cut() -> None:
    """Whole cycles of 40 frames of 0.02 s, two steps each: 150 steps/min, whatever is left at the ends."""
    qpos, force = drawn_walk()
    for start, stop in ((0, 240), (0, 165), (3, 170), (36, 200), (20, 239)):
        cycle = mean_cycle(qpos[start:stop], force[start:stop], dt=0.02, mass=3.4)
        assert cycle is not None
        assert cycle.cadence == pytest.approx(150.0)


@pytest.mark.parametrize("name, frames", [("walk_060", 50), ("walk_140", 30), ("walk_160", 28)])
def test_the_cadence_of_a_clip_that_is_a_single_cycle(name: str, frames: int) -> None:
    (clip,) = [clip for clip in load_clips("human_walk") if clip.name == name]
    cycle = clip_cycle(clip, humanoid().mass)
    assert cycle is not None
    assert cycle.cadence == pytest.approx(2 * 60 * 30 / frames)  # two steps in so many frames at 30 a second


def test_cycles_are_compared_by_hand() -> None:
    phase = 2 * np.pi * np.arange(CYCLE_POINTS) / CYCLE_POINTS
    ours = Cycle(np.stack([0 * phase, np.sin(phase), np.sin(phase)], axis=1), 0.25, 180.0)
    theirs = Cycle(np.stack([0 * phase, 0.5 + np.sin(phase), -np.sin(phase)], axis=1), 0.10, 150.0)
    found = compare_cycles(ours, theirs, JOINTS)
    assert found["trunk_lean_off"] == pytest.approx(0.15)
    assert found["cadence_off"] == pytest.approx(0.2)
    assert found["joint_correlation"] == {"waist": None, "hip": pytest.approx(1.0), "knee": pytest.approx(-1.0)}
    assert found["joint_rms"] == {"waist": 0.0, "hip": pytest.approx(0.5), "knee": pytest.approx(np.sqrt(2.0))}


@pytest.mark.parametrize("robot", [wildrobot(), humanoid()], ids=lambda robot: robot.name)
def test_the_reference_is_like_itself(robot) -> None:
    """Its own clips, played as a policy's rollout: near half, no lean and no cadence off."""
    judge = StyleJudge.of(robot)
    assert judge is not None
    (clip, *_) = [c for c in load_clips({"wildrobot": "wildrobot_walk", "humanoid": "human_walk"}[robot.name])
                  if 0.3 < mean_velocity(c)[0] < 1.1 and walks_straight(c)]  # fmt: skip
    # A loop goes round with its displacement, which the mean cycle does not look at.
    length = len(clip.qpos) - 1
    rows = np.arange(6 * length) % length
    n = len(robot.joint_names)
    empty = np.zeros((len(rows), 1, 2, 3))
    rollout = Rollout(
        qpos=clip.qpos[rows, None], qvel=clip.qvel[rows, None], foot_force=clip.contacts[rows, None], foot_pos=empty,
        foot_vel=empty, torque=np.zeros((len(rows), 1, n)), command=np.array([[mean_velocity(clip)[0], 0.0, 0.0]]),
        valid=np.ones((len(rows), 1), bool), dt=1.0 / clip.fps, mass=np.array([robot.mass]),
    )  # fmt: skip
    (cycle,) = judge.cycles(rollout)
    assert cycle is not None
    found = judge.compare([cycle], mean_velocity(clip)[0])
    assert found is not None
    assert abs(found["trunk_lean_off"]) < 0.03
    assert abs(found["cadence_off"]) < 0.15
    known = [value for value in found["joint_correlation"].values() if value is not None]
    assert np.median(known) > 0.95
    assert judge.compare([cycle], 5.0) is None  # no clip is as fast


def test_only_walks_straight_ahead_are_compared_with() -> None:
    clips = {clip.name: clip for clip in load_clips("wildrobot_walk")}
    assert walks_straight(clips["walk_030_calm_0"])
    assert not walks_straight(clips["walk_030_left_020_calm_0"])
    assert not walks_straight(clips["stand_calm_0"])
    judge = StyleJudge.of(wildrobot())
    assert judge is not None
    # 0.2 to 0.6 m/s: five speeds, each calm and noisy twice, of 300 frames and so 299 windows.
    assert len(judge.reference.values) == 15 * 299
