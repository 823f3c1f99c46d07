"""The configured PPO: Stable-Baselines3's, or a variant that only collects rollouts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stable_baselines3 import PPO
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from gait_trainers.config.schema import TrainConfig
from gait_trainers.models.actor_critic import Mirrors, policy_kwargs, policy_type


class FrozenPPO(PPO):
    """Collects rollouts, for learners to learn from."""

    def train(self) -> None:
        """Leave the policy unchanged."""


def build_model(
    config: TrainConfig, env: VecEnv, mirrors: Mirrors | None = None, encoder: Mapping[str, Any] | None = None
) -> PPO:
    """The algorithm with fresh networks, seeded; `mirrors` of the task where these are symmetric, `encoder` the
    arguments of the feature extractor where there is one."""
    ppo = config.ppo
    rate = LinearSchedule(ppo.learning_rate, 0.0, 1.0) if ppo.lr_schedule == "linear" else ppo.learning_rate
    return (FrozenPPO if config.policy_frozen else PPO)(
        policy_type(config.networks),
        env,
        learning_rate=rate,
        n_steps=ppo.n_steps,
        batch_size=config.batch_size,
        n_epochs=ppo.epochs,
        gamma=ppo.gamma,
        gae_lambda=ppo.gae_lambda,
        clip_range=ppo.clip_range,
        ent_coef=ppo.ent_coef,
        vf_coef=ppo.vf_coef,
        max_grad_norm=ppo.max_grad_norm,
        target_kl=ppo.target_kl,
        policy_kwargs=policy_kwargs(config.networks, mirrors, encoder),
        seed=config.run.seed,
        device=config.run.device,
    )
