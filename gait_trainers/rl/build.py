"""Builds a training: environments, learners and PPO, seeded and connected as configured."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import gymnasium
import torch
from gymnasium.vector import AutoresetMode
from stable_baselines3.common.vec_env import VecEnv, VecNormalize

import gait_envs  # noqa: F401 - registers the environments
from gait_envs.models.mirror import MirrorError
from gait_envs.reference.clip import ClipError
from gait_envs.reference.refnn.network import RefNNError
from gait_envs.registry import IDS
from gait_envs.tasks.symmetry import task_mirror
from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.learners.base import Learner
from gait_trainers.models.actor_critic import Mirrors, mirrors_seen
from gait_trainers.models.encoders import (
    EncoderError,
    EncoderMeanStd,
    PretrainedMotionExtractor,
    observed_by,
    with_fresh_weights,
)
from gait_trainers.models.motion import ModelError, load_motion_model
from gait_trainers.models.symmetry import SymmetricMeanStd
from gait_trainers.rl.frame_stack import FrameStack
from gait_trainers.rl.ppo import Algorithm, build_model
from gait_trainers.rl.sb3_vec import SB3VecEnv
from gait_trainers.runs.normalizer import freeze_observations


@dataclass
class Training:
    """The joined pieces of a training that has not begun."""

    config: TrainConfig
    base: SB3VecEnv
    learners: Mapping[str, Learner]  # by name, in order
    model: Algorithm
    begun: Mapping[str, Any] = field(default_factory=dict)  # what `run.init` gave, where it has been taken


def build(config: TrainConfig) -> Training:
    """Everything that `config` names; ConfigError where something cannot be made."""
    check_device(config.run.device)
    torch.set_num_threads(config.run.torch_threads)
    torch.manual_seed(config.run.seed)
    base = make_vec_env(config)
    if hasattr(base.env.unwrapped, "core"):  # an id from elsewhere may have none
        base.env.unwrapped.core.costly_info = False
    learners = build_learners(config, base)
    encoder = build_encoder(config, base)
    mirrors = mirrors_seen(config.networks, find_mirrors(base)) if config.networks.symmetric else None
    env: VecEnv = base
    for learner in learners.values():
        env = learner.wrap(env)
    if config.networks.frames > 1:
        env = FrameStack(env, config.networks.frames)
    if config.ppo.normalize_obs or config.ppo.normalize_reward:
        env = VecNormalize(
            env,
            norm_obs=config.ppo.normalize_obs,
            norm_reward=config.ppo.normalize_reward,
            gamma=config.ppo.gamma,
            training=not config.policy_frozen,
        )
        if mirrors is not None and config.ppo.normalize_obs:
            env.obs_rms = SymmetricMeanStd(mirrors["observation"])  # type: ignore[assignment]
    try:
        model = build_model(config, env, mirrors, encoder)
    except EncoderError as error:
        raise ConfigError(f"encoder.path: {error}") from None
    except ValueError as error:
        raise ConfigError(f"networks: {error}") from None
    if encoder is not None and config.ppo.normalize_obs:
        keep_units_of_encoder(model)
    if config.ppo.freeze_obs_after == 0:
        freeze_observations(model.get_vec_normalize_env())
    return Training(config, base, learners, model)


def build_encoder(config: TrainConfig, base: SB3VecEnv) -> dict[str, Any] | None:
    """Arguments of the configured feature extractor; None where there is none. ConfigError for an unfit model."""
    section = getattr(config, "encoder", None)
    if section is None or section.path is None:
        return None
    if config.networks.recurrent or config.networks.frames > 1:
        raise ConfigError(f"encoder.path: not with --policy {config.networks.memory}; the encoder sees single frames")
    try:
        model = load_motion_model(section.path)
    except (ModelError, OSError) as error:
        raise ConfigError(f"encoder.path: {error}") from None
    return {
        "encoder": with_fresh_weights(model) if section.random else model,
        **observed_by(base.env),
        "observation": section.observation,
        "rate": section.rate,
        "normalized": config.ppo.normalize_obs,
    }


def keep_units_of_encoder(model: Algorithm) -> None:
    """Normalise the encoder's inputs as it was trained, whatever the policy meets."""
    norm, extractor = model.get_vec_normalize_env(), model.policy.features_extractor
    assert norm is not None
    assert isinstance(extractor, PretrainedMotionExtractor)
    size = model.observation_space.shape[0]  # type: ignore[index]
    norm.obs_rms = EncoderMeanStd(extractor, size, norm.epsilon)  # type: ignore[assignment]


def find_mirrors(base: SB3VecEnv) -> Mirrors:
    """Of the observations and actions of the environments' task; ConfigError where they have none."""
    try:
        return task_mirror(base.env.unwrapped.core.task)._asdict()  # type: ignore[attr-defined]
    except MirrorError as error:
        raise ConfigError(f"networks.symmetric: {error}") from None


def make_vec_env(config: TrainConfig, num_envs: int | None = None) -> SB3VecEnv:
    """The configured environments, or `num_envs` of them, behind SB3's interface."""
    try:
        env = gymnasium.make_vec(
            config.env.id,
            num_envs=num_envs or config.env.num_envs,
            vectorization_mode="vector_entry_point",
            autoreset_mode=AutoresetMode.SAME_STEP,
            threads=config.env.threads,
            **config.env.kwargs,
        )
    except gymnasium.error.UnregisteredEnv as error:
        close = difflib.get_close_matches(config.env.id, IDS, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise ConfigError(f"env.id: no environment {config.env.id!r}; {hint}Registered are {', '.join(IDS)}") from error
    except (ClipError, RefNNError) as error:
        raise ConfigError(f"{clips_setting(config)}: {error}") from error
    except (TypeError, ValueError, gymnasium.error.Error) as error:
        if re.search("unexpected keyword argument '(autoreset_mode|threads)'", str(error)):
            raise ConfigError(
                f"env.id {config.env.id!r} has no vector form that a training can step: it would have to take "
                f"autoreset_mode and threads, as those of {', '.join(IDS)} do"
            ) from error
        raise ConfigError(f"env.id {config.env.id!r} cannot be made with env.kwargs: {error}") from error
    return SB3VecEnv(env)


def clips_setting(config: TrainConfig) -> str:
    """Which setting names the clips of the environment, as somebody who set them would look for it."""
    clips = config.env.kwargs.get("reference")
    sections = {spec.name: config.section(spec.name) for spec in config.specs}
    alike = [f"{name}.data" for name, section in sections.items() if clips and getattr(section, "data", None) == clips]
    return " and ".join([*alike, "env.kwargs.reference"])


def build_learners(config: TrainConfig, base: SB3VecEnv) -> dict[str, Learner]:
    """What learns beside PPO, by name."""
    try:
        return {spec.name: spec.build(config, base) for spec in config.specs}
    except ValueError as error:
        raise ConfigError(str(error)) from None


def check_device(name: str) -> None:
    """Raise unless torch can compute there; SB3 would silently fall back to the CPU."""
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(f"run.device: {name!r} cannot be used: {str(error).splitlines()[0]}") from None
