"""Tuples: the inputs of a muscle controller, stored for a network to learn from.

A tuple's row is the entries of JtA, the active torque τ − b and the passive torque b, all N·m and float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gait_envs.control.muscle import jta_entries
from gait_envs.control.static_optimization import share_torque
from gait_envs.models.muscles import Muscles
from gait_envs.simulation.muscles import Refresh


class Tuples(NamedTuple):
    """k tuples; views of their rows."""

    entries: np.ndarray  # (k, entries)
    torque: np.ndarray  # (k, d) active
    passive: np.ndarray  # (k, d)


def row_size(muscles: Muscles) -> int:
    """Numbers in one row of a buffer: the entries of JtA, and two torques per degree of freedom."""
    return len(muscles.entry_dof) + 2 * len(muscles.dofs)


def split_rows(rows: np.ndarray, muscles: Muscles) -> Tuples:
    """The parts of rows (k, row_size)."""
    entries, dofs = len(muscles.entry_dof), len(muscles.dofs)
    return Tuples(*np.split(rows, [entries, entries + dofs], axis=1))


def gather(refreshes: Sequence[Refresh], which: np.ndarray, muscles: Muscles) -> tuple[np.ndarray, np.ndarray]:
    """Of one control step, refresh `which` (n,) of each simulation, as rows (k, row_size) and ids (k,).

    A simulation that diverged has no such refresh, or one that is not finite, and is left out.
    """
    rows, ids = [np.zeros((0, row_size(muscles)), np.float32)], [np.zeros(0, np.int64)]
    for number, refresh in enumerate(refreshes):
        chosen = which[refresh.ids] == number
        passive = refresh.state.passive[chosen]
        parts = jta_entries(muscles, refresh.state.jta[chosen]), refresh.demand[chosen] - passive, passive
        rows.append(np.concatenate(parts, axis=1).astype(np.float32))
        ids.append(refresh.ids[chosen])
    found, whose = np.concatenate(rows), np.concatenate(ids)
    finite = np.isfinite(found).all(axis=1)
    return found[finite], whose[finite]


class Fit(NamedTuple):
    """How closely activations reproduce the torques of tuples."""

    residual: float  # root mean square of the torque missed, as share of that of the desired torque τ
    energy: float  # mean squared activation


def fit(tuples: Tuples, activations: np.ndarray, muscles: Muscles) -> Fit:
    """Of activations (k, m)."""
    missed = (_dense(tuples, muscles) @ activations[..., None])[..., 0] - tuples.torque
    desired = np.square(tuples.torque + tuples.passive, dtype=float).mean()
    return Fit(float(np.sqrt(np.square(missed).mean() / desired)), float(np.square(activations).mean()))


def best_activations(tuples: Tuples, muscles: Muscles) -> np.ndarray:
    """Those of static optimisation, (k, m)."""
    return share_torque(_dense(tuples, muscles), tuples.torque.astype(float)).activations


def _dense(tuples: Tuples, muscles: Muscles) -> np.ndarray:
    """JtA (k, d, m) float64."""
    jta = np.zeros((len(tuples.entries), len(muscles.dofs), len(muscles.names)))
    jta[:, muscles.entry_dof, muscles.entry_muscle] = tuples.entries
    return jta
