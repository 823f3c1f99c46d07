"""A humanoid that walks to commands, in one command: a tracker that learns to start, and a clone of it without a clip.

    python scripts/make_humanoid_walk.py --work runs/humanoid_walk --seed 0

1. **Start**: `humanoid_imitation`, which tracks the embedded walk, is trained on with PPO to track also the embedded
   starts, `human_start`: from a perturbed stance to walking. Then once more, the learning rate restarted, and once
   with small steps.
2. **Demonstrations**: it follows both in `GaitNet/Humanoid-v0`, observed as a walker is, who sees a command and no
   clip (`gait-train demonstrate`).
3. **Clone**: DAgger. The clone walks, with noise on its actions, and the tracker is asked what it would have done.
4. **Calibrated**: the clone has the gait and is a little too quick at slow commands, too slow at quick ones. Its speed
   is measured at each, and the command that it sees corrected (`gait_trainers.imitation.calibration`).

A stage that is complete in the work folder is not repeated; a training that
was interrupted is resumed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from gait_envs.cli import run_script
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.imitation.calibration import calibrate
from gait_trainers.imitation.cloning import Cloning, dagger
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import load_demonstrations, save_demonstrations
from gait_trainers.policies.loading import load_policy
from gait_trainers.rl.train import resume_or_train
from gait_trainers.runs.run_folder import Run

ENV_ID = "GaitNet/Humanoid-v0"
REFERENCE = ["human_start", "human_walk"]
EPISODES = 264  # of each round, along the eleven clips in turn
TRACKER = {
    "env.id": "GaitNet/HumanoidImitation-v0",
    "env.kwargs.reference": REFERENCE,
    "env.kwargs.start_noise": 0.05,  # as the walking task begins
    "learners": ["resampling"],
}
STAGES = (  # of the tracker, each from the one before
    {"run.iterations": 400, "env.kwargs.rsi_probability": 0.5, "resampling.every": 25, "resampling.max_distance": 0.25},
    {"run.iterations": 280, "env.kwargs.rsi_probability": 0.4, "resampling.every": 40, "resampling.max_distance": 0.35},
    {
        "run.iterations": 300,
        "env.kwargs.rsi_probability": 0.4,
        "resampling.every": 50,
        "resampling.max_distance": 0.35,
        "ppo.learning_rate": 2e-5,  # at the preset's 1e-4 the KL limit cuts updates short
    },
)
WALKER = {
    "algorithm": "ppo",
    "env.id": ENV_ID,
    "env.num_envs": 128,
    "env.kwargs.reference": "human_walk",
    "env.kwargs.rsi_probability": 0.5,
    "env.kwargs.command_low": [0.6, 0.0, 0.0],
    "env.kwargs.command_high": [1.6, 0.0, 0.0],
    "ppo.n_steps": 32,
    "ppo.gamma": 0.97,
    "ppo.normalize_reward": True,
    "networks.policy": [512, 256],
    "networks.value": [512, 256],
    "networks.log_std_init": -3.0,  # std 0.05; a hip moves by 1.3 rad at an action of 1
    # Not symmetric: who stands evenly on both feet must choose one, and a policy of no preferred side cannot.
}
CALIBRATED = {
    "env.kwargs.command_high": [1.4, 0.0, 0.0],  # m/s; at 1.6 the clone falls
    "networks.log_std_init": -3.7,  # std 0.025, that of the noise in DAgger
    "ppo.freeze_obs_after": 0,  # the correction is in these statistics
}
MEASURED = (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3, 1.4, 1.5)  # m/s


def tracked(work: Path, seed: int, threads: int) -> Path:
    """The run of the tracker that starts."""
    init: str | Path = "humanoid_imitation"
    for number, stage in enumerate(STAGES):
        own = {"env.threads": threads, "run.init": str(init)}
        own |= {"run.out": str(work), "run.name": f"start_{number}_{seed}", "run.seed": seed}
        init = resume_or_train(load_config(preset="imitate_humanoid", overrides=TRACKER | stage | own)).run.path
    return Path(init)


def cloned(work: Path, tracker: Path, seed: int, rounds: int, threads: int) -> Path:
    """The run of the clone of that tracker."""
    run = work / f"walk_{seed}"
    if Run(run).checkpoints():
        return run
    expert, file = load_policy(tracker), work / f"demonstrations_{seed}.npz"
    if not file.is_file():
        found = demonstrate(expert, ENV_ID, episodes=EPISODES, reference=REFERENCE, seed=seed, threads=threads)
        save_demonstrations(file, found)
    own = {"env.threads": threads, "run.out": str(work), "run.name": run.name, "run.seed": seed}
    return dagger(
        load_config(overrides=WALKER | own), expert, load_demonstrations(file), Cloning(epochs=8), rounds=rounds,
        reference=REFERENCE, seed=seed, noise=0.025,
    ).path  # fmt: skip


def last_stage(work: Path, clone: str | Path, seed: int, threads: int) -> TrainConfig:
    """The configuration of the calibrated clone."""
    own = {"env.threads": threads, "run.init": str(clone), "run.out": str(work), "run.seed": seed}
    return load_config(overrides=WALKER | CALIBRATED | own | {"run.name": f"calibrated_{seed}"})


def calibrated(config: TrainConfig) -> Path:
    """The run of that clone with its command corrected; ConfigError where it is there already, of another clone."""
    run = Path(config.run.out) / str(config.run.name)
    if not Run(run).checkpoints():
        return calibrate(config, MEASURED).path
    if (other := Run(run).config().run.init) != config.run.init:
        raise ConfigError(f"{run} was made from {other}; give another --work or --seed")
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("runs/humanoid_walk"), help="folder of all stages")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=10, help="of DAgger; the first clones the demonstrations")
    parser.add_argument("--threads", type=int, default=0, help="of physics; 0: one for each core")
    parser.add_argument("--clone", help="an existing clone, run or bundle: it is calibrated, and nothing is trained")
    args = parser.parse_args()

    clone = args.clone or args.work / f"walk_{args.seed}"
    last = last_stage(args.work, clone, args.seed, args.threads)  # wrong? said before anything is trained
    if args.clone is None:
        args.work.mkdir(parents=True, exist_ok=True)
        tracker = tracked(args.work, args.seed, args.threads)
        cloned(args.work, tracker, args.seed, args.rounds, args.threads)
    print(calibrated(last))


if __name__ == "__main__":
    run_script(main)
