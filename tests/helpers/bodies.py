"""Small bodies for tests of control: an arm of three links, and a floating walker with muscles on its legs."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

BALL, HINGE = ("x", "y", "z"), ("y",)
AXIS = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}
Chain = tuple[tuple[str, tuple[str, ...], float, float], ...]
LEG: Chain = (  # part, its hinges, length m, mass kg
    ("thigh", BALL, 0.42, 8.0),
    ("shank", HINGE, 0.4, 3.5),
    ("foot", BALL, 0.08, 0.9),
    ("toe", HINGE, 0.05, 0.3),
    ("tip", HINGE, 0.03, 0.2),
)
ARM: Chain = (
    ("shoulder", BALL, 0.12, 1.5),
    ("arm", BALL, 0.3, 2.0),
    ("forearm", HINGE, 0.26, 1.2),
    ("hand", BALL, 0.1, 0.5),
)
TRUNK: Chain = (("spine", BALL, 0.2, 10.0), ("torso", BALL, 0.3, 18.0))
HEAD: Chain = (("neck", BALL, 0.1, 1.0), ("head", BALL, 0.2, 4.0))
# Paths of a leg's muscles: one and two joints, straight, by a via point, and round the knee's cylinder ("wrap").
PATHS = (
    (("pelvis", (0.05, 0.1, 0.04)), ("thigh", (0.045, 0.01, -0.15))),
    (("pelvis", (-0.06, 0.1, 0.03)), ("thigh", (-0.04, 0.02, -0.38)), ("shank", (-0.035, 0, -0.1))),
    (("thigh", (0.05, 0, -0.2)), ("wrap", ()), ("shank", (0.04, 0, -0.06))),
    (("thigh", (-0.03, 0, -0.38)), ("foot", (-0.05, 0, -0.03))),
    (("shank", (0.035, -0.01, -0.3)), ("foot", (0.04, -0.02, -0.04))),
    (("shank", (-0.03, 0.02, -0.3)), ("foot", (-0.04, 0.02, -0.02)), ("toe", (0.01, 0.02, -0.02))),
)


def _solid(body: mujoco.MjsBody, kind: str, size: list[float], **more: Any) -> None:
    """A geom that gives mass and touches nothing."""
    body.add_geom(type=getattr(mujoco.mjtGeom, f"mjGEOM_{kind}"), size=size, contype=0, conaffinity=0, **more)


def _grow(body: mujoco.MjsBody, chain: Chain, prefix: str, pos: tuple[float, float, float], down: float) -> None:
    for name, axes, length, mass in chain:
        body = body.add_body(name=f"{prefix}{name}", pos=pos)
        for k in axes:
            body.add_joint(name=f"{prefix}{name}_{k}", axis=AXIS[k], armature=0.01)
        _solid(body, "CAPSULE", [0.03, 0, 0], fromto=[0, 0, 0, 0, 0, down * length], mass=mass)
        pos = (0, 0, down * length)


def arm_spec(timestep: float = 0.002) -> mujoco.MjSpec:
    """Three hinges a, b, c about skew axes, the last with a spring and a damper; links of 0.3, 0.3 and 0.2 m."""
    spec = mujoco.MjSpec()
    spec.option.timestep = timestep
    body = spec.worldbody
    for name, axis, length, mass, pos in (
        ("a", (0, 1, 0), 0.3, 1.0, (0, 0, 2)),
        ("b", (0, 0, 1), 0.3, 0.7, (0.3, 0, 0)),
        ("c", (0, 1, 0), 0.2, 0.2, (0.3, 0, 0)),
    ):
        body = body.add_body(name=name, pos=pos)
        body.add_joint(name=name, axis=axis)
        _solid(body, "CAPSULE", [0.03, 0, 0], fromto=[0, 0, 0, length, 0, 0], mass=mass)
    spec.joint("c").stiffness, spec.joint("c").damping = [0.5, 0, 0], [0.02, 0, 0]
    return spec


def walker_spec(muscles_a_leg: int = 6, *, whole: bool = False, timestep: float = 1 / 480) -> mujoco.MjSpec:
    """A floating pelvis on two legs, 24 dof; `whole` adds trunk, head and arms: the 56-dof tree of a human body.

    Muscles repeat `PATHS`, moved a little each time. Nothing else is driven.
    """
    spec = mujoco.MjSpec()
    spec.option.timestep = timestep
    pelvis = spec.worldbody.add_body(name="pelvis", pos=[0, 0, 1.2])
    pelvis.add_freejoint(name="root")
    _solid(pelvis, "BOX", [0.08, 0.12, 0.06], mass=11)
    if whole:
        _grow(pelvis, TRUNK, "", (0, 0, 0.05), 1)
        _grow(spec.body("torso"), HEAD, "", (0, 0, 0.3), 1)
    for side, y in (("left", 1), ("right", -1)):
        _grow(pelvis, LEG, f"{side}_", (0, 0.1 * y, 0), -1)
        if whole:
            _grow(spec.body("torso"), ARM, f"{side}_", (0, 0.1 * y, 0.25), -1)
        across = {"quat": [np.sqrt(0.5), np.sqrt(0.5), 0, 0], "mass": 0}  # the cylinder's axis along y
        _solid(spec.body(f"{side}_shank"), "CYLINDER", [0.03, 0.05, 0], name=f"{side}_wrap", **across)
        for i in range(muscles_a_leg):
            _add_muscle(spec, f"{side}_m{i}", PATHS[i % len(PATHS)], side, y, 0.004 * (i // len(PATHS)))
    return spec


def _add_muscle(spec: mujoco.MjSpec, name: str, path: tuple, side: str, y: int, shift: float) -> None:
    tendon = spec.add_tendon(name=name)
    for k, (part, pos) in enumerate(path):
        if part == "wrap":
            tendon.wrap_geom(f"{side}_wrap", "")
            continue
        body = spec.body(part if part == "pelvis" else f"{side}_{part}")
        body.add_site(name=f"{name}_{k}", pos=[pos[0] + shift, y * pos[1], pos[2] + shift])
        tendon.wrap_site(f"{name}_{k}")
    muscle = spec.add_actuator(name=name, trntype=mujoco.mjtTrn.mjTRN_TENDON, target=name)
    muscle.set_to_muscle(tausmooth=0.0, force=600.0)
    muscle.ctrllimited, muscle.ctrlrange = True, [0, 1]
    muscle.lengthrange = [0.08, 0.55]


def add_motors(spec: mujoco.MjSpec) -> mujoco.MjSpec:
    """A motor on every hinge and slide, in order."""
    for joint in spec.joints:
        if joint.type in (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE):
            spec.add_actuator(name=joint.name, trntype=mujoco.mjtTrn.mjTRN_JOINT, target=joint.name)
    return spec


def random_state(model: mujoco.MjModel, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Poses (n, nq) and velocities (n, nv) of moderate bends and speeds."""
    rng = np.random.default_rng(seed)
    qpos = np.tile(model.qpos0, (n, 1))
    free = 7 if model.jnt_type[0] == mujoco.mjtJoint.mjJNT_FREE else 0
    qpos[:, free:] += rng.uniform(-0.5, 0.5, (n, model.nq - free))
    if free:
        turn = rng.normal(size=(n, 4))
        qpos[:, 3:7] = turn / np.linalg.norm(turn, axis=1, keepdims=True)
    return qpos, rng.normal(0, 2.0, (n, model.nv))
