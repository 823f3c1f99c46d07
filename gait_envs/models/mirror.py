"""The mirror image of a robot in its x-z plane: which numbers swap sides, and which change sign.

Everything follows from the model. Bodies, joints, muscles and soles pair by the sides in their names; a joint's sign
says how its axis compares with the reflected axis of its partner. A rotation axis is an axial vector, so a mirror keeps
its y and reverses its x and z; positions and velocities are polar vectors, of which it reverses y.

    tables = mirror_of(robot)
    tables.qpos(qpos), tables.joints(torque), tables.layout(task.layout, previous_action=...)(observation)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from gait_envs.errors import GaitNetError
from gait_envs.layout import Layout
from gait_envs.models.robot import FEET, SOLES, TOES, Robot

_CLOSE = 1e-6  # m, rad and unit vectors: how far a model may be from its own mirror image
_SIDE = re.compile(r"(?<![A-Za-z])([Ll]eft|[Rr]ight|LEFT|RIGHT)(?![a-z])|(?<![A-Za-z])[LlRr](?![A-Za-z])")
_OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}


class MirrorError(GaitNetError, ValueError):
    """A model, or a vector of numbers, that has no mirror image; names the part."""


@dataclass(frozen=True, eq=False)
class SignedPermutation:
    """What a mirror does to a vector: number i of the image is `sign[i]` times number `index[i]` of the original."""

    index: np.ndarray  # (k,) int
    sign: np.ndarray  # (k,) 1 or -1

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The image of values (..., k), of the same type."""
        return values[..., self.index] * self.sign.astype(values.dtype)

    def __len__(self) -> int:
        return len(self.index)


def joined(parts: Iterable[SignedPermutation]) -> SignedPermutation:
    """The permutation of vectors that are laid end to end."""
    index: list[np.ndarray] = [np.zeros(0, dtype=np.int64)]
    sign, start = [np.zeros(0)], 0
    for part in parts:
        index.append(part.index + start)
        sign.append(part.sign)
        start += len(part)
    return SignedPermutation(np.concatenate(index), np.concatenate(sign))


def _signs(*sign: float) -> SignedPermutation:
    return SignedPermutation(np.arange(len(sign)), np.array(sign))


SCALAR = _signs(1.0)
POLAR = _signs(1.0, -1.0, 1.0)  # positions, velocities, forces, directions
AXIAL = _signs(-1.0, 1.0, -1.0)  # angular velocities, rotation vectors, moments
QUATERNION = _signs(1.0, -1.0, 1.0, -1.0)  # wxyz of a body that is its own mirror image
COMMAND = _signs(1.0, -1.0, -1.0)  # forward, leftward, yaw rate


def other_side(name: str) -> str:
    """The name on the other side: `left_knee` for `right_knee`, `force.right_soleus` for `force.left_soleus`; a name
    without a side stays.
    """

    def swap(match: re.Match[str]) -> str:
        side = match.group()
        new = _OTHER[side.lower()]
        return new.upper() if side.isupper() else new.capitalize() if side[0].isupper() else new

    return _SIDE.sub(swap, name)


def swapped_sides(names: Sequence[str]) -> SignedPermutation:
    """The permutation that swaps the sides of quantities with these names; none changes sign.

    Raises `MirrorError` where a name's other side is missing.
    """
    place = {name: i for i, name in enumerate(names)}
    missing = [name for name in names if other_side(name) not in place]
    if missing:
        raise MirrorError(f"{missing[0]!r} has no other side {other_side(missing[0])!r} among {', '.join(names)}")
    index = np.array([place[other_side(name)] for name in names], dtype=np.int64)
    return SignedPermutation(index, np.ones(len(names)))


@dataclass(frozen=True, eq=False)
class Mirror:
    """The tables of one robot. Each is an involution: applied twice, it changes nothing."""

    joint_names: tuple[str, ...]
    joints: SignedPermutation  # (joints,) angles, rates, torques, targets, actions on joints
    bodies: SignedPermutation  # (bodies,) from the root on
    qpos: SignedPermutation  # (nq,)
    qvel: SignedPermutation  # (nv,)
    muscles: SignedPermutation  # (m,) activations, forces; empty without muscles
    soles: SignedPermutation  # (4,) loads of left toe, left heel, right toe, right heel
    toes: SignedPermutation  # (4,) of the toes of a foot that bends
    feet: SignedPermutation  # (2,) left, right
    features: SignedPermutation  # (11 + 2 joints,) AMP features

    def body_positions(self, positions: np.ndarray) -> np.ndarray:
        """The mirror image of positions or velocities (..., bodies, 3) of the robot's bodies, the root first."""
        return POLAR(positions[..., self.bodies.index, :])

    def foot_positions(self, positions: np.ndarray) -> np.ndarray:
        """The mirror image of positions or velocities (..., 2, 3) of the left and right foot."""
        return POLAR(positions[..., self.feet.index, :])

    def named(self, names: Sequence[str]) -> SignedPermutation:
        """Of quantities with names: a joint's has the joint's sign, all others (muscles, parameters) keep theirs.

        Raises `MirrorError` where a name's other side is missing.
        """
        sign = dict(zip(self.joint_names, self.joints.sign, strict=True))
        swap = swapped_sides(names)
        return SignedPermutation(swap.index, np.array([sign.get(name, 1.0) for name in names]))

    def layout(self, layout: Layout, **rows: SignedPermutation) -> SignedPermutation:
        """Of a vector with this layout, by the names of its rows; `rows` are those that this table does not know.

        A row of several frames is one frame after another. Raises `MirrorError` for an unknown row or size.
        """
        known = self._rows() | rows
        parts = []
        for row in layout:
            part = known.get(row.name)
            if part is None:
                raise MirrorError(f"row {row.name!r} has no mirror image here; known are {', '.join(known)}")
            times, rest = divmod(row.size, max(len(part), 1))
            if rest:
                raise MirrorError(f"row {row.name!r} has {row.size} numbers, which is no multiple of {len(part)}")
            parts += [part] * times
        return joined(parts)

    def _rows(self) -> dict[str, SignedPermutation]:
        """Rows of observations and of AMP features."""
        joints = ("joint_position", "joint_velocity", "reference_joint_position", "reference_joint_velocity")
        return dict.fromkeys(joints, self.joints) | {
            "linear_velocity": POLAR,
            "velocity_direction": POLAR,
            "angular_velocity": AXIAL,
            "gravity": POLAR,
            "command": COMMAND,
            "phase": SCALAR,  # the mirrored clip is as far through as the clip
            "root_error": POLAR,
            "turn_error": AXIAL,
            "height": SCALAR,
            "foot_contact": self.soles,
        }


@functools.lru_cache(maxsize=16)
def mirror_of(robot: Robot) -> Mirror:
    """The tables of a robot; raises `MirrorError` naming the first part that is not like its other side."""
    tables = find_mirror(robot.model, () if robot.muscles is None else robot.muscles.names)
    # Observations and actions are counted from home, in half ranges or multiples of them.
    middle, half = 0.5 * (robot.upper + robot.lower), 0.5 * (robot.upper - robot.lower)
    _alike(robot.joint_names, robot.home - tables.joints(robot.home), "home of joint")
    _alike(robot.joint_names, middle - tables.joints(middle), "range of joint")
    _alike(robot.joint_names, half - half[tables.joints.index], "range of joint")
    return tables


def find_mirror(model: mujoco.MjModel, muscles: Sequence[str] = ()) -> Mirror:
    """The tables of a model whose first joint is free and whose others are hinges or slides.

    Its pose at zero must be its own mirror image: joints lie opposite their partners, about axes that are each other's
    reflection or its reverse. Raises `MirrorError` naming the first that does not.
    """
    root = int(model.jnt_bodyid[0])
    joint_names = tuple(model.joint(i).name for i in range(1, model.njnt))
    body_names = [model.body(i).name for i in range(root, model.nbody)]
    bodies, swap = swapped_sides(body_names), swapped_sides(joint_names)
    data = mujoco.MjData(model)
    data.qpos[:] = model.qpos0
    data.qpos[:7] = [0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]
    mujoco.mj_kinematics(model, data)
    _alike(body_names, data.xpos[root:] - POLAR(data.xpos[root:][bodies.index]), "place of body")
    _alike(joint_names, data.xanchor[1:] - POLAR(data.xanchor[1:][swap.index]), "place of joint")
    hinge = model.jnt_type[1:, None] == mujoco.mjtJoint.mjJNT_HINGE
    partner = np.where(hinge, AXIAL(data.xaxis[1:]), POLAR(data.xaxis[1:]))[swap.index]
    sign = np.where(np.sum(data.xaxis[1:] * partner, axis=1) < 0, -1.0, 1.0)
    _alike(joint_names, data.xaxis[1:] - sign[:, None] * partner, "axis of joint")
    joints = SignedPermutation(swap.index, sign)
    _alike(joint_names, model.qpos0[7:] - joints(model.qpos0[7:]), "zero of joint")
    soles = swapped_sides(SOLES)
    return Mirror(
        joint_names=joint_names,
        joints=joints,
        bodies=bodies,
        qpos=joined((POLAR, QUATERNION, joints)),
        qvel=joined((POLAR, AXIAL, joints)),
        muscles=swapped_sides(muscles),
        soles=soles,
        toes=swapped_sides(TOES),
        feet=swapped_sides(FEET),
        features=joined((joints, joints, POLAR, AXIAL, SCALAR, soles)),
    )


def _alike(names: Sequence[str], differences: np.ndarray, what: str) -> None:
    """Raise for the first name whose difference (k,) or (k, 3) from its image is more than rounding."""
    far = np.abs(differences).reshape(len(names), -1).max(axis=1, initial=0.0) > _CLOSE
    if far.any():
        name = names[int(np.argmax(far))]
        raise MirrorError(f"{what} {name!r} is not the mirror image of that of {other_side(name)!r}")
