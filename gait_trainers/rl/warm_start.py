"""Warm start: a training that begins with the networks of another one (`run.init`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.learners.base import Learner, WarmStart
from gait_trainers.models.symmetry import SymmetricMeanStd, plain_names
from gait_trainers.policies.base import BundleError, GaussianPolicy, Network, PolicyError
from gait_trainers.policies.bundle import MANIFEST, NETWORK, at, checked_files
from gait_trainers.policies.environment import EnvironmentOptionError, check_task
from gait_trainers.policies.loading import find_policy, load_policy
from gait_trainers.policies.onnx_check import check_graph
from gait_trainers.policies.torch_policy import PolicyNetwork, TorchNetwork
from gait_trainers.runs.checkpoint import load_checkpoint
from gait_trainers.runs.normalizer import obs_normalizer, set_vec_normalize_state, vec_normalize_state
from gait_trainers.runs.provenance import licenses_of
from gait_trainers.runs.run_folder import RunError, open_run

EPSILON = 1e-8  # that SB3's VecNormalize adds to a variance, and a bundle's deviations contain
TOLERANCE = 1e-4  # largest difference of an action's mean from the one begun from, in units of the action range

# A bundle says no count of observations but its steps. A clone has made none, and with a count of 0 the first batch of
# resets would replace what its network was fitted to.
CLONE_COUNT = 100_000


class Source(NamedTuple):
    """The initial weights and statistics that a run or a bundle provides."""

    policy: GaussianPolicy
    weights: Mapping[str, torch.Tensor]  # of the policy; a bundle has no value network
    normalize: Mapping[str, Any] | None  # mean, var and count of the observations, and more; None: not normalised
    checkpoint: Path | None  # of a run
    learners: Mapping[str, Any]  # their states in it, by name
    steps: int  # that it was trained for
    licenses: Sequence[str]  # of the clips that it was made from, where it states them


def begin_from(
    path: str, config: TrainConfig, model: OnPolicyAlgorithm, learners: Mapping[str, Learner]
) -> dict[str, Any]:
    """Load networks and normalisers of a run, a checkpoint or a bundle into a training that has not begun.

    Returns what was taken, for the provenance. ConfigError where it does not fit.
    """
    base = model.get_env().unwrapped.env.unwrapped  # type: ignore[union-attr, attr-defined]
    try:
        source = _read(path)
        check_task(source.policy, base.core.task, config.env.id)
    except (ConfigError, PolicyError, RunError, EnvironmentOptionError, OSError) as error:
        raise ConfigError(f"run.init: {error}") from None
    taken = _take_policy(source, path, config, model)
    for name, learner in learners.items():
        own = WarmStart(source.checkpoint, source.learners.get(name), source.policy.env_kwargs)
        try:
            taken += learner.warm_start(own)
        except ValueError as error:
            raise ConfigError(f"run.init: {error}") from None
    begun = {"path": path, "steps": source.steps, "environment": source.policy.env_id, "taken": taken}
    return begun | ({"licenses": list(source.licenses)} if source.licenses else {})


def _read(path: str) -> Source:
    """A run's networks from its latest checkpoint, or a bundle's."""
    policy = load_policy(path)  # checks the bundle; says what there is where there is neither
    if policy.details:
        return _read_bundle(find_policy(path), policy)
    run, file = open_run(path)
    if file is None:
        raise RunError(f"{run.path} has no checkpoint yet")
    state, config = load_checkpoint(file), run.config()
    normalize = state["vec_normalize"] if config.ppo.normalize_obs else None
    steps, licenses = state["sb3"]["num_timesteps"], licenses_of(run.origin())
    return Source(policy, state["policy"], normalize, file, state["learners"], steps, licenses)


def _read_bundle(folder: Path, policy: GaussianPolicy) -> Source:
    import onnx

    graph = check_graph(checked_files(folder)[NETWORK], folder / NETWORK)
    arrays = {x.name: np.array(onnx.numpy_helper.to_array(x)) for x in graph.model.graph.initializer}
    for name in ("mean", "remainder", "std"):
        if name not in arrays or arrays[name].ndim != 1:
            raise BundleError(f"{folder / NETWORK}: holds no {name!r} of the normaliser; no training can begin from it")
    path = folder / MANIFEST
    steps = at(policy.details, "training.steps", path)
    normalized = at(policy.details, "training.config.ppo.normalize_obs", path)
    if type(steps) is not int or type(normalized) is not bool:
        raise BundleError(f"{path}: training.steps or training.config.ppo.normalize_obs is of another kind")
    weights = {
        name.removeprefix("policy."): torch.from_numpy(value)
        for name, value in arrays.items()
        if name.startswith("policy.")
    }
    start = np.zeros((1, graph.size("observation")), np.float32)
    _, std, _ = policy.network(start, policy.initial_state(1), np.ones(1, dtype=bool))
    weights["log_std"] = torch.from_numpy(np.log(std[0]))
    normalize = None
    if normalized:
        mean = arrays["mean"].astype(float) + arrays["remainder"]
        var = np.maximum(arrays["std"].astype(float) ** 2 - EPSILON, 0.0)
        normalize = {"mean": mean, "var": var, "count": float(steps or CLONE_COUNT)}
    return Source(policy, weights, normalize, None, {}, steps, licenses_of(policy.details["training"]))


def _take_policy(source: Source, path: str, config: TrainConfig, model: OnPolicyAlgorithm) -> list[str]:
    """Policy, value and normalisers; the names of those that there were."""
    own = plain_names(model.policy.state_dict())
    value = [name for name in own if name.startswith(("mlp_extractor.value_net", "value_net", "lstm_critic"))]
    found = plain_names(source.weights)
    has_value = any(name in found for name in value)
    expected = {name: tensor for name, tensor in own.items() if has_value or name not in value}
    weights = _widened(found, expected) if _inputs(found) == _inputs(expected) else None
    fixed = config.networks.symmetric or config.networks.recurrent
    if fixed and weights is not None and _shapes(found) != _shapes(expected):
        weights = None  # the halves of a wider layer, and the gates of a recurrent one, are other units
    if weights is None:
        sizes = {kind: _hidden(found, f"mlp_extractor.{kind}_net") for kind in ("policy", "value")}
        shapes = " and ".join(f"networks.{kind} {size}" for kind, size in sizes.items() if size)
        raise ConfigError(
            f"run.init: the networks of {path} have sizes, {shapes}, that do not fit into this training's, "
            f"networks.policy {config.networks.policy} and networks.value {config.networks.value}, with "
            f"networks.memory {config.networks.memory!r}, which may be different there"
        )
    if (source.normalize is not None) != config.ppo.normalize_obs:
        does = "are not" if source.normalize is None else "are"
        raise ConfigError(f"run.init: observations of {path} {does} normalised, see ppo.normalize_obs")
    names = dict(zip(own, model.policy.state_dict(), strict=True))
    model.policy.load_state_dict({names[name]: value for name, value in {**own, **weights}.items()})
    norm = model.get_vec_normalize_env()
    if norm is not None and source.normalize is not None:
        # Those of the returns too, where there are some: they are the value network's scale.
        kept = {**(vec_normalize_state(norm) or {}), **source.normalize}
        set_vec_normalize_state(norm, kept | {"returns": norm.returns})
        if isinstance(norm.obs_rms, SymmetricMeanStd):
            norm.obs_rms.symmetrize()  # if that changes what the policy does, it was not symmetric; see _check_same
    if model.anchor is not None:  # type: ignore[attr-defined]
        model.anchor.reset()  # type: ignore[attr-defined]
    _check_same(source.policy, path, config, model)
    taken = {"policy": True, "value": has_value, "normalizer": source.normalize is not None}
    return [name for name, there in taken.items() if there]


def _check_same(policy: GaussianPolicy, path: str, config: TrainConfig, model: OnPolicyAlgorithm) -> None:
    """ConfigError unless the training now acts as the policy it begins from; an activation may be another one."""
    norm = vec_normalize_state(model.get_vec_normalize_env()) if config.ppo.normalize_obs else None
    size = model.observation_space.shape[0]  # type: ignore[index]
    normalizer = obs_normalizer(norm, size)
    frames = config.networks.frames
    noise = np.random.default_rng(0).normal(size=(16, size))
    obs = (normalizer.mean + np.sqrt(normalizer.var) * noise).astype(np.float32)[:, -(size // frames) :]
    device = next(model.policy.parameters()).device
    with torch.no_grad():
        network = PolicyNetwork(model.policy, normalizer, frames).to(device)  # type: ignore[arg-type]
    difference = _largest_difference(TorchNetwork(network), policy.network, obs)
    if not difference <= TOLERANCE:
        raise ConfigError(
            f"run.init: with the weights of {path} actions differ from its own by {difference:.2g}; "
            f"networks.activation is {config.networks.activation!r} and networks.symmetric "
            f"{config.networks.symmetric}, which may be different there, as may be a normaliser that favours a side"
        )


def _largest_difference(ours: Network, theirs: Network, obs: np.ndarray) -> float:
    """Of the means of two networks, in the first three steps of episodes that observe the same (n, d) all along."""
    states, difference = [network.initial_state(len(obs)) for network in (ours, theirs)], 0.0
    for step in range(3):
        starts = np.full(len(obs), step == 0)
        (mean, _, after), (other, _, other_after) = (
            network(obs, state, starts) for network, state in zip((ours, theirs), states, strict=True)
        )
        states, difference = [after, other_after], np.maximum(difference, np.abs(mean - other).max())  # NaN stays
    return float(difference)


def _widened(
    weights: Mapping[str, torch.Tensor], expected: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor] | None:
    """Weights put into networks as wide or wider, whose outputs stay the same; None where they do not fit.

    The units that are new have the weights in of a fresh network and weights out of 0 (T. Chen et al. 2016, Net2Net,
    there by copies of units).
    """
    if weights.keys() != expected.keys():
        return None
    out = {}
    for name, fresh in expected.items():
        found = weights[name]
        if found.ndim != fresh.ndim or any(old > new for old, new in zip(found.shape, fresh.shape, strict=True)):
            return None
        units = slice(len(found))
        out[name] = fresh.clone()
        out[name][units] = 0.0
        out[name][(units, *(slice(size) for size in found.shape[1:]))] = found
    return out


def _shapes(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items() if "policy_net" in name or "lstm" in name}


def _inputs(weights: Mapping[str, torch.Tensor]) -> int:
    """How many numbers the hidden layers of the policy see: a window of frames has more than one of them."""
    return next((x.shape[-1] for name, x in weights.items() if name.endswith("policy_net.0.weight")), 0)


def _hidden(weights: Mapping[str, torch.Tensor], prefix: str) -> list[int]:
    return [len(tensor) for name, tensor in weights.items() if name.startswith(prefix) and name.endswith(".bias")]
