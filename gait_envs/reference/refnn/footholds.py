"""Feet that stand where a generated walk lets them slide: a network's last two degrees in the legs are a centimetre
at the sole, back and forth within a stance.

Root and feet make small detours, closed over the cycle and smooth, that take the slip out of the stances. The root
takes what both feet have in common, the legs are bent to the rest, and the feet keep their orientation.
"""

from __future__ import annotations

import functools

import mujoco
import numpy as np

from gait_envs.models.robot import Robot, humanoid
from gait_envs.models.soles import resized, sole_positions
from gait_envs.reference.refnn.walks import CYCLE, from_coordinates

STANDS, SWINGS = 0.01, 0.02  # m above the foot's lowest place: below the first it stands, above the second it swings
FAST, SHORT = 1 / 60, 1.0  # strides, of this length in m at least, from one phase to the next: a foot that moves twice
# as far swings, however low it is
LEVEL = 0.005  # m above the lower part of its sole up to which the other part stands with it
BEND, ROOT, FOOT = 0.03, 1e-3, 0.01  # weights of detours' second differences, and of their sizes, beside slip's
ROUNDS = 2  # of inverse kinematics: detours are a centimetre or two
DAMPING = 1e-3  # (m/rad)², of its least squares: a straight leg is not bent for a millimetre
LEG = ("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion", "ankle_dorsiflexion", "ankle_inversion",
       "ankle_rotation")  # fmt: skip
SIDES = ("left", "right")  # as in `sole_positions`


def planted(coordinates: np.ndarray, stride: float, scale: np.ndarray | None = None) -> np.ndarray:
    """A cycle (CYCLE, 56) whose standing feet slip less; it goes ahead by `stride` (m) as before.

    scale: (segments,) of a body of other lengths
    """
    robot, out = humanoid(), coordinates.copy()
    places = sole_positions(robot, from_coordinates(coordinates), scale).reshape(CYCLE, 2, 2, 3)
    root, feet = detours(np.swapaxes(places, 0, 1), stride)
    for side, way in zip(SIDES, feet, strict=True):
        _bend(out, side, way, robot, scale)
    out[:, :2] += root
    return out


def detours(soles: np.ndarray, stride: float) -> tuple[np.ndarray, np.ndarray]:
    """Where to move the root, (CYCLE, 2) m, and each foot beside it, (2, CYCLE, 2) m.

    `soles` (2, CYCLE, 2, 3) m are the parts of each foot's sole. Least squares of what the feet slip from phase to
    phase as far as they stand, and of the detours' bends and sizes.
    """
    step, bend = _differences()
    normal = np.kron(np.diag([ROOT, FOOT, FOOT]), np.eye(CYCLE)) + BEND * np.kron(np.eye(3), bend.T @ bend)
    right = np.zeros((3 * CYCLE, 2))
    for k, sole in enumerate(soles):
        slip, stands = _slip(sole, stride)
        moves = np.kron([1.0, k == 0, k == 1], step)  # the foot's step from phase to phase, of all three detours
        normal += moves.T @ (stands[:, None] * moves)
        right -= moves.T @ (stands[:, None] * slip)
    root, *feet = np.linalg.solve(normal, right).reshape(3, CYCLE, 2)
    return root, np.stack(feet)


def _slip(sole: np.ndarray, stride: float) -> tuple[np.ndarray, np.ndarray]:
    """What a foot moves to the next phase, (CYCLE, 2) m, and how far it stands meanwhile, (CYCLE,) 0 to 1."""
    height = sole[..., 2] - sole[..., 2].min()
    low = height.min(axis=1, keepdims=True)
    share = np.maximum(1.0 - (height - low) / LEVEL, 0.0)  # of each part, in where the foot stands
    share /= share.sum(axis=1, keepdims=True)
    change = np.roll(sole[..., :2], -1, axis=0) - sole[..., :2]
    change[-1, :, 0] += stride
    slip = ((share + np.roll(share, -1, axis=0))[..., None] * 0.5 * change).sum(axis=1)
    stands = np.clip((SWINGS - low[:, 0]) / (SWINGS - STANDS), 0.0, 1.0)
    slow = np.clip(2.0 - np.linalg.norm(slip, axis=1) / (FAST * max(stride, SHORT)), 0.0, 1.0)
    return slip, stands * np.roll(stands, -1) * slow


@functools.cache
def _differences() -> tuple[np.ndarray, np.ndarray]:
    """Matrices (CYCLE, CYCLE) of the first and the second differences of a closed cycle."""
    one = np.eye(CYCLE)
    step = np.roll(one, 1, axis=1) - one
    return step, step @ step


def _bend(coordinates: np.ndarray, side: str, way: np.ndarray, robot: Robot, scale: np.ndarray | None) -> None:
    """Bend one leg of a cycle (CYCLE, 56), in place, so that its foot is displaced by `way` (CYCLE, 2) m."""
    model = resized(robot, scale)
    data, foot = mujoco.MjData(model), int(model.geom_bodyid[model.geom(f"{side}_heel").id])
    joints = np.array([model.joint(f"{side}_{name}").dofadr[0] for name in LEG])
    lower, upper = robot.lower[joints - 6], robot.upper[joints - 6]
    jacobian, size = np.zeros((6, model.nv)), DAMPING * np.eye(len(joints))
    for pose, coordinate, towards in zip(from_coordinates(coordinates), coordinates, way, strict=True):
        data.qpos[:] = pose
        for i in range(ROUNDS):
            mujoco.mj_kinematics(model, data)
            mujoco.mj_comPos(model, data)
            if i == 0:
                place = data.xpos[foot] + [*towards, 0.0]
                turn = data.xquat[foot].copy()
            mujoco.mj_jacBody(model, data, jacobian[:3], jacobian[3:], foot)
            missed = np.concatenate([place - data.xpos[foot], _turned(turn, data.xquat[foot])])
            own = jacobian[:, joints]
            bent = data.qpos[joints + 1] + np.linalg.solve(own.T @ own + size, own.T @ missed)
            data.qpos[joints + 1] = np.clip(bent, lower, upper)
        coordinate[joints] = data.qpos[joints + 1]


def _turned(wanted: np.ndarray, quat: np.ndarray) -> np.ndarray:
    """The rotation (3,) rad in the world from `quat` to `wanted`."""
    out, local, inverse = np.zeros(3), np.zeros(4), np.zeros(4)
    mujoco.mju_negQuat(inverse, quat)
    mujoco.mju_mulQuat(local, wanted, inverse)
    mujoco.mju_quat2Vel(out, local, 1.0)
    return out
