"""What every network of a motion model is.

A network maps inputs (n, L, d) of L consecutive frames to features (n, L, `features`), and carries a memory from call
to call: a tuple of tensors, `()` before the first frame. A sequence at once gives the same as frame by frame.
"""

from __future__ import annotations

from torch import Tensor, nn

Memory = tuple[Tensor, ...]


class Network(nn.Module):
    """See above."""

    features: int  # size of what it gives

    def forward(self, x: Tensor, memory: Memory = ()) -> tuple[Tensor, Memory]:
        raise NotImplementedError
