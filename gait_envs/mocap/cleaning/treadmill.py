"""The way of a walk on a treadmill, or of an animation "in place", whose root stays while its feet slide."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from gait_envs.errors import MotionError
from gait_envs.mocap.capture import Capture

FASTEST = 12.0  # m/s
_STRAIGHT = 0.8  # length of the mean of all headings, as unit vectors: less is somebody who turns about


def facing(across: np.ndarray) -> float | None:
    """The mean direction that the pelvis faces, rad from +x, by the line (T, 3) from its right to its left, z up; None
    where it turns about."""
    left = across[:, :2]
    mean = (left / np.maximum(np.linalg.norm(left, axis=1, keepdims=True), 1e-9)).mean(axis=0)
    return None if np.linalg.norm(mean) < _STRAIGHT else float(np.arctan2(-mean[0], mean[1]))


def moved_on(capture: Capture, speed: tuple[float, float], yaw: float | None) -> Capture:
    """A capture, in metres and z up, moved on at a speed (m/s ahead, to the left) in the direction it faces.

    A belt runs one way: a MotionError for a body that turns about, or whose direction is not known.
    """
    if yaw is None:
        raise MotionError(
            f"{capture.name}: a treadmill's speed goes straight where the body faces, but it turns about or its legs "
            f"are not known; retargeting goes by the excerpt that --start and --end choose"
        )
    ahead, left = speed
    velocity = np.array([ahead * np.cos(yaw) - left * np.sin(yaw), ahead * np.sin(yaw) + left * np.cos(yaw)])
    roots = np.flatnonzero(capture.skeleton.parents < 0)

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        at = 0
        for rotations, translations in capture.blocks(size):
            time = (at + np.arange(len(translations))) / capture.fps
            at += len(translations)
            moved = translations.copy()
            moved[:, roots, :2] += (time[:, None] * velocity)[:, None]
            yield rotations, moved

    return replace(capture, blocks=blocks)
