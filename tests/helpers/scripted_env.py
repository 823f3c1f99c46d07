"""A vector environment whose every number is known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space


class ScriptedEnv(VectorEnv):
    """Environment i ends its episodes after `lengths[i]` steps, by falling where `falls[i]`, else by time.

    At step t of its episode e, environment i observes (i, t), shows the AMP features (i, e, t) and has earned
    the reward t + 10 i for the step that led there.
    """

    def __init__(self, lengths: list[int], falls: list[bool], mode: AutoresetMode = AutoresetMode.SAME_STEP):
        self.num_envs = len(lengths)
        self.metadata = {"autoreset_mode": mode, "render_fps": 50}
        self.render_mode = None
        self.single_observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float32)
        self.single_action_space = spaces.Box(-1.0, 1.0, (1,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.lengths, self.falls = np.array(lengths), np.array(falls)
        self.index = np.arange(self.num_envs)
        self.episode, self.t = np.zeros(self.num_envs), np.zeros(self.num_envs)
        self.seeds: Any = None
        self.options: Any = None

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[np.ndarray, dict[str, Any]]:
        self.seeds, self.options = seed, options
        self.episode[:], self.t[:] = 0, 0
        return self._obs(), self._info(np.zeros(self.num_envs, bool))

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        self.t += 1
        reward = self.t + 10.0 * self.index
        over = self.t >= self.lengths
        terminated, truncated = over & self.falls, over & ~self.falls
        obs, info = self._obs(), self._info(truncated)
        if over.any():
            final = {"final_obs": obs, "_final_obs": over, "final_info": info, "_final_info": over}
            self.episode[over] += 1
            self.t[over] = 0
            obs, info = self._obs(), self._info(truncated & ~over) | final
        return obs, reward, terminated, truncated, info

    def _obs(self) -> np.ndarray:
        return np.stack([self.index, self.t], axis=-1).astype(np.float32)

    def _info(self, success: np.ndarray) -> dict[str, Any]:
        features = np.stack([self.index, self.episode, self.t], axis=-1).astype(np.float32)
        every = np.ones(self.num_envs, bool)
        told = np.stack([self.index, 0 * self.t, 0 * self.t], axis=-1)  # the first environment is told to stand
        info = {
            "command": told,
            "amp_obs": features,
            "x_velocity": self.t.copy(),
            "success": success,
            "reward_t": self.t.copy(),
        }
        return info | {f"_{key}": every for key in info}

    def get_state(self) -> dict[str, Any]:
        return {"episode": self.episode.copy(), "t": self.t.copy()}

    def set_state(self, state: dict[str, Any]) -> None:
        self.episode, self.t = state["episode"].copy(), state["t"].copy()
