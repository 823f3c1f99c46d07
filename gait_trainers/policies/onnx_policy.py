"""Policies and discriminators as ONNX graphs, run by ONNX Runtime; needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.errors import one_line
from gait_envs.reading.text import read_bytes
from gait_trainers.policies.base import BundleError, State, Style, check_observations
from gait_trainers.policies.onnx_check import MAX_MODEL

OUTPUTS = ("action", "action_mean", "action_std")  # of a policy's graph, before those of its state
MEMORIES = ((), ("hidden", "cell"), ("hidden",), ("window",))  # arrays of the state of the policies that there are


def open_session(path: Path, data: bytes | None = None) -> Any:
    """An ONNX Runtime session on one thread: these networks are far too small to share.

    `data`: the file's bytes where they have been read already, so that what was checked is what runs.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised
    model = read_bytes(path, BundleError, MAX_MODEL) if data is None else data
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exception classes are private
        raise BundleError(f"{path}: not a usable ONNX network: {one_line(error)}") from None


class OnnxNetwork:
    """The graph of a policy: observations (n, d) float32 -> unclipped mean and std (n, nu), and the next state."""

    def __init__(self, path: Path, data: bytes | None = None) -> None:
        """BundleError for a graph whose inputs and outputs are not those of a policy."""
        self.session = open_session(path, data)
        inputs, outputs = self.session.get_inputs(), [output.name for output in self.session.get_outputs()]
        found = [input.name for input in inputs]
        self.names = next((names for names in MEMORIES if found == graph_inputs(names)), ())
        if found != graph_inputs(self.names) or outputs != graph_outputs(self.names):
            expected = graph_inputs(self.names), graph_outputs(self.names)
            raise BundleError(f"{path}: maps {found} to {outputs}, expected {expected[0]} to {expected[1]}")
        self.shapes = {input.name: tuple(input.shape[1:]) for input in inputs if input.name in self.names}  # of a row

    def initial_state(self, n: int) -> State:
        """Zeros, (n, …) for each array of the state; () without a memory."""
        return tuple(np.zeros((n, *self.shapes[name]), np.float32) for name in self.names)

    def __call__(self, obs: np.ndarray, state: State, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray, State]:
        mean, std, *following = self.run(graph_outputs(self.names)[1:], obs, state, starts)
        return mean, std, tuple(following)

    def run(self, outputs: Sequence[str], obs: np.ndarray, state: State, starts: np.ndarray) -> list[np.ndarray]:
        """The outputs of these names; PolicyError for observations of another size."""
        check_observations(obs, self.session.get_inputs()[0].shape[-1])
        memory = (np.asarray(starts, dtype=bool), *state) if self.names else ()
        feed = dict(zip(graph_inputs(self.names), (obs, *memory), strict=True))
        found: list[np.ndarray] = self.session.run(list(outputs), feed)
        return found


def graph_inputs(states: Sequence[str]) -> list[str]:
    """Names of the inputs of a policy's graph, by those of the arrays of its state."""
    return ["observation", *(["start", *states] if states else [])]


def graph_outputs(states: Sequence[str]) -> list[str]:
    """Names of its outputs."""
    return [*OUTPUTS, *(f"next_{name}" for name in states)]


def onnx_style(path: Path, frames: int, data: bytes | None = None, dilation: int = 1) -> Style:
    """The graph of a discriminator that scores windows of so many frames, so many steps apart."""
    session = open_session(path, data)
    inputs, outputs = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]
    if inputs != ["features"] or outputs != ["score"]:
        raise BundleError(f"{path}: maps {inputs} to {outputs}, expected ['features'] to ['score']")
    return Style(frames, lambda windows: session.run(["score"], {"features": windows})[0], dilation)
