"""A multilayer perceptron over the last frames: three layers of 256 with LayerNorm and SiLU by default."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from gait_trainers.models.motion.network import Memory, Network


class MLP(Network):
    """Inputs of the last `history` frames, the oldest first; before the first frame there is that frame again."""

    def __init__(self, size: int, hidden: Sequence[int] = (256, 256, 256), history: int = 1, dropout: float = 0.0):
        super().__init__()
        self.history, self.features = history, hidden[-1]
        layers: list[nn.Module] = []
        for wide, out in pairwise([size * history, *hidden]):
            layers += [nn.Linear(wide, out), nn.LayerNorm(out), nn.SiLU()]
            layers += [nn.Dropout(dropout)] if dropout else []
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor, memory: Memory = ()) -> tuple[Tensor, Memory]:
        x, memory = with_history(x, memory, self.history)
        return self.layers(x), memory


def with_history(x: Tensor, memory: Memory, history: int) -> tuple[Tensor, Memory]:
    """Inputs (n, L, d) each with those before it, (n, L, history · d), and the memory for the next call."""
    if history == 1:
        return x, ()
    before = memory[0] if memory else x[:, :1].expand(-1, history - 1, -1)
    every = torch.cat([before, x], dim=1)  # (n, history - 1 + L, d)
    stacked = torch.cat([every[:, i : i + x.shape[1]] for i in range(history)], dim=-1)
    return stacked, (every[:, -(history - 1) :],)
