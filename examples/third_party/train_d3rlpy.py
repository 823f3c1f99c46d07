"""Offline learning with d3rlpy: behaviour cloning from an expert's episodes, then an evaluation in the environment."""

import argparse

import d3rlpy
import gymnasium as gym
import numpy as np

import gait_envs  # noqa: F401 - registers the ids
from gait_trainers import load_policy
from gait_trainers.imitation.collect import demonstrate

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=20_000, help="updates")
args = parser.parse_args()

expert = load_policy("wildrobot_walk")
episodes = demonstrate(expert, episodes=10).episodes
ends = [np.arange(len(e.actions)) == len(e.actions) - 1 for e in episodes]
dataset = d3rlpy.dataset.MDPDataset(
    observations=np.concatenate([e.obs[:-1] for e in episodes]),
    actions=np.concatenate([e.actions for e in episodes]),
    rewards=np.concatenate([e.rewards for e in episodes]).astype(np.float32),
    terminals=np.concatenate([end * e.terminated for end, e in zip(ends, episodes, strict=True)]).astype(np.float32),
    timeouts=np.concatenate([end * e.truncated for end, e in zip(ends, episodes, strict=True)]).astype(np.float32),
)
algorithm = d3rlpy.algos.BCConfig(
    batch_size=256, observation_scaler=d3rlpy.preprocessing.StandardObservationScaler()
).create()
algorithm.fit(
    dataset,
    n_steps=args.steps,
    n_steps_per_epoch=max(1, args.steps // 4),
    logger_adapter=d3rlpy.logging.NoopAdapterFactory(),
    show_progress=False,
)

env = gym.make(expert.env_id, **expert.env_kwargs)  # where an action means what it meant to the expert
obs, _ = env.reset(seed=0, options={"command": [0.4, 0.0, 0.0]})
steps, over = 0, False
while not over:
    obs, _, terminated, truncated, _ = env.step(np.clip(algorithm.predict(obs[None])[0], -1, 1))
    steps, over = steps + 1, terminated or truncated
print(f"the clone walks for {steps} steps")
