"""Training of MotionNN: a run folder from clips, and its exact continuation.

RUN/config.yaml, provenance.json, split.json, metrics.csv, tb/, checkpoints/step_<updates>.pt; model.npz, the result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gait_envs.reference.clip import ClipError
from gait_trainers.config.section import ConfigError
from gait_trainers.data.windows import MotionStream
from gait_trainers.learners.base import Column
from gait_trainers.models.motion import MotionModel, save_motion_model, spec_of
from gait_trainers.models.motion.storage import FILE, check_size
from gait_trainers.pretrain.motionnn.augment import Style
from gait_trainers.pretrain.motionnn.conditioning import conditions_of
from gait_trainers.pretrain.motionnn.config import MotionConfig, dump_motion_config
from gait_trainers.pretrain.motionnn.losses import balance, frame_weights, horizon_at, motion_losses
from gait_trainers.pretrain.motionnn.mean_cycle import MeanCycle
from gait_trainers.pretrain.motionnn.run_folder import read_motion_run
from gait_trainers.pretrain.motionnn.sets import TrainingSet, open_training_set
from gait_trainers.pretrain.runs import KEPT, Stored, beginning, continuing, note_resumption
from gait_trainers.runs.checkpoint_files import fitting, restore_optimizer, restore_weights, save_checkpoint
from gait_trainers.runs.interruption import ending_gently
from gait_trainers.runs.loggers import MetricsCSV, ProgressDisplay, TensorBoard
from gait_trainers.runs.resumption import complete, elsewhere, interrupted
from gait_trainers.runs.run_folder import Run

SPLIT = "split.json"
STATISTICS = 32  # batches of 1,024 frames that the normaliser is fitted to
STATISTICS_OF_CLIPS = ("mean", "std", "change", "moving")  # the model's buffers
COLUMNS = (
    Column("horizon", "{:.0f} steps"),
    Column("loss", "loss {:.3g}"),
    Column("position", "position {:.2g}"),
    Column("velocity", "velocity {:.2g}"),
    Column("frames_per_second", "{:,.0f} frames/s"),
)


@dataclass
class Training:
    """A training between two updates."""

    config: MotionConfig
    source: str  # of the clips
    stream: MotionStream
    chosen: TrainingSet
    model: MotionModel
    optimizer: torch.optim.Optimizer
    generator: torch.Generator  # of noise
    rng: np.random.Generator  # of the choice of rollouts
    ratio: float = 1.0  # of the variances of coordinates and rates
    noise: Tensor | None = None  # (2 C,) deviation of the noise
    style: Style = field(default_factory=Style)
    window: list[dict[str, float]] = field(default_factory=list)  # metrics since the last row of them
    update: int = 0
    seconds: float = 0.0  # until the last row
    pending: float = 0.0  # s since then

    def steps(self) -> tuple[int, bool]:
        """Length of the next rollout, and whether gradients stop between its steps."""
        loss = self.config.loss
        if loss.rollout == "growing":
            return horizon_at(self.update, self.config.optim.updates, loss.horizon, loss.growth), False
        long = loss.rollout == "occasional" and self.rng.random() < loss.share
        return (loss.steps if long else 1), True

    def step(self) -> dict[str, float]:
        """One update; its metrics."""
        loss, optim, context = self.config.loss, self.config.optim, self.config.context
        self._enter_stage()
        steps, detach = self.steps()
        count = min(max(optim.batch_frames // (context + steps - 1), optim.least_windows), optim.most_windows)
        windows = self.stream.draw(count, context + steps)
        states = torch.from_numpy(self.style.vary(windows.state, self.rng))
        given = states[:, :context]
        if self.noise is not None:
            given = given + self.noise * torch.randn(given.shape, generator=self.generator)
        predicted = self.model.unroll(given, steps, conditions_of(windows), detach)
        weight = frame_weights(torch.from_numpy(windows.valid[:, 1:]), context, loss.one_step)
        terms = motion_losses(predicted, states[:, 1:], weight, before_first(states[:, 0], self.model.spec.fps))
        total = (
            loss.position_weight * terms.position
            + loss.velocity_weight * self.ratio * terms.velocity
            + loss.smoothness * terms.smoothness
        )
        for group in self.optimizer.param_groups:
            group["lr"] = optim.learning_rate * 0.5 * (1 + math.cos(math.pi * self.update / optim.updates))
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), optim.max_grad_norm)
        self.optimizer.step()
        self.update += 1
        return {
            "loss": float(total.detach()),
            **{key: float(value.detach()) for key, value in terms._asdict().items()},
            "gradient_norm": float(norm),
            "horizon": steps,
            "windows": count,
            "frames": count * (context + steps - 1),
        }

    def _enter_stage(self) -> None:
        """Draw from the activities of the stage that this update belongs to."""
        for stage in self.config.data.curriculum:
            if self.update < stage.until * self.config.optim.updates or stage.until == 1:
                allowed = self.chosen.of_kinds(stage.activities)
                if allowed != self.stream.allowed.tolist():
                    self.stream.begin(allowed)
                return

    # -- exact resume -------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """All that the rest of the training depends on."""
        return {
            "config": self.config.model_dump(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "stream": self.stream.get_state(),
            "generator": self.generator.get_state(),
            "torch": torch.get_rng_state(),  # of dropout
            "rng": self.rng.bit_generator.state,
            "ratio": self.ratio,
            "noise": self.noise,
            "window": self.window,
            "update": self.update,
            "seconds": self.seconds,
            "pending": self.pending,
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Put `get_state`'s result into a training that was built from the same configuration and clips. What does not
        fit raises one of many kinds of errors."""
        self._check_same_clips(state["model"])
        update, seconds = state["update"], float(state["seconds"])
        pending = float(state.get("pending", 0))  # checkpoints of earlier versions have none
        if type(update) is not int or update < 0 or not 0 <= seconds < math.inf or not 0 <= pending < math.inf:
            raise ValueError(f"update is {update!r} after {seconds!r} s and {pending!r} s")
        ratio, noise = float(state["ratio"]), state["noise"]
        if not 0 <= ratio < math.inf or (noise is None) != (self.noise is None):
            raise ValueError("ratio or noise is not of this training")
        if self.noise is not None and (noise.shape != self.noise.shape or not bool(noise.isfinite().all())):
            raise ValueError(f"noise is no tensor of {len(self.noise)} finite numbers")
        restore_weights(self.model, state["model"])
        restore_optimizer(self.optimizer, state["optimizer"])
        self.stream.set_state(state["stream"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["torch"])
        self.rng.bit_generator.state = state["rng"]
        self.window = [dict(row) for row in state.get("window", [])]  # checkpoints of earlier versions have none
        self.ratio, self.noise, self.update = ratio, noise, update
        self.seconds, self.pending = seconds, pending

    def _check_same_clips(self, weights: Mapping[str, Tensor]) -> None:
        """ValueError where the clips, of which normaliser, balance and noise were fitted, are no longer the same."""
        for name in STATISTICS_OF_CLIPS:
            fitted, stored = self.model.get_buffer(name), weights[name]
            if fitted.shape != stored.shape or not torch.allclose(fitted, stored, rtol=1e-4, atol=1e-6):
                raise ValueError(f"the clips are not those that the run was begun with: their {name} differs")


def before_first(state: Tensor, fps: float) -> Tensor:
    """The state before a given one (n, 2 C), had it moved at the same rates, and the given one; (n, 2, 2 C)."""
    size = state.shape[-1] // 2
    rate = state[:, size:]
    return torch.stack([torch.cat([state[:, :size] - rate / fps, rate], -1), state], 1)


def build(config: MotionConfig, source: str) -> Training:
    """A training before its first update, with statistics of the data."""
    chosen = open_training_set(source, config.data, config.run.seed)
    for stage in config.data.curriculum:
        if not chosen.of_kinds(stage.activities):
            raise ConfigError(f"data.curriculum: no clip shows {' or '.join(stage.activities)}")
    torch.manual_seed(config.run.seed)
    data = config.data
    stream = MotionStream(
        chosen.clips, resident=data.resident, refresh=data.refresh, workers=data.workers, prefetch=data.prefetch,
        mirrored=data.mirrored, seed=config.run.seed,
    )  # fmt: skip
    model_config = config.model
    spec = spec_of(
        stream.robot, model_config.network, model_config.encoding, model_config.conditions, model_config.settings
    )
    try:
        check_size(spec)
    except ValueError as error:
        raise ConfigError(f"model.settings: {error}") from None
    model = MotionModel(spec)
    optim = config.optim
    optimizer = torch.optim.AdamW(model.parameters(), lr=optim.learning_rate, weight_decay=optim.weight_decay)
    training = Training(
        config, source, stream, chosen, model, optimizer,
        torch.Generator().manual_seed(config.run.seed), np.random.default_rng([config.run.seed, 2]),
    )  # fmt: skip
    _fit_statistics(training)
    return training


def _fit_statistics(training: Training) -> None:
    """Normaliser, balance of the loss and size of the noise, from windows of two seconds."""
    windows = [training.stream.draw(16, 60) for _ in range(STATISTICS)]
    model, loss = training.model, training.config.loss
    with torch.no_grad():
        states = torch.cat([torch.from_numpy(w.state) for w in windows])
        told = {key: torch.cat([conditions_of(w)[key] for w in windows]) for key in ("path", "speed", "phase")}
        valid = torch.from_numpy(np.concatenate([w.valid[:, 1:] for w in windows]))
        inputs = model.inputs(states[:, :-1], told)
        now, following = states[:, :-1][valid], states[:, 1:][valid]
        model.fit_normalizer(now, following, inputs[valid])
        data = training.config.data
        training.style = Style.of(now.numpy(), model.moving.numpy() > 0, data.style_offset, data.style_scale)
        if loss.balance == "variance":
            training.ratio = balance(now)
        if loss.noise:
            deviation = now.std(0)
            deviation[[0, 1, 3]] = 0.0  # x, y and yaw, which mean nothing to a body on a plain
            training.noise = loss.noise * deviation


# -- runs -------------------------------------------------------------------------------------------------


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
