"""Environments as pickles and deep copies: how they were made, what was changed, and their state."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gait_envs.core import Core
from gait_envs.models.edits import edits, make_edits
from gait_envs.registry import find


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
