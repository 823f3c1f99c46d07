"""Training of MotionNN: a run folder from clips, and its exact continuation.

RUN/config.yaml, provenance.json, split.json, metrics.csv, tb/, checkpoints/step_<updates>.pt; model.npz, the result.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gait_envs.reference.clip import ClipError
from gait_trainers.learners.base import Column
from gait_trainers.models.motion import save_motion_model
from gait_trainers.models.motion.storage import FILE
from gait_trainers.pretrain.motionnn.config import MotionConfig, dump_motion_config
from gait_trainers.pretrain.motionnn.mean_cycle import MeanCycle
from gait_trainers.pretrain.motionnn.run_folder import read_motion_run
from gait_trainers.pretrain.motionnn.training import Training, build
from gait_trainers.pretrain.runs import KEPT, Stored, beginning, continuing, note_resumption
from gait_trainers.runs.checkpoint_files import fitting, save_checkpoint
from gait_trainers.runs.interruption import ending_gently
from gait_trainers.runs.loggers import MetricsCSV, ProgressDisplay, TensorBoard
from gait_trainers.runs.resumption import complete, elsewhere, interrupted
from gait_trainers.runs.run_folder import Run

SPLIT = "split.json"
COLUMNS = (
    Column("horizon", "{:.0f} steps"),
    Column("loss", "loss {:.3g}"),
    Column("position", "position {:.2g}"),
    Column("velocity", "velocity {:.2g}"),
    Column("frames_per_second", "{:,.0f} frames/s"),
)


def train(config: MotionConfig, source: str, out: Path) -> Path:
    """A new run; its folder."""
    torch.set_num_threads(config.run.torch_threads)
    with beginning(out, config.run.seed, dump_motion_config(config)) as (run, begin):
        training = build(config, source)
        with closing(training.stream):
            begin({"clips": source, "licenses": sorted(_licenses(training))})
            return _run(training, run)


def resume(path: str | Path, overrides: Mapping[str, Any] | None = None, *, by_command: bool = False) -> Path:
    """Continue a run from its last checkpoint, or from a given one, bit for bit; its folder.

    One without a checkpoint begins at its first update. ConfigError where the configuration differs from that of the
    checkpoint in more than `RESUMABLE`, RunError where clips or checkpoint are not those of the run, Locked where
    another process trains there. by_command: say which option of gait-train makes a complete run longer.
    """
    with continuing(path, lambda path: read_motion_run(path, overrides)) as stored:
        torch.set_num_threads(stored.config.run.torch_threads)
        training = restored(stored, stored.origin["clips"])
        with closing(training.stream):
            note_resumption(stored, stored.config.run.seed, dump_motion_config(stored.config), training.update)
            return _run(training, stored.run, by_command)


def restored(stored: Stored[MotionConfig], source: str) -> Training:
    """The training of a run folder as it was at its checkpoint, if there is one; RunError where it does not fit."""
    try:
        training = build(stored.config, source)
    except ClipError as error:
        raise ClipError(f"{error}{elsewhere(error, [source])}") from None
    if stored.checkpoint is not None:
        try:
            with fitting(stored.checkpoint):
                training.set_state(stored.state)
        except BaseException:
            training.stream.close()
            raise
    return training


def _licenses(training: Training) -> set[str]:
    clips = training.chosen.clips
    return {clips[i].license for i in range(len(clips))}


def _run(training: Training, run: Run, by_command: bool = False) -> Path:
    config, done = training.config, training.update
    total = config.optim.updates
    if not (run.path / SPLIT).exists():
        training.chosen.save_split(run.path / SPLIT)
    display = ProgressDisplay(total, done, COLUMNS, "training")
    if done >= total:
        display.say(complete(run.path, "--updates N" if by_command else None))
    csv = MetricsCSV(run.metrics_file, done)
    board = TensorBoard(str(run.tensorboard), done + 1 if done else None) if config.run.tensorboard else None
    writers = [csv, display, *([board] if board else [])]
    saved, mark = done, time.monotonic()

    def save() -> None:
        nonlocal saved
        if training.update > saved:
            save_checkpoint(run, training.get_state(), training.update, KEPT)
            saved = training.update

    try:
        with ending_gently() as asked:
            while training.update < total:
                training.window.append(training.step())
                now = time.monotonic()
                training.pending, mark = training.pending + now - mark, now
                due = training.update % config.run.log_every == 0 or training.update == total
                row = _row(training) if due else {}
                ends = asked()
                if ends:
                    save()  # first, as Ctrl-C may have ended what is written to
                for writer in writers if row else ():
                    writer.write(dict(row), dict.fromkeys(row, ()), training.update)
                if training.update % config.run.checkpoint_every == 0 and training.update < total:
                    save()
                if ends and training.update < total:
                    raise KeyboardInterrupt
            save_motion_model(run.path / FILE, training.model, _extras(training))
            save()
    except KeyboardInterrupt:
        display.say(interrupted("motionnn", run.path, f"update {saved}", saved == total))
        raise
    finally:
        display.close()
        if board:
            board.close()
    return run.path


def _row(training: Training) -> dict[str, float]:
    """Means of the metrics since the row before, which begin again."""
    window, seconds = training.window, training.pending
    training.window, training.pending = [], 0.0
    training.seconds += seconds
    row = {f"motion/{key}": float(np.mean([one[key] for one in window])) for key in window[0]}
    row["motion/frames_per_second"] = sum(one["frames"] for one in window) / seconds
    return row | {"time/iteration": training.update, "time/elapsed": training.seconds}


def _extras(training: Training) -> dict[str, Any]:
    """What evaluation and generation need beside the model."""
    frames = training.stream.frames
    pose = frames.state[:, : frames.state.shape[1] // 2].mean(0)
    licenses = "; ".join(sorted(_licenses(training)))[:1000]
    told = {"mean_pose": pose, "license": licenses, "seed": training.config.run.seed}
    return MeanCycle.fitted(training.stream).extras() | told
