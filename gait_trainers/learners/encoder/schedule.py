"""Which parts of a policy learn, and how far each has moved. Works with any algorithm of Stable-Baselines3."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import Tensor, nn

from gait_trainers.models.encoders import PretrainedMotionExtractor


def encoders_of(policy: BasePolicy) -> list[PretrainedMotionExtractor]:
    """The encoders of a policy, each once: one that actor and critic share, or one of each."""
    return [module for module in policy.modules() if isinstance(module, PretrainedMotionExtractor)]


def actor_parameters(policy: BasePolicy) -> list[nn.Parameter]:
    """What decides on actions, encoders left out."""
    if isinstance(policy, ActorCriticPolicy):
        modules: list[nn.Module] = [policy.mlp_extractor.policy_net, policy.action_net]
        return [*(p for module in modules for p in module.parameters()), policy.log_std]
    encoded = {id(p) for encoder in encoders_of(policy) for p in encoder.parameters()}
    return [p for p in policy.actor.parameters() if id(p) not in encoded]  # type: ignore[union-attr, operator]


class UnfreezeEncoder(BaseCallback):
    """Lets the value network learn first, then the actor, then the encoder layer by layer; all by the steps so far.

    Before `warmup` steps only the critics learn. From `at` on (None: never) the encoder's last layer does too, and
    one more every `every` steps; 0: all of them at once. It depends on the number of steps alone, so a training that
    is continued continues with it.
    """

    def __init__(self, at: int | None = None, every: int = 0, warmup: int = 0) -> None:
        super().__init__()
        self.at, self.every, self.warmup = at, every, warmup
        self.initial: dict[str, Tensor] = {}  # weights by name, when training began

    def apply(self, policy: BasePolicy, steps: int) -> None:
        """Set what of the policy learns after `steps` environment steps."""
        warming = steps < self.warmup
        for parameter in actor_parameters(policy):
            parameter.requires_grad_(not warming)
        for encoder in encoders_of(policy):
            encoder.unfreeze(0 if warming else self.unfrozen(steps, len(encoder.parts())))

    def unfrozen(self, steps: int, parts: int) -> int:
        """How many of the encoder's `parts`, counted from the last, learn after so many steps."""
        if self.at is None or steps < self.at:
            return 0
        return parts if self.every == 0 else min(parts, 1 + (steps - self.at) // self.every)

    def remember(self, policy: BasePolicy) -> None:
        """Take the policy's weights for those that it began with, unless some are known already."""
        if not self.initial:
            self.initial = {name: value.detach().cpu().clone() for name, value in policy.named_parameters()}

    def _on_training_start(self) -> None:
        self.remember(self.model.policy)

    def _on_rollout_start(self) -> None:
        self.apply(self.model.policy, self.num_timesteps)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        encoder = encoders_of(self.model.policy)[0]
        moved = _moved((p, self.initial[name]) for name, p in _named(self.model.policy, encoder))
        learning = sum(p.numel() for p in encoder.parameters() if p.requires_grad)
        self.logger.record("encoder/encoder_moved", moved)
        self.logger.record("encoder/encoder_learning", learning / sum(p.numel() for p in encoder.parameters()))


def trainable_table(policy: BasePolicy, initial: Mapping[str, Tensor]) -> list[str]:
    """Lines that say of each module with weights how large it is, whether it learns, and how far it has moved from
    its `initial` weights, as a share of their norm."""
    rows = [("module", "weights", "", "moved")]
    for module_name, module in policy.named_modules():
        own = [(f"{module_name}.{n}" if module_name else n, p) for n, p in module.named_parameters(recurse=False)]
        own = [(name, p) for name, p in own if name in initial]
        if not own:
            continue
        learning = sum(p.numel() for _, p in own if p.requires_grad)
        size = sum(p.numel() for _, p in own)
        state = "learns" if learning == size else "frozen" if learning == 0 else "in part"
        rows.append((module_name or "log_std", f"{size:,}", state, f"{_moved((p, initial[n]) for n, p in own):.2%}"))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return [f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {d:>{widths[3]}}".rstrip() for a, b, c, d in rows]


def _named(policy: BasePolicy, encoder: nn.Module) -> list[tuple[str, nn.Parameter]]:
    mine = {id(p) for p in encoder.parameters()}
    return [(name, p) for name, p in policy.named_parameters() if id(p) in mine]


def _moved(pairs) -> float:  # type: ignore[no-untyped-def] # of (parameter, what it was)
    pairs = list(pairs)
    with torch.no_grad():
        way = sum(float(((p.cpu() - before) ** 2).sum()) for p, before in pairs)
        norm = sum(float((before**2).sum()) for _, before in pairs)
    return (way / max(norm, 1e-12)) ** 0.5
