"""The humanoid's pose as 101 numbers without a jump: rotations as two rows of their matrix, hinges as angles.

Forward GaitNet learns in these. Its order is kept; its vertical axis is not: z is up here, so 6 and 7 hold
the root's horizontal displacement since the frame before, in the world, and 8 its height. The network that makes
references from a walker's parameters (`gait_envs.reference.refnn`) is trained on these; its output becomes `qpos` here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gait_envs.euler import euler_from_quat, quat_from_euler
from gait_envs.layout import Layout, Row
from gait_envs.rotations import matrix_to_six_dof, quat_from_matrix, quat_to_matrix, six_dof_to_matrix, wrap_angle


class Part(NamedTuple):
    """A joint: its hinges' axes from the trunk outwards, three for a ball joint, and their signs."""

    name: str
    axes: str  # such as "yxz"
    signs: tuple[float, ...]  # -1.0 where the hinge turns about the negative axis


def _part(name: str, hinges: str, side: str | None = None) -> Part:
    """A joint from its hinges' axes as the left side has them ("-y +x -z"); a mirror reverses x and z."""
    words = hinges.split()
    axes = "".join(word[1] for word in words)
    signs = tuple(-1.0 if (word[0] == "-") != (side == "right" and word[1] != "y") else 1.0 for word in words)
    return Part(name if side is None else f"{side}_{name}", axes, signs)


def _limb(side: str, joints: dict[str, str]) -> tuple[Part, ...]:
    return tuple(_part(name, hinges, side) for name, hinges in joints.items())


_LEG = {"hip": "-y +x -z", "knee": "+y", "ankle": "-y -x -z", "big_toe": "-y", "small_toes": "-y"}
_ARM = {"shoulder": "-z +x -y", "arm": "-y +x -z", "elbow": "-y", "hand": "-z -y -x"}
_TRUNK = ("spine", "torso", "neck", "head")

# The joints after the root, in the order of the coordinates.
PARTS = (
    *_limb("right", _LEG),
    *_limb("left", _LEG),
    *(_part(name, "+y +x +z") for name in _TRUNK),
    *_limb("right", _ARM),
    *_limb("left", _ARM),
)
POSE_LAYOUT = Layout(
    (
        Row("root_rotation", 6, "1", "first two rows of the root's rotation matrix"),
        Row("root_displacement", 2, "m", "of the root since the frame before, world x and y"),
        Row("root_height", 1, "m", "of the root above the floor"),
        *(
            Row(part.name, 6, "1", "first two rows of the joint's rotation matrix")
            if len(part.axes) == 3
            else Row(part.name, 1, "rad", "angle")
            for part in PARTS
        ),
    )
)
COORDINATES = 7 + sum(len(part.axes) for part in PARTS)  # of qpos: 3 m, a quaternion, angles
# Of a ball joint's first hinge: holds every joint's range, an arm's half turn forward too.
_CENTRE = np.pi / 3


def pose_to_six_dof(qpos: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """Poses (..., T, 57) of the humanoid as (..., T, 101).

    `before` (..., 2) is the root's x and y a frame before the first; without it the first displacement is zero.
    """
    _check(qpos, COORDINATES, "qpos")
    place = qpos[..., :2]
    before = place[..., :1, :] if before is None else np.asarray(before)[..., None, :]
    steps = np.diff(place, axis=-2, prepend=np.broadcast_to(before, (*place.shape[:-2], 1, 2)))
    columns = [matrix_to_six_dof(quat_to_matrix(qpos[..., 3:7])), steps, qpos[..., 2:3]]
    start = 7
    for part in PARTS:
        angles = qpos[..., start : start + len(part.axes)]
        start += len(part.axes)
        if len(part.axes) == 3:
            angles = matrix_to_six_dof(quat_to_matrix(quat_from_euler(angles * part.signs, part.axes)))
        columns.append(angles)
    return np.concatenate(columns, axis=-1)


def six_dof_to_pose(pose: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """Poses (..., T, 101) as qpos (..., T, 57): the inverse of `pose_to_six_dof`.

    `before` (..., 2) is where the root was a frame before the first, by default the origin. Six numbers that
    are no two rows of a rotation, as a network gives them, are made so by Gram-Schmidt. The root's quaternion
    comes with w ≥ 0.
    """
    _check(pose, POSE_LAYOUT.size, "pose")
    rows = POSE_LAYOUT.slices()
    place = np.cumsum(pose[..., rows["root_displacement"]], axis=-2)
    place = place + (0.0 if before is None else np.asarray(before)[..., None, :])
    columns = [place, pose[..., rows["root_height"]], _quaternion(pose[..., rows["root_rotation"]])]
    for part in PARTS:
        values = pose[..., rows[part.name]]
        if len(part.axes) == 3:
            values = euler_from_quat(_quaternion(values), part.axes) * part.signs
            first = wrap_angle(values[..., :1] - _CENTRE) + _CENTRE
            values = np.concatenate([first, values[..., 1:]], axis=-1)
        columns.append(values)
    return np.concatenate(columns, axis=-1)


def _quaternion(rows: np.ndarray) -> np.ndarray:
    return quat_from_matrix(six_dof_to_matrix(rows))


def _check(array: np.ndarray, size: int, name: str) -> None:
    if array.ndim < 2 or array.shape[-1] != size:
        raise ValueError(f"{name} has shape {array.shape}, expected (..., T, {size})")
