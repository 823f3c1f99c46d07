"""Where the soles of a robot are, by forward kinematics."""

from __future__ import annotations

import copy

import mujoco
import numpy as np

from gait_envs.models.robot import SOLES, Robot
from gait_envs.models.segments import stretched


def resized(robot: Robot, scale: np.ndarray | None) -> mujoco.MjModel:
    """The robot's model, or a copy with other lengths, `scale` (segments,)."""
    if scale is None or (scale == 1.0).all():
        return robot.model
    model = copy.copy(robot.model)
    for field, values in stretched(model, robot.segments.factors(scale[None])).items():
        getattr(model, field)[:] = values[0]
    return model


def sole_positions(robot: Robot, qpos: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """Centres (T, 4, 3) m of the undersides of the sole boxes, in `SOLES` order, in poses (T, nq).

    scale: (segments,) of a body of other lengths
    """
    model = resized(robot, scale)
    data = mujoco.MjData(model)
    soles = robot.soles[: len(SOLES)]
    below = np.zeros((len(soles), 3))
    below[:, 2] = -model.geom_size[soles, 2]
    out = np.empty((len(qpos), len(soles), 3))
    for pose, row in zip(qpos, out, strict=True):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        turn = data.geom_xmat[soles].reshape(-1, 3, 3)
        row[:] = data.geom_xpos[soles] + (turn @ below[:, :, None])[..., 0]
    return out


def foot_jacobians(robot: Robot, qpos: np.ndarray, joints: np.ndarray, scale: np.ndarray | None = None) -> np.ndarray:
    """Jacobians (2, T, 6, k) of the left and the right foot, m and rad a rad, in poses (T, nq).

    joints: (2, k), numbers of the joints of each leg; scale: (segments,) of a body of other lengths
    """
    model = resized(robot, scale)
    data, whole = mujoco.MjData(model), np.zeros((6, model.nv))
    feet = model.geom_bodyid[robot.soles[[SOLES.index("left_heel"), SOLES.index("right_heel")]]]
    out = np.empty((2, len(qpos), 6, joints.shape[1]))
    for t, pose in enumerate(qpos):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        for own, foot, leg in zip(out, feet, joints, strict=True):
            mujoco.mj_jacBody(model, data, whole[:3], whole[3:], int(foot))
            own[t] = whole[:, 6 + leg]
    return out
