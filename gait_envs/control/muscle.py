"""Joint torques of muscles, τ(a) = JtA a + b: linear in the activations a, with the posture and speed in JtA and b.

A muscle's force is its active force at full activation times a, plus a passive one; force times moment arm is torque.
The curves are those of MuJoCo's muscle actuator, batched here so that a controller gets them for every simulation at
once. Muscles pull: their forces are negative, and so a muscle that lengthens with a joint's angle turns it back.
"""

from __future__ import annotations

from dataclasses import dataclass

from gait_envs.control.sparse import dense
from gait_envs.models.muscles import Muscles
from gait_envs.rotations import Array, array_namespace

TINY = 1e-15  # MuJoCo's least divisor


@dataclass(frozen=True, eq=False)
class Curves:
    """What a muscle's force depends on beside length and speed; arrays (m,), or (n, m) where simulations differ."""

    peak: Array  # N, greatest active force
    optimum: Array  # m, fibre length of the greatest force
    slack: Array  # m, path length at which the fibre would have no length
    shortest: Array  # of the active force, in optima
    longest: Array  # of the active force, in optima
    fastest: Array  # optima a second, shortening without load
    eccentric: Array  # most active force while lengthening, in peaks
    passive_peak: Array  # N, greatest passive force
    passive_longest: Array  # in optima: the passive force turns linear half way from 1 to it
    passive_optimum: Array  # m, as `optimum`, of the passive curve
    passive_slack: Array  # m


def muscle_curves(gainprm: Array, biasprm: Array, lengthrange: Array, acc0: Array) -> Curves:
    """From MuJoCo's parameters (..., m, 10) and (..., m, 10), length ranges (..., m, 2) m and acc0 (..., m).

    All may hold a row for each simulation, as the arrays of `batch.expand` do.
    """
    peak, optimum, slack = _scale(gainprm, lengthrange, acc0)
    passive, passive_optimum, passive_slack = _scale(biasprm, lengthrange, acc0)
    return Curves(
        peak=peak,
        optimum=optimum,
        slack=slack,
        shortest=gainprm[..., 4],
        longest=gainprm[..., 5],
        fastest=gainprm[..., 6],
        eccentric=gainprm[..., 8],
        passive_peak=passive * biasprm[..., 7],
        passive_longest=biasprm[..., 5],
        passive_optimum=passive_optimum,
        passive_slack=passive_slack,
    )


def _scale(prm: Array, lengthrange: Array, acc0: Array) -> tuple[Array, Array, Array]:
    """Peak force N, optimal length m and slack length m; a muscle of negative force takes it from acc0."""
    xp = array_namespace(prm)
    least, most = prm[..., 0], prm[..., 1]
    peak = xp.where(prm[..., 2] < 0, prm[..., 3] / _positive(acc0), prm[..., 2])
    optimum = _positive((lengthrange[..., 1] - lengthrange[..., 0]) / _positive(most - least))
    return peak, optimum, lengthrange[..., 0] - least * optimum


def _positive(x: Array) -> Array:
    xp = array_namespace(x)
    return xp.maximum(x, xp.asarray(TINY))


def active_force(length: Array, velocity: Array, curves: Curves) -> Array:
    """Force at full activation (n, m), N, not positive; path lengths m and their speeds m/s, both (n, m)."""
    xp = array_namespace(length)
    stretch = (length - curves.slack) / curves.optimum
    speed = velocity / _positive(curves.optimum * curves.fastest)
    # Two parabolas on each side: from the top at 1, then, half way out, up from the end. `out` runs from 0 to 1.
    out = xp.maximum((1 - stretch) / _positive(1 - curves.shortest), (stretch - 1) / _positive(curves.longest - 1))
    out = xp.minimum(out, xp.asarray(1.0))
    of_length = xp.where(out < 0.5, 1 - 2 * out**2, 2 * (1 - out) ** 2)
    extra = curves.eccentric - 1
    shortening = xp.maximum(1 + speed, xp.asarray(0.0)) ** 2
    lengthening = 1 + extra - xp.maximum(extra - speed, xp.asarray(0.0)) ** 2 / _positive(extra)
    return -curves.peak * of_length * xp.where(speed <= 0, shortening, lengthening)


def passive_force(length: Array, curves: Curves) -> Array:
    """Force without activation (n, m), N, not positive, at path lengths (n, m), m."""
    xp = array_namespace(length)
    stretch = (length - curves.passive_slack) / curves.passive_optimum
    # A parabola from the optimum to half way towards the longest, then its tangent.
    out = xp.maximum(stretch - 1, xp.asarray(0.0)) / _positive(0.5 * (curves.passive_longest - 1))
    return -curves.passive_peak * xp.where(out <= 1, 0.5 * out**2, out - 0.5)


@dataclass(frozen=True, eq=False)
class TorqueMap:
    """τ(a) = JtA a + b of n simulations, on the d dofs that muscles move."""

    jta: Array  # (n, d, m) N·m at full activation
    passive: Array  # (n, d) N·m, b

    def torque(self, activations: Array) -> Array:
        """Torques (n, d), N·m, of activations (n, m)."""
        return (self.jta @ activations[..., None])[..., 0] + self.passive


def torque_map(muscles: Muscles, moment: Array, length: Array, velocity: Array, curves: Curves) -> TorqueMap:
    """The map at the current state, from a batch's arrays, which must be current (stage mjSTAGE_VEL or later).

    moment            (n, nJmom): `actuator_moment`
    length, velocity  (n, nout): `actuator_length` m and `actuator_velocity` m/s
    """
    n = len(moment)
    if length.shape != velocity.shape or len(length) != n or length.shape[1] <= muscles.outputs.max():
        raise ValueError(
            f"moment, length and velocity have shapes {moment.shape}, {length.shape} and {velocity.shape}; "
            f"expected {n} rows each and more than {muscles.outputs.max()} lengths"
        )
    if moment.shape[1] != muscles.moments:
        raise ValueError(f"moment has {moment.shape[1]} entries a simulation, the muscles' model has {muscles.moments}")
    length, velocity = length[:, muscles.outputs], velocity[:, muscles.outputs]
    arms = dense(moment, muscles.moment)
    passive = (arms @ passive_force(length, curves)[..., None])[..., 0]
    return TorqueMap(arms * active_force(length, velocity, curves)[:, None, :], passive)


def jta_entries(muscles: Muscles, jta: Array) -> Array:
    """The entries of JtA (n, entries) that a pose can make other than zero, always in the same order: for networks."""
    return jta[:, muscles.entry_dof, muscles.entry_muscle]
