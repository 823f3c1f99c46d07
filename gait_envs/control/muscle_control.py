"""Muscle controllers by name: from a demand to activations.

`qp` distributes a desired torque by static optimisation, `nn` by a trained network; `direct` takes the action as the
activations. All have one form: a controller maps (`TorqueMap`, demand, memory) to (activations, memory). The memory is
an array with a row for each simulation that the caller keeps (and saves, and zeroes at a reset). One call is one
refresh; the desired torque comes from `StablePD.torque`, at the muscles' dofs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from gait_envs.control.muscle import TorqueMap, jta_entries
from gait_envs.control.static_optimization import WEIGHT, share_torque
from gait_envs.models.muscles import Muscles

# (entries of JtA (n, entries), active torque τ − b (n, d)), both N·m as they are, to activations (n, m).
Network = Callable[[np.ndarray, np.ndarray], np.ndarray]


class MuscleController(Protocol):
    """The interface of every controller."""

    takes_torque: bool  # is the demand a torque (n, d), N·m, on the muscles' dofs, or activations (n, m)?
    demand_size: int  # d or m
    memory_size: int  # k

    def __call__(self, state: TorqueMap, demand: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Activations (n, m) in [0, 1] and the new memory (n, k)."""


class StaticOptimization:
    """`qp`: least squared activations for the torque; remembers the multipliers as the next start."""

    takes_torque = True

    def __init__(self, muscles: Muscles, weight: float = WEIGHT) -> None:
        self.weight = weight
        self.demand_size = self.memory_size = len(muscles.dofs)

    def __call__(self, state: TorqueMap, demand: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shares = share_torque(
            state.jta, _checked(demand, state, self) - state.passive, weight=self.weight, start=memory
        )
        return shares.activations, shares.multipliers


class NetworkControl:
    """`nn`: a network's answer, cut to [0, 1].

    It sees the torque that is left for active forces, τ − b, so that what it must answer follows from what it sees.
    """

    takes_torque = True
    memory_size = 0

    def __init__(self, muscles: Muscles, network: Network) -> None:
        self.muscles, self.network = muscles, network
        self.demand_size = len(muscles.dofs)

    def __call__(self, state: TorqueMap, demand: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        entries = jta_entries(self.muscles, state.jta)
        activations = np.asarray(self.network(entries, _checked(demand, state, self) - state.passive), dtype=float)
        expected = (len(demand), len(self.muscles.names))
        if activations.shape != expected:
            raise ValueError(f"the network gave activations of shape {activations.shape}, expected {expected}")
        return np.clip(activations, 0.0, 1.0), memory


class Direct:
    """`direct`: the demand is the activations, cut to [0, 1]."""

    takes_torque = False
    memory_size = 0

    def __init__(self, muscles: Muscles) -> None:
        self.demand_size = len(muscles.names)

    def __call__(self, state: TorqueMap, demand: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.clip(_checked(demand, state, self), 0.0, 1.0), memory


CONTROLLERS: dict[str, type[StaticOptimization] | type[NetworkControl] | type[Direct]] = {
    "nn": NetworkControl,
    "qp": StaticOptimization,
    "direct": Direct,
}


def make_muscle_controller(name: str, muscles: Muscles, **options: Any) -> MuscleController:
    """A controller by name; `qp` takes `weight` in (N·m)⁻², `nn` takes `network`."""
    if name not in CONTROLLERS:
        raise ValueError(f"unknown muscle controller {name!r}; known are {', '.join(CONTROLLERS)}")
    known = {"nn": {"network"}, "qp": {"weight"}, "direct": set()}[name]
    unknown = sorted(set(options) - known)
    if unknown:
        raise ValueError(f"unknown option {unknown} of muscle controller {name!r}; known are {sorted(known)}")
    if name == "nn" and not callable(options.get("network")):
        raise ValueError("muscle controller 'nn' needs network=, a callable (entries of JtA, torque) to activations")
    return CONTROLLERS[name](muscles, **options)


def _checked(demand: np.ndarray, state: TorqueMap, controller: MuscleController) -> np.ndarray:
    expected = (len(state.passive), controller.demand_size)
    if demand.shape != expected:
        kind = "torques of the muscles' dofs" if controller.takes_torque else "activations"
        raise ValueError(f"the demand has shape {demand.shape}, expected {expected}: {kind}")
    return demand
