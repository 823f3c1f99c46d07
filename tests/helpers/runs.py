"""What two runs left behind, to be compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from gait_trainers.runs.checkpoint import load_checkpoint
from gait_trainers.runs.loggers import read_metrics
from gait_trainers.runs.run_folder import Run


def differences(a: object, b: object, where: str = "") -> list[str]:
    """Paths at which two trees of tensors, arrays and scalars differ in any bit."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [*a, *(key for key in b if key not in a)]
        return [line for key in keys for line in differences(a.get(key), b.get(key), f"{where}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [line for i, pair in enumerate(zip(a, b, strict=True)) for line in differences(*pair, f"{where}/{i}")]
    if isinstance(a, torch.Tensor):
        return [] if isinstance(b, torch.Tensor) and torch.equal(a, b) else [where]
    if isinstance(a, np.ndarray):
        return [] if isinstance(b, np.ndarray) and np.array_equal(a, b, equal_nan=True) else [where]
    return [] if a == b else [where]


def final_state(run: Path) -> dict:
    state = load_checkpoint(Run(run).checkpoints()[-1])
    state.pop("elapsed")  # wall time
    state.pop("config", None)  # holds the name of the run
    return state


def metrics(run: Path) -> list[dict[str, str]]:
    """Rows of metrics.csv without what depends on the clock."""
    clock = ("elapsed", "steps_per_second", "physics_seconds", "policy_seconds", "update_seconds", "cpu_cores",
             "memory_mb", "gpu_memory_mb")  # fmt: skip
    rows = read_metrics(run / "metrics.csv")
    return [{key: value for key, value in row.items() if key not in clock} for row in rows]
