"""Failure-driven resampling in a training: evaluate every clip, set how clips are drawn, begin all episodes again."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback

from gait_envs.files import replacing
from gait_envs.reference.library import weights_from_failures
from gait_trainers.config.schema import ConfigError, TrainConfig
from gait_trainers.evaluation.tracking import ERRORS, Reference, evaluate_tracking, open_reference
from gait_trainers.learners.base import Learner
from gait_trainers.learners.resampling import (
    ResamplingConfig,
    remembered,
    start_weights,
    stretches,
    worst_third,
)
from gait_trainers.policies.torch_policy import live_policy
from gait_trainers.rl.sb3_vec import SB3VecEnv

SEED = 2_000_003  # of the evaluations' episodes: the same each time, and different from those of training
FIGURES = ("success_rate", "progress", *ERRORS, "acceleration_error")  # of each clip


class Resampling(Learner):
    """Counts failures, and draws clips and starts by them."""

    def __init__(self, config: TrainConfig, base: SB3VecEnv) -> None:
        self.config, self.base = config, base
        self.settings: ResamplingConfig = config.section("resampling")
        self.rules = {"max_distance": self.settings.max_distance, "distance_rule": self.settings.distance_rule}
        library = getattr(base.env.unwrapped.core.task, "library", None)  # type: ignore[attr-defined]
        if library is None:
            raise ConfigError(f"resampling needs an environment that follows clips; {config.env.id!r} follows none")
        self.library = library
        self.frames = max(1, round(self.settings.stretch * library.fps))
        self.failures = np.zeros(len(library.names))  # (clips,) of the evaluations
        self.counts = stretches(library.lengths, self.frames)  # (clips,)
        self.offsets = np.concatenate([[0], np.cumsum(self.counts)])
        self.fell = np.zeros(self.offsets[-1])  # in each stretch of each clip, since the last evaluation
        self.start_failures = np.zeros(self.offsets[-1])  # and before
        self.evaluated = 0  # the iteration after which all clips were evaluated last
        self.pending: list[dict[str, Any]] = []  # evaluations that no file holds yet
        self.callback = ResamplingCallback(self)
        self._reference: Reference | None = None

    # -- between two rollouts -------------------------------------------------------------------------------

    def open(self, model: Any) -> None:
        """Read the clips to evaluate when training reads its own: files may change while it runs."""
        self._reference = open_reference(live_policy(model, self.config), None, self.rules)

    def evaluate(self, model: Any, iteration: int) -> np.ndarray:
        """Success of every clip, (clips,), deterministic and from its first frame; logged, and kept for a file."""
        found = evaluate_tracking(
            live_policy(model, self.config), seed=SEED, env_kwargs=self.rules, threads=self.config.env.threads,
            opened=self._reference,
        )  # fmt: skip
        rows = [
            {"clip": row["clip"], **{key: row[key] for key in FIGURES}, "weight": float(weight)}
            for row, weight in zip(found["per_clip"], self.library.weights, strict=True)
        ]
        self.pending.append({"iteration": iteration, "clips": rows})
        success = np.array([row["success_rate"] for row in rows])
        figures = {"success_rate": found["success_rate"], "worst_third": worst_third(success)}
        for key, value in (figures | {key: found[key] for key in (*ERRORS, "acceleration_error")}).items():
            if value is not None:
                model.logger.record(f"clips/clip_{key}", value)
        return success

    def resample(self, success: np.ndarray) -> None:
        """Weights from what has failed so far."""
        settings = self.settings
        self.failures = remembered(self.failures, 1.0 - success, settings.memory)
        self.start_failures = remembered(self.start_failures, self.fell, settings.memory)
        self.fell = np.zeros_like(self.fell)
        if settings.clips == "failures":
            self.library.set_weights(weights_from_failures(self.failures, settings.floor))
        self._set_starts()

    def count(self, clip: np.ndarray, frame: np.ndarray) -> None:
        """Failures in training, at these frames (k,) of these clips (k,)."""
        last = np.maximum(self.library.lengths[clip] - 1, 1)
        inside = np.where(self.library.loops[clip], frame % last, np.minimum(frame, last - 1))  # a loop goes on
        np.add.at(self.fell, self.offsets[clip] + inside // self.frames, 1.0)

    def _set_starts(self) -> None:
        if self.settings.starts == "failures":
            each = np.split(self.start_failures, self.offsets[1:-1])
            self.library.set_starts([start_weights(part, self.settings.floor) for part in each], self.frames)

    # -- contract -------------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        arrays = {key: getattr(self, key).copy() for key in ("failures", "fell", "start_failures")}
        return arrays | {"weights": self.library.weights.copy(), "evaluated": self.evaluated, "pending": self.pending}

    def set_state(self, state: Mapping[str, Any]) -> None:
        for key in ("failures", "fell", "start_failures"):
            getattr(self, key)[:] = state[key]
        self.evaluated, self.pending = int(state["evaluated"]), list(state["pending"])
        self.library.restore_weights(np.array(state["weights"]))
        if self.evaluated:
            self._set_starts()

    def save_files(self, checkpoint: Path) -> None:
        """clips/iteration_<number>.csv in the run folder: the figures of every clip, the worst first."""
        for evaluation in self.pending:
            folder = checkpoint.parent.parent / "clips"
            folder.mkdir(exist_ok=True)
            file = folder / f"iteration_{evaluation['iteration']:06d}.csv"
            with replacing(file) as temporary, open(temporary, "w", newline="") as out:
                writer = csv.DictWriter(out, ["clip", *FIGURES, "weight"])
                writer.writeheader()
                writer.writerows(sorted(evaluation["clips"], key=lambda row: (row["success_rate"], row["progress"])))
        self.pending = []


class ResamplingCallback(BaseCallback):
    """Evaluates and resamples before the rollout that follows every so many iterations, and evaluates at the end.

    It is called before the trainer's own callback, which closes the iteration: its figures are that iteration's.
    """

    def __init__(self, learner: Resampling) -> None:
        super().__init__()
        self.learner = learner

    def _on_training_start(self) -> None:
        self.learner.open(self.model)

    def _on_step(self) -> bool:
        learner = self.learner
        if learner.settings.starts == "failures" and self.locals["dones"].any():
            info = learner.base.last_transition
            rows = np.flatnonzero(info["fall"])
            learner.count(info["clip"][rows], info["frame"][rows])
        return True

    def _on_rollout_start(self) -> None:
        learner, iteration = self.learner, self._iteration()
        if iteration and iteration % learner.settings.every == 0 and iteration != learner.evaluated:
            learner.evaluated = iteration
            learner.resample(learner.evaluate(self.model, iteration))
            begin_episodes(self.model)

    def _on_training_end(self) -> None:
        iteration = self._iteration()
        if iteration != self.learner.evaluated:
            self.learner.evaluate(self.model, iteration)

    def _iteration(self) -> int:
        return int(self.model.num_timesteps // self.learner.config.rollout_steps)


def begin_episodes(model: Any) -> None:
    """Give up all running episodes and begin others, with the recurrent states that belong to a beginning."""
    model._last_obs = model.get_env().reset()
    model._last_episode_starts = np.ones(model.n_envs, dtype=bool)
    states = getattr(model, "_last_lstm_states", None)
    if states is not None:
        model._last_lstm_states = type(states)(*(tuple(torch.zeros_like(x) for x in pair) for pair in states))
