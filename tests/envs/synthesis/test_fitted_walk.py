"""The humanoid's walk: the published figures it is made from, and what a person's walk must be."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
import pytest

from gait_envs.assets import asset_path
from gait_envs.biomechanics.clinical_angles import LEG, foot_pitch, stance_of, wanted_angles
from gait_envs.biomechanics.published_gait import _read, figures_at
from gait_envs.mocap.quality import robot_poses
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.reference.clip import Clip, ClipError, load_clip
from gait_envs.reference.library import MotionLibrary
from gait_envs.reference.sources import open_clips
from gait_envs.synthesis.fitted_walk import SPEEDS, angle_errors, human_walk
from gait_envs.synthesis.walk_optimizer import WalkFit, ground_push, periodic_rates

FREE = 0.429 * np.sqrt(9.81)  # m/s: the published group "free", on legs of one metre


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("humanoid")


@pytest.fixture(scope="module")
def made(body: Body) -> Clip:
    return human_walk(body, 1.2)


def embedded() -> list[Clip]:
    return [load_clip(asset_path(f"motions/human_walk/walk_{round(100 * speed):03d}.npz")) for speed in SPEEDS]


@pytest.fixture(scope="module", params=embedded(), ids=lambda clip: clip.name)
def clip(request: pytest.FixtureRequest) -> Clip:
    return request.param


# Figures


def test_figures_of_a_published_group_are_its_own() -> None:
    figures = figures_at(FREE, 1.0)
    # Schwartz et al. (2008), free speed: cadence 0.565 √(g/l) steps a second, foot off at 59 %.
    assert figures.cycle == pytest.approx(2 / (0.565 * 9.81**0.5), rel=1e-6)
    assert figures.foot_off == pytest.approx(0.59)
    at = np.array([0.0, 0.5, 0.7])
    for name, degrees in {
        "hip_flexion": (35.6, -5.3, 17.9),
        "knee_flexion": (5.3, 11.7, 58.2),
        "ankle_dorsiflexion": (-2.7, 10.6, -11.1),
        "pelvis_obliquity": (0.7, -0.7, -3.4),
    }.items():
        assert np.degrees(figures.angle(name, at)) == pytest.approx(degrees, abs=0.15), name
    assert np.degrees(figures.spread["knee_flexion"]) == pytest.approx(6.3)


def test_figures_between_two_groups_are_their_mean() -> None:
    slow, free = 0.290 * np.sqrt(9.81), FREE
    middle = figures_at((slow + free) / 2, 1.0)
    phase = np.linspace(0, 1, 7)
    ends = [figures_at(speed, 1.0).angle("knee_flexion", phase) for speed in (slow, free)]
    assert middle.angle("knee_flexion", phase) == pytest.approx(np.mean(ends, axis=0))
    assert middle.foot_off == pytest.approx(0.605)


def test_the_pelvis_does_alike_at_both_steps() -> None:
    figures, phase = figures_at(FREE, 1.0), np.linspace(0, 0.5, 9)
    for name, sign in (("pelvis_tilt", 1), ("pelvis_obliquity", -1), ("pelvis_rotation", -1), ("trunk_rotation", -1)):
        assert figures.angle(name, phase + 0.5) == pytest.approx(sign * figures.angle(name, phase)), name


def test_both_feet_carry_the_weight() -> None:
    figures = figures_at(FREE, 1.0)
    phase = np.arange(200) / 200
    assert figures.both_push(phase).mean() == pytest.approx(1.0)
    # At 10 % the published feet carry 0.989 and, half a cycle on, 0.070; at 30 %, 0.797 on one foot; and 0.018 more
    # makes the mean 1. Eight harmonics round the steep loading off.
    assert figures.both_push(np.array([0.1, 0.3])) == pytest.approx([1.077, 0.815], abs=0.04)


def test_published_angles_add_up_to_a_foot_that_lands_stands_and_leaves() -> None:
    figures = figures_at(FREE, 1.0)
    # 35.6 hip - 12.1 tilt - 5.3 knee - 2.7 ankle at the strike; 22.5 - 11.0 - 16.4 + 5.1 at 20 %; heel up at 55 %.
    pitch = np.degrees(foot_pitch(figures, np.array([0.0, 0.2, 0.55])))
    assert pitch == pytest.approx([15.5, 0.2, -34.7], abs=2.0)
    stance = stance_of(figures)
    assert 0.04 < stance.flat < 0.1 < 0.3 < stance.heel_off < 0.45 < stance.foot_off < 0.62
    soles = stance.soles(np.array([0.0, 0.2, 0.5, 0.8, 1.2]))
    assert soles.tolist() == [[False, True], [True, True], [True, False], [False, False], [True, True]]


def test_clinical_signs_become_the_bodys() -> None:
    figures = figures_at(FREE, 1.0)
    at = np.array([0.15])
    wanted = {name: np.degrees(value[0]) for name, value in wanted_angles(figures, at).items()}
    published = {name: np.degrees(figures.angle(name, at)[0]) for name in figures.curves}
    assert wanted["hip_flexion"] == pytest.approx(published["hip_flexion"] - 12.0)
    assert wanted["hip_abduction"] == pytest.approx(-published["hip_adduction"])
    assert wanted["roll"] == pytest.approx(-published["pelvis_obliquity"])  # right side up is a roll to the left


@pytest.mark.parametrize("speed", [0.3, 2.5, -1.0, np.nan])
def test_a_speed_that_nobody_published_is_refused(body: Body, speed: float) -> None:
    with pytest.raises(ClipError, match=r"the figures are of 0\.51 to 2\.07 m/s for this body"):
        human_walk(body, speed)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b,c\nx,1,2\ny,1,two\n", "line 3: could not convert"),
        ("a,b,c\nx,1\n", "line 2: not 3 values"),
    ],
)
def test_a_faulty_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ClipError, match=rf"table\.csv, {message}"):
        _read(path, 1)


# The fit


def test_a_body_that_stands_is_pushed_below_its_centre(body: Body) -> None:
    data = mujoco.MjData(body.model)
    data.qpos[:] = body.home
    mujoco.mj_forward(body.model, data)
    centre = data.subtree_com[0]
    still = np.tile(body.home, (8, 1))
    force, lack = ground_push(body, still, np.tile(centre[:2] - [0.05, 0.02], (8, 1)), 0.0, 30.0)
    assert force == pytest.approx(1.0)
    assert lack == pytest.approx(np.tile([0.05, 0.02], (8, 1)), abs=1e-6)


def test_rates_of_a_cycle_have_no_seam() -> None:
    phase = 2 * np.pi * np.arange(40) / 40
    qpos = np.zeros((40, 8))
    qpos[:, 3] = 1.0
    qpos[:, 0], qpos[:, 7] = 0.03 * np.arange(40), np.sin(phase)
    for gap in (1, 2):
        qvel, qacc = periodic_rates(qpos, 1.2, 40.0, gap)
        assert qvel[:, 0] == pytest.approx(1.2)
        assert qvel[:, 6] == pytest.approx(2 * np.pi * np.cos(phase), rel=0.02, abs=0.02)
        assert qacc[:, 6] == pytest.approx(-((2 * np.pi) ** 2) * np.sin(phase), rel=0.05, abs=0.05)


def test_slopes_of_the_foot_are_its_differences(body: Body) -> None:
    fit = WalkFit(body, 1.2, 30.0)
    places, slopes = fit._foot(fit.qpos(), fit._tracks(fit.values, fit.bases))
    rng = np.random.default_rng(0)
    step = 1e-6 * rng.normal(size=len(fit.values))
    moved, _ = fit._foot(fit.qpos(fit.values + step), fit._tracks(fit.values + step, fit.bases))
    assert moved - places == pytest.approx(slopes @ step, abs=1e-9)


# Clips


def test_the_embedded_clip_is_what_the_function_makes(made: Clip) -> None:
    kept = next(clip for clip in embedded() if clip.meta["speed"] == 1.2)
    assert made.qpos == pytest.approx(kept.qpos, abs=2e-3)
    assert made.contacts == pytest.approx(kept.contacts, abs=20.0)


def test_the_set_is_found_by_its_name(body: Body) -> None:
    clips = open_clips("human_walk")
    assert [clip.meta["speed"] for clip in clips] == list(SPEEDS)
    library = MotionLibrary(clips, body.joint_names, 30.0)
    ten_strides_on, _ = library.sample(np.array([3]), np.array([10 * clips[3].duration]))
    assert ten_strides_on[0, 0] == pytest.approx(10 * 1.2 * clips[3].duration)


def test_a_cycle_closes_and_goes_on(clip: Clip) -> None:
    first, last = clip.qpos[0].copy(), clip.qpos[-1].copy()
    assert clip.loop
    assert last[0] - first[0] == pytest.approx(clip.meta["speed"] * clip.duration)
    last[0] = first[0]
    assert last == pytest.approx(first, abs=1e-9)
    assert clip.qvel[-1] == pytest.approx(clip.qvel[0])
    # Over the seam the joints turn no more suddenly than in mid-cycle, where the other heel lands.
    twice = np.concatenate([clip.qpos[:-1, 7:], clip.qpos[:-1, 7:]])
    jerk = np.abs(np.diff(twice, 2, axis=0)).max(axis=1)
    half = (clip.frames - 1) // 2
    assert jerk[2 * half - 2 : 2 * half + 1].max() == pytest.approx(jerk[half - 2 : half + 1].max())


def test_left_does_what_right_did(clip: Clip) -> None:
    half = (clip.frames - 1) // 2
    now, then = clip.qpos[:half], clip.qpos[half:-1]
    assert then[:, 1] == pytest.approx(-now[:, 1], abs=1e-9)
    assert then[:, 2] == pytest.approx(now[:, 2], abs=1e-9)
    names = list(clip.joint_names)
    for i, name in enumerate(names):
        other = name.replace("right_", "LEFT_").replace("left_", "right_").replace("LEFT_", "left_")
        sign = -1.0 if name == other and not name.endswith("flexion") else 1.0
        assert then[:, 7 + names.index(other)] == pytest.approx(sign * now[:, 7 + i], abs=1e-9), name
    assert clip.contacts is not None
    assert clip.contacts[half:-1][:, [2, 3, 0, 1]] == pytest.approx(clip.contacts[:half], abs=5.0)


def test_soles_stand(clip: Clip, body: Body) -> None:
    corners = robot_poses(clip.qpos, body).corners
    assert corners[..., 2].min() > -1e-3
    phase = np.arange(clip.frames - 1) / (clip.frames - 1)
    flat = np.flatnonzero((phase > 0.1) & (phase < 0.28))  # right foot, at every speed
    standing = corners[flat][:, 2:]
    assert np.abs(standing[..., 2]).max() < 3e-3
    assert np.ptp(standing[..., :2], axis=0).max() < 2e-3
    ahead = corners[:-1][(phase > 0.1) & (phase < 0.54), 2]  # the ball stays, its front edge on the floor, to the end
    assert np.ptp(ahead[..., :2].max(axis=1)[:, 0]) < 3e-3
    swing = corners[:-1][(phase > 0.72) & (phase < 0.92), 2:]
    assert swing[..., 2].min() > 2e-3


def test_feet_land_with_the_heel_and_leave_with_the_ball(clip: Clip, body: Body) -> None:
    assert clip.contacts is not None
    right = clip.contacts[:-1, 2:] / body.weight  # ball, heel
    phase = np.arange(len(right)) / len(right)
    assert right[phase < 0.05, 0].max() == 0.0
    late = (phase > 0.47) & (phase < 0.55)
    assert right[late, 1].max() == 0.0
    assert right[late, 0].max() > 0.6
    assert clip.contacts[:-1].sum(axis=1).mean() / body.weight == pytest.approx(1.0, abs=0.02)


def test_it_walks_as_people_do(clip: Clip, body: Body) -> None:
    degrees = np.degrees([angle_errors(clip, body)[name] for name in LEG[:5]])
    assert (degrees < 5.5).all(), degrees
    quality = clip.meta["quality"]
    assert clip.meta["faults"] == []
    assert quality["feasible_percent"] == 100.0
    assert quality["limit_violations"] == 0
    assert quality["slip_median"] < 0.005
    turn = {name: clip.qpos[:, 7 + i] for i, name in enumerate(clip.joint_names)}
    for side in ("left", "right"):  # arms swing against their own legs
        assert np.corrcoef(turn[f"{side}_arm_flexion"], turn[f"{side}_hip_flexion"])[0, 1] < -0.8
    pelvis = np.ptp(clip.qpos[:, 1]), np.ptp(clip.qpos[:, 2])
    assert 0.02 < pelvis[0] < 0.08
    assert 0.015 < pelvis[1] < 0.06


def test_faster_is_longer_and_quicker_steps() -> None:
    clips = embedded()
    strides = [clip.mean_speed * clip.duration for clip in clips]
    assert (np.diff(strides) > 0).all()
    assert (np.diff([clip.duration for clip in clips]) < 0).all()
