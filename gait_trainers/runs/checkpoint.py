"""Checkpoints: the whole state of a training between two iterations, and how to put it back, bit for bit.

`capture` says what the state is, `checkpoint_files` keeps it in files, `checkpoint_format` says how it lies in one,
with a checksum over all of it.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sb3_contrib.common.recurrent.type_aliases import RNNStates
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecEnvWrapper

from gait_trainers.config.schema import TrainConfig
from gait_trainers.learners.base import Artefacts, Learner
from gait_trainers.models.encoders import PretrainedMotionExtractor
from gait_trainers.rl.frame_stack import FrameStack
from gait_trainers.rl.sb3_vec import SB3VecEnv
from gait_trainers.runs.checkpoint_files import fitting, load_checkpoint, save_checkpoint
from gait_trainers.runs.monitoring import HealthMonitor, RolloutMetrics
from gait_trainers.runs.normalizer import ObsNormalizer, set_vec_normalize_state, vec_normalize_state
from gait_trainers.runs.run_folder import RunError, open_run
from gait_trainers.runs.stored_networks import stored_networks

__all__ = [
    "capture", "load_artefacts", "load_checkpoint", "memory_state", "read_networks", "restore", "save_checkpoint",
    "set_memory_state",
]  # fmt: skip


def capture(
    model: OnPolicyAlgorithm,
    learners: Mapping[str, Learner],
    metrics: RolloutMetrics,
    health: HealthMonitor,
) -> dict[str, Any]:
    """Everything the rest of the training depends on: tensors, arrays, containers and plain scalars."""
    anchor = getattr(model, "anchor", None)
    return {
        "spaces": {
            "obs_size": int(model.observation_space.shape[0]),  # type: ignore[index]
            "action_size": int(model.action_space.shape[0]),  # type: ignore[index]
            "mirrors": _mirrors(model.policy),
            "encoder": _encoder(model.policy),
        },
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "vec_normalize": vec_normalize_state(model.get_vec_normalize_env()),
        "env": _base(model).get_state(),
        "memory": memory_state(model),
        "anchor": anchor.get_state() if anchor is not None else None,
        "learners": {name: learner.get_state() for name, learner in learners.items()},
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
    model: OnPolicyAlgorithm,
    learners: Mapping[str, Learner],
    metrics: RolloutMetrics,
    health: HealthMonitor,
) -> None:
    """Put `capture`'s state into a freshly built training. The random generators come last."""
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(state["optimizer"])
    set_vec_normalize_state(model.get_vec_normalize_env(), state["vec_normalize"])
    _base(model).set_state(state["env"])
    set_memory_state(model, state.get("memory", {}))  # earlier versions had none
    if getattr(model, "anchor", None) is not None:
        model.anchor.set_state(state["anchor"])  # type: ignore[attr-defined]
    for name, learner in learners.items():
        if name not in state["learners"]:
            raise ValueError(f"it holds no state of learner {name!r}")
        learner.set_state(state["learners"][name])
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


def memory_state(model: Any) -> dict[str, Any]:
    """What the policy remembers of the running episodes: recurrent states, or a window of observations."""
    states = getattr(model, "_last_lstm_states", None)
    kept: dict[str, Any] = {} if states is None else {"pi": list(states.pi), "vf": list(states.vf)}
    window = _frame_stack(model)
    return kept if window is None else kept | {"window": window.window}


def set_memory_state(model: Any, state: Mapping[str, Any]) -> None:
    """Restore what `memory_state` returned."""
    if getattr(model, "_last_lstm_states", None) is not None:
        on_device = [tuple(x.to(model.device) for x in state[key]) for key in ("pi", "vf")]
        model._last_lstm_states = RNNStates(*on_device)
    window = _frame_stack(model)
    if window is not None:
        window.window = np.array(state["window"])


def _frame_stack(model: Any) -> FrameStack | None:
    """The wrapper that keeps a window of observations; None: there is none."""
    env = model.get_env()
    while isinstance(env, VecEnvWrapper) and not isinstance(env, FrameStack):
        env = env.venv
    return env if isinstance(env, FrameStack) else None


def _mirrors(policy: Any) -> dict[str, dict[str, np.ndarray]] | None:
    """What a symmetric policy has to know of its task's mirror; None of any other."""
    if getattr(policy, "observation_mirror", None) is None:
        return None
    return {"observation": vars(policy.observation_mirror), "action": vars(policy.action_mirror)}


def _encoder(policy: Any) -> dict[str, Any] | None:
    """What the extractor of a policy with a pre-trained encoder is built from; None of any other."""
    extractor = policy.features_extractor
    return extractor.plan.model_dump() if isinstance(extractor, PretrainedMotionExtractor) else None


def _base(model: OnPolicyAlgorithm) -> SB3VecEnv:
    env = model.get_env()
    if env is None or not isinstance(env.unwrapped, SB3VecEnv):
        raise TypeError("the model's environment is not built on a SB3VecEnv")
    return env.unwrapped


def read_networks(run_or_checkpoint: str | Path) -> tuple[ActorCriticPolicy, ObsNormalizer, TrainConfig]:
    """Policy, observation normaliser and configuration of a run's last checkpoint, or of a given one."""
    run, file = open_run(run_or_checkpoint)
    config = run.config()
    if file is None:
        raise RunError(f"{run.path} has no checkpoint yet")
    state = load_checkpoint(file)
    return *stored_networks(config, state, file), config


def load_artefacts(run_or_checkpoint: str | Path) -> list[Artefacts]:
    """What the learners of a run left in its last checkpoint, or in a given one, for acting and export."""
    run, file = open_run(run_or_checkpoint)
    config = run.config()
    if file is None:
        raise RunError(f"{run.path} has no checkpoint yet")
    state = load_checkpoint(file)
    with fitting(file):
        states = state["learners"]
        return [
            spec.left_by(config.section(spec.name), states[spec.name], file)
            for spec in config.specs
            if spec.name in states
        ]
