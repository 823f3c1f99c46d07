"""Applies a schedule of rewards and exploration to a training: see `gait_trainers.config.schedule` for what it says."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from gait_trainers.config.schedule import Schedule, at
from gait_trainers.models.actor_critic import set_std
from gait_trainers.rl.sb3_vec import SB3VecEnv

if TYPE_CHECKING:
    from gait_trainers.learners.base import Learner


class ScheduleCallback(BaseCallback):
    """Before each rollout: sets what the schedule says of its iteration.

    Stands after `RunCallback`, which closes the iteration before: what is recorded here belongs to the next.
    """

    model: PPO

    def __init__(self, schedule: Schedule, rollout_steps: int, base: SB3VecEnv, learners: Iterable[Learner] = ()):
        super().__init__()
        self.schedule, self.rollout_steps, self.base = schedule, rollout_steps, base
        self.learners = list(learners)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        settings = at(self.schedule, self.model.num_timesteps // self.rollout_steps)
        if settings.reward_weights or settings.max_distance is not None:
            self.base.env.unwrapped.set_settings(settings.reward_weights, settings.max_distance)  # type: ignore[attr-defined]
        if settings.ent_coef is not None:
            self.model.ent_coef = settings.ent_coef
        if settings.std is not None:
            set_std(self.model.policy, settings.std)
        for learner in self.learners:
            learner.apply_schedule(settings)
        for name, value in settings.metrics().items():
            self.logger.record(f"schedule/{name}", value)
