"""A learner of your own: curiosity. One network learns to predict the outputs of a random one; the bonus of a state is
its prediction error (random network distillation, Burda et al., ICLR 2019).

python examples/extending/my_learner.py
"""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
import torch
from pydantic import Field
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from torch import nn

from gait_trainers.config.layers import load_config
from gait_trainers.config.registry import register_learner
from gait_trainers.config.section import Section
from gait_trainers.learners.base import Column, Learner, LearnerSpec
from gait_trainers.rl.train import train


class CuriosityConfig(Section):
    weight: float = Field(default=0.1, ge=0, description="Weight of the bonus: reward = task + weight * bonus.")


class Bonus(VecEnvWrapper):  # adds the bonus of the state that a step leads to, and keeps the rollout's observations
    def __init__(self, venv: VecEnv, weight: float) -> None:
        super().__init__(venv)
        d = venv.observation_space.shape[0]
        self.networks = nn.ModuleList(nn.Sequential(nn.Linear(d, 64), nn.ReLU(), nn.Linear(64, 16)) for _ in range(2))
        self.weight, self.bonus, self.seen = weight, np.zeros(venv.num_envs), []

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        obs, reward, done, infos = self.venv.step_wait()
        self.seen.append(torch.from_numpy(obs))
        self.bonus = self.error(self.seen[-1]).detach().double().numpy()
        return obs, reward + self.weight * self.bonus, done, infos

    def error(self, obs: torch.Tensor) -> torch.Tensor:  # of the predictor, (n, d) -> (n,)
        return (self.networks[1](obs) - self.networks[0](obs).detach()).square().mean(dim=1)


class Distil(BaseCallback):  # one step of the predictor after each rollout, on all that was seen in it
    def __init__(self, env: Bonus) -> None:
        super().__init__()
        self.env, self.optimizer = env, torch.optim.Adam(env.networks[1].parameters(), lr=0.01)

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

    def wrap(self, env: VecEnv) -> VecEnv:
        self.env = Bonus(env, self.config.weight)
        self.callback = Distil(self.env)
        self.parts = {"networks": self.env.networks, "optimizer": self.callback.optimizer}
        return self.env

    def get_state(self) -> dict[str, Any]:
        return {name: part.state_dict() for name, part in self.parts.items()}

    def set_state(self, state: Any) -> None:
        for name, part in self.parts.items():
            part.load_state_dict(state[name])

    def step_metrics(self) -> dict[str, np.ndarray]:
        return {"curiosity_reward": self.env.bonus}


SPEC = LearnerSpec("curiosity", CuriosityConfig, Curiosity, columns=(Column("curiosity_reward", "curious {:.2f}"),))


def main() -> None:
    register_learner(SPEC)
    small = {"env.num_envs": 8, "ppo.n_steps": 32, "ppo.minibatches": 4, "run.iterations": 3, "run.tensorboard": False}
    own = {"algorithm": "ppo", "learners": ["curiosity"], "run.out": tempfile.mkdtemp()}
    print(train(load_config(overrides=small | own)).run.path)


if __name__ == "__main__":
    main()
