"""Run folders of MotionNN, read back: configuration, clips and last checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gait_envs.reading.loaders import FOLDER, loader
from gait_trainers.pretrain.motionnn.config import RESUMABLE, MotionConfig, load_motion_config
from gait_trainers.pretrain.runs import Stored, read_run
from gait_trainers.runs.checkpoint_format import MAX_CHECKPOINT
from gait_trainers.runs.run_folder import RunError


@loader("motion run", FOLDER, ".pt")
def read_motion_run(
    path: str | Path, overrides: Mapping[str, Any] | None = None, limit: int = MAX_CHECKPOINT
) -> Stored[MotionConfig]:
    """A run folder, or one of its checkpoints, which has at most `limit` bytes; RunError or ConfigError names the file
    that cannot be used."""
    stored = read_run(
        path, "motionnn", lambda file, over: load_motion_config(file, None, over), overrides, RESUMABLE, limit
    )
    if not isinstance(stored.origin.get("clips"), str):
        raise RunError(f"{stored.run.provenance_file}: does not say which clips the run was trained on")
    return stored
