"""MuscleNN in torch: the network of `gait_envs.control.muscle_network`, to be trained, and what it is trained for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gait_envs.control.muscle_network import HIDDEN, LEAK, SCALE, Layers, MuscleNetwork
from gait_envs.models.muscles import Muscles
from gait_trainers.models.layers import linear_layers, load_arrays, to_arrays

MISSED = 100.0  # N·m; an error of this size costs 1
START = 0.2  # first bias of the outputs: every muscle is somewhat active to begin with


class MuscleNN(nn.Module):
    """(entries of JtA (n, entries), active torque τ − b (n, d)), N·m, to activations (n, m) in [0, 1)."""

    entry_muscle: Tensor
    entry_dof: Tensor

    def __init__(
        self, muscles: Muscles, hidden: Sequence[int] = HIDDEN, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.muscles = muscles
        sizes = [len(muscles.entry_dof) + len(muscles.dofs), *hidden, len(muscles.names)]
        self.linear = linear_layers(sizes, generator)
        self.layers = nn.ModuleList(self.linear)
        nn.init.constant_(self.linear[-1].bias, START)
        for name in ("entry_muscle", "entry_dof"):
            self.register_buffer(name, torch.from_numpy(getattr(muscles, name)), persistent=False)

    def forward(self, entries: Tensor, torque: Tensor) -> Tensor:
        x = torch.cat([entries, torque], dim=1) / SCALE
        *hidden, last = self.linear
        for layer in hidden:
            x = nn.functional.leaky_relu(layer(x), LEAK)
        return Bounded.apply(last(x))

    def torque(self, entries: Tensor, activations: Tensor) -> Tensor:
        """JtA a (n, d) N·m from the entries of JtA."""
        result = entries.new_zeros(len(entries), len(self.muscles.dofs))
        return result.index_add(1, self.entry_dof, entries * activations[:, self.entry_muscle])

    def get_layers(self) -> Layers:
        """The weights in the form of `MuscleNetwork` and its file."""
        return to_arrays(self.linear)

    def set_layers(self, layers: Layers) -> None:
        """Load weights; ValueError if their shapes differ."""
        found = [weight.shape for weight, _ in layers]
        expected = [(layer.in_features, layer.out_features) for layer in self.linear]
        if found != expected:
            raise ValueError(f"its layers map {_sizes(found)}, expected {_sizes(expected)}: see muscle.hidden")
        load_arrays(self.linear, layers)

    def numpy(self) -> MuscleNetwork:
        """A copy of the current network in NumPy, for a controller."""
        return MuscleNetwork(self.get_layers(), self.muscles)


class Bounded(torch.autograd.Function):
    """tanh(x), and 0 where that is negative: an activation.

    Below 0 the gradient of relu is none, and a muscle that is quiet in all that is seen would never stir again. Here
    it is that of an activation with a lower bound: what would raise it passes, what would lower it does not.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = x.tanh()
        ctx.save_for_backward(y)
        return y.relu()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (y,) = ctx.saved_tensors
        return torch.where(y > 0, gradient * (1 - y.square()), gradient.clamp(max=0.0))


class Losses(NamedTuple):
    """The two terms of the network's loss, scalars, not weighted."""

    torque: Tensor  # |(JtA a − (τ − b)) / MISSED|², mean over the batch
    effort: Tensor  # |a|², mean over the batch


def muscle_losses(network: MuscleNN, entries: Tensor, torque: Tensor) -> Losses:
    """Losses of S. Lee et al. 2019 for entries of JtA (n, entries) and active torques (n, d) N·m."""
    activations = network(entries, torque)
    missed = (network.torque(entries, activations) - torque) / MISSED
    return Losses(missed.square().sum(dim=1).mean(), activations.square().sum(dim=1).mean())


def _sizes(shapes: Sequence[tuple[int, ...]]) -> str:
    return ", ".join(f"{size_in} → {size_out}" for size_in, size_out in shapes)
