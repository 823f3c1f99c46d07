"""Running statistics of observations and returns: SB3's `VecNormalize` to plain arrays and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from stable_baselines3.common.running_mean_std import RunningMeanStd
from stable_baselines3.common.vec_env import VecNormalize


@dataclass(frozen=True)
class ObsNormalizer:
    """The running statistics of a run's observations, as they were at a checkpoint."""

    mean: np.ndarray  # (d,) float64
    var: np.ndarray  # (d,) float64
    clip: float
    epsilon: float

    def __call__(self, obs: np.ndarray) -> np.ndarray:
        """(n, d) -> (n, d) float32; the arithmetic of SB3's VecNormalize."""
        scaled = (obs - self.mean) / np.sqrt(self.var + self.epsilon)
        return np.clip(scaled, -self.clip, self.clip).astype(np.float32)


def obs_normalizer(norm: Mapping[str, Any] | None, size: int) -> ObsNormalizer:
    """From the statistics that a checkpoint holds; None leaves observations of this size as they are."""
    if norm is None:
        return ObsNormalizer(np.zeros(size), np.ones(size), clip=np.inf, epsilon=0.0)
    return ObsNormalizer(norm["mean"], norm["var"], norm["clip_obs"], norm["epsilon"])


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
    """Restore the statistics of `vec_normalize_state`."""
    if norm is None or state is None:
        return
    obs = _obs_statistics(norm)
    obs.mean, obs.var, obs.count = state["mean"].copy(), state["var"].copy(), state["count"]
    norm.returns = state["returns"].copy()
    norm.ret_rms.mean, norm.ret_rms.var = np.array(state["return_mean"]), np.array(state["return_var"])
    norm.ret_rms.count = state["return_count"]


def freeze_observations(norm: VecNormalize | None) -> None:
    """From now on the statistics of the observations stay as they are; those of the returns go on."""
    if norm is not None:
        _obs_statistics(norm).update = lambda arr: None  # type: ignore[method-assign]


def _obs_statistics(norm: VecNormalize) -> RunningMeanStd:
    statistics = getattr(norm, "obs_rms", None)  # SB3 makes none where observations stay as they are
    if statistics is None:
        statistics = norm.obs_rms = RunningMeanStd(shape=norm.observation_space.shape)  # type: ignore[arg-type, assignment]
    return statistics  # type: ignore[return-value]
