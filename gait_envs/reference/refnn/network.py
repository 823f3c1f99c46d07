"""RefNN in NumPy: from a walker's parameters and the phase of its gait cycle to a pose of 101 numbers; and its file.

Parameters, normalised to (p - low) / (high - low), and the sine and cosine of the phase go through hidden layers with
ReLU; the last layer's output is scaled by `deviation` and shifted by `mean`, (101,) each, to a pose of
`gait_envs.reference.pose_features`. Stride (m a cycle) and cadence (steps/min) are always among the parameters.

A model is a folder. What serves is `refnn.npz`, whose checksum is in `SHA256SUMS`:

    format               the text `FORMAT`
    names, units         (P,) of the parameters, in the order of the inputs
    low, high, default   (P,) range of the training data, and the values of a walker that says nothing
    natural              (3,) stride = a + b v + c v² of the walks it learned from, for v in m/s
    speeds               (2,) m/s, the range of that
    mean, deviation      (101,)
    held                 (50,) rad, the angles of joints that no simulated walker of the data moves; infinite for others
    weight_k, bias_k     (inputs, outputs) and (outputs,) float32 of layer k = 0, 1, …
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.errors import GaitNetError, one_line
from gait_envs.files import replacing
from gait_envs.reading.archive import MAX_TEXT_ARRAY, Archive
from gait_envs.reading.loaders import FOLDER, loader
from gait_envs.reading.text import read_text
from gait_envs.reference.pose_features import COORDINATES, POSE_LAYOUT

FORMAT = "gaitnet refnn 1"
NETWORK, CHECKSUMS = "refnn.npz", "SHA256SUMS"
MAX_BYTES = 64 << 20  # of a file's arrays in memory
MAX_LAYERS, MAX_PARAMETERS = 16, 1000
MAX_NUMBER = 1e6
# Rows multiplied at a time: always as many, so that a row's bits do not depend on how many there are. From 12 on, BLAS
# rounds a row by its place in the block.
BLOCK = 8
REACH = 1e-6  # of its range, by which a parameter may lie outside

Layers = Sequence[tuple[np.ndarray, np.ndarray]]  # (weight (inputs, outputs), bias (outputs,)) of each


class RefNNError(GaitNetError, ValueError):
    """A model that cannot be used, or parameters that it was not trained for; names the file and the key."""


@dataclass(frozen=True)
class Facts:
    """What a RefNN knows of its inputs and outputs, beside its layers."""

    names: tuple[str, ...]  # (P,) of the parameters
    units: tuple[str, ...]  # (P,)
    low: np.ndarray  # (P,)
    high: np.ndarray  # (P,)
    default: np.ndarray  # (P,)
    natural: np.ndarray  # (3,) coefficients of the stride over the speed
    speeds: np.ndarray  # (2,) m/s
    mean: np.ndarray  # (101,)
    deviation: np.ndarray  # (101,)
    held: np.ndarray  # (50,) rad, infinite where a joint moves

    def __post_init__(self) -> None:
        count, size = len(self.names), POSE_LAYOUT.size
        if len(set(self.names)) < count or not {"stride", "cadence"} <= set(self.names):
            raise ValueError(
                f"names are {one_line(self.names)}, expected different ones, stride and cadence among them"
            )
        shapes = {"units": count, "low": count, "high": count, "default": count}
        shapes |= {"natural": 3, "speeds": 2, "mean": size, "deviation": size, "held": COORDINATES - 7}
        for key, length in shapes.items():
            value = getattr(self, key)
            if len(value) != length:
                raise ValueError(f"{key} has {len(value)} values, expected {length}")
            numbers = value[np.isfinite(value) | np.isnan(value)] if key == "held" else value
            if key != "units" and not (np.abs(numbers) < MAX_NUMBER).all():  # NaN is refused too
                raise ValueError(f"{key} has a value that is not finite, or beyond {MAX_NUMBER:g}")
        if not ((self.low < self.high) & (self.low <= self.default) & (self.default <= self.high)).all():
            raise ValueError("low must be below high, and default between them")
        if not (self.deviation > 0).all() or not 0 < self.speeds[0] < self.speeds[1]:
            raise ValueError("deviation and speeds must be positive, and the speeds ascending")


class ReferenceNetwork:
    """Parameters (n, P) and phases (n,) of the gait cycle, in [0, 1), to poses (n, 101)."""

    def __init__(self, layers: Layers, facts: Facts, name: str = "refnn") -> None:
        """Raises ValueError for layers that do not fit each other or the facts."""
        self.layers = [(np.asarray(w, np.float32), np.asarray(b, np.float32)) for w, b in layers]
        self.facts, self.name = facts, name
        sizes = [len(facts.names) + 2]
        for k, (weight, bias) in enumerate(self.layers):
            if weight.ndim != 2 or weight.shape[0] != sizes[-1] or bias.shape != weight.shape[1:]:
                raise ValueError(
                    f"layer {k} has a weight of shape {weight.shape} and a bias of shape {bias.shape}; "
                    f"expected ({sizes[-1]}, outputs) and (outputs,)"
                )
            if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
                raise ValueError(f"layer {k} has numbers that are not finite")
            sizes.append(weight.shape[1])
        if len(sizes) < 2 or sizes[-1] != POSE_LAYOUT.size:
            raise ValueError(f"the network has {sizes[-1]} outputs, expected {POSE_LAYOUT.size}")

    def params(self, values: Mapping[str, np.ndarray | float], n: int) -> np.ndarray:
        """Parameters (n, P) by name, in this network's order: (n,) or one for all; what is left out is the default.

        Raises RefNNError for an unknown name and for a value outside of the range of the training data.
        """
        facts = self.facts
        unknown = sorted(set(values) - set(facts.names))
        if unknown:
            raise RefNNError(f"{self.name}: unknown parameter {unknown[0]!r}; it knows {', '.join(facts.names)}")
        params = np.tile(facts.default, (n, 1))
        for name, value in values.items():
            params[:, facts.names.index(name)] = value
        reach = REACH * (facts.high - facts.low)
        outside = ~((params >= facts.low - reach) & (params <= facts.high + reach))  # NaN is refused too
        if outside.any():
            row, column = np.argwhere(outside)[0]
            raise RefNNError(
                f"{self.name}: {facts.names[column]} is {params[row, column]:.4g} {facts.units[column]}, "
                f"it was trained from {facts.low[column]:.4g} to {facts.high[column]:.4g}"
            )
        return params

    def __call__(self, params: np.ndarray, phase: np.ndarray) -> np.ndarray:
        angle = 2 * np.pi * np.asarray(phase)
        share = (params - self.facts.low) / (self.facts.high - self.facts.low)
        x = np.concatenate([share, np.sin(angle)[:, None], np.cos(angle)[:, None]], axis=1).astype(np.float32)
        n = len(x)
        x = np.concatenate([x, np.zeros((-n % BLOCK, x.shape[1]), np.float32)])
        rows = np.concatenate([self._forward(block) for block in x.reshape(-1, BLOCK, x.shape[1])])[:n]
        return self.facts.mean + self.facts.deviation * rows

    def _forward(self, x: np.ndarray) -> np.ndarray:
        *hidden, (weight, bias) = self.layers
        for w, b in hidden:
            x = np.maximum(x @ w + b, np.float32(0.0))
        return x @ weight + bias


# -- files ------------------------------------------------------------------------------------------------


def save_network(path: str | os.PathLike[str], layers: Layers, facts: Facts) -> Path:
    """Write `refnn.npz`, whole or not at all; raises ValueError for layers that do not fit."""
    path = Path(path)
    arrays: dict[str, np.ndarray] = {"format": np.array(FORMAT)}
    arrays |= {key: np.asarray(value) for key, value in vars(facts).items()}
    for k, (weight, bias) in enumerate(ReferenceNetwork(layers, facts).layers):
        arrays |= {f"weight_{k}": weight, f"bias_{k}": bias}
    with replacing(path) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
    return path


def model_folder(name: str | os.PathLike[str]) -> Path:
    """The folder of a model by its path, or by its name among the bundled ones; RefNNError says which there are."""
    path = Path(name)
    if path.exists():
        return path
    try:
        return asset_path(f"models/{name}")
    except FileNotFoundError as error:
        raise RefNNError(f"{name}: neither the folder of a model nor a bundled one ({error})") from None


@loader("refnn", FOLDER)
def load_network(folder: str | os.PathLike[str], limit: int = MAX_BYTES) -> ReferenceNetwork:
    """Read a model's network, which takes at most `limit` bytes in memory; every fault is a `RefNNError`.

    Only `SHA256SUMS` and `refnn.npz` are opened, whatever else lies in the folder or is named in it.
    """
    folder = model_folder(folder)
    for name in (CHECKSUMS, NETWORK):
        if not (folder / name).is_file():
            raise RefNNError(f"{folder}: {name} missing; a model's folder holds {NETWORK} and {CHECKSUMS}")
    if (size := (folder / NETWORK).stat().st_size) > limit:
        raise RefNNError(f"{folder / NETWORK}: {size} bytes, the limit is {limit}")
    with open(folder / NETWORK, "rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    listed = re.findall(rf"^([0-9a-f]{{64}})  {re.escape(NETWORK)}$", _sums(folder / CHECKSUMS), flags=re.MULTILINE)
    if listed != [found]:
        raise RefNNError(f"{folder / NETWORK}: differs from its checksum in {CHECKSUMS}; copy the model again")
    return _read(folder / NETWORK, limit, folder.name)


def _sums(path: Path) -> str:
    return read_text(path, RefNNError, 64 << 10)


def _read(path: Path, limit: int, name: str) -> ReferenceNetwork:
    with Archive(path, RefNNError, limit, f"{path}: no readable RefNN") as archive:
        keys = set(archive.keys)
        if "format" not in keys or str(archive.array("format", "U", MAX_TEXT_ARRAY)) != FORMAT:
            raise archive.fault("format", f"expected {FORMAT!r}")
        facts = {key: archive.array(key, "U", MAX_TEXT_ARRAY) for key in ("names", "units")}
        if any(not 0 < array.size <= MAX_PARAMETERS or array.ndim != 1 for array in facts.values()):
            raise archive.fault("names", f"expected 1 to {MAX_PARAMETERS} names, each with a unit")
        numbers = {
            key: archive.array(key, "fiu").astype(np.float64).ravel()
            for key in ("low", "high", "default", "natural", "speeds", "mean", "deviation", "held")
        }
        count = sum(key.startswith("weight_") for key in keys)
        if not 0 < count <= MAX_LAYERS:
            raise archive.fault("weight_0", f"{count} layers, expected 1 to {MAX_LAYERS}")
        layers = [(archive.array(f"weight_{k}", "f"), archive.array(f"bias_{k}", "f")) for k in range(count)]
    try:
        with np.errstate(over="ignore"):  # what float32 cannot hold is infinite, and refused as such
            told = Facts(tuple(facts["names"].tolist()), tuple(facts["units"].tolist()), **numbers)
            return ReferenceNetwork(layers, told, name)
    except ValueError as error:
        raise RefNNError(f"{path}: {one_line(error)}") from None


def sizes(layers: Layers) -> list[tuple[int, int]]:
    """(inputs, outputs) of each layer."""
    return list(pairwise([layers[0][0].shape[0], *(weight.shape[1] for weight, _ in layers)]))
