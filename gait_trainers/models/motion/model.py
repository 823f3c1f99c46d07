"""A motion model: encoding, normaliser, network and integration in one module."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gait_envs.layout import Layout
from gait_trainers.data.motion_state import ROOT
from gait_trainers.models.motion.conditions import condition_columns, condition_rows
from gait_trainers.models.motion.encodings import Encoding
from gait_trainers.models.motion.network import Memory
from gait_trainers.models.motion.networks import NETWORKS
from gait_trainers.models.motion.spec import ModelSpec

CLIP = 10.0  # deviations; inputs further away are cut off, so that a body in an unseen state keeps it finite
STILL = 1e-3  # inputs that vary by less are divided by 1: a joint that never moves says nothing, loudly
MOVES = 1e-2  # rad/s, deviation of the rate of a coordinate that moves


class MotionModel(nn.Module):
    """From a state (n, 2 C), C coordinates, to the next one: the network gives the change of the rates in one frame,
    the coordinates follow, q' = q + rate' / fps.

        encode(x)            what a policy takes: inputs by `entries` to features of the last hidden layer
        step(state, …)       one frame
        rollout(states, …)   frame after frame from its own predictions
    """

    mean: Tensor
    std: Tensor
    change: Tensor
    moving: Tensor

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.encoding = Encoding(spec.encoding, spec.joint_names, spec.home, spec.half_range, spec.axes, spec.balls)
        self.coordinates = (*ROOT, *spec.joint_names)
        size = self.entries.size
        self.network = NETWORKS[spec.network](size, **spec.settings.of(spec.network))
        self.head = nn.Linear(self.network.features, len(self.coordinates))
        nn.init.zeros_(self.head.bias)
        with torch.no_grad():
            self.head.weight *= 0.1
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("std", torch.ones(size))
        self.register_buffer("change", torch.ones(len(self.coordinates)))  # deviation of the rates' change in a frame
        self.register_buffer("moving", torch.ones(len(self.coordinates)))  # 1 for a coordinate that moves, else 0

    @property
    def entries(self) -> Layout:
        """Names, sizes and units of the inputs, in order: the encoding's rows, then the conditions'."""
        return Layout((*self.encoding.rows, *condition_rows(self.spec.conditions)))

    @property
    def feature_size(self) -> int:
        """Size of what `encode` gives."""
        return self.network.features

    # -- as an encoder ------------------------------------------------------------------------------------

    def normalize(self, x: Tensor) -> Tensor:
        """Inputs (..., entries) in deviations from their mean, within ± CLIP."""
        return ((x - self.mean) / self.std).clamp(-CLIP, CLIP)

    def encode(self, x: Tensor) -> Tensor:
        """Features of inputs in the order and units of `entries`: (n, entries) of single frames, or (n, L, entries) of
        consecutive ones, of which the last frame's features are given; (n, feature_size)."""
        frames = x if x.dim() == 3 else x[:, None]
        features, _ = self.network(self.normalize(frames))
        last: Tensor = features[:, -1]
        return last

    # -- as a model ---------------------------------------------------------------------------------------

    def inputs(self, state: Tensor, told: Mapping[str, Tensor] | None = None, at: int = 0) -> Tensor:
        """Inputs (n, L, entries) for states (n, L, 2 C) of which the first is frame `at` of what is `told`."""
        columns = [self.encoding(state)]
        if self.spec.conditions:
            if told is None:
                raise ValueError(f"the model is conditioned on {', '.join(self.spec.conditions)}, and none are given")
            columns += condition_columns(self.spec.conditions, state, told, at)
        return torch.cat(columns, -1)

    def forward(
        self, state: Tensor, memory: Memory = (), told: Mapping[str, Tensor] | None = None, at: int = 0
    ) -> tuple[Tensor, Memory]:
        """The states (n, L, 2 C) one frame after each of the given ones (n, L, 2 C), and the memory."""
        features, memory = self.network(self.normalize(self.inputs(state, told, at)), memory)
        change = self.head(features) * self.change
        q, rate = state.chunk(2, -1)
        rate = rate + self.encoding.to_world(change, state)
        return torch.cat([torch.add(q, rate, alpha=1 / self.spec.fps), rate], -1), memory

    def unroll(
        self, states: Tensor, steps: int, told: Mapping[str, Tensor] | None = None, detach: bool = False
    ) -> Tensor:
        """Predictions (n, W + steps - 1, 2 C) from given states (n, W, 2 C): of one frame after each of these, then on
        from the last, each from the prediction before it, through which gradients flow unless `detach`."""
        predicted, memory = self(states, (), told)
        state, out = predicted[:, -1:], [predicted]
        for step in range(1, steps):
            if detach:
                state = state.detach()
            state, memory = self(state, memory, told, states.shape[1] - 1 + step)
            out.append(state)
        return torch.cat(out, 1)

    def rollout(self, states: Tensor, steps: int, told: Mapping[str, Tensor] | None = None) -> Tensor:
        """The states (n, steps, 2 C) that follow given ones (n, W, 2 C), each from the predictions before it."""
        return self.unroll(states, steps, told)[:, states.shape[1] - 1 :]

    @torch.no_grad()
    def fit_normalizer(self, state: Tensor, following: Tensor, inputs: Tensor) -> None:
        """Statistics from states (m, 2 C), the states (m, 2 C) one frame after them, and the inputs (m, entries)."""
        size = len(self.coordinates)
        std = inputs.std(0)
        self.mean.copy_(inputs.mean(0))
        self.std.copy_(torch.where(std < STILL, 1.0, std))
        change = self.encoding.from_world(following[:, size:] - state[:, size:], state)
        self.change.copy_(change.std(0).clamp(min=1e-6))
        self.moving.copy_((state[:, size:].std(0) > MOVES).float())
