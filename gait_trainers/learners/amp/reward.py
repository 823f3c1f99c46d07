"""The style reward: a function of the discriminator's score, and the wrapper that adds it to the task reward."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn
from torch import Tensor

from gait_trainers.learners.amp.windows import WindowStack
from gait_trainers.models.discriminator import Discriminator
from gait_trainers.rl.sb3_vec import SB3VecEnv


def clip_reward(score: Tensor) -> Tensor:
    """clip(D, 0, 1): the score itself."""
    return score.clamp(0.0, 1.0)


def quadratic_reward(score: Tensor) -> Tensor:
    """max(0, 1 - (D - 1)^2): flat near 1 and steepest near 0, where a policy starts.

    It is the reward of Peng et al. (2021), max(0, 1 - (d - 1)^2 / 4) for targets -1 and 1, at d = 2 D - 1.
    """
    return (1.0 - (score - 1.0).square()).clamp(min=0.0)


STYLE_REWARDS: dict[str, Callable[[Tensor], Tensor]] = {"clip": clip_reward, "quadratic": quadratic_reward}


class AMPRewardWrapper(VecEnvWrapper):
    """Adds `weight` times the style reward to the task reward, and keeps the rollout's windows for training.

    The features of the frame a step leads to are `info["amp_obs"]`. The first window of an episode is complete
    once the episode, its reset state included, has as many frames as it spans; before that the style reward is 0 and
    nothing is stored. Scores come from the discriminator as it is while the rollout is collected.
    """

    def __init__(
        self,
        venv: VecEnv,
        discriminator: Discriminator,
        *,
        frames: int,
        weight: float,
        reward: str = "clip",
        dilation: int = 1,
        spare_standing: bool = False,
    ):
        """`spare_standing`: where `info["command"]` is all zero, the style reward is the mean of the others', and the
        windows are not kept."""
        super().__init__(venv)
        if not isinstance(venv.unwrapped, SB3VecEnv):
            raise TypeError(f"AMPRewardWrapper needs a SB3VecEnv inside, found {type(venv.unwrapped).__name__}")
        self.base: SB3VecEnv = venv.unwrapped
        self.discriminator = discriminator
        self.weight = weight
        self.style_reward = STYLE_REWARDS[reward]
        self.spare_standing = spare_standing
        self.stack = WindowStack(venv.num_envs, frames, len(discriminator.mean) // frames, dilation)
        self.style = np.zeros(venv.num_envs)  # latest style reward, before the weight
        self.valid = np.zeros(venv.num_envs, dtype=bool)  # where it is one
        self.rollout: list[np.ndarray] = []  # windows since take_rollout, (≤ n, frames * d) a step

    def reset(self) -> np.ndarray:
        obs = self.venv.reset()
        self.stack.reset(np.ones(self.num_envs, dtype=bool), self.base.last_info["amp_obs"])
        self.rollout.clear()
        return obs  # type: ignore[return-value]

    def step_wait(self) -> VecEnvStepReturn:
        obs, reward, done, infos = self.venv.step_wait()
        windows, self.valid = self.stack.push(self.base.last_transition["amp_obs"])
        scores, complete = self._score(windows), self.valid
        if self.spare_standing:
            standing = ~self.base.last_transition["command"].any(axis=1)
            self.valid = complete & ~standing
            scores = np.where(standing, scores[self.valid].mean() if self.valid.any() else 0.0, scores)
        self.style = np.where(complete, scores, 0.0)
        self.rollout.append(windows if self.valid.all() else windows[self.valid])
        if done.any():
            self.stack.reset(done, self.base.last_info["amp_obs"])
        return obs, reward + self.weight * self.style, done, infos

    def take_rollout(self) -> np.ndarray:
        """The windows collected since the last call, (m, frames * d)."""
        windows = np.concatenate(self.rollout) if self.rollout else np.zeros((0, len(self.discriminator.mean)))
        self.rollout.clear()
        return windows.astype(np.float32, copy=False)

    def get_state(self) -> dict[str, Any]:
        """Everything that the next steps depend on, for a checkpoint."""
        return self.stack.get_state()

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self.stack.set_state(state)

    def _score(self, windows: np.ndarray) -> np.ndarray:
        # In eval mode spectral normalisation keeps its power iteration still: scoring changes nothing.
        self.discriminator.eval()
        with torch.no_grad():
            score = self.discriminator(torch.from_numpy(windows).to(self.discriminator.mean.device))
            return self.style_reward(score).double().cpu().numpy()
