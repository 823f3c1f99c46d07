"""The callbacks of a run: metrics, checkpoints, warnings and its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

from gait_trainers.config.layers import dump_yaml
from gait_trainers.config.schema import TrainConfig
from gait_trainers.learners.base import Learner
from gait_trainers.models.actor_critic import keep_std_above
from gait_trainers.rl.sb3_vec import SB3VecEnv
from gait_trainers.runs.checkpoint import capture, save_checkpoint
from gait_trainers.runs.monitoring import HealthMonitor, RolloutMetrics
from gait_trainers.runs.normalizer import freeze_observations
from gait_trainers.runs.run_folder import Run, RunError
from gait_trainers.runs.usage import Usage

Say = Callable[..., None]


def diverged(run: Run, iteration: int) -> str:
    """What to say of a training whose policy has become undefined."""
    return (
        f"{run.path}: diverged in iteration {iteration}: the policy's weights or actions are no longer numbers. "
        "Lower ppo.learning_rate or set ppo.target_kl; earlier checkpoints are intact"
    )


class RunCallback(BaseCallback):
    """Closes each iteration once PPO's update is done, which is when SB3 starts the next rollout.

    `until` is called after each iteration with its number; if it returns a sentence, training ends. `interrupted` is
    asked after each iteration, too; if it is true, the iteration is saved and KeyboardInterrupt raised.
    """

    model: PPO

    def __init__(
        self,
        run: Run,
        config: TrainConfig,
        base: SB3VecEnv,
        learners: Mapping[str, Learner],
        say: Say = print,
        until: Callable[[int], str | None] = lambda _: None,
    ):
        super().__init__()
        self.run, self.config, self.base, self.learners = run, config, base, learners
        self.say, self.until = say, until
        self.metrics = RolloutMetrics(base.num_envs, dt=1.0 / base.env.metadata["render_fps"])
        self.health = HealthMonitor([check for spec in config.specs for check in spec.checks])
        self.iteration = 0  # iterations that are done
        self.elapsed = 0.0  # s of training, earlier parts of a resumed run included
        self.stopped: str | None = None  # why training ended before its last iteration
        self.goal_met = False  # whether that is because run.stop_when was reached
        self.interrupted: Callable[[], bool] = lambda: False
        self._collecting = False
        self.saved_at = -1  # steps at the last checkpoint

    def _on_training_start(self) -> None:
        self._mark = time.perf_counter()
        self._resets = self.base.resets
        self._use = Usage()
        if self.iteration == 0:
            self.save()

    def _on_rollout_start(self) -> None:
        if self.base.resets != self._resets:  # a learner has begun all episodes again
            self._resets = self.base.resets
            self.metrics.begin_episodes()
        if self._collecting:
            self._end_iteration()
        self._collecting = True
        if self.config.ppo.freeze_obs_after is not None and self.iteration >= self.config.ppo.freeze_obs_after:
            freeze_observations(self.model.get_vec_normalize_env())
        self._env_seconds = self.base.seconds
        self._rollout_start = time.perf_counter()

    def _on_step(self) -> bool:
        if self.stopped is not None:
            return False
        done = self.locals["dones"]
        info = self.base.last_transition
        timed_out = info.get("success", np.zeros_like(done))
        norm = self.model.get_vec_normalize_env()
        reward = self.locals["rewards"] if norm is None else norm.get_original_reward()
        self.metrics.add_step(reward, done, timed_out, info)
        for group, learner in self.learners.items():
            for name, values in learner.step_metrics().items():
                self.metrics.add_mean(f"{group}/{name}", values)
        self._rollout_end = time.perf_counter()  # before the others train, at the end of the rollout
        return True

    def _on_training_end(self) -> None:
        if self.stopped is None:
            self._end_iteration()
        for learner in self.learners.values():  # what it has found out since the last checkpoint
            learner.save_files(self.run.checkpoint_file(self.saved_at))

    def save(self) -> None:
        """Write a checkpoint; to be called between two iterations only."""
        if self.saved_at == self.model.num_timesteps:
            return
        self.saved_at = self.model.num_timesteps
        for learner in self.learners.values():  # first, so that no checkpoint is without its files
            learner.save_files(self.run.checkpoint_file(self.saved_at))
        state = capture(self.model, self.learners, self.metrics, self.health)
        state["elapsed"], state["config"] = self.elapsed, dump_yaml(self.config)
        state["goal_reached"] = getattr(self.until, "reached", 0)
        save_checkpoint(self.run, state, self.saved_at, self.config.run.keep_checkpoints)

    def _end_iteration(self) -> None:
        if not all(bool(parameter.isfinite().all()) for parameter in self.model.policy.parameters()):
            raise RunError(diverged(self.run, self.iteration + 1))  # before it is saved
        self._keep_std_above_floor()
        self.iteration += 1
        self._record_speed()
        self.stopped = self.until(self.iteration)
        self.goal_met = self.stopped is not None
        now = time.perf_counter()
        self.elapsed += now - self._mark  # the evaluation of `until` included
        self._mark = now
        self.stopped = self.stopped or self.out_of_time()
        last = self.iteration >= self.config.run.iterations or self.stopped is not None
        warnings = self.health.check(self._record())
        ends = self.interrupted()
        if ends:
            self.save()  # first, as Ctrl-C may have ended what is written to
        if last or self.iteration % self.config.run.log_interval == 0:
            self.logger.dump(self.model.num_timesteps)
        for warning in warnings:
            self.say(f"warning: {warning}", style="yellow")
        if last or self.iteration % self.config.run.checkpoint_every == 0:
            self.save()
        if ends:
            raise KeyboardInterrupt

    @property
    def complete(self) -> bool:
        """Whether nothing is left to train, and all of it is in the last checkpoint."""
        ended = self.iteration >= self.config.run.iterations or self.stopped is not None
        return ended and self.saved_iteration == self.iteration

    @property
    def saved_iteration(self) -> int:
        """The iteration that the last checkpoint was written after."""
        return max(self.saved_at, 0) // self.config.rollout_steps

    def out_of_time(self) -> str | None:
        """A sentence once the training, earlier parts included, has taken as long as it may."""
        limit = self.config.run.minutes
        return None if limit is None or self.elapsed < 60 * limit else f"{limit:g} minutes of training are up"

    def _record_speed(self) -> None:
        now = time.perf_counter()
        physics = self.base.seconds - self._env_seconds
        times = {
            "steps_per_second": self.config.rollout_steps / (now - self._mark),
            "physics_seconds": physics,
            "policy_seconds": self._rollout_end - self._rollout_start - physics,
            "update_seconds": now - self._rollout_end,
        }
        for name, value in (times | self._use.measure()).items():
            self.logger.record(f"time/{name}", value)

    def _record(self) -> dict[str, float]:
        """Collect the iteration's metrics; returns them by name."""
        self.logger.record("time/iteration", self.iteration)
        self.logger.record("time/steps", self.model.num_timesteps)
        self.logger.record("time/elapsed", self.elapsed)
        if self.config.env.kwargs.get("curriculum"):
            level = self.base.env.unwrapped.core.memory.level  # type: ignore[attr-defined]
            self.logger.record("walk/curriculum_level", float(level.mean()))
        for name, value in self.metrics.summary().items():
            group = "" if "/" in name else "rewards/" if name.startswith("reward_") else "walk/"
            self.logger.record(f"{group}{name}", value)
        return {
            key.rsplit("/", 1)[-1]: float(value)
            for key, value in self.logger.name_to_value.items()
            if isinstance(value, int | float | np.number)
        }

    def _keep_std_above_floor(self) -> None:
        floor = self.config.networks.log_std_min
        if floor is not None:
            keep_std_above(self.model.policy, floor)  # type: ignore[arg-type]
