"""Networks and normaliser out of a checkpoint, whoever wrote it: judged by their sizes before anything is built."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from stable_baselines3.common.policies import ActorCriticPolicy

from gait_envs.errors import one_line
from gait_envs.models.mirror import SignedPermutation
from gait_trainers.config.schema import NetworkConfig, TrainConfig
from gait_trainers.models.actor_critic import build_policy
from gait_trainers.models.encoders import EncoderPlan, planned_sizes, read_plan
from gait_trainers.models.recurrent import layer_parameters
from gait_trainers.models.sizes import check_parameters
from gait_trainers.models.symmetry import without_projections
from gait_trainers.runs.checkpoint_files import fitting
from gait_trainers.runs.normalizer import ObsNormalizer, obs_normalizer

MAX_STATISTIC = 1e30  # of the normaliser, whose numbers are used in single precision


def stored_networks(
    config: TrainConfig, state: Mapping[str, Any], file: Path
) -> tuple[ActorCriticPolicy, ObsNormalizer]:
    """The policy, ready to act, and the normaliser of its observations; RunError where they do not fit together."""
    with fitting(file):
        spaces, weights = state["spaces"], state["policy"]
        obs_size, action_size = spaces["obs_size"], spaces["action_size"]
        encoder = spaces.get("encoder")
        plan = None if encoder is None else read_plan(encoder)
        _check_size(config.networks, obs_size, action_size, weights, plan)
        mirrors = {name: SignedPermutation(**table) for name, table in (spaces.get("mirrors") or {}).items()}
        extractor = None if plan is None else {"encoder": plan}
        policy = build_policy(config.networks, obs_size, action_size, mirrors or None, extractor)
        policy.load_state_dict(weights)
        without_projections(policy)
        policy.set_training_mode(False)
        normalizer = obs_normalizer(state["vec_normalize"] if config.ppo.normalize_obs else None, obs_size)
        _check_normalizer(normalizer, obs_size)
    return policy, normalizer


def _check_size(
    networks: NetworkConfig, obs_size: Any, action_size: Any, weights: Mapping[str, Any], plan: EncoderPlan | None
) -> None:
    """ValueError unless the weights are as many as the configuration asks for, not too many, and finite."""
    for key, size in (("obs_size", obs_size), ("action_size", action_size)):
        if type(size) is not int or size < 1:
            raise ValueError(f"{key} is {one_line(repr(size))}, expected a whole number of 1 or more")
    seen, encoded = (obs_size, 0) if plan is None else planned_sizes(plan)
    recurrent = 0
    if networks.recurrent:
        recurrent = 2 * layer_parameters(networks.memory, seen, networks.memory_size)
        seen = networks.memory_size
    layers = (seen, *networks.policy, action_size), (seen, *networks.value, 1)
    # An extractor that actor and critic share is in the weights under three names.
    asked = action_size + check_parameters(*layers, others=recurrent) + 3 * encoded
    found = sum(tensor.numel() for tensor in weights.values())
    if asked != found:
        raise ValueError(f"{asked} parameters are asked for, {found} are there")
    for name, tensor in weights.items():
        if not bool(tensor.isfinite().all()):
            raise ValueError(f"{one_line(name)} has numbers that are not finite")


def _check_normalizer(normalizer: ObsNormalizer, size: int) -> None:
    """ValueError unless its statistics are of so many observations, and can be divided by."""
    for name in ("mean", "var"):
        values = np.asarray(getattr(normalizer, name))
        if values.shape != (size,) or values.dtype.kind != "f" or not (np.abs(values) < MAX_STATISTIC).all():
            raise ValueError(f"the normaliser's {name} has not {size} numbers below {MAX_STATISTIC:g}")
    if not (np.asarray(normalizer.var) + normalizer.epsilon > 0).all() or not normalizer.clip > 0:
        raise ValueError("the normaliser's var, epsilon or clip_obs is not positive")
