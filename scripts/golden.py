"""Golden values of everything learned: seeded runs of each trainer and the evaluation of every bundled policy.

    python scripts/golden.py record golden.json        # before a change that must not move a bit
    python scripts/golden.py check golden.json         # after it, on the same machine
    python scripts/golden.py check golden.json --only muscle --only wildrobot    # what has one of these in its name

Bits depend on the processor and the library versions, so the file belongs to one machine and is not committed. Only
the command line and the formats on disk are used, so that the same script serves before and after modules move.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from gait_trainers.runs.checkpoint_format import decode

ROOT = Path(__file__).resolve().parent.parent
SMALL = ("--num-envs", "16", "--iterations", "3", "--seed", "7")
SMALL_PPO = ("ppo.n_steps=32", "ppo.minibatches=4", "run.tensorboard=false")
RUNS: dict[str, tuple[str, ...]] = {
    "ppo": (),
    "ppo-amp": ("--preset", "laptop", "--set", "amp.batch_size=256"),
    "ppo-amp paper": ("--set", "amp.batch_size=256", "--set", "amp.mirror=true", "--set", "amp.frames=2"),
    "imitate": (),
    "imitate humanoid": ("--env", "GaitNet/HumanoidImitation-v0"),
    "muscle": ("--set", "muscle.updates=8"),
}
MODES = ("--both", "--seed", "3", "--json")
EPISODES = {"wildrobot_imitation": 26}  # one for each clip; of the others:
FEW = 12
# Not properties of what was learned: how long things took.
TIMES = ("elapsed", "steps_per_second", "physics_seconds", "policy_seconds", "update_seconds")


def run(*args: str) -> str:
    """Standard output of a `gait-train` command; its errors are ours."""
    command = [sys.executable, "-m", "gait_trainers.cli", *args]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        sys.exit(f"golden: {' '.join(args)} failed")
    return done.stdout


def digest(tree: Any) -> str:
    """Hash of all tensors in nested containers, in order of their keys."""
    sha = hashlib.sha256()

    def add(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            sha.update(value.contiguous().numpy().tobytes())
        elif isinstance(value, dict):
            for key in sorted(value, key=str):
                sha.update(str(key).encode())
                add(value[key])
        elif isinstance(value, list | tuple):
            for item in value:
                add(item)

    add(tree)
    return sha.hexdigest()


def trained(name: str, options: tuple[str, ...], out: Path) -> dict[str, Any]:
    """Hashes of the final networks, and the last row of the metrics, of a seeded run."""
    folder = name.replace(" ", "_")
    settings = [part for setting in SMALL_PPO for part in ("--set", setting)]
    run(name.split()[0], *SMALL, *options, *settings, "--out", str(out), "--name", folder)
    (*_, last) = sorted((out / folder / "checkpoints").glob("step_*.pt"))
    state = decode(last.read_bytes())
    with open(out / folder / "metrics.csv", newline="") as file:
        row = list(csv.DictReader(file))[-1]
    return {
        "policy": digest(state["policy"]),
        "optimizer": digest(state["optimizer"]),
        "metrics": {key: value for key, value in row.items() if key not in TIMES},
    }


def measure(only: Sequence[str] = ()) -> dict[str, Any]:
    """Golden values by the name of what was run: all, or those that `chosen` keeps."""
    bundles = {f"evaluate {path.name}": path for path in sorted((ROOT / "assets" / "policies").iterdir())}
    names = chosen([*RUNS, *bundles], only)
    values: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as out:
        for name in names:
            if name in RUNS:
                values[name] = trained(name, RUNS[name], Path(out))
            else:
                episodes = str(EPISODES.get(bundles[name].name, FEW))
                told = run("evaluate", str(bundles[name]), "--episodes", episodes, *MODES)
                values[name] = json.loads(told.splitlines()[-1])
            print(f"golden: {name}", file=sys.stderr)
    return values


def chosen(names: Sequence[str], only: Sequence[str]) -> list[str]:
    """Names that contain one of the patterns, or all; a pattern that fits no name ends the program."""
    for pattern in only:
        if not any(pattern in name for name in names):
            sys.exit(f"golden: --only {pattern!r} fits none of: {', '.join(names)}")
    return [name for name in names if not only or any(pattern in name for pattern in only)]


def differences(before: Any, after: Any, where: str = "") -> list[str]:
    """Paths at which two trees differ; what is only in `after` is new and not a difference."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [d for key in before for d in differences(before[key], after.get(key, "missing"), f"{where}/{key}")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        return [d for i, (a, b) in pairs for d in differences(a, b, f"{where}/{i}")]
    same = before == after or (is_nan(before) and is_nan(after))
    return [] if same else [f"{where}: {before!r} became {after!r}"]


def is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=("record", "check"))
    parser.add_argument("file", type=Path, help="JSON file of golden values")
    parser.add_argument("--only", action="append", default=[], metavar="PATTERN", help="part of a name; repeatable")
    args = parser.parse_args()
    recorded = json.loads(args.file.read_text()) if args.action == "check" else {}
    expected = {name: recorded[name] for name in chosen(list(recorded), args.only)} if recorded else {}
    values = measure(args.only)
    if args.action == "record":
        args.file.write_text(json.dumps(values, indent=1))
        return
    found = differences(expected, values)
    print("\n".join(found) or "golden: equal to the bit")
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
