"""Which axis is up: rest pose, format and motion together, for bodies that walk, stand, lie and crawl."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from helpers.formats import position_arrays, save, smpl_arrays
from helpers.walker import walker_bvh

from gait_envs.mocap.capture import SkeletonMotion, forward_kinematics
from gait_envs.mocap.cleaning.convert import Cleaning, convert, look
from gait_envs.mocap.formats import open_capture, read_capture
from gait_envs.mocap.formats.bvh_writer import as_capture
from gait_envs.mocap.retarget.landmarks import extract_landmarks
from gait_envs.rotations import quat_from_rotvec, quat_mul, quat_rotate

# The walker has x left, y up and z ahead; these turns lay it down, and where its head then is.
LYING = {
    "on the back": ([-90.0, 0.0, 0.0], "-z"),
    "prone": ([90.0, 0.0, 0.0], "+z"),
    "on the left side": ([0.0, 0.0, -90.0], "+x"),
    "on the right side": ([0.0, 0.0, 90.0], "-x"),
}


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> SkeletonMotion:
    return read_capture(walker_bvh(tmp_path_factory.mktemp("walk") / "walk.bvh", seconds=2.0, rest_frame=False))


def turned(motion: SkeletonMotion, degrees: list[float], shift: Sequence[float] = (0, 0, 0)) -> SkeletonMotion:
    """The motion turned about the origin and moved (file units); its rest pose stays."""
    turn = quat_from_rotvec(np.radians(degrees))
    rotations, translations = motion.rotations.copy(), motion.translations.copy()
    rotations[:, 0] = quat_mul(turn, rotations[:, 0])
    translations[:, 0] = quat_rotate(turn, translations[:, 0]) + shift
    return replace(motion, rotations=rotations, translations=translations)


def still(motion: SkeletonMotion, frames: int = 20) -> SkeletonMotion:
    """One pose, kept but for tenths of a millimetre."""
    noise = 0.01 * np.random.default_rng(0).normal(size=(frames, 3))
    translations = motion.translations[[9] * frames]
    translations[:, 0] += noise
    return replace(motion, rotations=motion.rotations[[9] * frames], translations=translations)


def lying(motion: SkeletonMotion, how: str) -> SkeletonMotion:
    """A pose kept lying on the floor of a file with y up, somewhere."""
    down = turned(still(motion), LYING[how][0])
    lowest = forward_kinematics(down)[0][..., 1].min()
    return turned(down, [0.0, 0.0, 0.0], (90.0, 3.0 - lowest, 80.0))


@pytest.mark.parametrize("how", LYING)
def test_who_lies_is_not_stood_up(walk: SkeletonMotion, how: str) -> None:
    head = LYING[how][1]
    found = extract_landmarks(lying(walk, how))
    assert found.up == "+y"
    (note,) = found.notes
    assert f"the rest pose says that +y is up, but the body stretches along {head}" in note
    assert f"--up={head}" in note
    assert np.ptp([place[0, 2] for place in found.points.values()]) < 0.7  # m


@pytest.mark.parametrize("how", LYING)
def test_what_is_given_wins(walk: SkeletonMotion, how: str) -> None:
    head = LYING[how][1]
    found = extract_landmarks(lying(walk, how), up=head)
    assert (found.up, found.notes) == (head, ())


@pytest.mark.parametrize("motion", ["walks", "stands", "in place"])
@pytest.mark.parametrize("up", ["+z", "+x", "-z"])
def test_who_stands_on_another_axis_than_the_rest_pose_is_seen(walk: SkeletonMotion, motion: str, up: str) -> None:
    degrees = {"+z": [90.0, 0.0, 0.0], "-z": [-90.0, 0.0, 0.0], "+x": [0.0, 0.0, -90.0]}[up]
    translations = walk.translations.copy()
    if motion == "in place":
        translations[:, 0, 2] = 0.0
    found = extract_landmarks(turned(still(walk) if motion == "stands" else replace(walk, translations=translations),
                                     degrees))  # fmt: skip
    assert found.up == up
    (note,) = found.notes
    assert note.endswith(f"taken as {up} up; if that is wrong, give --up=+y")


def test_a_walk_as_its_rest_pose_stands_raises_no_doubt(walk: SkeletonMotion) -> None:
    for motion in (walk, still(walk), turned(walk, [0.0, 70.0, 0.0], (300.0, 500.0, 20.0))):
        assert (extract_landmarks(motion).up, extract_landmarks(motion).notes) == ("+y", ())


def test_who_crawls_keeps_the_axis_of_the_rest_pose(walk: SkeletonMotion) -> None:
    rotations = walk.rotations.copy()
    rotations[:] = [1.0, 0.0, 0.0, 0.0]
    about_x = {"Hips": 90.0, "LeftUpLeg": -90.0, "RightUpLeg": -90.0, "LeftLeg": 90.0, "RightLeg": 90.0}
    for name, degrees in about_x.items():
        rotations[:, walk.skeleton.index(name)] = quat_from_rotvec(np.radians([degrees, 0.0, 0.0]))
    translations = walk.translations.copy()
    translations[:, 0, 1] = 50.0
    found = extract_landmarks(replace(walk, rotations=rotations, translations=translations))
    assert (found.up, found.notes) == ("+y", ())


def test_smpl_with_y_up_is_read_by_its_motion(tmp_path: Path) -> None:
    arrays = smpl_arrays(seconds=2.0)
    poses, trans = arrays["poses"].copy(), arrays["trans"]
    poses[:, :3] = 0.0  # the body's own axes: y up, z ahead
    y_up = save(tmp_path / "y.npz", arrays | {"poses": poses, "trans": trans[:, [1, 2, 0]]})
    seen = look(open_capture(y_up), Cleaning())
    assert seen.up == "+y"
    assert "the format says that +z is up, but the body stretches along +y and stands on that" in seen.notes[0]
    usual = look(open_capture(save(tmp_path / "z.npz", arrays)), Cleaning())
    assert (usual.up, usual.notes) == ("+z", ())
    assert look(open_capture(y_up), Cleaning(up="z")).notes == ()
    # Both give one motion: heights of the hips above the ankles.
    both = [extract_landmarks(read_capture(file)) for file in (y_up, tmp_path / "z.npz")]
    rises = [(found.mid("hip") - found.mid("ankle"))[:, 2] for found in both]
    np.testing.assert_allclose(*rises, atol=1e-9)


def test_smpl_of_who_lies_keeps_its_format(tmp_path: Path) -> None:
    arrays = smpl_arrays(seconds=0.5)
    poses = np.zeros_like(arrays["poses"])  # head along y, face along z: on the back where z is up
    lies = save(tmp_path / "lies.npz", arrays | {"poses": poses, "trans": np.tile([0.3, 2.0, 0.12], (len(poses), 1))})
    seen = look(open_capture(lies), Cleaning())
    assert seen.up == "+z"
    assert "taken as +z up, a body that lies; if it stands, give --up=+y" in seen.notes[0]


def test_places_without_a_rest_pose_are_doubted_only_where_nothing_walks(tmp_path: Path) -> None:
    arrays = position_arrays(tmp_path, 2.0)
    assert look(open_capture(save(tmp_path / "walks.npz", arrays)), Cleaning()).notes == ()
    first = arrays["positions"][:1] + np.array([0.0, 900.0, 0.0])
    stays = arrays | {"positions": np.repeat(first, 30, axis=0)}
    (note,) = look(open_capture(save(tmp_path / "stays.npz", stays)), Cleaning()).notes
    assert note.startswith("neither the format nor a rest pose tells which axis is up")
    assert "--up" in note


def test_a_converted_capture_is_not_asked_again(walk: SkeletonMotion) -> None:
    out = convert(as_capture(lying(walk, "prone")), Cleaning())
    assert (out.up, len(out.notes)) == ("+z", 1)
    again = convert(out, Cleaning())
    assert again.notes == out.notes
    assert extract_landmarks(again.read()).notes == out.notes
