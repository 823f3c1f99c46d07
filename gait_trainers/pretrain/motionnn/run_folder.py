"""Run folders of MotionNN, read back: configuration, clips and last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from gait_envs.reading.loaders import FOLDER, loader
from gait_envs.reading.text import read_bytes, read_json
from gait_trainers.models.motion.storage import ModelError
from gait_trainers.pretrain.motionnn.config import MotionConfig, load_motion_config
from gait_trainers.runs.checkpoint_format import MAX_CHECKPOINT, Damaged, decode


class MotionRun(NamedTuple):
    """What a training continues from."""

    config: MotionConfig
    clips: str  # source of the clips
    state: Mapping[str, Any] | None  # of the last checkpoint; None before the first


def checkpoint_file(out: Path, update: int) -> Path:
    """The checkpoint after this many updates."""
    return out / "checkpoints" / f"step_{update:012d}.pt"


def checkpoints(out: Path) -> list[Path]:
    """Checkpoints of a run, oldest first."""
    return sorted((out / "checkpoints").glob("step_*.pt"))


@loader("motion run", FOLDER)
def read_motion_run(out: Path) -> MotionRun:
    """A run folder; ModelError or ConfigError names the file that cannot be used."""
    file, origin_file = out / "config.yaml", out / "provenance.json"
    if not file.is_file():
        raise ModelError(f"{out} is not a run of motionnn: it has no config.yaml")
    config = load_motion_config(file)
    origin = read_json(origin_file, ModelError)
    if not isinstance(origin, dict) or not isinstance(origin.get("clips"), str):
        raise ModelError(f"{origin_file}: does not say which clips the run was trained on")
    files = checkpoints(out)
    return MotionRun(config, origin["clips"], _state(files[-1], config) if files else None)


def _state(file: Path, config: MotionConfig) -> Mapping[str, Any]:
    try:
        state = decode(read_bytes(file, ModelError, MAX_CHECKPOINT))
    except Damaged as error:
        raise ModelError(f"{file} cannot be read as a checkpoint: {error}") from error
    if state.get("config") != config.model_dump():
        raise ModelError(f"{file}: its configuration is not that of config.yaml beside it")
    return state
