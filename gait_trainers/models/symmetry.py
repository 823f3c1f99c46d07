"""Policies that are mirror-symmetric by construction: the action in a mirrored state is the mirrored action.

A body with two sides has a symmetry of order two: a mirror M of observations and N of actions, each a permutation with
signs. A policy is equivariant if π(M s) = N π(s), a value function invariant if V(M s) = V(s). A linear layer W from
one representation to another commutes with their mirrors exactly if W = N W M, so each weight is projected on this
subspace, ½ (W + N W M), wherever it is used. Hidden units come in pairs that change places, the two halves of a layer;
element-wise activations commute with that, and so the whole network is equivariant, at about the cost of a plain one
and with half of its free parameters. Layers of recurrent and pre-trained networks are symmetrised the same way.

F. Abdolhosseini et al., "On Learning Symmetric Locomotion", Motion, Interaction and Games 2019, compare this with
mirrored data and mirror losses; D. Ordoñez-Apraez et al., "On discrete symmetries of robotics systems", Robotics:
Science and Systems 2023, treat the symmetries of robots in general.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.running_mean_std import RunningMeanStd
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gait_envs.models.mirror import SignedPermutation

_PARAMETRIZED = re.compile(r"parametrizations\.(\w+)\.original$")


def swapped_halves(size: int) -> SignedPermutation:
    """The mirror of hidden units: the two halves of the layer change places. ValueError if `size` is odd."""
    if size % 2:
        raise ValueError(f"a symmetric layer needs an even number of units, not {size}")
    return SignedPermutation(np.roll(np.arange(size), size // 2), np.ones(size))


def unchanged(size: int) -> SignedPermutation:
    """The mirror of quantities without sides, such as a value."""
    return SignedPermutation(np.arange(size), np.ones(size))


class Equivariant(nn.Module):
    """Projects a weight (out, in), or a vector (out,), on those that commute with the mirrors."""

    rows: Tensor
    columns: Tensor | None
    sign: Tensor

    def __init__(self, output: SignedPermutation, input: SignedPermutation | None = None) -> None:
        super().__init__()
        sign = torch.from_numpy(output.sign.astype(np.float32))
        columns = None
        if input is not None:
            sign = sign[:, None] * torch.from_numpy(input.sign.astype(np.float32))
            columns = torch.from_numpy(input.index.copy())
        for name, value in (("rows", torch.from_numpy(output.index.copy())), ("columns", columns), ("sign", sign)):
            self.register_buffer(name, value, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        mirrored = x[self.rows] if self.columns is None else x[self.rows][:, self.columns]
        return 0.5 * (x + self.sign * mirrored)


def symmetrize(layer: nn.Linear, output: SignedPermutation, input: SignedPermutation) -> None:
    """Keep a linear layer equivariant from now on. Its weight is projected and rescaled to its former norm."""
    with torch.no_grad():
        projected = Equivariant(output, input)(layer.weight)
        layer.weight.copy_(projected * (layer.weight.norm() / projected.norm().clamp(min=1e-12)))
    parametrize.register_parametrization(layer, "weight", Equivariant(output, input))
    parametrize.register_parametrization(layer, "bias", Equivariant(output))


class SymmetricActorCriticPolicy(ActorCriticPolicy):
    """SB3's actor-critic with equivariant actions and an invariant value. Hidden sizes must be even."""

    def __init__(
        self, *args: Any, observation_mirror: SignedPermutation, action_mirror: SignedPermutation, **kwargs: Any
    ) -> None:
        self.observation_mirror, self.action_mirror = observation_mirror, action_mirror
        super().__init__(*args, **kwargs)

    def _build(self, lr_schedule: Any) -> None:
        super()._build(lr_schedule)
        symmetrize_heads(self, self.observation_mirror, self.action_mirror)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)  # type: ignore[call-arg]


def symmetrize_heads(policy: ActorCriticPolicy, input: SignedPermutation, action: SignedPermutation) -> None:
    """Keep actions equivariant and the value invariant from now on; `input`: the mirror of what the hidden layers see.

    The policy's optimizer has to be made anew.
    """
    extractor = policy.mlp_extractor
    _symmetrize_all(extractor.policy_net, policy.action_net, input, action)
    _symmetrize_all(extractor.value_net, policy.value_net, input, unchanged(1))
    # Standard deviations have no sign: both sides share one, whatever the signs of the mirror.
    pairs = SignedPermutation(action.index, np.ones(len(action)))
    parametrize.register_parametrization(policy, "log_std", Equivariant(pairs))


def _symmetrize_all(
    hidden: nn.Sequential, last: nn.Module, mirror: SignedPermutation, output: SignedPermutation
) -> None:
    for layer in hidden:
        if isinstance(layer, nn.Linear):
            symmetrize(layer, swapped_halves(layer.out_features), mirror)
            mirror = swapped_halves(layer.out_features)
    assert isinstance(last, nn.Linear)
    symmetrize(last, output, mirror)


def without_projections(module: nn.Module) -> nn.Module:
    """The module, changed in place, with the projected weights as plain ones: what an exported graph should hold."""
    for part in list(module.modules()):
        if parametrize.is_parametrized(part):
            for name in list(part.parametrizations):  # type: ignore[union-attr, arg-type]
                parametrize.remove_parametrizations(part, name, leave_parametrized=True)
    return module


def plain_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict with the names that a network without projections has."""
    return {_PARAMETRIZED.sub(r"\1", name): value for name, value in weights.items()}


class SymmetricMeanStd(RunningMeanStd):
    """Running statistics in which each observation counts with its mirror image; symmetric to the bit."""

    def __init__(self, mirror: SignedPermutation) -> None:
        super().__init__(shape=(len(mirror),))
        self.mirror = mirror

    def update(self, arr: np.ndarray) -> None:
        """Update the statistics with the rows (n, size) of `arr` and their mirror images."""
        super().update(np.concatenate([arr, self.mirror(arr)]))
        self.symmetrize()

    def symmetrize(self) -> None:
        """Average mean and variance with their mirror images, as after rounding, and where they are from elsewhere."""
        self.mean = 0.5 * (self.mean + self.mirror(self.mean))
        self.var = 0.5 * (self.var + self.var[self.mirror.index])
