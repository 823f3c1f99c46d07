"""A bundle of your own Stable-Baselines3 model, made from the objects that it was trained with."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import DiagGaussianDistribution, SquashedDiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper, VecNormalize
from stable_baselines3.sac.policies import LOG_STD_MAX, LOG_STD_MIN
from torch import Tensor

from gait_trainers.config.schema import env_options
from gait_trainers.models.recurrent import acting_layer, recurrent_state
from gait_trainers.policies.base import Network, State
from gait_trainers.policies.environment import deployment_kwargs, make_env
from gait_trainers.policies.export import ExportError, Trained, check_out, write_bundle
from gait_trainers.policies.torch_policy import PolicyNetwork, TrainerNetwork, torch_policy
from gait_trainers.runs.normalizer import ObsNormalizer, obs_normalizer

# Wrappers that leave observations and actions as they are.
HARMLESS = {"Monitor", "TimeLimit", "OrderEnforcing", "PassiveEnvChecker", "RecordEpisodeStatistics", "RecordVideo"}
HARMLESS_VEC = {"VecNormalize", "VecMonitor", "VecCheckNan", "VecVideoRecorder", "AMPRewardWrapper"}


def export_policy(
    model: BaseAlgorithm,
    vec_normalize: VecNormalize | None,
    out: str | Path,
    *,
    env_id: str | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    force: bool = False,
) -> Path:
    """Write the bundle of a Stable-Baselines3 model that was trained on one of our environments; returns its folder.

    `vec_normalize` holds the statistics that its observations were normalised with; None: those of the VecNormalize
    that the model's environment is wrapped in, if it is. `env_id` and `env_kwargs` name the environment; None: the
    model's own. Supported are PPO and A2C (`MlpPolicy`), sb3-contrib's RecurrentPPO (`MlpLstmPolicy`, one layer), and
    SAC and TQC (`MlpPolicy`), whose squashed normal distribution becomes a normal one about the same deterministic
    action, equal to first order, for actions that are sampled. ExportError says what of a model
    cannot be exported, and that something is at `out` already, which `force` replaces if it is a bundle.
    """
    check_out(Path(out), force)
    policy = detached(supported(model))
    if env_id is None:
        if env_kwargs is not None:
            raise ExportError("env_kwargs without env_id; give both")
        env_id, env_kwargs = environment(model.get_env() or (vec_normalize and vec_normalize.venv))
    env_id = env_id.rpartition(":")[2]  # the module that registers it is ours
    size = make_env(env_id, threads=1, **deployment_kwargs(env_kwargs or {})).core.task.layout.size
    if model.observation_space.shape != (size,):
        seen = model.observation_space.shape
        raise ExportError(f"the model observes {seen}, {env_id} shows ({size},); see env_id and env_kwargs")
    normalize = vec_normalize or model.get_vec_normalize_env()
    statistics = normalizer(normalize, size)
    squash = squashed(policy)
    network = (SquashedNetwork if squash else PolicyNetwork)(with_our_layer(policy), statistics)
    expected: Network = (SquashedTrainer if squash else TrainerNetwork)(policy, statistics)
    acting = torch_policy(Path(out).name, network, env_id, env_kwargs or {})
    training = {
        "algorithm": type(model).__name__,
        "library": f"stable-baselines3 {version('stable-baselines3')}",
        "steps": model.num_timesteps,
        "seed": model.seed,
        "config": {"ppo": {"normalize_obs": normalize is not None and normalize.norm_obs}},
    }
    return write_bundle(Trained(acting, network, expected, training), Path(out))


class SquashedNetwork(PolicyNetwork):
    """The actor of SAC: tanh of a normal distribution whose deviation depends on the observation.

    Its `mean` is the deterministic action, its `std` the deviation of tanh to first order about it.
    """

    def _extracted(self, x: Tensor) -> Tensor:
        actor: Any = self.policy.actor
        return actor.latent_pi(actor.extract_features(x, actor.features_extractor))  # type: ignore[no-any-return]

    def _act(self, latent: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        actor: Any = self.policy.actor
        mean = actor.mu(latent).tanh()
        std = actor.log_std(latent).clamp(LOG_STD_MIN, LOG_STD_MAX).exp()
        return mean, mean, std * (1 - mean.square())


class SquashedTrainer:
    """The same by the library's own arithmetic."""

    def __init__(self, policy: Any, normalizer: ObsNormalizer) -> None:
        self.policy, self.normalizer = policy, normalizer

    def initial_state(self, n: int) -> State:
        return ()

    def __call__(self, obs: np.ndarray, state: State, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, State]:
        seen = torch.from_numpy(self.normalizer(obs))
        with torch.no_grad():
            action = self.policy.actor(seen, deterministic=True)
            _, log_std, _ = self.policy.actor.get_action_dist_params(seen)
        return action.numpy(), ((1 - action**2) * log_std.exp()).numpy(), ()


def squashed(policy: BasePolicy) -> bool:
    """Whether it acts as SAC's does."""
    return type(getattr(getattr(policy, "actor", None), "action_dist", None)) is SquashedDiagGaussianDistribution


def supported(model: BaseAlgorithm) -> Any:
    """The policy of a model, where a bundle can act as it does."""
    policy: Any = model.policy
    normal = type(getattr(policy, "action_dist", None)) is DiagGaussianDistribution
    memory = bool(recurrent_state(policy)) and policy.lstm_actor.num_layers == 1
    plain = isinstance(policy, ActorCriticPolicy) and not hasattr(policy, "lstm_actor")
    if not isinstance(model.observation_space, Box) or not ((normal and (plain or memory)) or squashed(policy)):
        raise ExportError(
            f"{type(model).__name__} with {type(policy).__name__} cannot be exported; supported are PPO, A2C, SAC and "
            "TQC with MlpPolicy and RecurrentPPO with MlpLstmPolicy of one layer, without state-dependent exploration "
            "(use_sde)"
        )
    return policy


def with_our_layer(policy: Any) -> Any:
    """The policy; of a recurrent one a copy, with a layer that runs step by step in place of torch's."""
    if not recurrent_state(policy):
        return policy
    ours = copy.deepcopy(policy)
    ours.lstm_actor = acting_layer(policy)
    return ours


def detached(policy: Any) -> Any:
    """A copy on the CPU, which leaves the model untouched."""
    if isinstance(policy, ActorCriticPolicy):
        # The distribution of the last update would carry its gradients, which cannot be copied.
        size = policy.action_space.shape[0]  # type: ignore[index]
        with torch.no_grad():
            policy.action_dist.proba_distribution(torch.zeros(1, size), torch.zeros(size))  # type: ignore[call-arg]
    else:
        with torch.no_grad():
            policy.actor(torch.zeros(1, *policy.observation_space.shape, device=policy.device))
    return copy.deepcopy(policy).cpu().eval()


def environment(env: VecEnv | None) -> tuple[str, dict[str, Any]]:
    """The id and the options of the environment that a model learnt in."""
    if env is None:
        raise ExportError("the model has no environment (was it loaded without one?); give env_id, and env_kwargs")
    wrappers = []
    while isinstance(env, VecEnvWrapper):
        wrappers.append(type(env).__name__)
        env = env.venv
    spec: EnvSpec | None = env.get_attr("spec", 0)[0]
    if spec is None:
        raise ExportError("the model's environment was not made by its id; give env_id, and env_kwargs")
    odd = sorted({*wrappers} - HARMLESS_VEC | {w.name for w in spec.additional_wrappers} - HARMLESS)
    if odd:
        raise ExportError(
            f"the model's environment is wrapped in {', '.join(odd)}, and a bundle holds no wrappers; where these "
            "change neither observations nor actions, give env_id, and env_kwargs"
        )
    options = env_options(spec.id)
    known = spec.kwargs.keys() - {"render_mode"} if options is None else {field.name for field in fields(options)}
    return spec.id, {key: value for key, value in spec.kwargs.items() if key in known}


def normalizer(normalize: VecNormalize | None, size: int) -> ObsNormalizer:
    """The statistics of (size,) observations; None: they are used as they are."""
    if normalize is None or not normalize.norm_obs:
        return obs_normalizer(None, size)
    statistics: Any = normalize.obs_rms
    if np.shape(statistics.mean) != (size,):
        raise ExportError(f"vec_normalize is of {np.shape(statistics.mean)} observations, the model's are ({size},)")
    return ObsNormalizer(statistics.mean.copy(), statistics.var.copy(), normalize.clip_obs, normalize.epsilon)
