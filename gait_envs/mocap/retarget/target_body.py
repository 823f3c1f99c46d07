"""The robot that a motion is retargeted to: its model, and what its description says about it."""

from __future__ import annotations

import copy
import hashlib
import os
from dataclasses import dataclass

import mujoco
import numpy as np

from gait_envs.errors import MotionError, one_line
from gait_envs.mocap.retarget.footholds import SoleShape
from gait_envs.mocap.retarget.joint_names import SIDES
from gait_envs.mocap.retarget.retarget_config import Description, Leg, Limb, Task, read_description
from gait_envs.mocap.retarget.toes import Toe, find_toe
from gait_envs.rotations import quat_from_matrix

_ANGLES = 721  # of a knee that are tried for the straightest


@dataclass(frozen=True)
class Bone:
    """One link of a limb: from one body or site of the model to the next."""

    limb: str
    roles: tuple[str, str]  # of the capture
    ends: tuple[tuple[str, int], tuple[str, int]]  # ("body" | "site", id)
    length: float  # m, at home
    weight: float


@dataclass(frozen=True)
class Body:
    """A retarget YAML, checked, with the lengths that its model gives.

    Vectors and rotations "at home" are those of the first keyframe, in which the robot stands upright with
    flat soles and faces +x. They are what makes the axes of its parts, which may be any, mean something.
    """

    name: str
    model: mujoco.MjModel
    bent: mujoco.MjModel  # the same with knees that stop before they are straight, for the inverse kinematics
    legs: dict[str, Leg]
    tasks: dict[str, Task]  # pelvis, chest, soles
    bones: tuple[Bone, ...]
    fps: float  # frames per second of its clips: the control rate
    posture: float
    smoothing: float  # s
    lean: float | None  # rad, None: as captured
    crouch: float  # m
    step_width: float | str  # m, or "capture"
    swing_clearance: float  # m
    limit_margin: float  # rad
    sway: float | None  # how far the ground's push goes to the standing foot, 0 to 1; None: pelvis as captured
    swing_weight: float  # share of the soles' weights that a foot in the air has, 0 to 1
    foot_yaw: float  # share of the captured foot's turn against the pelvis, 0 to 1
    foot_roll: float  # share of the captured foot's roll in swing, 0 to 1
    pelvis_yaw: float  # share of the captured pelvis's turn about its heading at each step, 0 to 1
    knee_margin: float  # rad of bend that the knees keep
    acceleration: float  # weight of the joints' accelerations, 1/(rad/s²)
    digest: str  # of the YAML and of the model
    joint_names: tuple[str, ...]
    home: np.ndarray  # (nq,)
    leg_length: float  # m
    hip_centre: np.ndarray  # (3,) m, from the pelvis's origin to between the hip joints, at home
    soles: np.ndarray  # (2, 3) m, from each ankle to its sole site, at home
    shapes: tuple[SoleShape, ...]  # left, right; at home
    turns: dict[str, np.ndarray]  # (4,) orientation at home of pelvis, chest, left_sole and right_sole
    corners: np.ndarray  # (contacts, 4, 3) m, lower corners of each contact box, in the box's own frame
    toes: tuple[Toe, ...]  # of the left foot, then of the right
    strength: np.ndarray  # (joints,) N·m that the actuators give; infinite where the model does not say

    @property
    def contact_names(self) -> tuple[str, ...]:
        """Contact points in the order of a clip's `contacts`: those of the left leg, then of the right."""
        return tuple(name for side in SIDES for name in self.legs[side].contacts)

    @property
    def lower(self) -> np.ndarray:
        """(joints,) rad; minus infinity where a joint has no limit."""
        return np.where(self.model.jnt_limited[1:], self.model.jnt_range[1:, 0], -np.inf)

    @property
    def upper(self) -> np.ndarray:
        """(joints,) rad; infinity where a joint has no limit."""
        return np.where(self.model.jnt_limited[1:], self.model.jnt_range[1:, 1], np.inf)

    @property
    def weight(self) -> float:
        """N."""
        return float(self.model.body_mass.sum() * np.linalg.norm(self.model.opt.gravity))


def load_body(robot: str | os.PathLike[str]) -> Body:
    """A body by the name of its asset folder (`wildrobot`) or by the path of a YAML file."""
    description = read_description(robot)
    try:
        return _measure(description, mujoco.MjModel.from_xml_path(str(description.model)))
    except (KeyError, ValueError) as error:
        raise MotionError(f"{description.path}: {error}") from error


def _measure(description: Description, model: mujoco.MjModel) -> Body:
    legs, tasks = description.legs, description.tasks
    _check_names(description, model)
    if model.njnt == 0 or model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE:
        raise ValueError("the model must have a free root joint first")
    if (model.jnt_type[1:] != mujoco.mjtJoint.mjJNT_HINGE).any():
        raise ValueError("every joint after the root must be a hinge; write a ball joint as three of them")
    if model.nkey == 0:
        raise ValueError("the model has no keyframe; the first one is the home pose")
    if model.body(tasks["pelvis"].body).id != model.jnt_bodyid[0]:
        raise ValueError(f"tasks.pelvis.body must be the root, {model.body(model.jnt_bodyid[0]).name!r}")
    state = mujoco.MjData(model)
    state.qpos[:] = model.key(0).qpos
    mujoco.mj_kinematics(model, state)
    hip, knee, ankle = (
        np.array([state.body(getattr(legs[side], part)).xpos for side in SIDES]) for part in ("hip", "knee", "ankle")
    )
    if hip[0, 1] <= hip[1, 1]:
        raise ValueError("at home the left hip is not to the left (+y) of the right; the robot must face +x")
    counts = [len(legs[side].contacts) for side in SIDES]
    if counts[0] != counts[1]:
        raise ValueError(f"the left foot has {counts[0]} contacts, the right one {counts[1]}")
    sites = [state.site(legs[side].sole) for side in SIDES]
    frames = {key: state.body(tasks[key].body).xmat for key in ("pelvis", "chest")}
    frames |= {f"{side}_sole": site.xmat for side, site in zip(SIDES, sites, strict=True)}
    corners, placed = _lower_corners(model, state, legs)
    feet = placed.reshape(2, -1, 3) - ankle[:, None]
    width = description.numbers["step_width"] or float(np.linalg.norm(hip[0] - hip[1]))
    return Body(
        name=description.name,
        model=model,
        bent=_bent_knees(model, legs, description.numbers["knee_margin"]),
        legs=legs,
        tasks=tasks,
        bones=tuple(bone for key, limb in description.limbs.items() for bone in _bones(model, state, key, limb)),
        **(description.numbers | {"step_width": width}),
        digest=_digest(description.path.read_bytes(), model),
        joint_names=tuple(model.joint(j).name for j in range(1, model.njnt)),
        home=model.key(0).qpos.copy(),
        leg_length=float(np.mean(np.linalg.norm(hip - knee, axis=1) + np.linalg.norm(knee - ankle, axis=1))),
        hip_centre=hip.mean(axis=0) - state.body(tasks["pelvis"].body).xpos,
        soles=np.array([site.xpos for site in sites]) - ankle,
        shapes=tuple(SoleShape(foot[:, 0].max(), foot[:, 0].min(), foot[:, 2].min()) for foot in feet),
        turns={key: quat_from_matrix(frame.reshape(3, 3)) for key, frame in frames.items()},
        corners=corners,
        toes=_toes(model, legs),
        strength=_strength(model),
    )


def _check_names(description: Description, model: mujoco.MjModel) -> None:
    """A ValueError that names the key, unless each name that the description takes from the model is there."""
    known = {
        "body": [model.body(i).name for i in range(1, model.nbody)],
        "site": [model.site(i).name for i in range(model.nsite)],
        "geom": [model.geom(i).name for i in range(model.ngeom)],
    }
    known["body or site"] = known["body"] + known["site"]
    named = [(f"tasks.{key}.body", "body", description.tasks[key].body) for key in ("pelvis", "chest")]
    for side, leg in description.legs.items():
        named += [(f"legs.{side}.{part}", "body", getattr(leg, part)) for part in ("hip", "knee", "ankle")]
        named.append((f"legs.{side}.sole", "site", leg.sole))
        for key, names in (("contacts", leg.contacts), ("toes", leg.toes)):
            if not isinstance(names, list | tuple):
                raise ValueError(f"legs.{side}.{key} is {names!r}, expected a list of names of geoms")
            named += [(f"legs.{side}.{key}", "geom", name) for name in names]
    for key, limb in description.limbs.items():
        named += [(f"limbs.{key}.chain.{role}", "body or site", str(part)) for role, part in limb.chain.items()]
    for key, kind, name in named:
        if not isinstance(name, str):  # MuJoCo would take a number for an index
            raise ValueError(f"{key} is {one_line(repr(name))}, expected the name of a {kind}")
        if name not in known[kind]:
            there = one_line(", ".join(filter(None, known[kind])) or "none", 1000)
            raise ValueError(f"{key}: the model has no {kind} {one_line(repr(name))}; it has {there}")


def _bent_knees(model: mujoco.MjModel, legs: dict[str, Leg], margin: float) -> mujoco.MjModel:
    """A copy whose knees keep `margin` (rad) of bend, to the side that home bends them to.

    At a straight knee a leg's reach says nothing about which way the knee should bend; an iteration that
    passes it gets caught on the wrong side. Straight is where hip and ankle are furthest apart.
    """
    bent = copy.deepcopy(model)
    state = mujoco.MjData(model)
    for leg in legs.values():
        knee = model.body(leg.knee)
        spreads = []
        for joint in range(knee.jntadr[0], knee.jntadr[0] + knee.jntnum[0]):
            low, high = model.jnt_range[joint] if model.jnt_limited[joint] else (-np.pi, np.pi)
            reaches = []
            for angle in (angles := np.linspace(low, high, _ANGLES)):
                state.qpos[:] = model.key(0).qpos
                state.qpos[model.jnt_qposadr[joint]] = angle
                mujoco.mj_kinematics(model, state)
                reaches.append(np.linalg.norm(state.body(leg.hip).xpos - state.body(leg.ankle).xpos))
            spreads.append((np.ptp(reaches), joint, low, high, angles[np.argmax(reaches)]))
        if not spreads or max(spreads)[0] < 1e-3:
            raise ValueError(f"no joint of {leg.knee!r} bends the leg")
        _, joint, low, high, straight = max(spreads)
        home = model.key(0).qpos[model.jnt_qposadr[joint]]
        if abs(home - straight) < 1e-3:  # a straight home: the wider side
            home = low if straight - low > high - straight else high
        inner = (max(low, straight + margin), high) if home > straight else (low, min(high, straight - margin))
        bent.jnt_range[joint] = inner
        bent.jnt_limited[joint] = 1
    return bent


def _lower_corners(model: mujoco.MjModel, state: mujoco.MjData, legs: dict[str, Leg]) -> tuple[np.ndarray, np.ndarray]:
    """The four corners of every contact box that are lowest at home: in the box's frame, and in the world."""
    signs = np.array([[x, y, z] for x in (1, -1) for y in (1, -1) for z in (1, -1)])
    own, world = [], []
    for leg in legs.values():
        foot = model.body(leg.ankle).id
        for name in leg.contacts:
            geom = model.geom(name)
            if geom.type[0] != mujoco.mjtGeom.mjGEOM_BOX:
                raise ValueError(f"contact geom {name!r} is not a box")
            above = int(geom.bodyid[0])
            while above not in (foot, 0):
                above = int(model.body_parentid[above])
            if above == 0:
                raise ValueError(f"contact geom {name!r} is no part of {leg.ankle!r} or of what hangs on it")
            corners = signs * geom.size
            placed = state.geom_xpos[geom.id] + corners @ state.geom_xmat[geom.id].reshape(3, 3).T
            lowest = np.sort(np.argsort(placed[:, 2], kind="stable")[:4])
            own.append(corners[lowest])
            world.append(placed[lowest])
    return np.array(own), np.array(world)


def _toes(model: mujoco.MjModel, legs: dict[str, Leg]) -> tuple[Toe, ...]:
    found = []
    for side, leg in legs.items():
        for i, name in enumerate(leg.toes):
            if name in leg.toes[:i]:
                raise ValueError(f"legs.{side}.toes: {name!r} is there twice")
            try:
                found.append(find_toe(model, name, leg.ankle))
            except ValueError as error:
                raise ValueError(f"legs.{side}.toes: {error}") from None
    return tuple(found)


def _bones(model: mujoco.MjModel, state: mujoco.MjData, name: str, limb: Limb) -> list[Bone]:
    """The links of a limb between the bodies or sites that it names."""
    bodies = [model.body(i).name for i in range(model.nbody)]
    ends = [("body", model.body(part).id) if part in bodies else ("site", model.site(part).id)
            for part in map(str, limb.chain.values())]  # fmt: skip
    places = [(state.site_xpos if kind == "site" else state.xpos)[index] for kind, index in ends]
    roles = tuple(limb.chain)
    found = []
    for i in range(len(roles) - 1):
        length = float(np.linalg.norm(places[i + 1] - places[i]))
        if length < 1e-6:
            a, b = limb.chain[roles[i]], limb.chain[roles[i + 1]]
            raise ValueError(f"limbs.{name}: {a!r} and {b!r} are in one place")
        found.append(Bone(name, (roles[i], roles[i + 1]), (ends[i], ends[i + 1]), length, float(limb.weight)))
    return found


def _strength(model: mujoco.MjModel) -> np.ndarray:
    """(joints,) N·m that the actuators of each joint can give at most; infinite where the model does not say."""
    known: dict[int, float] = {}
    for i in range(model.nu):
        if model.actuator_trntype[i] != mujoco.mjtTrn.mjTRN_JOINT:
            continue
        force = np.inf
        if model.actuator_forcelimited[i]:
            force = np.abs(model.actuator_forcerange[i]).max()
        if model.actuator_biastype[i] == mujoco.mjtBias.mjBIAS_NONE and model.actuator_ctrllimited[i]:  # a motor
            force = min(force, np.abs(model.actuator_gainprm[i, 0] * model.actuator_ctrlrange[i]).max())
        joint = int(model.actuator_trnid[i, 0])
        known[joint] = known.get(joint, 0.0) + float(force) * abs(float(model.actuator_gear[i, 0]))
    return np.array([known.get(joint, np.inf) for joint in range(1, model.njnt)])


def _digest(text: bytes, model: mujoco.MjModel) -> str:
    """Digest of YAML and compiled model: clips depend on nearly all of it, such as masses, motors and springs."""
    whole = np.empty(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, whole)
    return hashlib.sha256(text + whole.tobytes()).hexdigest()[:16]
