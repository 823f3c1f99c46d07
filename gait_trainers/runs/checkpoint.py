"""The whole state of a training between two iterations, and how to put it back, bit for bit."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize

from gait_trainers.learners.amp.callback import AMPCallback
from gait_trainers.runs.monitoring import HealthMonitor, RolloutMetrics
from gait_trainers.learners.muscle.callback import MuscleCallback
from gait_trainers.rl.sb3_vec import SB3VecEnv


def capture(
    model: PPO,
    amp: AMPCallback | None,
    muscle: MuscleCallback | None,
    metrics: RolloutMetrics,
    health: HealthMonitor,
) -> dict[str, Any]:
    """Everything the rest of the training depends on: tensors, arrays, containers and plain scalars."""
    return {
        "spaces": {
            "obs_size": int(model.observation_space.shape[0]),  # type: ignore[index]
            "action_size": int(model.action_space.shape[0]),  # type: ignore[index]
        },
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "vec_normalize": vec_normalize_state(model.get_vec_normalize_env()),
        "env": _base(model).get_state(),
        "amp": None if amp is None else {"callback": amp.get_state(), "wrapper": amp.wrapper.get_state()},
        "muscle": None if muscle is None else muscle.get_state(),
        "metrics": metrics.get_state(),
        "health": health.get_state(),
        "sb3": {
            "num_timesteps": model.num_timesteps,
            "n_updates": model._n_updates,
            "progress_remaining": model._current_progress_remaining,
            "last_obs": model._last_obs,
            "last_episode_starts": model._last_episode_starts,
            "ep_info_buffer": list(model.ep_info_buffer or []),
            "ep_success_buffer": list(model.ep_success_buffer or []),
        },
        "random": {
            "python": random.getstate(),
            "numpy": np.random.get_state(legacy=False),  # noqa: NPY002 - the one SB3 draws from
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        },
    }


def restore(
    state: Mapping[str, Any],
    model: PPO,
    amp: AMPCallback | None,
    muscle: MuscleCallback | None,
    metrics: RolloutMetrics,
    health: HealthMonitor,
) -> None:
    """Put `capture`'s state into a freshly built training. The random generators come last."""
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(state["optimizer"])
    set_vec_normalize_state(model.get_vec_normalize_env(), state["vec_normalize"])
    _base(model).set_state(state["env"])
    if amp is not None:
        amp.set_state(state["amp"]["callback"])
        amp.wrapper.set_state(state["amp"]["wrapper"])
    if muscle is not None:
        muscle.set_state(state["muscle"])
    metrics.set_state(state["metrics"])
    health.set_state(state["health"])

    sb3 = state["sb3"]
    model.num_timesteps = sb3["num_timesteps"]
    model._n_updates = sb3["n_updates"]
    model._current_progress_remaining = sb3["progress_remaining"]
    model._last_obs = sb3["last_obs"]
    model._last_episode_starts = sb3["last_episode_starts"]
    model.ep_info_buffer = deque(sb3["ep_info_buffer"], maxlen=model._stats_window_size)
    model.ep_success_buffer = deque(sb3["ep_success_buffer"], maxlen=model._stats_window_size)

    generators = state["random"]
    random.setstate(generators["python"])
    np.random.set_state(generators["numpy"])  # noqa: NPY002
    torch.set_rng_state(generators["torch"])
    if generators["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(generators["cuda"])


def _base(model: PPO) -> SB3VecEnv:
    env = model.get_env()
    if env is None or not isinstance(env.unwrapped, SB3VecEnv):
        raise TypeError("the model's environment is not built on a SB3VecEnv")
    return env.unwrapped


def vec_normalize_state(norm: VecNormalize | None) -> dict[str, Any] | None:
    """Statistics of observations and returns; None where nothing is normalised."""
    if norm is None:
        return None
    obs = _obs_statistics(norm)
    return {
        "mean": obs.mean,
        "var": obs.var,
        "count": float(obs.count),
        "clip_obs": norm.clip_obs,
        "epsilon": norm.epsilon,
        "returns": norm.returns,
        "return_mean": float(norm.ret_rms.mean),
        "return_var": float(norm.ret_rms.var),
        "return_count": float(norm.ret_rms.count),
    }


def set_vec_normalize_state(norm: VecNormalize | None, state: Mapping[str, Any] | None) -> None:
    """Go on with the statistics of `vec_normalize_state`."""
    if norm is None or state is None:
        return
    obs = _obs_statistics(norm)
    obs.mean, obs.var, obs.count = state["mean"].copy(), state["var"].copy(), state["count"]
    norm.returns = state["returns"].copy()
    norm.ret_rms.mean, norm.ret_rms.var = np.array(state["return_mean"]), np.array(state["return_var"])
    norm.ret_rms.count = state["return_count"]


def _obs_statistics(norm: VecNormalize) -> RunningMeanStd:
    statistics = getattr(norm, "obs_rms", None)  # SB3 makes none where observations stay as they are
    if statistics is None:
        statistics = norm.obs_rms = RunningMeanStd(shape=norm.observation_space.shape)  # type: ignore[arg-type, assignment]
    return statistics  # type: ignore[return-value]
