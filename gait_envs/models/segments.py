"""Body segments of adjustable length, and the model fields that follow from the lengths.

A segment is stretched along one axis of its bodies' own frames, as rubber would be of which more is put in: every
point of it (joints of its children, path points, centres of mass and of shapes) goes along, the thickness stays and
so does the density. So a segment's mass grows as its length, and its inertia is that of the stretched solid. Boxes and
ellipsoids are stretched; capsules keep their radius, and their ends are moved; spheres and cylinders, around which
muscles bend, are only moved.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from gait_envs.models.traits import Traits
from gait_envs.rotations import quat_mul, quat_rotate

SHAPE = mujoco.mjtGeom


@dataclass(frozen=True, eq=False)
class Segments:
    """The k segments of a body with names; both sides of the body are alike."""

    names: tuple[str, ...]
    moved: np.ndarray  # (k, nbody, 3) bool: which coordinates in each body's own frame a scale multiplies
    leg: np.ndarray  # (k,) share of each in the height of the root above the soles of the straight body

    def factors(self, scale: np.ndarray) -> np.ndarray:
        """Factors (n, nbody, 3) on coordinates in each body's own frame, for scales (n, k)."""
        out = np.ones((len(scale), *self.moved.shape[1:]))
        for moved, own in zip(self.moved, scale.T, strict=True):
            out = np.where(moved, own[:, None, None], out)
        return out

    def leg_ratio(self, scale: np.ndarray) -> np.ndarray:
        """Height of the root of the straight body relative to the unscaled one, (n,), for scales (n, k)."""
        return 1.0 + (scale - 1.0) @ self.leg


def find_segments(model: mujoco.MjModel, traits: Traits) -> Segments:
    """The traits' segments in their model."""
    names = tuple(traits.segments)
    moved = np.zeros((len(names), model.nbody, 3), dtype=bool)
    for row, (axis, bodies) in zip(moved, traits.segments.values(), strict=True):
        for body in range(1, model.nbody):
            if model.body(body).name.removeprefix("left_").removeprefix("right_") in bodies:
                row[body, "xyz".index(axis)] = True
    if not names:
        return Segments(names, moved, np.zeros(0))
    # From the sole's centre up to the root: every step down is part of the body that it starts from.
    site = model.site(f"{traits.feet[0].split('_')[0]}_sole")
    body, drops = int(site.bodyid[0]), np.zeros(model.nbody)
    drops[body] = -site.pos[2]
    while (parent := int(model.body_parentid[body])) != 0:
        drops[parent] = -model.body_pos[body, 2]
        body = parent
    return Segments(names, moved, (moved[:, :, 2] @ drops) / drops.sum())


def stretched_body_pos(model: mujoco.MjModel, factors: np.ndarray) -> np.ndarray:
    """`body_pos` (n, nbody, 3): a body hangs where its parent's stretch puts it."""
    return model.body_pos * factors[:, model.body_parentid]


def stretched(model: mujoco.MjModel, factors: np.ndarray) -> dict[str, np.ndarray]:
    """Places and shapes by the model's field, (n, ...), for factors (n, nbody, 3); where these are 1, its own bits.

    Masses and inertias have functions of their own, as they may have been drawn.
    """
    of_geom, of_site = factors[:, model.geom_bodyid], factors[:, model.site_bodyid]
    geom_quat, geom_size = _shapes(model.geom_type, model.geom_quat, model.geom_size, of_geom)
    site_quat, site_size = _shapes(model.site_type, model.site_quat, model.site_size, of_site)
    # Bounds for the broad phase of collisions may be too large, never too small.
    most = np.maximum(of_geom.max(axis=2), 1.0)
    of_bound = factors[:, np.repeat(np.arange(model.nbody), model.body_bvhnum)]
    bounds = model.bvh_aabb[: of_bound.shape[1]]
    return {
        "body_pos": stretched_body_pos(model, factors),
        "body_ipos": model.body_ipos * factors,
        "geom_pos": model.geom_pos * of_geom,
        "geom_quat": geom_quat,
        "geom_size": geom_size,
        "geom_rbound": model.geom_rbound * most,
        "geom_aabb": np.concatenate(
            [np.broadcast_to(model.geom_aabb[:, :3], of_geom.shape), model.geom_aabb[:, 3:] * most[..., None]], axis=2
        ),
        "bvh_aabb": np.concatenate([bounds[:, :3] * of_bound, bounds[:, 3:] * np.maximum(of_bound, 1.0)], axis=2),
        "site_pos": model.site_pos * of_site,
        "site_quat": site_quat,
        "site_size": site_size,
    }


def stretched_mass(factors: np.ndarray) -> np.ndarray:
    """Factors (n, nbody) on the masses: the volume's."""
    return factors.prod(axis=2)


def stretched_inertia(inertia: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Moments (n, nbody, 3) kg·m² about the centres of mass, along the bodies' own axes, of stretched bodies.

    A moment is the sum of the squared distances along the two other axes; these grow with the stretch's square.
    """
    squares = 0.5 * inertia.sum(axis=2, keepdims=True) - inertia
    squares = squares * factors**2 * stretched_mass(factors)[..., None]
    grown = squares.sum(axis=2, keepdims=True) - squares
    return np.where((factors == 1.0).all(axis=2, keepdims=True), inertia, grown)


def _shapes(kind: np.ndarray, quat: np.ndarray, size: np.ndarray, factors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Orientations (n, k, 4) and sizes (n, k, 3) of shapes (k, ...) whose bodies are stretched by factors (n, k, 3)."""
    axes = quat_rotate(quat[:, None], np.eye(3)[None])  # (k, 3, 3), a row for each of the shape's own axes
    after = axes * factors[:, :, None, :]
    length = np.linalg.norm(axes, axis=2)
    grown = np.linalg.norm(after, axis=3) / length
    long = after[:, :, 2] / np.linalg.norm(after[:, :, 2], axis=2, keepdims=True)
    was = axes[:, 2] / length[:, 2:]
    is_capsule = (kind == SHAPE.mjGEOM_CAPSULE)[None, :, None]
    solid = np.isin(kind, (SHAPE.mjGEOM_BOX, SHAPE.mjGEOM_ELLIPSOID))[None, :, None]
    new_size = np.where(solid, size * grown, np.where(is_capsule, size * _second(grown[..., 2]), size))
    # The shortest turn that brings the capsule's old axis to its new one.
    dot = (was * long).sum(axis=2, keepdims=True)
    turn = np.concatenate([1.0 + dot, np.cross(np.broadcast_to(was, long.shape), long)], axis=2)
    turn /= np.linalg.norm(turn, axis=2, keepdims=True)
    return np.where(is_capsule, quat_mul(turn, np.broadcast_to(quat, turn.shape)), quat), new_size


def _second(factor: np.ndarray) -> np.ndarray:
    """(..., 3) that multiplies only the second size, a capsule's half length."""
    one = np.ones_like(factor)
    return np.stack([one, factor, one], axis=-1)
