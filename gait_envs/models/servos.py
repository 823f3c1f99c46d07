"""Stable PD by MuJoCo itself: servos whose control is the target angle, one native call for any number of steps.

The law (see `gait_envs.control.stable_pd`), with f every other force, is the step

    (M + h kd) q̈ = f + kp (q_des − q − h q̇) − kd q̇

MuJoCo's integrators solve (M + h D + h² K) q̈ = f + (force at the start of the step) − h K q̇, each with its own idea of
which damping D and stiffness K enter. Three ways to make the two the same:

`euler`     D is the joints' damping and K = 0. So kd goes into the joint, and the servo has kp and the explicit
            velocity gain h·kp. Contact forces are solved with M alone, blind to the damping: where h·kd exceeds a
            limb's inertia they chatter.
`discrete`  D and K are the servos' own kd and kp, and −h K q̇ comes by itself; but h² kp enters the inertia (the law is
            backward Euler's then). So h² kp is taken off the joint's armature. Contacts are solved with the same
            matrix, and need no guess of their forces.

`implicitfast`  D is the servos' velocity gain and K = 0. With the gain kd + h·kp the force at the start is the law's,
            and h² kp enters the inertia: it is taken off the armature, as above. Contacts are solved with M alone. For
            models with muscles: the damping of their force-velocity curve is implicit too, and cheap, where `discrete`
            also takes their stiffness, couples joints by it, and solves by iterations that take five times as long.

All are the law to rounding while nothing touches and no force limit is reached; `discrete` also takes the joints' own
springs, if they have any, where the joint will be.
"""

from __future__ import annotations

import mujoco
import numpy as np

SCHEMES = {
    "discrete": mujoco.mjtIntegrator.mjINT_DISCRETE,
    "euler": mujoco.mjtIntegrator.mjINT_EULER,
    "implicitfast": mujoco.mjtIntegrator.mjINT_IMPLICITFAST,
}


def joint_gains(model: mujoco.MjModel, gain: np.ndarray) -> np.ndarray:
    """The gains (nv,), checked: one a dof, not negative, and none at a free or ball joint."""
    gain = np.array(gain, dtype=float)
    if gain.shape != (model.nv,):
        raise ValueError(f"gains have shape {gain.shape}, expected ({model.nv},): one a dof")
    if not (np.isfinite(gain).all() and (gain >= 0).all()):
        raise ValueError(f"gains must be finite and not negative; {_names(model, ~(gain >= 0))} are not")
    kinds = model.jnt_type[model.dof_jntid]
    turning = (kinds == mujoco.mjtJoint.mjJNT_FREE) | (kinds == mujoco.mjtJoint.mjJNT_BALL)
    if (gain[turning] > 0).any():
        raise ValueError(
            f"gains at {_names(model, turning & (gain > 0))}: stable PD drives hinges and slides; "
            "make a ball joint of three hinges"
        )
    return gain


def use_stable_pd_servos(model: mujoco.MjModel, kp: np.ndarray, kd: np.ndarray, scheme: str = "discrete") -> None:
    """Make joint actuators of a compiled model stable PD servos, in place; their controls are angles then, rad.

    kp and kd are (nv,), N·m/rad and N·m·s/rad. Actuators of dofs without gains stay what they are, as muscles do.
    `actuator_force` reports the force at the start of a step; what the law applied over the step is
    `StablePD.torque_at`. Force limits cut the former, which at a light and fast limb can be many times the latter (and
    with `euler` its spring only): lift them, or bound the targets, where the law is to hold.
    """
    if scheme not in SCHEMES:
        raise ValueError(f"unknown scheme {scheme!r}; known are {', '.join(SCHEMES)}")
    kp, kd, dt = joint_gains(model, kp), joint_gains(model, kd), model.opt.timestep
    driven = (kp > 0) | (kd > 0)
    servos = np.flatnonzero(model.actuator_trntype == mujoco.mjtTrn.mjTRN_JOINT)
    servos = servos[driven[model.jnt_dofadr[model.actuator_trnid[servos, 0]]]]
    dofs = model.jnt_dofadr[model.actuator_trnid[servos, 0]]
    count = np.bincount(dofs, minlength=model.nv)
    if (count[driven] != 1).any():
        raise ValueError(f"a joint with gains needs one actuator; {_names(model, driven & (count != 1))} have not one")
    unfit = servos[(model.actuator_gear[model.actuator_outadr[servos], 0] != 1.0) | (model.actuator_actnum[servos] > 0)]
    if len(unfit):
        names = [model.actuator(a).name for a in unfit]
        raise ValueError(f"actuators {names} have a gear other than 1 or an activation; a target angle needs neither")
    short = driven & (model.dof_armature < dt**2 * kp)
    if scheme != "euler" and short.any():
        raise ValueError(
            f"the {scheme} scheme takes h² kp off the armature, and {_names(model, short)} have less than the "
            f"{dt**2 * kp[short].max():.3g} kg·m² that takes: give them more, or scheme='euler'"
        )
    model.opt.integrator = SCHEMES[scheme]
    model.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_EULERDAMP)
    model.actuator_gaintype[servos] = mujoco.mjtGain.mjGAIN_FIXED
    model.actuator_biastype[servos] = mujoco.mjtBias.mjBIAS_AFFINE
    model.actuator_gainprm[servos, 0] = kp[dofs]
    model.actuator_biasprm[servos, 0], model.actuator_biasprm[servos, 1] = 0.0, -kp[dofs]
    model.actuator_ctrllimited[model.actuator_ctrladr[servos]] = False  # the limits were those of torques
    if scheme == "euler":
        model.actuator_biasprm[servos, 2] = -dt * kp[dofs]
        model.dof_damping += kd
    else:
        model.actuator_biasprm[servos, 2] = -kd[dofs] - (dt * kp[dofs] if scheme == "implicitfast" else 0.0)
        model.dof_armature -= dt**2 * kp


def _names(model: mujoco.MjModel, dofs: np.ndarray) -> list[str]:
    """Joints of the dofs where the mask (nv,) is true, each once."""
    return [model.joint(int(j)).name for j in np.unique(model.dof_jntid[dofs])]
