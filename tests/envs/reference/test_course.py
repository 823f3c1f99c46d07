"""Where a clip leads: ahead, to the left, turning; in the body's own heading, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from helpers import drawn

from gait_envs.reference.course import course, describe, direction, seconds_of
from gait_envs.rotations import yaw_quat


def path(speed: tuple[float, float], turn: float, frames: int = 101, yaw: float = 0.0) -> np.ndarray:
    """qpos (T, 9) at 50 Hz: m/s ahead and to the left, rad/s, from a heading."""
    qpos = np.zeros((frames, 9))
    headings = yaw + turn * np.arange(frames) / 50
    qpos[:, 3:7] = yaw_quat(headings)
    middle = 0.5 * (headings[1:] + headings[:-1])
    ahead = np.stack([np.cos(middle), np.sin(middle)], axis=1)
    left = np.stack([-np.sin(middle), np.cos(middle)], axis=1)
    qpos[1:, :2] = np.cumsum(speed[0] * ahead + speed[1] * left, axis=0) / 50
    return qpos


@pytest.mark.parametrize("speed", [(0.5, 0.0), (-1.2, 0.0), (0.0, 0.46), (0.3, -0.2)])
@pytest.mark.parametrize(("turn", "yaw"), [(0.0, 0.0), (0.0, 2.5), (0.7, 3.0), (-2.0, -1.0)])
def test_course_is_that_of_the_body(speed: tuple[float, float], turn: float, yaw: float) -> None:
    rates = course(path(speed, turn, yaw=yaw), 50.0)
    assert rates.shape == (100, 3)
    np.testing.assert_allclose(rates, np.tile([*speed, turn], (100, 1)), atol=1e-9)


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ((0.5, 0.0, 0.0), "ahead"),
        ((-0.36, 0.02, 0.1), "back"),
        ((0.0, 0.46, 0.0), "left"),
        ((0.3, -0.3, 0.0), "ahead and right"),
        ((-0.3, -0.25, -0.5), "back and right, turning right"),
        ((0.01, 0.0, 0.9), "in place, turning left"),
        ((0.0, 0.0, 0.0), "in place"),
        ((0.051, 0.0, 0.19), "ahead"),
        ((0.03, 0.039, 0.21), "in place, turning left"),
    ],
)
def test_direction_in_words(rates: tuple[float, float, float], words: str) -> None:
    assert direction(*rates) == words


def test_seconds_of_clips() -> None:
    # 2.4 s: two seconds, the rest is too short; 0.2 s: one; 1.6 s: a second and its rest.
    clips = [drawn.clip(path((0.5, 0.0), 0.0, frames)) for frames in (121, 11, 81)]
    seconds = seconds_of(clips)
    np.testing.assert_allclose(seconds, np.tile([0.5, 0.0, 0.0], (5, 1)), atol=1e-9)
    assert describe("the reference", 3, seconds) == (
        "the reference, 3 clips, moves at 0.50 to 0.50 m/s ahead, 0.00 to 0.00 m/s to the left, "
        "0.00 to 0.00 rad/s turning left (seconds, 5th to 95th percentile)"
    )
