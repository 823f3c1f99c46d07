"""skrl's PPO on the native vector form, in SAME_STEP mode.

skrl takes every row that it is given for a step. In NEXT_STEP mode the rows of resets would be among them: from the
last state of an episode to the first of the next, without a reward, and without an end.
"""

import argparse
import time

import gymnasium as gym
import torch
from skrl.agents.torch.ppo import PPO, PPO_CFG
from skrl.envs.wrappers.torch import wrap_env
from skrl.memories.torch import RandomMemory
from skrl.models.torch import DeterministicMixin, GaussianMixin, Model
from skrl.trainers.torch import SequentialTrainer
from torch import nn

import gait_envs  # noqa: F401 - registers the ids

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1_000_000)
args = parser.parse_args()
N, T = 64, 32


def mlp(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, 256), nn.ELU(), nn.Linear(256, 128), nn.ELU(), nn.Linear(128, outputs))


class Policy(GaussianMixin, Model):
    def __init__(self, observation_space, action_space, device):
        Model.__init__(self, observation_space=observation_space, action_space=action_space, device=device)
        GaussianMixin.__init__(self, clip_actions=True)
        self.net = mlp(self.num_observations, self.num_actions)
        self.log_std = nn.Parameter(torch.full((self.num_actions,), -1.6))

    def compute(self, inputs, role):
        return self.net(inputs["observations"]), {"log_std": self.log_std}


class Value(DeterministicMixin, Model):
    def __init__(self, observation_space, action_space, device):
        Model.__init__(self, observation_space=observation_space, action_space=action_space, device=device)
        DeterministicMixin.__init__(self)
        self.net = mlp(self.num_observations, 1)

    def compute(self, inputs, role):
        return self.net(inputs["observations"]), {}


torch.set_num_threads(1)  # the physics has the other cores
env = wrap_env(
    gym.make_vec("GaitNet/WildRobot-v0", N, vectorization_mode="vector_entry_point", autoreset_mode="same_step")
)
spaces = {"observation_space": env.observation_space, "action_space": env.action_space, "device": env.device}
config = PPO_CFG(rollouts=T, learning_epochs=4, mini_batches=4, discount_factor=0.97)
config.experiment.write_interval = config.experiment.checkpoint_interval = 0
agent = PPO(
    models={"policy": Policy(**spaces), "value": Value(**spaces)},
    memory=RandomMemory(memory_size=T, num_envs=N, device=env.device),
    cfg=config,
    **spaces,
)
trainer = SequentialTrainer(
    env=env, agents=agent, cfg={"timesteps": max(T, args.steps // N), "headless": True, "disable_progressbar": True}
)
start = time.time()
trainer.train()
print(f"{max(T, args.steps // N) * N / (time.time() - start):,.0f} steps/s")
