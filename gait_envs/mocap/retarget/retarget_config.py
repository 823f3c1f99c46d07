"""A robot's retarget YAML, read and checked: correspondences, weights and habits. `target_body` reads its model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

from gait_envs.assets import asset_path, asset_root
from gait_envs.errors import MotionError, one_line
from gait_envs.mocap.retarget.joint_names import ROLES, SIDES
from gait_envs.reading import yaml_text
from gait_envs.reading.loaders import loader

_NUMBERS = ("posture", "smoothing", "lean", "crouch", "step_width", "swing_clearance", "limit_margin")
_OPTIONAL_NUMBERS = {
    "fps": 50.0,
    "sway": None,
    "swing_weight": 0.3,
    "foot_yaw": 0.0,
    "foot_roll": 0.0,
    "pelvis_yaw": 0.0,
    "knee_margin": 0.05,
    "acceleration": 0.00015,
}
_MAY_BE_NULL = ("lean", "step_width", "sway")
AS_CAPTURED = "capture"  # step_width: as wide as the captured walk, at the robot's scale


@dataclass(frozen=True)
class Leg:
    """Names in the model."""

    hip: str
    knee: str
    ankle: str
    sole: str  # site
    contacts: list[str]  # box geoms of the foot, in the order of a clip's contacts
    toes: Sequence[str] = ()  # capsule geoms, each on a hinge of its own, that bend where the floor is in their way


@dataclass(frozen=True)
class Task:
    """Weights of one body's errors, 1/m and 1/rad, along and about its own axes; a number or three."""

    position: Any
    orientation: Any
    body: str = ""


@dataclass(frozen=True)
class Limb:
    """A chain of joints, from the trunk outwards, whose bones point as the captured ones do."""

    chain: dict[str, str]  # role of the capture -> body or site of the model
    weight: float  # 1/rad, of each bone's direction


@dataclass(frozen=True)
class Description:
    """The contents of a retarget YAML."""

    path: Path
    name: str
    model: Path
    legs: dict[str, Leg]
    tasks: dict[str, Task]  # pelvis, chest, soles
    limbs: dict[str, Limb]
    numbers: dict[str, Any]  # posture, smoothing, ...


def body_names() -> list[str]:
    """The bundled bodies that captures can be retargeted to."""
    return sorted(path.parent.name for path in asset_root().glob("*/retarget.yaml"))


@loader("retarget description", ".yaml", ".yml")
def read_description(robot: str | os.PathLike[str]) -> Description:
    """A description by the name of its asset folder (`wildrobot`) or by the path of a YAML file."""
    path = Path(robot)
    if path.suffix not in (".yaml", ".yml"):
        known = body_names()
        if str(robot) not in known:
            raise MotionError(f"unknown robot {str(robot)!r}; known: {', '.join(known)}, or give a .yaml file")
        path = asset_path(f"{robot}/retarget.yaml")
    data = {"limbs": {}} | _OPTIONAL_NUMBERS | read_yaml(path)
    _check_keys(path, "", data, ("name", "model", "legs", "tasks", "limbs", *_NUMBERS, *_OPTIONAL_NUMBERS))
    _check_keys(path, "legs", data["legs"], SIDES)
    _check_keys(path, "tasks", data["tasks"], ("pelvis", "chest", "soles"))
    numbers = {key: data[key] for key in (*_NUMBERS, *_OPTIONAL_NUMBERS)}
    for key, value in numbers.items():
        if not (isinstance(value, int | float) or (value is None and key in _MAY_BE_NULL)
                or (key == "step_width" and value == AS_CAPTURED)):  # fmt: skip
            raise MotionError(f"{path}: {key} is {value!r}, expected a number")
    if not 0 < numbers["fps"] < float("inf"):
        raise MotionError(f"{path}: fps is {numbers['fps']!r}, expected a positive number")
    numbers["fps"] = float(numbers["fps"])
    model = path.parent / str(data["model"])
    if not _is_file(model):
        raise MotionError(f"{path}: model: {one_line(model)} does not exist")
    return Description(
        path=path,
        name=str(data["name"]),
        model=model,
        legs={side: _build(path, f"legs.{side}", Leg, data["legs"][side]) for side in SIDES},
        tasks={key: _build(path, f"tasks.{key}", Task, value) for key, value in data["tasks"].items()},
        limbs=_read_limbs(path, data["limbs"]),
        numbers=numbers,
    )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that no file can have
        return False


def _read_limbs(path: Path, data: Any) -> dict[str, Limb]:
    if not isinstance(data, dict):
        raise MotionError(f"{path}: limbs must be a mapping of limbs to their chain and weight")
    limbs = {str(name): _build(path, f"limbs.{name}", Limb, value) for name, value in data.items()}
    for name, limb in limbs.items():
        if not isinstance(limb.chain, dict) or len(limb.chain) < 2:
            raise MotionError(f"{path}: limbs.{name}.chain must map two or more roles to bodies or sites")
        unknown = [role for role in limb.chain if role not in ROLES]
        if unknown:
            raise MotionError(f"{path}: limbs.{name}.chain: unknown role {unknown[0]!r}; roles: {', '.join(ROLES)}")
        if not isinstance(limb.weight, int | float):
            raise MotionError(f"{path}: limbs.{name}.weight is {limb.weight!r}, expected a number")
    return limbs


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML mapping; a fault names the file."""
    data = yaml_text.read_yaml(path, MotionError)
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
