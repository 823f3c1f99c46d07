"""Scripts of several trainings, which can be run again after they were interrupted."""

from __future__ import annotations

from pathlib import Path

from gait_trainers.models.motion.storage import FILE
from gait_trainers.pretrain.motionnn.config import MotionConfig
from gait_trainers.pretrain.motionnn.run_folder import read_motion_run
from gait_trainers.pretrain.motionnn.train import resume, train
from gait_trainers.runs.resumption import check_unchanged
from gait_trainers.runs.run_folder import RunError


def resume_or_train_motion(config: MotionConfig, source: str, out: Path) -> Path:
    """The complete run of a motion model: found, continued, or begun where it is not there yet.

    ConfigError where the folder holds a run of another configuration, RunError where it is one on other clips.
    """
    if not (out / "config.yaml").is_file():
        return train(config, source, out)
    stored = read_motion_run(out)
    check_unchanged(config, stored.config, (), "what is asked for now", out, "give the run another name")
    if stored.origin["clips"] != source:
        raise RunError(f"{out}: was trained on {stored.origin['clips']}, not on {source}; give the run another name")
    return out if (out / FILE).is_file() else resume(out)
