"""What all methods share: a training that has not begun, normalised by the demonstrations, and the run it leaves."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from torch.nn import functional

from gait_trainers.config.schema import ConfigError, TrainConfig, env_options
from gait_trainers.imitation.demonstrations import DemonstrationError, Demonstrations
from gait_trainers.models.encoders import EncoderMeanStd
from gait_trainers.policies.environment import check_layout, check_meaning
from gait_trainers.rl.build import Training, build
from gait_trainers.rl.callbacks import RunCallback
from gait_trainers.rl.warm_start import begin_from
from gait_trainers.runs.lock import locked
from gait_trainers.runs.run_folder import Run, create_run, new_run

Say = Callable[[str], None]
# Least deviation that an observation is divided by, in its own unit. A demonstrator hardly leaves its path; divided by
# what little it did, the first stumble would be an input that no network has seen.
LEAST_STD = 0.05


def prepare(config: TrainConfig, demonstrations: Demonstrations) -> Training:
    """The training of a configuration, whose observations are normalised by the demonstrations.

    ConfigError and PolicyError where the configuration, `run.init` or the demonstrations do not fit the environment.
    """
    if config.networks.memory != "none":
        raise ConfigError(f"networks.memory is {config.networks.memory!r}; demonstrations are learnt step by step")
    training = begin(config)
    task = training.base.env.unwrapped.core.task  # type: ignore[attr-defined]
    where = f"demonstrations in {demonstrations.env_id}"
    check_layout(demonstrations.layout, task.layout.table(), where)
    options = env_options(demonstrations.env_id)
    if options is not None:  # an id from elsewhere says nothing of its actions
        check_meaning(options(**demonstrations.env_kwargs), task.config, f"{where}: they were made with")
    obs, actions = demonstrations.pairs()
    sizes = task.layout.size, len(task.action_names)
    if (obs.shape[1], actions.shape[1]) != sizes:
        raise DemonstrationError(
            f"{where}: {obs.shape[1]} observations and {actions.shape[1]} actions, {config.env.id} has "
            f"{sizes[0]} and {sizes[1]}"
        )
    if config.run.init is None:
        set_normalizer(training, obs)
    return training


def begin(config: TrainConfig) -> Training:
    """The training of a configuration, with the networks and statistics of its `run.init` where it names one."""
    training = build(config)
    if config.run.init is None:
        return training
    return dataclasses.replace(training, begun=begin_from(config.run.init, config, training.model, training.learners))


def set_normalizer(training: Training, obs: np.ndarray) -> None:
    """The statistics of observations (m, d), from which PPO's continue where the training does.

    Those of a symmetric policy count each observation's mirror image too, or it would not be symmetric; those of an
    encoder's inputs stay the encoder's.
    """
    norm = training.model.get_vec_normalize_env()
    if norm is None or not norm.norm_obs:
        return
    statistics: Any = norm.obs_rms
    statistics.mean, statistics.var, statistics.count = np.zeros(obs.shape[1]), np.ones(obs.shape[1]), 0.0
    # By their class, as an instance that is frozen would not: with mirror images where the policy is symmetric.
    type(statistics).update(statistics, obs.astype(np.float64))
    statistics.var = np.maximum(statistics.var, LEAST_STD**2)
    statistics.count = float(len(obs))
    if isinstance(statistics, EncoderMeanStd):
        statistics.pin()  # an encoder's inputs keep its own units


def normalized(training: Training, obs: np.ndarray) -> np.ndarray:
    """Raw observations (m, d) as the policy sees them, float32."""
    norm = training.model.get_vec_normalize_env()
    return obs if norm is None else np.asarray(norm.normalize_obs(obs), dtype=np.float32)


def leave_run(training: Training, origin: Mapping[str, Any]) -> Run:
    """A run folder with one checkpoint: to be evaluated, played, exported, begun from (`--init`) or continued."""
    config = training.config
    licenses = {*origin.get("licenses", ()), *training.begun.get("licenses", ())}
    known = {"taken": ["policy"], **origin, "licenses": sorted(licenses)}
    run = new_run(config, origin.get("method"))
    with locked(run.path):
        create_run(config, known | ({"begun": dict(training.begun)} if training.begun else {}), run)
        keeper = RunCallback(run, config, training.base, training.learners)
        keeper.init_callback(training.model)
        keeper.save()
    return run


def warm_up_critic(training: Training, iterations: int, say: Say) -> None:
    """Fit the value network to the returns of the policy as it is, over so many rollouts of it.

    PPO begins with a critic that knows nothing; its first advantages are noise, and undo what was cloned.
    """
    model, norm = training.model, training.model.get_vec_normalize_env()
    if iterations < 1:
        return
    statistics: Any = None if norm is None or not norm.norm_obs else norm.obs_rms
    kept = copy.deepcopy(statistics)
    if statistics is not None:
        statistics.count = 1e12  # the policy was fitted to these; only the returns' scale is still to be found
    model.set_logger(Logger(None, []))  # SB3's own would leave a folder in the temporary one
    value = [p for name, p in model.policy.named_parameters() if "value_net" in name]
    optimizer = torch.optim.Adam(value, lr=1e-3)
    _, callback = model._setup_learn(iterations * training.config.rollout_steps, NoCallback())
    callback.on_training_start(locals(), globals())
    env: Any = model.env
    for iteration in range(iterations):
        model.collect_rollouts(env, callback, model.rollout_buffer, model.n_steps)  # type: ignore[arg-type]
        losses, spread = [], float(np.var(model.rollout_buffer.returns))
        for _ in range(model.n_epochs):
            for batch in model.rollout_buffer.get(model.batch_size):
                loss = functional.mse_loss(model.policy.predict_values(batch.observations).flatten(), batch.returns)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
        explained = 1.0 - losses[-1] / max(spread, 1e-12)
        say(f"critic {iteration + 1}/{iterations}: it explains {explained:.0%} of the returns' variance")
    if statistics is not None:
        statistics.mean, statistics.var, statistics.count = kept.mean, kept.var, kept.count
    model.num_timesteps = 0  # no step of PPO has been made


class NoCallback(BaseCallback):
    """Lets a rollout run."""

    def _on_step(self) -> bool:
        return True
