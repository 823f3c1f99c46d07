"""Stable-Baselines3's PPO on the native vector form, in SAME_STEP mode behind the adapter `SB3VecEnv`."""

import argparse
import time

import gymnasium as gym
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecNormalize

import gait_envs  # noqa: F401 - registers the ids
from gait_trainers.rl.sb3_vec import SB3VecEnv

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1_000_000)
args = parser.parse_args()


def make(n: int) -> SB3VecEnv:
    return SB3VecEnv(
        gym.make_vec("GaitNet/WildRobot-v0", n, vectorization_mode="vector_entry_point", autoreset_mode="same_step")
    )


torch.set_num_threads(1)  # the physics has the other cores
envs = VecNormalize(make(256), norm_reward=False)
model = PPO("MlpPolicy", envs, n_steps=32, batch_size=1024, gamma=0.97, policy_kwargs={"log_std_init": -1.6})
start = time.time()
model.learn(args.steps)
print(f"{model.num_timesteps / (time.time() - start):,.0f} steps/s")

test = VecNormalize(make(8), norm_reward=False, training=False)
test.obs_rms = envs.obs_rms
mean, deviation = evaluate_policy(model, test, n_eval_episodes=8)
print(f"return {mean:.0f} +- {deviation:.0f}")
