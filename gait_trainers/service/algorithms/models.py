"""Models that are fitted to motions, without any simulation: motionnn, refnn.

Uploaded captures name neither subject nor activity. Hence clips are held out one by one, and no curriculum by activity
is offered.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gait_envs.reference.library import EMBEDDED_SETS
from gait_trainers.config.section import ConfigError
from gait_trainers.pretrain.motionnn.config import (
    DEFAULT_PRESET,
    MotionConfig,
    dump_motion_config,
    load_motion_config,
    preset_names,
)
from gait_trainers.pretrain.refnn.config import PRESETS, RefNNConfig, dump_refnn_config, load_refnn_config
from gait_trainers.service.algorithms.contract import Algorithm, Command, Plan, invalid
from gait_trainers.service.algorithms.fields import Field, of_section
from gait_trainers.service.algorithms.request import StartRequest
from gait_trainers.service.errors import Invalid

CLIPS, SEQUENCES, CONFIG = "clips", "sequences.npz", "config.yaml"  # under the results of a session
LIBRARIES_MB = 500
SIZES = "model.settings."  # before the key of a size of the network


@dataclass(frozen=True)
class ModelTraining(Algorithm):
    """A training on clips that are gathered in a folder first (`jobs/pretrain.py`)."""

    def start(self, run: Path, results: Path, clips: Sequence[str]) -> Command:
        """Gather the clips, then begin."""
        return ("gait_trainers.service.jobs.pretrain", self.name, str(run), str(results), *clips)

    @abstractmethod
    def commands(self, run: Path, results: Path) -> list[Command]:
        """What is run once the clips are gathered, one after another; the last is the training."""

    def begun(self, run: Path) -> bool:
        """From its first checkpoint on, or from the start where there is none yet."""
        return (run / "config.yaml").is_file()

    def resume(self, run: Path, results: Path, iterations: int) -> Command:
        """The run folder names its data."""
        return ("gait_trainers", self.name, "--resume", str(run))

    def after(self, kind: str, run: Path, results: Path) -> Command:
        """The model's files and its evaluation."""
        return ("gait_trainers.service.jobs.models", self.name, str(run), str(results))

    def check_motions(self, clips: Sequence[str]) -> None:
        """Invalid where there is nothing to learn from."""
        if not clips:
            raise Invalid(f"{self.name} is fitted to motions; choose at least one", "motions")


@dataclass(frozen=True)
class MotionNNTraining(ModelTraining):
    """`gait-train motionnn`."""

    simple: ClassVar = (
        "optim.updates", "optim.batch_frames", "optim.learning_rate", "model.network", "model.settings.hidden",
        "loss.horizon", "run.seed",
    )  # fmt: skip
    named: ClassVar = {
        "iterations": ("optim.updates",), "batch_size": ("optim.batch_frames",),
        "learning_rate": ("optim.learning_rate",), "hidden_sizes": ("model.settings.hidden",), "seed": ("run.seed",),
    }  # fmt: skip
    unit: ClassVar = "updates"
    usual: ClassVar = {"data.by": "clip", "data.curriculum": [], "run.tensorboard": False}

    def base(self, preset: str | None = None, env: str | None = None) -> MotionConfig:
        """Of a preset, with one clip as the unit that is held out."""
        self.check_choice(preset, env)
        return load_motion_config(None, preset or self.preset, self.usual)

    def form(self, preset: str | None = None, env: str | None = None) -> list[Field]:
        """Of the sections of the configuration."""
        config = self.base(preset, env)
        sections = {
            "run": config.run, "optim": config.optim, "model": config.model, "model.settings": config.model.settings,
            "loss": config.loss, "data": config.data,
        }  # fmt: skip
        fields = [field for key, section in sections.items() for field in of_section(key, section, self.simple)]
        return sorted(fields, key=lambda field: field.advanced)

    def plan(self, request: StartRequest, clips: Sequence[str]) -> Plan:
        """One motion alone cannot be divided into training and test."""
        overrides = self.usual | self.overrides(request)
        self.check_motions(clips)
        try:
            config = load_motion_config(None, request.preset or self.preset, overrides)
        except ConfigError as error:
            raise invalid(error, overrides) from None
        own = config.model.settings.of(config.model.network)
        for key in overrides:
            if key.startswith(SIZES) and key.removeprefix(SIZES) not in own:
                name = key if key in request.settings else "hidden_sizes"
                raise Invalid(f"a network of kind {config.model.network} has no {key.removeprefix(SIZES)}", name)
        if config.data.test_share and len(clips) == 1 and clips[0] not in EMBEDDED_SETS.values():
            raise Invalid("one motion cannot be trained on and held out; choose two, or data.test_share 0", "motions")
        body, cores = request.env or self.env_id, float(config.run.torch_threads)
        memory, disk = motion_memory_mb(config), disk_mb(motion_parameters(config), config.optim.updates)
        return Plan(config, body, config.optim.updates, 1, cores, memory, disk)

    def written(self, tree: Mapping[str, Any]) -> str:
        """As `gait-train motionnn --config` reads it."""
        return dump_motion_config(MotionConfig.model_validate(dict(tree)))

    def commands(self, run: Path, results: Path) -> list[Command]:
        """The training alone."""
        words = (str(results / CLIPS), "--out", str(run), "--config", str(results / CONFIG))
        return [("gait_trainers", "motionnn", *words)]


@dataclass(frozen=True)
class RefNNTraining(ModelTraining):
    """`gait-data augment`, then `gait-train refnn`."""

    simple: ClassVar = ("iterations", "epochs", "batch_size", "learning_rate", "hidden", "holdout", "seed")
    named: ClassVar = {
        "iterations": ("iterations",), "epochs": ("epochs",), "batch_size": ("batch_size",),
        "learning_rate": ("learning_rate",), "hidden_sizes": ("hidden",), "seed": ("seed",),
    }  # fmt: skip
    unit: ClassVar = "iterations"

    def base(self, preset: str | None = None, env: str | None = None) -> RefNNConfig:
        """Of a preset."""
        self.check_choice(preset, env)
        return load_refnn_config(None, preset or str(self.preset))

    def form(self, preset: str | None = None, env: str | None = None) -> list[Field]:
        """Of the configuration, which has no sections."""
        fields = of_section("", self.base(preset, env), self.simple)
        return sorted(fields, key=lambda field: field.advanced)

    def plan(self, request: StartRequest, clips: Sequence[str]) -> Plan:
        """Whether the motions are steady walks is found out by the process."""
        overrides = self.overrides(request)
        self.check_motions(clips)
        try:
            config = load_refnn_config(None, request.preset or str(self.preset), overrides)
        except ConfigError as error:
            raise invalid(error, overrides) from None
        body, disk = request.env or self.env_id, disk_mb(refnn_parameters(config), config.iterations)
        cores = float(config.torch_threads)
        return Plan(config, body, config.iterations, 1, cores, refnn_memory_mb(config), disk)

    def written(self, tree: Mapping[str, Any]) -> str:
        """As `gait-train refnn --config` reads it."""
        return dump_refnn_config(RefNNConfig.model_validate(dict(tree)))

    def commands(self, run: Path, results: Path) -> list[Command]:
        """Sequences of two gait cycles of all clips, whatever they are said to show; then the training."""
        clips, sequences = str(results / CLIPS), str(results / SEQUENCES)
        return [
            ("gait_envs.mocap.cli", "augment", clips, "--out", sequences, "--activity", ""),
            ("gait_trainers", "refnn", sequences, "--out", str(run), "--config", str(results / CONFIG)),
        ]


MOTION_NN = MotionNNTraining(
    "motionnn", "Predict the next state of a body from the present one.", "model", "humanoid",
    ("humanoid", "wildrobot"), DEFAULT_PRESET, tuple(preset_names()), True,
)  # fmt: skip
REF_NN = RefNNTraining(
    "refnn", "Make reference motion of steady walks from stride, cadence and phase.", "model", "humanoid",
    ("humanoid",), "laptop", tuple(PRESETS), True,
)  # fmt: skip


# -- what it takes ---------------------------------------------------------------------------------------------


def motion_parameters(config: MotionConfig) -> int:
    """About how many numbers the network has, for inputs and outputs of our bodies."""
    network, sizes = config.model.network, config.model.settings
    if network in ("mlp", "mixture"):
        layers = [120 * sizes.history, *sizes.hidden, 60]
        return sum(a * b for a, b in itertools.pairwise(layers)) * (sizes.experts if network == "mixture" else 1)
    return 200 * sizes.width + 12 * sizes.layers * sizes.width**2


def motion_memory_mb(config: MotionConfig) -> int:
    """Libraries, weights with gradients and moments, and what a batch leaves behind for its gradient."""
    optim, sizes = config.optim, config.model.settings
    context = optim.sequence or 16
    frames = max(optim.batch_frames, optim.least_windows * (context + config.loss.horizon))
    wide = sum(sizes.hidden) if config.model.network in ("mlp", "mixture") else 12 * sizes.layers * sizes.width
    return int(LIBRARIES_MB + (frames * (500 + 3 * wide) * 4 + 16 * motion_parameters(config)) / 1e6)


def refnn_parameters(config: RefNNConfig) -> int:
    """About how many numbers the network has."""
    return sum(a * b for a, b in itertools.pairwise([10, *config.hidden, 101]))


def refnn_memory_mb(config: RefNNConfig) -> int:
    """Libraries, weights, and rows that are read, joined and shuffled together, and those of the replay buffer."""
    rows = 3 * config.stream_batch * config.stream_scale + 2 * config.replay
    return int(LIBRARIES_MB + (rows * 110 * 4 + 16 * refnn_parameters(config)) / 1e6)


def disk_mb(parameters: int, iterations: int) -> int:
    """About how much disk a run folder takes: two checkpoints and the model, and metrics."""
    return int(5 + 3 * 12 * parameters / 1e6 + iterations * 200 / 1e6)
