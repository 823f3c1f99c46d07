"""Foot-slip correction of generated walks: a network's last two degrees in the legs are a centimetre at the sole, back
and forth within a stance.

Root and feet are offset, smoothly and closed over the cycle, by what takes the slip out of stance. The root takes what
both feet have in common, the legs are bent to the rest, and the feet keep their orientation.
"""

from __future__ import annotations

import functools

import numpy as np

from gait_envs.models.robot import humanoid
from gait_envs.models.soles import foot_kinematics
from gait_envs.reference.refnn.walks import CYCLE, from_coordinates

STANDS, SWINGS = 0.01, 0.02  # m above the foot's lowest place: below the first it stands, above the second it swings
# A foot that moves by two such shares of a stride from one phase to the next swings, however low it is. Strides of less
# than SHORT (m) count as that long.
FAST, SHORT = 1 / 60, 1.0
LEVEL = 0.005  # m above the lower part of its sole up to which the other part stands with it
# Weights, beside a squared slip of 1: of the offsets' second differences from phase to phase, and of the offsets
# themselves, of the root and of a foot beside it.
BEND, ROOT, FOOT = 0.03, 1e-3, 0.01
DAMPING = 1e-3  # (m/rad)², of inverse kinematics: a straight leg is not bent for a millimetre
LEG = ("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion", "ankle_dorsiflexion", "ankle_inversion",
       "ankle_rotation")  # fmt: skip
SIDES = ("left", "right")  # as in `foot_kinematics`


def without_slip(coordinates: np.ndarray, stride: float, scale: np.ndarray | None = None) -> np.ndarray:
    """A cycle (CYCLE, 56) whose standing feet slip less; it goes ahead by `stride` (m) as before.

    Offsets are a centimetre or two: one step of damped least squares bends the legs to them.

    scale: (segments,) of a body of other lengths
    """
    robot, out = humanoid(), coordinates.copy()
    legs = np.array([[robot.joint_names.index(f"{side}_{name}") for name in LEG] for side in SIDES])
    places, jacobians = foot_kinematics(robot, from_coordinates(coordinates), legs, scale)
    root, feet = corrections(np.swapaxes(places.reshape(CYCLE, 2, 2, 3), 0, 1), stride)
    for joints, own, way in zip(6 + legs, jacobians, feet, strict=True):
        push = np.concatenate([way, np.zeros((CYCLE, 4))], axis=1)  # neither up nor turned
        normal = np.swapaxes(own, 1, 2) @ own + DAMPING * np.eye(len(LEG))
        bent = out[:, joints] + np.linalg.solve(normal, np.swapaxes(own, 1, 2) @ push[..., None])[..., 0]
        out[:, joints] = np.clip(bent, robot.lower[joints - 6], robot.upper[joints - 6])
    out[:, :2] += root
    return out


def corrections(soles: np.ndarray, stride: float) -> tuple[np.ndarray, np.ndarray]:
    """Where to move the root, (CYCLE, 2) m, and each foot beside it, (2, CYCLE, 2) m.

    `soles` (2, CYCLE, 2, 3) m are the parts of each foot's sole. Least squares of what the feet slip from phase to
    phase as far as they stand, and of the offsets' bends and sizes.
    """
    step, bend = _differences()
    normal = np.kron(np.diag([ROOT, FOOT, FOOT]), np.eye(CYCLE)) + BEND * np.kron(np.eye(3), bend.T @ bend)
    right = np.zeros((3 * CYCLE, 2))
    for k, sole in enumerate(soles):
        slip, stands = _slip(sole, stride)
        moves = np.kron([1.0, k == 0, k == 1], step)  # the foot's step from phase to phase, of all three offsets
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
