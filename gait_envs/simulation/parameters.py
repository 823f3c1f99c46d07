"""Parameters of a walker: how it steps, how long and heavy it is, and its muscles; chosen at a reset, 1 where not.

A parameter is a factor on the model's or the reference's own value. What a stranger can measure of a walker is `known`;
the muscles are not. Those of the body go into fields of each simulation's own model, which muscle controllers read as
well; those of the step change the reference that is followed (`gait_envs.tasks.track`).

stride, cadence  how far the reference's root goes in a cycle, and how fast it is played; where a clip is followed
mass             of every segment, with its inertia
scale.<segment>  of the segment's length, on both sides; mass and muscle paths go along (`gait_envs.models.segments`)
force.<muscle>   of the muscle's active and passive force: below 1 is weakness
length.<muscle>  of the path length at which the muscle does what it does, fibres and tendon: below 1 is a contracture
"""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

import numpy as np

from gait_envs.models.muscles import PEAK_FORCE
from gait_envs.models.robot import Robot
from gait_envs.models.segments import stretched, stretched_inertia, stretched_mass
from gait_envs.simulation.base import Simulation

RANGES = {
    "stride": (0.7, 1.3),
    "cadence": (0.7, 1.3),
    "mass": (0.7, 1.4),
    "scale": (0.85, 1.15),
    "force": (0.1, 1.5),
    "length": (0.9, 1.1),
}
OF_STEPS = ("stride", "cadence")
UNKNOWN = ("force", "length")
Params = Mapping[str, Any]  # flat, {"force.left_soleus": 0.5}, or nested, {"force": {"left_soleus": 0.5}}


class ParamSpace:
    """The parameters of a body, in a fixed order: the known first."""

    def __init__(self, robot: Robot, *, follows: bool = False) -> None:
        """`follows`: does the body follow a reference, whose steps can be other?"""
        muscles = robot.muscles.names if robot.muscles else ()
        members = {"scale": robot.segments.names, "force": muscles, "length": muscles}
        self.names: tuple[str, ...] = ()
        self._of: dict[str, slice] = {}
        for kind in RANGES:
            if kind in members:
                names = tuple(f"{kind}.{name}" for name in members[kind])
            else:
                names = (kind,) if follows or kind not in OF_STEPS else ()
            self._of[kind] = slice(len(self.names), len(self.names) + len(names))
            self.names += names
        self.low, self.high = np.array([RANGES[_kind(name)] for name in self.names]).T.copy()
        self.default = np.ones(len(self.names))
        self.known = np.array([_kind(name) not in UNKNOWN for name in self.names])
        self._index = {name: i for i, name in enumerate(self.names)}

    def of(self, kind: str, values: np.ndarray) -> np.ndarray:
        """The columns of `values` (n, P) that hold a kind's parameters, such as all of `scale.<segment>`."""
        return values[:, self._of[kind]]

    def values(self, params: Params) -> np.ndarray:
        """Every parameter's value (P,): as given, else its default; raises ValueError for a name or value that is not
        allowed.
        """
        values = self.default.copy()
        for name, value in _flat(params):
            if name not in self._index:
                raise ValueError(f"unknown parameter {name!r}; known are {self._near(name)}")
            i = self._index[name]
            number = value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value
            real = isinstance(number, Real) and not isinstance(number, bool)
            if not (real and self.low[i] <= float(number) <= self.high[i]):  # NaN is refused too
                raise ValueError(f"parameter {name} is {value!r}, allowed is {self.low[i]:g} to {self.high[i]:g}")
            values[i] = float(number)
        return values

    def _near(self, name: str) -> str:
        """What may have been meant: the parameters of the same kind, else the kinds that there are."""
        kind = _kind(name)
        if kind in OF_STEPS and kind not in self._index:
            return f"{self._kinds()}; {' and '.join(OF_STEPS)} are of environments that follow a clip"
        same = self.names[self._of[kind]] if kind in self._of else ()
        return ", ".join(same) or self._kinds()

    def _kinds(self) -> str:
        shown = {"scale": "scale.<segment>", "force": "force.<muscle>", "length": "length.<muscle>"}
        return ", ".join(shown.get(kind, kind) for kind, at in self._of.items() if at.start < at.stop)

    def normalize(self, params: Params) -> np.ndarray:
        """(value − low) / (high − low) of every parameter, (P,) float32 in [0, 1]: what a network observes."""
        return ((self.values(params) - self.low) / (self.high - self.low)).astype(np.float32)


def _kind(name: str) -> str:
    return name.split(".")[0]


def _flat(params: Params) -> list[tuple[str, Any]]:
    if not isinstance(params, Mapping):
        raise ValueError(f"params is {params!r}, expected a mapping of names to factors")
    out: list[tuple[str, Any]] = []
    for name, value in params.items():
        inner = value.items() if isinstance(value, Mapping) else None
        out += [(str(name), value)] if inner is None else [(f"{name}.{key}", v) for key, v in inner]
    names = [name for name, _ in out]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"parameter {twice[0]} is given twice, flat and nested")
    return out


class Parameters:
    """Writes parameters into the models of a `Simulation`; without any, it touches nothing."""

    def __init__(self, physics: Simulation, space: ParamSpace, *, drawn: bool) -> None:
        """`drawn`: have the fields just been drawn when `reset` is called (see `Randomizer`)? Else they are the
        model's.
        """
        self.space, self.physics, self.drawn = space, physics, drawn

    def reset(self, ids: np.ndarray, values: np.ndarray) -> None:
        """New bodies for the simulations `ids`, by the values (k, P) of their parameters."""
        fields, muscles = self.physics.fields, self.physics.robot.muscles
        of = lambda kind: self.space.of(kind, values)  # noqa: E731
        other = lambda kind, name: name in fields or bool((of(kind) != 1.0).any())  # noqa: E731
        scaled = other("scale", "body_pos")
        muscular = scaled or other("force", "actuator_lengthrange") or other("length", "actuator_lengthrange")
        if not (muscular or other("mass", "body_mass")):
            return
        factors = self.physics.robot.segments.factors(of("scale"))
        mass = of("mass")
        self._write(ids, "body_mass", lambda nominal: nominal * mass * stretched_mass(factors))
        self._write(ids, "body_inertia", lambda nominal: stretched_inertia(nominal * mass[:, :, None], factors))
        if scaled:
            bumps = self.physics.robot.bumps
            for name, value in stretched(self.physics.robot.model, factors).items():
                own = fields.own(name)
                if name == "geom_pos" and self.drawn:  # bumps are no part of the body
                    value[:, bumps] = own[ids[:, None], bumps]
                own[ids] = value
        if muscles is not None and muscular:
            for name in ("actuator_gainprm", "actuator_biasprm"):
                strength = np.ones((len(ids), *getattr(self.physics.robot.model, name).shape))
                strength[:, muscles.actuators, PEAK_FORCE] = of("force")
                self._write(ids, name, lambda nominal, strength=strength: nominal * strength)
        self.physics.set_const(ids)
        if muscles is not None and muscular:
            self._write_lengths(ids, muscles.outputs, of("length"))

    def _write(self, ids: np.ndarray, name: str, changed: Any) -> None:
        """A field that may have been drawn: what `changed` makes of its nominal values (1 or k, ...)."""
        drawn = self.drawn and name in self.physics.fields
        field = self.physics.fields.own(name)
        field[ids] = changed(field[ids] if drawn else getattr(self.physics.robot.model, name)[None])

    def _write_lengths(self, ids: np.ndarray, at: np.ndarray, length: np.ndarray) -> None:
        """Muscles grow with their paths, as these are in the neutral pose of a body whose constants are set.

        So fibres of a scaled body are, in that pose, as long in their best lengths as those of the plain one.
        """
        fields, model = self.physics.fields, self.physics.robot.model
        grown = fields.own("actuator_length0")[ids][:, at] / model.actuator_length0[at]
        ranges = fields.own("actuator_lengthrange")
        ranges[ids[:, None], at] = model.actuator_lengthrange[at] * (grown * length)[:, :, None]
