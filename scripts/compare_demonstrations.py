"""Ways to learn from the same demonstrations, equal steps, several seeds.

    python scripts/compare_demonstrations.py --seeds 0 1 2 --iterations 75 --out runs/demonstrations

Fifty episodes of the bundled walker are cloned; the clone is trained on by PPO, by AMP with the embedded reference, by
GAIL and by AIRL; PPO also starts from random networks. Runs that are complete are not repeated. Every policy is
evaluated in both modes (`demonstrations.json`), and `demonstrations.md` has a row a method: the mean over seeds and, in
brackets, the least and the largest.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from ablate import figures, table

from gait_envs.cli import run_script
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import TrainConfig
from gait_trainers.imitation.adversarial import Adversarial, train_adversarial
from gait_trainers.imitation.cloning import Cloning, clone
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import Demonstrations, load_demonstrations, save_demonstrations
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train
from gait_trainers.runs.run_folder import Run, RunError, open_run, steps_of

EXPERT, EPISODES = "wildrobot_walk", 50
FIXED = ", fixed statistics"  # those of the observations, which the policy was fitted to, stay as they are
METHODS = ("bc", "bc + ppo", f"bc + ppo{FIXED}", "bc + amp", "bc + gail", "bc + airl", "ppo")


def demonstrations(file: Path) -> Demonstrations:
    """Of the bundled walker, made unless they are there."""
    if not file.exists():
        save_demonstrations(file, demonstrate(load_policy(EXPERT), episodes=EPISODES))
    return load_demonstrations(file)


def iterations_of(run: Path) -> int:
    """How many iterations a run has made, which Ctrl-C may have ended before its last one."""
    made, checkpoint = open_run(run)
    assert checkpoint is not None
    return (steps_of(checkpoint) or 0) // made.config().rollout_steps


def run_of(out: Path, method: str, shown: Demonstrations, seed: int, iterations: int) -> Path:
    """The complete run folder of a method and a seed: trained now, continued or found."""
    run = out / f"{method.replace(' + ', '_').replace(FIXED, '_fixed')}_{seed}"
    begun = bool(Run(run).checkpoints())
    if method == "bc":
        return run if begun else clone(_config(out, run, "ppo", seed, iterations), shown, Cloning()).path
    learner = method.removeprefix("bc + ").removesuffix(FIXED)
    if learner in ("gail", "airl"):
        if begun:
            made = iterations_of(run)
            if made != iterations:
                raise RunError(f"{run}: has {made} iterations, not {iterations}; name another --out")
            return run
        config = _config(out, run, "ppo", seed, iterations, out / f"bc_{seed}")
        return train_adversarial(cast(Literal["gail", "airl"], learner), config, shown, Adversarial()).path
    algorithm = "ppo-amp" if learner == "amp" else "ppo"
    init = out / f"bc_{seed}" if method.startswith("bc") else None
    frozen = {"ppo.freeze_obs_after": 0} if method.endswith(FIXED) else {}
    return resume_or_train(_config(out, run, algorithm, seed, iterations, init, frozen)).run.path


def _config(
    out: Path,
    run: Path,
    algorithm: str,
    seed: int,
    iterations: int,
    init: Path | None = None,
    more: Mapping[str, Any] | None = None,
) -> TrainConfig:
    settings = {"algorithm": algorithm, "run.out": str(out), "run.name": run.name, "run.seed": seed,
                "run.iterations": iterations, "run.init": None if init is None else str(init)}  # fmt: skip
    return load_config(preset="laptop", overrides=settings | dict(more or {}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only", nargs="+", choices=METHODS, default=METHODS, help="methods to run (default: all)")
    parser.add_argument("--iterations", type=int, default=75)
    parser.add_argument("--out", type=Path, default=Path("runs/demonstrations"))
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    shown = demonstrations(args.out / "walk.npz")
    results: dict[str, list[dict[str, Any]]] = {}
    for at, seed in enumerate(args.seeds):
        for method in args.only:
            policy = load_policy(run_of(args.out, method, shown, seed, args.iterations))
            results.setdefault(method, []).append(figures(policy))
        lines = [f"{args.iterations} iterations, seeds {args.seeds[: at + 1]}; {shown.steps} steps shown.", ""]
        for mode in ("deterministic", "stochastic"):
            lines += [*table(results, mode), ""]
        (args.out / "demonstrations.md").write_text("\n".join(lines), encoding="utf-8")
        (args.out / "demonstrations.json").write_text(json.dumps(results, indent=1), encoding="utf-8")
        print("\n".join(lines), flush=True)


if __name__ == "__main__":
    run_script(main)
