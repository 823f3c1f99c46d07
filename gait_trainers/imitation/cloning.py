"""Behaviour cloning (BC) and DAgger: the policy is fitted to an expert's actions by `imitation`'s BC."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from imitation.algorithms import bc
from imitation.util.logger import HierarchicalLogger
from stable_baselines3.common.logger import Logger
from torch.optim.lr_scheduler import CosineAnnealingLR

from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.imitation.collect import demonstrate
from gait_trainers.imitation.demonstrations import DemonstrationError, Demonstrations, Episode, pairs_of
from gait_trainers.imitation.student import Say, leave_run, normalized, prepare, warm_up_critic
from gait_trainers.models.actor_critic import set_std
from gait_trainers.policies.base import Policy
from gait_trainers.rl.build import Training
from gait_trainers.runs.run_folder import Run

HELD_OUT = 10  # one episode in so many is kept from the fit, and the error on it reported


@dataclass(frozen=True)
class Cloning:
    """Settings of behaviour cloning."""

    epochs: int = 30  # passes over the demonstrations (DAgger: in each round)
    batch_size: int = 256  # pairs of observation and action
    learning_rate: float = 1e-3  # of Adam, at the beginning of a fit; it ends at 0, along half a cosine
    entropy: float = 1e-3  # weight of the entropy bonus, which keeps the deviation of the actions above 0
    critic_iterations: int = 5  # rollouts to which the value network is fitted afterwards


def clone(config: TrainConfig, demonstrations: Demonstrations, settings: Cloning, say: Say = print) -> Run:
    """Fit a policy to demonstrations, then its critic to the policy's returns; returns the run."""
    training = _prepare(config, demonstrations)
    fit(training, demonstrations.episodes, settings, say)
    return _finish(training, settings, say, {"method": "bc", **demonstrations.provenance()})


def dagger(
    config: TrainConfig,
    expert: Policy,
    demonstrations: Demonstrations,
    settings: Cloning,
    *,
    rounds: int,
    reference: str | Sequence[str] | None = None,
    seed: int = 0,
    noise: float = 0.0,
    say: Say = print,
) -> Run:
    """DAgger (Ross et al. 2011): in each round the policy acts, and the expert says what it would have done there.

    The first round is behaviour cloning of the demonstrations. Each other one adds as many episodes as there are
    demonstrations; an episode ends where the expert's own task says that it is lost. Each step of these episodes is a
    query of the expert, which the run's provenance counts beside the demonstrated steps. `noise`: standard deviation
    of what is added to the policy's actions in the rounds, so that the expert also shows how to recover from it.
    """
    if not 0.0 <= noise < math.inf:
        raise DemonstrationError(f"noise is {noise}; a standard deviation is finite and not below 0")
    training = _prepare(config, demonstrations)
    episodes: list[Episode] = list(demonstrations.episodes)
    licenses, queried = set(demonstrations.licenses), 0
    rng = np.random.default_rng(seed)

    def noisy(obs: np.ndarray, label: np.ndarray) -> np.ndarray:
        actions = act(training, obs)
        return actions + noise * rng.standard_normal(actions.shape)

    fit(training, episodes, settings, say)
    for number in range(1, rounds):
        found = demonstrate(
            expert, demonstrations.env_id, episodes=len(demonstrations.episodes), reference=reference,
            env_kwargs=demonstrations.env_kwargs, seed=seed + 1000 * number, keep_failed=True,
            choose=noisy, threads=config.env.threads,
        )  # fmt: skip
        lengths = [len(episode.actions) for episode in found.episodes]
        licenses.update(found.licenses)
        queried += found.steps
        say(
            f"round {number + 1}/{rounds}: the policy's own episodes last {np.mean(lengths):.0f} steps; the expert was "
            f"queried {found.steps:,} times, {queried:,} so far"
        )
        episodes += found.episodes
        fit(training, episodes, settings, say)
    origin = {"method": "dagger", "rounds": rounds, "pairs": sum(len(e.actions) for e in episodes), "noise": noise}
    known = demonstrations.provenance(queried) | {"licenses": sorted(licenses)}
    return _finish(training, settings, say, {**origin, **known})


def _prepare(config: TrainConfig, demonstrations: Demonstrations) -> Training:
    """As `prepare`; ConfigError for a pull to networks that are random."""
    if config.ppo.l2_initial and config.run.init is None:
        raise ConfigError("ppo.l2_initial: a clone has no networks to stay near; give it to the training from there on")
    return prepare(config, demonstrations)


def fit(training: Training, episodes: Sequence[Episode], settings: Cloning, say: Say) -> None:
    """Fit the policy to the episodes' pairs; the deviation of its actions is that of the configuration afterwards."""
    model = training.model
    some = len(episodes) >= HELD_OUT
    held_out = [episode for i, episode in enumerate(episodes) if some and i % HELD_OUT == 0]
    fitted = [episode for i, episode in enumerate(episodes) if not some or i % HELD_OUT]
    obs, actions = _pairs(training, fitted)
    rng = np.random.default_rng(training.config.run.seed)
    size = min(settings.batch_size, len(obs))
    learner = bc.BC(
        observation_space=model.observation_space,
        action_space=model.action_space,
        rng=rng,
        policy=model.policy,
        demonstrations=Batches(obs, actions, size, rng),  # type: ignore[arg-type] # a mapping each, as it says
        batch_size=size,
        optimizer_kwargs={"lr": settings.learning_rate},
        ent_weight=settings.entropy,
        device=model.device,
        custom_logger=silent(),
    )
    batches = settings.epochs * (len(obs) // size)
    annealed = CosineAnnealingLR(learner.optimizer, batches)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Converting a tensor with requires_grad")  # for its log
        learner.train(n_epochs=settings.epochs, on_batch_end=annealed.step, progress_bar=False)
    set_std(model.policy, math.exp(training.config.networks.log_std_init))
    told = [f"on {len(obs):,} pairs {error(training, fitted):.3f}"]
    told += [f"held out {error(training, held_out):.3f}"] if held_out else []
    say(f"fitted: root mean square error of the actions {', '.join(told)} (of a range of -1 to 1)")


class Batches:
    """Batches of pairs in a new order each time, for `imitation`, whose own loader takes rows one by one."""

    def __init__(self, obs: np.ndarray, actions: np.ndarray, size: int, rng: np.random.Generator) -> None:
        self.obs, self.actions, self.size, self.rng = obs, actions, size, rng

    def __len__(self) -> int:
        return len(self.obs) // self.size

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        order = self.rng.permutation(len(self.obs))
        for at in range(0, len(self) * self.size, self.size):
            rows = order[at : at + self.size]
            yield {"obs": torch.from_numpy(self.obs[rows]), "acts": torch.from_numpy(self.actions[rows])}


def act(training: Training, obs: np.ndarray) -> np.ndarray:
    """The policy's mean actions (n, nu) for raw observations (n, d)."""
    actions, _ = training.model.policy.predict(normalized(training, obs), deterministic=True)
    return actions


def error(training: Training, episodes: Sequence[Episode]) -> float:
    """Root mean square difference of the policy's actions from those of the episodes."""
    obs, actions = pairs_of(episodes)
    return float(np.sqrt(np.square(act(training, obs) - actions).mean()))


def silent() -> HierarchicalLogger:
    """A logger for `imitation` that writes nothing anywhere."""
    return HierarchicalLogger(Logger(None, []), [])


def _pairs(training: Training, episodes: Sequence[Episode]) -> tuple[np.ndarray, np.ndarray]:
    if not episodes:
        raise DemonstrationError("the demonstrations hold no episode to fit to")
    obs, actions = pairs_of(episodes)
    return normalized(training, obs), actions


def _finish(training: Training, settings: Cloning, say: Say, origin: Mapping[str, Any]) -> Run:
    warm_up_critic(training, settings.critic_iterations, say)
    return leave_run(training, {**origin, "settings": vars(settings)})
