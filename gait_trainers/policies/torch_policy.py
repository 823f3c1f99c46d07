"""Trained policies in torch: the network as it acts, read from a run or taken from a live training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import Tensor, nn

from gait_envs.loaders import FOLDER, loader
from gait_trainers.config.schema import TrainConfig
from gait_trainers.models.discriminator import Discriminator
from gait_trainers.policies.bundle import Policy, Style, deployment_kwargs
from gait_trainers.runs.run_folder import ObsNormalizer, load_checkpoint, load_policy, network_file, open_run


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


def torch_policy(
    name: str, network: PolicyNetwork, env_id: str, env_kwargs: dict[str, Any], style: Style | None = None
) -> Policy:
    """A policy that acts with torch, for instance one that is still being trained."""

    def forward(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.no_grad():
            _, mean, std = network(torch.from_numpy(obs).to(network.mean.device))
        return mean.cpu().numpy(), std.cpu().numpy()

    return Policy(name, forward, env_id, deployment_kwargs(env_kwargs), style, env_kwargs.get("reference"))


@loader("run folder", FOLDER, ".pt")
def policy_from_run(path: str | Path) -> Policy:
    """The policy of a run's latest checkpoint, or of a checkpoint, with its discriminator if it has one."""
    policy, normalizer, config = load_policy(path)
    discriminator = load_discriminator(path, config)
    style = None if discriminator is None else Style(config.amp.frames, _scorer(discriminator))
    network = PolicyNetwork(policy, normalizer)
    return torch_policy(_run_name(path), network, config.env.id, config.env.kwargs | _muscle_kwargs(path), style)


def _muscle_kwargs(path: str | Path) -> dict[str, Any]:
    """The environment options by which a run's network moves the body; none where it does not yet, or there is none."""
    _, file = open_run(path)
    muscle = None if file is None else load_checkpoint(file).get("muscle")
    if file is None or muscle is None or not muscle["drives"]:
        return {}
    return {"muscle_controller": "nn", "muscle_network": str(network_file(file).resolve())}


def _run_name(path: str | Path) -> str:
    run, file = open_run(path)
    return run.path.resolve().name + (f"/{file.stem}" if Path(path).is_file() and file else "")


def _scorer(discriminator: nn.Module) -> Any:
    def score(windows: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return discriminator(torch.from_numpy(np.asarray(windows, dtype=np.float32))).numpy()

    return score


def load_discriminator(path: str | Path, config: TrainConfig) -> Discriminator | None:
    """The discriminator in a run's checkpoint, ready to score; None where none was trained."""
    _, file = open_run(path)
    amp = None if file is None else load_checkpoint(file)["amp"]
    if amp is None:
        return None
    saved = amp["callback"]["discriminator"]
    size = len(saved["mean"]) // config.amp.frames
    discriminator = Discriminator(
        np.zeros((1, size)), config.amp.frames, config.amp.hidden, use_spectral_norm=config.amp.spectral_norm
    )
    discriminator.load_state_dict(saved)
    return discriminator.eval()
