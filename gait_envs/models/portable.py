"""A robot's model for a MuJoCo elsewhere, as in a browser: its MJCF files, and what was changed after compiling them.

The binary form of a model is of one version of MuJoCo alone. Text is read by all, and what this project changes in a
compiled model (stable PD servos, flags) are numbers of named fields, which are written again.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from gait_envs.errors import GaitNetError
from gait_envs.models.edits import Edits, edits
from gait_envs.models.robot import Robot

UNREACHED = 1e10  # rad or N·m


class PortableError(GaitNetError, ValueError):
    """A model that needs more than its MJCF files."""


@dataclass(frozen=True)
class PortableModel:
    """What another MuJoCo needs to have the same model."""

    scene: str  # which of the files to compile
    files: dict[str, bytes]  # MJCF by file name
    edits: Edits  # dotted fields of the compiled model to their values


def portable(robot: Robot) -> PortableModel:
    """The robot's MJCF files and its edits; PortableError where the model has files other than MJCF of one folder."""
    model = robot.model
    if model.nmesh or model.nhfield or model.nskin:
        raise PortableError(
            f"{robot.file}: it has meshes, height fields or skins; only primitive geoms can be taken along"
        )
    original = mujoco.MjModel.from_xml_path(str(robot.file))
    changed = _without_truths(edits(model, original), model)
    return PortableModel(robot.file.name, _with_includes(robot.file), changed)


def _without_truths(changed: Edits, model: mujoco.MjModel) -> Edits:
    """Limits that were lifted become ranges that nothing reaches: MuJoCo's JavaScript cannot write arrays of bool."""
    for limited, range_ in (
        ("actuator_ctrllimited", "actuator_ctrlrange"),
        ("actuator_forcelimited", "actuator_forcerange"),
    ):
        if limited in changed:
            free = ~changed.pop(limited).astype(bool)
            changed[range_] = np.where(free[:, None], [-UNREACHED, UNREACHED], getattr(model, range_))
    truths = [name for name, value in changed.items() if np.asarray(value).dtype == bool]
    if truths:
        raise PortableError(f"{', '.join(truths)} of the model were changed, which cannot be taken along")
    return changed


def _with_includes(scene: Path) -> dict[str, bytes]:
    """The file and those it includes, by name; all lie in its folder."""
    found: dict[str, bytes] = {}
    waiting = [scene]
    while waiting:
        file = waiting.pop()
        if file.name in found:
            continue
        found[file.name] = file.read_bytes()
        for node in ElementTree.fromstring(found[file.name]).iter("include"):
            name = node.get("file", "")
            if Path(name).name != name:
                raise PortableError(f"{file}: includes {name!r}; only files of the same folder can be taken along")
            waiting.append(file.with_name(name))
    return found
