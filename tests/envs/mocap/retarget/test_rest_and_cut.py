"""Rest poses of any length in front of a capture, and faults that the cut leaves out."""

from __future__ import annotations

import re
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
from gait_envs.mocap.quality import Load, flawed_ends
from gait_envs.mocap.retarget import pipeline
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


# -- ends that no ground could carry -------------------------------------------------------------------


def settling(frames: int, where: int) -> np.ndarray:
    """(T,) 0 to 1: an offset that a recording loses, or takes up, in a tenth of a second at 60 Hz."""
    way = np.zeros(frames)
    way[:6] = (1 - np.arange(6) / 6) ** 2
    return way if where == 0 else way[::-1]


@pytest.mark.parametrize("where", [0, 1])
def test_an_end_that_leaps_is_left_out(tmp_path: Path, body: Body, where: int) -> None:
    path = write(tmp_path)
    motion, job = read_capture(path), Job(path, "walk", "walk.bvh")
    whole = retarget_file(job, Recipe(), body).clip
    assert whole.meta["cut_s"] == [0.0, None]
    assert "left out" not in " ".join(whole.meta["notes"])
    motion.translations[:, 0, 0] += 0.1 * settling(motion.frames, where) * np.ptp(motion.translations[:, 0, 2])
    write_bvh(path, as_capture(motion))
    found = retarget_file(job, Recipe(), body)
    assert found.faults == []
    lost = whole.duration - found.clip.duration
    assert 0.05 < lost < 0.3
    words = rf"left out the {('first', 'last')[where]} (0\.\d\d) s, which the ground could carry far less than the rest"
    (told,) = re.findall(words, "\n".join(found.clip.meta["notes"]))
    assert float(told) == pytest.approx(lost, abs=0.025)  # whole frames of capture and robot
    first, last = found.clip.meta["cut_s"]
    if where == 0:
        assert (first, last) == (pytest.approx(lost, abs=0.025), None)
    else:
        assert (first, last) == (0.0, pytest.approx(whole.duration - lost, abs=0.025))
    # What an earlier cut leaves out counts from the capture's own beginning.
    late = retarget_file(job, Recipe(start=1.0), body).clip
    assert late.meta["cut_s"][0] == 1.0


def test_ends_are_left_out_twice_at_most_in_the_captures_own_time(
    tmp_path: Path, body: Body, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 50 Hz and 1.25 times the captured duration, three frames are 0.048 s of the capture, three of its own at
    60 Hz; two are 0.032 s, again two, and one is one. Four seconds lose 5/60 s at the start and 1/60 s at the end."""
    asked: list[int] = []
    ends = iter([(3, 0), (2, 1)])

    def told(load: Load, body: Body) -> tuple[int, int]:
        asked.append(len(load.missing_moment))
        return next(ends)

    monkeypatch.setattr(pipeline, "flawed_ends", told)
    clip = retarget_file(Job(write(tmp_path), "walk", "walk.bvh"), Recipe(time=1.25), body).clip
    first, last = clip.meta["cut_s"]
    whole = asked[0] - 1  # robot frames from the first to the last
    assert first == pytest.approx(5 / 60)
    assert last == pytest.approx(whole / 62.5 - 1 / 60, abs=1 / 60)
    assert len(asked) == 2
    assert asked[1] == asked[0] - 3
    assert "left out the first 0.08 s and the last 0.02 s, which" in " ".join(clip.meta["notes"])


def test_flawed_ends_are_worse_than_all_between(body: Body) -> None:
    """At 50 Hz a quarter of a second are 12 frames; a flaw is beyond 0.4 leg lengths, and 1.5 times all between."""
    unit = body.leg_length * body.weight

    def ends(moment: np.ndarray, force: np.ndarray | None = None) -> tuple[int, int]:
        none = np.zeros(len(moment))
        load = Load(np.zeros((len(moment), 4)), np.zeros((len(moment), 9)), none if force is None else force, moment)
        return flawed_ends(load, body)

    moment = np.full(100, 0.1 * unit)
    assert ends(moment) == (0, 0)
    moment[3], moment[98] = 0.41 * unit, 0.41 * unit
    assert ends(moment) == (4, 2)
    moment[12] = 9.0 * unit  # the first that belongs to the rest: all of it is bad
    assert ends(moment) == (0, 0)
    moment[12], moment[50] = 0.1 * unit, 0.28 * unit
    assert ends(moment) == (0, 0)  # 0.41 is less than 1.5 times 0.28
    moment[50] = 0.27 * unit
    assert ends(moment) == (4, 2)
    assert ends(moment[:47]) == (0, 0)  # too short to tell
    force = np.zeros(100)
    force[1] = 0.51 * body.weight
    assert ends(np.zeros(100), force) == (2, 0)
    force[1] = 0.49 * body.weight
    assert ends(np.zeros(100), force) == (0, 0)
