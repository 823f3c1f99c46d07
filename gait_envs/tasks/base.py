"""The contract of a task: a body, actions, and parts with their own memory, observations, rewards and terminations.

A task is composed: each concern (the feet, a command to obey, a clip to follow) is a `Part`. `Core` knows this class
only. See docs/contracts/task.md.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gait_envs.layout import Layout
from gait_envs.models.robot import Robot
from gait_envs.reference.amp_features import amp_layout
from gait_envs.reference.library import MotionLibrary
from gait_envs.simulation.base import Simulation, State
from gait_envs.simulation.checks import check_weights, is_real
from gait_envs.simulation.make import make_simulation
from gait_envs.simulation.parameters import ParamSpace
from gait_envs.simulation.randomize import Drawn
from gait_envs.tasks.actions import Actions
from gait_envs.tasks.config import TaskConfig
from gait_envs.tasks.memory import Field, Memory, blank_memory
from gait_envs.tasks.part import Part, Start
from gait_envs.tasks.player import Player
from gait_envs.tasks.view import Settings, View

DOWN = Field("down", (3,), "1", "unit vector of gravity in the frame of the floor; there where floors are inclined")


class Task:
    """Pure batched functions for one robot and one configuration; arrays have one row per sub-environment."""

    def __init__(
        self,
        robot: Robot,
        config: TaskConfig,
        actions: Actions,
        parts: Sequence[Part],
        draw: Callable[[np.random.Generator, float, Mapping[str, Any], Settings], Start],
        options: Mapping[str, int],
        *,
        param_space: ParamSpace,
        library: MotionLibrary | None = None,
        player: Player | None = None,
    ) -> None:
        """`draw(rng, level, options, settings)`: where one episode begins, under these options of reset
        `options`: the keys of reset options, and each value's dimensions
        `library`: clips that episodes begin in; `player`: of the reference that is followed, step by step
        """
        self.robot, self.config, self.actions, self.parts, self.draw = robot, config, actions, tuple(parts), draw
        self.param_space, self.library, self.player = param_space, library, player
        body = config.body_params
        self.option_keys = {**options, "params": 0} if body is not None else dict(options)
        self._usual = param_space.values(body or {})
        self.inclined = config.randomize.enabled and config.randomize.slope > 0
        fields = [actions.fields, *(part.fields for part in self.parts)] + [(DOWN,)] * self.inclined
        self.fields = tuple(itertools.chain.from_iterable(fields))
        self.terms = {name: term for part in self.parts for name, term in part.terms.items()}
        self.quantities = {name: of for part in self.parts for name, of in part.quantities.items()}
        self.columns = {name: of for part in self.parts for name, of in part.columns.items()}
        self._costly = frozenset(name for part in self.parts for name in part.costly)
        self._observed = tuple(row for part in self.parts for row in part.observed)
        self._failures = [of for part in self.parts for of in part.failures]
        self._endings = [of for part in self.parts for of in part.endings]
        self._before = [part.before for part in self.parts if part.before is not None]
        self._after = [part.after for part in self.parts if part.after is not None]
        self.layout = Layout(row for row, _ in self._observed)
        self.amp_layout = amp_layout(len(robot.joint_names), robot.traits.contact_scale)
        self.settings = self.adjusted(Settings({}), config.reward_weights, config.distance_limit)

    @property
    def follows(self) -> bool:
        """Whether a reference is followed, step by step."""
        return self.player is not None

    @property
    def action_names(self) -> tuple[str, ...]:
        """What each number of an action moves."""
        return self.actions.names

    def adjusted(
        self, settings: Settings, reward_weights: Mapping[str, float] | None = None, max_distance: float | None = None
    ) -> Settings:
        """The settings with these instead; raises ValueError for what this task does not know."""
        if reward_weights is not None:
            check_weights(reward_weights)
        unknown = [name for name in reward_weights or {} if name not in self.terms]
        if unknown:
            raise ValueError(f"unknown reward term {unknown}; known are {list(self.terms)}")
        if max_distance is not None and not (self.follows and is_real(max_distance) and max_distance > 0):
            rule = "it must be greater than 0" if self.follows else "but the task follows no reference"
            raise ValueError(f"max_distance is {max_distance}, {rule}")
        return Settings(
            settings.reward_weights if reward_weights is None else dict(reward_weights),
            settings.max_distance if max_distance is None else max_distance,
        )

    def param_values(self, options: Mapping[str, Any]) -> np.ndarray:
        """The walker's parameters (P,) for these reset options, else those of the configuration."""
        return self.param_space.values(options["params"]) if "params" in options else self._usual

    def make_simulation(self, n: int, threads: int) -> Simulation:
        """n simulations of the body, moved as the configuration says."""
        return make_simulation(self.robot, n, threads, self.config.drive)

    def view(self, state: State, memory: Memory, settings: Settings | None = None) -> View:
        """The view of this state and memory; `settings`: None for the configuration's."""
        return View(self, state, memory, settings or self.settings)

    def blank_memory(self, n: int) -> Memory:
        """Memory of n sub-environments that have not been reset yet."""
        return blank_memory(self.fields, n)

    def begin(self, memory: Memory, ids: np.ndarray, starts: Sequence[Start], drawn: Drawn) -> None:
        """Write the rows of the freshly reset sub-environments."""
        self.actions.begin(memory, ids, starts, drawn.lag)
        if self.inclined:
            memory.down[ids] = drawn.down
        for part in self.parts:
            if part.begin is not None:
                part.begin(memory, ids, starts)

    def act(self, memory: Memory, action: np.ndarray) -> tuple[np.ndarray, Memory]:
        """The controls of this step (n, controls), and the memory with the action in it."""
        for before in self._before:
            memory = memory.replace(**before(memory))
        return self.actions.act(memory, action)

    def advance(self, view: View) -> View:
        """The moment with what is remembered of it."""
        for after in self._after:
            view = view.after(view.memory.replace(**after(view)))
        return view

    def finish(self, memory: Memory, ids: np.ndarray, success: np.ndarray) -> None:
        """Update what outlasts an episode, such as a curriculum, of the sub-environments `ids` whose episode ended."""
        for part in self.parts:
            if part.finish is not None:
                part.finish(memory, ids, success)

    def redraw(self, memory: Memory, rows: np.ndarray, rngs: list[np.random.Generator]) -> None:
        """Draw new commands where one is due, among the sub-environments `rows`."""
        for part in self.parts:
            if part.redraw is not None:
                part.redraw(memory, rows, rngs)

    def observe(self, view: View) -> np.ndarray:
        """The observation, (n, layout.size) float32."""
        return self.layout.pack({row.name: of(view) for row, of in self._observed})

    def reward(self, view: View) -> dict[str, np.ndarray]:
        """Weighted terms (n,), in the order of the weights; their sum is the reward."""
        return {name: weight * self.terms[name].of(view) for name, weight in view.settings.reward_weights.items()}

    def failed(self, view: View) -> np.ndarray:
        """Failure (n,), by any of the parts."""
        return functools.reduce(np.logical_or, [of(view) for of in self._failures])

    def followed(self, view: View) -> np.ndarray:
        """Whether an episode that ends here without a failure is a success (n,): see `tasks.success`."""
        conditions = [of(view) for part in self.parts for of in part.conditions]
        return functools.reduce(np.logical_and, conditions, np.ones(len(view), dtype=bool))

    def finished(self, view: View) -> np.ndarray:
        """Whether the episode has ended without a failure, as at the end of a clip, (n,)."""
        return functools.reduce(np.logical_or, [of(view) for of in self._endings], np.zeros(len(view), dtype=bool))

    def info(self, view: View, *, costly: bool = True) -> dict[str, np.ndarray]:
        """What one may want to log; constant keys and shapes. `costly`: also what takes a share of a step."""
        left_out = frozenset() if costly else self._costly
        return {name: of(view) for name, of in self.columns.items() if name not in left_out}
