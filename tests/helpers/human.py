"""What the tests of the humanoid share: its script, its models, its joints in order."""

from __future__ import annotations

import functools
import importlib.util
import shutil
from pathlib import Path
from types import ModuleType

import mujoco
import pytest

from gait_envs.assets import asset_path

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPT = ROOT / "scripts" / "make_humanoid.py"
TABLES = ROOT / "assets" / "humanoid" / "tables"
needs_script = pytest.mark.skipif(not SCRIPT.is_file(), reason="an installed package carries no scripts")

LEG = ("hip_flexion", "hip_abduction", "hip_rotation", "knee_flexion", "ankle_dorsiflexion", "ankle_inversion",
        "ankle_rotation", "big_toe_extension", "small_toes_extension")  # fmt: skip
ARM = ("shoulder_protraction", "shoulder_elevation", "shoulder_rotation", "arm_flexion", "arm_abduction",
        "arm_rotation", "elbow_flexion", "hand_pronation", "hand_deviation", "hand_flexion")  # fmt: skip
TRUNK = tuple(f"{part}_{turn}" for part in ("spine", "torso", "neck", "head")
               for turn in ("flexion", "bending", "rotation"))  # fmt: skip
JOINTS = (
    *(f"{side}_{joint}" for side in ("right", "left") for joint in LEG),
    *TRUNK,
    *(f"{side}_{joint}" for side in ("right", "left") for joint in ARM),
)


@functools.cache
def make_humanoid() -> ModuleType:
    """The script as a module; it also puts its package `humanoid` within reach."""
    spec = importlib.util.spec_from_file_location("make_humanoid", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def helpers(name: str) -> ModuleType:
    """A module of the script's package."""
    make_humanoid()
    return importlib.import_module(f"humanoid.{name}")


def load(name: str) -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(asset_path(f"humanoid/{name}.xml")))


def at_home(model: mujoco.MjModel) -> mujoco.MjData:
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, model.key("home").id)
    mujoco.mj_forward(model, data)
    return data


def spoilt(folder: Path, table: str, old: str, new: str) -> Path:
    """A copy of the tables with one text replaced in one of them."""
    copy = folder / "tables"
    shutil.copytree(TABLES, copy)
    text = (copy / f"{table}.csv").read_text(encoding="utf-8")
    assert old in text
    (copy / f"{table}.csv").write_text(text.replace(old, new, 1), encoding="utf-8")
    return copy
