"""Does it help PPO? The same training with and without, several seeds.

    python scripts/compare_learning.py encoders --model MODEL --seeds 5 --iterations 300 --out runs/encoders
    python scripts/compare_learning.py dynamics --seeds 3 --iterations 120 --out runs/dynamics
    python scripts/compare_learning.py resampling --clips clips --seeds 3 --iterations 250 --out runs/resampling
    python scripts/compare_learning.py memory --seeds 3 --iterations 150 --out runs/memory

`encoders`: walking to commands with a frozen, an unfrozen, a random frozen and no encoder; MODEL is a motion model of
the robot, of the encoding `observable`. `dynamics`: following six walks with and without a learned dynamics model.
`resampling`: following a folder of WildRobot's clips, drawn uniformly, by their failures, and begun where in them it
fails too; success is the share of clips followed to their end, evaluated every 25 iterations, and at last that of the
worst third of the clips in five episodes each with actions sampled. `memory`: following six walks with a mass, latency
and pushes that are not observed, by policies without a memory, with a window of frames and with recurrent layers;
success is at last that of 240 episodes so randomised, deterministic.
Every run is a run folder of gait-train, and a run that is there is continued or kept, so that an interrupted comparison
can be run again. At the end: a table of medians with the range of the seeds, and `curves.png`, the share of
successful episodes over environment steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student_t

from gait_envs.assets import asset_path
from gait_envs.cli import run_script
from gait_envs.reference.sources import open_clips
from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.learners.resampling import worst_third
from gait_trainers.models.motion.storage import load_motion_model
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train
from gait_trainers.runs.loggers import read_metrics

REACHED = 0.8  # share of successful episodes
SPEEDS = (30, 40, 50, 60, 70, 80)  # cm/s, of the six walks
HIDDEN_EPISODES = 240
HIDDEN = {  # of the policies with and without a memory
    "mass": [0.7, 1.5],  # factor on every body's mass
    "latency": [0, 4],  # control steps of 20 ms between an action and its effect
    "push_interval": 2.0,  # s
    "push_speed": 0.5,  # m/s
    "friction": [1.0, 1.0],  # known
    "servo_gain": [1.0, 1.0],  # known
}


class Curve(NamedTuple):
    """Success over a training, in the iterations in which some episodes ended."""

    steps: np.ndarray
    minutes: np.ndarray
    success: np.ndarray


class Comparison(NamedTuple):
    """What is trained, and in which variants."""

    preset: str
    shared: dict[str, Any]  # settings of all of them
    variants: dict[str, dict[str, Any]]  # settings by name
    success: str  # the column of success
    window: int = 5  # of its values in a mean


def comparison(args: argparse.Namespace) -> Comparison:
    """The one that was asked for."""
    if args.what == "encoders":
        encoder = {"encoder.path": args.model}
        variants = {
            "none": {},
            "frozen": encoder,
            "unfrozen": encoder | {"encoder.unfreeze_at": args.iterations // 10},
            "random": encoder | {"encoder.random": True},
        }
        # Not symmetric: a policy with an encoder cannot be.
        shared = {"env.num_envs": 64, "ppo.n_steps": 64, "networks.symmetric": False}
        return Comparison("laptop", shared, variants, "is_success_rate")
    if args.what == "resampling":
        shared = {"env.kwargs.reference": str(args.clips), "learners": ["resampling"], "resampling.every": 25}
        shared |= {"resampling.max_distance": 0.25, "networks.symmetric": True}  # as in make_tracker.py
        variants = {
            "uniform": {"resampling.clips": "uniform"},
            "failures": {},
            "in clip": {"resampling.starts": "failures"},
        }
        return Comparison("imitate", shared, variants, "clip_success_rate", 1)
    clips = [str(asset_path(f"motions/wildrobot_walk/walk_{speed:03d}_calm_0.npz")) for speed in SPEEDS]
    shared = {"env.kwargs.reference": clips}
    if args.what == "memory":
        shared |= {"env.kwargs.randomize": HIDDEN, "networks.symmetric": True}
        variants = {kind: {"networks.memory": kind} for kind in ("none", "frames", "gru", "lstm")}
        return Comparison("imitate", shared, variants, "success_rate")
    variants = {"none": {}, "dynamics": {"learners": ["dynamics"]}}
    return Comparison("imitate", shared, variants, "success_rate")


def run_of(args: argparse.Namespace, name: str, seed: int) -> Path:
    """The folder of one training."""
    return Path(args.out) / f"{name}_{seed}".replace(" ", "_")


def run_all(args: argparse.Namespace, asked: Comparison) -> dict[str, list[Curve]]:
    """Curves of every seed by variant, of runs that are complete."""
    configs = {}
    for seed in range(args.seeds):  # seed by seed, so that an early end leaves a fair comparison
        for name in args.only or asked.variants:
            own = {"algorithm": "ppo", "run.iterations": args.iterations, "run.seed": seed, "run.tensorboard": False}
            own |= asked.shared | asked.variants[name]
            own |= {"run.out": str(args.out), "run.name": run_of(args, name, seed).name}
            configs[name, seed] = load_config(None, asked.preset, own)  # wrong? said before anything is trained
    curves: dict[str, list[Curve]] = {}
    for (name, seed), config in configs.items():
        resume_or_train(config)
        curves.setdefault(name, []).append(curve(run_of(args, name, seed) / "metrics.csv", asked.success))
    return curves


def print_worst(args: argparse.Namespace, names: Iterable[str]) -> None:
    """Success of the worst third of the clips, sampled: median and range over the seeds."""
    print(f"\n{'variant':<10}{'seeds':>6}   worst third of the clips (least, most)")
    count = len(open_clips(args.clips))
    for name in names:
        found = []
        for seed in range(args.seeds):
            policy = load_policy(run_of(args, name, seed))
            rows = evaluate_tracking(policy, reference=args.clips, episodes=5 * count, stochastic=True)["per_clip"]
            found.append(worst_third(np.array([row["success_rate"] for row in rows])))
        print(f"{name:<10}{len(found):>6}   {np.median(found):.2f} ({min(found):.2f}, {max(found):.2f})")


def print_hidden(args: argparse.Namespace, names: Iterable[str]) -> None:
    """Success along the six walks with what is hidden drawn anew, deterministic: mean and 95 % interval."""
    print(f"\n{'variant':<10}{'seeds':>6}   success of {HIDDEN_EPISODES} episodes: mean, 95 % interval (each)")
    for name in names:
        found = []
        for seed in range(args.seeds):
            policy = load_policy(run_of(args, name, seed))
            row = evaluate_tracking(policy, HIDDEN_EPISODES, env_kwargs={"randomize": HIDDEN}, seed=1000)
            found.append(row["success_rate"])
        half = student_t.ppf(0.975, len(found) - 1) * np.std(found, ddof=1) / len(found) ** 0.5 if found[1:] else np.nan
        each = ", ".join(f"{share:.2f}" for share in found)
        print(f"{name:<10}{len(found):>6}   {np.mean(found):.2f} ± {half:.2f} ({each})")


def curve(file: Path, success: str) -> Curve:
    """Of a run, whose share of successful episodes is in the column `success`."""
    rows = [row for row in read_metrics(file) if row.get(success)]
    steps, seconds, shares = (np.array([float(row[key]) for row in rows]) for key in ("steps", "elapsed", success))
    return Curve(steps, seconds / 60.0, shares)


def when_reached(at: np.ndarray, success: np.ndarray, *, share: float = REACHED, window: int) -> float:
    """The first of `at` where the mean success of `window` iterations reaches `share`; infinite where it never does."""
    if len(success) < window:
        return float("inf")
    means = np.convolve(success, np.ones(window) / window, mode="valid")
    reached = np.flatnonzero(means >= share)
    return float(at[window - 1 + reached[0]]) if len(reached) else float("inf")


def print_table(curves: dict[str, list[Curve]], window: int) -> None:
    """Steps and minutes to `REACHED`, and success at the end: median and range over the seeds."""

    def spread(values: list[float], form: str) -> str:
        shown = [f"{v:{form}}" if np.isfinite(v) else "never" for v in (np.median(values), min(values), max(values))]
        return "{} ({}, {})".format(*shown)

    heads = f"steps to {REACHED:.0%} (least, most)", f"minutes to {REACHED:.0%}"
    print(f"{'variant':<10}{'seeds':>6}   {heads[0]:<34}{heads[1]:<22}success at the end")
    for name, runs in curves.items():
        steps = spread([when_reached(run.steps, run.success, window=window) for run in runs], ",.0f")
        minutes = spread([when_reached(run.minutes, run.success, window=window) for run in runs], ".1f")
        end = spread([run.success[-2 * window :].mean() if len(run.success) else 0.0 for run in runs], ".2f")
        print(f"{name:<10}{len(runs):>6}   {steps:<34}{minutes:<22}{end}")


def draw(curves: dict[str, list[Curve]], path: Path) -> None:
    """Medians with the range of the seeds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, runs in curves.items():
        runs = [run for run in runs if len(run.steps) > 1]
        if not runs:
            continue
        at = np.linspace(max(run.steps[0] for run in runs), min(run.steps[-1] for run in runs), 200)
        values = np.stack([np.interp(at, run.steps, run.success) for run in runs])
        (line,) = axes.plot(at, np.median(values, axis=0), label=name)
        axes.fill_between(at, values.min(axis=0), values.max(axis=0), color=line.get_color(), alpha=0.2, lw=0)
    axes.set(xlabel="environment steps", ylabel="success", ylim=(0, 1))
    if axes.lines:
        axes.legend()
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["encoders", "dynamics", "resampling", "memory"])
    parser.add_argument("--model", help="of encoders, a motion model: file, folder or bundled name")
    parser.add_argument("--clips", type=Path, help="of resampling, a folder of WildRobot's clips")
    parser.add_argument("--only", nargs="+", help="variants to make, such as one half on one machine")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=300)
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs")
    args = parser.parse_args()
    if args.what == "encoders":
        if args.model is None:
            parser.error("encoders needs --model")
        load_motion_model(args.model)  # wrong? said before the variants without it are trained
    if args.what == "resampling":
        if args.clips is None:
            parser.error("resampling needs --clips")
        open_clips(args.clips)
    asked = comparison(args)
    if odd := set(args.only or ()) - set(asked.variants):
        parser.error(f"no variant {', '.join(sorted(odd))}; there are {', '.join(asked.variants)}")
    curves = run_all(args, asked)
    print_table(curves, asked.window)
    if args.what == "resampling":
        print_worst(args, args.only or asked.variants)
    if args.what == "memory":
        print_hidden(args, args.only or asked.variants)
    draw(curves, args.out / "curves.png")


if __name__ == "__main__":
    run_script(main)
