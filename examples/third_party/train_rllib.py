"""RLlib's PPO with env runners that step the native vector form themselves (VECTOR_ENTRY_POINT)."""

import argparse
import time

import gymnasium as gym
from ray.rllib.algorithms.ppo import PPOConfig

import gait_envs  # noqa: F401 - registers the ids

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1_000_000)
args = parser.parse_args()

config = (
    PPOConfig()
    .environment("gait_envs:GaitNet/WildRobot-v0")  # with its module, so that other processes find it too
    .env_runners(
        num_env_runners=0,
        num_envs_per_env_runner=64,
        gym_env_vectorize_mode=gym.VectorizeMode.VECTOR_ENTRY_POINT,
        rollout_fragment_length=32,
    )
    .training(train_batch_size_per_learner=2048, minibatch_size=512, num_epochs=4, gamma=0.97, lr=3e-4)
)
algorithm = config.build_algo()
start, steps = time.time(), 0
while steps < args.steps:
    steps = int(algorithm.train()["env_runners"]["num_env_steps_sampled_lifetime"])
print(f"{steps / (time.time() - start):,.0f} steps/s")
algorithm.stop()
