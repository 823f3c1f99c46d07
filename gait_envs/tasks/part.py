"""Parts of a task: tables of pure functions of a `View` or of the `Memory`, one table per concern.

A part leaves out what it has nothing to say about. See docs/contracts/task.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gait_envs.layout import Row
from gait_envs.rotations import Array
from gait_envs.tasks.memory import Field, Memory
from gait_envs.tasks.rewards import Term
from gait_envs.tasks.view import View


@dataclass(frozen=True)
class Start:
    """The initial state of one sub-environment, drawn from its own generator."""

    qpos: np.ndarray  # (nq,)
    qvel: np.ndarray  # (nv,)
    command: np.ndarray  # (3,) vx, vy m/s, yaw rate rad/s
    on_floor: bool  # True: the pose is to be lifted or lowered until its lowest sole touches
    clip: int = 0  # the reference frame it was taken from, where there is one
    frame: int = 0
    walker: np.ndarray = field(default_factory=lambda: np.ones(0))  # the walker's parameters, see `tasks.player`


class Observed(NamedTuple):
    """A row of the observation and the function that computes it, (n, row.size)."""

    row: Row
    of: Callable[[View], Array]


@dataclass(frozen=True)
class Part:
    """What one concern adds to a task. Functions return changes of the memory or (n, ...) arrays."""

    fields: tuple[Field, ...] = ()  # what it remembers
    begin: Callable[[Memory, np.ndarray, Sequence[Start]], None] | None = None  # writes the rows `ids` of a reset
    before: Callable[[Memory], dict[str, Array]] | None = None  # each step, before the simulation
    after: Callable[[View], dict[str, Array]] | None = None  # each step, after the simulation
    redraw: Callable[[Memory, np.ndarray, list[np.random.Generator]], None] | None = None  # new commands where due
    finish: Callable[[Memory, np.ndarray, np.ndarray], None] | None = None  # ended `ids`, success?
    observed: tuple[Observed, ...] = ()
    terms: Mapping[str, Term] = field(default_factory=dict)  # reward terms that may be given a weight
    columns: Mapping[str, Callable[[View], Array]] = field(default_factory=dict)  # of `info`
    costly: frozenset[str] = frozenset()  # columns that take a share of a step; whoever reads none may leave them out
    quantities: Mapping[str, Callable[[View], Array]] = field(
        default_factory=dict
    )  # what other parts may look up in a view by name
    failures: tuple[Callable[[View], Array], ...] = ()  # (n,) bool: failure; the value of the next state is 0
    conditions: tuple[Callable[[View], Array], ...] = ()  # (n,) bool: a surviving episode is a success
    endings: tuple[Callable[[View], Array], ...] = ()  # (n,) bool: the episode is over without a failure
