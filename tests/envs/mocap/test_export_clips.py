"""BVH written and read back, clips as BVH and back, and `gait-data export` as a user meets it."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
import pytest
from helpers.acclaim import AMC, ASF
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gait_envs.assets import asset_path
from gait_envs.mocap import cli
from gait_envs.mocap.axes import UNITS, in_axes
from gait_envs.mocap.capture import Capture, MotionError, Skeleton, SkeletonMotion, forward_kinematics
from gait_envs.mocap.export import clip_from_bvh, looped, motion_from_clip, resampled, robot_skeleton, seam
from gait_envs.mocap.formats import open_capture, read_capture
from gait_envs.mocap.formats.bvh_verify import verify_bvh
from gait_envs.mocap.formats.bvh_writer import as_capture, write_bvh
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.reference.clip import Clip, ClipError, check_fits, load_clip, save_clip, velocities
from gait_envs.reference.library import MotionLibrary
from gait_envs.reference.packing import pack
from gait_envs.reference.sources import open_clips
from gait_envs.reference.split import save_split
from gait_envs.rotations import normalize, yaw_quat

# Breadth first, so that a file, depth first, has another order; the last node is a tip, "c_end" turns.
NAMES, PARENTS = ("a", "b", "c", "d", "b_end", "c_end", "d_end"), (-1, 0, 0, 1, 1, 2, 3)


def random_motion(seed: int, frames: int = 4, moving: tuple[int, ...] = (0,)) -> SkeletonMotion:
    rng = np.random.default_rng(seed)
    offsets = rng.normal(size=(len(NAMES), 3))
    rotations = normalize(rng.normal(size=(frames, len(NAMES), 4)))
    rotations[:, [4, 6]] = [1, 0, 0, 0]
    translations = np.tile(offsets, (frames, 1, 1))
    translations[:, list(moving)] += rng.normal(size=(frames, len(moving), 3))
    return SkeletonMotion(Skeleton(NAMES, np.array(PARENTS), offsets), rotations, translations, 29.97, "random")


def assert_same(motion: SkeletonMotion, other: SkeletonMotion, tolerance: float = 1e-9) -> None:
    assert set(other.skeleton.names) == set(motion.skeleton.names)
    nodes = [other.skeleton.index(name) for name in motion.skeleton.names]
    flips = np.sign(np.sum(motion.rotations * other.rotations[:, nodes], axis=-1, keepdims=True))
    np.testing.assert_allclose(other.rotations[:, nodes] * flips, motion.rotations, rtol=0, atol=tolerance)
    np.testing.assert_allclose(other.translations[:, nodes], motion.translations, rtol=0, atol=tolerance)
    assert other.fps == pytest.approx(motion.fps, rel=1e-14)


# -- BVH --------------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 1000),
    order=st.permutations("xyz"),
    moving=st.sampled_from([(0,), (0, 1), (0, 2, 3), tuple(range(len(NAMES)))]),
    positions=st.sampled_from(["moving", "all"]),
)
def test_what_is_written_reads_back(tmp_path: Path, seed: int, order: list[str], moving, positions: str) -> None:
    motion = random_motion(seed, moving=moving)
    path = write_bvh(tmp_path / "m.bvh", motion, order="".join(order), positions=positions)
    assert_same(motion, read_capture(path))


def test_the_text(tmp_path: Path) -> None:
    motion = random_motion(0, frames=1)
    motion.skeleton.offsets[:] = np.arange(21).reshape(7, 3) / 4
    motion.translations[:] = motion.skeleton.offsets
    motion.rotations[:] = [1, 0, 0, 0]
    motion.rotations[:, 5] = [np.sqrt(0.5), np.sqrt(0.5), 0, 0]
    text = write_bvh(tmp_path / "m.bvh", replace(motion, fps=50.0), decimals=2).read_text()
    blocks = text.replace("\t", "").split("\n")
    assert blocks[:4] == ["HIERARCHY", "ROOT a", "{", "OFFSET 0.0 0.25 0.5"]
    assert blocks[4] == "CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation"
    assert blocks[5:9] == ["JOINT b", "{", "OFFSET 0.75 1.0 1.25", "CHANNELS 3 Zrotation Xrotation Yrotation"]
    assert text.count("End Site") == 2  # c_end turns, so it is a joint
    assert "JOINT c_end" in text
    assert text.split("MOTION\n")[1] == (
        "Frames: 1\nFrame Time: 0.02\n0.00 0.25 0.50" + 12 * " 0.00" + " 0.00 90.00 0.00\n"
    )


def test_only_tips_become_end_sites(tmp_path: Path) -> None:
    motion = random_motion(9)
    names = (*NAMES[:4], "b_endurance", "c_end", "d_end#2")
    path = write_bvh(tmp_path / "m.bvh", replace(motion, skeleton=replace(motion.skeleton, names=names)))
    assert path.read_text().count("End Site") == 1  # d_end#2; c_end turns
    assert "JOINT b_endurance" in path.read_text()


def test_decimals_round_the_rows(tmp_path: Path) -> None:
    motion = random_motion(1)
    assert_same(motion, read_capture(write_bvh(tmp_path / "m.bvh", motion, decimals=6)), tolerance=1e-6)
    with pytest.raises(AssertionError):
        assert_same(motion, read_capture(tmp_path / "m.bvh"), tolerance=1e-9)


def test_names_become_words_and_stay_apart(tmp_path: Path) -> None:
    motion = random_motion(2)
    names = (" a hip", "b {1}", "b_1_", "d", "b_end", "c\tend", "")
    skeleton = replace(motion.skeleton, names=names)
    path = write_bvh(tmp_path / "m.bvh", replace(motion, skeleton=skeleton))
    assert read_capture(path).skeleton.names == ("a_hip", "b_1_", "d", "joint", "b_end", "b_1_#2", "c_end")
    with pytest.raises(MotionError, match="one tree"):
        write_bvh(path, replace(motion, skeleton=replace(motion.skeleton, parents=np.array([-1, -1, 0, 1, 1, 2, 3]))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"order": "zxz"}, "Euler order 'zxz'"),
        ({"positions": "some"}, "positions 'some'; expected one of moving, root, all"),
        ({"decimals": 20}, "decimals is 20; expected 0 to 17"),
        ({"positions": "root"}, "positions below the root move and would be lost: b"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, change: dict[str, str], message: str) -> None:
    path = tmp_path / "m.bvh"
    path.write_text("what was here before")
    with pytest.raises(MotionError, match=message):
        write_bvh(path, random_motion(3, moving=(0, 1)), **change)
    assert path.read_text() == "what was here before"


def test_gaps_and_broken_captures_leave_nothing(tmp_path: Path) -> None:
    motion = random_motion(4, frames=6)
    motion.translations[4, 2] = np.nan
    with pytest.raises(MotionError, match="random: frame 4 has gaps"):
        write_bvh(tmp_path / "m.bvh", motion)
    capture = replace(as_capture(random_motion(4)), frames=7)
    with pytest.raises(MotionError, match="4 frames came of the 7"):
        write_bvh(tmp_path / "m.bvh", capture)
    assert list(tmp_path.iterdir()) == []


def test_a_capture_is_written_block_by_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    motion = random_motion(5, frames=11, moving=(0, 3))
    whole = write_bvh(tmp_path / "whole.bvh", motion).read_bytes()
    monkeypatch.setattr("gait_envs.mocap.formats.bvh_writer.BLOCK", 4)
    sizes = []

    def blocks(size: int):
        for rotations, translations in as_capture(motion).blocks(size):
            sizes.append(len(rotations))
            yield rotations, translations

    capture = Capture(motion.skeleton, motion.fps, motion.frames, blocks, motion.name)
    assert write_bvh(tmp_path / "blocks.bvh", capture).read_bytes() == whole
    assert sizes == [4, 4, 3, 4, 4, 3]  # once to see what moves, once to write


def test_pybvh_and_bvhio_read_it(tmp_path: Path) -> None:
    pybvh, bvhio = pytest.importorskip("pybvh"), pytest.importorskip("bvhio")
    path = write_bvh(tmp_path / "m.bvh", random_motion(6))
    motion = read_capture(path)
    expected, _ = forward_kinematics(motion)
    theirs = pybvh.read_bvh_file(str(path), world_up="+y", warn_on_world_up_disagreement=False)
    np.testing.assert_allclose(theirs.node_positions(centered="world"), expected, atol=1e-12)
    joints = {joint.Name: joint for joint, _, _ in bvhio.readAsBvh(str(path)).Root.layout()}
    assert set(joints) == set(motion.skeleton.names) - {"b_end", "d_end"}
    offset = motion.skeleton.offsets[motion.skeleton.index("b")]
    off = np.abs(np.array(joints["b"].Offset.to_list()) - offset).max()
    assert 1e-9 < off < 1e-6  # single precision: why the writer is our own


def test_what_we_write_bvhio_reads_alike(tmp_path: Path) -> None:
    path = write_bvh(tmp_path / "m.bvh", random_motion(6))
    verify_bvh(path)
    text = path.read_text()
    name = read_capture(path).skeleton.names[1]
    for old, new, message in (
        (f"JOINT {name}\n", f"JOINT {name} two\n", "bvhio finds another joint"),
        ("CHANNELS 3 ", "CHANNELS  3 ", None),
    ):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        if message is None:
            verify_bvh(path)
        else:
            with pytest.raises(MotionError, match=message):
                verify_bvh(path)


def test_asf_amc_to_bvh(tmp_path: Path) -> None:
    (tmp_path / "02.asf").write_text(ASF)
    (tmp_path / "02_01.amc").write_text(AMC)
    capture = open_capture(tmp_path / "02_01.amc")
    motion, back = capture.read(), read_capture(write_bvh(tmp_path / "02_01.bvh", capture))
    assert_same(motion, back)
    np.testing.assert_allclose(forward_kinematics(back)[0], forward_kinematics(motion)[0], atol=1e-9)


# -- clips ------------------------------------------------------------------------------------------------

# Two hinges in one body about skew axes, anchors off the bodies' origins, turned bodies, a body without
# joints between two with, a reference angle, an unlimited joint, and a body that is no part of the robot.
ROBOT = """<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body name="table" pos="3 0 0"><geom size=".1"/></body>
    <body name="trunk" pos="0 0 1">
      <freejoint name="base"/>
      <geom size=".1"/>
      <body name="thigh" pos=".1 .2 -.3" quat=".9 .1 -.3 .2">
        <joint name="hip one" axis="1 2 3" pos=".01 -.02 .03" range="-1 2" limited="true"/>
        <joint name="hip_two" axis="0 -1 .5" pos="-.05 0 .01" ref=".4" range="4 9" limited="true"/>
        <geom size=".1" pos="0 0 -.2"/>
        <body name="fixed" pos="0 .1 -.4" quat=".5 -.5 .5 .5">
          <geom size=".05"/>
          <body name="shank" pos=".2 0 0" quat=".3 0 .2 -.8">
            <joint name="knee" axis="0 0 -1" pos="0 .1 0"/>
            <geom size=".1" pos=".1 .1 .1"/>
          </body>
        </body>
      </body>
      <body name="arm" pos="0 -.2 .3"><joint name="shoulder" axis="0 1 0"/><geom size=".05" pos="0 0 -.2"/></body>
    </body>
  </worldbody>
</mujoco>"""


@pytest.fixture(scope="module")
def odd_body() -> Body:
    model = mujoco.MjModel.from_xml_string(ROBOT)
    names = ("hip one", "hip_two", "knee", "shoulder")
    return replace(load_body("wildrobot"), name="odd", model=model, joint_names=names)


def odd_clip(body: Body, frames: int = 25) -> Clip:
    """Every joint turns; the knee goes round one and a half times, hip_two stays about 6.5 rad."""
    t = np.linspace(0, 1, frames)[:, None]
    joints = np.array([0.4, 6.5, 0, -1]) + np.sin(2 * np.pi * (t + np.array([0, 0.2, 0.4, 0.6]))) + t * [0, 0, 9, 0]
    quat = normalize(np.array([1.0, 0, 0, 0]) + 1.5 * t * np.array([-1.0, 0.5, -1, 2]))
    qpos = np.concatenate([t * [1, 2, 0.1], quat, joints], axis=1)
    return Clip(qpos, velocities(qpos, 50.0), 50.0, body.joint_names, False, body.name, "made", "CC0", "odd")


def test_joints_are_where_mujoco_has_them(odd_body: Body) -> None:
    clip, robot = odd_clip(odd_body), robot_skeleton(odd_body)
    assert robot.skeleton.names == ("base", "hip one", "hip_two", "knee", "shoulder", "knee_end", "shoulder_end")
    motion = motion_from_clip(clip, odd_body)
    assert (motion.unit, motion.up, motion.origin) == (1.0, "+z", {"source": "made", "license": "CC0"})
    position, _ = forward_kinematics(motion)
    state = mujoco.MjData(odd_body.model)
    for frame in range(clip.frames):
        state.qpos[:] = clip.qpos[frame]
        mujoco.mj_forward(odd_body.model, state)
        np.testing.assert_allclose(position[frame, 1:5], state.xanchor[1:], atol=1e-12)
        tips = [state.body(name).xipos for name in ("shank", "arm")]
        np.testing.assert_allclose(position[frame, 5:], tips, atol=1e-12)


@pytest.mark.parametrize("up", ["z", "y", "-x"])
@pytest.mark.parametrize("unit", UNITS)
def test_clip_to_bvh_and_back(tmp_path: Path, odd_body: Body, up: str, unit: str) -> None:
    clip = odd_clip(odd_body)
    write_bvh(tmp_path / "odd.bvh", in_axes(as_capture(motion_from_clip(clip, odd_body)), up, unit))
    back = clip_from_bvh(tmp_path / "odd.bvh", odd_body, source="us", license="MIT", loop=True)
    np.testing.assert_allclose(back.qpos, clip.qpos, rtol=0, atol=1e-9)
    np.testing.assert_allclose(back.qvel, clip.qvel, rtol=0, atol=1e-6)
    assert (back.joint_names, back.model, back.fps) == (clip.joint_names, "odd", 50.0)
    assert (back.source, back.license, back.loop) == ("us", "MIT", True)


def test_a_bundled_clip_to_bvh_and_back(tmp_path: Path) -> None:
    body = load_body("wildrobot")
    path = next(iter(sorted(asset_path("motions/wildrobot_walk").glob("*.npz"))))
    clip = load_clip(path)
    write_bvh(tmp_path / "walk.bvh", motion_from_clip(clip, body))
    back = clip_from_bvh(tmp_path / "walk.bvh", body)
    np.testing.assert_allclose(back.qpos, clip.qpos, rtol=0, atol=1e-9)
    np.testing.assert_array_equal(back.qvel, velocities(back.qpos, 50.0))
    assert read_capture(tmp_path / "walk.bvh").skeleton.names[:2] == ("root", "waist_yaw")


def test_y_up_faces_plus_z() -> None:
    """The robot at (1, 2, 3), x ahead, z up: ahead becomes z, left becomes x, up becomes y."""
    body = load_body("wildrobot")
    qpos = np.tile(np.r_[1.0, 2, 3, 1, 0, 0, 0, np.zeros(9)], (2, 1))
    clip = Clip(qpos, np.zeros((2, 15)), 50.0, body.joint_names, False, "wildrobot", "made", "CC0")
    motion = in_axes(as_capture(motion_from_clip(clip, body)), "y", "cm").read()
    np.testing.assert_allclose(motion.translations[0, 0], [200, 300, 100], atol=1e-12)
    np.testing.assert_allclose(motion.rotations[:, :, 0], 1)
    left = motion.skeleton.offsets[motion.skeleton.index("left_hip_pitch")]
    np.testing.assert_allclose(left, [9, -4, 0], atol=1e-12)
    assert (motion.up, motion.unit) == ("y", 0.01)


def test_axes_and_units_must_be_known() -> None:
    capture = as_capture(random_motion(7))
    for up, unit, message in [("z", None, "its vertical axis is not known"), (None, "m", "its unit is not known"),
                              (None, "mile", "unit 'mile': expected metres a unit or one of")]:  # fmt: skip
        with pytest.raises(MotionError, match=message):
            in_axes(capture, up, unit)
    with pytest.raises(MotionError, match="up axis '\\+w': expected one of x, y, z"):
        in_axes(replace(capture, up="y"), "+w", None)
    kept = in_axes(capture, None, None).read()
    np.testing.assert_array_equal(kept.translations, random_motion(7).translations)


def test_another_robot_is_refused(tmp_path: Path, odd_body: Body) -> None:
    body = load_body("wildrobot")
    with pytest.raises(ClipError, match="joints differ"):
        motion_from_clip(odd_clip(odd_body), body)
    path = write_bvh(tmp_path / "m.bvh", random_motion(8))
    with pytest.raises(
        MotionError, match=r"m\.bvh: not a motion of wildrobot: it lacks root, waist_yaw.*; it has a, b"
    ):
        clip_from_bvh(path, body)


def test_what_a_robot_cannot_do_is_refused(tmp_path: Path) -> None:
    body = load_body("wildrobot")
    qpos = np.tile(np.r_[0.0, 0, 1, 1, 0, 0, 0, np.full(9, 0.1)], (3, 1))
    clip = Clip(qpos, np.zeros((3, 15)), 50.0, body.joint_names, False, "wildrobot", "made", "CC0")
    knee = robot_skeleton(body).skeleton.index("left_knee_pitch")

    def refused(message: str, **change) -> None:
        path = write_bvh(tmp_path / "m.bvh", replace(motion_from_clip(clip, body), **change))
        with pytest.raises(MotionError, match=f"not a motion of wildrobot: {message}"):
            clip_from_bvh(path, body)

    motion = motion_from_clip(clip, body)
    longer = replace(motion.skeleton, offsets=motion.skeleton.offsets + 0.02 * np.eye(13)[knee][:, None])
    refused("'left_knee_pitch' is 0.03. m from where it belongs", skeleton=longer, translations=motion.translations)
    slid = motion.translations.copy()
    slid[1, knee, 0] += 0.05
    refused("frame 1: 'left_knee_pitch' slides off its place, by 0.05 m", translations=slid)
    off = motion.rotations.copy()
    off[2, knee] = [np.cos(0.1), np.sin(0.1), 0, 0]
    refused("frame 2: 'left_knee_pitch' turns off its axis, by 0.2 rad", rotations=off)
    parents = motion.skeleton.parents.copy()
    parents[knee] = 0
    refused(
        "'left_knee_pitch' hangs on 'root', not on 'left_hip_roll'", skeleton=replace(motion.skeleton, parents=parents)
    )
    flat = replace(motion.skeleton, offsets=0 * motion.skeleton.offsets)
    refused("all its joints are in one place", skeleton=flat)


# -- the command ------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Run `gait-data export` in an empty folder; returns exit code, standard output and standard error."""
    monkeypatch.chdir(tmp_path)

    def call(*words: object, command: str = "export") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gait-data", command, *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        out, err = capsys.readouterr()
        return int(exit_.value.code or 0), out, " ".join(err.split())

    return call


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with two clips, one in a folder of its own."""
    bundled = sorted(asset_path("motions/wildrobot_walk").glob("*.npz"))[0]
    for place in ("clips/one.npz", "clips/more/two.npz"):
        clip = load_clip(bundled)
        save_clip(tmp_path / place, replace(clip, qpos=clip.qpos[:20], qvel=clip.qvel[:20], contacts=None))
    return tmp_path / "clips"


def test_clip_out_and_back(run, clips: Path) -> None:
    code, out, err = run(clips / "one.npz")
    assert (code, out, err) == (0, "written  one.bvh\n", "")
    motion = read_capture("one.bvh")
    height = forward_kinematics(motion)[0][:, 0, 1]
    assert 0.4 < height.min() < height.max() < 0.5  # y up, metres
    code, _, err = run("one.bvh", "--to", "clip", "--robot", "wildrobot", "--out", "back.npz", "--source", "us")
    assert code == 0
    assert "warning: back.npz: source or licence is unknown" in err
    np.testing.assert_allclose(load_clip("back.npz").qpos, load_clip(clips / "one.npz").qpos, atol=1e-9)
    assert sorted(path.name for path in Path().iterdir()) == ["back.npz", "clips", "one.bvh"]  # no temporary left


def test_options_reach_the_file(run, clips: Path) -> None:
    code, _, _ = run(
        clips / "one.npz", "--out", "o.bvh", "--up", "z", "--unit", "cm", "--decimals", "3", "--order", "xyz"
    )
    assert code == 0
    text = Path("o.bvh").read_text()
    assert "CHANNELS 3 Xrotation Yrotation Zrotation" in text
    assert all(len(word.partition(".")[2]) == 3 for word in text.splitlines()[-1].split())
    assert 40 < read_capture("o.bvh").translations[0, 0, 2] < 50


def test_a_folder_keeps_its_order(run, clips: Path) -> None:
    assert run(clips, "--out", "made")[0] == 0
    assert sorted(map(str, Path("made").rglob("*.bvh"))) == ["made/more/two.bvh", "made/one.bvh"]
    code, _, err = run("made", "--to", "clip", "--robot", "wildrobot", "--out", "again")
    assert code == 0
    assert "again/more/two.npz and 1 more: source or licence is unknown" in err
    assert load_clip("again/more/two.npz").frames == 20


def test_captures_keep_their_axes_unless_told(run, tmp_path: Path) -> None:
    (tmp_path / "02.asf").write_text(ASF)
    (tmp_path / "02_01.amc").write_text(AMC)
    code, _, err = run("02_01.amc")
    assert code == 0
    assert "02_01.bvh: the file has no frame rate" in err
    np.testing.assert_allclose(read_capture("02_01.bvh").translations[0, 0], [10, 20, 30])
    code, _, err = run("02_01.amc", "--up", "z")
    assert code == 2  # a skeleton without two legs does not show which way is up
    assert "no joint found for" in err


def test_one_bad_file_of_several_does_not_stop_the_others(run, clips: Path) -> None:
    (clips / "bad.bvh").write_text("HIERARCHY")
    (clips / "broken.npz").write_text("no archive")
    (clips / "metrics.json").write_text("{}")  # no motion, and nobody says it is
    code, out, err = run(clips, clips / "bad.bvh", "--out", "made")
    assert code == 1
    assert out.count("written") == 2
    assert "broken.npz" in err
    assert "bad.bvh: the file ends where ROOT" in err or "bad.bvh: the file ends" in err
    assert "2 of 4 files could not be converted" in err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("clips/one.npz", "--to", "fbx"), "--to fbx: expected one of bvh, clip"),
        (("a.bvh", "--to", "clip"), "say which robot the BVH is of, with --robot"),
        (("a.amc", "--to", "clip", "--robot", "wildrobot"), "only a BVH, or a clip, becomes a clip"),
        (("clips/one.npz", "--to", "clip", "--fps", "0"), "fps is 0; expected a positive number"),
        (("clips/one.npz", "--to", "clip", "--fps", "1"), "lasts 0.380 s; at 1 Hz that is less than two frames"),
        (("clips/one.npz", "--fps", "30"), "--fps does not go with --to bvh"),
        (("nowhere",), "nowhere: neither a clip, nor a folder of clips, nor an embedded set"),
        (("clips/one.npz", "--robot", "hal"), "unknown robot 'hal'"),
        (("clips/one.npz", "--out", "one.fbx"), "--out one.fbx: the file's name must end in .bvh"),
        (("clips/one.npz", "clips/more/two.npz", "--out", "clips/one.npz"), "several files need a folder"),
        (("clips/one.npz", "clips/one.npz"), "would both be written to one.bvh"),
        (("clips/one.npz", "--up", "w"), "up axis 'w': expected one of x, y, z"),
        (("clips/one.npz", "--unit", "mile"), "unit 'mile': expected metres a unit or one of"),
        (("clips/one.npz", "--order", "xxz"), "Euler order 'xxz'"),
        (("clips/one.npz", "--license", "MIT"), "--license does not go with --to bvh"),
        (("a.bvh", "--to", "clip", "--robot", "wildrobot", "--up", "y"), "--up does not go with --to clip"),
        (("nowhere.npz",), "nowhere.npz: no such file"),
        (("nowhere.amc",), "nowhere.amc: no such file"),
        (("walk.fbx",), "no capture format has the suffix '.fbx'; known: bvh (.bvh)"),
        (("empty",), "empty: holds no file to convert"),
    ],
)
def test_faults_are_one_line_and_exit_2(run, clips: Path, words: tuple[str, ...], message: str) -> None:
    Path("empty").mkdir()
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err
    assert not list(Path().glob("*.bvh"))


def test_a_file_is_not_written_over_itself(run, clips: Path) -> None:
    run(clips / "one.npz")
    code, _, err = run("one.bvh")
    assert code == 2
    assert "one.bvh: would be overwritten; give another --out" in err


def test_no_way_of_naming_it_writes_a_file_over_itself(run, clips: Path) -> None:
    """By name, by folder, by part of a split, and of one source over another."""
    run(clips / "one.npz", "--out", "e.bvh")
    kept = Path("e.bvh").read_bytes()
    save_split("split.json", clips, "clip", 0, {"train": ["one"]})
    (clips / "e.bvh").write_bytes(kept + b"\n")
    before = {path: path.read_bytes() for path in Path().rglob("*.*")}
    for words in (
        ("e.bvh", "--out", "e.bvh", "--up", "z"),
        ("e.bvh", "--out", clips / ".." / "e.bvh"),
        (clips, "--to", "clip", "--fps", "30", "--out", clips, "--robot", "wildrobot"),
        (clips / "one.npz", "--to", "clip", "--fps", "30", "--out", clips / "one.npz"),
        ("split.json#train", "--to", "clip", "--fps", "30", "--out", clips),
        (clips / "e.bvh", "clips/one.npz", "--out", clips),
    ):
        code, out, err = run(*words)
        assert (code, out) == (2, ""), words
        assert "would be overwritten" in err
    assert {path: path.read_bytes() for path in Path().rglob("*.*")} == before


# -- clips of another rate, sets, facts ------------------------------------------------------------------


def test_a_clip_is_resampled(run, clips: Path) -> None:
    """25 Hz takes every second frame; the slerp of a turn about one axis is even."""
    first = load_clip(clips / "one.npz")
    code, out, err = run(clips / "one.npz", "--to", "clip", "--fps", "25", "--out", "half.npz")
    assert (code, out, err) == (0, "written  half.npz\n", "")
    half = load_clip("half.npz")
    assert (half.fps, half.frames, half.model) == (25.0, 10, "wildrobot")
    np.testing.assert_allclose(half.qpos, first.qpos[::2][:10], atol=1e-12)
    np.testing.assert_allclose(half.qvel, velocities(half.qpos, 25.0))
    assert half.meta["history"][-1] == "resampled from 50 to 25 Hz"
    code, _, _ = run("half.npz", "--to", "clip", "--out", "back.npz")  # to the robot's own rate
    back = load_clip("back.npz")
    assert (code, back.fps, back.frames) == (0, 50.0, 19)
    np.testing.assert_allclose(back.qpos[::2], half.qpos, atol=1e-12)
    np.testing.assert_allclose(back.qpos[1::2, 7:], (half.qpos[1:, 7:] + half.qpos[:-1, 7:]) / 2, atol=1e-12)


def test_turns_are_resampled_by_slerp() -> None:
    names = load_body("wildrobot").joint_names
    qpos = np.tile(np.r_[0.0, 0, 1, 1, 0, 0, 0, np.zeros(9)], (2, 1))
    qpos[1, 3:7] = [0, 0, 0, 1]  # half a turn in a second
    clip = Clip(qpos, velocities(qpos, 1.0), 1.0, names, False, "wildrobot", "made", "CC0", contacts=np.ones((2, 4)))
    quat = resampled(clip, 3.0).qpos[:, 3:7]
    angle = np.pi * np.arange(4) / 3
    expected = np.stack([np.cos(angle / 2), 0 * angle, 0 * angle, np.sin(angle / 2)], axis=1)
    np.testing.assert_allclose(quat * np.sign(quat[:, :1] + quat[:, 3:]), expected, atol=1e-12)
    assert resampled(clip, 1.0) is clip


def wheel(frames: int, turn: float, robot: str = "wildrobot") -> Clip:
    """One lap of legs that swing once on a pelvis that goes round by `turn` rad; its end is its start, one lap on."""
    phase = np.arange(frames) / (frames - 1)
    qpos = np.zeros((frames, 16))
    qpos[:, 0], qpos[:, 1] = 0.4 * np.sin(turn * phase), 0.4 * (1 - np.cos(turn * phase))
    if turn == 0:
        qpos[:, 0] = 0.4 * phase
    qpos[:, 2], qpos[:, 3:7] = 0.46, yaw_quat(turn * phase)
    qpos[:, 7:] = 0.3 * np.sin(2 * np.pi * phase)[:, None]
    return looped(Clip(qpos, velocities(qpos, 50.0), 50.0, load_body(robot).joint_names, False, robot, "made", "CC0"))


@pytest.mark.parametrize("turn", [0.0, 0.7])
@pytest.mark.parametrize("fps", [30.0, 37.0, 120.0])
def test_a_resampled_loop_is_a_loop(turn: float, fps: float) -> None:
    """26 frames at 50 Hz are half a second: 15, 18.5 and 60 frames a lap. Its end is its start, one lap on."""
    clip = wheel(26, turn)
    other = resampled(clip, fps)
    one, two = (MotionLibrary([each], each.joint_names, each.fps) for each in (clip, other))
    assert other.frames == round(0.5 * fps) + 1
    np.testing.assert_allclose(two.strides, one.strides, atol=1e-12)
    np.testing.assert_allclose(two.turns, one.turns, atol=1e-12)
    np.testing.assert_allclose(other.qpos[-1, 7:], other.qpos[0, 7:], atol=1e-12)
    np.testing.assert_allclose(other.qvel[-1, 2:], other.qvel[0, 2:], atol=1e-9)  # one moment
    assert seam(other) == 0.0
    assert any("stretched by" in line for line in other.meta["history"]) == (fps == 37.0)


@pytest.mark.parametrize("turn", [0.0, 0.7])
def test_velocities_of_a_loop_have_no_seam(tmp_path: Path, turn: float) -> None:
    """Those of three laps, in the middle one; through a BVH, too."""
    clip, body = wheel(26, turn), load_body("wildrobot")
    library = MotionLibrary([clip], clip.joint_names, clip.fps)
    thrice = library.at(np.zeros(76, dtype=int), np.arange(-25, 51))[0]
    expected = velocities(thrice, 50.0)[25:51]
    np.testing.assert_allclose(clip.qvel, expected, atol=1e-9)
    path = write_bvh(tmp_path / "wheel.bvh", motion_from_clip(clip, body))
    np.testing.assert_allclose(clip_from_bvh(path, body, loop=True).qvel, expected, atol=1e-6)


def test_what_is_no_loop_is_said(run) -> None:
    lap = wheel(26, 0.0)
    save_clip("half.npz", replace(lap, qpos=lap.qpos[:8], qvel=lap.qvel[:8], loop=False))
    code, _, err = run("half.npz", "--to", "clip", "--loop", "--out", "loop.npz")
    assert code == 0
    assert "it is no loop: from end to start a joint leaps 0.22 rad farther than within it" in err
    found = load_clip("loop.npz")
    assert found.loop
    np.testing.assert_array_equal(found.qvel, lap.qvel[:8])  # a leap has no velocity
    save_clip("wheel.npz", wheel(26, 0.0))
    assert run("wheel.npz", "--to", "clip", "--fps", "37", "--out", "wheel_37.npz")[2] == ""


def test_what_does_not_fit_names_the_command_that_helps(run, clips: Path) -> None:
    clip = load_clip(clips / "one.npz")
    with pytest.raises(ClipError, match=r"resample it with: (gait-data.*)$") as found:
        check_fits(clip, clip.joint_names, 40.0)
    words = str(found.value).split("with: gait-data export ")[1].replace("CLIP", "clips/one.npz").split()
    assert run(*(word.replace("NEW", "new.npz") for word in words))[0] == 0
    check_fits(load_clip("new.npz"), clip.joint_names, 40.0)


def test_sets_and_parts_are_exported(run, clips: Path, tmp_path: Path) -> None:
    pack([load_clip(clips / "one.npz"), load_clip(clips / "more" / "two.npz")], tmp_path / "packed")
    save_split("split.json", "packed", "clip", 0, {"train": ["two"]})
    assert run("packed", "--out", "a")[0] == run("split.json#train", "--out", "b")[0] == 0
    assert [sorted(path.name for path in Path(out).iterdir()) for out in "ab"] == [["one.bvh", "two.bvh"], ["two.bvh"]]
    parts = "wildrobot_walk/parts.json"
    code, _, _ = run(f"{parts}#walking", "--out", "d")
    assert (code, sorted(path.stem for path in Path("d").iterdir())) == (
        0,
        sorted(open_clips(f"{parts}#walking").names),
    )
    code, _, err = run(f"{parts}#nothing", "--out", "e")
    assert code == 2
    assert "no part 'nothing'; name one of" in err
    code, _, _ = run("wildrobot_walk", "--out", "c")
    names = sorted(path.stem for path in asset_path("motions/wildrobot_walk").glob("*.npz"))
    assert (code, sorted(path.stem for path in Path("c").iterdir())) == (0, names)


def test_a_clip_from_a_bvh_has_facts_and_can_be_measured_and_drawn(run, clips: Path) -> None:
    run(clips / "one.npz")
    facts = ("--source", "us", "--license", "MIT", "--subject", "35", "--activity", "walk", "--loop")
    code, _, err = run("one.bvh", "--to", "clip", "--robot", "wildrobot", *facts)
    assert (code, err) == (0, "")
    clip = load_clip("one.npz")
    assert (clip.source, clip.license, clip.loop) == ("us", "MIT", True)
    assert (clip.meta["subject"], clip.meta["activity"]) == ("35", "walk")
    assert clip.meta["contacts"] == "estimated by inverse dynamics"
    assert clip.contacts is not None
    code, text, err = run("one.npz", "--plot", "one.png", command="inspect")
    assert (code, err) == (0, "")
    assert "slip_median" in text
    assert Path("one.png").stat().st_size > 10_000


def test_verify_has_another_reader_look(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clip = asset_path("motions/wildrobot_walk/walk_030_calm_0.npz")
    code, out, _ = run(clip, "--out", tmp_path / "walk.bvh", "--verify")
    assert (code, "walk.bvh" in out) == (0, True)
    monkeypatch.setattr("bvhio.readAsBvh", lambda *args, **kwargs: 1 / 0)
    code, _, errors = run(clip, "--out", tmp_path / "walk.bvh", "--verify")
    assert code == 2
    assert "walk.bvh: bvhio cannot read it: division by zero" in errors


@pytest.mark.parametrize("to, out", [("bvh", "out.bvh"), ("clip", "out.npz")])
def test_a_clip_does_not_choose_what_is_opened(run, tmp_path: Path, to: str, out: str) -> None:
    """The name of its robot may be anybody's words: here, the path of a description that is there."""
    theirs = tmp_path / "theirs.yaml"
    theirs.write_text("name: theirs\nmodel: theirs.xml\n")
    clip = load_clip(asset_path("motions/wildrobot_walk/walk_040_calm_0.npz"))
    save_clip(tmp_path / "a.npz", replace(clip, model=str(theirs)))
    status, _, err = run("a.npz", "--to", to, "--out", out)
    assert status == 2, err
    assert "bundled are humanoid, wildrobot, others are given with --robot" in err
    assert not (tmp_path / out).exists()
