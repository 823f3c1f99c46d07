"""Toes that bend: a foot that rises onto its ball would else press them through the floor."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import mujoco
import numpy as np

_RETURN = 0.15  # s, time constant of a toe that the floor no longer bends
_HALVINGS = 20  # of a joint's range: to a microradian
_TRIED = 0.1  # rad, by which a toe is bent to see to which side it rises


@dataclass(frozen=True)
class Toe:
    """A capsule on a joint of its own at the end of a foot."""

    joint: int  # in the model
    geom: int
    most: float  # rad, the end of the joint's range to which the toe rises


def find_toe(model: mujoco.MjModel, name: str, ankle: str) -> Toe:
    """The toe whose geom has this name, on the foot that hangs on the body `ankle`.

    ValueError where the geom is no capsule, not beyond the ankle, or its body has not one hinge with limits that
    raises or lowers it.
    """
    geom = model.geom(name)
    body = model.body(geom.bodyid[0])
    if geom.type[0] != mujoco.mjtGeom.mjGEOM_CAPSULE:
        raise ValueError(f"toe geom {name!r} is not a capsule")
    above, foot = int(body.parentid[0]), model.body(ankle).id
    while above not in (foot, 0):
        above = int(model.body_parentid[above])
    if above == 0:
        raise ValueError(f"toe geom {name!r} is on no body that hangs on {ankle!r}")
    joint = int(body.jntadr[0])
    if body.jntnum[0] != 1 or model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_HINGE or not model.jnt_limited[joint]:
        raise ValueError(f"toe geom {name!r} must be on a body with one joint, a hinge with limits")
    data, heights = mujoco.MjData(model), []
    for angle in (-_TRIED, _TRIED):
        data.qpos[:] = model.key(0).qpos
        data.qpos[model.jnt_qposadr[joint]] += angle
        mujoco.mj_kinematics(model, data)
        heights.append(data.geom_xpos[geom.id, 2])
    if abs(heights[1] - heights[0]) < 1e-6:
        raise ValueError(f"toe geom {name!r}: its hinge neither raises nor lowers it")
    lower, upper = model.jnt_range[joint]
    return Toe(joint, geom.id, float(upper if heights[1] > heights[0] else lower))


def bend_toes(qpos: np.ndarray, model: mujoco.MjModel, toes: Iterable[Toe], margin: float, fps: float) -> np.ndarray:
    """The same poses (T, nq), each toe bent up from where it is as far as the floor demands, and slow to return.

    A toe keeps `margin` (rad) from the end of its range; what it cannot bend stays below the floor. Toes that bending
    would not raise, as of a foot whose sole is up, stay as they are.
    """
    kept = np.exp(-1.0 / (_RETURN * fps))
    qpos = qpos.copy()
    for toe in toes:
        address = model.jnt_qposadr[toe.joint]
        straight = qpos[:, address].copy()
        end = toe.most - np.copysign(margin, toe.most - straight)
        turned = _Turned(qpos, model, toe)
        low, high = np.zeros(len(qpos)), end - straight  # a bend that is too little, and one that is enough or the most
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            enough = turned.height(middle) >= 0
            low, high = np.where(enough, low, middle), np.where(enough, middle, high)
        now = turned.height(np.zeros(len(qpos)))
        bend = np.where((now >= 0) | (turned.height(high) <= now), 0.0, high)
        for t in range(1, len(bend)):
            bend[t] = max(bend[t], kept * bend[t - 1], key=abs)
            if abs(bend[t]) > abs(end[t] - straight[t]):
                bend[t] = end[t] - straight[t]
        qpos[:, address] = straight + bend
    return qpos


def toe_heights(qpos: np.ndarray, model: mujoco.MjModel, toes: Iterable[Toe]) -> np.ndarray:
    """Height (T, toes) m of the lowest point of each toe; negative is below the floor."""
    heights = [_Turned(qpos, model, toe).height(np.zeros(len(qpos))) for toe in toes]
    return np.stack(heights, axis=1) if heights else np.zeros((len(qpos), 0))


class _Turned:
    """A toe in poses (T, nq), and how high it would be if its joint were turned further."""

    def __init__(self, qpos: np.ndarray, model: mujoco.MjModel, toe: Toe) -> None:
        data, half = mujoco.MjData(model), model.geom_size[toe.geom, 1]
        arms, self._axis = np.empty((len(qpos), 2, 3)), np.empty((len(qpos), 1, 3))
        self._pivot = np.empty((len(qpos), 1))
        for t, pose in enumerate(qpos):
            data.qpos[:] = pose
            mujoco.mj_kinematics(model, data)
            along = half * data.geom_xmat[toe.geom].reshape(3, 3)[:, 2]
            arms[t] = data.geom_xpos[toe.geom] + np.outer([-1.0, 1.0], along) - data.xanchor[toe.joint]
            self._axis[t], self._pivot[t] = data.xaxis[toe.joint], data.xanchor[toe.joint][2]
        self._along = (arms * self._axis).sum(axis=-1) * self._axis[..., 2]
        self._across = arms[..., 2] - self._along
        self._turning = np.cross(self._axis, arms)[..., 2]
        self._radius = float(model.geom_size[toe.geom, 0])

    def height(self, angle: np.ndarray) -> np.ndarray:
        """(T,) m of its lowest point, its joint turned by `angle` (T,) rad."""
        angle = angle[:, None]
        ends = self._pivot + self._along + np.cos(angle) * self._across + np.sin(angle) * self._turning
        return np.asarray(ends.min(axis=1) - self._radius)
