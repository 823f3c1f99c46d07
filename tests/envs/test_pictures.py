"""Pictures: their size, their camera, one of each sub-environment, and those of others that are left alone."""

from __future__ import annotations

import gc
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.wrappers.vector import RecordVideo

from gait_envs.env import GaitEnv
from gait_envs.forms import find_camera
from gait_envs.vector_env import GaitVectorEnv

SMALL = {"render_mode": "rgb_array", "width": 96, "height": 64}


@pytest.fixture(scope="module", autouse=True)
def graphics() -> None:
    """Skips where nothing can be drawn."""
    from gait_envs.models.robot import wildrobot
    from gait_envs.render import Offscreen

    try:
        Offscreen(wildrobot().model, 16, 16).close()
    except RuntimeError as error:
        pytest.skip(str(error))


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """Mean difference of two pictures, of 255."""
    return float(np.abs(one.astype(int) - other.astype(int)).mean())


def drawn(env: Any) -> np.ndarray:
    env.reset(seed=0)
    picture = env.render()
    return picture[0] if isinstance(picture, tuple) else picture


@pytest.mark.parametrize("how", ["close", "delete", "vector"])
def test_a_picture_is_the_same_after_another_environment_is_gone(how: str) -> None:
    other: Any = GaitVectorEnv(2, **SMALL) if how == "vector" else GaitEnv(**SMALL)
    mine = GaitEnv(**SMALL)
    other.reset(seed=1)
    other.render()
    before = drawn(mine)
    assert difference(before, before[::-1]) > 5  # upside down would show
    if how != "delete":
        other.close()
    del other
    gc.collect()
    for _ in range(2):
        assert difference(mine.render(), before) < 0.1
    mine.close()


def test_nothing_is_said_at_the_end_of_a_program_that_closes_nothing() -> None:
    code = (
        "import gymnasium as gym, gait_envs\n"
        "a = gym.make('GaitNet/WildRobot-v0', render_mode='rgb_array', width=32, height=32)\n"
        "b = gym.make_vec('GaitNet/WildRobot-v0', 2, vectorization_mode='vector_entry_point', width=32, height=32,\n"
        "                 render_mode='rgb_array')\n"
        "a.reset(seed=0), b.reset(seed=0), a.render(), b.render(), a.close(), a.render()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("mode", ["rgb_array", "depth_array"])
def test_both_forms_draw_the_same_whatever_is_asked(mode: str) -> None:
    pictures = []
    cameras: tuple[dict[str, Any], ...] = ({}, {"camera_name": "side"}, {"camera_id": 0}, {"camera_id": -1})
    for camera in cameras:
        for width, height in ((96, 64),) if camera else ((96, 64), (64, 48)):
            asked = {"render_mode": mode, "width": width, "height": height, **camera}
            envs = GaitVectorEnv(2, **asked)
            envs.reset(seed=3)
            together = envs.render()
            assert together is not None
            assert len(together) == 2
            for i, picture in enumerate(together):
                alone = GaitEnv(**asked)
                alone.reset(seed=3 + i)
                assert picture.shape == (height, width, 3)[: 3 if mode == "rgb_array" else 2]
                assert difference(picture, alone.render()) < 0.1
                alone.close()
            envs.close()
            pictures.append(together[0])
    if mode == "rgb_array":
        track, _, side, first, free = pictures
        assert difference(track, first) < 0.1  # "track" is camera 0, and the usual one
        assert min(difference(track, side), difference(track, free), difference(side, free)) > 1


def test_pictures_may_be_larger_than_the_models_buffers() -> None:
    env = GaitEnv(render_mode="rgb_array", width=1400, height=1000)
    assert drawn(env).shape == (1000, 1400, 3)
    env.close()


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"camera_name": "behind"}, "camera_name is 'behind', the model has track, side"),
        ({"camera_id": 99}, "camera_id is 99, allowed is a whole number of -1 to 1"),
        ({"camera_id": True}, "camera_id is True"),
        ({"camera_id": 0, "camera_name": "side"}, "give one of them"),
        ({"width": 0}, "width is 0"),
        ({"height": 10.5}, "height is 10.5"),
        ({"width": 10**9}, "width is 1000000000"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_both_forms(asked: dict, says: str) -> None:
    for make in (GaitEnv, lambda **kwargs: GaitVectorEnv(2, **kwargs)):
        with pytest.raises(ValueError, match=says):
            make(render_mode="rgb_array", **asked)


def test_an_edit_of_the_look_is_drawn() -> None:
    env = GaitEnv(**SMALL)
    before = drawn(env)
    env.model.geom_rgba[:] = [1.0, 0.0, 0.0, 1.0]
    env.model.geom_matid[:] = -1
    assert difference(env.render(), before) > 5
    env.close()


def test_a_camera_is_part_of_a_copy() -> None:
    import copy

    env = GaitEnv(**SMALL, camera_name="side")
    before = drawn(env)
    twin = copy.deepcopy(env)
    assert difference(twin.render(), before) < 0.1
    env.close(), twin.close()


def test_gymnasiums_vector_recorder_gets_a_picture_of_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for moviepy, which encodes what the recorder collects."""
    videos: list[list[np.ndarray]] = []

    class Clip:
        def __init__(self, frames: list[np.ndarray], fps: float) -> None:
            videos.append(list(frames))

        def write_videofile(self, path: str, logger: object = None) -> None: ...

    for name in ("moviepy", "moviepy.video", "moviepy.video.io", "moviepy.video.io.ImageSequenceClip"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    sys.modules["moviepy.video.io.ImageSequenceClip"].ImageSequenceClip = Clip  # type: ignore[attr-defined]
    plain = gymnasium.make_vec(
        "GaitNet/WildRobot-v0", 4, vectorization_mode="vector_entry_point", max_episode_steps=5, **SMALL
    )
    envs = RecordVideo(plain, str(tmp_path / "videos"), episode_trigger=lambda _: True)
    envs.reset(seed=0)
    for _ in range(4):
        envs.step(np.zeros((4, 9), np.float32))
    envs.close()
    (frames,) = videos
    assert len(frames) == 5
    assert {frame.shape for frame in frames} == {(2 * 64, 2 * 96, 3)}


def test_cameras_by_hand() -> None:
    model = GaitEnv().model
    assert [find_camera(model, None, None), find_camera(model, None, "side"), find_camera(model, -1, None)] == [
        0,
        1,
        -1,
    ]


def test_pictures_of_films_are_coarser_and_leave_the_model_alone() -> None:
    from gait_envs.models.robot import wildrobot
    from gait_envs.render import Offscreen

    robot = wildrobot()
    quality = robot.model.vis.quality
    asked = quality.offsamples, quality.shadowsize
    fine, fast = Offscreen(robot.model, 96, 64), Offscreen(robot.model, 96, 64, fast=True)
    assert (quality.offsamples, quality.shadowsize) == asked
    one, other = fine.frame(robot.home_qpos), fast.frame(robot.home_qpos)
    assert 0.0 < difference(one, other) < 10.0
    fine.close()
    fast.close()
