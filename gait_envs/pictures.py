"""Pictures of sub-environments, through the camera and in the size that an environment was made with."""

from __future__ import annotations

from collections.abc import Iterable

import mujoco
import numpy as np

from gait_envs.core import Core
from gait_envs.render import Offscreen
from gait_envs.simulation.base import State
from gait_envs.tasks.checks import check_count

WIDTH, HEIGHT, CAMERA = 640, 480, "track"  # unless others are asked for
MOST_PIXELS = 16_384  # a side


class Pictures:
    """Draws the sub-environments of a core, one at a time; the first picture opens what drawing needs."""

    def __init__(self, core: Core, width: int, height: int, camera_id: int | None, camera_name: str | None) -> None:
        """`width`, `height`: pixels; `camera_id` or `camera_name`: of a camera of the model, -1 for a free one.

        Raises ValueError for what is not possible.
        """
        self.core = core
        self.width = check_count(width, "width", 1, MOST_PIXELS)
        self.height = check_count(height, "height", 1, MOST_PIXELS)
        model = core.robot.model
        self.camera = find_camera(model, camera_id, camera_name)
        # As Gymnasium's own environments do it: larger pictures need larger buffers.
        buffers = model.vis.global_
        buffers.offwidth, buffers.offheight = max(buffers.offwidth, width), max(buffers.offheight, height)
        self._offscreen: Offscreen | None = None

    def draw(self, ids: Iterable[int], *, depth: bool = False) -> list[np.ndarray]:
        """A picture (height, width, 3) uint8 of each of `ids`; metres (height, width) float32 where `depth`."""
        return [self._draw(i, depth) for i in ids]

    def _draw(self, i: int, depth: bool) -> np.ndarray:
        model = self.core.physics.own_model(i)
        if self._offscreen is None or self._offscreen.model is not model:  # bodies have become their own
            self.close()
            self._offscreen = Offscreen(model, self.width, self.height, self.camera)
        state = self.core.state
        return self._offscreen.frame(state.qpos[i], state.qvel[i], depth=depth, act=activations(state, i))

    def close(self) -> None:
        if self._offscreen is not None:
            self._offscreen.close()
            self._offscreen = None


def find_camera(model: mujoco.MjModel, camera_id: int | None, camera_name: str | None) -> int:
    """The number of a camera of the model, -1 for a free one; ValueError where there is none of that name or number."""
    names = [model.camera(i).name for i in range(model.ncam)]
    if camera_id is not None and camera_name is not None:
        raise ValueError("camera_id and camera_name say the same thing twice; give one of them")
    if camera_id is not None:
        return check_count(camera_id, "camera_id", -1, model.ncam - 1)
    if camera_name is None:
        return names.index(CAMERA) if CAMERA in names else -1
    if camera_name not in names:
        raise ValueError(f"camera_name is {camera_name!r}, the model has {', '.join(names) or 'no camera'}")
    return names.index(camera_name)


def activations(state: State, i: int = 0) -> np.ndarray | None:
    """Of a sub-environment's muscles, (na,)."""
    return None if state.muscles is None else state.muscles.activation[i]
