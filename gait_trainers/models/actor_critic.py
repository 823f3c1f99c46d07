"""Policy and value networks: SB3's actor-critic, shaped by the configuration."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from gait_trainers.config.schema import NetworkConfig

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "silu": nn.SiLU, "relu": nn.ReLU, "tanh": nn.Tanh}


def policy_kwargs(config: NetworkConfig) -> dict[str, Any]:
    """Arguments for SB3's MlpPolicy."""
    return {
        "net_arch": {"pi": list(config.policy), "vf": list(config.value)},
        "activation_fn": ACTIVATIONS[config.activation],
        "log_std_init": config.log_std_init,
    }


def build_policy(config: NetworkConfig, obs_size: int, action_size: int) -> ActorCriticPolicy:
    """A policy of the configured shape, without an environment."""
    return ActorCriticPolicy(
        spaces.Box(-np.inf, np.inf, (obs_size,), np.float32),
        spaces.Box(-1.0, 1.0, (action_size,), np.float32),
        lambda _: 0.0,
        **policy_kwargs(config),
    )
