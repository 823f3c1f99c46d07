"""The vector environment: `gymnasium.vector.VectorEnv` over a `Core` of n, in one process on all processors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from gait_envs.constants import MOST_THREADS
from gait_envs.core import Core
from gait_envs.env import RENDER_MODES, make_spaces
from gait_envs.forms import (
    HEIGHT,
    MOST_ENVS,
    WIDTH,
    Pictures,
    get_changes,
    make_changes,
    refuse_lost_edits,
    seeds_of,
    time_limit,
)
from gait_envs.forms import autoreset_mode as to_mode
from gait_envs.registry import find
from gait_envs.simulation.checks import check_count
from gait_envs.simulation.parameters import ParamSpace

ARRAYS = [mode for mode in RENDER_MODES if mode != "human"]


class GaitVectorEnv(VectorEnv):
    """Many environments at once; sub-environment i equals the scalar environment seeded with `seed + i`.

    In `SAME_STEP` mode `info` holds `final_obs` (n, size) and `final_info` with the masks `_final_obs` and
    `_final_info`; in `DISABLED` mode pass `options={"reset_mask": mask}` to reset only some.
    """

    metadata: dict[str, Any] = {"render_modes": ARRAYS, "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        num_envs: int = 1,
        *,
        task: str = "walk",
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        threads: int = 0,
        render_mode: str | None = None,
        width: int = WIDTH,
        height: int = HEIGHT,
        camera_id: int | None = None,
        camera_name: str | None = None,
        **config: Any,
    ) -> None:
        """`threads`: of the physics, 0 for one a processor; the other arguments are those of the scalar form, whose
        time limit is `max_episode_steps`, -1 for none.
        """
        check_count(num_envs, "num_envs", 1, MOST_ENVS)
        check_count(threads, "threads", 0, MOST_THREADS)
        mode = to_mode(autoreset_mode)
        if render_mode is not None and render_mode not in ARRAYS:
            raise ValueError(
                f"render_mode {render_mode!r} of a vector environment; allowed are None, {', '.join(ARRAYS)}"
            )
        row = find(task)
        limit = time_limit(max_episode_steps, row.steps)
        made = row.make_task(config)
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = mode  # as Gymnasium's own vector environments have it; also in `metadata`
        own = {"autoreset_mode": mode, "render_fps": round(made.robot.control_rate)}
        self.metadata = self.metadata | own
        self.core = Core(
            made,
            num_envs,
            threads=threads,
            max_episode_steps=limit,
            autoreset_mode=mode,
        )
        self.single_observation_space, self.single_action_space = make_spaces(made)
        self.observation_space: spaces.Space[Any] = batch_space(self.single_observation_space, num_envs)
        self.action_space: spaces.Space[Any] = batch_space(self.single_action_space, num_envs)
        self._pictures = Pictures(self.core, width, height, camera_id, camera_name)
        self._made_with = {
            "num_envs": num_envs, "task": task, "max_episode_steps": max_episode_steps, "threads": threads,
            "autoreset_mode": mode, "render_mode": render_mode,
            "width": width, "height": height, "camera_id": camera_id, "camera_name": camera_name, **config,
        }  # fmt: skip

    @property
    def model(self) -> Any:
        """The `MjModel` that all sub-environments share; edits take effect as in the scalar form."""
        return self.core.robot.model

    @property
    def data(self) -> NoReturn:
        """Only the scalar form has this; here it would show one of many."""
        raise AttributeError(
            "a vector environment has no data; core.physics.get_data(i) is a copy of sub-environment i's MjData"
        )

    @property
    def param_space(self) -> ParamSpace:
        """The same as in the scalar form."""
        return self.core.parameters.space

    def normalize_params(self, params: Mapping[str, Any]) -> np.ndarray:
        """The same as in the scalar form."""
        return self.param_space.normalize(params)

    def reset(
        self, *, seed: int | Sequence[int | None] | np.ndarray | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin new episodes; `options`: those of the scalar form, one value or a row each, and `reset_mask` (n,)."""
        options = dict(options or {})
        mask = np.asarray(options.pop("reset_mask", np.ones(self.num_envs, dtype=bool)))
        if mask.shape != (self.num_envs,) or mask.dtype != bool or not mask.any():
            raise ValueError(f"options['reset_mask'] must be {self.num_envs} booleans, one of them true; got {mask}")
        seeds = seeds_of(seed, self.num_envs)
        refuse_lost_edits(self.core, self._made_with["task"])
        ids = np.flatnonzero(mask)
        self.core.seed(seeds, ids)
        found = self.core.reset(ids, options)
        refuse_lost_edits(self.core, self._made_with["task"])
        return found

    def step(self, actions: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Advance all; actions (n, nu) in [-1, 1]."""
        if np.shape(actions) != self.action_space.shape:
            raise ValueError(f"actions have shape {np.shape(actions)}, expected {self.action_space.shape}")
        result = self.core.step(actions)
        return result.obs, result.reward, result.terminated, result.truncated, result.info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """A picture of each sub-environment, as Gymnasium's vector wrappers expect."""
        if self.render_mode is None:
            return None
        return tuple(self._pictures.draw(range(self.num_envs), depth=self.render_mode == "depth_array"))

    def close_extras(self, **kwargs: Any) -> None:
        self._pictures.close()

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

    def __getstate__(self) -> dict[str, Any]:
        """As of the scalar form."""
        changes = get_changes(self.core, self._made_with["task"])
        return {"made_with": self._made_with, "spec": self.spec, "changes": changes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["made_with"])  # type: ignore[misc]
        self.spec = state["spec"]
        make_changes(self.core, state["changes"])
