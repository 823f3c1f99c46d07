"""Tianshou's PPO. Its collectors take only Tianshou's own vector environments, here scalar environments in processes.

Tianshou resets environments itself. The prefixed id lets each process import the package.
"""

import argparse
import time

import gymnasium as gym
import torch
from tianshou.algorithm import PPO
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Collector, VectorReplayBuffer
from tianshou.env import SubprocVectorEnv
from tianshou.trainer import OnPolicyTrainerParams
from tianshou.utils.net.common import Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic
from torch.distributions import Independent, Normal

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=1_000_000)
args = parser.parse_args()
N, STEPS = 4, min(2048, args.steps)  # processes; steps of a rollout


def make() -> gym.Env:
    return gym.make("gait_envs:GaitNet/WildRobot-v0")


def main() -> None:
    torch.set_num_threads(1)
    env, envs = make(), SubprocVectorEnv([make] * N)
    shape = env.observation_space.shape
    actor = ContinuousActorProbabilistic(
        preprocess_net=Net(state_shape=shape, hidden_sizes=[256, 128]),
        action_shape=env.action_space.shape,
        unbounded=True,
    )
    torch.nn.init.constant_(actor.sigma_param, -1.6)
    critic = ContinuousCritic(preprocess_net=Net(state_shape=shape, hidden_sizes=[256, 128]))
    policy = ProbabilisticActorPolicy(
        actor=actor,
        dist_fn=lambda parts: Independent(Normal(*parts), 1),
        action_space=env.action_space,
        action_scaling=False,
    )
    algorithm = PPO(policy=policy, critic=critic, optim=AdamOptimizerFactory(lr=3e-4), gamma=0.97)
    steps = max(STEPS, args.steps)
    start = time.time()
    algorithm.run_training(
        OnPolicyTrainerParams(
            training_collector=Collector(algorithm, envs, VectorReplayBuffer(STEPS * 2, N)),
            max_epochs=1,
            epoch_num_steps=steps,
            collection_step_num_env_steps=STEPS,
            update_step_num_repetitions=4,
            batch_size=512,
        )
    )
    print(f"{steps / (time.time() - start):,.0f} steps/s")
    envs.close()


if __name__ == "__main__":
    main()
