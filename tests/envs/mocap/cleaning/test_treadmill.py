"""The way that a walk on a treadmill lacks is given back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import SPEED, walker_bvh

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import SkeletonMotion, forward_kinematics
from gait_envs.mocap.cleaning.convert import Cleaning, convert
from gait_envs.mocap.commands.capture_options import read_speed
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.formats.bvh_writer import as_capture
from gait_envs.mocap.retarget.landmarks import extract_landmarks, heading
from gait_envs.mocap.retarget.plausibility import treadmill
from gait_envs.rotations import quat_mul, yaw_quat

STRIDE = 1.2


@pytest.fixture(scope="module", params=["y", "z"])
def walk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SkeletonMotion:
    folder = tmp_path_factory.mktemp("walk")
    return read_capture(walker_bvh(folder / "walk.bvh", up=request.param, yaw=40.0, rest_frame=False))


def in_place(walk: SkeletonMotion, yaw: float = 40.0) -> SkeletonMotion:
    """The walker without its way, which leads where it faces."""
    way = SPEED * np.arange(walk.frames) / walk.fps / 0.01
    translations = walk.translations.copy()
    ahead = np.sin(np.radians(yaw)), np.cos(np.radians(yaw))
    up = np.argmax(np.abs(walk.translations[0, 0]))  # the hips' height
    translations[:, 0, 0] -= way * ahead[0]
    translations[:, 0, 2 if up == 1 else 1] -= (1 if up == 1 else -1) * way * ahead[1]
    return replace(walk, translations=translations)


def test_the_way_is_given_back(walk: SkeletonMotion) -> None:
    there = convert(as_capture(walk), Cleaning()).read()
    told = treadmill(extract_landmarks(in_place(walk)), STRIDE)
    assert told is not None
    speed = read_speed(told.rpartition("=")[2])
    assert speed == pytest.approx((SPEED, 0.0), abs=0.02)
    back = convert(as_capture(in_place(walk)), Cleaning(treadmill=(SPEED, 0.0)))
    assert "moved on at 0.7 m/s ahead and 0 m/s to the left, the treadmill's speed" in back.history
    np.testing.assert_allclose(back.read().translations, there.translations, atol=2e-3 * SPEED * 4)
    assert treadmill(extract_landmarks(back.read()), STRIDE) is None


def test_sideways_and_backwards(walk: SkeletonMotion) -> None:
    for ahead, left in ((-0.5, 0.0), (0.0, 0.4)):
        plain, moved = (convert(as_capture(walk), Cleaning(treadmill=speed)).read() for speed in (None, (ahead, left)))
        way = (moved.translations - plain.translations)[-1, 0]
        facing = extract_landmarks(plain).across("hip").mean(axis=0)
        facing = np.array([facing[1], -facing[0], 0.0]) / np.linalg.norm(facing)
        seconds = (walk.frames - 1) / walk.fps
        np.testing.assert_allclose(way @ facing, ahead * seconds, atol=0.02)
        np.testing.assert_allclose(way @ np.array([-facing[1], facing[0], 0.0]), left * seconds, atol=0.02)


def test_any_course_in_place_is_seen(walk: SkeletonMotion) -> None:
    landmarks = extract_landmarks(convert(as_capture(in_place(walk)), Cleaning()).read())
    reverse = landmarks.map(lambda place: place[::-1])
    yaw = float(heading(landmarks, STRIDE).mean())
    along = 0.09 * np.array([[np.cos(yaw), np.sin(yaw), 0.0]])  # of a pelvis that faces to the right of its legs
    hips = {"left_hip": landmarks.mid("hip") + along, "right_hip": landmarks.mid("hip") - along}
    aside = replace(landmarks, points=landmarks.points | hips)
    for motion, way, speed in ((reverse, "ahead", (-SPEED, 0.0)), (aside, "sideways", (0.0, SPEED))):
        told = treadmill(motion, STRIDE)
        assert told is not None
        assert f"the feet slide {way} at 0.7" in told
        assert read_speed(told.rpartition("=")[2]) == pytest.approx(speed, abs=0.03)


def test_who_turns_about_is_on_no_treadmill(tmp_path: Path) -> None:
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh", seconds=2.0, rest_frame=False))
    capture = convert(as_capture(motion), Cleaning()).read()
    rotations = capture.rotations.copy()
    rotations[:, 0] = quat_mul(yaw_quat(np.linspace(0.0, 5.0, capture.frames)), rotations[:, 0])
    with pytest.raises(MotionError, match="it turns about"):
        convert(as_capture(replace(capture, rotations=rotations)), Cleaning(treadmill=(0.7, 0.0)))
    assert forward_kinematics(capture)[0].shape == (capture.frames, len(capture.skeleton.names), 3)


def test_speeds_on_the_command_line() -> None:
    assert read_speed(None) is None
    assert read_speed("-0.8") == (-0.8, 0.0)
    assert read_speed("0,0.4") == (0.0, 0.4)
    for wrong in ("fast", "1,2,3", "", "1,"):
        with pytest.raises(MotionError, match=r"--treadmill-speed .*: expected m/s ahead"):
            read_speed(wrong)
    for wild in ("nan", "inf", "0,-40"):
        with pytest.raises(MotionError, match=r"treadmill speed .* expected numbers of at most 12"):
            Cleaning(treadmill=read_speed(wild))
