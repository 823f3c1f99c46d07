"""The networks of motion models by name, and what they have in common.

A network maps inputs (n, L, d) of L consecutive frames to features (n, L, `features`), and carries a memory from call
to call: a tuple of tensors, `()` before the first frame. A sequence at once gives the same as frame by frame.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

Memory = tuple[Tensor, ...]


class Network(nn.Module):
    """See above."""

    features: int  # size of what it gives

    def forward(self, x: Tensor, memory: Memory = ()) -> tuple[Tensor, Memory]:
        raise NotImplementedError


def _mlp(size: int, **settings: Any) -> Network:
    from gait_trainers.models.motion.mlp import MLP

    return MLP(size, **settings)


def _recurrent(cell: str) -> Callable[..., Network]:
    def make(size: int, **settings: Any) -> Network:
        from gait_trainers.models.motion.recurrent import Recurrent

        return Recurrent(size, cell, **settings)

    return make


def _transformer(regularised: bool) -> Callable[..., Network]:
    def make(size: int, **settings: Any) -> Network:
        from gait_trainers.models.motion.transformer import Transformer

        return Transformer(size, regularised=regularised, **settings)

    return make


def _mixture(size: int, **settings: Any) -> Network:
    from gait_trainers.models.motion.mixture import Mixture

    return Mixture(size, **settings)


NETWORKS: dict[str, Callable[..., Network]] = {
    "mlp": _mlp,
    "gru": _recurrent("gru"),
    "lstm": _recurrent("lstm"),
    "transformer": _transformer(False),
    "transformer_reg": _transformer(True),
    "mixture": _mixture,
}
