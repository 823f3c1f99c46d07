"""Fewer physics steps a second: how much faster is a body simulated, and do policies trained at its own rate walk?

    python scripts/bench_physics_rate.py                      a table of three bodies
    python scripts/bench_physics_rate.py --reference CLIPS    the trackers along these clips of their body
    python scripts/bench_physics_rate.py --json               one JSON object on the last line

Speed is that of `GaitVectorEnv`, bodies that flail and fall included, the rates in alternation (`bench_env.py`).
Success is that of bundled policies, deterministic, from the start of each clip of their reference or at their commands.
"""

from __future__ import annotations

import argparse
import json
import statistics
from typing import Any

from bench_env import machine, record, time_vector

# isort: split
from gait_envs.assets import asset_path
from gait_envs.cli import run_script
from gait_envs.registry import find_id
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, follows_clips
from gait_trainers.policies.loading import load_policy

# Hz, the body's own first: 50 Hz of control for WildRobot and 30 for the human bodies, times whole numbers.
RATES = {
    "wildrobot_walk": (500, 250, 150),
    "humanoid_imitation": (480, 240, 120),
    "humanoid_tracker": (480, 240, 120),
    "muscle_humanoid_imitation": (480, 240, 120),
}
N, STEPS = 64, 24  # sub-environments and control steps of a turn


def speeds(policy: Policy, rates: tuple[int, ...], turns: int, threads: int) -> dict[int, float]:
    """Control steps a second at each rate: medians over the turns."""
    task = find_id(policy.env_id).task
    own = deployment_kwargs(policy.env_kwargs)
    tapes = {
        rate: record(N, STEPS, threads, task=task, settle=10, size=0.1, **own | {"physics_rate": float(rate)})
        for rate in rates
    }
    found: dict[int, list[float]] = {rate: [] for rate in rates}
    for turn in range(turns):
        for rate in rates[:: 1 if turn % 2 == 0 else -1]:
            found[rate].append(time_vector(tapes[rate]))
    return {rate: statistics.median(values) for rate, values in found.items()}


def success(policy: Policy, rate: int, reference: str | None, threads: int) -> dict[str, float]:
    """Success, and the error that goes with it: m/s of a walker, mm of a tracker relative to the root."""
    options = {"physics_rate": float(rate)}
    if not follows_clips(policy.env_id):
        found = evaluate(policy, episodes=160, env_kwargs=options, threads=threads)
        return {"success": found["is_success_rate"], "error": found["speed_error"]}
    options |= {"max_distance": 0.5}
    found = evaluate_tracking(policy, reference=reference, env_kwargs=options, threads=threads)
    return {"success": found["success_rate"], "error": found["mpjpe_root"]}


def benchmark(names: list[str], reference: str | None, turns: int, threads: int) -> dict[str, Any]:
    """Every rate of every policy; those at a body's own rate come first."""
    rows = []
    for name in names:
        policy = load_policy(asset_path(f"policies/{name}"))
        speed = speeds(policy, RATES[name], turns, threads)
        clips = reference if follows_clips(policy.env_id) else None
        for rate in RATES[name]:
            found = success(policy, rate, clips, threads)
            rows.append({"policy": name, "physics_rate": rate, "steps_per_second": speed[rate], **found})
    return {"machine": machine(threads), "turns": turns, "rows": rows}


def table(rows: list[dict[str, Any]]) -> str:
    """The same for people."""
    lines = [f"{'policy':28}{'Hz':>6}{'steps/s':>10}{'times':>7}{'success':>9}{'error':>8}"]
    own = {row["policy"]: row for row in reversed(rows)}
    for row in rows:
        times = row["steps_per_second"] / own[row["policy"]]["steps_per_second"]
        lines.append(
            f"{row['policy']:28}{row['physics_rate']:6}{row['steps_per_second']:10,.0f}{times:7.2f}"
            f"{row['success']:9.1%}{row['error']:8.3g}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    parser.add_argument("--only", nargs="+", choices=list(RATES), default=list(RATES), help="bundled policies")
    parser.add_argument("--reference", metavar="CLIPS", help="of the trackers; their own reference without it")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0, help="physics threads; 0: one a core")
    args = parser.parse_args()
    found = benchmark(args.only, args.reference, args.turns, args.threads)
    print(json.dumps(found) if args.json else table(found["rows"]))


if __name__ == "__main__":
    run_script(main)
