"""A humanoid that follows captures, by torques, in one command: from the bundled tracker of one walk to many clips.

    python scripts/make_humanoid_tracker.py clips --work runs/tracker --hold-out "CMU 02" --hold-out "CMU 49"

1. **Demonstrations** and **clone**: a symmetric policy learns by DAgger what `humanoid_imitation` does along the
   embedded walk, in three minutes.
2. **PPO** along the clips, with their failures drawn more often (`resampling`).
3. **Evaluation** of the clips that were trained on and of those held out, by PHC's rule.

A stage that is complete in the work folder is not repeated, and a training that was interrupted is resumed. `clips` is
a folder that `gait-data retarget --robot humanoid` made.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from gait_envs.assets import asset_path
from gait_envs.reference.sources import open_clips
from gait_envs.reference.split import group_of, hold_out, save_split
from gait_trainers.config.layers import load_config
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.imitation.cloning import Cloning, dagger
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import load_demonstrations, save_demonstrations
from gait_trainers.policies.base import Policy
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume, train

ENV_ID, TEACHER, WALK = "GaitNet/HumanoidImitation-v0", "policies/humanoid_imitation", "human_walk"
SETTINGS = {
    "networks.symmetric": True,  # each clip teaches its mirror image too
    "networks.policy": [512, 256],
    "networks.value": [512, 256],
}
PHC = {"max_distance": 0.5, "distance_rule": "mean"}  # the evaluation of Luo et al. (2023)


def cloned(work: Path, seed: int, threads: int) -> Path:
    """The run of the clone of the bundled tracker."""
    run = work / f"clone_{seed}"
    if (run / "checkpoints").is_dir():
        return run
    expert, file = load_policy(asset_path(TEACHER)), work / "demonstrations.npz"
    if not file.is_file():
        save_demonstrations(file, demonstrate(expert, ENV_ID, episodes=48, threads=threads))
    own = {"env.id": ENV_ID, "env.threads": threads, "env.kwargs.reference": WALK}
    own |= {"run.out": str(work), "run.name": run.name, "run.seed": seed}
    dagger(
        load_config(preset="imitate_humanoid", overrides=SETTINGS | own), expert, load_demonstrations(file),
        Cloning(epochs=6), rounds=6, seed=seed, noise=0.1,
    )  # fmt: skip
    return run


def tracked(work: Path, seed: int, threads: int, reference: list[str], iterations: int, init: Path) -> Path:
    """The run of the tracker, complete."""
    run = work / f"tracker_{seed}"
    if run.is_dir():
        return resume(run).run.path
    own = {
        "env.id": ENV_ID,
        "env.threads": threads,
        "env.kwargs.reference": reference,
        "learners": ["resampling"],
        "resampling.every": 100,
        "run.checkpoint_every": 100,
        "run.iterations": iterations,
        "run.init": str(init),
        "run.out": str(work),
        "run.name": run.name,
        "run.seed": seed,
    }
    return train(load_config(preset="imitate_humanoid", overrides=SETTINGS | own)).run.path


def judged(policy: Policy, reference: list[str]) -> dict[str, dict[str, float]]:
    """Success and errors along these clips, deterministic and stochastic."""
    keys = ("success_rate", "progress", "mpjpe_global", "mpjpe_root", "mpjpe_aligned")
    found = {
        "deterministic": evaluate_tracking(policy, reference=reference, env_kwargs=PHC),
        "stochastic": evaluate_tracking(policy, reference=reference, env_kwargs=PHC, stochastic=True),
    }
    return {mode: {key: round(figures[key], 4) for key in keys} for mode, figures in found.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, help="folder of clips")
    parser.add_argument("--work", type=Path, default=Path("runs/humanoid_tracker"), help="folder of all stages")
    parser.add_argument("--hold-out", action="append", default=[], help="subject kept for the test; may be repeated")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--iterations", type=int, default=1400, help="of PPO; each is 4,096 steps")
    parser.add_argument("--threads", type=int, default=0, help="of physics; 0: one for each core")
    args = parser.parse_args()

    clips = open_clips(args.clips)
    groups = {name: group_of(name, clips.meta(i), "subject") for i, name in enumerate(clips.names)}
    parts = hold_out(groups, "subject", args.hold_out)
    args.work.mkdir(parents=True, exist_ok=True)
    file = save_split(args.work / "split.json", args.clips, "subject", args.seed, parts)
    reference = [f"{file}#train", WALK]
    begun = cloned(args.work, args.seed, args.threads)
    run = tracked(args.work, args.seed, args.threads, reference, args.iterations, begun)
    policy, sets = load_policy(run), {"train": reference[:1], WALK: [WALK]}
    sets |= {"test": [f"{file}#test"]} if args.hold_out else {}
    figures = {name: judged(policy, of) for name, of in sets.items()}
    (run / "tracking.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
