"""The configured PPO: Stable-Baselines3's, or sb3-contrib's recurrent one, or one that only collects rollouts."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from sb3_contrib import RecurrentPPO
from sb3_contrib.common.recurrent.buffers import RecurrentRolloutBuffer
from sb3_contrib.common.recurrent.type_aliases import RecurrentRolloutBufferSamples, RNNStates
from stable_baselines3 import PPO
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv

from gait_trainers.config.schema import TrainConfig
from gait_trainers.models.actor_critic import Mirrors, policy_kwargs, policy_type, set_value_rate
from gait_trainers.models.anchor import Anchor

Algorithm = PPO | RecurrentPPO
RATES = 1e-5, 1e-2  # bounds of a step size that follows the KL divergence


class SequenceBuffer(RecurrentRolloutBuffer):
    """A rollout that is learnt from in whole sequences: a minibatch holds all steps of some environments.

    It keeps the recurrent states that the rollout began with; those of later steps follow from them.
    """

    first_states: RNNStates

    def reset(self) -> None:
        """Empty the buffer."""
        super(RecurrentRolloutBuffer, self).reset()

    def add(self, *args: Any, lstm_states: RNNStates, **kwargs: Any) -> None:  # type: ignore[override]  # sb3-contrib's
        """One step of every environment; `lstm_states` before it, (1, n, H) each."""
        if self.pos == 0:
            self.first_states = lstm_states
        super(RecurrentRolloutBuffer, self).add(*args, **kwargs)

    def get(self, batch_size: int | None = None) -> Iterator[RecurrentRolloutBufferSamples]:  # type: ignore[override]
        """Minibatches of `batch_size` steps, of environments in a random order."""
        assert self.full, "the rollout is not complete"
        each = self.n_envs if batch_size is None else batch_size // self.buffer_size
        order = np.random.permutation(self.n_envs)  # noqa: NPY002 - SB3's generator, which checkpoints keep
        for first in range(0, self.n_envs, each):
            yield self.sequences(order[first : first + each])

    def sequences(self, envs: np.ndarray) -> RecurrentRolloutBufferSamples:
        """All steps of the environments `envs`, sequence after sequence."""

        def flat(array: np.ndarray) -> torch.Tensor:
            return self.to_torch(array[:, envs].swapaxes(0, 1).reshape(len(envs) * self.buffer_size, *array.shape[2:]))

        rows = torch.from_numpy(envs).to(self.device)
        pi, vf = (tuple(state[:, rows] for state in states) for states in self.first_states)
        return RecurrentRolloutBufferSamples(
            observations=flat(self.observations),
            actions=flat(self.actions),
            old_values=flat(self.values),
            old_log_prob=flat(self.log_probs),
            advantages=flat(self.advantages),
            returns=flat(self.returns),
            lstm_states=RNNStates(pi, vf),
            episode_starts=flat(self.episode_starts),
            mask=torch.ones(len(envs) * self.buffer_size, device=self.device),
        )


class SequencePPO(RecurrentPPO):
    """sb3-contrib's recurrent PPO on minibatches of whole sequences."""

    def _setup_model(self) -> None:
        super()._setup_model()
        self.rollout_buffer = SequenceBuffer(
            self.n_steps,
            self.observation_space,
            self.action_space,
            (0, 0, 0, 0),
            self.device,
            gamma=self.gamma,
            gae_lambda=self.gae_lambda,
            n_envs=self.n_envs,
        )


class KeepsKL:
    """The step size by the KL divergence of each update: smaller where it was over twice the desired, larger where it
    was under half of it (Schulman et al. 2017, there for the penalty). The optimizer holds it, and so a checkpoint."""

    desired_kl: float

    def _update_learning_rate(self, optimizers: Any) -> None:
        """Leave it as it is; SB3 would set it by its schedule."""

    def train(self: Any) -> None:
        """Update the policy, then the step size for the next time."""
        self.logger.record("train/learning_rate", self.policy.optimizer.param_groups[0]["lr"])
        super().train()  # type: ignore[misc]
        found = float(self.logger.name_to_value["train/approx_kl"])
        for group in self.policy.optimizer.param_groups:
            group["lr"] = adapted_rate(group["lr"], found, self.desired_kl)


class KeepsKLPPO(KeepsKL, PPO):
    """PPO with it."""


class KeepsKLSequencePPO(KeepsKL, SequencePPO):
    """The same with a recurrent policy."""


def adapted_rate(rate: float, found: float, desired: float) -> float:
    """The next step size, after an update whose KL divergence was `found`."""
    factor = 1 / 1.5 if found > 2 * desired else 1.5 if found < desired / 2 else 1.0
    return min(max(factor * rate, RATES[0]), RATES[1])


def cosine(rate: float) -> Callable[[float], float]:
    """From `rate` to 0 along half a cosine, by the share of the training that remains."""
    return lambda remaining: rate * 0.5 * (1.0 + math.cos(math.pi * (1.0 - remaining)))


class FrozenPPO(PPO):
    """Collects rollouts, for learners to learn from."""

    def train(self) -> None:
        """Leave the policy unchanged."""


class FrozenSequencePPO(SequencePPO):
    """The same with a recurrent policy."""

    def train(self) -> None:
        """Leave the policy unchanged."""


def algorithm_type(config: TrainConfig) -> type[Algorithm]:
    """The class of the configured algorithm."""
    recurrent = config.networks.recurrent
    if config.policy_frozen:
        return FrozenSequencePPO if recurrent else FrozenPPO
    if config.ppo.lr_schedule == "kl":
        return KeepsKLSequencePPO if recurrent else KeepsKLPPO
    return SequencePPO if recurrent else PPO


def build_model(
    config: TrainConfig, env: VecEnv, mirrors: Mirrors | None = None, encoder: Mapping[str, Any] | None = None
) -> Algorithm:
    """The algorithm with fresh networks, seeded; `mirrors` of what the policy observes and does, where it is
    symmetric, `encoder` the arguments of the feature extractor where there is one."""
    ppo = config.ppo
    schedules: dict[str, Any] = {
        "linear": LinearSchedule(ppo.learning_rate, 0.0, 1.0),
        "cosine": cosine(ppo.learning_rate),
    }
    model = algorithm_type(config)(
        policy_type(config.networks),  # type: ignore[arg-type]
        env,
        learning_rate=schedules.get(ppo.lr_schedule, ppo.learning_rate),
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
    if ppo.value_rate != 1.0:
        set_value_rate(model.policy, ppo.value_rate)
    if isinstance(model, KeepsKL):
        model.desired_kl = ppo.desired_kl
    model.anchor = Anchor(model.policy, ppo.l2_initial) if ppo.l2_initial else None  # type: ignore[union-attr]
    return model
