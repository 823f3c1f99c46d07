"""Failure-driven resampling: clips that the policy fails, and the stretches where it fails, are begun more often.

What is here is arithmetic and settings; `gait_trainers.rl.resampling` evaluates the clips and begins the episodes.
PHC (Luo et al. 2023) draws clips in proportion to their failures, and so never again one that was not failed. Here a
share of the draws is spread evenly, so that no clip and no part of one is ever dropped.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from gait_envs.reference.library import weights_from_failures
from gait_envs.tasks.config import TrackConfig
from gait_trainers.config.section import Section
from gait_trainers.learners.base import Column, LearnerSpec


class ResamplingConfig(Section):
    """How often all clips are evaluated, and what follows from it for the next episodes."""

    every: int = Field(default=50, ge=1, description="Iterations between two evaluations of all clips.")
    clips: Literal["failures", "uniform"] = Field(
        default="failures", description="Draw clips by their failures in the evaluations, or as they were drawn before."
    )
    starts: Literal["failures", "uniform"] = Field(
        default="uniform", description="Start within a clip where training failed, or anywhere."
    )
    floor: float = Field(default=0.2, gt=0, le=1, description="Share of the draws that is uniform.")
    memory: float = Field(
        default=0.5, ge=0, lt=1, description="Weight of earlier failures, multiplied in at each evaluation."
    )
    stretch: float = Field(
        default=1.0, gt=0, description="Length of the segments of a clip that starts are drawn by, in s."
    )
    max_distance: float = Field(
        default=0.5, gt=0, description="Distance from the reference that ends an episode of the evaluation, in m."
    )
    distance_rule: Literal["mean", "any"] = Field(
        default="mean",
        description="Whether max_distance bounds the mean distance of all bodies or that of the farthest.",
    )


def remembered(before: np.ndarray, now: np.ndarray, memory: float) -> np.ndarray:
    """Failures so far, with those of an evaluation."""
    return memory * before + now


def start_weights(failures: np.ndarray, floor: float) -> np.ndarray:
    """Weights of the stretches of a clip, (k,), from the failures in each.

    A failure counts for its own stretch and half for the one before, where what led to it may have begun.
    """
    led_to = np.append(failures[1:], 0.0)
    return weights_from_failures(failures + 0.5 * led_to, floor)


def stretches(lengths: np.ndarray, frames: int) -> np.ndarray:
    """Number of stretches of so many frames in clips of these lengths, (clips,)."""
    return -(-lengths // frames)


def worst_third(success: np.ndarray) -> float:
    """Mean success of the third of the clips (one at least) that succeed least."""
    count = max(1, len(success) // 3)
    return float(np.sort(success)[:count].mean())


def check(config: Any, options: Any) -> None:
    """ValueError unless the environment follows clips, by servos."""
    if options is not None and not isinstance(options, TrackConfig):
        raise ValueError(f"resampling needs an environment that follows clips; {config.env.id!r} follows none")
    if "muscle" in [spec.name for spec in config.specs]:
        raise ValueError("resampling does not know the muscle network that is being trained; leave one of them out")


SPEC = LearnerSpec(
    name="resampling",
    section=ResamplingConfig,
    make="gait_trainers.rl.resampling:Resampling",
    columns=(Column("clip_success_rate", "clips {:.0%}"),),
    check=check,
)
