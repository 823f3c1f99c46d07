"""Run an example of `examples/third_party` in an environment of its own, made from pinned requirements.

    python scripts/third_party.py              all of them
    python scripts/third_party.py torchrl skrl
    python scripts/third_party.py --sync torchrl skrl    each also with Gymnasium's SyncVectorEnv, to compare the speed

An environment holds what its library adds and sees everything else of the one that runs this script, so that torch is
installed once. `build/third_party` keeps them; one is made again when its requirements change.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES, BUILD = ROOT / "examples" / "third_party", ROOT / "build" / "third_party"
LIMIT = 900  # s for one example


@dataclass(frozen=True)
class Example:
    """A library, what runs it, and for how long."""

    command: Sequence[str]  # the arguments of Python
    ours: Sequence[str] = ()  # packages that it pins to another version than ours, with which it runs all the same


STEPS = "--steps"
TABLE = {
    "cleanrl": Example(["train_cleanrl_style.py", STEPS, "8192"]),
    "sb3": Example(["train_sb3.py", STEPS, "16384"]),
    "sb3_contrib": Example(["train_sb3_contrib.py", STEPS, "4096"]),
    "torchrl": Example(["train_torchrl.py", STEPS, "8192"]),
    "skrl": Example(["train_skrl.py", STEPS, "8192"]),
    "tianshou": Example(["train_tianshou.py", STEPS, "8192"]),
    "optuna": Example(["tune_optuna.py", STEPS, "2048", "--trials", "2"]),
    "rl_zoo3": Example(
        ["-m", "rl_zoo3.train", "--algo", "ppo", "--env", "GaitNet/WildRobot-v0", "--gym-packages", "gait_envs",
         "--conf-file", "rl_zoo3_ppo.yml", "-n", "2048", "--eval-freq", "-1", "--log-folder",
         str(BUILD / "rl_zoo3_logs")]
    ),
    "minari": Example(["record_minari.py", STEPS, "1000"]),
    "d3rlpy": Example(["train_d3rlpy.py", STEPS, "400"], ours=["gymnasium"]),
    "rllib": Example(["train_rllib.py", STEPS, "4096"]),
    "ray_tune": Example(["tune_ray.py", STEPS, "2048", "--trials", "2"]),
}  # fmt: skip


def environment(name: str) -> Path:
    """The Python of a library's environment, which is made first where it is missing or its requirements changed."""
    requirements = EXAMPLES / "requirements" / f"{name}.txt"
    if not requirements.is_file():
        return Path(sys.executable)  # nothing beyond the extras
    folder = BUILD / name
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    stamp = folder / "installed.txt"
    if stamp.is_file() and stamp.read_text() == requirements.read_text():
        return python
    venv.create(folder, clear=True, with_pip=True)
    ours = [sysconfig.get_path("purelib"), str(ROOT)]
    found = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    (Path(found.stdout.strip()) / "_shared.pth").write_text("\n".join(ours) + "\n")
    install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "-c", ROOT / "constraints.txt", "-r", requirements], check=True)
    if TABLE[name].ours:
        subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", *TABLE[name].ours], check=True)
    stamp.write_text(requirements.read_text())
    return python


def run(name: str, *, sync: bool = False) -> str:
    """The output of an example; `subprocess.CalledProcessError` where it fails.

    `sync`: with Gymnasium's `SyncVectorEnv` in place of the native vector form
    """
    before = [str(ROOT / "scripts" / "sync_form.py")] if sync else []
    result = subprocess.run(
        [environment(name), *before, *TABLE[name].command],
        cwd=EXAMPLES, capture_output=True, text=True, timeout=LIMIT, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    if result.returncode:
        sys.stderr.write(result.stdout[-2000:] + result.stderr[-4000:])
        result.check_returncode()
    return result.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help=f"libraries: {', '.join(TABLE)}; all by default")
    parser.add_argument("--sync", action="store_true", help="run each with Gymnasium's SyncVectorEnv as well")
    args = parser.parse_args()
    for name in args.names or TABLE:
        for sync in (False, True) if args.sync else (False,):
            lines = run(name, sync=sync).strip().splitlines()
            print(f"{name}{' (sync)' if sync else ''}: {lines[-1] if lines else 'done'}", flush=True)


if __name__ == "__main__":
    main()
