"""Rest poses of any length in front of a capture, and faults that the cut leaves out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.errors import MotionError
from gait_envs.mocap.cleaning.convert import Cleaning, convert
from gait_envs.mocap.formats import open_capture, read_capture
from gait_envs.mocap.formats.bvh_writer import as_capture, write_bvh
from gait_envs.mocap.jobs import Job
from gait_envs.mocap.retarget.folder import Recipe, retarget_file
from gait_envs.mocap.retarget.landmarks import extract_landmarks
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.rotations import quat_mul, yaw_quat


@pytest.fixture(scope="module")
def body() -> Body:
    return load_body("wildrobot")


def write(folder: Path, rest: int = 0, frozen: slice | None = None) -> Path:
    """The drawn walker, 4 s at 60 Hz, after `rest` frames of its rest pose; in some frames the recording hangs."""
    path = walker_bvh(folder / "walk.bvh", rest_frame=True)
    head, _, rows = path.read_text().partition("Frame Time:")
    time, *lines = rows.splitlines()
    pose, walk = lines[0], lines[1:]
    if frozen is not None:
        walk[frozen] = [walk[frozen.start]] * len(walk[frozen])
    lines = [*[pose] * rest, *walk]
    count = head.split("Frames: ")[1].split()[0]
    head = head.replace(f"Frames: {count}", f"Frames: {len(lines)}")
    path.write_text(f"{head}Frame Time:{time}\n" + "\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("rest", [1, 2, 5, 40, 300])
def test_a_rest_pose_of_any_length_is_dropped(tmp_path: Path, rest: int) -> None:
    walk = read_capture(write(tmp_path))
    capture = open_capture(write(tmp_path, rest))
    out = convert(capture, Cleaning())
    assert out.frames == walk.frames
    assert out.recorded is not None
    assert out.recorded.rest_frames == rest
    assert out.history[0].startswith(f"{rest} leading frame")
    note = f"the first {rest} frames hold one pose and then leap: a rest pose, left out"
    assert (note in out.notes) == (rest > 3)
    np.testing.assert_allclose(np.abs(out.read().rotations[0]), np.abs(convert(open_capture(
        write(tmp_path)), Cleaning()).read().rotations[0]), atol=1e-12)  # fmt: skip


def test_who_stands_still_and_sets_out_is_not_in_a_rest_pose(tmp_path: Path) -> None:
    path = write(tmp_path, frozen=slice(0, 30))
    motion = read_capture(path)
    # The walker hangs for half a second, and goes on from there without a leap.
    later = motion.rotations[30:], motion.translations[30:] + motion.translations[0] - motion.translations[29]
    assert later[0].shape[0] == motion.frames - 30
    still = read_capture(write(tmp_path))
    assert extract_landmarks(still).dropped == 0
    assert extract_landmarks(motion).dropped in (0, 30)


def test_faults_outside_the_cut_do_not_count(tmp_path: Path, body: Body) -> None:
    path = write(tmp_path, frozen=slice(60, 80))
    job = Job(path, "walk", "walk.bvh")
    with pytest.raises(MotionError, match=r"all frozen in frames 61 to 79; .* with --start and --end"):
        retarget_file(job, Recipe(), body)
    with pytest.raises(MotionError, match="all frozen"):
        retarget_file(job, Recipe(start=1.2), body)
    clip = retarget_file(job, Recipe(start=2.0, end=3.5), body).clip
    assert clip.duration == pytest.approx(1.5, abs=0.03)
    assert clip.meta["cut_s"] == [2.0, 3.5]
    before = retarget_file(job, Recipe(end=0.9), body).clip
    assert before.duration == pytest.approx(0.9, abs=0.03)


def test_a_cut_of_a_whole_capture_is_as_before(tmp_path: Path, body: Body) -> None:
    """The whole capture still says how long the legs are: the clip is that of the uncut landmarks."""
    job = Job(write(tmp_path, rest=5), "walk", "walk.bvh")
    whole, part = retarget_file(job, Recipe(), body), retarget_file(job, Recipe(start=1.0, end=2.0), body)
    assert part.clip.meta["captured_leg_m"] == whole.clip.meta["captured_leg_m"]
    assert part.clip.meta["cut_s"] == [1.0, 2.0]


@pytest.mark.parametrize("how", [{}, {"speed": 0.5}, {"time": "froude"}])
@pytest.mark.parametrize("end", [1.001, 1.02])
def test_an_excerpt_of_hardly_a_frame_is_refused(tmp_path: Path, body: Body, end: float, how: dict) -> None:
    job = Job(write(tmp_path), "walk", "walk.bvh")
    with pytest.raises(MotionError, match=f"cannot cut from 1 s to {end:g} s: it holds fewer than three frames"):
        retarget_file(job, Recipe(start=1.0, end=end, **how), body)


def test_who_turns_about_outside_of_the_cut_is_on_a_treadmill(tmp_path: Path, body: Body) -> None:
    """The walker steps on the spot for two seconds, then turns about."""
    motion = read_capture(walker_bvh(tmp_path / "walk.bvh", rest_frame=False, up="z"))
    yaw = np.r_[np.zeros(120), np.linspace(0.0, 6.0, motion.frames - 120)]
    rotations, translations = motion.rotations.copy(), motion.translations.copy()
    rotations[:, 0] = quat_mul(yaw_quat(yaw), rotations[:, 0])
    translations[:, 0, :2] = translations[0, 0, :2]
    path = write_bvh(tmp_path / "belt.bvh", as_capture(replace(motion, rotations=rotations, translations=translations)))
    job = Job(path, "belt", "belt.bvh")
    belt = Cleaning(treadmill=(0.7, 0.0), up="+z")
    for start, end in ((0.0, None), (0.0, 4.0)):
        with pytest.raises(MotionError, match=r"turns about .* --start and --end"):
            retarget_file(job, Recipe(belt, start=start, end=end), body)
    clip = retarget_file(job, Recipe(belt, start=0.2, end=1.8), body).clip
    assert clip.mean_speed == pytest.approx(0.7 * clip.meta["scale"], rel=0.05)
