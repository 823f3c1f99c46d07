"""Domain randomisation: masses, friction, servo gains, latency, pushes, slopes and bumps, drawn for every episode."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, NamedTuple

import numpy as np

from gait_envs.models.bumps import COUNT, bump_places
from gait_envs.models.bumps import JITTER as BUMP_JITTER
from gait_envs.models.muscles import PEAK_FORCE
from gait_envs.simulation.base import Simulation

FACTORS = (1e-3, 1e3)  # within which mass, friction and gains may be drawn
MOST_LATENCY = 100  # control steps: 2 s at 50 Hz
LONGEST, FASTEST = 1e6, 100.0  # s between pushes, m/s of a push
STEEPEST = 0.5  # rad
HIGHEST = 0.05  # m


@dataclass(frozen=True)
class RandomizeConfig:
    """Ranges drawn for each episode; `enabled` turns all of them on."""

    enabled: bool = False
    mass: tuple[float, float] = (0.9, 1.1)  # factor on every body's mass and inertia
    friction: tuple[float, float] = (0.6, 1.2)  # factor on the soles' sliding friction
    servo_gain: tuple[float, float] = (0.85, 1.15)  # factor on kp and kv of each servo, and on muscle forces
    latency: tuple[int, int] = (0, 1)  # control steps (20 ms at 50 Hz) between an action and its effect
    push_interval: float = 4.0  # s between pushes; 0 turns them off
    push_speed: float = 0.3  # m/s, maximum change of the root's horizontal velocity
    slope: float = 0.0  # rad, maximum inclination of the floor, rising in any direction; 0 draws none
    bumps: float = 0.0  # m, maximum height of ridges across the way, one every 0.35 m; 0 draws none

    def __post_init__(self) -> None:
        for key in ("mass", "friction", "servo_gain", "latency"):
            least, most = (0, MOST_LATENCY) if key == "latency" else FACTORS
            range_ = getattr(self, key)
            try:
                low, high = range_
                fits = bool(least <= low <= high <= most)  # neither is NaN
            except (TypeError, ValueError):
                fits = False
            if not fits:
                raise ValueError(f"randomize.{key} is {range_}, expected {least} <= low <= high <= {most}")
        for key, most in (("push_interval", LONGEST), ("push_speed", FASTEST), ("slope", STEEPEST), ("bumps", HIGHEST)):
            value: Any = getattr(self, key)
            real = isinstance(value, Real) and not isinstance(value, bool)
            if not (real and 0 <= value <= most):
                raise ValueError(f"randomize.{key} is {value}, allowed is 0 to {most:g}")

    @property
    def bumpy(self) -> bool:
        """Whether the floor has bumps, which the model must then have."""
        return self.enabled and self.bumps > 0


class Drawn(NamedTuple):
    """What tasks must know of the bodies and floors that were drawn for k episodes."""

    lag: np.ndarray  # (k,) control steps until an action acts
    down: np.ndarray  # (k, 3) unit vector of gravity, in the frame of the floor


class Randomizer:
    """Draws per-simulation model fields from each sub-environment's own generator; when disabled, it draws nothing."""

    def __init__(self, config: RandomizeConfig, physics: Simulation) -> None:
        self.config, self.physics = config, physics
        if not config.enabled:
            return
        model = physics.robot.model
        self._nominal = {
            name: getattr(model, name).copy()
            for name in ("body_mass", "body_inertia", "geom_friction", "actuator_gainprm", "actuator_biasprm")
        }
        self._fields = {name: physics.fields.own(name) for name in self._nominal}
        if config.slope > 0:  # the floor stays the plane z = 0; what is inclined is gravity
            self._fields["opt.gravity"] = physics.fields.own("opt.gravity")
        if config.bumpy:
            if len(physics.robot.bumps) == 0:
                raise ValueError(
                    f"randomize.bumps is {config.bumps}, but the model of {physics.robot.name} has none; "
                    "`load_robot(…, bumps=True)` adds them"
                )
            self._fields["geom_pos"] = physics.fields.own("geom_pos")

    def reset(self, ids: np.ndarray, rngs: list[np.random.Generator]) -> Drawn:
        """New bodies and floors for the sub-environments `ids`."""
        drawn = Drawn(np.zeros(len(ids), dtype=np.int64), np.tile([0.0, 0.0, -1.0], (len(ids), 1)))
        if not self.config.enabled:
            return drawn
        nominal, out, robot = self._nominal, self._fields, self.physics.robot
        bodies, servos = len(nominal["body_mass"]), len(nominal["actuator_gainprm"])
        for row, i in enumerate(ids):
            rng = rngs[i]
            mass = rng.uniform(*self.config.mass, bodies)
            gain = rng.uniform(*self.config.servo_gain, servos)
            out["body_mass"][i] = nominal["body_mass"] * mass
            out["body_inertia"][i] = nominal["body_inertia"] * mass[:, None]
            friction = nominal["geom_friction"].copy()
            friction[robot.soles, 0] *= rng.uniform(*self.config.friction)
            # A pair's friction is the larger of the two, so the floor must slide as the soles do.
            friction[[robot.floor, *robot.bumps], 0] = friction[robot.soles[0], 0]
            out["geom_friction"][i] = friction
            strength = self._strength(gain)
            out["actuator_gainprm"][i] = nominal["actuator_gainprm"] * strength
            out["actuator_biasprm"][i] = nominal["actuator_biasprm"] * strength
            low, high = self.config.latency
            drawn.lag[row] = rng.integers(low, high + 1)
            if self.config.slope > 0:
                drawn.down[row] = down_of(rng.uniform(0.0, self.config.slope), rng.uniform(-np.pi, np.pi))
                out["opt.gravity"][i] = np.linalg.norm(robot.model.opt.gravity) * drawn.down[row]
            if self.config.bumpy:
                shift, height = rng.uniform(0.0, [[BUMP_JITTER], [self.config.bumps]], (2, COUNT))
                out["geom_pos"][i, robot.bumps] = bump_places(shift, height)
        self.physics.set_const(ids)
        return drawn

    def _strength(self, gain: np.ndarray) -> np.ndarray:
        """Factors on each actuator's parameters (actuators, parameters): a servo's are all gains, a muscle's one."""
        factors = np.repeat(gain[:, None], self._nominal["actuator_gainprm"].shape[1], axis=1)
        muscles = self.physics.robot.muscles
        if muscles is not None:
            factors[muscles.actuators] = 1.0
            factors[muscles.actuators, PEAK_FORCE] = gain[muscles.actuators]
        return factors

    def push(self, rows: np.ndarray, steps: np.ndarray, rngs: list[np.random.Generator]) -> None:
        """Push those of the sub-environments `rows` that are due, `steps` (n,) control steps after reset."""
        if not (self.config.enabled and self.config.push_interval > 0):
            return
        period = max(1, round(self.config.push_interval / self.physics.robot.dt))
        due = rows[(steps[rows] > 0) & (steps[rows] % period == 0)]
        if len(due):
            angle, speed = np.array([rngs[i].uniform([-np.pi, 0.0], [np.pi, self.config.push_speed]) for i in due]).T
            self.physics.push(due, speed[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1))


def down_of(slope: float, uphill: float) -> np.ndarray:
    """Unit vector of gravity (3,) in the frame of a floor that rises by `slope` rad towards the angle `uphill`, rad."""
    return np.array([-np.sin(slope) * np.cos(uphill), -np.sin(slope) * np.sin(uphill), -np.cos(slope)])
