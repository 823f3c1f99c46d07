"""The vector environment: `gymnasium.vector.VectorEnv` over a `Core` of n, in one process on all processors."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gait_envs.core import Core
from gait_envs.env import RENDER_MODES, activations, make_spaces
from gait_envs.registry import find
from gait_envs.render import Offscreen
from gait_envs.simulation.parameters import ParamSpace


class GaitVectorEnv(VectorEnv):
    """Many environments at once; sub-environment i equals the scalar environment seeded with `seed + i`.

    In `SAME_STEP` mode `info` holds `final_obs` (n, size) and `final_info` with the masks `_final_obs` and
    `_final_info`; in `DISABLED` mode pass `options={"reset_mask": mask}` to reset only some.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: str = "walk",
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 0,
        render_mode: str | None = None,
        **config: Any,
    ) -> None:
        if num_envs < 1:
            raise ValueError(f"num_envs is {num_envs}, at least 1 is needed")
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode {render_mode!r} of a vector environment; allowed are None and 'rgb_array'")
        row = find(task)
        made = row.make_task(config)
        self.num_envs = num_envs
        self.render_mode = render_mode
        own = {"autoreset_mode": AutoresetMode(autoreset_mode), "render_fps": round(made.robot.control_rate)}
        self.metadata = self.metadata | own
        self.core = Core(
            made,
            num_envs,
            threads=threads,
            max_episode_steps=row.steps if max_episode_steps is None else max_episode_steps,
            autoreset_mode=AutoresetMode(autoreset_mode),
        )
        self.single_observation_space, self.single_action_space = make_spaces(made)
        self.observation_space: spaces.Space[Any] = batch_space(self.single_observation_space, num_envs)
        self.action_space: spaces.Space[Any] = batch_space(self.single_action_space, num_envs)
        self._offscreen: Offscreen | None = None

    @property
    def model(self) -> Any:
        """The `MjModel` that all sub-environments share; edits take effect as in the scalar form."""
        return self.core.robot.model

    @property
    def param_space(self) -> ParamSpace:
        """The same as in the scalar form."""
        return self.core.parameters.space

    def normalize_params(self, params: Mapping[str, Any]) -> np.ndarray:
        """The same as in the scalar form."""
        return self.param_space.normalize(params)

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin new episodes; `options`: those of the scalar form, one value or a row each, and `reset_mask` (n,)."""
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(f"options['reset_mask'] must be {self.num_envs} booleans, one of them true; got {mask}")
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + i for i in range(self.num_envs)]
        if seed is not None and len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} sub-environments")
        ids = np.flatnonzero(mask)
        self.core.seed(seed or [None] * self.num_envs, ids)
        return self.core.reset(ids, options)

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance all; actions (n, nu) in [-1, 1]."""
        if np.shape(actions) != self.action_space.shape:
            raise ValueError(f"actions have shape {np.shape(actions)}, expected {self.action_space.shape}")
        result = self.core.step(actions)
        return result.obs, result.reward, result.terminated, result.truncated, result.info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """The first sub-environment's picture, as a tuple of one, as Gymnasium's recorder expects."""
        if self.render_mode is None:
            return None
        if self._offscreen is None:
            self._offscreen = Offscreen(copy.copy(self.model))
        self.core.physics.write_model(0, self._offscreen.model)
        state = self.core.state
        return (self._offscreen.frame(state.qpos[0], state.qvel[0], act=activations(state)),)

    def close_extras(self, **kwargs: Any) -> None:
        if self._offscreen is not None:
            self._offscreen.close()
            self._offscreen = None

    def set_settings(
        self, reward_weights: Mapping[str, float] | None = None, max_distance: float | None = None
    ) -> None:
        """Change what a schedule may change between two steps (None: unchanged); see `Core.set_settings`."""
        self.core.set_settings(reward_weights, max_distance)

    def get_state(self) -> dict[str, Any]:
        """Everything that the rest of the episodes depends on; see `Core.get_state`."""
        return self.core.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from `get_state`, bit for bit."""
        self.core.set_state(state)
