"""Trained policies in torch: the network as it acts, read from a run or taken from a live training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from gait_envs.errors import one_line
from gait_envs.reading.loaders import FOLDER, loader
from gait_trainers.policies.base import Feedforward, GaussianPolicy, Style
from gait_trainers.policies.environment import EnvironmentOptionError, deployment_kwargs, make_env
from gait_trainers.runs.checkpoint import load_artefacts, read_networks
from gait_trainers.runs.normalizer import ObsNormalizer
from gait_trainers.runs.run_folder import RunError, open_run


class PolicyNetwork(nn.Module):
    """Observation (batch, d) -> action, its unclipped mean and its standard deviation, (batch, nu) each.

    The normaliser's mean is kept as a float32 and the remainder that it rounds away, so that an observation
    that hardly varied in training keeps its meaning after division by its tiny deviation.
    """

    mean: Tensor
    remainder: Tensor
    std: Tensor

    def __init__(self, policy: ActorCriticPolicy, normalizer: ObsNormalizer) -> None:
        super().__init__()
        self.policy, self.clip = policy, float(normalizer.clip)
        mean = np.asarray(normalizer.mean, dtype=np.float64)
        rounded = mean.astype(np.float32)
        std = np.sqrt(np.asarray(normalizer.var, dtype=np.float64) + normalizer.epsilon)
        for name, value in (("mean", rounded), ("remainder", mean - rounded), ("std", std)):
            self.register_buffer(name, torch.from_numpy(np.asarray(value, dtype=np.float32)))

    def forward(self, observation: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x = ((observation - self.mean) - self.remainder) / self.std
        if np.isfinite(self.clip):
            x = x.clamp(-self.clip, self.clip)
        latent = self.policy.mlp_extractor.forward_actor(
            self.policy.extract_features(x, self.policy.pi_features_extractor)  # type: ignore[arg-type]
        )
        mean = self.policy.action_net(latent)
        return mean.clamp(-1.0, 1.0), mean, self.policy.log_std.exp().expand_as(mean)


def torch_network(network: PolicyNetwork) -> Feedforward:
    """As the distribution that a policy acts with, on the network's device."""

    def forward(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            _, mean, std = network(torch.from_numpy(obs).to(network.mean.device))
        return mean.cpu().numpy(), std.cpu().numpy()

    return Feedforward(forward)


def trainer_network(policy: ActorCriticPolicy, normalizer: ObsNormalizer) -> Feedforward:
    """The distribution as Stable-Baselines3 itself computes it, which `PolicyNetwork` has to equal."""

    def forward(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            normal: Any = policy.get_distribution(torch.from_numpy(normalizer(obs)).to(policy.device)).distribution
        return normal.mean.cpu().numpy(), normal.stddev.cpu().numpy()

    return Feedforward(forward)


def torch_policy(
    name: str, network: PolicyNetwork, env_id: str, env_kwargs: Mapping[str, Any], style: Style | None = None
) -> GaussianPolicy:
    """A policy that acts with torch, for instance one that is still being trained."""
    return GaussianPolicy(
        name, torch_network(network), env_id, deployment_kwargs(env_kwargs), style, env_kwargs.get("reference")
    )


@loader("run folder", FOLDER, ".pt")
def policy_from_run(path: str | Path) -> GaussianPolicy:
    """The policy of a run's latest checkpoint, or of a checkpoint, with its discriminator if it has one."""
    policy, normalizer, config = read_networks(path)
    left = load_artefacts(path)
    scorers = [Style(x.frames, _scorer(x.scorer), x.dilation) for x in left if x.scorer is not None]
    options = config.env.kwargs | {key: value for x in left for key, value in x.env_options.items()}
    _check_fits(policy, config.env.id, options, path)
    network = PolicyNetwork(policy, normalizer)
    return torch_policy(_run_name(path), network, config.env.id, options, scorers[0] if scorers else None)


def _check_fits(policy: ActorCriticPolicy, env_id: str, options: Mapping[str, Any], path: str | Path) -> None:
    """RunError unless the networks observe what today's environment shows, and drive what it has."""
    try:
        env = make_env(env_id, threads=1, **deployment_kwargs(options))
    except EnvironmentOptionError as error:
        raise RunError(f"{path}: {one_line(error, 500)}") from None
    task = env.core.task
    env.close()
    shown = (task.layout.size,), (len(task.action_names),)
    found = policy.observation_space.shape, policy.action_space.shape
    if found != shown:
        raise RunError(f"{path}: its networks map {found[0]} to {found[1]}, {env_id} asks for {shown[0]} to {shown[1]}")


def _run_name(path: str | Path) -> str:
    run, file = open_run(path)
    return run.path.resolve().name + (f"/{file.stem}" if Path(path).is_file() and file else "")


def _scorer(discriminator: nn.Module) -> Callable[[np.ndarray], np.ndarray]:
    def score(windows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return discriminator(torch.from_numpy(np.asarray(windows, dtype=np.float32))).numpy()

    return score
