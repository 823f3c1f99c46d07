"""Captures whose poses are held for several frames are seen, and read at their true rate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.mocap.capture import Capture, SkeletonMotion
from gait_envs.mocap.cleaning.repeats import without_repeats
from gait_envs.mocap.formats import read_capture
from gait_envs.mocap.formats.bvh_writer import as_capture
from gait_envs.mocap.importing import ImportSettings, import_file
from gait_envs.mocap.jobs import Job


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> SkeletonMotion:
    return read_capture(walker_bvh(tmp_path_factory.mktemp("walk") / "walk.bvh", 2.0, 30.0, rest_frame=False))


def at(motion: SkeletonMotion, frames: np.ndarray, fps: float) -> Capture:
    """These frames of it, one after the other, called `fps` a second."""
    return as_capture(
        replace(motion, rotations=motion.rotations[frames], translations=motion.translations[frames], fps=fps)
    )


def exported(motion: SkeletonMotion, fps: float) -> Capture:
    """As a tool exports it at `fps` that shows the latest pose."""
    count = int((motion.frames - 1) * fps / motion.fps) + 1
    return at(motion, np.floor(np.arange(count) * motion.fps / fps + 1e-9).astype(int), fps)


@pytest.mark.parametrize("fps", [60.0, 90.0, 120.0, 37.5, 48.0])
def test_each_pose_is_kept_once_at_the_true_rate(walk: SkeletonMotion, fps: float) -> None:
    capture = exported(walk, fps)
    out = without_repeats(capture, drop=True)
    assert out.fps == 30.0
    assert walk.frames - 1 <= out.frames <= walk.frames
    np.testing.assert_array_equal(out.read().rotations, walk.rotations[: out.frames])
    np.testing.assert_array_equal(np.concatenate([t for _, t in out.blocks(7)]), walk.translations[: out.frames])
    (note,) = out.notes
    assert note.startswith("poses are repeated: 30")
    assert "--no-repair" in note
    assert out.history == (f"{capture.frames - out.frames} repeated frames dropped: 30 Hz",)


@pytest.mark.parametrize("rate", [5.0, 6.0, 8.0, 12.5, 24.0, 25.0, 48.0, 90.0])
def test_a_usual_rate_is_found_through_an_uneven_pattern(walk: SkeletonMotion, rate: float) -> None:
    out = without_repeats(exported(replace(walk, fps=rate), 1.37 * rate), drop=True)
    assert out.fps == rate


def test_rounding_and_a_rest_pose_in_front_do_not_hide_it(walk: SkeletonMotion) -> None:
    frames = np.r_[20, np.repeat(np.arange(10, 40), 2)]
    noise = 1e-7 * np.random.default_rng(0).normal(size=(len(frames), *walk.translations.shape[1:]))
    motion = at(walk, frames, 60.0).read()
    out = without_repeats(as_capture(replace(motion, translations=motion.translations + noise)), drop=True)
    assert (out.frames, out.fps) == (31, pytest.approx(30.0))


def test_without_repair_all_frames_stay_and_the_note_says_what_drops_them(walk: SkeletonMotion) -> None:
    capture = exported(walk, 60.0)
    out = without_repeats(capture, drop=False)
    assert (out.frames, out.fps, out.history) == (capture.frames, 60.0, ())
    assert out.notes == (
        "poses are repeated: 30 frames a second, stored as 60; all are kept (without --no-repair each pose once)",
    )


@pytest.mark.parametrize(
    "frames",
    [
        np.arange(60),
        np.r_[np.arange(20), [19] * 6, np.arange(20, 60)],  # hangs once
        np.r_[[0] * 30, np.arange(60)],  # waits, then sets out
        np.r_[np.arange(20), np.repeat(np.arange(20, 40), 2)],  # only later
        [0, 0, 1, 1, 2, 2],  # too few to tell
        [5] * 60,
    ],
)
def test_other_captures_are_left_alone(walk: SkeletonMotion, frames: list[int]) -> None:
    capture = at(walk, np.asarray(frames), 30.0)
    assert without_repeats(capture, drop=True) is capture


def test_what_repeats_only_in_the_first_block_is_left_alone(walk: SkeletonMotion) -> None:
    capture = at(walk, np.r_[np.repeat(np.arange(50), 90), np.arange(60)], 30.0)
    twice = at(walk, np.r_[np.tile(np.repeat(np.arange(50), 2), 42), np.arange(60)], 30.0)
    for long in (capture, twice):
        assert long.frames > 4096
        assert without_repeats(long, drop=True) is long


def test_import_tells_of_it(tmp_path: Path, walk: SkeletonMotion) -> None:
    path = walker_bvh(tmp_path / "walk.bvh", 2.0, 15.0, rest_frame=False)
    head, _, rows = path.read_text().partition("Frame Time: 0.0666667\n")
    lines = [row for row in rows.splitlines() for _ in range(2)]
    path.write_text(f"{head}Frame Time: 0.0333333\n".replace("Frames: 30", "Frames: 60") + "\n".join(lines) + "\n")
    result = import_file(Job(path, "walk", "walk.bvh"), ImportSettings(), tmp_path / "out.npz")
    assert result.capture is not None
    assert (result.capture.frames, result.capture.fps) == (30, pytest.approx(15.0))
    assert result.capture.history[:2] == ("imported from bvh: walk.bvh", "30 repeated frames dropped: 15 Hz")
