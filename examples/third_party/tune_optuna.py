"""Optuna searches PPO's settings by short trainings on the native vector form."""

import argparse

import gymnasium as gym
import optuna
import torch
from stable_baselines3 import PPO

import gait_envs  # noqa: F401 - registers the ids
from gait_trainers.rl.sb3_vec import SB3VecEnv

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=500_000, help="of each trial")
parser.add_argument("--trials", type=int, default=20)
args = parser.parse_args()
torch.set_num_threads(1)  # the physics has the other cores


def objective(trial: optuna.Trial) -> float:
    """Mean return of the last hundred episodes."""
    envs = SB3VecEnv(
        gym.make_vec("GaitNet/WildRobot-v0", 64, vectorization_mode="vector_entry_point", autoreset_mode="same_step")
    )
    model = PPO(
        "MlpPolicy",
        envs,
        n_steps=32,
        batch_size=512,
        learning_rate=trial.suggest_float("learning_rate", 1e-5, 1e-3, log=True),
        gamma=trial.suggest_float("gamma", 0.9, 0.99),
        policy_kwargs={"log_std_init": trial.suggest_float("log_std_init", -2.5, -0.5)},
        seed=0,
    )
    model.learn(args.steps)
    envs.close()
    episodes = model.ep_info_buffer
    return sum(episode["r"] for episode in episodes) / max(1, len(episodes))


study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
study.optimize(objective, n_trials=args.trials)
print(f"return {study.best_value:.0f} with {study.best_params}")
