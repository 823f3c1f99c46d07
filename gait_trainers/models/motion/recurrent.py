"""GRU and LSTM: a memory that the network fills itself."""

from __future__ import annotations

from torch import Tensor, nn

from gait_trainers.models.motion.network import Memory, Network


class Recurrent(Network):
    """A linear layer, `layers` recurrent layers of `width`, and a skip connection round them."""

    def __init__(self, size: int, cell: str, width: int = 256, layers: int = 1, dropout: float = 0.0):
        super().__init__()
        self.features = width
        self.inputs = nn.Sequential(nn.Linear(size, width), nn.LayerNorm(width), nn.SiLU())
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.cell = kind(width, width, layers, batch_first=True, dropout=dropout if layers > 1 else 0.0)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, memory: Memory = ()) -> tuple[Tensor, Memory]:
        x = self.inputs(x)
        state = None if not memory else memory[0] if len(memory) == 1 else memory
        y, state = self.cell(x, state)
        return self.norm(x + y), state if isinstance(state, tuple) else (state,)
