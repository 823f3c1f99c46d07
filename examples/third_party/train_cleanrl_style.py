"""PPO in one file, in the style of CleanRL, on the native vector form in its default mode, NEXT_STEP.

In this mode the step after an episode's end is its reset: the action is ignored and the reward is 0. Such rows are not
learnt from (`valid`), and a time-out is bootstrapped with the value of the true last observation.
"""

import argparse
import time

import gymnasium as gym
import numpy as np
import torch
from torch import nn

import gait_envs  # noqa: F401 - registers the ids

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1_000_000)
args = parser.parse_args()

N, T, EPOCHS, BATCH, GAMMA, LAMBDA, CLIP = 64, 32, 4, 512, 0.97, 0.95, 0.2
torch.set_num_threads(1)  # the physics has the other cores
torch.manual_seed(0)
envs = gym.make_vec("GaitNet/WildRobot-v0", N, vectorization_mode="vector_entry_point")
D, A = envs.single_observation_space.shape[0], envs.single_action_space.shape[0]
actor = nn.Sequential(nn.Linear(D, 256), nn.ELU(), nn.Linear(256, 128), nn.ELU(), nn.Linear(128, A))
critic = nn.Sequential(nn.Linear(D, 256), nn.ELU(), nn.Linear(256, 128), nn.ELU(), nn.Linear(128, 1))
log_std = nn.Parameter(torch.full((A,), -1.6))
optimizer = torch.optim.Adam([*actor.parameters(), *critic.parameters(), log_std], lr=3e-4)


def policy(obs: torch.Tensor) -> torch.distributions.Normal:
    return torch.distributions.Normal(actor(obs), log_std.exp())


raw, _ = envs.reset(seed=0)
obs, ended = torch.from_numpy(raw), torch.zeros(N)
start, lengths, running = time.time(), [], np.zeros(N)
updates = max(1, args.steps // (N * T))
for _ in range(updates):
    rows = []
    for _ in range(T):
        with torch.no_grad():
            action = policy(obs).sample()
            log_prob = policy(obs).log_prob(action).sum(1)
        raw, reward, terminated, truncated, _ = envs.step(action.clamp(-1, 1).numpy())
        after = torch.from_numpy(raw)
        over = torch.from_numpy(terminated | truncated).float()
        rows.append((obs, action, log_prob, torch.from_numpy(reward).float(), torch.from_numpy(terminated).float(),
                     over, after, 1.0 - ended))  # fmt: skip
        running += 1.0 - ended.numpy()
        lengths += running[over.bool().numpy()].tolist()
        running[over.bool().numpy()] = 0.0
        obs, ended = after, over
    s, a, old, r, fell, over, s_next, valid = (torch.stack(column) for column in zip(*rows, strict=True))
    with torch.no_grad():
        value, value_next = critic(s).squeeze(-1), critic(s_next).squeeze(-1)
    delta = r + GAMMA * (1.0 - fell) * value_next - value  # after a fall the value is 0, after a time-out it is not
    advantage, last = torch.zeros_like(r), torch.zeros(N)
    for t in reversed(range(T)):
        last = delta[t] + GAMMA * LAMBDA * (1.0 - over[t]) * last
        advantage[t] = last
    keep = valid.flatten().bool()
    s, a, old, advantage = s.flatten(0, 1)[keep], a.flatten(0, 1)[keep], old.flatten()[keep], advantage.flatten()[keep]
    returns = advantage + value.flatten()[keep]
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(s)).split(BATCH):
            adv = (advantage[batch] - advantage[batch].mean()) / (advantage[batch].std() + 1e-8)
            ratio = (policy(s[batch]).log_prob(a[batch]).sum(1) - old[batch]).exp()
            surrogate = torch.min(ratio * adv, ratio.clamp(1 - CLIP, 1 + CLIP) * adv).mean()
            loss = 0.5 * (critic(s[batch]).squeeze(-1) - returns[batch]).square().mean() - surrogate
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
speed = updates * N * T / (time.time() - start)
print(f"{speed:,.0f} steps/s; episodes last {np.mean(lengths[-100:] or [np.nan]):.0f} steps")
