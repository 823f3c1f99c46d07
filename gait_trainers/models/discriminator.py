"""The discriminator: how much a window of motion looks like the reference.

A least-squares GAN discriminator: trained towards 1 on reference windows and 0 on policy windows, smoothed by
spectral normalisation (or else layer normalisation) and by the R1 penalty on reference windows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class Discriminator(nn.Module):
    """Scores windows, (m, frames * d) -> (m,).

    Inputs are normalised by the reference's own mean and standard deviation, fixed for the whole training:
    running statistics would drift towards the policy and make the reference look foreign.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        reference_frames: np.ndarray,
        frames: int = 1,
        hidden: Sequence[int] = (1024, 512, 256),
        *,
        use_spectral_norm: bool = True,
        std_floor: float | np.ndarray = 1e-4,
        generator: torch.Generator | None = None,
    ):
        """reference_frames: (T, d) features that give the statistics; frames: frames in a window."""
        super().__init__()
        mean, std = feature_statistics(reference_frames, std_floor)
        self.register_buffer("mean", torch.from_numpy(np.tile(mean, frames)))
        self.register_buffer("std", torch.from_numpy(np.tile(std, frames)))
        sizes = [len(mean) * frames, *hidden]
        layers: list[nn.Module] = []
        for size_in, size_out in pairwise(sizes):
            linear = _orthogonal_linear(size_in, size_out, gain=2**0.5, generator=generator)
            layers += [spectral_norm(linear)] if use_spectral_norm else [linear, nn.LayerNorm(size_out)]
            layers.append(nn.ELU())
        layers.append(_orthogonal_linear(sizes[-1], 1, gain=0.01, generator=generator))
        self.layers = nn.Sequential(*layers)

    def normalize(self, windows: Tensor) -> Tensor:
        """Windows (m, frames · d) in units of the reference's deviation."""
        return (windows - self.mean) / self.std

    def score(self, normalized: Tensor) -> Tensor:
        """Scores of windows that are already normalised."""
        scores: Tensor = self.layers(normalized)
        return scores.squeeze(-1)

    def forward(self, windows: Tensor) -> Tensor:
        return self.score(self.normalize(windows))


class Losses(NamedTuple):
    """The two terms of the discriminator's loss, scalars, not weighted."""

    lsgan: Tensor
    r1: Tensor  # mean |dD/dx|^2 on reference windows, x normalised


def discriminator_losses(
    discriminator: Discriminator,
    real: Tensor,
    fake: Tensor,
    *,
    noise: float = 0.0,
    label_smoothing: float = 0.0,
    generator: torch.Generator | None = None,
) -> Losses:
    """LSGAN loss and R1 penalty of one batch of raw windows, (m, frames * d) each.

    The gradient of R1 is taken with respect to the normalised input, as is the noise: both then mean the same
    for an angle and for a velocity.
    """
    real = _with_noise(discriminator.normalize(real), noise, generator).requires_grad_()
    fake = _with_noise(discriminator.normalize(fake), noise, generator)
    real_score, fake_score = discriminator.score(torch.cat([real, fake])).split([len(real), len(fake)])
    real_target, fake_target = 1.0 - label_smoothing, label_smoothing
    lsgan = 0.5 * ((real_score - real_target).square().mean() + (fake_score - fake_target).square().mean())
    (gradient,) = torch.autograd.grad(real_score.sum(), real, create_graph=True)
    return Losses(lsgan, gradient.square().sum(-1).mean())


def accuracy(real_score: Tensor, fake_score: Tensor) -> float:
    """Share of windows on the right side of 1/2, reference and policy weighted equally."""
    return 0.5 * ((real_score > 0.5).float().mean() + (fake_score < 0.5).float().mean()).item()


def feature_statistics(frames: np.ndarray, std_floor: float | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature, (T, d) -> (d,), (d,); none under `std_floor`, which may be (d,)."""
    frames = np.asarray(frames, dtype=np.float64)
    std = np.maximum(frames.std(axis=0), std_floor)
    return frames.mean(axis=0).astype(np.float32), std.astype(np.float32)


def _with_noise(x: Tensor, std: float, generator: torch.Generator | None) -> Tensor:
    if std == 0.0:
        return x.clone()
    # Drawn on the CPU so that one generator serves every device.
    return x + std * torch.randn(x.shape, generator=generator).to(x.device)


def _orthogonal_linear(size_in: int, size_out: int, gain: float, generator: torch.Generator | None) -> nn.Linear:
    linear = nn.Linear(size_in, size_out)
    nn.init.orthogonal_(linear.weight, gain, generator=generator)
    nn.init.zeros_(linear.bias)
    return linear
