"""Backward GaitNet: which parameters, and which phase, make the motion that is seen.

A variational autoencoder whose decoder ends in a frozen RefNN: a window of poses is encoded to a latent vector, from
which parameters and phase are decoded; what the RefNN makes of these is compared with the window. Parameters that
leave no trace in the motion cannot be recovered, and stay near the middle of their range.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gait_envs.reference.pose_features import POSE_LAYOUT
from gait_trainers.models.ref_nn import RefNN, with_phase

LATENT, HIDDEN = 32, (256, 256)
FRAMES, FPS = 60, 30.0  # of a window: 2 s
EVERY = 2  # frames of a window that the encoder skips to the next
STEP = POSE_LAYOUT.slices()["root_displacement"]


class Inferred(NamedTuple):
    """What is read from n windows."""

    params: Tensor  # (n, P) in their own units
    phase: Tensor  # (n,) cycles, of the first frame
    mean: Tensor  # (n, 32) of the latent vector
    log_variance: Tensor  # (n, 32)


class BackwardNet(nn.Module):
    """Windows (n, 60, 101) of poses at 30 Hz, walking along x, to parameters and phase."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, forward_net: RefNN, mean: Tensor, deviation: Tensor, generator: torch.Generator | None) -> None:
        """mean, deviation (101,): of the poses in windows"""
        super().__init__()
        self.forward_net = forward_net.requires_grad_(False)
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        inputs = (FRAMES // EVERY) * POSE_LAYOUT.size + 2  # and the mean velocity
        outputs = len(forward_net.facts.names) + 2
        self.encoder = nn.Sequential(
            nn.Linear(inputs, HIDDEN[0]), nn.SiLU(), nn.Linear(HIDDEN[0], HIDDEN[1]), nn.SiLU(),
            nn.Linear(HIDDEN[1], 2 * LATENT),
        )  # fmt: skip
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN[1]), nn.SiLU(), nn.Linear(HIDDEN[1], outputs))
        for layer in (*self.encoder, *self.decoder):
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)

    def encode(self, windows: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and logarithm of the variance (n, 32) of the latent vectors."""
        scaled = (windows - self.mean) / self.deviation
        way = scaled[..., STEP].mean(dim=1)
        mean, log_variance = self.encoder(torch.cat([scaled[:, ::EVERY].flatten(1), way], dim=1)).chunk(2, dim=1)
        return mean, log_variance.clamp(-10.0, 4.0)

    def infer(self, windows: Tensor, noise: Tensor | None = None) -> Inferred:
        """Parameters and phase of windows; `noise` (n, 32) draws the latent vector instead of taking its mean."""
        mean, log_variance = self.encode(windows)
        latent = mean if noise is None else mean + noise * torch.exp(0.5 * log_variance)
        out = self.decoder(latent)
        net = self.forward_net
        count = len(net.facts.names)
        low, high = net.low[:count], net.high[:count]
        middle = 0.5 + 0.25 * out[:, :count]  # linear, so that the ends of the range are within reach
        phase = torch.atan2(out[:, count], out[:, count + 1]) / (2 * torch.pi)
        return Inferred(low + (high - low) * middle, phase, mean, log_variance)


def seen(network: RefNN, params: Tensor, phase: Tensor, frames: Tensor) -> Tensor:
    """What a walker with `params` (n, P) looks like in `frames` (k,) of a window that begins at `phase` (n,): poses
    (n, k, 101) at 30 Hz, in which the root moves as far as it does between two frames."""
    names = network.facts.names
    rate = params[:, names.index("cadence")] / 120.0  # cycles a second
    phases = phase[:, None] + frames / FPS * rate[:, None]
    n, k = phases.shape
    rows = with_phase(params.repeat_interleave(k, dim=0), phases.flatten())
    poses = network(rows).view(n, k, -1)
    steps = poses[..., STEP] * rate[:, None, None]  # of CYCLE = FPS steps a cycle
    return torch.cat([poses[..., : STEP.start], steps, poses[..., STEP.stop :]], dim=-1)
