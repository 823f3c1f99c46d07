"""What import-linter cannot say about imports and packages; the rest is in pyproject.toml, and run by `make lint`."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = {"envs": "gait_envs", "trainers": "gait_trainers"}  # folder of tests -> the package that it mirrors
MIRRORED = {**PACKAGES, "service": "gait_trainers/service"}
MOST_MODULES = 16  # in one folder
HEAVY = {"torch", "stable_baselines3", "sb3_contrib"}
# Where learning is. Everything else acts, evaluates and reports, and loads no learning library until it is given a run.
LEARNING = tuple(
    f"gait_trainers.{package}"
    for package in (
        "imitation.adversarial",
        "imitation.calibration",
        "imitation.cloning",
        "imitation.convert",
        "imitation.from_clips",
        "imitation.horizon",
        "imitation.student",
        "learners",
        "models",
        "policies.export",
        "policies.onnx_graph",
        "policies.sb3_export",
        "policies.torch_policy",
        "pretrain",
        "rl",
        "runs",
    )
)
# These read run folders, and so load torch with other modules, but do not ask for it themselves.
READ_RUNS = tuple(
    f"gait_trainers.{name}"
    for name in ("reports.training", "reports.gait_page", "reports.motion_page", "demo", "commands.export")
)
# Modules of `gait_envs` that may use the extras: the tools of motion capture, and what only a command line imports.
WITH_EXTRAS = ("gait_envs.cli", "gait_envs.mocap", "gait_envs.reading.yaml_text")
IN_FUNCTIONS = {"gait_envs.render": {"imageio_ffmpeg"}}  # imported by the one function that is for the extras


def modules(package: str) -> dict[str, Path]:
    """Full name (`gait_envs.tasks.walk`) to file."""
    paths = sorted((ROOT / package).rglob("*.py"))
    return {".".join(p.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): p for p in paths}


ENVS, TRAINERS = modules("gait_envs"), modules("gait_trainers")
LIGHT = [name for name in TRAINERS if not name.startswith(LEARNING)]


@functools.cache
def libraries(path: Path, *, nested: bool = True) -> set[str]:
    """Names of imported packages; those inside functions too if `nested`, never those for types only."""
    tree = ast.parse(path.read_text())
    typing_only = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.unparse(block.test)
        for node in ast.walk(block)
    }
    found: set[str] = set()
    for node in ast.walk(tree) if nested else tree.body:
        if isinstance(node, ast.Import) and id(node) not in typing_only:
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and id(node) not in typing_only:
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found.add(node.module.split(".")[0])
    return found


def python(code: str, *words: str) -> str:
    """Standard output of a fresh interpreter."""
    command = [sys.executable, "-c", code, *words]
    result = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_walk_over_modules_sees_them() -> None:
    assert {"gait_envs", "gait_envs.core", "gait_envs.tasks.walk", "gait_envs.reference.clip"} <= set(ENVS)
    assert libraries(ENVS["gait_envs.tasks.walk"]) >= {"gait_envs", "numpy"}
    render = ENVS["gait_envs.render"]
    assert libraries(render) - libraries(render, nested=False) >= {"imageio_ffmpeg"}


def test_packages_import_neither_scripts_nor_tests_and_nothing_relatively() -> None:
    for path in [*ENVS.values(), *TRAINERS.values()]:
        assert not libraries(path) & {"scripts", "tests", "conftest", "helpers"}, path


def test_environments_need_three_libraries() -> None:
    allowed = {"gait_envs", "gymnasium", "mujoco", "numpy", *sys.stdlib_module_names}
    for name, path in ENVS.items():
        if not name.startswith(WITH_EXTRAS):
            assert libraries(path) <= allowed | IN_FUNCTIONS.get(name, set()), name
            assert libraries(path, nested=False) <= allowed, name


@pytest.mark.parametrize("name", LIGHT)
def test_running_a_policy_asks_for_no_torch(name: str) -> None:
    assert not libraries(TRAINERS[name], nested=False) & HEAVY


IMPORT_ALL = """
import importlib, sys
heavy, *names = (word.split(",") for word in sys.argv[1:])
for (name,) in names:
    importlib.import_module(name)
    loaded = set(heavy) & set(sys.modules)
    assert not loaded, f"{name} loads {loaded}"
"""


def test_running_a_policy_loads_no_torch() -> None:
    python(IMPORT_ALL, ",".join(sorted(HEAVY)), *(name for name in LIGHT if name not in READ_RUNS))


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
    assert python(RUN_BARE).startswith("ran GaitNet/WildRobot-v0")


@pytest.mark.parametrize("package", PACKAGES.values())
def test_every_folder_can_be_taken_in_at_one_look(package: str) -> None:
    for folder in {path.parent for path in modules(package).values()}:
        names = [path.name for path in folder.glob("*.py") if path.name != "__init__.py"]
        assert len(names) <= MOST_MODULES, f"{folder} holds {len(names)} modules"
        assert (folder / "__init__.py").exists(), f"{folder} is no package"


def test_tests_mirror_the_packages() -> None:
    tests = [path.relative_to(ROOT / "tests") for path in (ROOT / "tests").rglob("test_*.py")]
    assert len(tests) > 50
    for path in tests:
        top, *folders = path.parent.parts or ("",)
        if top and top != "soak":  # directly in tests/ is what concerns both packages, and so does the soak
            assert (ROOT / MIRRORED[top]).joinpath(*folders).is_dir(), f"tests/{path} mirrors no package"
