"""RefNN in torch: the network of `gait_envs.reference.refnn.network`, to be trained, or to be an encoder elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from gait_envs.reference.pose_features import POSE_LAYOUT
from gait_envs.reference.refnn.network import MAX_BYTES, Facts, Layers, ReferenceNetwork, load_network
from gait_trainers.models.layers import linear_layers, load_arrays, to_arrays

HIDDEN = (512, 512, 512)
PHASE_NAMES = ("phase_sin", "phase_cos")


class RefNN(nn.Module):
    """Parameters and phase (n, P + 2), in the order of `input_names` and in their own units, to poses (n, 101).

    The normalisers are buffers: `low` and `high` of the inputs, `mean` and `deviation` of the poses.
    """

    low: Tensor
    high: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self, facts: Facts, hidden: Sequence[int] = HIDDEN, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.facts = facts
        sizes = [len(facts.names) + 2, *hidden, POSE_LAYOUT.size]
        self.linear = linear_layers(sizes, generator)
        self.layers = nn.ModuleList(self.linear)
        phase = np.array([0.0, 0.0]), np.array([1.0, 1.0])  # sine and cosine stay as they are
        buffers = {
            "low": np.concatenate([facts.low, phase[0]]),
            "high": np.concatenate([facts.high, phase[1]]),
            "mean": facts.mean,
            "deviation": facts.deviation,
        }
        for name, value in buffers.items():
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32), persistent=False)

    @property
    def input_names(self) -> tuple[str, ...]:
        """What each input is: the parameters, then sine and cosine of the phase."""
        return (*self.facts.names, *PHASE_NAMES)

    @property
    def feature_size(self) -> int:
        """Numbers that `encode` gives a row."""
        return self.linear[-1].in_features

    def normalize(self, x: Tensor) -> Tensor:
        """Inputs (n, P + 2) with their parameters in [0, 1]."""
        return (x - self.low) / (self.high - self.low)

    def encode(self, x: Tensor) -> Tensor:
        """Inputs (n, P + 2), not normalised, to the last hidden layer's features (n, `feature_size`)."""
        x = self.normalize(x)
        for layer in self.linear[:-1]:
            x = torch.relu(layer(x))
        return x

    def forward(self, x: Tensor) -> Tensor:
        return self.mean + self.deviation * self.linear[-1](self.encode(x))

    def get_layers(self) -> Layers:
        """The weights in the form of `ReferenceNetwork` and its file."""
        return to_arrays(self.linear)

    def numpy(self) -> ReferenceNetwork:
        """A copy of the current network in NumPy."""
        return ReferenceNetwork(self.get_layers(), self.facts)


def load_refnn(path: str | os.PathLike[str], limit: int = MAX_BYTES) -> RefNN:
    """The network of a model's folder, or of a bundled one's name, in torch, whose arrays take at most `limit` bytes;
    RefNNError where there is none."""
    read = load_network(path, limit)
    model = RefNN(read.facts, [bias.size for _, bias in read.layers[:-1]])
    load_arrays(model.linear, read.layers)
    return model


def with_phase(params: Tensor, phase: Tensor) -> Tensor:
    """Inputs (n, P + 2) from parameters (n, P) and phases (n,) in cycles."""
    angle = 2 * torch.pi * phase[:, None]
    return torch.cat([params, torch.sin(angle), torch.cos(angle)], dim=1)
