"""Captures that no walk over the ground makes are told apart from those that one does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import SPEED, walker_bvh

from gait_envs.mocap.capture import SkeletonMotion
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.retarget.landmarks import extract_landmarks
from gait_envs.mocap.retarget.pipeline import retarget
from gait_envs.mocap.retarget.plausibility import doubts, floats, treadmill
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.mocap.retarget.targets import STRIDE


def walk(folder: Path, share: float = 1.0, backwards: bool = False) -> SkeletonMotion:
    """The drawn walker, with this share of its root's way; or played backwards in time."""
    motion = read_capture(walker_bvh(folder / "walk.bvh", rest_frame=False))
    translations = motion.translations.copy()
    translations[:, 0, 2] *= share
    rotations = motion.rotations
    return replace(motion, translations=translations[::-1], rotations=rotations[::-1]) if backwards else replace(
        motion, translations=translations)  # fmt: skip


@pytest.mark.parametrize("share", [0.0, 0.15])
def test_a_walk_whose_root_stays_is_unfit(tmp_path: Path, share: float) -> None:
    result = retarget(walk(tmp_path, share), load_body("wildrobot"), source="drawn", license="MIT")
    told = [fault for fault in result.faults if "as on a treadmill" in fault]
    assert len(told) == 1
    slide = float(told[0].removeprefix("the feet slide back at ").split()[0])
    assert slide == pytest.approx((1 - share) * SPEED, abs=0.02)
    assert result.clip.meta["faults"] == result.faults


@pytest.mark.parametrize("backwards", [False, True])
def test_a_walk_over_the_ground_is_not_doubted(tmp_path: Path, backwards: bool) -> None:
    assert treadmill(extract_landmarks(walk(tmp_path, backwards=backwards)), STRIDE) is None


def test_standing_is_not_doubted(tmp_path: Path) -> None:
    motion = walk(tmp_path)
    still = replace(motion, rotations=motion.rotations[[9] * 60], translations=motion.translations[[9] * 60])
    assert treadmill(extract_landmarks(still), STRIDE) is None


def test_a_clip_of_a_few_frames_is_noted(tmp_path: Path) -> None:
    body = load_body("wildrobot")
    brief = retarget(walk(tmp_path), body, end=0.1, source="drawn", license="MIT").clip
    assert [note for note in brief.meta["notes"] if note.startswith("the clip lasts 0.1")]
    assert np.isfinite(brief.qpos).all()
    whole = retarget(walk(tmp_path), body, end=1.0, source="drawn", license="MIT").clip
    assert not [note for note in whole.meta["notes"] if "the clip lasts" in note]


def test_who_lies_sits_or_crawls_is_not_on_its_feet(tmp_path: Path) -> None:
    landmarks = extract_landmarks(walk(tmp_path))
    assert doubts(landmarks, STRIDE) == []
    lying = landmarks.map(lambda place: place[:, [2, 1, 0]])  # what was up is ahead
    (doubt,) = doubts(lying, STRIDE)
    assert doubt.startswith("the hips are ")
    assert "give --up" in doubt
    hips = {f"{side}_hip": landmarks.points[f"{side}_hip"] - [0.0, 0.0, 0.55] for side in ("left", "right")}
    assert len(doubts(replace(landmarks, points=landmarks.points | hips), STRIDE)) == 1


def test_a_body_in_the_air_must_fall(tmp_path: Path) -> None:
    landmarks = extract_landmarks(walk(tmp_path))
    time = np.arange(landmarks.frames) / landmarks.fps
    hopping = 2.0 * (time % 0.5) - 4.905 * (time % 0.5) ** 2  # m above the ground for 0.41 of 0.5 s, at g = 9.81
    hops = landmarks.map(lambda place: place + np.outer(np.maximum(hopping, 0.0), [0.0, 0.0, 1.0]))
    stands = time % 0.5 > 0.4
    assert floats(hops, stands) is None
    told = floats(landmarks, stands)
    assert told is not None
    assert told.startswith(f"no foot stands in {100 * (~stands).mean():.0f} % of the frames, though")
    # In a slower time, as a tall capture has on a small robot, a fall is as slow.
    assert floats(replace(hops, fps=landmarks.fps / 2, time_scale=2.0), stands) is None
    assert floats(landmarks, np.ones(landmarks.frames, dtype=bool)) is None
