"""The contract of a learner: what learns beside PPO, such as a discriminator (docs/contracts/learner.md).

It has two halves. A `LearnerSpec` describes the learner before anything is built; it imports no torch, so that
configurations are checked quickly. A `Learner` is made from it for one training. Trainer, checkpoints, warm start,
display and export know these two and no learner in particular.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from stable_baselines3.common.callbacks import BaseCallback
    from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
    from stable_baselines3.common.vec_env import VecEnv

    from gait_trainers.config.schedule import Settings
    from gait_trainers.config.schema import TrainConfig
    from gait_trainers.config.section import Section
    from gait_trainers.models.discriminator import Discriminator
    from gait_trainers.rl.sb3_vec import SB3VecEnv


class Column(NamedTuple):
    """A metric on the progress line."""

    key: str  # as the metric is logged, without its group
    text: str  # with a format for the value: "style {:.2f}"


class Check(NamedTuple):
    """A condition that is harmless for a while and a problem when it persists."""

    name: str
    holds: Callable[[Mapping[str, float]], bool]  # of an iteration's metrics by name, some of which may be missing
    advice: str


class WarmStart(NamedTuple):
    """The initial weights of a training (`run.init`), as far as a learner is concerned."""

    checkpoint: Path | None  # of a run, with the learner's files beside it; None: a bundle
    state: Mapping[str, Any] | None  # the learner's in that checkpoint; None: it was not there
    env_options: Mapping[str, Any]  # of the environment of the policy; files of a bundle are named here


class Artefacts(NamedTuple):
    """What a learner provides for running or exporting the policy, read from a checkpoint without a training."""

    env_options: Mapping[str, Any] = {}  # of the environment wherever the policy acts
    files: Mapping[str, Path] = {}  # of a bundle: name -> file to copy
    scorer: Discriminator | None = None  # windows of style features (m, frames * d) -> scores (m,)
    frames: int = 1  # in such a window
    dilation: int = 1  # control steps between them


@dataclass(frozen=True)
class LearnerSpec:
    """A learner before it is built. Objects may be given as "module:name", which is imported when needed."""

    name: str  # of its section of the configuration, of its state in checkpoints, of the group of its metrics
    section: type[Section]
    make: str | Callable[[TrainConfig, SB3VecEnv], Learner]  # ConfigError or ValueError where it cannot be
    columns: Sequence[Column] = ()
    checks: Sequence[Check] = ()
    smoke: Mapping[str, Any] = field(default_factory=dict)  # settings of the section that make `--verify` quick
    # ValueError unless the whole configuration suits; the environment's options are None for an id from elsewhere.
    check: Callable[[TrainConfig, Any], None] = lambda config, options: None
    # Whether the section alone asks for the learner; it is None where the configuration has none.
    enabled: Callable[[Any], bool] = lambda section: False
    # What a schedule's `style_weight` starts from, by the section; None: nothing to schedule.
    style_weight: Callable[[Any], float | None] = lambda section: None
    freezes_policy: Callable[[Any], bool] = lambda section: False
    # (section, state, checkpoint) -> Artefacts; None: it leaves nothing.
    artefacts: str | Callable[[Any, Mapping[str, Any], Path], Artefacts] | None = None

    def build(self, config: TrainConfig, base: SB3VecEnv) -> Learner:
        """The learner of a training in `base`."""
        learner: Learner = _found(self.make)(config, base)
        return learner

    def left_by(self, section: Any, state: Mapping[str, Any], checkpoint: Path) -> Artefacts:
        """What the learner left in a checkpoint."""
        return Artefacts() if self.artefacts is None else _found(self.artefacts)(section, state, checkpoint)


class Learner:
    """A learner in a training. What is not overridden does nothing.

    All its random choices must come from generators of its own that are part of its state: those of PPO are left
    alone, and a resumed training equals an uninterrupted one bit for bit.
    """

    callback: BaseCallback | None = None  # before the trainer's own; learns once a rollout has ended
    licenses: Collection[str] = ()  # of the clips that it learns from

    def wrap(self, env: VecEnv) -> VecEnv:
        """The environment that PPO sees, before observations and rewards are normalised; called once, first."""
        return env

    def get_state(self) -> dict[str, Any]:
        """Everything that the rest of its training depends on: tensors, arrays, containers and plain scalars."""
        return {}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Continue from `get_state`; the environments' state has been restored already."""

    def save_files(self, checkpoint: Path) -> None:
        """Write files that are read without torch beside a checkpoint that is about to appear: `<stem>.<anything>`."""

    def warm_start(self, source: WarmStart) -> list[str]:
        """Load initial weights; returns the names of those loaded, for the provenance. ValueError if unsuitable."""
        return []

    def step_metrics(self) -> Mapping[str, np.ndarray]:
        """Values (any number) of the latest step, by name; logged as their mean over the rollout."""
        return {}

    def apply_schedule(self, settings: Settings) -> None:
        """Apply the schedule's settings for the rollout that begins."""

    def prepare_evaluation(self, env: SB3VecEnv) -> None:
        """Make the bodies in an evaluation's environments move as they do where the policy is used."""

    def describe(self, model: OnPolicyAlgorithm) -> list[str]:
        """Lines to be printed before training begins or goes on, once the model has its weights."""
        return []

    def warnings(self) -> list[str]:
        """Warnings to be printed before training begins."""
        return []


def _found(what: Any) -> Any:
    """The thing that "module:name" names, or the thing itself."""
    return pkgutil.resolve_name(what) if isinstance(what, str) else what
