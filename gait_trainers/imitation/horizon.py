"""Episodes of one length, for algorithms whose reward says nothing of how an episode ends.

GAIL's reward is positive everywhere, so that it pays to live long whatever one does; AIRL's may be negative, so that
it pays to fall. Where every episode has the same length, neither can show.
"""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn


class FixedHorizon(VecEnvWrapper):
    """Every episode lasts `horizon` steps: after a fall the robot stands up again within it.

    The reset within an episode is a step like any other, from the last state before the fall to the new start. Each
    episode ends as a time-out, and its last observation is that of the next one's beginning.
    """

    def __init__(self, venv: VecEnv, horizon: int) -> None:
        super().__init__(venv)
        self.horizon, self.steps = horizon, 0

    def reset(self) -> VecEnvObs:
        self.steps = 0
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        obs, reward, done, infos = self.venv.step_wait()
        self.steps += 1
        for i in np.flatnonzero(done):
            for key in ("terminal_observation", "TimeLimit.truncated"):
                infos[i].pop(key, None)
        over = self.steps >= self.horizon
        if over:
            self.steps = 0
            for info, last in zip(infos, obs, strict=True):
                info |= {"terminal_observation": last, "TimeLimit.truncated": True}
        return obs, reward, np.full(self.num_envs, over), infos
