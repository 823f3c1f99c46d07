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
    model, out = resized(robot, scale), np.empty((len(qpos), len(SOLES), 3))
    data = mujoco.MjData(model)
    for pose, row in zip(qpos, out, strict=True):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        row[:] = _undersides(robot, model, data)
    return out


def foot_kinematics(
    robot: Robot, qpos: np.ndarray, joints: np.ndarray, scale: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """`sole_positions`, and the Jacobians (2, T, 6, k) of the left and the right foot, m and rad a rad.

    joints: (2, k), numbers of the joints of each leg
    """
    model = resized(robot, scale)
    data, whole = mujoco.MjData(model), np.zeros((6, model.nv))
    feet = model.geom_bodyid[robot.soles[[SOLES.index("left_heel"), SOLES.index("right_heel")]]]
    places, jacobians = np.empty((len(qpos), len(SOLES), 3)), np.empty((2, len(qpos), 6, joints.shape[1]))
    for t, pose in enumerate(qpos):
        data.qpos[:] = pose
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        places[t] = _undersides(robot, model, data)
        for own, foot, leg in zip(jacobians, feet, joints, strict=True):
            mujoco.mj_jacBody(model, data, whole[:3], whole[3:], int(foot))
            own[t] = whole[:, 6 + leg]
    return places, jacobians


def _undersides(robot: Robot, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    soles = robot.soles[: len(SOLES)]
    turn = data.geom_xmat[soles].reshape(-1, 3, 3)
    return np.asarray(data.geom_xpos[soles] - model.geom_size[soles, 2, None] * turn[:, :, 2])
