"""The scalar environment: `gymnasium.Env` over a `Core` of one."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces

from gait_envs.core import Core
from gait_envs.forms import HEIGHT, WIDTH, Pictures, get_changes, make_changes, refuse_lost_edits, seeds_of
from gait_envs.registry import find
from gait_envs.render import Window
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.tasks.base import Task

if TYPE_CHECKING:
    import mujoco

RENDER_MODES = ["human", "rgb_array", "depth_array"]


def make_spaces(task: Task) -> tuple[spaces.Box, spaces.Box]:
    """Observation and action boxes of one sub-environment."""
    limits, actions = task.layout.limits, (len(task.action_names),)
    return spaces.Box(-limits, limits, dtype=np.float32), spaces.Box(-1.0, 1.0, actions, np.float32)


class GaitEnv(gymnasium.Env):
    """A body that walks to a commanded velocity (`WalkConfig`) or follows a clip (`TrackConfig`).

    Reset options: `command` (vx m/s, vy m/s, yaw rate rad/s), `qpos` and `qvel` of the start.
    """

    metadata: dict[str, Any] = {"render_modes": RENDER_MODES, "render_fps": 50}  # noqa: RUF012

    def __init__(
        self,
        task: str = "walk",
        render_mode: str | None = None,
        *,
        width: int = WIDTH,
        height: int = HEIGHT,
        camera_id: int | None = None,
        camera_name: str | None = None,
        **config: Any,
    ) -> None:
        """`width`, `height`: pixels of a picture; `camera_id` or `camera_name`: of a camera of the model, "track" if
        neither is given, a free one for -1. A window begins with the camera that was asked for, and has its own size.
        """
        if render_mode is not None and render_mode not in RENDER_MODES:
            raise ValueError(f"unknown render_mode {render_mode!r}; allowed are None, {', '.join(RENDER_MODES)}")
        self.render_mode = render_mode
        # Truncation is the `TimeLimit` wrapper's; the core knows the limit for `success` and the curriculum.
        row = find(task)
        self.core = Core(row.make_task(config), 1, threads=1, max_episode_steps=_asked_limit(row.steps), masks=False)
        self.metadata = self.metadata | {"render_fps": round(self.core.robot.control_rate)}
        self.observation_space, self.action_space = make_spaces(self.core.task)
        self._data: mujoco.MjData | None = None
        self._pictures = Pictures(self.core, width, height, camera_id, camera_name)
        self._window: Window | None = None
        self._window_camera = -1 if camera_id is None and camera_name is None else self._pictures.camera
        size = {"width": width, "height": height, "camera_id": camera_id, "camera_name": camera_name}
        self._made_with = {"task": task, "render_mode": render_mode, **size, **config}

    @property
    def model(self) -> mujoco.MjModel:
        """This environment's own model: edits take effect from the next step on, and in no other environment.

        Not where simulations have fields of their own, with `randomize` or a walker's parameters, which are in
        `core.physics.own_model(0)`: there the next reset refuses an edit.
        """
        return self.core.robot.model

    @property
    def data(self) -> mujoco.MjData:
        """The simulation as an `MjData`, current after each step and reset.

        What is written to its state acts from the next step on: positions, velocities, activations, applied forces
        (`qfrc_applied`, `xfrc_applied`), which stay until they are written again or a reset. Servos get their targets
        from the action, whatever `ctrl` says; what MuJoCo derives from the state is derived again.
        """
        if self._data is None:
            self._data = self.core.physics.get_data(0)
        return self._data

    def _take_over_data(self) -> None:
        """Let what somebody has written to `data` act."""
        if self._data is not None and self.core.physics.write_data(0, self._data):
            self.core.state = self.core.physics.read()

    def _refresh_data(self) -> None:
        if self._data is not None:
            self.core.physics.get_data(0, self._data)

    @property
    def param_space(self) -> ParamSpace:
        """Names, ranges and defaults of the walker's parameters, which `reset(options={"params": …})` takes."""
        return self.core.parameters.space

    def normalize_params(self, params: Mapping[str, Any]) -> np.ndarray:
        """All parameters (P,), each scaled from its range to [0, 1]; see `ParamSpace.normalize`."""
        return self.param_space.normalize(params)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        seeds = seeds_of(seed, 1)
        refuse_lost_edits(self.core, self._made_with["task"])
        super().reset(seed=seeds[0])
        self.core.seed(seeds)
        obs, info = self.core.reset(options=options)
        refuse_lost_edits(self.core, self._made_with["task"])
        self._refresh_data()
        if self.render_mode == "human":
            self.render()
        return obs[0], _first(info)

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        action = np.asarray(action)
        if action.shape != self.action_space.shape:
            raise ValueError(f"action has shape {action.shape}, expected {self.action_space.shape}")
        self._take_over_data()
        result = self.core.step(action[None])
        self._refresh_data()
        if self.render_mode == "human":
            self.render()
        # The time limit is the `TimeLimit` wrapper's; what truncates here is the end of a clip.
        terminated = bool(result.terminated[0])
        finished = bool(self.core.finished[0])
        return result.obs[0], float(result.reward[0]), terminated, finished, _first(result.info)

    def render(self) -> np.ndarray | None:
        if self.render_mode is None:
            gymnasium.logger.warn("render() without a render_mode; pass render_mode to gym.make")
            return None
        self._take_over_data()
        if self.render_mode == "human":
            if self._window is None:
                self._window = Window(copy.copy(self.model), self._window_camera)
            self.core.physics.write_model(0, self._window.model)
            self._window.show(self.data.qpos, self.data.qvel, self.core.robot.dt, self.data.act)
            return None
        return self._pictures.draw([0], depth=self.render_mode == "depth_array")[0]

    def close(self) -> None:
        self._pictures.close()
        if self._window is not None:
            self._window.close()
            self._window = None

    def set_settings(
        self, reward_weights: Mapping[str, float] | None = None, max_distance: float | None = None
    ) -> None:
        """Change what a schedule may change between two steps (None: unchanged); see `Core.set_settings`."""
        self.core.set_settings(reward_weights, max_distance)

    def get_state(self) -> dict[str, Any]:
        """Everything the future depends on; see `Core.get_state`."""
        self._take_over_data()
        return self.core.get_state()

    def set_state(self, state: dict[str, Any]) -> None:
        """Continue from `get_state`, bit for bit."""
        self.core.set_state(state)
        self._refresh_data()

    def __getstate__(self) -> dict[str, Any]:
        """How it was made, its state, and edits of the model; not what was drawn."""
        self._take_over_data()
        changes = get_changes(self.core, self._made_with["task"])
        return {"made_with": self._made_with, "spec": self.spec, "changes": changes}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state["made_with"])  # type: ignore[misc]
        self.spec = state["spec"]
        make_changes(self.core, state["changes"])


def _asked_limit(usual: int) -> int | None:
    """The time limit, in steps, of the running call of `gymnasium.make`, or else of its spec; None: no limit.

    `make` does not pass `max_episode_steps` on to the environment, but wraps it in a `TimeLimit`. Whether an episode
    succeeds depends on its limit, so both are read from the call's stack frame; without such a call the limit is
    `usual`.
    """
    frame = inspect.currentframe()
    while frame is not None and frame.f_code is not gymnasium.make.__code__:
        frame = frame.f_back
    if frame is None:
        return usual
    asked = frame.f_locals["max_episode_steps"]
    if asked is None:
        asked = frame.f_locals["env_spec"].max_episode_steps
    return None if asked == -1 else asked


def _first(info: Mapping[str, Any]) -> dict[str, Any]:
    """The only sub-environment's info: numbers (1,) as scalars with a dtype, which TorchRL needs, rows (1, k) as (k,).

    A truth is an array without dimensions: Gymnasium's own vector environments make an array of objects of `np.bool_`.
    """
    return {key: np.array(value[0]) if value.dtype == bool else value[0] for key, value in info.items()}
