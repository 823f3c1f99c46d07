"""Build the wheel and the sdist, install the wheel where there is nothing else, and use it from another folder.

    python scripts/smoke_wheel.py

Checks that the environments alone need no torch, that the package carries its assets and presets, and that the
sdist holds what a packager needs. Works in a temporary folder; leaves nothing behind.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SDIST = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
    "Makefile",
    "constraints.txt",
    "tests/test_imports.py",
)

# Runs in the empty environment.
TRY = """
import importlib.util, sys
from pathlib import Path

for heavy in ("torch", "stable_baselines3", "scipy", "matplotlib"):
    assert importlib.util.find_spec(heavy) is None, f"{heavy} is installed here"

import gait_envs, gymnasium
from gait_envs.assets import asset_root

assert Path(gait_envs.__file__).is_relative_to(sys.prefix), gait_envs.__file__
assert asset_root().is_relative_to(sys.prefix), asset_root()
for name in gait_envs.IDS:
    env = gymnasium.make(name)
    obs, info = env.reset(seed=0)
    for _ in range(20):
        obs, *_ = env.step(env.action_space.sample())
    assert obs in env.observation_space
    many = gymnasium.make_vec(name, 4, vectorization_mode="vector_entry_point")
    many.reset(seed=0)
    many.step(many.action_space.sample())
    print(name, "runs with", ", ".join(f"{p} {__import__(p).__version__}" for p in ("gymnasium", "mujoco", "numpy")))
"""


def run(*command: str | Path, cwd: Path) -> None:
    print("+", *command, flush=True)
    subprocess.run([str(part) for part in command], cwd=cwd, check=True)


def files_under(folder: str) -> set[str]:
    """Tracked files below a folder of the repository, or simply all where there is no repository."""
    listed = subprocess.run(["git", "ls-files", folder], cwd=ROOT, capture_output=True, text=True, check=False)
    if listed.returncode == 0 and listed.stdout:
        return set(listed.stdout.split())
    return {str(p.relative_to(ROOT)) for p in (ROOT / folder).rglob("*") if p.is_file()}


def check_wheel(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    wanted = {f"gait_envs/_assets/{name.removeprefix('assets/')}" for name in files_under("assets")}
    wanted |= {name for folder in ("gait_envs", "gait_trainers") for name in files_under(folder)}
    missing = sorted(wanted - names)
    assert not missing, f"{wheel.name} lacks {missing}"
    foreign = sorted(
        n for n in names if n.split("/")[0] not in ("gait_envs", "gait_trainers") and ".dist-info/" not in n
    )
    assert not foreign, f"{wheel.name} would install {foreign}"


def check_sdist(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.split("/", 1)[-1] for name in archive.getnames()}
    missing = sorted({*SDIST, *files_under("assets")} - names)
    assert not missing, f"{sdist.name} lacks {missing}"


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        dist, empty, elsewhere = folder / "dist", folder / "env", folder / "elsewhere"
        elsewhere.mkdir()
        # The wheel is built from the sdist, so the sdist is known to be complete.
        run(sys.executable, "-m", "build", "--outdir", dist, ROOT, cwd=elsewhere)
        (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
        check_wheel(wheel)
        check_sdist(sdist)
        venv.create(empty, with_pip=True)
        python = empty / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, cwd=elsewhere)
        (elsewhere / "try.py").write_text(TRY)
        run(python, "-W", "error", "try.py", cwd=elsewhere)
        print(f"{wheel.name} ({wheel.stat().st_size / 1e6:.1f} MB) and {sdist.name} are well")


if __name__ == "__main__":
    main()
