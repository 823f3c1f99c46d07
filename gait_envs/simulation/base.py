"""The interface to the physics: what a task sees of n simulations, and what every backend must implement.

`BatchSimulation` (servos) and `MuscleSimulation` fulfil it with `mujoco.batch`. Another backend is one more class with
these methods, given to `Core(task, n, simulation=...)`; no task knows which one it runs on. See
docs/contracts/simulation.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gait_envs.models.robot import Robot

if TYPE_CHECKING:
    import mujoco

# Names of saved arrays that have changed since the first release: what was, what is. Read by `renamed` alone.
RENAMED = {"wished": "desired"}


@dataclass(frozen=True)
class MuscleReadings:
    """The m muscles of n bodies after a control step."""

    activation: np.ndarray  # (n, m) in [0, 1], since the last refresh
    effort: np.ndarray  # (n,) squared activations, mean over the muscles and over the control step
    desired: np.ndarray  # (n,) N·m, root mean square of the torques desired of the muscles over the control step
    residual: np.ndarray  # (n,) N·m, and of what was missing from them; both 0 where no torque is desired


@dataclass(frozen=True)
class State:
    """The state of n simulations after a control step; copies, safe to keep."""

    qpos: np.ndarray  # (n, nq) root position m, quaternion wxyz, joints rad
    qvel: np.ndarray  # (n, nv) root m/s in the world, root rad/s in the body, joints rad/s
    gyro: np.ndarray  # (n, 3) rad/s, body frame
    foot_force: np.ndarray  # (n, 4) N, left toe, left heel, right toe, right heel
    foot_pos: np.ndarray  # (n, 2, 3) m, centre of each sole
    foot_vel: np.ndarray  # (n, 2, 3) m/s
    torque: np.ndarray  # (n, nu) N·m about each joint of servos and muscles, over the last physics step
    body_pos: np.ndarray  # (n, bodies, 3) m, origins of the robot's bodies, the root first
    muscles: MuscleReadings | None = None  # None: the body has none

    def where(self, mask: np.ndarray, other: State) -> State:
        """Rows of `other` where the mask (n,) is true, of this one elsewhere."""
        theirs = other.arrays()
        pairs = {name: (ours, theirs[name]) for name, ours in self.arrays().items()}
        return State.of(
            {k: np.where(mask.reshape(-1, *[1] * (a.ndim - 1)), b, a) for k, (a, b) in pairs.items()},
        )

    def take(self, ids: np.ndarray) -> State:
        """The rows `ids` alone."""
        return State.of({name: value[ids] for name, value in self.arrays().items()})

    def arrays(self) -> dict[str, np.ndarray]:
        """Every array by name, those of the muscles among them: for saving."""
        own = {name: getattr(self, name) for name in PLAIN}
        return own if self.muscles is None else own | {name: getattr(self.muscles, name) for name in OF_MUSCLES}

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray]) -> State:
        """The inverse of `arrays`; raises KeyError for a missing array."""
        muscles = None
        if OF_MUSCLES[0] in arrays:
            muscles = MuscleReadings(**{name: arrays[name] for name in OF_MUSCLES})
        return cls(**{name: arrays[name] for name in PLAIN}, muscles=muscles)


OF_MUSCLES = tuple(f.name for f in fields(MuscleReadings))
PLAIN = tuple(f.name for f in fields(State) if f.name != "muscles")


def renamed(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """Saved arrays under today's names."""
    return {RENAMED.get(name, name): value for name, value in arrays.items()}


class ModelFields(Protocol):
    """Fields of the model that may differ from simulation to simulation: masses, friction, gains, muscles."""

    def __contains__(self, name: str) -> bool:
        """Whether each simulation has its own values of the field."""

    def own(self, name: str) -> np.ndarray:
        """The live values (n, ...), to be written to; each simulation's own from now on."""

    def values(self, name: str) -> np.ndarray:
        """The values (n, ...), or (1, ...) where all share them; not to be written to."""


class Simulation(Protocol):
    """n simulations of one robot. Rows are simulations, `ids` some of them; SI units.

    The same calls give the same bits, whatever n is and whatever the other rows do.
    """

    robot: Robot
    diverged: np.ndarray  # (n,) bool, became undefined or absurdly fast in the last step

    @property
    def fields(self) -> ModelFields:
        """The model's fields, per simulation."""

    def reset(self, ids: np.ndarray, qpos: np.ndarray, qvel: np.ndarray) -> None:
        """Start `ids` afresh at (k, nq) and (k, nv): no controls, no warm start, sensors at the new state."""

    def step(self, target: np.ndarray, ids: np.ndarray | None = None) -> None:
        """One control step of `ids` (None: all) towards the controls (n, controls); marks those that diverge."""

    def read(self) -> State:
        """A copy of the current state of all."""

    def push(self, ids: np.ndarray, velocity: np.ndarray) -> None:
        """Add a horizontal velocity (k, 2) m/s to the root: a push of m·v newton seconds."""

    def set_const(self, ids: np.ndarray | None = None) -> None:
        """Compute what follows from fields of `ids` (None: all) that were written."""

    def masses(self) -> np.ndarray:
        """Total mass of each simulation's body, (n,) kg."""

    def lowest_sole(self, qpos: np.ndarray, sim: int | None = None) -> float:
        """Height of the soles' lowest point in a pose (nq,), m, of the body of one simulation (None: the robot's)."""

    def own_model(self, sim: int) -> mujoco.MjModel:
        """The model of one simulation, with its segment lengths, for rendering; valid until the next call."""

    def write_model(self, sim: int, model: mujoco.MjModel) -> None:
        """Give a copy of the robot's model the lengths of one simulation, where any has its own."""

    def get_data(self, sim: int, data: mujoco.MjData | None = None) -> mujoco.MjData:
        """The state of one simulation as an `MjData`, written into `data` if given."""

    def write_data(self, sim: int, data: mujoco.MjData) -> bool:
        """Take over the state in an `MjData` that `get_data` gave; whether somebody has changed it since."""

    def get_state(self) -> dict[str, Any]:
        """Everything that the next step depends on, as arrays and plain values."""

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `get_state`, bit for bit."""
