"""Linear layers of a torch network as the arrays that networks without torch are made of, and back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from gait_envs.control.muscle_network import Layers


def linear_layers(sizes: Sequence[int], generator: torch.Generator | None = None) -> list[nn.Linear]:
    """Layers that map sizes[0] numbers to sizes[1] and so on: Xavier's weights, biases of 0."""
    layers = [nn.Linear(size_in, size_out) for size_in, size_out in pairwise(sizes)]
    for layer in layers:
        nn.init.xavier_uniform_(layer.weight, generator=generator)
        nn.init.zeros_(layer.bias)
    return layers


def to_arrays(layers: Sequence[nn.Linear]) -> Layers:
    """Copies of their weights and biases."""
    return [(_numpy(layer.weight.T), _numpy(layer.bias)) for layer in layers]


def load_arrays(layers: Sequence[nn.Linear], arrays: Layers) -> None:
    """Overwrite their weights and biases; the shapes must agree."""
    with torch.no_grad():
        for layer, (weight, bias) in zip(layers, arrays, strict=True):
            layer.weight.copy_(torch.from_numpy(weight.T.copy()))
            layer.bias.copy_(torch.from_numpy(bias))


def _numpy(x: Tensor) -> np.ndarray:
    return x.detach().cpu().numpy().copy()
