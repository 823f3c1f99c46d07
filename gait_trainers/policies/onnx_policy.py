"""Policies and discriminators as ONNX graphs, run by ONNX Runtime; needs no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.errors import one_line
from gait_envs.reading.text import read_bytes
from gait_trainers.policies.base import BundleError, Feedforward, Style
from gait_trainers.policies.onnx_check import MAX_MODEL

OUTPUTS = ("action", "action_mean", "action_std")  # of a policy's graph, whose one input is "observation"


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


def onnx_network(path: Path, data: bytes | None = None) -> Feedforward:
    """The graph of a policy: observations (n, d) float32 -> unclipped mean and std (n, nu)."""
    session = open_session(path, data)
    inputs, outputs = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]
    if inputs != ["observation"] or tuple(outputs) != OUTPUTS:
        raise BundleError(f"{path}: maps {inputs} to {outputs}, expected ['observation'] to {list(OUTPUTS)}")

    def forward(obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, std = session.run(["action_mean", "action_std"], {"observation": obs})
        return mean, std

    return Feedforward(forward)


def onnx_style(path: Path, frames: int, data: bytes | None = None, dilation: int = 1) -> Style:
    """The graph of a discriminator that scores windows of so many frames, so many steps apart."""
    session = open_session(path, data)
    inputs, outputs = [i.name for i in session.get_inputs()], [o.name for o in session.get_outputs()]
    if inputs != ["features"] or outputs != ["score"]:
        raise BundleError(f"{path}: maps {inputs} to {outputs}, expected ['features'] to ['score']")
    return Style(frames, lambda windows: session.run(["score"], {"features": windows})[0], dilation)
