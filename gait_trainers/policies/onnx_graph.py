"""Networks as ONNX graphs: one self-contained file each, for any batch size."""

from __future__ import annotations

import contextlib
import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

from gait_trainers.models.discriminator import Discriminator
from gait_trainers.policies.onnx_policy import graph_inputs, graph_outputs, open_session
from gait_trainers.policies.torch_policy import PolicyNetwork

OPSET = 20


def write_policy(network: PolicyNetwork, path: Path, size: int) -> None:
    """The graph of a policy that observes (batch, size); its state, if it has one, is further inputs and outputs."""
    memory = [torch.zeros(2, *spec.shape) for spec in network.state]
    inputs = [torch.zeros(2, size), *([torch.zeros(2, dtype=torch.bool), *memory] if memory else [])]
    names = graph_inputs([spec.name for spec in network.state])
    _write(network, path, dict(zip(names, inputs, strict=True)), graph_outputs([spec.name for spec in network.state]))


def write_onnx(module: nn.Module, path: Path, input_name: str, outputs: Sequence[str], size: int) -> None:
    """One self-contained file with a named input (batch, size) and named outputs; any batch size."""
    _write(module, path, {input_name: torch.zeros(2, size)}, outputs)


def _write(module: nn.Module, path: Path, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str]) -> None:
    """inputs: by name, in order, with two rows each."""
    module = copy.deepcopy(module).cpu().eval()
    # Rows of observations; whatever else there is goes to the one parameter `*memory`.
    rows = {0: torch.export.Dim("batch")}
    shapes = (rows,) if len(inputs) == 1 else (rows, (rows,) * (len(inputs) - 1))
    with _quiet_exporter():
        torch.onnx.export(
            module,
            tuple(inputs.values()),
            str(path),
            dynamo=True,
            opset_version=OPSET,
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=shapes,
            external_data=False,
            verbose=False,
        )
    onnx.save(without_traces(onnx.load(path)), path)


def without_traces(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without the exporter's notes on each node, which name files of the machine that it ran on."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
        part.doc_string = ""
    return model


@contextlib.contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Without the exporter's notes on its own deprecated parts and on packages it could also have used."""
    logger = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            warnings.simplefilter("ignore", DeprecationWarning)
            warnings.filterwarnings("ignore", "# The axis name: batch will not be used", UserWarning)  # it is used
            yield
    finally:
        logger.setLevel(level)


def _plain(layer: nn.Module) -> nn.Module:
    """A copy of a layer; of a linear one, with the weights that it multiplies by."""
    if not isinstance(layer, nn.Linear):
        return copy.deepcopy(layer)
    linear = nn.Linear(layer.in_features, layer.out_features)
    linear.weight.data, linear.bias.data = layer.weight.detach(), layer.bias.detach()
    return linear


def write_style(discriminator: Discriminator, path: Path) -> float:
    """The discriminator with its normaliser as a graph; spectral normalisation becomes plain weights.

    Returns the largest difference of the graph's scores from torch's.
    """
    size = len(discriminator.mean)
    plain = Discriminator(np.zeros((1, size)), 1, [1], use_spectral_norm=False)
    plain.mean, plain.std = discriminator.mean, discriminator.std
    plain.layers = nn.Sequential(*[_plain(layer) for layer in discriminator.layers])
    write_onnx(plain, path, "features", ("score",), size)
    windows = plain.mean.numpy() + plain.std.numpy() * np.random.default_rng(0).normal(size=(100, size))
    windows = windows.astype(np.float32)
    (found,) = open_session(path).run(["score"], {"features": windows})
    with torch.no_grad():
        return float(np.abs(found - discriminator(torch.from_numpy(windows)).numpy()).max())
