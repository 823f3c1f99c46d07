"""A minari dataset of an expert's episodes, for offline learning, and back from it without loss."""

import argparse

import minari
import numpy as np

from gait_trainers import load_policy
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.convert import from_minari, to_minari

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=25_000)
args = parser.parse_args()
NAME = "gaitnet/wildrobot-walk-v0"

found = demonstrate(load_policy("wildrobot_walk"), episodes=max(1, args.steps // 500))
if NAME in minari.list_local_datasets():
    minari.delete_dataset(NAME)
dataset = to_minari(found, NAME, author="GaitNet", description="the bundled walking policy, deterministic")
back = from_minari(minari.load_dataset(NAME))
for mine, theirs in zip(found.episodes, back, strict=True):
    assert np.array_equal(mine.obs, theirs.obs)
    assert np.array_equal(mine.actions, theirs.actions)
    assert np.array_equal(mine.rewards, theirs.rewards)
    assert mine.info.keys() == theirs.info.keys()
    assert all(np.array_equal(mine.info[key], theirs.info[key]) for key in mine.info)
    assert (mine.terminated, mine.truncated) == (theirs.terminated, theirs.truncated)
print(f"{NAME}: {dataset.total_episodes} episodes, {dataset.total_steps} steps")
