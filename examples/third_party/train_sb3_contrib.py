"""TRPO of sb3-contrib on the native vector form, in SAME_STEP mode behind the adapter `SB3VecEnv`.

RecurrentPPO, TQC, CrossQ and ARS take the same environment.
"""

import argparse
import time

import gymnasium as gym
import torch
from sb3_contrib import TRPO

import gait_envs  # noqa: F401 - registers the ids
from gait_trainers.rl.sb3_vec import SB3VecEnv

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1_000_000)
args = parser.parse_args()

torch.set_num_threads(1)  # the physics has the other cores
envs = SB3VecEnv(
    gym.make_vec("GaitNet/WildRobot-v0", 64, vectorization_mode="vector_entry_point", autoreset_mode="same_step")
)
model = TRPO("MlpPolicy", envs, n_steps=32, batch_size=512, gamma=0.97, policy_kwargs={"log_std_init": -1.6})
start = time.time()
model.learn(args.steps)
print(f"{model.num_timesteps / (time.time() - start):,.0f} steps/s")
