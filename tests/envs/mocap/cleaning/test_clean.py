"""Filters and repairs: attenuations computed by hand, faults put in and taken out again, good motion left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from helpers.formats import walker_motion
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import jv

from gait_envs.mocap.capture import MotionError, Skeleton
from gait_envs.mocap.cleaning.clean import butterworth, butterworth_margin, resample_motion
from gait_envs.mocap.cleaning.foot_strikes import Strikes
from gait_envs.mocap.cleaning.repair import Fault, Faults, body_length, repair, repair_margin
from gait_envs.mocap.cleaning.signal import continuous_signs, resample, resampled_frames
from gait_envs.rotations import quat_conj, quat_from_rotvec, quat_mul, quat_rotate, quat_slerp

FPS = 120.0
LEG = Skeleton(("hips", "knee", "foot"), np.array([-1, 0, 1]), np.array([[0.0, 0, 0], [0, 0, -0.45], [0, 0, -0.45]]))


def swing(frames: int, frequency: float, amplitude: float = 0.5, fps: float = FPS) -> tuple[np.ndarray, np.ndarray]:
    """A root that walks and sways, a knee that swings about y; rotations (T, 3, 4), translations (T, 3, 3)."""
    time = np.arange(frames) / fps
    turns = np.zeros((frames, 3, 3))
    turns[:, 1, 1] = amplitude * np.sin(2 * np.pi * frequency * time)
    translations = np.tile(LEG.offsets, (frames, 1, 1))
    translations[:, 0] = np.stack([time, 0.05 * np.sin(2 * np.pi * frequency * time), 0.9 + 0 * time], axis=1)
    return quat_from_rotvec(turns), translations


def angle(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return 2 * np.arccos(np.clip(np.abs(np.sum(a * b, axis=-1)), 0, 1))


# -- low-pass ---------------------------------------------------------------------------------------------


def gain(frequency: float, cutoff: float, fps: float) -> float:
    """What the low-pass should leave of a wave's amplitude, from 1 to 0; half at the cut-off.

    Of one pass of 4th order it is 1/√(1 + x⁸) with x = tan(π f/fps) / tan(π f_c/fps); there are two.
    """
    x = np.tan(np.pi * frequency / fps) / np.tan(np.pi * cutoff / fps)
    return float(1.0 / (1.0 + x**8))


def test_gain_by_hand() -> None:
    assert gain(8.0, 8.0, FPS) == pytest.approx(0.5)
    # tan(pi 4/120) / tan(pi 8/120) = 0.105104 / 0.212557 = 0.494478; its 8th power is 0.0035742.
    assert gain(4.0, 8.0, FPS) == pytest.approx(1 / 1.0035742, abs=1e-6)
    assert gain(16.0, 8.0, 1e6) == pytest.approx(1 / 257, rel=1e-3)  # 48 dB an octave


@pytest.mark.parametrize("frequency", [2.0, 6.0, 8.0, 12.0])
def test_translation_loses_what_the_gain_says_and_is_not_delayed(frequency: float) -> None:
    rotations, translations = swing(600, frequency)
    _, out = butterworth(rotations, translations, 8.0, FPS)
    inner = slice(150, 450)
    sway = 0.05 * np.sin(2 * np.pi * frequency * np.arange(600) / FPS)
    np.testing.assert_allclose(out[inner, 0, 1], gain(frequency, 8.0, FPS) * sway[inner], atol=1e-6)
    np.testing.assert_allclose(out[inner, 0, 0], translations[inner, 0, 0], atol=1e-6)  # a straight line goes through
    np.testing.assert_array_equal(out[:, 1:], translations[:, 1:])  # bones to the last digit


@pytest.mark.parametrize("frequency", [3.0, 6.0, 8.0])
def test_rotation_loses_what_the_gain_says(frequency: float) -> None:
    """A swing of a sin x about one axis: sin(a/2 sin x) = 2 J1 sin x + 2 J3 sin 3x, cos(a/2 sin x) = J0 + 2 J2 cos 2x.

    Each wave is multiplied by its own gain, and the quaternion made unit again.
    """
    amplitude, cutoff = 0.5, 8.0
    rotations, translations = swing(600, frequency, amplitude)
    out, _ = butterworth(rotations, translations, cutoff, FPS)
    x = 2 * np.pi * frequency * np.arange(600) / FPS
    g = [gain(n * frequency, cutoff, FPS) for n in range(5)]
    j = [jv(n, amplitude / 2) for n in range(5)]
    sine = 2 * j[1] * g[1] * np.sin(x) + 2 * j[3] * g[3] * np.sin(3 * x)
    cosine = j[0] + 2 * j[2] * g[2] * np.cos(2 * x) + 2 * j[4] * g[4] * np.cos(4 * x)
    expected = 2 * np.arctan2(sine, cosine)
    inner = slice(150, 450)
    got = 2 * np.arctan2(out[inner, 1, 2], out[inner, 1, 0])
    np.testing.assert_allclose(got, expected[inner], atol=1e-6)
    # Which is the angle itself through the filter, but for terms of third order.
    np.testing.assert_allclose(got, g[1] * amplitude * np.sin(x)[inner], atol=amplitude**3 / 24)
    np.testing.assert_allclose(np.linalg.norm(out, axis=-1), 1.0, atol=1e-12)


def test_signs_of_quaternions_do_not_matter() -> None:
    rotations, translations = swing(300, 2.0)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (300, 3, 1))
    expected, _ = butterworth(rotations, translations, 8.0, FPS)
    got, _ = butterworth(rotations * signs, translations, 8.0, FPS)
    assert angle(got, expected).max() < 1e-7
    chained = continuous_signs(rotations * signs)
    assert (np.sum(chained[1:] * chained[:-1], axis=-1) > 0).all()
    halves = [continuous_signs((rotations * signs)[:150])]
    halves.append(continuous_signs((rotations * signs)[150:], halves[0][-1]))
    np.testing.assert_array_equal(np.concatenate(halves), chained)


def test_a_turn_all_the_way_round_is_no_obstacle() -> None:
    """Rotation vectors would jump at 180°; a steady spin goes through the filter unchanged."""
    turns = np.zeros((600, 1, 3))
    turns[:, 0, 2] = np.linspace(0, 6 * np.pi, 600)
    rotations = quat_from_rotvec(turns)
    out, _ = butterworth(rotations, np.zeros((600, 1, 3)), 8.0, FPS)
    assert angle(out[150:-150], rotations[150:-150]).max() < 1e-6


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_short_captures_survive(frames: int) -> None:
    rotations, translations = swing(frames, 2.0)
    turned, out = butterworth(rotations, translations, 8.0, FPS)
    assert np.isfinite(turned).all()
    assert out.shape == translations.shape


@pytest.mark.parametrize("cutoff", [0.0, -1.0, 60.0, 80.0, float("nan")])
def test_a_cutoff_that_is_none_is_refused(cutoff: float) -> None:
    with pytest.raises(MotionError, match="expected more than 0 and less than half the rate, 60 Hz"):
        butterworth(*swing(20, 1.0), cutoff, FPS)


def test_the_margin_is_enough() -> None:
    rotations, translations = swing(2000, 3.0)
    translations[:, 0] += np.random.default_rng(0).normal(size=(2000, 3))
    margin = butterworth_margin(6.0, FPS)
    _, whole = butterworth(rotations, translations, 6.0, FPS)
    _, part = butterworth(rotations[500:1500], translations[500:1500], 6.0, FPS)
    np.testing.assert_allclose(part[margin:-margin], whole[500 + margin : 1500 - margin], atol=1e-11)
    assert np.abs(part[5] - whole[505]).max() > 1e-3  # nearer the edge it is not


# -- resampling -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("new", [1e9, np.inf])
def test_frames_without_end_are_refused(new: float) -> None:
    with pytest.raises(MotionError, match=r"at most 10,000,000 can be made"):
        resampled_frames(100, 100.0, new)
    with pytest.raises(MotionError, match=r"0\.99 s at 1e\+06 Hz are 990001 frames; at most 200,000 can be made"):
        resample(np.zeros((100, 3)), 100.0, 1e6)


def test_of_fewer_than_three_frames_no_acceleration_is_known() -> None:
    assert len(resample(np.zeros((101, 3)), 100.0, 2.0)) == 3
    with pytest.raises(MotionError, match="1 s at 1 Hz are fewer than three frames"):
        resample(np.zeros((101, 3)), 100.0, 1.0)


def test_resampling_by_hand() -> None:
    rotations = quat_from_rotvec(np.array([[[0, 0, 0.0]], [[0, 0, 0.4]], [[0, 0, 0.4]]]))
    translations = np.array([[[0.0, 0, 0]], [[1.0, 0, 0]], [[1.0, 4, 0]]])
    assert resampled_frames(3, 10.0, 40.0) == 9
    turned, moved = resample_motion(rotations, translations, 10.0, 40.0, np.arange(9))
    np.testing.assert_allclose(2 * np.arcsin(turned[:, 0, 3]), [0, 0.1, 0.2, 0.3, 0.4, 0.4, 0.4, 0.4, 0.4], atol=1e-12)
    np.testing.assert_allclose(moved[:, 0, 0], [0, 0.25, 0.5, 0.75, 1, 1, 1, 1, 1], atol=1e-12)
    np.testing.assert_allclose(moved[:, 0, 1], [0, 0, 0, 0, 0, 1, 2, 3, 4], atol=1e-12)


def test_resampling_to_a_divisor_takes_every_nth() -> None:
    rotations, translations = swing(121, 2.0)
    turned, moved = resample_motion(rotations, translations, 120.0, 30.0, np.arange(31))
    np.testing.assert_allclose(turned, rotations[::4], atol=1e-12)
    np.testing.assert_allclose(moved, translations[::4], atol=1e-12)


@given(frames=st.integers(1, 5000), fps=st.sampled_from([24.0, 29.97, 30.0, 60.0, 100.0, 120.0]), new=st.floats(5, 500))
def test_resampling_keeps_the_duration(frames: int, fps: float, new: float) -> None:
    count = resampled_frames(frames, fps, new)
    rest = (frames - 1) / fps - (count - 1) / new
    assert -1e-9 <= rest < 1 / new + 1e-9


# -- repair -----------------------------------------------------------------------------------------------


def mended(rotations: np.ndarray, translations: np.ndarray, fps: float = FPS) -> tuple[np.ndarray, np.ndarray, Faults]:
    rotations, translations, found = repair(rotations, translations, LEG, fps)
    faults = Faults("capture", fps)
    faults.add(found, 0, 0, len(rotations))
    return rotations, translations, faults


def test_missing_frames_are_filled_by_hand() -> None:
    rotations, translations = swing(40, 2.0)
    good = rotations.copy(), translations.copy()
    rotations[10:13, 1], translations[10:13, 1] = np.nan, np.nan
    rotations[10:13, 0], translations[10:13, 0] = np.nan, np.nan
    turned, moved, faults = mended(rotations, translations)
    for n, t in enumerate((10, 11, 12), 1):
        share = np.array(n / 4)
        np.testing.assert_allclose(turned[t, 1], quat_slerp(good[0][9, 1], good[0][13, 1], share), atol=1e-12)
        np.testing.assert_allclose(moved[t, 0], good[1][9, 0] + n / 4 * (good[1][13, 0] - good[1][9, 0]), atol=1e-12)
    np.testing.assert_array_equal(np.delete(turned, [10, 11, 12], axis=0), np.delete(good[0], [10, 11, 12], axis=0))
    assert faults.history(40) == ["3 frames filled at 0.08 s: 2 joints missing"]
    faults.check()
    assert np.isnan(rotations).any()  # what was given is not touched


def test_a_long_gap_is_an_error_that_names_its_frames() -> None:
    rotations, translations = swing(60, 2.0)
    rotations[20:33, 1] = np.nan  # 13 frames at 120 a second are more than 0.1 s
    rotations[45:57, 2] = np.nan  # 12 are not
    turned, _, faults = mended(rotations, translations)
    with pytest.raises(MotionError) as error:
        faults.check()
    assert str(error.value) == (
        "capture: knee missing in frames 20 to 32; at most 12 frames (0.1 s) in a row are filled; "
        "retargeting leaves frames out with --start and --end"
    )
    assert np.isfinite(turned[:, 2]).all()


def test_ends_are_held_and_only_where_the_capture_ends() -> None:
    rotations, translations = swing(40, 2.0)
    good = rotations.copy()
    rotations[:2], rotations[-3:] = np.nan, np.nan
    turned, _, faults = mended(rotations, translations)
    np.testing.assert_allclose(turned[:2], good[[2, 2]], atol=1e-12)
    np.testing.assert_allclose(turned[-3:], good[[-4] * 3], atol=1e-12)
    assert faults.history(40) == [
        "2 frames held at 0.00 s: 3 joints missing",
        "3 frames held at 0.31 s: 3 joints missing",
    ]
    _, _, found = repair(rotations, translations, LEG, FPS, ends=(False, False))
    assert {(fault.start, fault.stop, fault.filled) for fault in found} == {(0, 2, False), (37, 40, False)}


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_flips_are_turned_back(count: int, axis: int) -> None:
    rotations, translations = swing(80, 1.0)
    good = rotations.copy()
    half = np.zeros(4)
    half[1 + axis] = 1.0
    rotations[30 : 30 + count, 1] = quat_mul(rotations[30 : 30 + count, 1], half)
    turned, _, faults = mended(rotations, translations)
    assert angle(turned, good).max() < 0.01
    what = "1 frame" if count == 1 else "4 frames"
    assert faults.history(80) == [f"{what} filled at 0.25 s: knee flipped"]


def test_what_does_not_come_back_is_left_alone() -> None:
    rotations, translations = swing(80, 1.0)
    rotations[30:, 1] = quat_mul(rotations[30:, 1], quat_from_rotvec(np.array([2.0, 0, 0])))  # seen from elsewhere
    rotations[34:, 1] = quat_mul(rotations[34:, 1], quat_from_rotvec(np.array([0, 2.0, 0])))
    translations[50:, 0] += [0.5, 0, 0]
    translations[55:, 0] += [0, 0.5, 0]
    translations[65, 0] += [0.1, 0, 0]  # shaky, at 12 m/s, but a body length is 0.9 m
    assert repair(rotations, translations, LEG, FPS)[2] == []


def test_the_length_of_a_body_is_its_longest_way_from_the_root() -> None:
    parents = np.array([-1, 0, 1, 0])  # a chain of 0.3 and 0.4, and a tip 0.5 away
    offsets = np.array([[9.0, 9, 9], [0.3, 0, 0], [0, 0.4, 0], [0.5, 0, 0]])
    assert body_length(Skeleton(("root", "a", "b", "c"), parents, offsets)) == pytest.approx(0.7)


def test_a_root_that_jumps_and_a_root_in_the_origin() -> None:
    rotations, translations = swing(80, 1.0)
    good = translations.copy()
    translations[30, 0] += [0.5, 0, 0]
    translations[50:52, 0] = 0.0
    _, moved, faults = mended(rotations, translations)
    np.testing.assert_allclose(moved, good, atol=1e-3)
    assert faults.history(80) == ["2 frames filled at 0.42 s: all zeroed", "1 frame filled at 0.25 s: hips jumped"]


@pytest.mark.parametrize("turned", [0.0, 1.2])
@pytest.mark.parametrize("frames", [1, 4])
def test_joints_stay_where_they_are_while_the_root_alone_jumps(turned: float, frames: int) -> None:
    """Captured positions hold each place from the root's. A hand that jumps along with the root was moved with it."""
    names = ("pelvis", "knee", "ankle", "hand")
    skeleton = Skeleton(names, np.array([-1, 0, 1, 0]), np.array([[0, 0, 0], [0, 0, -0.5], [0, 0, -0.4], [0, 1.0, 0]]))
    rotations = np.tile(quat_from_rotvec(np.array([0, 0, turned])), (80, 4, 1))
    translations = np.tile(skeleton.offsets, (80, 1, 1))
    translations[:, 0, 0] += np.arange(80) / FPS
    good = translations.copy()
    jump = slice(30, 30 + frames)
    translations[jump, 0] += [0, 0.6, 0]
    translations[jump, 1] -= quat_rotate(quat_conj(rotations[jump, 0]), np.array([0, 0.6, 0]))
    _, moved, found = repair(rotations, translations, skeleton, FPS)
    np.testing.assert_allclose(moved, good, atol=1e-9)
    assert [(f.kind, f.joint) for f in found] == [("jumped", "pelvis")]


def test_a_fixed_node_above_the_hips_is_not_the_root() -> None:
    rotations, translations = swing(80, 1.0)
    lifted = Skeleton(("fixed", *LEG.names), np.array([-1, 0, 1, 2]), np.concatenate([[[0.0, 0, 0]], LEG.offsets]))
    rotations = np.concatenate([np.tile([1.0, 0, 0, 0], (80, 1, 1)), rotations], axis=1)
    translations = np.concatenate([np.zeros((80, 1, 3)), translations], axis=1)
    assert repair(rotations, translations, lifted, FPS)[2] == []
    translations[30, 1] = 0.0
    translations[50, 1] += 1.0
    assert {(f.kind, f.start, f.joint) for f in repair(rotations, translations, lifted, FPS)[2]} == {
        ("zeroed", 30, None), ("jumped", 50, "hips"),
    }  # fmt: skip


def test_frozen_frames_of_a_moving_body() -> None:
    rotations, translations = swing(80, 1.0)
    good = rotations.copy(), translations.copy()
    rotations[41:45], translations[41:45] = rotations[40], translations[40]
    turned, moved, faults = mended(rotations, translations)
    assert angle(turned, good[0]).max() < 0.01
    np.testing.assert_allclose(moved, good[1], atol=1e-3)
    assert faults.history(80) == ["4 frames filled at 0.34 s: all frozen"]
    rotations[41:60], translations[41:60] = rotations[40], translations[40]
    with pytest.raises(MotionError, match="all frozen in frames 41 to 59"):
        mended(rotations, translations)[2].check()


def test_a_pause_is_no_gap() -> None:
    ease = np.concatenate([np.linspace(0, 1, 30) ** 2 / 2, np.full(40, 0.5), 0.5 + np.linspace(0, 1, 30)[1:] ** 2 / 2])
    rotations = quat_from_rotvec(np.stack([0 * ease, ease, 0 * ease], axis=1)[:, None])
    translations = np.zeros((99, 1, 3))
    alone = Skeleton(("hips",), np.array([-1]), np.zeros((1, 3)))
    for turned, moved in ((rotations[15:], translations[15:]), (rotations[:1].repeat(30, 0), translations[:30])):
        assert repair(turned, moved, alone, FPS)[2] == []


@pytest.mark.parametrize("fps", [24.0, 30.0, 60.0, 120.0, 240.0])
def test_a_good_walk_is_left_alone(tmp_path: Path, fps: float) -> None:
    motion = walker_motion(tmp_path, seconds=3.0, fps=fps)
    rotations, translations, found = repair(motion.rotations, motion.translations, motion.skeleton, motion.fps)
    assert found == []
    assert rotations is motion.rotations
    assert translations is motion.translations


def test_a_sprint_and_a_spin_are_left_alone() -> None:
    rotations, translations = swing(60, 3.0, amplitude=1.2, fps=30.0)  # up to 22 rad/s
    translations[:, 0, 0] = 10.0 * np.arange(60) / 30.0  # m/s
    assert repair(rotations, translations, LEG, 30.0)[2] == []


@settings(max_examples=30)
@given(start=st.integers(1, 100), count=st.integers(1, 12), joint=st.integers(0, 2), seed=st.integers(0, 9))
def test_any_short_gap_of_a_swing_is_nearly_restored(start: int, count: int, joint: int, seed: int) -> None:
    rotations, translations = swing(120, 1.0 + 0.1 * seed)
    good = rotations.copy(), translations.copy()
    rotations[start : start + count, joint] = np.nan
    turned, moved, faults = mended(rotations, translations)
    faults.check()
    # A straight line over h s is off by at most h² / 8 of the greatest acceleration, or by the way, if held.
    most = 0.5 * (2 * np.pi * 1.9) ** 2 * (13 / FPS) ** 2 / 8
    held = 0.5 * 2 * np.pi * 1.9 * 13 / FPS if start + count >= 120 else 0.0
    assert angle(turned, good[0]).max() <= most + held
    np.testing.assert_array_equal(moved[:, 1:], good[1][:, 1:])


def test_windows_find_what_the_whole_finds() -> None:
    """A window that begins `repair_margin` frames before tells good from bad as the whole capture does."""
    rng = np.random.default_rng(3)
    rotations, translations = swing(600, 1.0)
    for at in rng.integers(5, 590, 40):
        kind = rng.integers(4)
        if kind == 0:
            rotations[at : at + rng.integers(1, 5), 1] = np.nan
        elif kind == 1:
            rotations[at, 1] = quat_mul(rotations[at, 1], np.array([0.0, 1, 0, 0]))
        elif kind == 2:
            translations[at, 0] += 0.6
        else:
            rotations[at], translations[at] = rotations[at - 1], translations[at - 1]
    margin = repair_margin(0.1, FPS)
    whole = repair(rotations, translations, LEG, FPS)
    assert len(whole[2]) > 20
    for start in range(0, 600, 50):
        first, stop = max(start - margin, 0), min(start + 50 + margin, 600)
        part = repair(rotations[first:stop], translations[first:stop], LEG, FPS, ends=(first == 0, stop == 600))
        for got, expected in zip(part[:2], whole[:2], strict=True):
            np.testing.assert_array_equal(got[start - first : start - first + 50], expected[start : start + 50])


def test_the_list_joins_what_windows_cut() -> None:
    faults = Faults("capture", FPS)
    faults.add([Fault("missing", 5, 10, "knee", False)], 0, 0, 8)
    faults.add([Fault("missing", 1, 10, "knee", False)], 4, 8, 20)
    assert [(fault.start, fault.stop) for fault in faults.all] == [(5, 14)]
    faults.add([Fault("flipped", i, i + 1, "knee", True) for i in range(30, 50, 2)], 0, 20, 100)
    assert faults.history(100)[-1] == "4 more places filled: flipped"


# -- strikes ----------------------------------------------------------------------------------------------


def stamp(sharpness: float) -> tuple[np.ndarray, np.ndarray]:
    """A foot that falls at 1 m/s and at 1 s is stopped, in about `sharpness` seconds."""
    time = np.arange(360) / FPS
    rotations = np.zeros((360, 3, 4))
    rotations[..., 0] = 1.0
    translations = np.tile(LEG.offsets, (360, 1, 1))
    translations[:, 2, 2] += sharpness * np.logaddexp(0, (1.0 - time) / sharpness)
    return rotations, translations


def test_a_quick_strike_is_blunted_and_said_so() -> None:
    notes = {}
    for name, sharpness in (("hard", 0.004), ("soft", 0.2)):
        raw = stamp(sharpness)
        strikes = Strikes({"left": 2})
        strikes.add(LEG, FPS, raw, butterworth(*raw, 6.0, FPS), 0, 0, 360)
        notes[name] = strikes.notes("low-pass 6 Hz")
        if name == "hard":
            ((time, side, before, after, fast, slower),) = strikes.found
            assert time == pytest.approx(1.0, abs=0.02)
            assert side == "left"
            assert before > 40  # m/s²
            # Of a blow of 1 m/s the filter leaves twice the integral of its gain 1 / (1 + (f/6)⁸) over f:
            # 2 · 6 · (π/8) / sin(π/8) = 12.3 m/s².
            assert after == pytest.approx(12.3, rel=0.05)
            assert fast == pytest.approx(1.0, abs=0.01)
            assert slower <= 1.1
    assert notes["soft"] == []
    assert "low-pass 6 Hz blunts foot strikes: over 1 of them" in notes["hard"][0]
    assert "most at 1.00 s (left, " in notes["hard"][0]


@pytest.mark.parametrize("late", [-6, -3, 3, 6])  # frames; 0.05 s at most
def test_a_peak_that_a_filter_moves_is_found(late: int) -> None:
    raw = stamp(0.004)
    strikes = Strikes({"left": 2})
    strikes.add(LEG, FPS, raw, (raw[0], np.roll(raw[1], late, axis=0)), 0, 0, 360)
    ((_, _, before, after, _, _),) = strikes.found
    assert after == pytest.approx(before)


def test_a_filter_that_takes_nothing_is_not_blamed() -> None:
    raw = stamp(0.004)
    strikes = Strikes({"left": 2})
    strikes.add(LEG, FPS, raw, raw, 0, 0, 360)
    assert len(strikes.found) == 1
    assert strikes.notes("nothing") == []
    assert Strikes({}).notes("nothing") == []
