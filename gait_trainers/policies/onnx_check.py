"""What a network's file may hold, read before ONNX Runtime sees it.

A graph from outside is a program. It may use only the operators that a policy's network needs, every tensor must
have a known and modest size, so that neither folding constants nor running it can fill the memory, and its weights must
be finite numbers in the file itself.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gait_envs.errors import one_line
from gait_trainers.policies.base import BundleError

MAX_MODEL = 32 << 20  # bytes of a network's file
MAX_NODES = 1000
MAX_VALUES = 16 << 20  # numbers in all constants together
MAX_INPUTS = 4  # observation, start, and up to two arrays of a state
MAX_ROW = 1 << 18  # numbers in all activations of one observation
OPERATORS = {
    "Gemm", "MatMul", "Add", "Sub", "Mul", "Div", "Neg", "Exp", "Log", "Sqrt", "Pow", "Abs", "Clip", "Min", "Max",
    "Elu", "Selu", "Relu", "LeakyRelu", "PRelu", "Tanh", "Sigmoid", "HardSigmoid", "HardSwish", "Softplus", "Softsign",
    "Gelu", "Erf", "Mish", "Celu", "Swish", "LayerNormalization", "Identity", "Constant", "Cast", "Shape", "Concat",
    "Expand", "Squeeze", "Unsqueeze", "Reshape", "Transpose", "Slice", "Gather", "Where",
}  # fmt: skip


class Graph(NamedTuple):
    """A network that may be run."""

    model: Any  # onnx.ModelProto
    shapes: dict[str, list[int | str]]  # of every tensor; the number of observations goes by a name

    def size(self, name: str) -> int:
        """The length of a row of an input or output; 1 where a row is a number."""
        return math.prod(length for length in self.shapes[name] if isinstance(length, int))


def check_graph(data: bytes, path: Path) -> Graph:
    """The parsed network; BundleError says what a policy's network may not hold."""
    import onnx

    try:
        model = onnx.load_model_from_string(data)
        _check_parts(model, path)
        shapes = _shapes(model)
    except BundleError:
        raise
    except Exception as error:  # protobuf's and the inference's classes are private
        raise BundleError(f"{path}: not a usable ONNX network: {one_line(error)}") from None
    _check_sizes(model, shapes, path)
    return Graph(model, shapes)


def _check_parts(model: Any, path: Path) -> None:
    """Operators, weights and everything else that is in the file."""
    from onnx import TensorProto, numpy_helper

    graph = model.graph
    if len(graph.node) > MAX_NODES or model.functions or graph.sparse_initializer or model.training_info:
        raise BundleError(f"{path}: more than {MAX_NODES} nodes, or functions or sparse weights, which are not run")
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or node.op_type not in OPERATORS:
            raise BundleError(f"{path}: operator {one_line(node.op_type)} is none that a policy's network needs")
        if any(a.HasField("g") or a.graphs or a.HasField("sparse_tensor") for a in node.attribute):
            raise BundleError(f"{path}: operator {node.op_type} holds a graph or a sparse tensor, which are not run")
    for tensor in _tensors(graph):
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            raise BundleError(f"{path}: weight {one_line(tensor.name)} lies in another file; all must be in this one")
        if math.prod(tensor.dims) > MAX_VALUES or any(length < 0 for length in tensor.dims):
            raise BundleError(f"{path}: weight {one_line(tensor.name)} has the shape {one_line(list(tensor.dims))}")
        array = numpy_helper.to_array(tensor)
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise BundleError(f"{path}: weight {one_line(tensor.name)} has numbers that are not finite")


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors


def _shapes(model: Any) -> dict[str, list[int | str]]:
    """Every tensor's shape as it follows from inputs, weights and operators, whatever the file claims of it."""
    import onnx

    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.graph.value_info[:]
    for output in bare.graph.output:
        output.type.tensor_type.ClearField("shape")
    known = onnx.shape_inference.infer_shapes(bare, strict_mode=True, data_prop=True).graph
    types = {value.name: value.type.tensor_type for value in (*known.input, *known.value_info, *known.output)}
    return {
        name: [dim.dim_value if dim.HasField("dim_value") else dim.dim_param for dim in kind.shape.dim]
        for name, kind in types.items()
        if kind.HasField("shape")
    }


def _check_sizes(model: Any, shapes: dict[str, list[int | str]], path: Path) -> None:
    """Rows are observations: only the inputs' first length may vary, in all alike, and no tensor may hold it twice."""
    inputs = [value.name for value in model.graph.input]
    if not 1 <= len(inputs) <= MAX_INPUTS or not all(shapes.get(name) for name in inputs):
        raise BundleError(f"{path}: expected one input of a known shape, or up to {MAX_INPUTS} with a state")
    rows = shapes[inputs[0]][0]
    constants = row = 0
    for name in [*inputs, *(name for node in model.graph.node for name in node.output if name)]:
        shape = shapes.get(name)
        varying = [length for length in shape or [] if not isinstance(length, int)]
        if shape is None or len(varying) > 1 or any(length != rows or not rows for length in varying):
            raise BundleError(f"{path}: the size of {one_line(name)} is not known before it runs")
        count = math.prod(length for length in shape if isinstance(length, int))
        constants, row = (constants, row + count) if varying else (constants + count, row)
    if constants > MAX_VALUES or row > MAX_ROW:
        raise BundleError(
            f"{path}: {constants} constant numbers and {row} an observation; at most {MAX_VALUES} and {MAX_ROW} are run"
        )
