"""Cascaded subsumption: stacked RefNNs, of which a later one takes over as far as it is confident.

The first network knows ordinary walks and answers where nobody else does. Each further one was trained on walks that
those before do not know, such as weak muscles or short legs. Its confidence is exp(-(d / width)²), where d is
the root mean square distance between the joints' angles as they are and as it would have them, and 0 where a parameter
lies outside of its training data: it leads a walker that already moves as it expects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gait_envs.reference.pose_features import six_dof_to_pose
from gait_envs.reference.refnn.network import ReferenceNetwork
from gait_envs.rotations import wrap_angle

WIDTH = 0.2  # rad


class Blend(NamedTuple):
    """Poses of n walkers, and how much each network has to say in them."""

    poses: np.ndarray  # (n, 101)
    weights: np.ndarray  # (networks, n), which add up to 1


class Cascade:
    """RefNNs from the most ordinary to the most particular."""

    def __init__(self, networks: Sequence[ReferenceNetwork], width: float = WIDTH) -> None:
        if not networks:
            raise ValueError("a cascade needs at least one network")
        if not width > 0:
            raise ValueError(f"width is {width}, expected more than 0 rad")
        self.networks, self.width = tuple(networks), width

    def __call__(self, values: Mapping[str, np.ndarray | float], phase: np.ndarray, joints: np.ndarray) -> Blend:
        """Poses for parameters by name, (n,) or one for all, phases (n,), and the walkers' joint angles (n, 50) rad.

        A network is given the parameters that it knows; the first, those nearest in its range.
        """
        phase = np.asarray(phase, dtype=float)
        weights = np.zeros((len(self.networks), len(phase)))
        weights[0] = 1.0
        poses = np.zeros((0, 0))
        for k, network in enumerate(self.networks):
            params, inside = _told(network, values, len(phase))
            own = network(params, phase)
            if k == 0:
                poses = own
                continue
            trust = inside * self.confidence(own, joints)
            weights[:k] *= 1.0 - trust
            weights[k] = trust
            poses = poses + trust[:, None] * (own - poses)
        return Blend(poses, weights)

    def confidence(self, poses: np.ndarray, joints: np.ndarray) -> np.ndarray:
        """exp(-(d / width)²) (n,) of the distance d between the joints of poses (n, 101) and joints (n, 50) rad."""
        theirs = six_dof_to_pose(poses[:, None])[:, 0, 7:]
        distance = np.sqrt(np.mean(wrap_angle(theirs - joints) ** 2, axis=1))
        return np.asarray(np.exp(-((distance / self.width) ** 2)))


def _told(network: ReferenceNetwork, values: Mapping[str, np.ndarray | float], n: int) -> tuple[np.ndarray, np.ndarray]:
    """A network's parameters (n, P), moved into its range, and whether they were in it, (n,) bool."""
    facts = network.facts
    params = np.tile(facts.default, (n, 1))
    for name in set(values) & set(facts.names):
        params[:, facts.names.index(name)] = values[name]
    within = np.clip(params, facts.low, facts.high)
    return within, (within == params).all(axis=1)
