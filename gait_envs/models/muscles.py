"""The muscles of a model, their names resolved to indices once, and which joints each one moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import mujoco
import numpy as np

REFRESH = 2  # physics steps that activations are held
WRAP, TRANSMISSION = mujoco.mjtWrap, mujoco.mjtTrn
PEAK_FORCE = 2  # its place among MuJoCo's parameters of a muscle, active and passive
SCALAR = (int(mujoco.mjtJoint.mjJNT_SLIDE), int(mujoco.mjtJoint.mjJNT_HINGE))


@dataclass(frozen=True, eq=False)
class Muscles:
    """m muscles and the d dofs they move; what does not change while the model moves.

    A muscle moves a dof if the dof moves some points of its path and not all: those pairs are the `entries`, in the
    order of muscles and, within one, of dofs. Every other moment arm is zero in every pose.
    """

    names: tuple[str, ...]  # (m,)
    actuators: np.ndarray  # (m,) ids
    outputs: np.ndarray  # (m,) places in actuator_length, actuator_velocity and actuator_force
    controls: np.ndarray  # (m,) places in ctrl
    activations: np.ndarray  # (m,) places in act, -1 where a muscle has no activation dynamics
    dofs: np.ndarray  # (d,) ids
    entry_muscle: np.ndarray  # (entries,) which muscle
    entry_dof: np.ndarray  # (entries,) which of `dofs`
    moment: np.ndarray  # (d, m) places in actuator_moment, one past its end where there is no entry
    moments: int  # entries of actuator_moment
    gainprm: np.ndarray  # (m, 10) MuJoCo's muscle parameters of the active force
    biasprm: np.ndarray  # (m, 10) and of the passive force
    lengthrange: np.ndarray  # (m, 2) m
    acc0: np.ndarray  # (m,) what MuJoCo scales muscles of no stated force by


def find_muscles(model: mujoco.MjModel) -> Muscles:
    """The actuators with MuJoCo's muscle gain, in actuator order; they must pull on tendons or joints."""
    ids = np.flatnonzero(model.actuator_gaintype == mujoco.mjtGain.mjGAIN_MUSCLE)
    if not len(ids):
        others = [model.actuator(a).name for a in range(model.nactuator)]
        raise ValueError(f"the model has no muscles; its actuators are {others}")
    names = tuple(model.actuator(a).name for a in ids)
    moved = [_moved_dofs(model, int(a)) for a in ids]
    idle = [name for name, dofs in zip(names, moved, strict=True) if not dofs]
    if idle:
        raise ValueError(f"muscles {idle} cross no joint")
    dofs = sorted(set().union(*moved))
    entries = [(m, d) for m in range(len(ids)) for d in sorted(moved[m])]
    # Where a moment arm is stored follows from the model alone for tendons and joints; any pose shows it.
    data = mujoco.MjData(model)
    mujoco.mj_fwdPosition(model, data)
    outputs = model.actuator_outadr[ids]
    moment = np.full((len(dofs), len(ids)), len(data.actuator_moment))
    for m, d in entries:
        start = data.moment_rowadr[outputs[m]]
        row = data.moment_colind[start : start + data.moment_rownnz[outputs[m]]]
        moment[dofs.index(d), m] = start + int(np.flatnonzero(row == d)[0])
    return Muscles(
        names=names,
        actuators=ids,
        outputs=outputs,
        controls=model.actuator_ctrladr[ids],
        activations=model.actuator_actadr[ids],
        dofs=np.array(dofs),
        entry_muscle=np.array([m for m, _ in entries]),
        entry_dof=np.array([dofs.index(d) for _, d in entries]),
        moment=moment,
        moments=len(data.actuator_moment),
        gainprm=model.actuator_gainprm[ids],
        biasprm=model.actuator_biasprm[ids],
        lengthrange=model.actuator_lengthrange[outputs],
        acc0=model.actuator_acc0[outputs],
    )


def _moved_dofs(model: mujoco.MjModel, actuator: int) -> set[int]:
    """Dofs that can change an actuator's length."""
    target, kind = int(model.actuator_trnid[actuator, 0]), model.actuator_trntype[actuator]
    if kind == TRANSMISSION.mjTRN_JOINT and int(model.jnt_type[target]) in SCALAR:
        return {int(model.jnt_dofadr[target])}
    if kind == TRANSMISSION.mjTRN_TENDON:
        return set().union(*_branches(model, target))
    raise ValueError(f"muscle {model.actuator(actuator).name!r} pulls on neither a tendon nor a hinge or slide")


def _branches(model: mujoco.MjModel, tendon: int) -> Iterator[set[int]]:
    """Of each branch of a tendon, between pulleys, the dofs that change its length."""
    start = int(model.tendon_adr[tendon])
    path = slice(start, start + int(model.tendon_num[tendon]))
    points: list[set[int]] = []
    for kind, thing in zip(model.wrap_type[path], model.wrap_objid[path], strict=True):
        if kind == WRAP.mjWRAP_JOINT:
            yield {int(model.jnt_dofadr[thing])}
        elif kind == WRAP.mjWRAP_PULLEY:
            yield _between(points)
            points = []
        else:
            body = model.site_bodyid[thing] if kind == WRAP.mjWRAP_SITE else model.geom_bodyid[thing]
            points.append(_dofs_above(model, int(body)))
    yield _between(points)


def _between(points: list[set[int]]) -> set[int]:
    """Dofs that move some points and not all; what moves all leaves the distances as they are."""
    return points[0].union(*points) - points[0].intersection(*points) if points else set()


def _dofs_above(model: mujoco.MjModel, body: int) -> set[int]:
    """Dofs that move a body."""
    dofs: set[int] = set()
    while body:
        first = int(model.body_dofadr[body])
        dofs |= set(range(first, first + int(model.body_dofnum[body])))
        body = int(model.body_parentid[body])
    return dofs
