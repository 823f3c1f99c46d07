"""The bundled walking humanoid in one command: the bundled tracker, its clone, and the clone trained to commands.

    python scripts/make_humanoid_walk.py --work runs/humanoid_walk --seed 0 --export assets/policies

1. **Demonstrations**: `humanoid_imitation` follows the embedded human walk in `GaitNet/Humanoid-v0`, observed as a
   walker is: it sees its command and no clip (`gait-train demonstrate`).
2. **Clone**: DAgger. The clone walks, with noise on its actions, and the tracker is asked what it would have done; a
   quarter of the episodes begin standing (`gait_trainers/imitation/starts.py`).
3. **Walker**: PPO on the task's reward and, as its prior, the embedded human walk (`gait-train ppo-amp`).

With `--export`, the walker is written there as the bundle `humanoid_walk`. Stages that are complete in the work folder
are not repeated.
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from gait_envs.assets import asset_path
from gait_trainers.config.layers import load_config
from gait_trainers.imitation.cloning import Cloning, dagger
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import load_demonstrations, save_demonstrations
from gait_trainers.imitation.starts import Standing
from gait_trainers.policies.export import export
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume, train

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

WALKER = {
    "algorithm": "ppo-amp",
    "env.kwargs.reward_weights": {
        # The task's own
        "tracking_lin_vel": 1.5,
        "tracking_lateral": 0.3,
        "tracking_heading": 0.5,
        "alive": 0.5,
        "cost_of_transport": -0.05,
        "action_rate": -0.005,
        "tracking_mean_velocity": 1.0,  # an instant's velocity swings with every step
    },
    "ppo.epochs": 5,  # physics takes far longer than an update: make the most of each rollout
    "ppo.minibatches": 4,
    "ppo.learning_rate": 3.0e-5,  # with fifty joints and a std of 0.05 a policy moves far in few steps
    "ppo.lr_schedule": "linear",
    "ppo.ent_coef": 0.0,
    "ppo.target_kl": 0.02,
    "ppo.vf_coef": 0.5,
    "amp.data": REFERENCE,
    "amp.weight": 1.0,
    "amp.frames": 6,  # 0.2 s at 30 Hz
    "amp.mirror": True,
    "amp.mirror_policy": True,
    "amp.reward": "quadratic",
    "amp.hidden": [256, 128],
    "amp.learning_rate": 3.0e-4,
    "amp.batch_size": 1024,
    "amp.r1_gamma": 10.0,
    "amp.input_noise": 0.1,
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


def walker(work: Path, begin: Path, seed: int, iterations: int) -> Path:
    """The run folder of the walker, begun from the clone."""
    run = work / f"walker_{seed}"
    if (run / "checkpoints").is_dir():
        resume(run)
        return run
    own = {"run.init": str(begin), "run.out": str(work), "run.name": run.name, "run.seed": seed}
    train(load_config(overrides=SETTINGS | WALKER | own | {"run.iterations": iterations}))
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/humanoid_walk"), help="folder of all stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=12, help="rounds of DAgger")
    parser.add_argument("--iterations", type=int, default=400, help="of PPO, 4,096 steps each")
    parser.add_argument("--export", type=Path, help="folder to which the bundle is written")
    args = parser.parse_args()

    args.work.mkdir(parents=True, exist_ok=True)
    run = walker(args.work, cloned(args.work, args.seed, args.rounds), args.seed, args.iterations)
    if args.export is not None:
        bundle = export(run, args.export / "humanoid_walk", force=True)
        for file in ("config.yaml", "metrics.csv"):  # beside the bundle; nothing reads them
            if (run / file).is_file():
                shutil.copy(run / file, bundle / file)


if __name__ == "__main__":
    main()
