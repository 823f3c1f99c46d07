"""Whole gait cycles of the humanoid from a RefNN: poses, the way of the root, and what lies between two phases.

A cycle is a table of `CYCLE` poses at the phases i / CYCLE, from the right foot's touchdown on; one that goes on for
ever is moved by its stride at every turn. It walks straight ahead: sideways, only the sway within the cycle is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gait_envs.models.robot import humanoid
from gait_envs.reference.pose_features import POSE_LAYOUT, six_dof_to_pose
from gait_envs.reference.refnn.foot_slip import without_slip
from gait_envs.reference.refnn.network import ReferenceNetwork
from gait_envs.reference.refnn.walks import CYCLE, to_coordinates

HARMONICS = 8  # of a gait cycle: published joint angles have eight; what is above is a network's own unevenness
_STEP = POSE_LAYOUT.slices()["root_displacement"]


@dataclass(frozen=True)
class Cycles:
    """n gait cycles."""

    coordinates: np.ndarray  # (n, CYCLE, 56): see `walks.to_coordinates`
    stride: np.ndarray  # (n,) m that the root goes forward in a cycle

    def at(self, phase: np.ndarray, rows: np.ndarray | slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
        """Coordinates (k, 56) of `rows` at phases (k,) in cycles since the start, and their change a cycle.

        Catmull-Rom splines through the table, which is closed but for the stride.
        """
        table, stride = self.coordinates[rows], self.stride[rows]
        at = np.asarray(phase) * CYCLE
        whole = np.floor(at).astype(np.int64)
        share = (at - whole)[:, None]
        index = np.arange(len(table))
        points = []
        for k in (-1, 0, 1, 2):
            point = table[index, (whole + k) % CYCLE]
            point[:, 0] += (whole + k) // CYCLE * stride
            points.append(point)
        p0, p1, p2, p3 = points
        a, b, c = p2 - p0, 2 * p0 - 5 * p1 + 4 * p2 - p3, 3 * (p1 - p2) + p3 - p0
        value = p1 + 0.5 * share * (a + share * (b + share * c))
        rate = 0.5 * CYCLE * (a + share * (2 * b + share * 3 * c))
        return value, rate


def make_cycles(network: ReferenceNetwork, params: np.ndarray) -> Cycles:
    """The cycles of n walkers with parameters (n, P), from one batched pass of the network."""
    n = len(params)
    phase = np.tile(np.arange(CYCLE) / CYCLE, n)
    poses = network(np.repeat(params, CYCLE, axis=0), phase).reshape(n, CYCLE, POSE_LAYOUT.size)
    steps = poses[..., _STEP]
    stride = steps[..., 0].sum(axis=1)
    steps[..., 1] -= steps[..., 1].mean(axis=1, keepdims=True)
    qpos = six_dof_to_pose(poses)
    coordinates = hold_still(network, params, smoothed(to_coordinates(qpos), stride))
    rows = zip(coordinates, stride, _scales(network, params), strict=True)
    coordinates = smoothed(np.stack([without_slip(*row) for row in rows]), stride)
    coordinates[..., :2] -= coordinates[:, :1, :2]  # the root begins over the origin
    return Cycles(coordinates, stride)


def _scales(network: ReferenceNetwork, params: np.ndarray) -> list[np.ndarray | None]:
    """Lengths (segments,) of n walkers; None of a network that knows no other lengths."""
    names = [f"scale.{segment}" for segment in humanoid().segments.names]
    if not set(names) <= set(network.facts.names):
        return [None] * len(params)
    return list(params[:, [network.facts.names.index(name) for name in names]])


def hold_still(network: ReferenceNetwork, params: np.ndarray, coordinates: np.ndarray) -> np.ndarray:
    """Cycles (n, CYCLE, 56) whose joints are exactly still where no simulated walker moves them; people do.

    A policy that never saw a joint move takes the network's last tenth of a degree for something unheard of.
    """
    names, held = network.facts.names, network.facts.held
    simulated = params[:, names.index("captured")] == 0 if "captured" in names else np.ones(len(params), dtype=bool)
    still = np.isfinite(held) & simulated[:, None, None]
    joints = np.where(still, np.where(np.isfinite(held), held, 0.0), coordinates[..., 6:])
    return np.concatenate([coordinates[..., :6], joints], axis=-1)


def smoothed(coordinates: np.ndarray, stride: np.ndarray, harmonics: int = HARMONICS) -> np.ndarray:
    """Cycles (n, CYCLE, 56) without what changes faster than `harmonics` times a cycle; they stay closed."""
    way = np.zeros_like(coordinates)
    way[..., 0] = stride[:, None] * np.arange(CYCLE) / CYCLE
    spectrum = np.fft.rfft(coordinates - way, axis=1)
    spectrum[:, harmonics + 1 :] = 0.0
    return np.fft.irfft(spectrum, n=CYCLE, axis=1) + way
