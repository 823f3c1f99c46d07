"""The robot that a motion is retargeted to: its model and a YAML of correspondences and weights."""

from __future__ import annotations

import os
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import yaml

from gait_envs.assets import asset_path, asset_root
from gait_envs.motion.landmarks import SIDES
from gait_envs.motion.skeleton import MotionError

_NUMBERS = ("posture", "smoothing", "lean", "crouch", "step_width", "swing_clearance", "limit_margin")
_MAY_BE_NULL = ("lean", "step_width")


@dataclass(frozen=True)
class Leg:
    """Names in the model, and the sole's contact boxes in the ankle's frame."""

    hip: str
    knee: str
    ankle: str
    sole: str  # site
    contacts: list[str]  # box geoms of the ankle body, in the order of a clip's contacts


@dataclass(frozen=True)
class Task:
    """Weights of one body's errors, 1/m and 1/rad, along and about its own axes; a number or three."""

    position: Any
    orientation: Any
    body: str = ""


@dataclass(frozen=True)
class Body:
    """A retarget YAML, checked, with the lengths that its model gives."""

    name: str
    model: mujoco.MjModel
    legs: dict[str, Leg]
    tasks: dict[str, Task]  # pelvis, chest, soles
    posture: float
    smoothing: float  # s
    lean: float | None  # rad, None: as captured
    crouch: float  # m
    step_width: float  # m
    swing_clearance: float  # m
    limit_margin: float  # rad
    joint_names: tuple[str, ...]
    home: np.ndarray  # (nq,)
    leg_length: float  # m
    hip_centre: np.ndarray  # (3,) m, between the hip joints, in the pelvis frame
    sole: np.ndarray  # (3,) m, sole site in the ankle frame
    toe_edge: float  # m, front end of the sole in the ankle frame
    heel_edge: float  # m, its rear end
    corners: np.ndarray  # (contacts a foot, 4, 3) m, lower corners of the left foot's boxes, ankle frame

    @property
    def contact_names(self) -> tuple[str, ...]:
        return tuple(name for side in SIDES for name in self.legs[side].contacts)

    @property
    def lower(self) -> np.ndarray:
        """(joints,) rad; minus infinity where a joint has no limit."""
        return np.where(self.model.jnt_limited[1:], self.model.jnt_range[1:, 0], -np.inf)

    @property
    def upper(self) -> np.ndarray:
        """(joints,) rad; infinity where a joint has no limit."""
        return np.where(self.model.jnt_limited[1:], self.model.jnt_range[1:, 1], np.inf)


def load_body(robot: str | os.PathLike[str]) -> Body:
    """A body by the name of its asset folder (`wildrobot`) or by the path of a YAML file."""
    path = Path(robot)
    if path.suffix not in (".yaml", ".yml"):
        known = sorted(p.parent.name for p in asset_root().glob("*/retarget.yaml"))
        if str(robot) not in known:
            raise MotionError(f"unknown robot {str(robot)!r}; known: {', '.join(known)}, or give a .yaml file")
        path = asset_path(f"{robot}/retarget.yaml")
    data = read_yaml(path)
    _check_keys(path, "", data, ("name", "model", "legs", "tasks", *_NUMBERS))
    _check_keys(path, "legs", data["legs"], SIDES)
    _check_keys(path, "tasks", data["tasks"], ("pelvis", "chest", "soles"))
    legs = {side: _build(path, f"legs.{side}", Leg, data["legs"][side]) for side in SIDES}
    tasks = {key: _build(path, f"tasks.{key}", Task, value) for key, value in data["tasks"].items()}
    numbers = {key: data[key] for key in _NUMBERS}
    for key, value in numbers.items():
        if not (isinstance(value, int | float) or (value is None and key in _MAY_BE_NULL)):
            raise MotionError(f"{path}: {key} is {value!r}, expected a number")
    model_path = path.parent / str(data["model"])
    if not model_path.is_file():
        raise MotionError(f"{path}: model: {model_path} does not exist")
    try:
        model = mujoco.MjModel.from_xml_path(str(model_path))
        return _measure(str(data["name"]), model, legs, tasks, numbers)
    except (KeyError, ValueError) as error:  # MuJoCo's own messages name what is missing and what there is
        raise MotionError(f"{path}: {error}") from error


def _measure(
    name: str, model: mujoco.MjModel, legs: dict[str, Leg], tasks: dict[str, Task], numbers: dict[str, Any]
) -> Body:
    pelvis = model.body(tasks["pelvis"].body).id
    model.body(tasks["chest"].body)
    state = mujoco.MjData(model)
    mujoco.mj_kinematics(model, state)
    hip, knee, ankle = (
        np.array([state.body(getattr(legs[side], part)).xpos for side in SIDES]) for part in ("hip", "knee", "ankle")
    )
    to_pelvis = state.xmat[pelvis].reshape(3, 3).T
    left = legs["left"]
    geoms = [model.geom(name) for leg in legs.values() for name in leg.contacts]
    for geom in geoms:
        if geom.type[0] != mujoco.mjtGeom.mjGEOM_BOX:
            raise ValueError(f"contact geom {geom.name!r} is not a box")
    signs = np.array([[1, 1, -1], [1, -1, -1], [-1, 1, -1], [-1, -1, -1]])
    corners = np.array([geom.pos + signs * geom.size for geom in geoms[: len(left.contacts)]])
    if model.nkey == 0:
        raise ValueError("the model has no keyframe; the first one is the home pose")
    if model.jnt_type[0] != mujoco.mjtJoint.mjJNT_FREE or (model.jnt_type[1:] != mujoco.mjtJoint.mjJNT_HINGE).any():
        raise ValueError("the model must have a free root joint first and hinges after it")
    return Body(
        name=name,
        model=model,
        legs=legs,
        tasks=tasks,
        **(numbers | {"step_width": numbers["step_width"] or float(np.linalg.norm(hip[0] - hip[1]))}),
        joint_names=tuple(model.joint(j).name for j in range(1, model.njnt)),
        home=model.key(0).qpos.copy(),
        leg_length=float(np.mean(np.linalg.norm(hip - knee, axis=1) + np.linalg.norm(knee - ankle, axis=1))),
        hip_centre=to_pelvis @ (hip.mean(axis=0) - state.xpos[pelvis]),
        sole=model.site(left.sole).pos.copy(),
        toe_edge=float(corners[..., 0].max()),
        heel_edge=float(corners[..., 0].min()),
        corners=corners,
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; a fault names the file."""
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise MotionError(f"{path}: cannot be read: {error}") from error
    if not isinstance(data, dict):
        raise MotionError(f"{path}: expected a mapping of keys to values")
    return data


def _check_keys(path: Path, where: str, data: Any, allowed: tuple[str, ...]) -> None:
    prefix = f"{where}." if where else ""
    if not isinstance(data, dict):
        raise MotionError(f"{path}: {where} must be a mapping with {', '.join(allowed)}")
    unknown = [key for key in data if key not in allowed]
    missing = [key for key in allowed if key not in data]
    if unknown:
        raise MotionError(f"{path}: unknown key {prefix}{unknown[0]}; allowed: {', '.join(allowed)}")
    if missing:
        raise MotionError(f"{path}: missing key {prefix}{missing[0]}")


def _build(path: Path, where: str, cls: type, data: Any) -> Any:
    """An instance of a small dataclass from a mapping; unknown and missing keys are errors."""
    names = tuple(f.name for f in fields(cls))
    required = {f.name for f in fields(cls) if f.default is MISSING}
    filled = {f.name: f.default for f in fields(cls) if f.name not in required}
    if isinstance(data, dict):
        data = filled | data
    _check_keys(path, where, data, names)
    return cls(**data)
