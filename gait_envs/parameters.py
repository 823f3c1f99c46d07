"""Parameters of a walker: mass, and how strong and how long each muscle is; chosen at a reset, 1 where they are not.

A parameter is a factor on the model's own value. What a stranger can measure of a walker is `known`; the muscles are
not. They go into fields of each simulation's own model, which muscle controllers read as well.

mass             of every segment, with its inertia
force.<muscle>   of the muscle's active and passive force: below 1 is weakness
length.<muscle>  of the path length at which the muscle does what it does, fibres and tendon: below 1 is a contracture
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gait_envs.models.muscles import PEAK_FORCE
from gait_envs.models.robot import Robot
from gait_envs.physics import Physics

RANGES = {"mass": (0.7, 1.4), "force": (0.1, 1.5), "length": (0.9, 1.1)}
Params = Mapping[str, Any]  # flat, {"force.left_soleus": 0.5}, or nested, {"force": {"left_soleus": 0.5}}


class ParamSpace:
    """The parameters of a body, in a fixed order: the known first."""

    def __init__(self, robot: Robot) -> None:
        muscles = robot.muscles.names if robot.muscles else ()
        self.names = ("mass", *(f"{kind}.{name}" for kind in ("force", "length") for name in muscles))
        self.low, self.high = np.array([RANGES[name.split(".")[0]] for name in self.names]).T.copy()
        self.default = np.ones(len(self.names))
        self.known = np.array([name == "mass" for name in self.names])
        self._index = {name: i for i, name in enumerate(self.names)}

    def values(self, params: Params) -> np.ndarray:
        """Every parameter's value (P,): as given, else its default; raises ValueError for a name or value that is not
        allowed.
        """
        values = self.default.copy()
        for name, value in _flat(params):
            if name not in self._index:
                near = [n for n in self.names if n.split(".")[0] == name.split(".")[0]] or ["mass", "force.<muscle>"]
                raise ValueError(f"unknown parameter {name!r}; known are {', '.join(near)}")
            i = self._index[name]
            number = np.asarray(value, dtype=object)
            if number.ndim or isinstance(value, str | bool) or not self.low[i] <= float(value) <= self.high[i]:
                raise ValueError(f"parameter {name} is {value!r}, allowed is {self.low[i]:g} to {self.high[i]:g}")
            values[i] = float(value)
        return values

    def normalize(self, params: Params) -> np.ndarray:
        """(value − low) / (high − low) of every parameter, (P,) float32 in [0, 1]: what a network is told."""
        return ((self.values(params) - self.low) / (self.high - self.low)).astype(np.float32)


def _flat(params: Params) -> list[tuple[str, Any]]:
    if not isinstance(params, Mapping):
        raise ValueError(f"params is {params!r}, expected a mapping of names to factors")
    out: list[tuple[str, Any]] = []
    for name, value in params.items():
        inner = value.items() if isinstance(value, Mapping) else None
        out += [(str(name), value)] if inner is None else [(f"{name}.{key}", v) for key, v in inner]
    return out


class Parameters:
    """Writes parameters into the models of a `Physics`; without any, it touches nothing."""

    def __init__(self, physics: Physics, usual: Params, *, drawn: bool) -> None:
        """`usual`: those of every episode that is not given its own.

        `drawn`: have the fields just been drawn when `reset` is called (see `Randomizer`)? Else they are the model's.
        """
        self.space, self.physics, self.usual, self.drawn = ParamSpace(physics.robot), physics, dict(usual), drawn
        self.space.values(usual)
        self._fields = ["body_mass", "body_inertia"]
        if physics.robot.muscles is not None:
            self._fields += ["actuator_gainprm", "actuator_biasprm", "actuator_lengthrange"]

    def reset(self, ids: np.ndarray, params: Sequence[Params | None]) -> None:
        """New bodies for the simulations `ids`, by the parameters of each (None: the usual ones)."""
        batch = self.physics.batch
        given = [self.usual if own is None else own for own in params]
        if not any(given) and not any(name in batch._expanded for name in self._fields):
            return
        values = np.stack([self.space.values(own) for own in given])
        for name in self._fields:
            drawn = self.drawn and name in batch._expanded and name != "actuator_lengthrange"
            field = batch.expand(name)
            nominal = field[ids] if drawn else getattr(self.physics.robot.model, name)
            field[ids] = nominal * self._factors(name, values, nominal.shape[-2:])
        batch.set_const(ids)

    def _factors(self, field: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Factors (k, ...) on a model's field."""
        if field == "body_mass":
            return values[:, :1]
        if field == "body_inertia":
            return values[:, :1, None]
        muscles = self.physics.robot.muscles
        assert muscles is not None
        force, length = np.split(values[:, 1:], 2, axis=1)
        factors = np.ones((len(values), *shape))
        if field == "actuator_lengthrange":
            factors[:, muscles.outputs] = length[:, :, None]
        else:
            factors[:, muscles.actuators, PEAK_FORCE] = force
        return factors
