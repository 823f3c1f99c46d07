"""Inverse dynamics of a walk whose contacts nobody measured: joint torques, and loads on the soles.

Sole boxes that are low and slow stand; the ground pushes at their corners, never pulls. What these pushes cannot
explain of the motion is left unexplained: a generated walk is not quite possible.
"""

from __future__ import annotations

import mujoco
import numpy as np

from gait_envs.models.robot import SOLES, Robot

LOW, SLOW = 0.02, 0.8  # m, m/s: a sole box stands while its lowest corner is lower, and its centre slower
FRICTION = 1.0
_RIDGE = 1e-3  # rather press with the whole sole than with a corner
_MOMENT = 0.1  # weight of a moment (N·m) beside a force (N)


def walking_torques(
    robot: Robot, qpos: np.ndarray, qvel: np.ndarray, loop: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Torques (T, joints) N·m and loads (T, 4) N, in `SOLES` order, of poses (T, nq) and velocities (T, nv).

    Torques are those of servos or muscles: what springs and damping of the joints give is not theirs to give.
    Frames are a control step apart; of a loop the last is the first again.
    """
    model, data = robot.model, mujoco.MjData(robot.model)
    soles = robot.soles[: len(SOLES)]
    size = model.geom_size[soles]
    corners = np.array([[x, y, -1.0] for x in (-1.0, 1.0) for y in (-1.0, 1.0)]) * size[:, None]  # (4, 4, 3)
    inner = qvel[:-1] if loop else qvel
    qacc = (
        (np.roll(inner, -1, 0) - np.roll(inner, 1, 0)) / (2 * robot.dt) if loop else np.gradient(qvel, robot.dt, axis=0)
    )
    qacc = np.concatenate([qacc, qacc[:1]]) if loop else qacc
    torque, load = np.zeros((len(qpos), model.nv - 6)), np.zeros((len(qpos), len(soles)))
    directions = np.array([[FRICTION, 0, 1], [-FRICTION, 0, 1], [0, FRICTION, 1], [0, -FRICTION, 1]], dtype=float)
    jacobian, bias, armature = np.zeros((3, model.nv)), np.zeros(model.nv), model.dof_armature.copy()
    if robot.traits.gains is not None:  # the body's, not what its stable PD servos left of it
        armature[6 + robot.servos] += model.opt.timestep**2 * robot.kp[robot.servos]
    weigh = np.array([1.0, 1.0, 1.0, _MOMENT, _MOMENT, _MOMENT])
    for t in range(len(qpos)):
        data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t], qvel[t], qacc[t]
        mujoco.mj_fwdPosition(model, data)
        mujoco.mj_fwdVelocity(model, data)
        mujoco.mj_rne(model, data, 1, bias)  # inertia, gravity and Coriolis forces
        need = bias + armature * qacc[t] - data.qfrc_passive
        places = data.geom_xpos[soles, None] + np.einsum(
            "kij,kcj->kci", data.geom_xmat[soles].reshape(-1, 3, 3), corners
        )
        pushes, owners = [], []
        for k, geom in enumerate(soles):
            body = int(model.geom_bodyid[geom])
            mujoco.mj_jac(model, data, jacobian, None, places[k].mean(axis=0), body)
            if places[k, :, 2].min() < LOW and np.linalg.norm(jacobian @ qvel[t]) < SLOW:
                for corner in places[k]:
                    mujoco.mj_jac(model, data, jacobian, None, corner, body)
                    pushes.append(directions @ jacobian)
                    owners += [k] * len(directions)
        if pushes:
            table = np.concatenate(pushes)  # (pushes, nv)
            share = _not_negative(weigh[:, None] * table[:, :6].T, weigh * need[:6])
            np.add.at(load[t], owners, share)
            need = need - share @ table
        torque[t] = need[6:]
    return torque, load


def _not_negative(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """x (k,) >= 0 that makes |a x - b|² + |ridge x|² least: the active set method of Lawson and Hanson (1974)."""
    gram, wanted = a.T @ a + _RIDGE**2 * np.eye(a.shape[1]), a.T @ b
    x, free = np.zeros(len(gram)), np.zeros(len(gram), dtype=bool)
    for _ in range(3 * len(gram)):
        slope = np.where(free, -np.inf, wanted - gram @ x)
        if slope.max() <= 1e-9 * np.abs(wanted).max():
            break
        free[np.argmax(slope)] = True
        while free.any():
            best = np.zeros(len(x))
            best[free] = np.linalg.solve(gram[np.ix_(free, free)], wanted[free])
            low = free & (best <= 0.0)
            if not low.any():
                x = best
                break
            x = x + np.min(x[low] / (x[low] - best[low])) * (best - x)
            free &= x > 1e-12
            x[~free] = 0.0
    return x
