"""Where the soles of a robot are, by forward kinematics."""

from __future__ import annotations

import mujoco
import numpy as np

from gait_envs.models.robot import SOLES, Robot


def sole_positions(robot: Robot, qpos: np.ndarray) -> np.ndarray:
    """Centres (T, 4, 3) m of the undersides of the sole boxes, in `SOLES` order, in poses (T, nq)."""
    model, data = robot.model, mujoco.MjData(robot.model)
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
