"""Causal transformers: the plain one, and a regularised one with today's parts.

    transformer       LayerNorm, ReLU, learned positions, attention over the last `context` frames
    transformer_reg   RMSNorm, SwiGLU, rotary positions, dropout, and a drop of whole residual branches

Keys and values of past frames are kept, so a rollout costs one frame per step. Attention reaches `context` frames back,
in a sequence as frame by frame.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gait_trainers.models.motion.network import Memory, Network


class Transformer(Network):
    """Memory: keys and values (n, heads, t, d) of each layer's last frames, and how many frames have been seen."""

    def __init__(
        self,
        size: int,
        *,
        regularised: bool = False,
        width: int = 128,
        layers: int = 2,
        heads: int = 4,
        context: int = 32,
        dropout: float = 0.0,
        drop_branch: float = 0.0,
    ):
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"width {width} is no multiple of twice the {heads} heads")
        self.features, self.context = width, context
        self.inputs = nn.Linear(size, width)
        # Learned places go round: a rollout may be longer than the context, in which no two frames share one.
        self.place = None if regularised else nn.Parameter(0.02 * torch.randn(context, width))
        self.layers = nn.ModuleList(
            _Block(width, heads, context, regularised, dropout, drop_branch) for _ in range(layers)
        )
        self.norm = nn.RMSNorm(width) if regularised else nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Memory = ()) -> tuple[Tensor, Memory]:
        seen = int(memory[-1]) if memory else 0
        frames = torch.arange(seen, seen + x.shape[1], device=x.device)
        x = self.inputs(x)
        if self.place is not None:
            x = x + self.place[frames % self.context]
        kept: list[Tensor] = []
        for i, layer in enumerate(self.layers):
            x, past = layer(x, frames, memory[2 * i : 2 * i + 2])
            kept += past
        return self.norm(x), (*kept, torch.tensor(seen + len(frames)))


class _Block(nn.Module):
    """Attention, then a feedforward layer, each with a norm before and a residual branch round it."""

    def __init__(self, width: int, heads: int, context: int, regularised: bool, dropout: float, drop_branch: float):
        super().__init__()
        self.heads, self.context, self.rotary, self.drop_branch = heads, context, regularised, drop_branch
        norm = nn.RMSNorm if regularised else nn.LayerNorm
        self.before_attention, self.before_forward = norm(width), norm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.forwards = _SwiGLU(width, 2 * width) if regularised else _two_layers(width, 4 * width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, frames: Tensor, past: Memory) -> tuple[Tensor, Memory]:
        answer, past = self._attend(self.before_attention(x), frames, past)
        x = self._add(x, answer)
        return self._add(x, self.forwards(self.before_forward(x))), past

    def _add(self, x: Tensor, branch: Tensor) -> Tensor:
        branch = self.dropout(branch)
        if self.training and self.drop_branch > 0:  # a whole branch of a sequence at a time: stochastic depth
            keep = torch.rand(len(x), 1, 1, device=x.device) >= self.drop_branch
            branch = branch * keep / (1 - self.drop_branch)
        return x + branch

    def _attend(self, x: Tensor, frames: Tensor, past: Memory) -> tuple[Tensor, Memory]:
        n, length, width = x.shape
        query, key, value = self.qkv(x).view(n, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # (n, h, L, d)
        if self.rotary:
            query, key = _rotated(query, frames), _rotated(key, frames)
        if past:
            key, value = torch.cat([past[0], key], 2), torch.cat([past[1], value], 2)
        last = int(frames[-1]) + 1
        behind = frames[:, None] - torch.arange(last - key.shape[2], last, device=x.device)
        mask = (behind >= 0) & (behind < self.context)
        answer = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        keep = self.context - 1
        return self.out(answer.transpose(1, 2).reshape(n, length, width)), (key[:, :, -keep:], value[:, :, -keep:])


def _rotated(x: Tensor, frames: Tensor) -> Tensor:
    """Rotary positions (Su et al. 2021): pairs of numbers (n, h, L, d) turned by angles in proportion to the frame, so
    that products depend on how far frames are apart."""
    half = x.shape[-1] // 2
    angle = frames[:, None] * 1000.0 ** (-torch.arange(half, device=x.device) / half)  # (L, half)
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)


class _SwiGLU(nn.Module):
    """Shazeer 2020, "GLU Variants Improve Transformer"."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.inwards, self.outwards = nn.Linear(width, 2 * inner), nn.Linear(inner, width)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.inwards(x).chunk(2, -1)
        answer: Tensor = self.outwards(nn.functional.silu(gate) * value)
        return answer


def _two_layers(width: int, inner: int) -> nn.Module:
    return nn.Sequential(nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))
