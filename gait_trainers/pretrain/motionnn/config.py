"""Settings of `gait-train motionnn`: sections, defaults and bounds."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, model_validator

from gait_envs.constants import MOST_SEED, MOST_THREADS
from gait_envs.reading.loaders import loader
from gait_envs.reading.yaml_text import parse_yaml, read_yaml
from gait_trainers.config.checking import Layer, check_preset, layered, overriding, sections
from gait_trainers.config.motion_network import NetworkSettings
from gait_trainers.config.section import ConfigError, Section

DEFAULT_PRESET = "laptop"
# What may change when a run is resumed: how long, and on what. Anything else would not be the same run.
RESUMABLE = frozenset({"optim.updates", "run.torch_threads"})


class Stage(Section):
    """A part of the training that draws from some kinds of activity only."""

    until: float = Field(gt=0, le=1, description="Share of all updates at which the stage ends.")
    activities: list[Literal["walk", "run", "jump", "other"]] = Field(
        min_length=1, description="Kinds of activity that are drawn from."
    )


class DataConfig(Section):
    """Which clips are trained on, and how they are read."""

    by: Literal["subject", "activity", "clip"] = Field(
        default="subject", description="Grouping that is never shared between training and test."
    )
    held_out: list[str] = Field(default=[], description="Groups kept for the test; empty draws test_share of them.")
    test_share: float = Field(
        default=0.15, ge=0, lt=1, description="Share of the clips that is kept for the test where held_out is empty."
    )
    mirrored: bool = Field(default=True, description="Train on the mirror image of every clip too.")
    style_offset: float = Field(
        default=0.0,
        ge=0,
        description="Augmentation: standard deviation of a constant added to height, pitch, roll and each moving joint "
        "of a window, in standard deviations of that coordinate: the posture of somebody else.",
    )
    style_scale: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Augmentation: largest relative change of each moving joint's amplitude about the mean pose.",
    )
    resident: int = Field(default=256, ge=1, description="Number of clips in memory at a time.")
    refresh: int = Field(default=4, ge=1, description="Batches from one exchange of a clip in memory to the next.")
    workers: int = Field(default=1, ge=0, description="Threads that read clips ahead; 0 reads them when needed.")
    prefetch: int = Field(default=8, ge=1, description="Number of clips that are read ahead.")
    curriculum: list[Stage] = Field(default=[], description="Stages of activities; empty draws from all clips.")

    @model_validator(mode="after")
    def _stages_follow_one_another(self) -> DataConfig:
        ends = [stage.until for stage in self.curriculum]
        if ends and (sorted(set(ends)) != ends or ends[-1] != 1):
            raise ValueError(f"curriculum: the stages end at {ends}, expected rising shares of which the last is 1")
        return self


class ModelConfig(Section):
    """The model."""

    network: Literal["mlp", "gru", "lstm", "transformer", "transformer_reg", "mixture"] = Field(
        default="mlp", description="Kind of network."
    )
    encoding: Literal["qpos", "sixdof", "heading", "observable"] = Field(
        default="heading", description="How the network sees a state."
    )
    conditions: list[Literal["path", "speed", "phase"]] = Field(
        default=[],
        description="What the model is conditioned on: the path ahead, its speed, the phase of the gait. All "
        "are read from the whole clip, whose path is smoothed, so they know its future.",
    )
    settings: NetworkSettings = Field(default=NetworkSettings(), description="Sizes of the network.")


class LossConfig(Section):
    """What is minimised: squared errors of coordinates and rates over one step or over rollouts."""

    position_weight: float = Field(default=1.0, ge=0, description="Weight of the coordinates' squared error.")
    velocity_weight: float = Field(default=0.1, ge=0, description="Weight of the rates' squared error.")
    balance: Literal["none", "variance"] = Field(
        default="none",
        description="variance multiplies the velocity weight by the ratio of the variances of coordinates and rates.",
    )
    rollout: Literal["single", "occasional", "growing"] = Field(
        default="growing",
        description="single: one step. occasional: rollouts of `steps` in a share of the batches, without gradient "
        "from step to step. growing: rollouts from 1 to `horizon` steps, with gradient.",
    )
    share: float = Field(default=0.2, ge=0, le=1, description="Share of the batches with rollouts, of occasional.")
    steps: int = Field(default=5, ge=1, le=1000, description="Length of these rollouts, in frames.")
    horizon: int = Field(default=60, ge=1, le=1000, description="Final length of growing rollouts, in frames.")
    growth: float = Field(default=0.5, gt=0, le=1, description="Share of the updates in which the horizon grows.")
    one_step: float = Field(
        default=0.5, ge=0, le=1, description="Share of the loss that predictions of one step have beside rollouts."
    )
    smoothness: float = Field(default=0.0, ge=0, description="Weight of the squared second difference of predictions.")
    noise: float = Field(
        default=0.02, ge=0, description="Noise on the states a rollout starts from, in deviations of each number."
    )


class OptimConfig(Section):
    """AdamW with a step size that falls to zero along half a cosine."""

    updates: int = Field(default=1000, ge=1, description="Number of updates.")
    batch_frames: int = Field(
        default=8192, ge=2, description="Predicted frames of an update: windows times horizon, within the next two."
    )
    least_windows: int = Field(default=64, ge=1, description="Minimum number of windows of an update.")
    most_windows: int = Field(
        default=1024, ge=1, description="Maximum number of windows of an update; at least least_windows."
    )
    learning_rate: float = Field(default=2e-3, gt=0, description="Step size at first.")
    weight_decay: float = Field(default=1e-4, ge=0, description="Decoupled weight decay.")
    max_grad_norm: float = Field(default=1.0, gt=0, description="Norm to which gradients are clipped.")
    sequence: int = Field(
        default=0, ge=0, le=1024,
        description="Frames of a window before the rollout begins, from which memory is filled; 0: the history of mlp "
        "and mixture, 16 for others.",
    )  # fmt: skip

    @model_validator(mode="after")
    def _least_is_at_most_most(self) -> OptimConfig:
        if self.least_windows > self.most_windows:
            raise ValueError(f"least_windows {self.least_windows} is more than most_windows {self.most_windows}")
        return self


class RunConfig(Section):
    """Everything that is not the learning problem."""

    seed: int = Field(default=0, ge=0, le=MOST_SEED, description="Seed of every random number generator.")
    torch_threads: int = Field(default=1, ge=1, le=MOST_THREADS, description="Threads of torch.")
    log_every: int = Field(default=25, ge=1, description="Updates between rows of metrics.")
    checkpoint_every: int = Field(default=50, ge=1, description="Updates between checkpoints.")
    tensorboard: bool = Field(default=True, description="Write TensorBoard logs to tb/.")


class MotionConfig(Section):
    """The whole configuration of a training."""

    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    run: RunConfig = RunConfig()

    @property
    def context(self) -> int:
        """Given frames of a window, from which the rollout begins."""
        history = self.model.settings.history if self.model.network in ("mlp", "mixture") else 16
        return self.optim.sequence or history


def preset_names() -> list[str]:
    """Names of the presets of `gait-train motionnn`, sorted."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _folder().iterdir() if entry.name.endswith(".yaml"))


@loader("motion configuration", ".yaml")
def load_motion_config(
    file: str | Path | None = None, preset: str | None = None, overrides: Mapping[str, Any] | None = None
) -> MotionConfig:
    """Defaults, then `preset`, `file` and `overrides` ({"loss.horizon": 30}); the later wins. ConfigError names the
    source and the key."""
    layers: list[Layer] = []
    if preset is not None:
        check_preset(preset, preset_names())
        text, where = (_folder() / f"{preset}.yaml").read_text(), f"preset {preset!r}"
        layers.append((where, sections(parse_yaml(text, where, ConfigError), where)))
    if file is not None:
        layers.append((str(file), sections(read_yaml(file, ConfigError), str(file))))
    return layered(MotionConfig, [*layers, *overriding(overrides)], "configuration" if file is None else str(file))


def dump_motion_config(config: MotionConfig) -> str:
    """The configuration as YAML."""
    return yaml.safe_dump(config.model_dump(), sort_keys=False)


def _folder() -> Any:
    return resources.files("gait_trainers.pretrain.motionnn") / "presets"
