"""Small bumps on the floor: ridges across the way, rounded, most of each below the floor.

They are geoms of the world, at the same places in every simulation's model but with their own heights and places along
the way once these are drawn (`Randomizer`). Lying across, they are their own mirror images.
"""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

RADIUS = 0.03  # m; of a ridge 0.01 m high, 0.045 m of its breadth shows
REACH = 3.0  # m, to each side of the way
FIRST, APART, COUNT = 0.4, 0.35, 40  # m ahead, where episodes begin at 0, to 14 m
JITTER = 0.6  # of the distance between two


def with_bumps(scene: Path) -> mujoco.MjModel:
    """A scene with ridges below its floor, which touch and slide as it does."""
    spec = mujoco.MjSpec.from_file(str(scene))
    floor = spec.geom("floor")
    for i, place in enumerate(bump_places(np.zeros(COUNT), np.full(COUNT, -RADIUS))):
        spec.worldbody.add_geom(
            name=f"bump_{i}", type=mujoco.mjtGeom.mjGEOM_CAPSULE, pos=place, size=[RADIUS, REACH, 0.0],
            quat=[np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0],  # along y
            contype=floor.contype, conaffinity=floor.conaffinity, condim=floor.condim,
            friction=floor.friction, rgba=[0.55, 0.58, 0.61, 1.0],
        )  # fmt: skip
    # Its tree of bounds is made when the model is compiled, and would not know where a simulation has its ridges.
    spec.option.disableflags |= mujoco.mjtDisableBit.mjDSBL_MIDPHASE
    return spec.compile()


def bump_places(shift: np.ndarray, height: np.ndarray) -> np.ndarray:
    """Centres (COUNT, 3) m of ridges of these heights (COUNT,) m; `shift` (COUNT,): of the way to the next, forward."""
    ahead = FIRST + APART * (np.arange(COUNT) + shift)
    return np.stack([ahead, np.zeros(COUNT), height - RADIUS], axis=1)
