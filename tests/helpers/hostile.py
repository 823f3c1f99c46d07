"""Small files that would do harm: made by hand, for the tests of every reader."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gait_envs.assets import asset_path
from gait_envs.reference.clip import Clip, save_clip
from gait_trainers.policies.bundle import write_checksums

HUGE = 640 << 20  # bytes that a small file expands to
DEEP = "[" * 100_000
LONG = "9" * 5000


def header(shape: tuple[int, ...], descr: str = "<f8") -> bytes:
    """The header of an .npy."""
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def add_zeros(path: Path, key: str, shape: tuple[int, ...], size: int = HUGE) -> Path:
    """An array of zeros in an .npz, thousands of times smaller than in memory; takes the place of what was there."""
    kept = path.with_suffix(".kept")
    block = bytes(1 << 20)
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(kept, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new:
        for name in old.namelist():
            if name != f"{key}.npy":
                new.writestr(name, old.read(name))
        with new.open(f"{key}.npy", "w", force_zip64=True) as member:
            member.write(header(shape))
            for _ in range(size // len(block)):
                member.write(block)
    return kept.replace(path)


def clip(path: Path) -> Path:
    """A whole clip of two joints and four frames."""
    qpos = np.zeros((4, 9))
    qpos[:, 3] = 1.0
    made = Clip(qpos=qpos, qvel=np.zeros((4, 8)), fps=50.0, joint_names=("hip", "knee"), loop=False,
                model="two", source="by hand", license="CC0")  # fmt: skip
    return save_clip(path, made)


def bundle(folder: Path, change: Callable[[dict[str, Any]], Any] | None = None, **files: bytes) -> Path:
    """A bundle of the package with a changed manifest and other files, and the right checksums."""
    shutil.copytree(asset_path("policies/wildrobot_walk/policy.json").parent, folder)
    for name in ("metrics.csv", "config.yaml"):
        (folder / name).unlink()
    if change is not None:
        manifest = json.loads((folder / "policy.json").read_text())
        change(manifest)
        (folder / "policy.json").write_text(json.dumps(manifest))
    for name, data in files.items():
        (folder / name.replace("__", ".")).write_bytes(data)
    write_checksums(folder)
    return folder


def graph(nodes: Any, weights: Mapping[str, np.ndarray], size: int = 37) -> bytes:
    """A network with the inputs and outputs of a policy for nine joints."""
    from onnx import TensorProto, helper, numpy_helper

    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 9])
               for name in ("action", "action_mean", "action_std")]  # fmt: skip
    observation = helper.make_tensor_value_info("observation", TensorProto.FLOAT, ["batch", size])
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()]
    made = helper.make_graph(list(nodes), "policy", [observation], outputs, initializers)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=10).SerializeToString()


def linear(weight: np.ndarray, bias: np.ndarray, more: Any = (), **weights: np.ndarray) -> bytes:
    """A network of one layer; `more` nodes come first."""
    from onnx import helper

    nodes = [*more, helper.make_node("Gemm", ["observation", "w", "b"], ["action_mean"]),
             helper.make_node("Clip", ["action_mean", "low", "high"], ["action"]),
             helper.make_node("Exp", ["action"], ["action_std"])]  # fmt: skip
    limits = {"low": np.float32(-1), "high": np.float32(1)}
    return graph(nodes, {"w": weight, "b": bias, **limits, **weights}, len(weight))


def plain_network() -> bytes:
    """A network that may be read."""
    return linear(np.zeros((37, 9), np.float32), np.zeros(9, np.float32))


def network_of_zeros(rows: int, columns: int) -> bytes:
    """A network that folds two rows of weights to a table of rows × columns before it runs."""
    from onnx import helper

    more = [helper.make_node("Add", ["tall", "wide"], ["table"]),
            helper.make_node("MatMul", ["table", "flat"], ["unused"])]  # fmt: skip
    weights = {"tall": np.zeros((rows, 1), np.float32), "wide": np.zeros((1, columns), np.float32),
               "flat": np.zeros((columns, 1), np.float32)}  # fmt: skip
    return linear(np.zeros((37, 9), np.float32), np.zeros(9, np.float32), more, **weights)
