"""Does a memory help where something is hidden? WildRobot walks with a payload, a delay and pushes that it never sees.

    python scripts/bench_hidden.py --out runs/hidden                        # hours on two cores
    python scripts/bench_hidden.py --out /tmp/try --iterations 1 --envs 16 --episodes 4 --seeds 1

Trains each kind of memory with each seed, on the same steps, and evaluates them deterministically on the same episodes
of the same randomisation: `is_success`, mean over the seeds with a 95 % interval (Student's t).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from gait_envs.cli import run_script
from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import train

KINDS = ("none", "frames", "gru", "lstm")
HIDDEN = {
    "mass": [0.7, 1.5],  # factor on every body's mass
    "latency": [0, 4],  # control steps of 20 ms between an action and its effect
    "push_interval": 2.0,  # s
    "push_speed": 0.5,  # m/s
    "friction": [1.0, 1.0],  # known
    "servo_gain": [1.0, 1.0],  # known
}
T95 = {2: 12.71, 3: 4.303, 4: 3.182, 5: 2.776}  # two-sided 95 % of Student's t, by the number of seeds


def success(kind: str, seed: int, args: argparse.Namespace) -> float:
    """Share of the episodes that followed their command, after a training."""
    settings = {
        "algorithm": "ppo", "networks.memory": kind, "run.seed": seed, "run.iterations": args.iterations,
        "run.out": str(args.out), "run.name": f"{kind}_{seed}", "env.num_envs": args.envs,
        "env.kwargs.randomize": HIDDEN,
    }  # fmt: skip
    run = train(load_config(preset="laptop", overrides=settings)).run
    found = evaluate(load_policy(run.path), args.episodes, [(0.4, 0.0, 0.0)], env_kwargs={"randomize": HIDDEN})
    return float(found["is_success_rate"])


def interval(values: list[float]) -> float:
    """Half of the 95 % interval of the mean; NaN for a single value."""
    n = len(values)
    return float(T95.get(n, 1.96 if n > 5 else np.nan) * np.std(values, ddof=1) / np.sqrt(n)) if n > 1 else np.nan


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=800)
    parser.add_argument("--envs", type=int, default=256)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    table: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for seed in range(args.seeds):
        for kind in KINDS:
            table[kind].append(success(kind, seed, args))
            (args.out / "hidden.json").write_text(json.dumps(table))
    for kind, values in table.items():
        print(f"{kind}: {np.mean(values):.2f} ± {interval(values):.2f}  {values}")


if __name__ == "__main__":
    run_script(main)
