"""Triangles of primitive shapes, for viewers that take meshes.

As in the page's `geometry.js`: one ball, pulled apart at its equator and two meridians, is a sphere, an ellipsoid, a
capsule or a box with round edges.
"""

from __future__ import annotations

import numpy as np

from gait_envs.models.shapes import Shape

STEPS = 5  # of a quarter circle
BEVEL = 0.18  # of a box's least half size


def mesh(shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (k, 3) m in the geom's frame and triangles (m, 3), counterclockwise from outside."""
    a, b, c = shape.size
    if shape.kind == "cylinder":
        return _drum(a, b)
    points, corners, faces = _ball()
    if shape.kind == "box":
        bevel = BEVEL * min(shape.size)
        return points * bevel + corners * (np.array(shape.size) - bevel), faces
    size = (a, b, c) if shape.kind == "ellipsoid" else (a, a, a)
    half = (0.0, 0.0, b) if shape.kind == "capsule" else (0.0, 0.0, 0.0)
    return points * size + corners * half, faces


def _ball() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points (k, 3) of the unit sphere, the octant (k, 3) of ±1 that each belongs to, and triangles."""
    quarter = np.linspace(0.0, np.pi / 2, STEPS + 1)
    latitude = np.concatenate([np.pi / 2 - quarter, -quarter])
    longitude = np.concatenate([quarter + turn * np.pi / 2 for turn in range(4)])
    upper = np.repeat([1.0, -1.0], STEPS + 1)
    right, ahead = np.repeat([1.0, -1.0, -1.0, 1.0], STEPS + 1), np.repeat([1.0, 1.0, -1.0, -1.0], STEPS + 1)
    rows, columns = len(latitude), len(longitude)
    across = np.cos(latitude)[:, None]
    points = np.stack(
        [across * np.cos(longitude), across * np.sin(longitude), np.sin(latitude)[:, None] * np.ones(columns)], axis=-1
    )
    corners = np.stack(
        [np.tile(right, (rows, 1)), np.tile(ahead, (rows, 1)), upper[:, None] * np.ones(columns)], axis=-1
    )
    top, bottom = (np.arange(4) * (STEPS + 1) + row * columns for row in (0, rows - 1))
    ends = [top[[0, 1, 2]], top[[0, 2, 3]], bottom[[0, 2, 1]], bottom[[0, 3, 2]]]
    return points.reshape(-1, 3), corners.reshape(-1, 3), np.concatenate([_bands(rows, columns), ends])


def _drum(radius: float, half: float) -> tuple[np.ndarray, np.ndarray]:
    """A cylinder; its edges are doubled, so that they stay sharp under smooth shading."""
    angle = np.arange(4 * STEPS) * np.pi / (2 * STEPS)
    profile = np.array([[0, half], [radius, half], [radius, half], [radius, -half], [radius, -half], [0, -half]])
    across, up = profile[:, :1], profile[:, 1:]
    rings = np.stack([across * np.cos(angle), across * np.sin(angle), up * np.ones(len(angle))], axis=-1)
    return rings.reshape(-1, 3), _bands(len(profile), len(angle))


def _bands(rows: int, columns: int) -> np.ndarray:
    """Triangles between neighbouring rows of a closed grid, (m, 3)."""
    a = np.arange((rows - 1) * columns).reshape(rows - 1, columns)
    b, c = np.roll(a, -1, axis=1), a + columns
    return np.concatenate([np.stack([a, c, b], axis=-1), np.stack([b, c, np.roll(c, -1, axis=1)], axis=-1)]).reshape(
        -1, 3
    )
