"""Measure the bundled policies, and write what their model cards claim: `evaluation.json` beside each.

    python scripts/make_cards.py                    all of them, about a minute
    python scripts/make_cards.py wildrobot_walk     one that is new

The site turns these files into model cards, and `tests/trainers/policies/test_cards.py` replays the short part of
each claim, so that a card cannot outlive the policy, or the environment, that it speaks of.
"""

from __future__ import annotations

import argparse
import os
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from gait_envs.assets import asset_root
from gait_envs.cli import run_script
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.base import Policy
from gait_trainers.policies.bundle import NETWORK, sha256
from gait_trainers.policies.loading import bundled_policies, load_policy
from gait_trainers.policies.manifest import contract_hash, readable_json

EVALUATION = "evaluation.json"
PER_COMMAND = 4  # episodes of each commanded velocity
# m/s, the range that the walkers of a robot, or this one, were trained for, and the speed that is replayed.
SPEEDS = {
    "wildrobot_captured": ([0.5, 0.6, 0.7, 0.8], 0.6),
    "wildrobot": ([round(0.1 * step, 1) for step in range(1, 10)], 0.4),
    "humanoid": ([0.6, 0.8, 1.0, 1.2, 1.4], 1.0),
}
REPLAYED_EPISODES = 2
REPLAYED_STEPS = 60  # of a clip
# The clips that a tracker is judged by and the one that is replayed; captures it was trained on are not ours to ship.
REFERENCES = {
    "wildrobot_imitation": ("wildrobot_walk", "walk_040_calm_0"),
    "humanoid_imitation": ("human_walk", "walk_120"),
    "humanoid_refnn": ("refnn:refnn", "walk_120"),
    "humanoid_tracker": ("human_walk", "walk_120"),
    "muscle_humanoid_imitation": ("human_walk", "walk_120"),
    "muscle_humanoid_tracker": ("human_walk", "walk_120"),
}
WALKING = ("success_rate", "is_success_rate", "speed_error", "heading_drift_deg", "step_symmetry", "cadence",
           "cost_of_transport")  # fmt: skip
TRACKING = ("success_rate", "mpjpe_root", "mpjpe_global", "progress")


def measure(policy: Policy, threads: int) -> tuple[str, dict[str, Any]]:
    """The command that anybody can run, and its figures, rounded."""
    if policy.name in REFERENCES:
        reference, _ = REFERENCES[policy.name]
        found = evaluate_tracking(policy, reference=[reference], threads=threads)
        return f"gait-train evaluate {policy.name} --reference {reference} --json", pruned(found, TRACKING, "clip")
    speeds, _ = speeds_of(policy)
    commands = [(speed, 0.0, 0.0) for speed in speeds]
    found = evaluate(policy, PER_COMMAND * len(commands), commands, threads=threads)
    shown = " ".join(f"--command {speed}" for speed in speeds)
    command = f"gait-train evaluate {policy.name} --episodes {PER_COMMAND * len(commands)} {shown} --json"
    return command, pruned(found, WALKING, "command")


def speeds_of(policy: Policy) -> tuple[list[float], float]:
    """The speeds that a walker is judged by, and the one that is replayed."""
    return SPEEDS.get(policy.name) or SPEEDS[policy.details["environment"]["robot"]]


def pruned(found: dict[str, Any], keys: tuple[str, ...], each: str) -> dict[str, Any]:
    """The figures that a card shows, overall and for each command or clip."""
    rows = [{each: row[each]} | rounded(row, keys) for row in found[f"per_{each}"]]
    return {"mode": found["mode"], "seed": found["seed"], "episodes": found["episodes"]} | rounded(found, keys) | {
        f"per_{each}": rows
    }  # fmt: skip


def rounded(row: dict[str, Any], keys: tuple[str, ...]) -> dict[str, Any]:
    return {key: None if row[key] is None else round(row[key], 4) for key in keys}


def replay(policy: Policy, threads: int = 1) -> dict[str, Any]:
    """The short part of the claim, which a test repeats: one command, or one clip."""
    if policy.name in REFERENCES:
        reference, clip = REFERENCES[policy.name]
        short = {"max_episode_steps": REPLAYED_STEPS}
        found = evaluate_tracking(policy, clips=[clip], reference=[reference], env_kwargs=short, threads=threads)
        return {"clip": clip} | rounded(found, ("success_rate", "mpjpe_root"))
    _, speed = speeds_of(policy)
    found = evaluate(policy, REPLAYED_EPISODES, [(speed, 0.0, 0.0)], threads=threads)
    return {"command": [speed, 0.0, 0.0]} | rounded(found, ("success_rate", "forward_velocity"))


def claim(policy: Policy, folder: Path, threads: int) -> dict[str, Any]:
    """Everything that `evaluation.json` says."""
    command, results = measure(policy, threads)
    return {
        "contract": contract_hash(policy.details),
        "network_sha256": sha256(folder / NETWORK),
        "measured_by": command,
        "on": f"{os.cpu_count()} cores",
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "versions": {name: version(name) for name in ("gaitnet", "mujoco", "onnxruntime")},
        "results": results,
        "replay": replay(policy),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=bundled_policies(), help="policies (default: all)")
    parser.add_argument("--threads", type=int, default=0, help="physics threads; 0: one per core")
    args = parser.parse_args()
    for name in args.names:
        folder = asset_root() / "policies" / name
        file = folder / EVALUATION
        file.write_text(readable_json(claim(load_policy(folder), folder, args.threads)), encoding="utf-8")
        print(f"{file} written")


if __name__ == "__main__":
    run_script(main)
