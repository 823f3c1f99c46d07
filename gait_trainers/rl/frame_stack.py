"""The wrapper that shows a policy its latest observations at once (`networks.memory: frames`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from gait_trainers.models.frames import stack


class FrameStack(VecEnvWrapper):
    """Observations (n, d) become the latest `frames` of the episode, (n, frames · d), oldest first."""

    def __init__(self, venv: VecEnv, frames: int) -> None:
        box = venv.observation_space
        assert isinstance(box, spaces.Box)
        low, high = np.tile(box.low, frames), np.tile(box.high, frames)
        super().__init__(venv, spaces.Box(low, high, dtype=box.dtype))  # type: ignore[arg-type]
        self.window = np.zeros((venv.num_envs, (frames - 1) * box.shape[0]), dtype=box.dtype)

    def reset(self) -> np.ndarray:
        obs: Any = self.venv.reset()
        return self._push(obs, np.ones(self.num_envs, dtype=bool))

    def step_wait(self) -> VecEnvStepReturn:
        obs, reward, done, infos = self.venv.step_wait()
        for i in np.flatnonzero(done):
            last = infos[i]["terminal_observation"][None]
            infos[i]["terminal_observation"] = stack(self.window[i : i + 1], last, np.zeros(1, dtype=bool))[0]
        return self._push(obs, done), reward, done, infos  # type: ignore[arg-type]

    def _push(self, obs: np.ndarray, starts: np.ndarray) -> np.ndarray:
        stacked = stack(self.window, obs, starts)
        self.window = stacked[:, obs.shape[1] :].copy()
        return stacked
