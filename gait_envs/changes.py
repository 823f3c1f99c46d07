"""What was changed in an environment since it was made: for its pickles and deep copies, and lest a change be lost."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sized
from typing import Any

from gait_envs.core import Core
from gait_envs.models.edits import differ, edits, make_edits
from gait_envs.registry import find

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

    How the model looks may be edited all the same.
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
