"""The recurrence of an LSTM along a chunk of a rollout, with its gradient written out.

Autograd would record some twenty operations a step, most of them on a few kilobytes. Here everything that does not wait
for the step before is computed for all steps at once; what is left of a step is a matrix product and a few sums.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function


class LSTMSequence(Function):
    """(projected (T, n, 4 H), recurrent weights (4 H, H), hidden and cell (n, H), keep (T, n, 1)) -> outputs (T, n, H),
    and the last hidden state and cell. `keep` is 0 where the state is set to zero before a step, else 1.
    """

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, projected: Tensor, weight: Tensor, hidden: Tensor, cell: Tensor, keep: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        steps, n, size = len(projected), *hidden.shape
        gates = projected.new_empty(steps, n, 4, size)  # activated: input, forget, candidate, output
        before = projected.new_empty(2, steps, n, size)  # hidden state and cell that a step begins with
        cells, outputs = projected.new_empty(2, steps, n, size)
        transposed, resets = weight.t(), (keep == 0).flatten(1).any(dim=1).tolist()
        for t in range(steps):
            if resets[t]:
                hidden, cell = hidden * keep[t], cell * keep[t]
            before[0, t], before[1, t] = hidden, cell
            raw = torch.addmm(projected[t], hidden, transposed).view(n, 4, size)
            now = torch.sigmoid(raw)
            now[:, 2] = torch.tanh(raw[:, 2])
            gates[t] = now
            cell = torch.addcmul(now[:, 1] * cell, now[:, 0], now[:, 2])
            cells[t] = torch.tanh(cell)
            hidden = outputs[t] = now[:, 3] * cells[t]
        ctx.save_for_backward(weight, gates, before, cells, keep)
        ctx.resets = resets
        return outputs, hidden.clone(), cell

    @staticmethod
    def backward(  # type: ignore[override]
        ctx: Any, d_outputs: Tensor, d_hidden: Tensor, d_cell: Tensor
    ) -> tuple[Tensor | None, ...]:
        weight, gates, before, cells, keep = ctx.saved_tensors
        enter, forget, candidate, leave = gates.unbind(2)
        of_cell = leave * (1 - cells.square())  # of the hidden state with respect to the cell
        slopes = gates * (1 - gates)
        slopes[:, :, 2] = 1 - candidate.square()
        slopes *= torch.stack([candidate, before[1], enter, cells], dim=2)
        d_gates = torch.empty_like(gates)
        for t in reversed(range(len(gates))):
            d_hidden = d_hidden + d_outputs[t]
            d_cell = torch.addcmul(d_cell, d_hidden, of_cell[t])
            torch.mul(slopes[t, :, :3], d_cell[:, None], out=d_gates[t, :, :3])
            torch.mul(slopes[t, :, 3], d_hidden, out=d_gates[t, :, 3])
            d_hidden, d_cell = d_gates[t].flatten(1) @ weight, d_cell * forget[t]
            if ctx.resets[t]:
                d_hidden, d_cell = d_hidden * keep[t], d_cell * keep[t]
        flat = d_gates.flatten(2)
        d_weight = flat.flatten(0, 1).t() @ before[0].flatten(0, 1)
        return flat, d_weight, d_hidden, d_cell, None
