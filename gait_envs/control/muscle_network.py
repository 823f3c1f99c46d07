"""MuscleNN in NumPy: a network that answers a torque with activations, and its file.

The network is that of S. Lee et al. 2019 ("Scalable Muscle-Actuated Human Simulation and Control"): the entries of JtA
and the active torque, both divided by `SCALE`, go through layers of `HIDDEN` units with leaky ReLU (slope `LEAK`); the
last layer's tanh, cut below at 0, is the activation.

Its file is an .npz without pickled objects:

    format     the text `FORMAT`
    muscles    (m,) names, in the order of the outputs
    weight_k   (inputs, outputs) float32 of layer k = 0, 1, …; the first has entries + dofs inputs, the last m outputs
    bias_k     (outputs,) float32
"""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from gait_envs.errors import GaitNetError, one_line
from gait_envs.files import replacing
from gait_envs.models.muscles import Muscles
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive
from gait_envs.reading.loaders import loader

FORMAT = "gaitnet muscle network 1"
HIDDEN = (1024, 512, 512)
SCALE = 200.0  # N·m
LEAK = 0.2
MAX_BYTES = 64 << 20  # of a file's layers in memory
# Rows multiplied at a time: always as many, so that a row's bits do not depend on how many there are. From 12 on, BLAS
# rounds a row by its place in the block.
BLOCK = 8

Layers = Sequence[tuple[np.ndarray, np.ndarray]]  # (weight (inputs, outputs), bias (outputs,)) of each


class MuscleNetworkError(GaitNetError, ValueError):
    """A file that holds no network for these muscles; names the file and the array."""


class MuscleNetwork:
    """(entries of JtA (n, entries), torque (n, d)), N·m, to activations (n, m): a `Network` for controller `nn`."""

    def __init__(self, layers: Layers, muscles: Muscles) -> None:
        self.layers = [(np.asarray(w, np.float32), np.asarray(b, np.float32)) for w, b in layers]
        sizes = [len(muscles.entry_dof) + len(muscles.dofs)]
        for k, (weight, bias) in enumerate(self.layers):
            if weight.ndim != 2 or weight.shape[0] != sizes[-1] or bias.shape != weight.shape[1:]:
                raise ValueError(
                    f"layer {k} has a weight of shape {weight.shape} and a bias of shape {bias.shape}; "
                    f"expected ({sizes[-1]}, outputs) and (outputs,)"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ValueError(f"layer {k} has numbers that are not finite")
            sizes.append(weight.shape[1])
        if len(sizes) < 2 or sizes[-1] != len(muscles.names):
            raise ValueError(
                f"the network has {sizes[-1]} outputs, expected one for each of {len(muscles.names)} muscles"
            )

    def __call__(self, entries: np.ndarray, torque: np.ndarray) -> np.ndarray:
        x = np.concatenate([entries, torque], axis=1)
        n = len(x)
        x = np.concatenate([x, np.zeros((-n % BLOCK, x.shape[1]))]) / SCALE
        blocks = [self._forward(block) for block in x.astype(np.float32).reshape(-1, BLOCK, x.shape[1])]
        return np.concatenate(blocks)[:n]

    def _forward(self, x: np.ndarray) -> np.ndarray:
        *hidden, (weight, bias) = self.layers
        for w, b in hidden:
            x = x @ w + b
            x = np.maximum(x, np.float32(LEAK) * x)
        return np.maximum(np.tanh(x @ weight + bias), np.float32(0.0))


def save_muscle_network(path: str | os.PathLike[str], layers: Layers, muscles: Muscles) -> None:
    """Write a network's file, whole or not at all; raises ValueError for layers that do not fit the muscles."""
    arrays = {"format": np.array(FORMAT), "muscles": np.array(muscles.names)}
    for k, (weight, bias) in enumerate(MuscleNetwork(layers, muscles).layers):
        arrays |= {f"weight_{k}": weight, f"bias_{k}": bias}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


@loader("muscle network", ".npz")
def load_muscle_network(path: str | os.PathLike[str], muscles: Muscles, limit: int = MAX_BYTES) -> MuscleNetwork:
    """Read a network made for these muscles, of at most `limit` bytes; raises `MuscleNetworkError`."""
    with Archive(path, MuscleNetworkError, limit, f"{path} is no muscle network, an .npz file") as archive:
        keys = set(archive.keys)
        if "format" not in keys or str(archive.array("format", "U", MAX_TEXT_ARRAY)) != FORMAT:
            raise MuscleNetworkError(f"{path} is no muscle network: its `format` is not {FORMAT!r}")
        found = archive.array("muscles", "Ufiu", MAX_TEXT_ARRAY) if "muscles" in keys else np.array([])
        names = found.ravel().tolist()
        if names != list(muscles.names):
            other = sorted(set(map(str, names)) ^ set(muscles.names)) or "their order"
            raise MuscleNetworkError(f"{path} was made for other muscles; the difference is {one_line(other)}")
        layers = keys - {"format", "muscles"}
        count = len(layers) // 2
        expected = {f"{kind}_{k}" for kind in ("weight", "bias") for k in range(count)}
        if layers != expected or not count:
            held = one_line(sorted(layers))
            raise MuscleNetworkError(f"{path} holds {held}; expected weight_k and bias_k of layers k = 0, 1, …")
        arrays = {key: archive.array(key, "f") for key in sorted(layers)}
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused as such
            return MuscleNetwork([(arrays[f"weight_{k}"], arrays[f"bias_{k}"]) for k in range(count)], muscles)
    except ValueError as error:
        raise MuscleNetworkError(f"{path}: {error}") from None
