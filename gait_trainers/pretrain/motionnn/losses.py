"""The losses of MotionNN. Predictions and targets are states (n, K, 2 C), C coordinates and their rates."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Losses(NamedTuple):
    """Terms of the loss, scalars, not weighted."""

    position: Tensor  # mean squared error of the coordinates, m² and rad²
    velocity: Tensor  # of the rates
    smoothness: Tensor  # mean squared second difference of predicted coordinates and rates


def motion_losses(predicted: Tensor, target: Tensor, weight: Tensor, before: Tensor) -> Losses:
    """Losses with a weight (n, K) for each frame, see `frame_weights`; before (n, 2, 2 C): the two states before the
    first prediction, with which second differences begin."""
    size = predicted.shape[-1] // 2
    error = (predicted - target).square()
    position = (error[..., :size].mean(-1) * weight).sum()
    velocity = (error[..., size:].mean(-1) * weight).sum()
    track = torch.cat([before, predicted], 1)
    second = track[:, 2:] - 2 * track[:, 1:-1] + track[:, :-2]  # (n, K, 2 C)
    return Losses(position, velocity, (second.square().mean(-1) * weight).sum())


def frame_weights(valid: Tensor, given: int, one_step: float) -> Tensor:
    """Weights (n, K) that add up to 1, 0 where a frame is not `valid` (n, K) bool. Of predictions from `given` real
    states onwards, the first `given` are of one step; these have the share `one_step` of the weight, all predictions
    together the rest."""
    every = valid.float() / valid.sum().clamp(min=1)
    first = torch.zeros_like(every)
    first[:, :given] = valid[:, :given].float()
    return (1 - one_step) * every + one_step * first / first.sum().clamp(min=1)


def balance(states: Tensor) -> float:
    """Variance of the coordinates over variance of the rates, of states (m, 2 C): multiplies the velocity weight so
    that both errors count alike."""
    size = states.shape[-1] // 2
    variance = states.var(0)
    return float(variance[:size].mean() / variance[size:].mean())


def horizon_at(update: int, updates: int, horizon: int, growth: float) -> int:
    """Length of the rollouts of an update: 1 at first, `horizon` from the share `growth` of the updates on, between
    them geometric, so that short horizons, which are cheap, come first and last long."""
    progress = min(1.0, update / max(1.0, growth * updates))
    return round(float(horizon) ** progress)
