"""A humanoid that walks to commands, in one command: the bundled tracker, and a clone of it that sees no clip.

    python scripts/make_humanoid_walk.py --work runs/humanoid_walk --seed 0

1. **Demonstrations**: `humanoid_imitation` follows the embedded human walk in `GaitNet/Humanoid-v0`, observed as a
   walker is: it sees its command and no clip (`gait-train demonstrate`).
2. **Clone**: DAgger. The clone walks, with noise on its actions, and the tracker is asked what it would have done; a
   quarter of the episodes begin standing (`gait_trainers/imitation/starts.py`).

The clone walks as commanded where an episode begins in the gait; where it begins standing, it hardly ever starts
(docs/benchmarks.md). A stage that is complete in the work folder is not repeated.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gait_envs.assets import asset_path
from gait_trainers.config.layers import load_config
from gait_trainers.imitation.cloning import Cloning, dagger
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import load_demonstrations, save_demonstrations
from gait_trainers.imitation.starts import Standing
from gait_trainers.policies.loading import load_policy

ENV_ID, REFERENCE = "GaitNet/Humanoid-v0", "human_walk"
SETTINGS = {
    "algorithm": "ppo",
    "env.id": ENV_ID,
    "env.num_envs": 128,
    "env.kwargs.reference": REFERENCE,
    "env.kwargs.rsi_probability": 0.5,
    "env.kwargs.command_low": [0.6, 0.0, 0.0],
    "env.kwargs.command_high": [1.6, 0.0, 0.0],
    "ppo.n_steps": 32,
    "ppo.gamma": 0.97,
    "ppo.normalize_reward": True,
    "networks.policy": [256, 256],
    "networks.value": [256, 256],
    "networks.log_std_init": -3.0,  # std 0.05; a hip moves by 1.3 rad at an action of 1
    # Not symmetric: who stands evenly on both feet must choose one, and a policy of no preferred side cannot.
}


def cloned(work: Path, seed: int, rounds: int) -> Path:
    """The run folder of the clone of the bundled tracker."""
    run = work / f"clone_{seed}"
    if (run / "checkpoints").is_dir():
        return run
    expert, file = load_policy(asset_path("policies/humanoid_imitation")), work / "demonstrations.npz"
    if not file.is_file():
        save_demonstrations(file, demonstrate(expert, ENV_ID, episodes=64, reference=REFERENCE))
    own = {"run.out": str(work), "run.name": run.name, "run.seed": seed}
    dagger(
        load_config(overrides=SETTINGS | own), expert, load_demonstrations(file), Cloning(epochs=8), rounds=rounds,
        reference=REFERENCE, seed=seed, standing=Standing(share=0.25), noise=0.025,
    )  # fmt: skip
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/humanoid_walk"), help="folder of all stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=14, help="of DAgger; the first clones the demonstrations")
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    print(cloned(args.work, args.seed, args.rounds))


if __name__ == "__main__":
    main()
