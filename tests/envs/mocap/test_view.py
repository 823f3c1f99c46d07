"""A clip as pictures: the right ones, whole or not there, and a clear word where there is no display."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import imageio_ffmpeg
import matplotlib.image
import numpy as np
import pytest
from helpers.walker import walker_bvh

from gait_envs.mocap.commands import view
from gait_envs.mocap.jobs import find_captures
from gait_envs.mocap.retarget.folder import Recipe, retarget_folder
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.reference.clip import load_clip
from gait_envs.render import Offscreen, RenderError

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "my_robot" / "retarget.yaml"
SIZE = ("--width", "96", "--height", "64")


@pytest.fixture(scope="module", autouse=True)
def drawing() -> None:
    try:
        Offscreen(load_body("wildrobot").model, 16, 16).close()
    except RenderError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("view")
    jobs, _ = find_captures([walker_bvh(folder / "walk.bvh", seconds=1.0)])
    (outcome,) = retarget_folder(jobs, Recipe(), "wildrobot", folder)
    assert outcome.verdict == "fit"
    return folder / "walk.npz"


def test_a_strip_shows_the_clip_from_first_to_last(run, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "strip.png"
    code, text, errors = run("view", clip, "--out", out, *SIZE)
    assert (code, errors) == (0, "")
    assert str(out) in text.replace("\n", "")
    picture = matplotlib.image.imread(out)[..., :3]
    assert picture.shape == (2 * 64, 6 * 96, 3)
    tiles = picture.reshape(2, 64, 6, 96, 3).swapaxes(1, 2).reshape(12, 64, 96, 3)
    screen = Offscreen(load_body("wildrobot").model, 96, 64)
    qpos = load_clip(clip).qpos
    for tile, pose in ((tiles[0], qpos[0]), (tiles[-1], qpos[-1])):
        np.testing.assert_allclose(tile, screen.frame(pose) / 255, atol=0.02)
    screen.close()
    assert np.abs(tiles[0] - tiles[6]).max() > 0.2
    assert [p.name for p in out.parent.iterdir()] == ["strip.png"]


@pytest.mark.parametrize(("slow", "frames_a_second"), [("1", 50), ("2", 25)])
def test_a_video_lasts_as_long_as_the_clip(run, clip: Path, tmp_path: Path, slow: str, frames_a_second: int) -> None:
    out = tmp_path / "walk.mp4"
    assert run("view", clip, "--out", out, "--slow", slow, "--end", "0.5", *SIZE)[0] == 0
    frames, seconds = imageio_ffmpeg.count_frames_and_secs(str(out))
    assert frames == 26
    assert seconds == pytest.approx(26 / frames_a_second, abs=0.03)
    program = imageio_ffmpeg.get_ffmpeg_exe()
    facts = subprocess.run([program, "-i", str(out)], capture_output=True, text=True, check=False).stderr
    assert "96x64" in facts
    assert "yuv420p" in facts


def test_a_robot_without_the_usual_camera(run, tmp_path: Path) -> None:
    """Its first camera is not called track: a camera of our own goes along."""
    model = (EXAMPLE.parent / "robot.xml").read_text().replace('name="track"', 'name="mine"')
    (tmp_path / "robot.xml").write_text(model)
    robot = tmp_path / "robot.yaml"
    robot.write_text(EXAMPLE.read_text())
    capture = walker_bvh(tmp_path / "walk.bvh", seconds=1.0)
    assert run("retarget", capture, "--robot", robot, "--out", tmp_path / "walk.npz", "--no-picture")[0] == 0
    out = tmp_path / "strip.png"
    assert run("view", tmp_path / "walk.npz", "--robot", robot, "--out", out, *SIZE)[0] == 0
    assert matplotlib.image.imread(out).std() > 0.05  # something is to be seen
    assert run("view", tmp_path / "walk.npz", "--robot", robot, "--camera", "mine", "--out", out, *SIZE)[0] == 0
    code, _, errors = run("view", tmp_path / "walk.npz", "--robot", robot, "--camera", "yours", "--out", out)
    assert code == 2
    assert "no camera 'yours'; the model has mine, side" in errors


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--out", "walk.gif"), "a video ends in .mp4, a strip of pictures in .png or .jpg"),
        (("--out", "walk.mp4", "--slow", "0"), "--slow 0: expected 0.02 to 50"),
        (("--out", "walk.mp4", "--start", "2"), "cannot show 2 s to 0.98 s: the clip lasts 0.980 s"),
        (("--out", "walk.png", "--robot", "humanoid"), "joints differ: missing"),
        (("--out", "walk.png", "--robot", "hal"), "unknown robot 'hal'"),
        (("--camera", "mine"), "no camera 'mine'; the model has track"),
        (("--width", "96"), "--width is of a picture; say with --out where to write one"),
        (("--height", "96"), "--height is of a picture; say with --out where to write one"),
    ],
)
def test_faults(run, clip: Path, tmp_path: Path, monkeypatch, words: tuple[str, ...], message: str) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = run("view", clip, *words)
    assert code == 2
    assert message in errors.replace("\n", " ")
    assert not list(tmp_path.glob("*.mp4")) + list(tmp_path.glob("*.png"))


def test_no_display_is_said_in_words(run, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(view, "HEADLESS", True)
    code, _, errors = run("view", clip)
    assert code == 2
    assert "no display to open a window on; write a file: --out video.mp4 or --out strip.png" in errors


@pytest.mark.parametrize("camera", [(), ("--camera", "side")])
def test_a_window_plays_until_it_is_closed(
    run, clip: Path, monkeypatch: pytest.MonkeyPatch, camera: tuple[str, ...]
) -> None:
    """Twice through, then the window is closed: here it stands in for MuJoCo's, which needs a display."""
    shown: list[tuple[float, float]] = []
    cameras: list[str] = []

    class Closing:
        def __init__(self, model: Any, camera: int) -> None:
            self.closed = False
            cameras.append(model.camera(camera).name)

        @property
        def is_open(self) -> bool:
            return len(shown) < 2 * 50

        def show(self, qpos: np.ndarray, dt: float) -> None:
            shown.append((float(qpos[0]), dt))

        def close(self) -> None:
            self.closed = True

    monkeypatch.setattr(view, "HEADLESS", False)
    monkeypatch.setattr(view, "Window", Closing)
    assert run("view", clip, "--slow", "4", *camera)[0] == 0
    assert cameras == [camera[1] if camera else "track"]
    assert len(shown) == 100
    assert shown[0] == shown[50]
    assert shown[0][1] == pytest.approx(4 / 50)
