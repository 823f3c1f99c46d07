"""What both forms of an environment share: their arguments checked, their pictures, and what was changed in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Sized
from typing import Any

import mujoco
import numpy as np
from gymnasium.vector import AutoresetMode

from gait_envs.core import Core
from gait_envs.models.edits import differ, edits, make_edits
from gait_envs.registry import find
from gait_envs.render import Offscreen
from gait_envs.simulation.base import State
from gait_envs.simulation.checks import check_count, is_whole, plain

MOST_ENVS, MOST_STEPS = 2**20, 2**40


def autoreset_mode(given: AutoresetMode | str) -> AutoresetMode:
    """Gymnasium's mode, given as itself or as text: "next_step", "NEXT_STEP" and "NextStep" are the same."""
    for mode in AutoresetMode:
        if given is mode or (isinstance(given, str) and _letters(given) == _letters(mode.value)):
            return mode
    allowed = ", ".join(repr(mode.name.lower()) for mode in AutoresetMode)
    raise ValueError(f"autoreset_mode is {given!r}, allowed are {allowed} and the members of AutoresetMode")


def _letters(text: str) -> str:
    return text.lower().replace("_", "")


def time_limit(given: int | None, usual: int) -> int | None:
    """Control steps: what is given, else the usual limit; None for no limit, which is given as -1."""
    if given is None:
        return usual
    return None if is_whole(given) and given == -1 else check_count(given, "max_episode_steps", 1, MOST_STEPS)


def seeds_of(given: Any, n: int) -> list[int | None]:
    """A seed, or None, for each of n sub-environments; sub-environment i of one seed s has s + i.

    Sequences and arrays of n whole numbers of 0 or more are taken as they are. Raises ValueError for anything else.
    """
    given = plain(given)
    if given is None:
        return [None] * n
    if is_whole(given):
        given = [int(given) + i for i in range(n)]
    each = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(each, Sequence) or isinstance(each, str | bytes):
        raise ValueError(f"seed is {given!r}, expected a whole number of 0 or more, or {n} of them")
    if len(each) != n:
        raise ValueError(f"{len(each)} seeds for {n} sub-environments")
    for seed in each:
        if seed is not None and not (is_whole(seed) and seed >= 0):
            raise ValueError(f"seed is {seed!r}, expected a whole number of 0 or more")
    return [None if seed is None else int(seed) for seed in each]


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


LOOKS = re.compile(r"(vis\.|cam_|light_|mat_|tex_).*|.*_(rgba|matid)$")  # fields that no motion depends on


def get_changes(core: Core, task: str) -> dict[str, Any]:
    """What a core differs in from one that has just been made for the task."""
    return {
        "limit": core.max_episode_steps,
        "settings": core.settings,
        "edits": edits(core.robot.model, find(task).shared_robot(core.task.config).model),
        "state": core.get_state(),
    }


def make_changes(core: Core, changes: Mapping[str, Any]) -> None:
    """Bring a core that has just been made to where the other was."""
    core.max_episode_steps, core.settings = changes["limit"], changes["settings"]
    make_edits(core.robot.model, changes["edits"])
    if changes["state"]["generators"]:  # else it has not been reset yet
        core.set_state(changes["state"])


def refuse_lost_edits(core: Core, task: str) -> None:
    """ValueError if the model has been edited where that has no effect: simulations have fields of their own.

    To be asked before a reset and after it, as a reset may be what gives them their fields. How the model looks may be
    edited all the same.
    """
    original = find(task).shared_robot(core.task.config).model
    fields = core.physics.fields
    if not (isinstance(fields, Sized) and len(fields) and differ(core.robot.model, original)):
        return
    lost = [name for name in edits(core.robot.model, original) if not LOOKS.match(name)]
    if lost:
        raise ValueError(
            f"{', '.join(lost)} of the model has been edited, which has no effect: with randomize or params, each "
            "simulation has a model of its own, made from the unedited one. Write to core.physics.fields.own(name)"
        )
