"""Policy and value networks: SB3's actor-critic, shaped by the configuration."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn
from torch.nn.utils import parametrize

from gait_envs.models.mirror import SignedPermutation, joined
from gait_trainers.config.schema import NetworkConfig
from gait_trainers.models.encoders import GroupedAdam, PretrainedMotionExtractor
from gait_trainers.models.recurrent import RecurrentPolicy
from gait_trainers.models.symmetry import SymmetricActorCriticPolicy

ACTIVATIONS: dict[str, type[nn.Module]] = {"elu": nn.ELU, "silu": nn.SiLU, "relu": nn.ReLU, "tanh": nn.Tanh}
Mirrors = Mapping[str, SignedPermutation]  # "observation" and "action" of the task; only symmetric networks need them


def policy_type(config: NetworkConfig) -> type[ActorCriticPolicy]:
    """The class of the configured policy."""
    if config.recurrent:
        return RecurrentPolicy
    return SymmetricActorCriticPolicy if config.symmetric else ActorCriticPolicy


def policy_kwargs(
    config: NetworkConfig, mirrors: Mirrors | None = None, encoder: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Arguments for that class. ValueError where a symmetric policy has no mirrors.

    `encoder` holds the arguments of a `PretrainedMotionExtractor`; None: the networks see observations alone.
    """
    kwargs: dict[str, Any] = {
        "net_arch": {"pi": list(config.policy), "vf": list(config.value)},
        "activation_fn": ACTIVATIONS[config.activation],
        "log_std_init": config.log_std_init,
    }
    if config.recurrent:
        kwargs |= {"kind": config.memory, "hidden_size": config.memory_size}
    if encoder is not None:
        kwargs |= {
            "features_extractor_class": PretrainedMotionExtractor,
            "features_extractor_kwargs": dict(encoder),
            "optimizer_class": GroupedAdam,
        }
    if not config.symmetric:
        return kwargs
    if mirrors is None:
        raise ValueError("networks.symmetric needs the mirrors of the task's observations and actions")
    return kwargs | {"observation_mirror": mirrors["observation"], "action_mirror": mirrors["action"]}


def mirrors_seen(config: NetworkConfig, mirrors: Mirrors) -> Mirrors:
    """The task's mirrors as the networks see them: with a window of frames, of each frame."""
    return {**mirrors, "observation": joined([mirrors["observation"]] * config.frames)}


def build_policy(
    config: NetworkConfig,
    obs_size: int,
    action_size: int,
    mirrors: Mirrors | None = None,
    encoder: Mapping[str, Any] | None = None,
) -> ActorCriticPolicy:
    """A policy of the configured shape, without an environment."""
    return policy_type(config)(
        spaces.Box(-np.inf, np.inf, (obs_size,), np.float32),
        spaces.Box(-1.0, 1.0, (action_size,), np.float32),
        lambda _: 0.0,
        **policy_kwargs(config, mirrors, encoder),
    )


def set_value_rate(policy: ActorCriticPolicy, rate: float) -> None:
    """Let the value network, layers of its own memory included, learn with `rate` times the step size of the policy.

    The policy's optimiser is replaced by a new one.
    """
    for name, parameter in policy.named_parameters():
        if any(part in ("value_net", "lstm_critic") for part in name.split(".")):
            parameter.rate = rate  # type: ignore[attr-defined] # read by GroupedAdam
    settings = {key: policy.optimizer.defaults[key] for key in ("lr", "eps")}
    policy.optimizer = GroupedAdam(policy.parameters(), **settings)


def keep_std_above(policy: ActorCriticPolicy, log_std: float) -> None:
    """Raise deviations of the actions that are smaller than exp(log_std) to it."""
    with torch.no_grad():
        _log_std(policy).clamp_(min=log_std)


def set_std(policy: ActorCriticPolicy, std: float) -> None:
    """Let every action have this standard deviation, from which it may go on being learnt."""
    with torch.no_grad():
        _log_std(policy).fill_(math.log(std))


def _log_std(policy: ActorCriticPolicy) -> torch.Tensor:
    """The parameter itself, whether or not it is projected."""
    projected = parametrize.is_parametrized(policy, "log_std")
    return policy.parametrizations.log_std.original if projected else policy.log_std  # type: ignore[union-attr, return-value]
