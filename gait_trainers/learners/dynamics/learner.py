"""A learned dynamics model beside PPO: fitted to its rollouts, and the policy improved by gradients through it.

PPO learns from rewards that were paid. A model of the observations says, besides, which way to change an action: the
return of a few predicted steps, continued by the value network, is differentiated through model and policy (N. Heess
et al. 2015, SVG; L. Fussell et al. 2021, SuperTrack). These updates come after PPO's own, and stay near the policy that
it left.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from gait_trainers.config.schema import TrainConfig
from gait_trainers.learners.base import Learner
from gait_trainers.learners.dynamics.model import DynamicsModel, Memory
from gait_trainers.learners.dynamics.spec import DynamicsConfig
from gait_trainers.rl.sb3_vec import SB3VecEnv


class DynamicsCallback(BaseCallback):
    """After each rollout: fit the model. After PPO's update, which is before the next rollout: update the policy.

    All random choices come from generators of this callback. The value network and the deviations of the actions are
    left to PPO.
    """

    model: PPO

    def __init__(self, base: SB3VecEnv, config: DynamicsConfig, gamma: float, seed: int, device: str) -> None:
        super().__init__()
        self.config, self.gamma, self.device = config, gamma, device
        (obs_size,), (action_size,) = base.observation_space.shape, base.action_space.shape  # type: ignore[misc]
        self.rng, self.noise = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
        self.network = DynamicsModel(obs_size, action_size, config.hidden, self.noise).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate)
        self.memory = Memory(config.rollouts)
        self.iteration = 0
        self.due = False  # whether PPO has updated the policy and the model has not yet
        self.steps: torch.optim.Adam | None = None  # of the policy through the model
        self.restored: dict[str, Any] | None = None  # state of these, until the policy is there

    def _on_step(self) -> bool:
        return True

    def _on_training_start(self) -> None:
        if self.steps is None:
            self.actor = actor_parameters(self.model.policy)
            self.steps = torch.optim.Adam(self.actor, lr=self.config.policy_learning_rate)
        if self.restored is not None:
            self.steps.load_state_dict(self.restored)
            self.restored = None

    def _on_rollout_end(self) -> None:
        buffer = self.model.rollout_buffer
        last = np.asarray(self.model._last_obs)[None], np.asarray(self.model._last_episode_starts)[None]
        self.memory.add(
            np.concatenate([buffer.observations, last[0]]), buffer.actions, buffer.rewards,
            np.concatenate([buffer.episode_starts, last[1]]) > 0.5,
        )  # fmt: skip
        self.iteration += 1
        for name, value in (self.measure() | self.fit()).items():
            self.logger.record(f"dynamics/{name}", value)
        self.due = self.iteration > self.config.start_at and self.config.policy_updates > 0

    def _on_rollout_start(self) -> None:
        self._improve_if_due()

    def _on_training_end(self) -> None:
        self._improve_if_due()

    def _improve_if_due(self) -> None:
        if self.due:
            self.due = False
            for name, value in self.improve().items():
                self.logger.record(f"dynamics/{name}", value)

    def measure(self) -> dict[str, float]:
        """Errors on the newest rollout, from which nothing was learnt yet, over the variance of a step's change."""
        if self.iteration == 1:
            self.network.set_scales(*self.memory.latest())
        segments = self._draw(newest=True)
        if segments is None:
            return {}
        with torch.no_grad():
            errors, rewards = self.network.errors(segments)
        return {
            "model_error": errors[0].item(),
            "model_error_horizon": errors[-1].item(),
            "model_reward_error": rewards[0].item(),
        }

    def fit(self) -> dict[str, float]:
        """Update the model on the rollouts that are kept; its mean loss."""
        losses = []
        for _ in range(self.config.updates):
            segments = self._draw()
            if segments is None:
                return {}
            errors, rewards = self.network.errors(segments)
            loss = errors.mean() + rewards.mean()
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
            self.optimizer.step()
            losses.append(loss.item())
        return {"model_loss": float(np.mean(losses))} if losses else {}

    def improve(self) -> dict[str, float]:
        """Update the policy through the model, from states of the newest rollout."""
        assert self.steps is not None
        for group in self.steps.param_groups:
            group["lr"] = self.config.policy_learning_rate * self._rate_left()
        policy, gains, shifts = self.model.policy, [], []
        drawn = [self._draw(newest=True) for _ in range(self.config.policy_updates)]
        if any(segments is None for segments in drawn):
            return {}
        starts = [segments.obs[0] for segments in drawn if segments is not None]
        with torch.no_grad():
            before = [normal_of(policy, obs).mean for obs in starts]
            scale = torch.cat([policy.predict_values(obs) for obs in starts]).std().clamp(min=1e-3)
        for obs, mean in zip(starts, before, strict=True):
            value, now, std = self._predicted_return(obs)
            shift = 0.5 * ((now - mean) / std).square().sum(dim=1).mean()  # KL divergence, deviations being equal
            gain = value.mean() / scale
            gradients = torch.autograd.grad(self.config.trust * shift - gain, self.actor)
            for parameter, gradient in zip(self.actor, gradients, strict=True):
                parameter.grad = gradient
            torch.nn.utils.clip_grad_norm_(self.actor, 1.0)
            self.steps.step()
            gains.append(gain.item())
            shifts.append(shift.item())
        for parameter in self.actor:
            parameter.grad = None
        return {"predicted_return": float(np.mean(gains)), "policy_shift": shifts[-1]}

    def _rate_left(self) -> float:
        """PPO's learning rate in its latest update, as a share of its first: these updates fade with PPO's own."""
        return float(self.model.policy.optimizer.param_groups[0]["lr"] / self.model.lr_schedule(1.0))

    def _predicted_return(self, obs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return of `horizon` predicted steps and the value of the last state, (m,); means and deviations of the first
        actions, (m, k)."""
        policy, total, first = self.model.policy, torch.zeros(len(obs), device=self.device), None
        for k in range(self.config.horizon):
            normal = normal_of(policy, obs)
            std = normal.stddev.detach()
            first = (normal.mean, std) if first is None else first
            noise = torch.randn(normal.mean.shape, generator=self.noise).to(self.device)
            obs, reward = self.network(obs, normal.mean + std * noise)
            total = total + self.gamma**k * reward
        assert first is not None
        return total + self.gamma**self.config.horizon * policy.predict_values(obs)[:, 0], *first

    def _draw(self, newest: bool = False) -> Any:
        segments = self.memory.draw(self.config.batch_size, self.config.horizon, self.rng, newest=newest)
        return segments if segments is None else type(segments)(*(part.to(self.device) for part in segments))


def normal_of(policy: Any, obs: Tensor) -> torch.distributions.Normal:
    """The distribution of actions (m, k) that the policy draws from, seeing these observations (m, d)."""
    distribution: torch.distributions.Normal = policy.get_distribution(obs).distribution
    return distribution


def actor_parameters(policy: Any) -> list[torch.nn.Parameter]:
    """What the mean action depends on, and is trained."""
    obs = torch.zeros(1, *policy.observation_space.shape, device=policy.device)
    trained = [parameter for parameter in policy.parameters() if parameter.requires_grad]
    found = torch.autograd.grad(normal_of(policy, obs).mean.sum(), trained, allow_unused=True)
    return [parameter for parameter, gradient in zip(trained, found, strict=True) if gradient is not None]


class DynamicsLearner(Learner):
    """The model, its memory and the policy's updates through it."""

    callback: DynamicsCallback

    def __init__(self, config: TrainConfig, base: SB3VecEnv) -> None:
        section = config.section("dynamics")
        self.callback = DynamicsCallback(base, section, config.ppo.gamma, config.run.seed, config.run.device)

    def get_state(self) -> dict[str, Any]:
        own = self.callback
        return {
            "network": own.network.state_dict(),
            "optimizer": own.optimizer.state_dict(),
            "memory": own.memory.get_state(),
            "rng": own.rng.bit_generator.state,
            "noise": own.noise.get_state(),
            "iteration": own.iteration,
            "steps": None if own.steps is None else own.steps.state_dict(),
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        own = self.callback
        own.network.load_state_dict(state["network"])
        own.optimizer.load_state_dict(state["optimizer"])
        own.memory.set_state(state["memory"])
        own.rng.bit_generator.state = state["rng"]
        own.noise.set_state(state["noise"])
        own.iteration, own.restored = state["iteration"], state["steps"]
