"""How a RefNN learns: the weighted loss, the replay buffer and the clamped gradient of Forward GaitNet."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gait_envs.reference.pose_features import POSE_LAYOUT
from gait_envs.reference.refnn.network import Facts
from gait_trainers.models.ref_nn import RefNN
from gait_trainers.pretrain.refnn.config import RefNNConfig
from gait_trainers.runs.checkpoint_files import restore_optimizer, restore_weights

ROOT_POSITION = slice(6, 9)
LIMBS = slice(57, POSE_LAYOUT.size)  # head and arms


def loss_weights(config: RefNNConfig, facts: Facts) -> Tensor:
    """Factors (101,) on the differences of poses: by group, and over the deviations where these are balanced."""
    weights = torch.ones(POSE_LAYOUT.size)
    weights[ROOT_POSITION] = config.root_weight
    weights[LIMBS] = config.limb_weight
    return weights / torch.as_tensor(facts.deviation, dtype=torch.float32)


def pose_loss(found: Tensor, wanted: Tensor, weights: Tensor, scale: float) -> Tensor:
    """scale · mean of (weights · (wanted - found))², over rows (n, 101) and numbers."""
    return scale * (weights * (wanted - found)).square().mean()


class RefLearner:
    """Network, Adam and replay buffer."""

    def __init__(self, config: RefNNConfig, facts: Facts) -> None:
        self.config = config
        self.generator = torch.Generator().manual_seed(config.seed)
        self.network = RefNN(facts, config.hidden, self.generator)
        self.optimizer = torch.optim.Adam(self.network.parameters(), lr=config.learning_rate, fused=True)
        self.weights = loss_weights(config, facts)
        self.iteration = 0
        inputs = len(facts.names) + 2
        self.replay = torch.zeros(0, inputs), torch.zeros(0, POSE_LAYOUT.size)

    def learn(self, inputs: np.ndarray, poses: np.ndarray) -> float:
        """One iteration on new rows (n, P + 2) and (n, 101); returns the mean loss of its gradient steps."""
        config = self.config
        new = torch.from_numpy(inputs), torch.from_numpy(poses)
        x, y = (torch.cat([old, rows])[-config.replay :] for old, rows in zip(self.replay, new, strict=True))
        self.replay = x, y
        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate()
        losses = []
        for _ in range(config.epochs):
            for rows in torch.randperm(len(x), generator=self.generator).split(config.batch_size):
                loss = pose_loss(self.network(x[rows]), y[rows], self.weights, config.loss_scale)
                self.optimizer.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_value_(self.network.parameters(), config.gradient_clamp)
                self.optimizer.step()
                losses.append(loss.item())
        self.iteration += 1
        return float(np.mean(losses))

    def learning_rate(self) -> float:
        """Of this iteration: constant, or along half a cosine to the final one."""
        start, end = self.config.learning_rate, self.config.final_learning_rate
        if end is None:
            return start
        share = self.iteration / max(self.config.iterations - 1, 1)
        return end + 0.5 * (start - end) * (1 + math.cos(math.pi * min(share, 1.0)))

    def get_state(self) -> dict[str, Any]:
        """All that its future follows from."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "iteration": self.iteration,
            "replay": list(self.replay),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from where `get_state` was called; what does not fit raises one of many kinds of errors."""
        iteration, (x, y) = state["iteration"], state["replay"]
        if type(iteration) is not int or iteration < 0:
            raise ValueError(f"iteration is {iteration!r}")
        if x.shape[1:] != self.replay[0].shape[1:] or y.shape != (len(x), POSE_LAYOUT.size):
            raise ValueError(f"the replay buffer has rows of {tuple(x.shape[1:])} and {tuple(y.shape[1:])}")
        if any(rows.dtype != torch.float32 or not bool(rows.isfinite().all()) for rows in (x, y)):
            raise ValueError("the replay buffer has numbers that are not finite, or not of single precision")
        restore_weights(self.network, state["network"])
        restore_optimizer(self.optimizer, state["optimizer"])
        self.generator.set_state(state["generator"])
        self.iteration, self.replay = iteration, (x, y)
