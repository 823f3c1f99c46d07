"""Settings of a RefNN's training, and its presets."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import Field, model_validator

from gait_envs.constants import MOST_SEED, MOST_THREADS
from gait_envs.reading.loaders import loader
from gait_envs.reading.yaml_text import read_yaml
from gait_envs.reference.pose_features import POSE_LAYOUT
from gait_envs.reference.refnn.network import MAX_BYTES
from gait_trainers.config.checking import Layer, check_preset, layered, overriding, sections
from gait_trainers.config.section import ConfigError, Section, Sizes


class RefNNConfig(Section):
    """Defaults are Forward GaitNet's, preset `paper`."""

    hidden: Sizes = Field(default=[512, 512, 512], description="Sizes of the hidden layers.")
    learning_rate: float = Field(default=1e-5, gt=0, description="Adam's learning rate at the start.")
    final_learning_rate: float | None = Field(
        default=None, gt=0, description="Learning rate at the end, reached along a cosine; null keeps it constant."
    )
    batch_size: int = Field(default=128, ge=1, description="Rows of one gradient step.")
    epochs: int = Field(default=5, ge=1, description="Passes over the replay buffer in each iteration.")
    replay: int = Field(default=30_000, ge=1, description="Rows of the replay buffer; the newest are kept.")
    stream_batch: int = Field(default=65_536, ge=1, description="Rows that each iteration adds to the replay buffer.")
    stream_scale: int = Field(
        default=100, ge=1, description="Number of such batches that are read and shuffled together."
    )
    resident_files: int = Field(default=8, ge=1, description="Number of data files that are held in memory at once.")
    root_weight: float = Field(default=2.0, ge=0, description="Factor on differences of the root's position.")
    limb_weight: float = Field(default=0.5, ge=0, description="Factor on differences of head and arms, from 57 on.")
    loss_scale: float = Field(default=5.0, gt=0, description="Factor on the mean squared difference.")
    balanced: bool = Field(
        default=False,
        description="Whether differences count in the standard deviations of root turn, step and height and of joints, "
        "and not in their units.",
    )
    gradient_clamp: float = Field(default=0.1, gt=0, description="Bound on every element of the gradient.")
    iterations: int = Field(default=10_000, ge=1, description="Number of iterations.")
    checkpoint_every: int = Field(default=50, ge=1, description="Iterations between two checkpoints.")
    holdout: float = Field(default=0.1, ge=0, lt=1, description="Share of the walkers that are kept from training.")
    seed: int = Field(
        default=0, ge=0, le=MOST_SEED, description="Seed of the weights, of the shuffling and of the held-out walkers."
    )
    torch_threads: int = Field(default=1, ge=1, le=MOST_THREADS, description="Threads of torch.")

    @model_validator(mode="after")
    def _readable(self) -> Self:
        layers = [*self.hidden, POSE_LAYOUT.size]
        count = sum((wide + 1) * out for wide, out in pairwise(layers))
        if 8 * count > MAX_BYTES:
            raise ValueError(f"hidden: a network of {count} numbers or more; at most {MAX_BYTES // 8} are read again")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.final_learning_rate is not None and self.final_learning_rate > self.learning_rate:
            raise ValueError("final_learning_rate is above learning_rate")
        return self


DEFAULT_PRESET = "laptop"
# What may change when a run is resumed: how long, and on what. Anything else would not be the same run.
RESUMABLE = frozenset({"iterations", "torch_threads"})
PRESETS: dict[str, dict[str, Any]] = {
    "paper": {},
    # Converges on two cores within 20 minutes.
    "laptop": {
        "learning_rate": 1e-3,
        "final_learning_rate": 1e-5,
        "batch_size": 128,
        "epochs": 1,
        "stream_batch": 30_000,
        "stream_scale": 4,
        "balanced": True,
        "iterations": 100,
    },
}


@loader("refnn configuration", ".yaml")
def load_refnn_config(
    file: str | Path | None = None, preset: str | None = DEFAULT_PRESET, overrides: Mapping[str, Any] | None = None
) -> RefNNConfig:
    """Defaults, then the preset, then the YAML `file`, then `overrides`; ConfigError names the source and the key."""
    layers: list[Layer] = []
    if preset is not None:
        check_preset(preset, PRESETS)
        layers.append((f"preset {preset!r}", PRESETS[preset]))
    if file is not None:
        layers.append((str(file), sections(read_yaml(file, ConfigError), str(file))))
    return layered(RefNNConfig, [*layers, *overriding(overrides)], "configuration" if file is None else str(file))


def dump_refnn_config(config: RefNNConfig) -> str:
    """As a YAML file that `load_refnn_config` reads."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False)
