"""The house keeps its order: who may import what."""

from __future__ import annotations

import ast
import functools
import graphlib
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# Data flows from lower to higher numbers; nothing imports against it.
LAYERS = {
    "assets": 0,
    "files": 0,
    "cli": 0,
    "rotations": 0,
    "layout": 0,
    "models": 1,
    "physics": 2,
    "render": 2,
    "control": 3,
    "muscle_physics": 3,
    "instruments": 3,
    "parameters": 3,
    "motion": 3,
    "tasks": 4,
    "randomize": 5,
    "core": 6,
    "env": 7,
    "vector_env": 8,
}
MUJOCO = {
    *("models.muscles", "models.robot", "models.segments", "models.servo", "physics", "render", "instruments"),
    *("motion.body", "motion.human_fit", "motion.ik", "motion.quality"),
}
# Modules that only `gait-data` needs may use its extra's libraries; the environments do without.
DATA = {"cli"} | {
    f"motion.{name}"
    for name in (
        "clean", "cli", "description", "feet", "filters", "ik", "landmarks", "quality", "report", "retarget",
        "set_report", "sway", "strikes",
    )
}  # fmt: skip
WITHIN = {"render": {"imageio_ffmpeg"}}  # imported by the one function that is for the extras
# What runs an exported policy needs neither torch nor Stable-Baselines3 until it is given a run.
LIGHT = (
    *("config", "cli", "bundle", "recording", "evaluate", "gait_metrics", "metrics", "play", "report", "schedule"),
    *("amp.windows", "gait", "gait_page", "gait_walks", "options", "record", "tables", "tracking"),
)
HEAVY = ("torch", "stable_baselines3", "sb3_contrib")


def modules(package: str) -> dict[str, Path]:
    """Name within the package (`tasks.walk`) to file."""
    folder = ROOT / package
    names = {".".join(p.relative_to(folder).with_suffix("").parts): p for p in sorted(folder.rglob("*.py"))}
    return {name.removesuffix("__init__").removesuffix("."): path for name, path in names.items()}


@functools.cache
def imports(path: Path, *, nested: bool = True) -> set[str]:
    """Absolute names of imported modules; those inside functions too if `nested`, never those for types only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found: set[str] = set()
    for node in ast.walk(tree) if nested else tree.body:
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def top(names: set[str]) -> set[str]:
    """The packages that the names belong to."""
    return {name.split(".")[0] for name in names}


ENVS = modules("gait_envs")
TRAINERS = modules("gait_trainers")


def internal(path: Path) -> set[str]:
    """Modules of `gait_envs` that a file imports."""
    return {name for name in ENVS if name and f"gait_envs.{name}" in imports(path)}


def test_the_walk_over_modules_sees_them() -> None:
    assert {"", "core", "tasks.walk", "motion.clip"} <= set(ENVS)
    assert {"tasks.config", "physics"} <= internal(ENVS["tasks.walk"])


@pytest.mark.parametrize("name", [name for name in ENVS if name])
def test_nothing_imports_against_the_arrow(name: str) -> None:
    layer = LAYERS[name.split(".")[0]]  # a new module must be given its place above
    against = [other for other in internal(ENVS[name]) if LAYERS[other.split(".")[0]] > layer]
    assert not against


def test_there_is_no_cycle() -> None:
    graph = {name: internal(path) for name, path in ENVS.items()}
    list(graphlib.TopologicalSorter(graph).static_order())


def test_mujoco_stays_where_physics_and_pictures_are() -> None:
    users = {name for name, path in ENVS.items() if top(imports(path)) & {"mujoco", "mink"}}
    assert users <= MUJOCO


def test_environments_know_no_learning_library() -> None:
    for name, path in ENVS.items():
        assert not top(imports(path)) & {*HEAVY, "gait_trainers"}, name


def test_environments_need_three_libraries() -> None:
    allowed = {"gait_envs", "gymnasium", "mujoco", "numpy", *sys.stdlib_module_names}
    for name, path in ENVS.items():
        if name not in DATA and not name.startswith(("motion.importers", "motion.commands")):
            assert top(imports(path)) <= allowed | WITHIN.get(name, set()), name
            assert top(imports(path, nested=False)) <= allowed, name


@pytest.mark.parametrize("name", LIGHT)
def test_running_a_policy_needs_no_torch(name: str) -> None:
    assert not top(imports(TRAINERS[name], nested=False)) & set(HEAVY)


def test_nothing_imports_scripts_or_tests() -> None:
    for path in [*ENVS.values(), *TRAINERS.values()]:
        assert not top(imports(path)) & {"scripts", "tests", "conftest"}, path


RUN_BARE = """
import sys

class Refuse:
    names = {"torch", "stable_baselines3", "sb3_contrib", "scipy", "yaml", "matplotlib", "mink", "rich", "typer",
             "pydantic", "onnx", "onnxruntime", "imageio", "imageio_ffmpeg", "PIL", "bvhio", "daqp", "pandas",
             "gait_trainers"}
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in self.names:
            raise ModuleNotFoundError(f"refused: {name}")

sys.meta_path.insert(0, Refuse())
import gymnasium, numpy, gait_envs
for name in gait_envs.IDS:
    env = gymnasium.make(name)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    env = gymnasium.make_vec(name, 2, vectorization_mode="vector_entry_point")
    env.reset(seed=0)
    env.step(env.action_space.sample())
print("ran", *gait_envs.IDS)
"""


def test_environments_run_without_the_extras() -> None:
    result = subprocess.run([sys.executable, "-c", RUN_BARE], capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("ran GaitNet/WildRobot-v0")
