"""A mixture of experts: a small gate blends the weights of several perceptrons, as mode-adaptive networks do.

Zhang et al. 2018, "Mode-Adaptive Neural Networks for Quadruped Motion Control". Blending the weights, not the answers,
costs the same as one network of the batch's size per expert and lets an expert specialise in a part of the gait.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from gait_trainers.models.motion.mlp import with_history
from gait_trainers.models.motion.network import Memory, Network


class Mixture(Network):
    """`experts` perceptrons whose layers are blended by a gate that sees the same inputs."""

    def __init__(
        self,
        size: int,
        hidden: Sequence[int] = (256, 256, 256),
        history: int = 1,
        dropout: float = 0.0,
        experts: int = 4,
        gate: int = 32,
    ):
        super().__init__()
        self.history, self.features = history, hidden[-1]
        wide = size * history
        self.gate = nn.Sequential(nn.Linear(wide, gate), nn.SiLU(), nn.Linear(gate, experts), nn.Softmax(-1))
        self.layers = nn.ModuleList(_Blended(a, b, experts) for a, b in pairwise([wide, *hidden]))
        self.norms = nn.ModuleList(nn.LayerNorm(out) for out in hidden)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Memory = ()) -> tuple[Tensor, Memory]:
        x, memory = with_history(x, memory, self.history)
        share = self.gate(x)  # (n, L, experts)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = self.dropout(nn.functional.silu(norm(layer(x, share))))
        return x, memory


class _Blended(nn.Module):
    """Linear layers of all experts, blended: Σ shareₑ (Wₑ x + bₑ)."""

    def __init__(self, wide: int, out: int, experts: int):
        super().__init__()
        every = [nn.Linear(wide, out) for _ in range(experts)]
        self.weight = nn.Parameter(torch.stack([linear.weight.detach() for linear in every]))  # (experts, out, wide)
        self.bias = nn.Parameter(torch.stack([linear.bias.detach() for linear in every]))  # (experts, out)

    def forward(self, x: Tensor, share: Tensor) -> Tensor:
        each = torch.einsum("nlw,eow->nleo", x, self.weight) + self.bias
        return torch.einsum("nle,nleo->nlo", share, each)
