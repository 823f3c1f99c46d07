"""From a wish to activations: muscle controllers by name.

`qp` shares a wished torque by static optimisation, `nn` by a network that learned to, `direct` takes the action for the
activations. All have one form: a controller maps (`TorqueMap`, wish, memory) to (activations, memory), its memory being
an array with a row for each simulation that the caller keeps (and saves, and zeroes at a reset). One call is one
refresh; a wished torque comes from `StablePD.torque`, at the muscles' dofs.
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
    """What every controller offers."""

    wants_torque: bool  # is the wish a torque (n, d), N·m, on the muscles' dofs, or activations (n, m)?
    wish_size: int  # d or m
    memory_size: int  # k

    def __call__(self, state: TorqueMap, wish: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Activations (n, m) in [0, 1] and the new memory (n, k)."""


class StaticOptimization:
    """`qp`: least squared activations for the torque; remembers the multipliers as the next start."""

    wants_torque = True

    def __init__(self, muscles: Muscles, weight: float = WEIGHT) -> None:
        self.weight = weight
        self.wish_size = self.memory_size = len(muscles.dofs)

    def __call__(self, state: TorqueMap, wish: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shares = share_torque(state.jta, _checked(wish, state, self) - state.passive, weight=self.weight, start=memory)
        return shares.activations, shares.multipliers


class NetworkControl:
    """`nn`: a network's answer, cut to [0, 1].

    It sees the torque that is left for active forces, τ − b, so that what it must answer follows from what it sees.
    """

    wants_torque = True
    memory_size = 0

    def __init__(self, muscles: Muscles, network: Network) -> None:
        self.muscles, self.network = muscles, network
        self.wish_size = len(muscles.dofs)

    def __call__(self, state: TorqueMap, wish: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        entries = jta_entries(self.muscles, state.jta)
        activations = np.asarray(self.network(entries, _checked(wish, state, self) - state.passive), dtype=float)
        expected = (len(wish), len(self.muscles.names))
        if activations.shape != expected:
            raise ValueError(f"the network gave activations of shape {activations.shape}, expected {expected}")
        return np.clip(activations, 0.0, 1.0), memory


class Direct:
    """`direct`: the wish is the activations, cut to [0, 1]."""

    wants_torque = False
    memory_size = 0

    def __init__(self, muscles: Muscles) -> None:
        self.wish_size = len(muscles.names)

    def __call__(self, state: TorqueMap, wish: np.ndarray, memory: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.clip(_checked(wish, state, self), 0.0, 1.0), memory


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


def _checked(wish: np.ndarray, state: TorqueMap, controller: MuscleController) -> np.ndarray:
    expected = (len(state.passive), controller.wish_size)
    if wish.shape != expected:
        kind = "torques of the muscles' dofs" if controller.wants_torque else "activations"
        raise ValueError(f"the wish has shape {wish.shape}, expected {expected}: {kind}")
    return wish
