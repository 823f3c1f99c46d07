"""L2 regularisation towards the initial parameters: the loss gains weight · |θ − θ₀|².

Its gradient, 2 · weight · (θ − θ₀), joins that of the loss in the backward pass, before gradients are clipped. It keeps
a policy near what it began from (a warm start, say) and its networks able to learn on (Kumar et al. 2023).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class Anchor:
    """Pulls the parameters of a module towards what they were when it was made, or last reset."""

    def __init__(self, module: nn.Module, weight: float) -> None:
        self.module, self.weight = module, weight
        self.initial = {name: p.detach().clone() for name, p in module.named_parameters()}
        for name, parameter in module.named_parameters():
            learns = parameter.requires_grad  # an encoder's may begin later
            parameter.requires_grad_(True).register_hook(self._pull(name, parameter))
            parameter.requires_grad_(learns)

    def reset(self) -> None:
        """Let the parameters as they are now be those to keep to."""
        self.set_state(dict(self.module.named_parameters()))

    def distance(self) -> float:
        """|θ − θ₀|."""
        with torch.no_grad():
            squares = [(p - self.initial[name]).square().sum() for name, p in self.module.named_parameters()]
            return float(torch.stack(squares).sum().sqrt())

    def get_state(self) -> dict[str, Tensor]:
        """The initial parameters by name."""
        return dict(self.initial)

    def set_state(self, state: Mapping[str, Tensor]) -> None:
        """Restore what `get_state` returned."""
        with torch.no_grad():
            for name, value in self.initial.items():
                value.copy_(state[name])

    def _pull(self, name: str, parameter: Tensor):  # type: ignore[no-untyped-def]  # a hook
        return lambda gradient: gradient + 2.0 * self.weight * (parameter.detach() - self.initial[name])
