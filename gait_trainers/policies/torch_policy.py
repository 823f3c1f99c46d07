"""Trained policies in torch: the network as it acts, read from a run or taken from a live training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from gait_envs.errors import one_line
from gait_envs.reading.loaders import FOLDER, loader
from gait_trainers.config.schema import TrainConfig
from gait_trainers.models.frames import stack
from gait_trainers.models.recurrent import StateSpec, pair, recurrent_state
from gait_trainers.policies.base import GaussianPolicy, State, Style, check_observations
from gait_trainers.policies.environment import EnvironmentOptionError, deployment_kwargs, make_env
from gait_trainers.runs.checkpoint import load_artefacts, read_networks
from gait_trainers.runs.normalizer import ObsNormalizer, obs_normalizer, vec_normalize_state
from gait_trainers.runs.run_folder import RunError, open_run


class PolicyNetwork(nn.Module):
    """Observation (batch, d) -> action, its unclipped mean and its standard deviation, (batch, nu) each.

    With a memory it also takes `start` (batch,) bool and the arrays of `state`, and gives the next state after the
    others. The normaliser's mean is kept as a float32 and the remainder that it rounds away, so that an observation
    that hardly varied in training keeps its meaning after division by its tiny deviation.
    """

    mean: Tensor
    remainder: Tensor
    std: Tensor

    def __init__(self, policy: ActorCriticPolicy, normalizer: ObsNormalizer, frames: int = 1) -> None:
        """frames: how many observations the policy sees at once."""
        super().__init__()
        self.policy, self.clip, self.frames = policy, float(normalizer.clip), frames
        mean = np.asarray(normalizer.mean, dtype=np.float64)
        rounded = mean.astype(np.float32)
        std = np.sqrt(np.asarray(normalizer.var, dtype=np.float64) + normalizer.epsilon)
        for name, value in (("mean", rounded), ("remainder", mean - rounded), ("std", std)):
            self.register_buffer(name, torch.from_numpy(np.asarray(value, dtype=np.float32)))
        self.state = state_specs(policy, frames)

    def forward(self, observation: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        if not self.state:
            return self._act(self._features(observation))
        start, *state = memory
        if self.frames > 1:
            first = torch.cat([observation] * (self.frames - 1), dim=1)
            seen = torch.cat([torch.where(start[:, None], first, state[0]), observation], dim=1)
            return *self._act(self._features(seen)), seen[:, observation.shape[1] :]
        layer: Any = self.policy.lstm_actor
        known = [torch.where(start[:, None], 0.0, x) for x in state]
        latent, following = layer.step(self._features(observation), pair(known))
        return *self._act(latent), *following[: len(state)]

    def _features(self, x: Tensor) -> Tensor:
        x = ((x - self.mean) - self.remainder) / self.std
        if np.isfinite(self.clip):
            x = x.clamp(-self.clip, self.clip)
        return self._extracted(x)

    def _extracted(self, x: Tensor) -> Tensor:
        return self.policy.extract_features(x, self.policy.pi_features_extractor)  # type: ignore[return-value]

    def _act(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean = self.policy.action_net(self.policy.mlp_extractor.forward_actor(latent))
        return mean.clamp(-1.0, 1.0), mean, self.policy.log_std.exp().expand_as(mean)


def state_specs(policy: ActorCriticPolicy, frames: int) -> tuple[StateSpec, ...]:
    """The state that a policy acts with; () without a memory."""
    if frames == 1:
        return recurrent_state(policy)
    size = policy.observation_space.shape[0] // frames  # type: ignore[index]
    return (StateSpec("window", ((frames - 1) * size,)),)


class TorchNetwork:
    """A `PolicyNetwork` as the distribution that a policy acts with, on the network's device."""

    def __init__(self, network: PolicyNetwork) -> None:
        self.network = network

    def initial_state(self, n: int) -> State:
        """Zeros, (n, …) for each array of the state."""
        return tuple(np.zeros((n, *spec.shape), np.float32) for spec in self.network.state)

    def __call__(self, obs: np.ndarray, state: State, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, State]:
        check_observations(obs, len(self.network.mean) // self.network.frames)
        memory = (starts, *state) if self.network.state else ()
        with torch.no_grad():
            device = self.network.mean.device
            tensors = [torch.from_numpy(np.ascontiguousarray(x)).to(device) for x in (obs, *memory)]
            _, mean, std, *following = (x.cpu().numpy() for x in self.network(*tensors))
        return mean, std, tuple(following)


class TrainerNetwork:
    """The distribution as the trainer's own library computes it, which `PolicyNetwork` has to equal."""

    def __init__(self, policy: ActorCriticPolicy, normalizer: ObsNormalizer, frames: int = 1) -> None:
        self.policy, self.normalizer, self.frames = policy, normalizer, frames
        self.state = state_specs(policy, frames)

    def initial_state(self, n: int) -> State:
        """Zeros, (n, …) for each array of the state."""
        return tuple(np.zeros((n, *spec.shape), np.float32) for spec in self.state)

    def __call__(self, obs: np.ndarray, state: State, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, State]:
        following: State = ()
        if self.frames > 1:
            size = obs.shape[1]
            obs = stack(state[0], obs, starts)
            following = (obs[:, size:],)
        policy: Any = self.policy
        with torch.no_grad():
            seen = torch.from_numpy(self.normalizer(obs)).to(policy.device)
            if self.state and self.frames == 1:
                states = pair([torch.from_numpy(x).to(policy.device)[None] for x in state])
                flags = torch.from_numpy(starts).to(policy.device).float()
                normal, after = policy.get_distribution(seen, states, flags)
                following = tuple(x[0].cpu().numpy() for x in after[: len(state)])
            else:
                normal = policy.get_distribution(seen)
        normal = normal.distribution
        return normal.mean.cpu().numpy(), normal.stddev.cpu().numpy(), following


def torch_policy(
    name: str, network: PolicyNetwork, env_id: str, env_kwargs: Mapping[str, Any], style: Style | None = None
) -> GaussianPolicy:
    """A policy that acts with torch, for instance one that is still being trained."""
    return GaussianPolicy(
        name, TorchNetwork(network), env_id, deployment_kwargs(env_kwargs), style, env_kwargs.get("reference")
    )


def live_policy(model: BaseAlgorithm, config: TrainConfig) -> GaussianPolicy:
    """The policy of a training as it is now, by the trainer's own arithmetic."""
    statistics = vec_normalize_state(model.get_vec_normalize_env()) if config.ppo.normalize_obs else None
    normalizer = obs_normalizer(statistics, model.observation_space.shape[0])  # type: ignore[index]
    network = TrainerNetwork(model.policy, normalizer, config.networks.frames)  # type: ignore[arg-type]
    options = config.env.kwargs
    return GaussianPolicy(
        "the policy in training", network, config.env.id, deployment_kwargs(options), None, options.get("reference")
    )


@loader("run folder", FOLDER, ".pt")
def policy_from_run(path: str | Path) -> GaussianPolicy:
    """The policy of a run's latest checkpoint, or of a checkpoint, with its discriminator if it has one."""
    policy, normalizer, config = read_networks(path)
    left = load_artefacts(path)
    scorers = [Style(x.frames, _scorer(x.scorer), x.dilation) for x in left if x.scorer is not None]
    options = config.env.kwargs | {key: value for x in left for key, value in x.env_options.items()}
    _check_fits(policy, config.networks.frames, config.env.id, options, path)
    network = PolicyNetwork(policy, normalizer, config.networks.frames)
    return torch_policy(_run_name(path), network, config.env.id, options, scorers[0] if scorers else None)


def _check_fits(
    policy: ActorCriticPolicy, frames: int, env_id: str, options: Mapping[str, Any], path: str | Path
) -> None:
    """RunError unless the networks observe what today's environment shows, and drive what it has."""
    try:
        env = make_env(env_id, threads=1, **deployment_kwargs(options))
    except EnvironmentOptionError as error:
        raise RunError(f"{path}: {one_line(error, 500)}") from None
    task = env.core.task
    env.close()
    shown = (frames * task.layout.size,), (len(task.action_names),)
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
