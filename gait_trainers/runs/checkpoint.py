"""Checkpoints: the whole state of a training between two iterations, and how to put it back, bit for bit.

A file holds {"format_version", "state"}; `capture` says what the state is. It is read with torch's
`weights_only=True`: tensors, containers and plain scalars, never code.
"""

from __future__ import annotations

import io
import random
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy

from gait_envs.files import write_durably
from gait_envs.loaders import loader
from gait_envs.models.mirror import SignedPermutation
from gait_trainers.config.layers import load_config
from gait_trainers.config.schema import TrainConfig
from gait_trainers.learners.base import Artefacts, Learner
from gait_trainers.models.actor_critic import build_policy
from gait_trainers.models.symmetry import SymmetricActorCriticPolicy, without_projections
from gait_trainers.rl.sb3_vec import SB3VecEnv
from gait_trainers.runs.monitoring import HealthMonitor, RolloutMetrics
from gait_trainers.runs.normalizer import ObsNormalizer, obs_normalizer, set_vec_normalize_state, vec_normalize_state
from gait_trainers.runs.run_folder import Run, RunError, open_run, remove_checkpoint, steps_of

FORMAT_VERSION = 2


def capture(
    model: PPO,
    learners: Mapping[str, Learner],
    metrics: RolloutMetrics,
    health: HealthMonitor,
) -> dict[str, Any]:
    """Everything the rest of the training depends on: tensors, arrays, containers and plain scalars."""
    return {
        "spaces": {
            "obs_size": int(model.observation_space.shape[0]),  # type: ignore[index]
            "action_size": int(model.action_space.shape[0]),  # type: ignore[index]
            "mirrors": _mirrors(model.policy),
        },
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "vec_normalize": vec_normalize_state(model.get_vec_normalize_env()),
        "env": _base(model).get_state(),
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
    model: PPO,
    learners: Mapping[str, Learner],
    metrics: RolloutMetrics,
    health: HealthMonitor,
) -> None:
    """Put `capture`'s state into a freshly built training. The random generators come last."""
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(state["optimizer"])
    set_vec_normalize_state(model.get_vec_normalize_env(), state["vec_normalize"])
    _base(model).set_state(state["env"])
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


def _mirrors(policy: Any) -> dict[str, dict[str, np.ndarray]] | None:
    """What a symmetric policy has to know of its task's mirror; None of any other."""
    if not isinstance(policy, SymmetricActorCriticPolicy):
        return None
    return {"observation": vars(policy.observation_mirror), "action": vars(policy.action_mirror)}


def _base(model: PPO) -> SB3VecEnv:
    env = model.get_env()
    if env is None or not isinstance(env.unwrapped, SB3VecEnv):
        raise TypeError("the model's environment is not built on a SB3VecEnv")
    return env.unwrapped


def save_checkpoint(run: Run, state: Mapping[str, Any], steps: int, keep: int) -> Path:
    """Write the state after `steps` environment steps; only the last `keep` checkpoints stay."""
    file = run.checkpoint_file(steps)
    buffer = io.BytesIO()
    torch.save({"format_version": FORMAT_VERSION, "state": to_tensors(state)}, buffer)
    write_durably(file, buffer.getvalue())
    for old in run.checkpoints()[:-keep]:
        remove_checkpoint(old)
    return file


@loader("checkpoint", ".pt")
def load_checkpoint(file: Path) -> dict[str, Any]:
    """The training state in a checkpoint; RunError names the file and an earlier one if it is damaged."""
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
        found = content["format_version"]
        state = from_tensors(content["state"])
    except Exception as error:  # torch raises many kinds for a damaged file
        others = Run(file.parent.parent).checkpoints()
        earlier = [other for other in others if (steps_of(other) or 0) < (steps_of(file) or 0)]
        advice = f"continue from an earlier one with --resume {earlier[-1]}" if earlier else "there is no earlier one"
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"{file} cannot be read as a checkpoint ({reason}); {advice}") from error
    if found == 1:
        return from_version_1(state)
    if found != FORMAT_VERSION:
        raise RunError(f"{file} has format version {found}, this version reads 1 and {FORMAT_VERSION}")
    return state


def from_version_1(state: dict[str, Any]) -> dict[str, Any]:
    """The state of a checkpoint of format version 1, in today's layout.

    Version 1 knew two learners, and kept each under a key of its own. Of an episode it kept whether it survived, not
    whether it followed.
    """
    kept = {key: value for key, value in state.items() if key not in ("amp", "muscle")}
    learners = {name: state[name] for name in ("amp", "muscle") if state.get(name) is not None}
    episodes = [(*episode, None) for episode in state["metrics"]["episodes"]]
    return kept | {"learners": learners, "metrics": state["metrics"] | {"episodes": episodes}}


def read_networks(run_or_checkpoint: str | Path) -> tuple[ActorCriticPolicy, ObsNormalizer, TrainConfig]:
    """Policy, observation normaliser and configuration of a run's last checkpoint, or of a given one."""
    run, file = open_run(run_or_checkpoint)
    if file is None:
        raise RunError(f"{run.path} has no checkpoint yet")
    state = load_checkpoint(file)
    config = load_config(run.config_file)
    spaces = state["spaces"]
    mirrors = {name: SignedPermutation(**table) for name, table in (spaces.get("mirrors") or {}).items()}
    policy = build_policy(config.networks, spaces["obs_size"], spaces["action_size"], mirrors or None)
    policy.load_state_dict(state["policy"])
    without_projections(policy)
    policy.set_training_mode(False)
    norm = state["vec_normalize"] if config.ppo.normalize_obs else None
    return policy, obs_normalizer(norm, state["spaces"]["obs_size"]), config


def load_artefacts(run_or_checkpoint: str | Path) -> list[Artefacts]:
    """What the learners of a run left in its last checkpoint, or in a given one, for acting and export."""
    run, file = open_run(run_or_checkpoint)
    if file is None:
        raise RunError(f"{run.path} has no checkpoint yet")
    config, states = load_config(run.config_file), load_checkpoint(file)["learners"]
    return [
        spec.left_by(config.section(spec.name), states[spec.name], file) for spec in config.specs if spec.name in states
    ]


# Checkpoints are read with weights_only=True: tensors, containers and plain scalars. An array is kept as a
# tensor with a tag, so that it comes back as an array.
_ARRAY = "__ndarray__"


def to_tensors(tree: Any) -> Any:
    """The tree with its arrays as tensors, and numpy scalars as Python's: what `weights_only=True` can load."""
    if isinstance(tree, np.ndarray):
        return {_ARRAY: torch.from_numpy(np.array(tree, order="C"))}
    if isinstance(tree, np.generic):
        return tree.item()
    if isinstance(tree, Mapping):
        return {key: to_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(to_tensors(value) for value in tree)
    return tree


def from_tensors(tree: Any) -> Any:
    """The inverse of `to_tensors`: tensors that were arrays are arrays again, numpy scalars stay Python's."""
    if isinstance(tree, dict):
        if set(tree) == {_ARRAY}:
            return tree[_ARRAY].numpy()
        return {key: from_tensors(value) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(from_tensors(value) for value in tree)
    return tree
