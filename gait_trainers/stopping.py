"""Ending a training when the robot walks: a small deterministic evaluation every few iterations."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from stable_baselines3 import PPO

from gait_trainers.config import TrainConfig
from gait_trainers.sb3_vec import SB3VecEnv

SEED = 1_000_003  # of the evaluation's starts: the same ones each time, and none that training begins with


class WalkCheck(NamedTuple):
    success_rate: float  # share of episodes that reached the time limit
    speed_error: float  # m/s, mean over episodes of |mean forward speed - command|


def check_walk(model: PPO, env: SB3VecEnv, command: float, give_up: float = 0.0) -> WalkCheck:
    """One deterministic episode in each environment of `env`, with nothing of the training touched.

    Ends at once when the success rate can no longer reach `give_up`.
    """
    n = env.num_envs
    norm = model.get_vec_normalize_env()
    env.seed(SEED)
    env.set_options({"command": [command, 0.0, 0.0]})
    obs = env.reset()
    alive, success = np.ones(n, dtype=bool), np.zeros(n, dtype=bool)
    distance, steps = np.zeros(n), np.zeros(n)
    while alive.any() and (alive | success).mean() >= give_up:
        normalized = obs if norm is None else norm.normalize_obs(obs)
        action, _ = model.policy.predict(normalized, deterministic=True)  # type: ignore[arg-type]
        obs, _, done, _ = env.step(action)
        info = env.last_transition
        distance += np.where(alive, info["x_velocity"], 0.0)
        steps += alive
        success |= alive & info["success"]
        alive &= ~done
    return WalkCheck(float(success.mean()), float(np.abs(distance / steps - command).mean()))


def walks_already(
    config: TrainConfig, model: PPO, make_env: Callable[..., SB3VecEnv]
) -> Callable[[int], str | None]:
    """The question `RunCallback` asks after each iteration, from `run.stop_when`."""
    goal = config.run.stop_when
    if goal is None:
        return lambda iteration: None
    env: SB3VecEnv | None = None

    def ask(iteration: int) -> str | None:
        nonlocal env
        if iteration % goal.every:
            return None
        env = env or make_env(config, num_envs=goal.episodes)
        found = check_walk(model, env, goal.command, give_up=goal.success_rate)
        model.logger.record("walk/check_success_rate", found.success_rate)
        model.logger.record("walk/check_speed_error", found.speed_error)
        if found.success_rate < goal.success_rate or found.speed_error > goal.speed_error:
            return None
        return (
            f"it walks: success {found.success_rate:.0%}, speed error {found.speed_error:.2f} m/s "
            f"at {goal.command:g} m/s"
        )

    return ask
