"""Quality of a retargeted clip: foot contact and dynamic feasibility."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.optimize import nnls

from gait_envs.biomechanics.events import step_figures
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.mocap.retarget.toes import toe_heights
from gait_envs.mocap.smoothness import smoothness
from gait_envs.reference.clip import velocities
from gait_envs.reference.course import COURSE, course
from gait_envs.rotations import quat_yaw

_SPREAD = 1e-3  # ridge of the load's distribution: rather press with the whole sole than with a corner
_FORCE_FIRST = np.array([10.0, 10.0, 10.0, 1.0, 1.0, 1.0])  # of force (N) and moment (N·m), in the fit of the load
_CARRIED = 0.1  # of the weight: a frame is not feasible if the soles' pushes leave more than that unexplained
_BALANCED = 0.05  # leg lengths: nor if the ground would have to push further than that outside the soles
_ENDS = 0.25  # s at either end of a clip, of which a capture that begins or ends with a flaw loses what it must
_WORSE = 1.5  # times as bad as the worst of the rest
_LOST = 0.4, 0.5  # leg lengths outside the soles, share of the weight: less is no such flaw
SHAKING = 10.0  # percentage points of the legs' power above 6 Hz beyond the capture's: the legs shake
# More than this makes a clip unfit, and why.
_MOST = {
    "penetration_mm": (5.0, "a sole is {:.1f} mm under the floor"),
    "slip_median": (0.02, "standing feet slide at {:.3f} m/s"),
    "limit_violations": (0.0, "{:.0f} joint angles are beyond their limits"),
    # Stamping people reach 55.
    "root_acceleration_max": (60.0, "the root leaps: its speed changes by {:.0f} m/s² from one frame to the next"),
    # Runs reach 28.
    "joint_leap_max": (30.0, "a joint leaps: its speed changes by {:.0f} rad/s from one frame to the next"),
    "quick_excess_percent": (SHAKING, "the legs shake: above 6 Hz is {:.0f} % more of their power than captured"),
}
# The same in millimetres a metre of leg: what is far for a small robot is near for a tall one.
_MOST_OF_LEG = {
    "sole_error_mm": (27.0, "the feet miss their places by {:.1f} mm on average: the joints cannot follow"),
    "ankle_path_mm": (67.0, "the ankles are {:.1f} mm off the captured path on average"),
}


@dataclass(frozen=True)
class Poses:
    """Where the parts of a robot are over T frames, m."""

    joints: np.ndarray  # (T, 2, 3, 3) hip, knee and ankle of each leg
    trunk: np.ndarray  # (T, 2, 3) pelvis and chest
    corners: np.ndarray  # (T, contacts, 4, 3) lower corners of the soles' boxes
    bones: np.ndarray  # (T, bones, 2, 3) both ends of the limbs' bones

    @property
    def patches(self) -> np.ndarray:
        """Centres (T, contacts, 3) of the undersides of the soles' boxes."""
        return self.corners.mean(axis=2)


def robot_poses(qpos: np.ndarray, body: Body) -> Poses:
    """Forward kinematics of every frame."""
    model = body.model
    data = mujoco.MjData(model)
    ids = [[model.body(getattr(body.legs[side], part)).id for part in ("hip", "knee", "ankle")] for side in SIDES]
    trunk = [model.body(body.tasks[key].body).id for key in ("pelvis", "chest")]
    geoms = [model.geom(name).id for name in body.contact_names]
    # Bodies first, then sites: one table of places that the ends of bones index.
    ends = np.array([[index + (kind == "site") * model.nbody for kind, index in bone.ends] for bone in body.bones])
    joints, trunks = np.empty((len(qpos), 2, 3, 3)), np.empty((len(qpos), 2, 3))
    places, turns = np.empty((len(qpos), len(geoms), 3)), np.empty((len(qpos), len(geoms), 3, 3))
    bones = np.empty((len(qpos), len(ends), 2, 3))
    for t, q in enumerate(qpos):
        data.qpos[:] = q
        mujoco.mj_kinematics(model, data)
        joints[t], trunks[t] = data.xpos[ids], data.xpos[trunk]
        places[t], turns[t] = data.geom_xpos[geoms], data.geom_xmat[geoms].reshape(-1, 3, 3)
        if len(ends):
            bones[t] = np.concatenate([data.xpos, data.site_xpos])[ends]
    return Poses(joints, trunks, places[:, :, None] + body.corners @ np.swapaxes(turns, -1, -2), bones)


@dataclass(frozen=True)
class Load:
    """Ground reaction and servo torques that the exact motion would require."""

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
    owners = [int(model.geom(name).bodyid[0]) for name in body.contact_names]
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
                    mujoco.mj_jac(model, data, jacobian, None, corner, owners[geom])
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
    """Figures of a clip: SI units unless the name says mm or percent; what each means is in docs/retargeting.md."""
    poses = robot_poses(qpos, body)
    qvel = velocities(qpos, fps)
    joints = qpos[:, 7:]
    seconds = (len(qpos) - 1) / fps
    way = float(np.linalg.norm(np.diff(qpos[:, :2], axis=0), axis=1).sum())
    net = qpos[-1, :2] - qpos[0, :2]
    slip = sliding(poses, contact, fps)
    slip = slip[~np.isnan(slip)]
    feet = np.any(contact.reshape(len(contact), 2, -1), axis=2)  # (T, 2)
    places = poses.patches.reshape(len(qpos), 2, -1, 3).mean(axis=2)[..., :2]
    lowest = poses.corners[..., 2].min(axis=2)
    beyond = np.maximum(body.lower - joints, joints - body.upper)
    grounded = np.any(feet, axis=1)
    rated = np.isfinite(body.strength)
    over = np.abs(load.torque) > body.strength
    missing = np.stack([load.missing_force, load.missing_moment])[:, grounded] / body.weight
    missing_force, missing_moment = missing.mean(axis=1) if grounded.any() else (1.0, 0.0)
    numbers = {
        "seconds": seconds,
        "speed": float(np.linalg.norm(net)) / seconds,
        "path_speed": way / seconds,
        **dict(zip(COURSE, course(qpos, fps).mean(axis=0).tolist(), strict=True)),
        **step_figures(feet, places, quat_yaw(qpos[:, 3:7]), fps),
        "double_support_percent": 100.0 * float(np.all(feet, axis=1).mean()),
        "flight_percent": 100.0 * float((~grounded).mean()),
        "slip_median": float(np.median(slip)) if slip.size else 0.0,
        "slip_p95": float(np.percentile(slip, 95)) if slip.size else 0.0,
        "penetration_mm": 1e3 * max(0.0, -float(lowest.min())),
        "toe_penetration_mm": 1e3 * float(np.maximum(0.0, -toe_heights(qpos, body.model, body.toes)).max(initial=0.0)),
        "float_mm": 1e3 * float(np.maximum(lowest, 0.0)[contact].mean()) if contact.any() else 0.0,
        "limit_violations": float((beyond > 1e-6).sum()),
        "at_limit_percent": 100.0 * float((beyond > -1.5 * body.limit_margin).mean()),
        "joint_speed_max": float(np.abs(qvel[:, 6:]).max()),
        "root_acceleration_max": fps**2 * float(np.linalg.norm(np.diff(qpos[:, :3], 2, axis=0), axis=1).max(initial=0)),
        "torque_p99": float(np.percentile(np.abs(load.torque), 99)),
        "over_torque_percent": 100.0 * float(over.mean()) * len(rated) / max(int(rated.sum()), 1),
        "load_percent": 100.0 * float(1.0 - missing_force),
        "balance_mm": 1e3 * float(missing_moment),
        "feasible_percent": 100.0 * float(feasible(load, body).mean()),
        **smoothness(qpos, fps, body),
    }
    return {key: round(value, 6) for key, value in numbers.items()}


def feasible(load: Load, body: Body) -> np.ndarray:
    """Frames (T,) that the body could do as they are: the ground carries it, balanced, and no servo is too weak.

    Its standing soles' pushes explain the force that the motion needs but for `_CARRIED` of the weight and
    its moment but for the weight at `_BALANCED` leg lengths, and no joint asks for more torque than it has.
    """
    carried = load.missing_force <= _CARRIED * body.weight
    balanced = load.missing_moment <= _BALANCED * body.leg_length * body.weight
    return carried & balanced & np.all(np.abs(load.torque) <= body.strength, axis=1)


def flawed_ends(load: Load, body: Body) -> tuple[int, int]:
    """How many frames at the start and at the end no ground could carry, though it carries the rest.

    Recordings may begin or end with markers that settle. What the pushes of standing soles cannot explain there is a
    flaw where it is `_WORSE` times the worst of what is between the ends. At most `_ENDS` are counted, of a clip at
    least four times as long.
    """
    most = int(_ENDS * body.fps)
    if len(load.torque) < 4 * most or most == 0:
        return 0, 0
    bad = np.zeros(len(load.torque), bool)
    units = (body.leg_length * body.weight, load.missing_moment), (body.weight, load.missing_force)
    for few, (unit, lost) in zip(_LOST, units, strict=True):
        bad |= lost > max(few * unit, _WORSE * lost[most:-most].max())
    first, last = np.flatnonzero(bad[:most]), np.flatnonzero(bad[-most:])
    return int(first[-1]) + 1 if first.size else 0, most - int(last[0]) if last.size else 0


def faults(quality: dict[str, float], body: Body) -> list[str]:
    """Why a clip is unfit, each reason with the figure and its limit; empty if it is fit."""
    bounds = _MOST | {key: (most * body.leg_length, words) for key, (most, words) in _MOST_OF_LEG.items()}
    found = [
        f"{words.format(quality[key])} ({key}, at most {most:.3g})"
        for key, (most, words) in bounds.items()
        if quality.get(key, 0.0) > most
    ]
    if quality["flight_percent"] >= 100.0:
        found.append("no foot ever stands")
    return found
