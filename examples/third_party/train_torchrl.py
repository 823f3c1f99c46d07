"""TorchRL's PPO on the native vector form, in DISABLED mode: TorchRL itself resets the rows that have ended."""

import argparse
import time

import gymnasium as gym
import torch
from tensordict.nn import TensorDictModule
from torch import nn
from torchrl.collectors import Collector
from torchrl.envs import GymWrapper
from torchrl.modules import NormalParamExtractor, ProbabilisticActor, TanhNormal, ValueOperator
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

import gait_envs  # noqa: F401 - registers the ids

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1_000_000)
args = parser.parse_args()
N, T, EPOCHS, BATCH = 64, 32, 4, 512

torch.set_num_threads(1)  # the physics has the other cores
env = GymWrapper(
    gym.make_vec("GaitNet/WildRobot-v0", N, vectorization_mode="vector_entry_point", autoreset_mode="disabled")
)
D, A = env.observation_spec["observation"].shape[-1], env.action_spec.shape[-1]


def mlp(outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(D, 256), nn.ELU(), nn.Linear(256, 128), nn.ELU(), nn.Linear(128, outputs))


net = nn.Sequential(mlp(2 * A), NormalParamExtractor("biased_softplus_0.2"))
actor = ProbabilisticActor(
    TensorDictModule(net, in_keys=["observation"], out_keys=["loc", "scale"]),
    spec=env.action_spec,
    in_keys=["loc", "scale"],
    distribution_class=TanhNormal,
    return_log_prob=True,
)
critic = ValueOperator(mlp(1), in_keys=["observation"])
advantage = GAE(gamma=0.97, lmbda=0.95, value_network=critic)
loss_module = ClipPPOLoss(actor, critic, clip_epsilon=0.2, entropy_coeff=0.0)
optimizer = torch.optim.Adam(loss_module.parameters(), lr=3e-4)
total = max(1, args.steps // (N * T)) * N * T
start = time.time()
for rollout in Collector(env, actor, frames_per_batch=N * T, total_frames=total, auto_register_policy_transforms=True):
    with torch.no_grad():
        advantage(rollout)
    flat = rollout.reshape(-1)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(flat)).split(BATCH):
            losses = loss_module(flat[rows])
            loss = sum(value for key, value in losses.items() if key.startswith("loss_"))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
print(f"{total / (time.time() - start):,.0f} steps/s")
