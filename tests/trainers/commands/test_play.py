"""Videos: right length, readable back, whole or not there; no display is said in words."""

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace

import gymnasium
import imageio_ffmpeg
import numpy as np
import pytest
from helpers.still_clips import idle, still, write
from PIL import Image
from typer.testing import CliRunner

from gait_envs.models.robot import humanoid, wildrobot
from gait_envs.reference.library import load_clips
from gait_envs.render import CameraError, Offscreen, RenderError
from gait_trainers.cli import app
from gait_trainers.commands import play
from gait_trainers.policies.base import Feedforward, GaussianPolicy, Policy
from gait_trainers.reports import video as video_module
from gait_trainers.reports import window
from gait_trainers.reports.video import (
    PlayError,
    caption,
    describe,
    make_tracking_video,
    make_video,
    smoothed,
    write_video,
)
from gait_trainers.reports.window import watch


@pytest.fixture
def statue() -> Policy:
    def forward(obs):
        return np.zeros((len(obs), 9), np.float32), np.zeros((len(obs), 9), np.float32)

    return GaussianPolicy("statue", Feedforward(forward), "GaitNet/WildRobot-v0", {})


@pytest.fixture(scope="module")
def renderer() -> None:
    try:
        Offscreen(wildrobot().model, 32, 32).close()
    except RuntimeError as error:
        pytest.skip(str(error))


def shades(count: int) -> list[np.ndarray]:
    return [np.full((48, 64, 3), 20 * i, np.uint8) for i in range(count)]


def read_mp4(path: Path, width: int, height: int) -> np.ndarray:
    """Decoded frames (T, height, width, 3)."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-i", str(path), "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, height, width, 3)


def test_mp4_holds_every_frame_in_order(tmp_path):
    write_video(tmp_path / "a" / "v.mp4", shades(8), fps=25)
    frames = read_mp4(tmp_path / "a" / "v.mp4", 64, 48)
    np.testing.assert_allclose(frames.mean((1, 2, 3)), 20 * np.arange(8), atol=6)


def test_odd_sizes_are_padded(tmp_path):
    write_video(tmp_path / "v.mp4", [np.zeros((31, 63, 3), np.uint8)] * 3, fps=25)
    assert read_mp4(tmp_path / "v.mp4", 64, 32).shape[0] == 3


def test_what_ffmpeg_says_is_passed_on(tmp_path):
    with pytest.raises(RenderError, match=r"v\.mp4: ffmpeg failed: .*0x0"):
        write_video(tmp_path / "v.mp4", [np.zeros((0, 0, 3), np.uint8)], fps=25)
    assert list(tmp_path.iterdir()) == []


def test_a_video_needs_a_picture(tmp_path):
    with pytest.raises(RenderError, match=r"v\.mp4: a video needs at least one frame"):
        write_video(tmp_path / "v.mp4", [], fps=25)


def test_where_no_video_can_be_is_said_before_it_is_simulated(statue, tmp_path):
    (tmp_path / "notes").write_text("")
    with pytest.raises(OSError, match="notes") as found:  # a long walk would take minutes
        make_video(statue, tmp_path / "notes" / "v.mp4", seconds=1e5)
    assert str(tmp_path / "notes") in found.value.filename


def test_gif_holds_every_frame_in_order(tmp_path):
    write_video(tmp_path / "v.gif", shades(8), fps=25)
    with Image.open(tmp_path / "v.gif") as image:
        assert image.n_frames == 8
        assert image.info["duration"] == 40
        assert image.info["loop"] == 0
        image.seek(5)
        assert np.asarray(image.convert("RGB")).mean() == pytest.approx(100, abs=6)


def test_a_failed_video_leaves_nothing_behind(tmp_path):
    def fail():
        yield from shades(2)
        raise OSError("disk full")

    for name in ("v.mp4", "v.gif"):
        with pytest.raises(OSError, match="disk full"):
            write_video(tmp_path / name, fail(), fps=25)
    assert list(tmp_path.iterdir()) == []


def test_a_policy_is_filmed(statue, tmp_path, renderer):
    rollout = make_video(statue, tmp_path / "walk.mp4", (0.4, 0.0, 0.0), seconds=0.4, width=160)
    assert len(rollout.valid) == 21  # the start and 20 steps
    frames = read_mp4(tmp_path / "walk.mp4", 160, 120)
    assert len(frames) == 11  # every second frame: 0, 2 … 20
    assert frames[0].std() > 20  # a picture, not a blank


def test_unknown_camera_and_format(statue, tmp_path, renderer):
    with pytest.raises(CameraError, match="no camera 'front'; the model has track, side"):
        make_video(statue, tmp_path / "v.mp4", seconds=0.1, camera="front", width=160)
    with pytest.raises(PlayError, match=r"v\.avi: videos end in \.mp4 or \.gif"):
        make_video(statue, tmp_path / "v.avi", seconds=0.1)


def test_no_display_no_window(statue, monkeypatch):
    monkeypatch.setattr(window, "has_display", lambda: False)
    with pytest.raises(PlayError, match=r"--video walk\.mp4"):
        watch(statue, {"command": (0.4, 0.0, 0.0)})


# -- along a clip --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stills(tmp_path_factory) -> str:
    return write(tmp_path_factory.mktemp("stills"), still("glide", 101, speed=0.5), still("stand", 11))


def test_a_clip_is_filmed_with_its_ghost(stills, tmp_path, renderer):
    name, found = make_tracking_video(idle(), tmp_path / "clip.mp4", "stand", stills, width=160)
    assert (name, len(found.rollout.valid), bool(found.ends["success"][0])) == ("stand", 11, True)
    assert len(read_mp4(tmp_path / "clip.mp4", 160, 120)) == 6
    name, found = make_tracking_video(idle(), tmp_path / "first.mp4", None, stills, seconds=0.1, width=160)
    assert (name, len(found.rollout.valid)) == ("glide", 6)


def test_a_ghost_stands_where_it_is_put_and_the_robot_stays(renderer):
    robot = wildrobot()
    view = Offscreen(robot.model, 160, 120, "side")
    aside = robot.home_qpos.copy()
    aside[0] += 0.5
    alone, both = (view.frame(robot.home_qpos, ghost=ghost) for ghost in (None, aside))
    changed = (np.abs(alone.astype(int) - both) > 8).any(-1)
    view.close()
    assert changed[:, 90:].sum() > 50  # to the right of the robot, which is in the middle
    assert not changed[:, 60:80].any()
    red, green, blue = both[changed].mean(0)
    assert green > red
    assert green > blue


def test_ghost_and_film_are_of_the_walker(human_reference, tmp_path, monkeypatch):
    """Of its cadence, stride and lengths, from where it begins."""
    drawn = []
    monkeypatch.setattr(video_module, "film", lambda model, *args, ghosts, **options: drawn.append((model, ghosts)))
    walker = {"cadence": 1.3, "stride": 0.8, "scale": {"thigh": 1.1}}
    policy = idle(env_id="GaitNet/HumanoidImitation-v0", joints=50, params=walker)
    make_tracking_video(policy, tmp_path / "a.mp4", None, human_reference, seconds=0.1)
    ((model, poses),) = drawn
    robot = humanoid()
    leg = robot.segments.leg_ratio(np.array([[1.1 if name == "thigh" else 1.0 for name in robot.segments.names]]))[0]
    np.testing.assert_allclose(poses[:, 0], 1.2 * robot.dt * 1.3 * 0.8 * leg * np.arange(4), atol=1e-12)
    np.testing.assert_allclose(poses[0, 2], leg * load_clips(human_reference)[0].qpos[0, 2])
    assert model.body("left_tibia").pos[2] == pytest.approx(1.1 * robot.model.body("left_tibia").pos[2])


def test_a_commanded_walk_is_filmed_with_its_own_body(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        video_module, "film", lambda model, *args, **options: drawn.append(model.body("left_tibia").pos[2])
    )
    policy = idle(env_id="GaitNet/Humanoid-v0", joints=50, params={"scale": {"thigh": 1.1}})
    make_video(policy, tmp_path / "a.mp4", seconds=0.1)
    assert drawn == pytest.approx([1.1 * humanoid().model.body("left_tibia").pos[2]])


def test_a_window_shows_the_whole_clip(stills, monkeypatch):
    """The window's environment without its window: as many steps as the clip has, from its first frame."""
    made = []

    def make(env_id, render_mode, **kwargs):
        assert render_mode == "human"
        made.append(gymnasium.make(env_id, **kwargs))
        return made[0]

    monkeypatch.setattr(window, "has_display", lambda: True)
    monkeypatch.setattr(window, "gym", SimpleNamespace(make=make))
    monkeypatch.setattr(play, "load_policy", lambda path, env_id: idle())
    done = CliRunner().invoke(app, ["play", "any", "--reference", stills, "--clip", "stand"], catch_exceptions=False)
    assert done.exit_code == 0
    memory = made[0].unwrapped.core.memory
    assert (memory.clip.tolist(), memory.frame.tolist()) == ([1], [0])  # it has ended and begun anew


def test_the_film_says_how_it_ended(stills, tmp_path, renderer, monkeypatch):
    monkeypatch.setattr(play, "load_policy", lambda path, env_id: idle())
    video = str(tmp_path / "clip.gif")
    common = ["play", "any", "--reference", stills, "--video", video, "--width", "160"]
    for clip, end in (("glide", r"glide, 0\.5\d? s, then it strayed"), ("stand", r"stand, 0\.2 s$")):
        done = CliRunner().invoke(app, [*common, "--clip", clip], catch_exceptions=False)
        assert re.search(end, done.stdout.strip())
    for arguments, message in (
        (["--clip", "run"], "no clip 'run'; the library has glide, stand"),
        (["--command", "0.4"], "--command: in .* follows clips"),
    ):
        with pytest.raises(ValueError, match=message):
            CliRunner().invoke(app, [*common, *arguments], catch_exceptions=False)


# -- words on pictures ---------------------------------------------------------------------------------


def test_smoothed_is_a_trailing_mean():
    values = np.array([[2.0], [4.0], [6.0], [0.0]])
    np.testing.assert_allclose(smoothed(values, 2), [[2.0], [3.0], [5.0], [3.0]])


def test_caption_names_what_is_commanded():
    assert describe(np.array([0.4, 0, 0]), np.array([0.38, 0.1, 0.2])) == "forward +0.38 of +0.40 m/s"
    turning = describe(np.array([0.4, 0, 0.5]), np.array([0.38, 0.1, 0.45]))
    assert turning == "forward +0.38 of +0.40 m/s   turn +0.45 of +0.50 rad/s"


def test_caption_marks_the_lower_left_corner_only():
    picture = np.full((240, 320, 3), 120, np.uint8)
    changed = (caption(picture, "forward") != picture).any(-1)
    assert changed[200:, :100].any()
    assert not changed[:190].any()
    assert not changed[:, 200:].any()
