"""The adapter from a `GaitVectorEnv` to Stable-Baselines3's `VecEnv`.

Information stays in arrays: `last_info` is the batch of the latest step, and a per-environment dict is filled
only for environments whose episode ended, which is where SB3 looks.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvIndices, VecEnvObs, VecEnvStepReturn

InfoBatch = dict[str, Any]


class SB3VecEnv(VecEnv):
    """Stable-Baselines3's view of n environments that step together.

    A time-out is reported as `TimeLimit.truncated`, with the true last observation as `terminal_observation`,
    so that SB3 bootstraps it with V(s_next); a fall is not.
    """

    def __init__(self, env: VectorEnv):
        mode = env.metadata.get("autoreset_mode")
        if mode is not AutoresetMode.SAME_STEP:
            raise ValueError(f"SB3VecEnv needs autoreset_mode=AutoresetMode.SAME_STEP, the environment has {mode}")
        self.env = env
        self.seconds = 0.0  # wall time spent inside env.step
        self.resets = 0  # of all environments at once, so far
        self.last_info: InfoBatch = {}  # latest step; rows of finished episodes describe the new episode
        self.last_transition: InfoBatch = {}  # latest step; rows of finished episodes describe their end
        self.returns = np.zeros(env.num_envs)  # sum of task rewards in the running episodes
        self.lengths = np.zeros(env.num_envs, dtype=np.int64)
        self._actions = np.zeros(env.action_space.shape, dtype=np.float32)  # type: ignore[type-var]
        super().__init__(env.num_envs, env.single_observation_space, env.single_action_space)

    def reset(self) -> VecEnvObs:
        options = self._options[0]
        if any(other != options for other in self._options):
            raise ValueError("reset options are given to all environments at once; they must not differ")
        seeds = None if self._seeds[0] is None else list(self._seeds)
        obs: np.ndarray
        obs, self.last_info = self.env.reset(seed=seeds, options=options or None)  # type: ignore[arg-type]
        self.last_transition = self.last_info
        self.resets += 1
        self.returns[:] = 0.0
        self.lengths[:] = 0
        self._reset_seeds()
        self._reset_options()
        return obs

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        start = time.perf_counter()
        obs, reward, terminated, truncated, info = self.env.step(self._actions)
        self.seconds += time.perf_counter() - start

        done = terminated | truncated
        self.returns += reward
        self.lengths += 1
        self.last_info = info
        self.last_transition = transition_info(info, done)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        if done.any():
            scalars = {key: value for key, value in info["final_info"].items() if _is_scalar_column(key, value)}
            for i in np.flatnonzero(done):
                infos[i] = {key: value[i].item() for key, value in scalars.items()} | {
                    "terminal_observation": info["final_obs"][i],
                    "TimeLimit.truncated": bool(truncated[i] and not terminated[i]),
                    "episode": {"r": float(self.returns[i]), "l": int(self.lengths[i]), "t": 0.0},
                    "is_success": bool(info["final_info"].get("is_success", truncated & ~terminated)[i]),
                }
            self.returns[done] = 0.0
            self.lengths[done] = 0
        return obs, reward, done, infos

    def close(self) -> None:
        self.env.close()

    def get_images(self) -> Sequence[np.ndarray | None]:
        frames = self.env.render()
        return [None] * self.num_envs if frames is None else list(frames)  # type: ignore[arg-type]

    # The n environments are rows of one object, so an attribute or a method belongs to all of them.

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        return [getattr(self.env, attr_name) for _ in self._rows(indices)]

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        self._only_all("set_attr", indices)
        setattr(self.env, attr_name, value)

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> list[Any]:
        self._only_all("env_method", indices)
        result = getattr(self.env, method_name)(*method_args, **method_kwargs)
        return [result] * self.num_envs

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """Of each environment, whether it reports the returns and lengths of episodes as SB3's `Monitor` does."""
        return [wrapper_class is Monitor for _ in self._rows(indices)]

    def get_state(self) -> dict[str, Any]:
        """Everything that the rest of the episodes depends on."""
        return {"env": self.env.get_state(), "returns": self.returns.copy(), "lengths": self.lengths.copy()}  # type: ignore[attr-defined]

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned."""
        self.env.set_state(state["env"])  # type: ignore[attr-defined]
        self.returns[:] = state["returns"]
        self.lengths[:] = state["lengths"]
        # SB3 seeds a model's environments when it makes it; a later reset would begin their generators again.
        self._reset_seeds()
        self._reset_options()

    def _rows(self, indices: VecEnvIndices) -> Iterable[int]:
        return range(self.num_envs) if indices is None else np.atleast_1d(np.asarray(indices))

    def _only_all(self, name: str, indices: VecEnvIndices) -> None:
        if indices is not None and sorted(self._rows(indices)) != list(range(self.num_envs)):
            raise ValueError(f"{name} acts on all {self.num_envs} environments at once; leave `indices` out")


def transition_info(info: InfoBatch, done: np.ndarray) -> InfoBatch:
    """`info` before automatic resets: rows of finished episodes come from `final_info`."""
    final = info.get("final_info")
    if final is None or not done.any():
        return info
    return {
        key: np.where(done.reshape(-1, *[1] * (value.ndim - 1)), final[key], value)
        for key, value in info.items()
        if key in final and not key.startswith("_")
    }


def _is_scalar_column(key: str, value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and not key.startswith("_")
