"""One change, equal steps, several seeds: what a part of the training does.

    python scripts/ablate.py prior --seeds 0 1 2 --iterations 100 --init wildrobot_clone --out runs/ablation

Trains every variant of a comparison with every seed, from scratch or from given networks (a run that is complete is
not repeated), evaluates each deterministically and stochastically, and writes `NAME.json`, `NAME.md` (a row a variant:
the mean over seeds and, in brackets, the least and the largest) and a film strip for each variant's first seed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

matplotlib.use("Agg")
import matplotlib.pyplot as plt

from gait_envs.cli import run_script
from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.rollout import record
from gait_trainers.evaluation.walking import evaluate
from gait_trainers.policies.base import Policy
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.training import strip
from gait_trainers.rl.train import resume_or_train

PRESET = "laptop"
COMMANDS = [(round(float(speed), 1), 0.0, 0.0) for speed in np.arange(0.3, 0.81, 0.1)]  # m/s ahead
EPISODES = 10  # for each of them
WEIGHTS = "env.kwargs.reward_weights"
OURS = load_config(preset=PRESET).env.kwargs["reward_weights"]  # to which overrides are added
DOCUMENT = dict.fromkeys(OURS, 0.0) | {
    "tracking_lin_vel": 5.0, "base_height": 0.3, "action_rate": -0.01, "torque": -0.001
}  # fmt: skip
NO_PRIOR = {"algorithm": "ppo"}
# Of each comparison, its variants by name, and what each changes of the preset.
COMPARISONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "prior": {
        "the document's four terms, no prior": {**NO_PRIOR, WEIGHTS: DOCUMENT},
        "the document's four terms, prior": {WEIGHTS: DOCUMENT},
        "the preset's terms, no prior": NO_PRIOR,
        "the preset's terms, prior": {},
    },
    "symmetry": {"plain": {"networks.symmetric": False, "amp.mirror_policy": False}, "symmetric": {}},
    "window": {f"{frames} frames": {"amp.frames": frames} for frames in (2, 5, 10, 20)},
    # With the same exploration and cost of changes, in rad. Without --init: networks are trained for one scale.
    "action_scale": {
        "action_scale 1": {
            "env.kwargs.action_scale": 1.0,
            f"{WEIGHTS}.action_rate": -0.1,
            "networks.log_std_min": -2.4,
            "networks.log_std_init": -1.8,
        },
        "action_scale 1.5": {},
    },
    "air_time": {f"air_time {weight:g}": {f"{WEIGHTS}.air_time": weight} for weight in (0.0, 10.0, 40.0)},
}
# Columns of the table, and where each is in an evaluation.
COLUMNS = {
    "is_success": ("is_success_rate", "is_success_rate"),
    "speed error m/s": ("per_command", "speed_error"),
    "heading °/10 s": ("per_command", "heading_drift_deg"),
    "slip m/s": ("per_command", "foot_slip"),
    "cost of transport": ("per_command", "cost_of_transport"),
    "steps/min": ("per_command", "cadence"),
    "asymmetry": ("per_command", "step_symmetry"),
    "lean off rad": ("style", "trunk_lean_off"),
    "hip, knee, ankle r": ("style", "joint_correlation"),
    "gap": ("style_gap", "style_gap"),
}


def run_of(out: Path, variant: str, changes: Mapping[str, Any], seed: int, iterations: int, init: str | None) -> Path:
    """The complete run folder of one variant and seed: trained now, continued or found."""
    name = f"{''.join(c if c.isalnum() else '_' for c in variant)}_{seed}"
    settings = {"run.out": str(out), "run.name": name, "run.seed": seed, "run.iterations": iterations, "run.init": init}
    config = load_config(preset=PRESET, overrides={**changes, **settings, "run.stop_when": None})
    return resume_or_train(config).run.path


def figures(policy: Policy) -> dict[str, dict[str, Any]]:
    """An evaluation in each mode."""
    episodes = EPISODES * len(COMMANDS)
    modes = {"deterministic": False, "stochastic": True}
    return {name: evaluate(policy, episodes, COMMANDS, stochastic=mode) for name, mode in modes.items()}


def value(result: Mapping[str, Any], place: tuple[str, str]) -> float:
    """One column of an evaluation: a mean over the commands where it is known for each."""
    where, key = place
    if where not in ("per_command", "style"):
        return float("nan") if result[key] is None else float(result[key])
    rows = result["per_command"] if where == "per_command" else [row["style"] for row in result["per_command"]]
    found = [row[key] for row in rows if row and row[key] is not None]
    if key == "joint_correlation":
        legs = ("hip_pitch", "knee_pitch", "ankle_pitch")
        found = [r for each in found for name, r in each.items() if name.endswith(legs) and r is not None]
    return float(np.mean(found)) if found else float("nan")


def table(results: Mapping[str, Sequence[Mapping[str, Any]]], mode: str) -> list[str]:
    """Markdown rows: a variant each, its seeds' mean (least … largest)."""
    lines = [f"| {mode} | {' | '.join(COLUMNS)} |", "| --- " * (len(COLUMNS) + 1) + "|"]
    for variant, seeds in results.items():
        cells = []
        for place in COLUMNS.values():
            values = np.array([value(each[mode], place) for each in seeds])
            known = values[np.isfinite(values)]
            spread = f" ({known.min():.3g} … {known.max():.3g})" if len(known) > 1 else ""
            cells.append(f"{known.mean():.3g}{spread}" if len(known) else "–")
        lines.append(f"| {variant} | {' | '.join(cells)} |")
    return lines


def picture(policies: Mapping[str, Policy], path: Path) -> None:
    """A film strip of each variant at 0.4 m/s, one above the other."""
    _, axes = plt.subplots(len(policies), 1, figsize=(14, 3 * len(policies)), squeeze=False)
    for axis, (name, policy) in zip(axes[:, 0], policies.items(), strict=True):
        rollout, _ = record(policy, np.array([[0.4, 0.0, 0.0]]), threads=1)
        axis.imshow(strip(policy, rollout))
        axis.set_title(name)
        axis.axis("off")
    plt.tight_layout()
    plt.savefig(path, dpi=90)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparison", choices=sorted(COMPARISONS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", metavar="VARIANT", help="variants to run (default: all)")
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--init", help="networks to begin from, such as wildrobot_clone (default: random ones)")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    args = parser.parse_args()

    variants = COMPARISONS[args.comparison]
    if unknown := set(args.only or ()) - variants.keys():
        parser.error(f"--only: no variant {', '.join(sorted(unknown))}; there are {', '.join(variants)}")
    results: dict[str, list[dict[str, Any]]] = {}
    first: dict[str, Policy] = {}
    for seed in args.seeds:
        for variant in args.only or variants:
            run = run_of(args.out, variant, variants[variant], seed, args.iterations, args.init)
            policy = load_policy(run)
            first.setdefault(variant, policy)
            results.setdefault(variant, []).append(figures(policy))
        done = args.seeds[: args.seeds.index(seed) + 1]
        lines = [f"{args.iterations} iterations from {args.init or 'scratch'}, seeds {done}.", ""]
        for mode in ("deterministic", "stochastic"):
            lines += [*table(results, mode), ""]
        (args.out / f"{args.comparison}.md").write_text("\n".join(lines), encoding="utf-8")
        (args.out / f"{args.comparison}.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        print("\n".join(lines))
    picture(first, args.out / f"{args.comparison}.png")


if __name__ == "__main__":
    run_script(main)
