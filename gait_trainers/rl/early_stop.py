"""Ending a training when the robot walks: a small deterministic evaluation every few iterations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm

from gait_trainers.config.schema import TrainConfig
from gait_trainers.evaluation.gait_metrics import WARMUP
from gait_trainers.evaluation.rollout import check_limit
from gait_trainers.learners.base import Learner
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, follows_clips
from gait_trainers.policies.torch_policy import live_policy
from gait_trainers.rl.sb3_vec import SB3VecEnv

SEED = 1_000_003  # seed of the evaluation's episodes: the same each time, and different from those of training


class WalkCheck(NamedTuple):
    success_rate: float  # share of episodes that followed their command to the time limit: `is_success`
    speed_error: float  # m/s, mean over episodes of |mean planar velocity - command|, start-up left out
    cadence: float  # steps/min, start-up left out


def check_walk(policy: Policy, env: SB3VecEnv, command: float, give_up: float = 0.0) -> WalkCheck:
    """One deterministic episode in each environment of `env`, without affecting the training.

    Ends at once when the success rate can no longer reach `give_up`.
    """
    n, core = env.num_envs, env.env.unwrapped.core  # type: ignore[attr-defined]
    warmup = round(WARMUP / core.robot.dt)
    env.seed(SEED)
    env.set_options({"command": [command, 0.0, 0.0]})
    obs: Any = env.reset()
    state, starts = policy.initial_state(n), np.ones(n, dtype=bool)
    alive, success = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    velocity, frames, landings, step = np.zeros((n, 2)), np.zeros(n), 0, 0
    while alive.any() and (alive | success).mean() >= give_up:
        action, state = policy.act(obs, state, starts)
        obs, _, done, _ = env.step(action)
        starts = done
        step += 1
        info = env.last_transition
        counted = alive & (step > warmup)
        velocity += counted[:, None] * np.stack([info["x_velocity"], info["y_velocity"]], axis=-1)
        frames += counted
        success |= alive & info["is_success"]
        alive &= ~done
        landings += int((core.memory.swing_time[counted & ~done] > 0).sum())  # feet that have just landed
    error = np.linalg.norm(velocity / np.maximum(frames, 1)[:, None] - [command, 0.0], axis=-1)
    cadence = 60.0 * landings / max(float(frames.sum()) * core.robot.dt, core.robot.dt)
    return WalkCheck(float(success.mean()), float(error.mean()), cadence)


class WalkGoal:
    """The criterion `run.stop_when`, called by `RunCallback` after each iteration: a sentence once the goal is met."""

    def __init__(
        self,
        config: TrainConfig,
        model: BaseAlgorithm,
        make_env: Callable[..., SB3VecEnv],
        learners: Iterable[Learner] = (),
    ):
        self.config, self.goal, self.model, self.learners = config, config.run.stop_when, model, list(learners)
        self.env: SB3VecEnv | None = None
        self.reached = 0  # evaluations in a row that reached the goal
        if self.goal is not None:
            # As a trained policy is evaluated: from the usual start, without what only training needs.
            plain = config.model_copy(deep=True)
            plain.env.kwargs = deployment_kwargs(config.env.kwargs)
            if follows_clips(config.env.id) and "reference" in config.env.kwargs:
                plain.env.kwargs["reference"] = config.env.kwargs["reference"]  # the clips that it is trained on
            self.env = make_env(plain, self.goal.episodes)
            check_limit(self.env.env.unwrapped.core.max_episode_steps)  # type: ignore[attr-defined]

    @property
    def met(self) -> bool:
        """Whether it was reached as often in a row as it must be."""
        return self.goal is not None and self.reached >= self.goal.times

    def __call__(self, iteration: int) -> str | None:
        goal = self.goal
        if goal is None or self.env is None or iteration % goal.every:
            return None
        for learner in self.learners:
            learner.prepare_evaluation(self.env)
        found = check_walk(live_policy(self.model, self.config), self.env, goal.command, give_up=goal.success_rate)
        self.model.logger.record("walk/check_success_rate", found.success_rate)
        self.model.logger.record("walk/check_speed_error", found.speed_error)
        self.model.logger.record("walk/check_cadence", found.cadence)
        good = found.success_rate >= goal.success_rate and found.speed_error <= goal.speed_error
        self.reached = self.reached + 1 if good and found.cadence <= goal.cadence else 0
        if not self.met:
            return None
        return (
            f"it walks straight: success {found.success_rate:.0%}, speed error {found.speed_error:.2f} m/s, "
            f"{found.cadence:.0f} steps/min at {goal.command:g} m/s, deterministic, {goal.times} times in a row"
        )

    def close(self) -> None:
        """Close the evaluation's environments, if any were made."""
        if self.env is not None:
            self.env.close()
