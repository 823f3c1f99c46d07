"""One training of MotionNN: its model, data and optimiser, a step of it, and its state."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gait_trainers.config.section import ConfigError
from gait_trainers.data.windows import MotionStream
from gait_trainers.models.motion import MotionModel, spec_of
from gait_trainers.models.motion.storage import check_size
from gait_trainers.pretrain.motionnn.augment import Style
from gait_trainers.pretrain.motionnn.conditioning import conditions_of
from gait_trainers.pretrain.motionnn.config import MotionConfig
from gait_trainers.pretrain.motionnn.losses import balance, frame_weights, horizon_at, motion_losses
from gait_trainers.pretrain.motionnn.sets import TrainingSet, open_training_set
from gait_trainers.runs.checkpoint_files import restore_optimizer, restore_weights

STATISTICS = 32  # batches of 1,024 frames that the normaliser is fitted to
STATISTICS_OF_CLIPS = ("mean", "std", "change", "moving")  # the model's buffers


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
