"""Mirrored clips: of every body, an involution, and refused where they are of another."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gait_envs.assets import asset_path
from gait_envs.models.mirror import mirror_of
from gait_envs.models.robot import Robot, humanoid, wildrobot
from gait_envs.reference.clip import Clip, ClipError, load_clip, velocities
from gait_envs.reference.course import course
from gait_envs.reference.mirror import mirror

CLIPS = {
    "wildrobot": (wildrobot, "motions/wildrobot_walk/walk_030_calm_0.npz"),
    "humanoid": (humanoid, "motions/human_walk/walk_100.npz"),
}


@pytest.fixture(params=CLIPS)
def clip_and_robot(request: pytest.FixtureRequest) -> tuple[Clip, Robot]:
    make, path = CLIPS[request.param]
    return load_clip(asset_path(path)), make()


def test_done_twice_it_is_the_clip(clip_and_robot: tuple[Clip, Robot]) -> None:
    clip, robot = clip_and_robot
    seen = mirror(clip, mirror_of(robot))
    again = mirror(seen, mirror_of(robot))
    assert seen.name == f"{clip.name}_mirrored"
    assert again.name == clip.name
    assert again.meta == clip.meta
    for key in ("qpos", "qvel", "contacts", "torque"):
        if getattr(clip, key) is not None:
            np.testing.assert_array_equal(getattr(again, key), getattr(clip, key))


def test_the_image_is_where_a_mirror_shows_it(clip_and_robot: tuple[Clip, Robot]) -> None:
    clip, robot = clip_and_robot
    tables = mirror_of(robot)
    seen = mirror(clip, tables)
    places = robot.body_positions(clip.qpos)
    np.testing.assert_allclose(robot.body_positions(seen.qpos), tables.body_positions(places), atol=1e-9)
    # Velocities are those of the mirrored positions.
    middle = slice(1, -1)
    same = velocities(clip.qpos, clip.fps) - clip.qvel
    image = velocities(seen.qpos, clip.fps) - seen.qvel
    np.testing.assert_allclose(image[middle], tables.qvel(same)[middle], atol=1e-9)


def test_loads_torques_and_figures_swap_sides() -> None:
    clip = load_clip(asset_path(CLIPS["wildrobot"][1]))
    torque = np.tile(np.arange(1.0, 10.0), (clip.frames, 1))
    forces = np.tile([1.0, 2.0, 3.0, 4.0], (clip.frames, 1))
    meta = {"quality": {"step_time_left": 0.4, "step_time_right": 0.5, "speed": 1.0}}
    seen = mirror(replace(clip, torque=torque, contacts=forces, meta=meta), mirror_of(wildrobot()))
    assert seen.contacts is not None
    assert seen.torque is not None
    np.testing.assert_array_equal(seen.contacts[0], [3, 4, 1, 2])
    np.testing.assert_array_equal(seen.torque[0], [-1, 6, 7, 8, 9, 2, 3, 4, 5])
    assert seen.meta["quality"] == {"step_time_left": 0.5, "step_time_right": 0.4, "speed": 1.0}


def test_figures_of_a_way_change_their_sign_and_keep_their_names() -> None:
    clip = load_clip(asset_path(CLIPS["wildrobot"][1]))
    quality = {
        "speed_ahead": 0.9,
        "speed_left": 0.2,
        "turn_rate": 0.3,
        "step_time_left": 0.5,
        "step_time_right": 0.6,
    }
    quick = {"waist_yaw": 1.0, "left_hip_roll": 2.0, "right_hip_roll": 3.0}
    meta = {"quality": quality, "quick_percent": quick, "command": [0.9, 0.2, 0.3], "subject": "left"}
    tables = mirror_of(wildrobot())
    seen = mirror(replace(clip, meta=meta), tables)
    assert seen.meta == {
        "quality": {
            "speed_ahead": 0.9, "speed_left": -0.2, "turn_rate": -0.3, "step_time_left": 0.6, "step_time_right": 0.5,
        },
        "quick_percent": {"waist_yaw": 1.0, "left_hip_roll": 3.0, "right_hip_roll": 2.0},
        "command": [0.9, -0.2, -0.3],
        "subject": "left",
    }  # fmt: skip
    assert mirror(seen, tables).meta == meta
    means = course(seen.qpos, seen.fps).mean(axis=0)  # what the image does is what its figures say
    np.testing.assert_allclose(means, course(clip.qpos, clip.fps).mean(axis=0) * [1, -1, -1], atol=1e-9)


def test_other_bodies_are_refused() -> None:
    clip = load_clip(asset_path(CLIPS["wildrobot"][1]))
    with pytest.raises(ClipError, match="joints differ"):
        mirror(clip, mirror_of(humanoid()))
    wide = replace(clip, contacts=np.ones((clip.frames, 8)))
    with pytest.raises(ClipError, match="contacts has 8 columns, a mirror swaps 4"):
        mirror(wide, mirror_of(wildrobot()))
