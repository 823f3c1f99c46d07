"""What a retargeted clip is worth: how its feet stand, and whether a body could be carried by them."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.optimize import nnls

from gait_envs.motion.body import Body
from gait_envs.motion.clip import velocities
from gait_envs.motion.landmarks import SIDES
from gait_envs.rotations import quat_rotate

_SPREAD = 1e-3  # ridge of the load's distribution: rather press with the whole sole than with a corner
_FORCE_FIRST = np.array([10.0, 10.0, 10.0, 1.0, 1.0, 1.0])  # of force (N) and moment (N·m), in the fit of the load
_MOST = {"penetration_mm": 5.0, "slip_median": 0.02, "sole_error_mm": 10.0, "limit_violations": 0.0}


@dataclass(frozen=True)
class Poses:
    """Where the parts of a robot are over T frames, m."""

    joints: np.ndarray  # (T, 2, 3, 3) hip, knee and ankle of each leg
    trunk: np.ndarray  # (T, 2, 3) pelvis and chest
    ankle_quat: np.ndarray  # (T, 2, 4)
    corners: np.ndarray  # (T, contacts, 4, 3) lower corners of the soles' boxes

    @property
    def patches(self) -> np.ndarray:
        """Centres (T, contacts, 3) of the undersides of the soles' boxes."""
        return self.corners.mean(axis=2)


def robot_poses(qpos: np.ndarray, body: Body) -> Poses:
    """Forward kinematics of every frame."""
    data = mujoco.MjData(body.model)
    ids = [[body.model.body(getattr(body.legs[side], part)).id for part in ("hip", "knee", "ankle")] for side in SIDES]
    trunk = [body.model.body(body.tasks[key].body).id for key in ("pelvis", "chest")]
    ankles = [leg[2] for leg in ids]
    frames: list[tuple[np.ndarray, ...]] = []
    for q in qpos:
        data.qpos[:] = q
        mujoco.mj_kinematics(body.model, data)
        frames.append((data.xpos[ids], data.xpos[trunk], data.xquat[ankles]))
    joints, trunks, quats = (np.array(part) for part in zip(*frames, strict=True))
    local = body.corners  # (contacts a foot, 4, 3), alike on both feet
    placed = quat_rotate(quats[:, :, None, None], local) + joints[:, :, 2, None, None]
    return Poses(joints, trunks, quats, placed.reshape(len(qpos), -1, 4, 3))


@dataclass(frozen=True)
class Load:
    """What the ground and the servos would have to do for a body to move exactly so."""

    contact_force: np.ndarray  # (T, contacts) N, normal force under each contact geom
    torque: np.ndarray  # (T, joints) N·m
    missing_force: np.ndarray  # (T,) N that no push of the standing soles can give
    missing_moment: np.ndarray  # (T,) N·m about the root


def carry(qpos: np.ndarray, fps: float, contact: np.ndarray, body: Body) -> Load:
    """Inverse dynamics: the ground's pushes under standing soles (T, contacts) that explain the motion best.

    Pushes stay within a friction pyramid (coefficient 1) at the corners of the standing boxes; what they
    cannot explain is missing, and a real robot would fall by it. Forces are fitted before moments, so that
    the missing moment says how far outside the soles the ground would have to push.
    """
    model = body.model
    qvel = velocities(qpos, fps)
    qacc = np.gradient(qvel, 1.0 / fps, axis=0)
    corners = robot_poses(qpos, body).corners
    directions = np.array([[1, 0, 1], [-1, 0, 1], [0, 1, 1], [0, -1, 1]], dtype=float)
    ankle = np.repeat([model.body(body.legs[side].ankle).id for side in SIDES], len(body.corners))
    data = mujoco.MjData(model)
    jacobian = np.zeros((3, model.nv))
    out = Load(np.zeros(contact.shape), np.zeros((len(qpos), model.nv - 6)), np.zeros(len(qpos)), np.zeros(len(qpos)))
    flags = int(model.opt.disableflags)
    model.opt.disableflags = flags | mujoco.mjtDisableBit.mjDSBL_CONTACT
    try:
        for t in range(len(qpos)):
            data.qpos[:], data.qvel[:], data.qacc[:] = qpos[t], qvel[t], qacc[t]
            mujoco.mj_inverse(model, data)
            need = data.qfrc_inverse.copy()
            columns, owner = [], []
            for geom in np.flatnonzero(contact[t]):
                for corner in corners[t, geom]:
                    mujoco.mj_jac(model, data, jacobian, None, corner, ankle[geom])
                    columns.append(directions @ jacobian)  # (4, nv) generalised force of a unit push
                    owner += [geom] * len(directions)
            pushes = np.concatenate(columns) if columns else np.zeros((0, model.nv))
            share = np.zeros(len(pushes))
            if len(pushes):
                ridge = _SPREAD * np.eye(len(pushes))
                share, _ = nnls(
                    np.vstack([_FORCE_FIRST[:, None] * pushes[:, :6].T, ridge]),
                    np.r_[_FORCE_FIRST * need[:6], np.zeros(len(pushes))],
                )
                np.add.at(out.contact_force[t], owner, share)
            rest = need - share @ pushes
            out.torque[t] = rest[6:]
            out.missing_force[t], out.missing_moment[t] = np.linalg.norm(rest[:3]), np.linalg.norm(rest[3:6])
    finally:
        model.opt.disableflags = flags
    return out


def sliding(poses: Poses, contact: np.ndarray, fps: float) -> np.ndarray:
    """Horizontal speed (T - 1, contacts) m/s of each sole box between two frames; NaN unless it stands in both."""
    moved = np.linalg.norm(np.diff(poses.patches[..., :2], axis=0), axis=-1) * fps
    return np.where(contact[1:] & contact[:-1], moved, np.nan)


def measure(qpos: np.ndarray, fps: float, contact: np.ndarray, load: Load, body: Body) -> dict[str, float]:
    """Numbers of a clip: SI units unless the name says mm or percent.

    `slip` is the horizontal speed of the middle of a box that stands; `balance_mm` how far outside the
    standing soles the ground would have to push, on average; `load_percent` the part of the weight that
    the soles can carry where any stands.
    """
    poses = robot_poses(qpos, body)
    qvel = velocities(qpos, fps)
    joints = qpos[:, 7:]
    seconds = (len(qpos) - 1) / fps
    way = float(np.linalg.norm(np.diff(qpos[:, :2], axis=0), axis=1).sum())
    net = qpos[-1, :2] - qpos[0, :2]
    slip = sliding(poses, contact, fps)
    slip = slip[~np.isnan(slip)]
    feet = np.any(contact.reshape(len(contact), 2, -1), axis=2)  # (T, 2)
    steps = int((np.diff(feet.astype(int), axis=0) == 1).sum())
    lowest = poses.corners[..., 2].min(axis=2)
    beyond = np.maximum(body.lower - joints, joints - body.upper)
    weight = float(body.model.body_subtreemass[1] * np.linalg.norm(body.model.opt.gravity))
    strength = np.abs(body.model.actuator_forcerange).max(axis=1)
    driven = body.model.jnt_dofadr[body.model.actuator_trnid[:, 0]] - 6
    grounded = np.any(feet, axis=1)
    numbers = {
        "seconds": seconds,
        "speed": float(np.linalg.norm(net)) / seconds,
        "path_speed": way / seconds,
        "steps_per_minute": 60.0 * steps / seconds,
        "double_support_percent": 100.0 * float(np.all(feet, axis=1).mean()),
        "flight_percent": 100.0 * float((~grounded).mean()),
        "slip_median": float(np.median(slip)) if slip.size else 0.0,
        "slip_p95": float(np.percentile(slip, 95)) if slip.size else 0.0,
        "penetration_mm": 1e3 * max(0.0, -float(lowest.min())),
        "float_mm": 1e3 * float(np.maximum(lowest, 0.0)[contact].mean()) if contact.any() else 0.0,
        "limit_violations": float((beyond > 1e-6).sum()),
        "at_limit_percent": 100.0 * float((beyond > -1.5 * body.limit_margin).mean()),
        "joint_speed_max": float(np.abs(qvel[:, 6:]).max()),
        "torque_p99": float(np.percentile(np.abs(load.torque), 99)),
        "over_torque_percent": 100.0 * float((np.abs(load.torque[:, driven]) > strength).mean()),
        "load_percent": 100.0 * (1.0 - float(load.missing_force[grounded].mean()) / weight) if grounded.any() else 0.0,
        "balance_mm": 1e3 * float(load.missing_moment[grounded].mean()) / weight if grounded.any() else 0.0,
    }
    return {key: round(value, 6) for key, value in numbers.items()}


def faults(quality: dict[str, float]) -> list[str]:
    """What makes a clip unfit, in words; empty if nothing does."""
    found = [f"{key} is {quality[key]:.3g}, more than {most:g}" for key, most in _MOST.items()
             if quality.get(key, 0.0) > most]  # fmt: skip
    if quality["flight_percent"] >= 100.0:
        found.append("no foot ever stands")
    return found
