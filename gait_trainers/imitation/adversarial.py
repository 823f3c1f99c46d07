"""GAIL (Ho and Ermon 2016) and AIRL (Fu et al. 2018) by `imitation`, on PPO as configured: baselines beside AMP."""

from __future__ import annotations

import functools
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
from imitation.algorithms.adversarial import common
from imitation.algorithms.adversarial.airl import AIRL
from imitation.algorithms.adversarial.common import AdversarialTrainer
from imitation.algorithms.adversarial.gail import GAIL
from imitation.rewards.reward_nets import BasicRewardNet, BasicShapedRewardNet, RewardNet
from imitation.util.logger import configure
from stable_baselines3.common.vec_env import VecEnv

from gait_envs.wording import counted
from gait_trainers.config.schema import TrainConfig
from gait_trainers.imitation.demonstrations import DemonstrationError, Demonstrations, Episode
from gait_trainers.imitation.horizon import FixedHorizon
from gait_trainers.imitation.student import Say, leave_run, normalized, prepare
from gait_trainers.rl.build import Training
from gait_trainers.runs.interruption import ending_gently
from gait_trainers.runs.run_folder import Run

EVERY = 5.0  # s between two lines of progress


@dataclass(frozen=True)
class Adversarial:
    """Settings of both methods."""

    horizon: Literal["fixed", "variable"] = "fixed"  # fixed: falls do not end an episode, see `FixedHorizon`
    hidden: Sequence[int] = (256, 128)  # layers of the reward network
    learning_rate: float = 3e-4  # of its Adam
    batch_size: int = 1024  # transitions of the expert in an update, and as many of the policy
    updates: int = 4  # of the reward network after each rollout


def train_adversarial(
    method: Literal["gail", "airl"],
    config: TrainConfig,
    demonstrations: Demonstrations,
    settings: Adversarial,
    say: Say = print,
) -> Run:
    """Train a policy whose only reward is to be mistaken for the expert; returns the run.

    After a first Ctrl-C the running iteration is the last; the run of what was trained so far is left all the same, and
    KeyboardInterrupt raised.
    """
    training = prepare(config, demonstrations)
    model, base = training.model, training.base
    norm = model.get_vec_normalize_env()
    if norm is not None:
        # Expert and policy are compared in the same numbers, and the reward is not the environment's.
        norm.training, norm.norm_reward = False, False
    _schedule_over(model, config.total_steps)
    limit = base.env.unwrapped.core.max_episode_steps  # type: ignore[attr-defined]
    env: Any = model.env
    if settings.horizon == "fixed":
        if limit is None:
            raise DemonstrationError(f"{config.env.id} has no time limit, which would be the horizon")
        env = FixedHorizon(env, limit)
    origin = {
        "method": method,
        **demonstrations.provenance(),
        "settings": vars(settings) | {"hidden": list(settings.hidden)},
    }
    with ending_gently() as ending:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Converting a tensor with requires_grad")  # for its log
            trainer = _trainer(method, training, env, demonstrations, settings, folder)
            progress = Progress(trainer, config.run.iterations, say, ending)
            with _without_bar(), suppress(Ended):
                trainer.train(config.run.iterations * trainer.gen_train_timesteps, progress)
        run = leave_run(training, origin | {"iterations": progress.done})
        if progress.done < config.run.iterations:
            say(f"interrupted after {progress.done} of {counted(config.run.iterations, 'iteration')}: {run.path}")
    return run


@contextmanager
def _without_bar() -> Iterator[None]:
    """Hide the bar of the trainer's `train`, which would be drawn between the lines of progress; it has no option."""
    tqdm = common.tqdm
    common.tqdm = SimpleNamespace(tqdm=functools.partial(tqdm.tqdm, disable=True))
    try:
        yield
    finally:
        common.tqdm = tqdm


def _schedule_over(model: Any, steps: int) -> None:
    """Schedules run over the whole training: `imitation` calls `learn` once a round, at whose end SB3's are over."""

    def update(done: int, _: int) -> None:
        model._current_progress_remaining = 1.0 - done / steps

    model._update_current_progress_remaining = update


class Ended(Exception):
    """Ends the trainer's `train` early."""


class Progress:
    """A line every few seconds; called after each round with its number. Ends the training where `ending` says so."""

    def __init__(self, trainer: AdversarialTrainer, rounds: int, say: Say, ending: Callable[[], bool]) -> None:
        self.trainer, self.rounds, self.say, self.last = trainer, rounds, say, time.monotonic()
        self.ending, self.done = ending, 0

    def __call__(self, number: int) -> None:
        self.done = number + 1
        self._tell(number)
        if self.ending():
            raise Ended

    def _tell(self, number: int) -> None:
        now = time.monotonic()
        if now - self.last < EVERY and number + 1 < self.rounds:
            return
        self.last = now
        algorithm: Any = self.trainer.gen_algo
        recent = list(algorithm.ep_info_buffer) or [{"l": np.nan, "r": np.nan}]
        length, reward = (float(np.mean([episode[key] for episode in recent])) for key in ("l", "r"))
        accuracy = self.trainer.logger.default_logger.name_to_value.get("mean/disc/disc_acc", np.nan)
        self.say(
            f"{number + 1}/{self.rounds}: {length:.0f} steps until a fall or the time limit, task reward {reward:.0f}, "
            f"discriminator {accuracy:.2f}"
        )


def reward_net(method: str, env: VecEnv, hidden: Sequence[int]) -> RewardNet:
    """Of observation and action; AIRL's is shaped by a potential, which its policy does not depend on."""
    spaces, sizes = (env.observation_space, env.action_space), tuple(hidden)
    if method == "gail":
        return BasicRewardNet(*spaces, hid_sizes=sizes)
    return BasicShapedRewardNet(*spaces, reward_hid_sizes=sizes, potential_hid_sizes=sizes)


def transitions(training: Training, episodes: Sequence[Episode]) -> dict[str, np.ndarray]:
    """All steps of the episodes, end to end: obs, acts, next_obs (normalised) and dones."""
    return {
        "obs": normalized(training, np.concatenate([e.obs[:-1] for e in episodes])),
        "next_obs": normalized(training, np.concatenate([e.obs[1:] for e in episodes])),
        "acts": np.concatenate([e.actions for e in episodes]),
        "dones": np.concatenate([np.arange(len(e.actions)) == len(e.actions) - 1 for e in episodes]),
    }


class Expert:
    """Batches of `size` of the expert's transitions, drawn with replacement."""

    def __init__(self, table: Mapping[str, np.ndarray], size: int, rng: np.random.Generator) -> None:
        self.table, self.size, self.rng = table, size, rng

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        count = len(self.table["acts"])
        for _ in range(max(1, count // self.size)):
            rows = self.rng.integers(count, size=self.size)
            yield {name: values[rows] for name, values in self.table.items()}


def _trainer(
    method: str,
    training: Training,
    env: VecEnv,
    demonstrations: Demonstrations,
    settings: Adversarial,
    folder: str,
) -> AdversarialTrainer:
    """The trainer of `imitation`; folder: where it must be given a place to write, though nothing there is read."""
    kind: type[AdversarialTrainer] = GAIL if method == "gail" else AIRL
    model, rng = training.model, np.random.default_rng(training.config.run.seed)
    table = transitions(training, demonstrations.episodes)
    return kind(
        demonstrations=Expert(table, settings.batch_size, rng),  # type: ignore[arg-type] # a mapping each, as it says
        demo_batch_size=settings.batch_size,
        venv=env,
        gen_algo=model,
        reward_net=reward_net(method, env, settings.hidden),
        n_disc_updates_per_round=settings.updates,
        disc_opt_kwargs={"lr": settings.learning_rate},
        log_dir=folder,
        custom_logger=configure(folder, []),
        allow_variable_horizon=settings.horizon == "variable",
    )
