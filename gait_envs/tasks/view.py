"""One moment as a task sees it: state, memory and settings, and derived quantities, each computed once.

A derived quantity is a function of the view with `@derived` on it; whoever asks first computes it, every other reward
term, observation and column of `info` shares it. Arrays have a row for each sub-environment.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gait_envs.rotations import Array, dot, gravity_direction, quat_rotate_inverse, quat_yaw, rotate_about_z, wrap_angle
from gait_envs.simulation.base import State
from gait_envs.tasks.memory import Memory

if TYPE_CHECKING:
    from gait_envs.tasks.base import Task

STEER = 0.5  # rad/s, limit of the heading correction in the observed yaw rate


@dataclass(frozen=True)
class Settings:
    """What a schedule may change between two steps: an input of every step, never a change of the task."""

    reward_weights: Mapping[str, float]  # the reward is the sum of these terms
    max_distance: float = np.inf  # m, mean distance of the bodies from the reference; more is a failure

    @property
    def free(self) -> bool:
        """Whether there is no limit on the distance: clips then only give commands and initial poses."""
        return bool(np.isinf(self.max_distance))


class View:
    """State and memory after a step, under these settings."""

    __slots__ = ("cache", "memory", "settings", "state", "task")

    def __init__(self, task: Task, state: State, memory: Memory, settings: Settings) -> None:
        self.task, self.state, self.memory, self.settings = task, state, memory, settings
        self.cache: dict[object, Array] = {}

    @property
    def options(self) -> Any:
        """The task's configuration; which options it has depends on the task."""
        return self.task.config

    def __len__(self) -> int:
        return len(self.state.qpos)

    def quantity(self, name: str) -> Array:
        """A quantity that a part of the task offers, computed once; raises KeyError where no part does."""
        if name not in self.cache:
            self.cache[name] = self.task.quantities[name](self)
        return self.cache[name]

    def after(self, memory: Memory) -> View:
        """The same moment with an updated memory; derived quantities are kept.

        So nothing that a `Part.after` asks for may depend on what such functions change.
        """
        view = View(self.task, self.state, memory, self.settings)
        view.cache = self.cache
        return view


def derived(function: Callable[[View], Array]) -> Callable[[View], Array]:
    """The function, computed once for each view."""

    @functools.wraps(function)
    def once(view: View) -> Array:
        found = view.cache.get(function)
        if found is None:
            found = view.cache[function] = function(view)
        return found

    return once


@derived
def yaw(view: View) -> Array:
    """The root's heading, (n,) rad in [-π, π]."""
    return quat_yaw(view.state.qpos[:, 3:7])


@derived
def half_turn(view: View) -> tuple[Array, Array]:
    """Cosine and sine (n,) of half the angle about z from the world to the heading frame."""
    return np.cos(half := -yaw(view) / 2), np.sin(half)


def in_heading_frame(view: View, vectors: Array) -> Array:
    """World vectors (n, 3) or (n, k, 3) in the frame that yaws with the root and stays upright."""
    cos, sin = half_turn(view)
    return rotate_about_z((cos, sin) if vectors.ndim == 2 else (cos[:, None], sin[:, None]), vectors)


@derived
def velocity(view: View) -> Array:
    """The root's velocity in its heading frame, (n, 3) m/s."""
    return in_heading_frame(view, view.state.qvel[:, :3])


@derived
def velocity_miss(view: View) -> Array:
    """Velocity less the commanded one, forward and leftward, (n, 2) m/s."""
    return velocity(view)[:, :2] - view.memory.command[:, :2]


@derived
def velocity_error(view: View) -> Array:
    """Its size in each direction, (n, 2) m/s."""
    return np.abs(velocity_miss(view))


@derived
def gravity(view: View) -> Array:
    """Unit vector of gravity in the body frame, (n, 3); upright is (0, 0, -1).

    An accelerometer at rest shows the opposite direction.
    """
    if view.task.inclined:
        return quat_rotate_inverse(view.state.qpos[:, 3:7], view.memory.down)
    return gravity_direction(view.state.qpos[:, 3:7])


@derived
def yaw_rate(view: View) -> Array:
    """Turning rate about the vertical, (n,) rad/s: the body rate's share along -gravity."""
    return -dot(view.state.qvel[:, 3:6], gravity(view))


@derived
def heading_error(view: View) -> Array:
    """Commanded heading minus the robot's, (n,) rad in [-π, π); positive to the left."""
    return wrap_angle(view.memory.heading - yaw(view))


def steered_command(view: View) -> Array:
    """The command with its yaw rate corrected towards the commanded heading, (n, 3) m/s, m/s, rad/s.

    A walker that only senses its yaw rate drifts by the integral of its errors; the correction is the usual outer loop
    (at most `STEER`), and `heading_gain=0` turns it off. Not cached: a command may be resampled before it is observed.
    """
    command, gain = view.memory.command.copy(), view.task.config.heading_gain
    if gain == 0.0:
        return command
    correction = np.minimum(np.maximum(gain * heading_error(view), -STEER), STEER)
    command[:, 2] += correction
    return command
