"""Where metrics go beside `metrics.csv` and the progress line: TensorBoard, and Weights & Biases if asked for.

A sink is a `KVWriter`, which is what Stable-Baselines3's logger writes to: another tracker is a class with its two
methods, and a line in `make_sinks`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from stable_baselines3.common.logger import KVWriter

from gait_envs.reading.text import read_json
from gait_trainers.config.schema import TrainConfig, WandbConfig
from gait_trainers.runs.loggers import TensorBoard
from gait_trainers.runs.run_folder import Run, RunError


def make_sinks(run: Run, config: TrainConfig, done: int, *, resumed: bool) -> list[KVWriter]:
    """The configured ones; `done`: environment steps that have been made."""
    sinks: list[KVWriter] = []
    if config.run.tensorboard:
        sinks.append(TensorBoard(str(run.tensorboard), done + 1 if resumed else None))
    if config.run.wandb.enabled:
        sinks.append(Wandb(run, config.run.wandb, config.model_dump(mode="json")))
    return sinks


class Wandb(KVWriter):
    """Weights & Biases. Its environment variable WANDB_MODE=offline keeps everything in the run folder."""

    def __init__(self, run: Run, wanted: WandbConfig, config: Mapping[str, Any]) -> None:
        try:
            import wandb
        except ModuleNotFoundError:
            raise RunError("run.wandb.enabled needs wandb; install it with: pip install 'gaitnet[wandb]'") from None
        self._run = wandb.init(
            project=wanted.project,
            entity=wanted.entity,
            name=run.path.name,
            id=identity(run),  # a resumed run goes on in the same curves
            resume="allow",
            dir=str(run.path),
            config=dict(config),
        )

    def write(self, key_values: dict[str, Any], key_excluded: dict[str, tuple[str, ...]], step: int = 0) -> None:
        """Numbers only; the step is a metric too, as a resumed run repeats some."""
        numbers = {key: float(value) for key, value in key_values.items() if isinstance(value, int | float | np.number)}
        self._run.log(numbers | {"steps": step})

    def close(self) -> None:
        """Finish the upload, or the file."""
        self._run.finish()


def identity(run: Run) -> str:
    """Of a run, the same each time it is resumed, and another's for a run of the same name."""
    try:
        began = read_json(run.provenance_file, RunError).get("time", "")
    except (OSError, RunError, AttributeError):
        began = ""
    return hashlib.sha256(f"{run.path.name} {began}".encode()).hexdigest()[:16]
