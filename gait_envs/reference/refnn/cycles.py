"""Whole gait cycles of the humanoid from a RefNN: poses, the way of the root, and what lies between two phases.

A cycle is a table of `CYCLE` poses at the phases i / CYCLE, from the right foot's touchdown on; one that goes on for
ever is moved by its stride at every turn. It walks straight ahead: sideways, only the sway within the cycle is kept.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gait_envs.reference.pose_features import POSE_LAYOUT, six_dof_to_pose
from gait_envs.reference.refnn.network import ReferenceNetwork
from gait_envs.reference.refnn.walks import CYCLE, to_coordinates

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
    qpos[..., :2] -= qpos[:, :1, :2]  # the root begins over the origin
    return Cycles(to_coordinates(qpos), stride)
