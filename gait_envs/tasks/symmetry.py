"""Mirror images of a task's observations and actions: left and right exchanged."""

from __future__ import annotations

from typing import NamedTuple

from gait_envs.models.mirror import MirrorError, SignedPermutation, mirror_of
from gait_envs.tasks.base import Task
from gait_envs.tasks.layouts import held_actions


class TaskMirror(NamedTuple):
    """Signed permutations of a task's vectors, each an involution."""

    observation: SignedPermutation  # (layout.size,)
    action: SignedPermutation  # (actions,)


def task_mirror(task: Task) -> TaskMirror:
    """Built from the robot's mirror tables, by the names of the observation's rows and of the actions.

    A command to the left is the mirror image of one to the right. Raises `MirrorError` where a vector has no mirror
    image: a body whose sides differ, an unknown row, velocities in the world's frame.
    """
    if task.config.velocity_frame == "world":
        raise MirrorError("velocity_frame 'world' has no mirror image in the robot's own plane; use 'heading'")
    tables = mirror_of(task.robot)
    held = tables.named([task.action_names[i] for i in held_actions(task.robot, task.config)])
    return TaskMirror(tables.layout(task.layout, previous_action=held), tables.named(task.action_names))
