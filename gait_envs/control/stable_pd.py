"""Stable proportional-derivative control, batched (J. Tan, K. Liu, G. Turk, "Stable Proportional-Derivative
Controllers", IEEE Computer Graphics and Applications 31(4), 2011).

An explicit PD force pulls towards the target from where the joint is; with steps of h seconds it overshoots, and the
simulation explodes, once h² kp + 2 h kd > 4 I, I being the joint's inertia. Stable PD pulls from where the joint will
be:

    τ = −kp (q + h q̇ − q_des) − kd (q̇ + h q̈)                                         (1)

The acceleration is not known yet. Put (1) into the equations of motion, (M + h B) q̈ = −c + passive + f + τ, where c is
`qfrc_bias`, B the joint damping that the integrator treats implicitly and f any other force, and solve for it:

    (M + h B + h kd) q̈ = −c + passive + f + p,    p = kp (q_des − q − h q̇) − kd q̇     (2)
    τ = p − h kd q̈                                                                    (3)

The simulated acceleration is then the q̈ of (2): the damping acts implicitly, through the inertia, and one joint is
stable while 3 h² kp < 4 I + 2 h kd. That takes f to be known. With contacts it must hold their forces, of which the
last step's are at hand (`qfrc_constraint`); left out, (2) takes a standing leg for one that swings free, and (3) gives
way by h kd times an acceleration that the floor prevents.

The same law without this module's work, by MuJoCo alone, is in `gait_envs.models.servos`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gait_envs.control.sparse import dense
from gait_envs.models.servos import joint_gains
from gait_envs.rotations import Array, array_namespace

if TYPE_CHECKING:
    import mujoco


def pd_force(error: Array, velocity: Array, kp: Array, kd: Array, dt: float) -> Array:
    """p of (2), N·m: `error` = q_des − q in rad, `velocity` in rad/s, gains in N·m/rad and N·m·s/rad."""
    return kp * (error - dt * velocity) - kd * velocity


def stable_pd(
    mass: Array,
    force: Array,
    error: Array,
    velocity: Array,
    kp: Array,
    kd: Array,
    dt: float,
    damping: Array | float = 0.0,
) -> Array:
    """Torques (n, nv) of stable PD, N·m; zero where both gains are.

    mass     (n, nv, nv) kg·m², the joint-space inertia
    force    (n, nv) N·m, −c + passive + f of (2)
    error    (n, nv) rad, q_des − q; anything where the gains are zero
    velocity (n, nv) rad/s
    kp, kd   (nv,) or (n, nv), N·m/rad and N·m·s/rad
    damping  (nv,) N·m·s/rad, B of (2): `dof_damping`, unless the integrator is RK4
    """
    xp = array_namespace(mass)
    p = pd_force(error, velocity, kp, kd, dt)
    implicit = (kd + damping) * dt + xp.zeros_like(velocity)
    inertia = mass + implicit[..., None] * xp.eye(mass.shape[-1], dtype=mass.dtype)
    acceleration = xp.linalg.solve(inertia, (force + p)[..., None])[..., 0]
    return p - dt * kd * acceleration


def mass_index(model: mujoco.MjModel) -> np.ndarray:
    """Where each element of the full inertia (nv, nv) lies in MuJoCo's sparse `M`; nC, one past its end, for zeros."""
    index = np.full((model.nv, model.nv), model.nC)
    rows = np.repeat(np.arange(model.nv), model.M_rownnz)
    index[rows, model.M_colind] = index[model.M_colind, rows] = np.arange(model.nC)
    return index


class StablePD:
    """Stable PD of a model's hinges and slides, on the arrays that `mujoco.batch` gives.

    The arrays must belong to one state: run `forward` or `step` with stage mjSTAGE_VEL before reading them.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        kp: np.ndarray,
        kd: np.ndarray,
        *,
        steps: int = 1,
        implicit_damping: bool = True,
    ) -> None:
        """Gains (nv,), N·m/rad and N·m·s/rad; both zero where nothing is driven, as at a free root.

        `steps`: for how many physics steps a torque is held; h is that long.
        `implicit_damping`: does the integrator treat the joints' own damping implicitly? All of MuJoCo's but RK4 do.
        """
        self.kp, self.kd = joint_gains(model, kp), joint_gains(model, kd)
        self.dt = steps * float(model.opt.timestep)
        self.damping = model.dof_damping.copy() if implicit_damping else np.zeros(model.nv)
        self.dofs = np.flatnonzero((self.kp > 0) | (self.kd > 0))  # (k,) the driven ones
        joints = model.dof_jntid[self.dofs]
        self._qpos = model.jnt_qposadr[joints]
        self._index = mass_index(model)
        self._entries = model.nC

    def error(self, target: Array, qpos: Array) -> Array:
        """q_des − q as (n, nv), rad, from target angles (n, k) of the driven dofs; zero elsewhere."""
        if target.shape != (len(qpos), len(self.dofs)):
            raise ValueError(f"targets have shape {target.shape}, expected {(len(qpos), len(self.dofs))}")
        error = np.zeros((len(qpos), len(self.kp)))
        error[:, self.dofs] = target - qpos[:, self._qpos]
        return error

    def torque(self, target: Array, qpos: Array, qvel: Array, mass: Array, force: Array) -> Array:
        """Torques (n, nv), N·m, that bring the driven dofs to `target` (n, k), rad.

        mass   (n, nC): the batch's `M`
        force  (n, nv): `qfrc_passive − qfrc_bias`, and `qfrc_constraint` of the last step where there are contacts
        """
        if mass.shape != (len(qpos), self._entries):
            raise ValueError(
                f"M has shape {mass.shape}, expected {(len(qpos), self._entries)}, in MuJoCo's sparse form"
            )
        full = dense(mass, self._index)
        error = self.error(target, qpos)
        try:
            return stable_pd(full, force, error, qvel, self.kp, self.kd, self.dt, self.damping)
        except np.linalg.LinAlgError:
            empty = np.flatnonzero(~mass.any(axis=1)).tolist()
            raise ValueError(
                f"the inertia of simulations {empty or 'in this batch'} is singular; a field of a batch is zero until "
                "the next call after it was bound: call forward() first"
            ) from None

    def torque_at(self, target: Array, qpos: Array, qvel: Array, qacc: Array) -> Array:
        """The law (1) at a known acceleration (n, nv): what native servos applied over the step from this state."""
        return pd_force(self.error(target, qpos), qvel, self.kp, self.kd, self.dt) - self.dt * self.kd * qacc
