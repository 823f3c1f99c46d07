"""Training in phases: what is rewarded, and how strictly, as a function of the iteration alone.

A configuration lists key frames. Between two of them every number is linear in the iteration; before the first
and after the last it is constant.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import Field, FiniteFloat

from gait_trainers.config.section import Section

Number = TypeVar("Number", float, float | None)


class KeyFrame(Section):
    """What is rewarded from an iteration on; what is left out stays as it was."""

    iteration: int = Field(ge=0, description="Iteration of the key frame, counted from 0, in ascending order.")
    reward_weights: dict[str, FiniteFloat] = Field(
        default_factory=dict, description="Reward weights that change, by term; terms left out keep their weight."
    )
    style_weight: FiniteFloat | None = Field(
        default=None, ge=0, description="Weight of the style reward; null keeps it."
    )
    max_distance: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=True,
        description="Maximum mean distance from the reference, in m; .inf disables the limit, null keeps it.",
    )
    ent_coef: FiniteFloat | None = Field(default=None, ge=0, description="Weight of the entropy bonus; null keeps it.")
    std: FiniteFloat | None = Field(
        default=None,
        gt=0,
        description="Standard deviation of every action, set before each rollout; null leaves it to be learnt.",
    )


@dataclass(frozen=True)
class Settings:
    """What may change between iterations; None where there is nothing that it could change."""

    reward_weights: Mapping[str, float]  # every term of the environment's, in its order
    style_weight: float | None  # of the style reward; None without a discriminator
    max_distance: float | None  # m; None without a reference to follow, infinite without a limit
    ent_coef: float | None = None  # of PPO
    std: float | None = None  # of every action; None: it is learnt

    def metrics(self) -> dict[str, float]:
        """Name to value, for the log; an infinite distance, which no plot can show, is left out."""
        values = {f"weight_{term}": weight for term, weight in self.reward_weights.items()}
        others = {key: getattr(self, key) for key in ("style_weight", "max_distance", "ent_coef")}
        others["scheduled_std"] = self.std  # `std` is what the policy has after its update
        return values | {key: value for key, value in others.items() if value is not None and math.isfinite(value)}


Schedule = Sequence[tuple[int, Settings]]  # iterations, rising, and what holds at each


def complete(frames: Sequence[KeyFrame], start: Settings) -> Schedule:
    """Key frames with nothing left out: each keeps the values of the one before, the first those of `start`.

    ValueError names the key that cannot be used and what may be given.
    """
    schedule: list[tuple[int, Settings]] = []
    for number, frame in enumerate(frames):
        where = f"schedule.{number}"
        if schedule and frame.iteration <= schedule[-1][0]:
            raise ValueError(f"{where}.iteration: {frame.iteration} is not after {schedule[-1][0]}, the one before")
        for term in frame.reward_weights:
            if term not in start.reward_weights:
                raise ValueError(
                    f"{where}.reward_weights: {term!r} is not in env.kwargs.reward_weights, which has "
                    f"{', '.join(start.reward_weights) or 'none'}; give it a weight of 0 there"
                )
        if frame.style_weight is not None and start.style_weight is None:
            raise ValueError(f"{where}.style_weight: needs algorithm ppo-amp")
        if frame.max_distance is not None and start.max_distance is None:
            raise ValueError(f"{where}.max_distance: needs an environment that follows a reference")
        start = Settings(
            {**start.reward_weights, **frame.reward_weights},
            start.style_weight if frame.style_weight is None else frame.style_weight,
            start.max_distance if frame.max_distance is None else frame.max_distance,
            start.ent_coef if frame.ent_coef is None else frame.ent_coef,
            start.std if frame.std is None else frame.std,
        )
        schedule.append((frame.iteration, start))
    return schedule


def at(schedule: Schedule, iteration: int) -> Settings:
    """What holds while the rollout of an iteration, counted from 0, is collected and learnt from."""
    after = bisect_right([frame for frame, _ in schedule], iteration)
    if after == 0 or after == len(schedule):
        return schedule[max(after - 1, 0)][1]
    (first, here), (last, there) = schedule[after - 1 : after + 1]
    share = (iteration - first) / (last - first)
    return Settings(
        {term: _between(weight, there.reward_weights[term], share) for term, weight in here.reward_weights.items()},
        _between(here.style_weight, there.style_weight, share),
        _between(here.max_distance, there.max_distance, share),
        _between(here.ent_coef, there.ent_coef, share),
        _between(here.std, there.std, share),
    )


def _between(a: Number, b: Number, share: float) -> Number:
    """a + share·(b - a); there is no way from or to the infinite, so that a stays until b's turn comes."""
    if a is None or b is None or not math.isfinite(b - a):
        return a
    return a + share * (b - a)
