"""A learner of one's own: curiosity. States that a small network cannot predict yet earn a bonus.

Random network distillation (Burda et al. 2019): one network learns to give the outputs of a random one, and the bonus
is by how much it still fails. With the entry point curiosity = "my_learner:SPEC" of the group gaitnet.learners,

    gait-train ppo --preset laptop --set learners=[curiosity] --set curiosity.weight=0.2
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from pydantic import Field
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from torch import nn

from gait_trainers.config.section import Section
from gait_trainers.learners.base import Column, Learner, LearnerSpec


class CuriosityConfig(Section):
    weight: float = Field(default=0.1, ge=0, description="Weight of the bonus: reward = task + weight * bonus.")
    learning_rate: float = Field(default=1e-3, gt=0, description="Adam step size of the predictor.")


def network(size: int) -> nn.Module:
    return nn.Sequential(nn.Linear(size, 64), nn.ReLU(), nn.Linear(64, 16))


class Bonus(VecEnvWrapper):
    """Adds the bonus of the state that each step leads to, and keeps the rollout's observations."""

    def __init__(self, venv: VecEnv, target: nn.Module, predictor: nn.Module, weight: float) -> None:
        super().__init__(venv)
        self.target, self.predictor, self.weight = target, predictor, weight
        self.bonus = np.zeros(venv.num_envs)  # of the latest step
        self.seen: list[torch.Tensor] = []  # (n, d) a step

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        obs, reward, done, infos = self.venv.step_wait()
        self.seen.append(torch.from_numpy(obs))
        self.bonus = self.error(self.seen[-1]).detach().double().numpy()
        return obs, reward + self.weight * self.bonus, done, infos

    def error(self, obs: torch.Tensor) -> torch.Tensor:
        """Mean squared error of the predictor, (n, d) -> (n,)."""
        return (self.predictor(obs) - self.target(obs).detach()).square().mean(dim=1)


class Distil(BaseCallback):
    """One step of the predictor at the end of each rollout, on all that was seen in it."""

    def __init__(self, env: Bonus, learning_rate: float) -> None:
        super().__init__()
        self.env = env
        self.optimizer = torch.optim.Adam(env.predictor.parameters(), lr=learning_rate)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        loss = self.env.error(torch.cat(self.env.seen)).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.env.seen.clear()
        self.logger.record("curiosity/curiosity_loss", loss.item())


class Curiosity(Learner):
    def __init__(self, config: Any, base: Any) -> None:
        self.config: CuriosityConfig = config.section("curiosity")
        size = base.observation_space.shape[0]
        self.target, self.predictor = network(size), network(size)

    def wrap(self, env: VecEnv) -> VecEnv:
        self.env = Bonus(env, self.target, self.predictor, self.config.weight)
        self.callback = Distil(self.env, self.config.learning_rate)
        self.parts = {"target": self.target, "predictor": self.predictor, "optimizer": self.callback.optimizer}
        return self.env

    def get_state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def set_state(self, state: Any) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])

    def step_metrics(self) -> dict[str, np.ndarray]:
        return {"curiosity_reward": self.env.bonus}


SPEC = LearnerSpec("curiosity", CuriosityConfig, Curiosity, columns=(Column("curiosity_reward", "curious {:.2f}"),))
