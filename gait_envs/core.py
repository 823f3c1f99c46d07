"""The order of a step and the automatic resets, written once for any number of sub-environments."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from gymnasium.error import ResetNeeded
from gymnasium.vector import AutoresetMode

from gait_envs.models.robot import Robot
from gait_envs.simulation.base import Simulation, State, renamed
from gait_envs.simulation.parameters import Parameters
from gait_envs.simulation.randomize import Randomizer
from gait_envs.tasks.base import Task
from gait_envs.tasks.memory import Memory
from gait_envs.tasks.view import View

Info = dict[str, Any]
SUNK = 0.005  # m; a reference frame that penetrates the floor deeper, more than soft contact does, is lifted onto it


class StepResult(NamedTuple):
    """Arrays with a row for each sub-environment."""

    obs: np.ndarray  # (n, layout.size) float32
    reward: np.ndarray  # (n,) float64
    terminated: np.ndarray  # (n,) bool, failures
    truncated: np.ndarray  # (n,) bool, time-outs
    info: Info


class Core:
    """n sub-environments: robot, physics and task, stepped together.

    A step is: act, push, simulate, reward, terminate, log, resample commands, observe. Sub-environment i has its own
    random generator, so its episodes do not depend on how many others there are.
    """

    def __init__(
        self,
        task: Task,
        n: int,
        *,
        threads: int = 0,
        max_episode_steps: int | None = None,
        autoreset_mode: AutoresetMode = AutoresetMode.DISABLED,
        simulation: Simulation | None = None,
        masks: bool = True,
    ) -> None:
        """`simulation`: n simulations of the task's robot; None: the task's own, on `threads` threads
        `masks`: does `info` also hold Gymnasium's "_key" masks, as that of a vector environment must?
        """
        self.masks = masks
        self.costly_info = True  # does `info` also hold what takes a share of a step? Training turns it off
        self.task, self.n = task, n
        self.max_episode_steps, self.autoreset_mode = max_episode_steps, autoreset_mode
        self.physics: Simulation = simulation or task.make_simulation(n, threads)
        self.randomizer = Randomizer(task.config.randomize, self.physics)
        self.parameters = Parameters(self.physics, task.param_space, drawn=task.config.randomize.enabled)
        self.memory: Memory = task.blank_memory(n)
        self.state: State = self.physics.read()
        self.rngs: list[np.random.Generator] = []
        self.settings = task.settings  # in force from the next step on; see `set_settings`
        self.finished = np.zeros(n, dtype=bool)  # ended in the last step without a fall, as at a clip's end
        self.divergences = 0  # simulations that diverged since construction; each counted as a fall
        self._ended = np.zeros(n, dtype=bool)  # episodes that are over and not reset yet
        self._all = np.arange(n)

    @property
    def robot(self) -> Robot:
        """The task's robot: the compiled model with its names resolved to indices."""
        return self.task.robot

    def set_settings(
        self, reward_weights: Mapping[str, float] | None = None, max_distance: float | None = None
    ) -> None:
        """Settings from the next step on (None: unchanged); raises ValueError for what the task does not know.

        A schedule calls this between rollouts. The settings are not part of `get_state`: they follow from the
        schedule.
        """
        self.settings = self.task.adjusted(self.settings, reward_weights, max_distance)

    # -- resets -----------------------------------------------------------------------------------------

    def seed(self, seeds: Sequence[int | None], ids: Sequence[int] | np.ndarray | None = None) -> None:
        """Reseed `ids` (None: all) where a seed is given; without one, a first generator is seeded by the system."""
        if not self.rngs:
            self.rngs = [np.random.default_rng() for _ in range(self.n)]
        for i in range(self.n) if ids is None else ids:
            if seeds[i] is not None:
                self.rngs[i] = np.random.default_rng(seeds[i])
                self.memory.level[i] = 0.0  # the same seed gives the same episodes, curriculum included

    def reset(self, ids: np.ndarray | None = None, options: Mapping[str, Any] | None = None) -> tuple[np.ndarray, Info]:
        """Begin episodes in `ids` (None: all); every row of the result is current."""
        self._begin(self._all if ids is None else ids, options or {})
        view = self.task.view(self.state, self.memory, self.settings)
        return self.task.observe(view), self._info(view, np.zeros(self.n, dtype=bool))

    def observe(self) -> np.ndarray:
        """Observations (n, d) float32 of the state as it is, for instance after a change of `memory.command`."""
        return self.task.observe(self.task.view(self.state, self.memory, self.settings))

    def _begin(self, ids: np.ndarray, options: Mapping[str, Any]) -> None:
        if not self.rngs:
            self.seed([None] * self.n)
        each = self._own_options(ids, options)
        values = np.stack([self.task.param_values(own) for own in each])  # before anything has changed
        starts = [
            self.task.draw(self.rngs[i], float(self.memory.level[i]), own, self.settings)
            for i, own in zip(ids, each, strict=True)
        ]
        drawn = self.randomizer.reset(ids, self.rngs)
        self.parameters.reset(ids, values)
        for i, start, own in zip(ids, starts, each, strict=True):
            if "qpos" not in own:
                sole = self.physics.lowest_sole(start.qpos, i)
                if start.on_floor or sole < -SUNK:
                    start.qpos[2] -= sole
        self.task.begin(self.memory, ids, starts, drawn)
        qpos, qvel = np.stack([s.qpos for s in starts]), np.stack([s.qvel for s in starts])
        self.physics.reset(ids, qpos, qvel)
        # The other rows keep the state they had: a diverged one's stand-in, not what it diverged to.
        fresh = np.zeros(self.n, dtype=bool)
        fresh[ids] = True
        state = self.physics.read()
        self.state = state if len(ids) == self.n else state.where(~fresh, self.state)
        self._ended = self._ended & ~fresh

    def _own_options(self, ids: np.ndarray, options: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The reset options of each of `ids`: a value applies to all, or has one row per sub-environment."""
        known = self.task.option_keys
        unknown = [key for key in options if key not in known]
        if unknown:
            raise ValueError(f"unknown reset option {unknown}; known are {list(known)}")
        each = [key for key, value in options.items() if _dimensions(key, value) == known[key] + 1]
        for key in each:
            if len(options[key]) != self.n:
                raise ValueError(
                    f"options[{key!r}] has {len(options[key])} rows for {self.n} sub-environments; "
                    "give one value for all, or one row each"
                )
        return [{key: value[i] if key in each else value for key, value in options.items()} for i in ids]

    # -- steps ------------------------------------------------------------------------------------------

    def step(self, action: np.ndarray) -> StepResult:
        """Advance every sub-environment by one control step, or by its reset where one is due.

        Raises ResetNeeded before the first reset.
        """
        if not self.rngs:
            raise ResetNeeded("step before the first reset; call reset")
        action = np.asarray(action)
        if action.dtype.kind not in "fiub":
            raise ValueError(f"action is of type {action.dtype}, expected real numbers")
        # A sum of squares that is finite says that all are; else it may have overflown.
        if not math.isfinite(np.vdot(action, action)) and not np.isfinite(action).all():
            raise ValueError(f"action is not finite in sub-environments {np.flatnonzero(~np.isfinite(action).all(1))}")
        if self.autoreset_mode == AutoresetMode.NEXT_STEP and np.count_nonzero(self._ended):
            return self._step_and_reset(action, self._ended.copy())
        result = self._advance(action, None)
        done = result.terminated | result.truncated
        self._ended = done
        if self.autoreset_mode == AutoresetMode.SAME_STEP and np.count_nonzero(done):
            ids = np.flatnonzero(done)
            final = {
                "final_obs": result.obs,
                "_final_obs": done,
                "final_info": result.info,
                "_final_info": done,
            }
            obs, info = self._begin_anew(ids, result)
            return result._replace(obs=obs, info=info | final)
        return result

    def _step_and_reset(self, action: np.ndarray, due: np.ndarray) -> StepResult:
        """NEXT_STEP: finished episodes are reset (reward 0) while the others step."""
        result = self._advance(action, np.flatnonzero(~due))
        obs, info = self._begin_anew(np.flatnonzero(due), result)
        self._ended = (result.terminated | result.truncated) & ~due
        return StepResult(
            obs, np.where(due, 0.0, result.reward), result.terminated & ~due, result.truncated & ~due, info
        )

    def _begin_anew(self, ids: np.ndarray, result: StepResult) -> tuple[np.ndarray, Info]:
        """Begin episodes in `ids`; observation and info of the step with their rows, which alone are computed again.

        Rows that go on keep the info of their step; rows that ended show their new beginning.
        """
        self._begin(ids, {})
        view = self.task.view(self.state.take(ids), self.memory.take(ids), self.settings)
        fresh = self._info(view, np.zeros(len(ids), dtype=bool))
        obs, info = result.obs.copy(), dict(result.info)
        obs[ids] = self.task.observe(view)
        for key, rows in fresh.items():
            if not key.startswith("_"):
                info[key] = info[key].copy()
                info[key][ids] = rows
        return obs, info

    def _advance(self, action: np.ndarray, ids: np.ndarray | None) -> StepResult:
        """The step itself, for the rows `ids` (None: all); other rows of the result are undefined."""
        task, before = self.task, self.memory
        rows = self._all if ids is None else ids
        target, memory = task.act(before, action)
        self.randomizer.push(rows, before.steps, self.rngs)
        self.physics.step(target, ids)
        state, diverged = self.physics.read(), self.physics.diverged
        if np.count_nonzero(diverged):
            # The last sane state stands in for the undefined one; the episode ends as a fall.
            self.divergences += int(diverged[rows].sum())
            state = state.where(diverged, self.state)
        view = task.advance(task.view(state, memory, self.settings))
        self.state, self.memory = state, view.memory
        reward_terms = task.reward(view)
        # Term by term: NumPy's sum over an axis rounds one row differently from many.
        reward = sum(reward_terms.values(), np.zeros(self.n))
        terminated = task.failed(view) | diverged
        alive = ~terminated
        self.finished = truncated = task.finished(view) & alive
        if self.max_episode_steps is not None:
            truncated = truncated | ((view.memory.steps >= self.max_episode_steps) & alive)
        info = self._info(view, truncated, terminated, reward_terms)
        done = terminated | truncated
        if np.count_nonzero(done):
            ended = rows[(done & ~self._ended)[rows]]
            task.finish(self.memory, ended, info["is_success"][ended])
        task.redraw(self.memory, rows, self.rngs)
        return StepResult(task.observe(view), reward, terminated, truncated, info)

    def _info(
        self,
        view: View,
        truncated: np.ndarray,
        terminated: np.ndarray | None = None,
        reward_terms: Mapping[str, np.ndarray] | None = None,
    ) -> Info:
        """Constant keys and shapes: at a reset the rewards are zero."""
        names = view.settings.reward_weights
        if reward_terms is None:
            reward_terms = dict.fromkeys(names, np.zeros(len(view)))
        info = {f"reward_{k}": reward_terms[k] for k in names}
        info |= self.task.info(view, costly=self.costly_info)
        info["fall"] = terminated.copy() if terminated is not None else np.zeros(len(view), dtype=bool)
        info["success"] = truncated.copy()
        info["is_success"] = truncated & self.task.followed(view) if np.count_nonzero(truncated) else truncated.copy()
        if self.masks:
            every = np.ones(len(view), dtype=bool)
            info |= {f"_{key}": every for key in info}
        return info

    # -- continuation -----------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """Everything that the rest of the episodes depends on, as arrays and plain values."""
        return {
            "physics": self.physics.get_state(),
            "memory": {name: value.copy() for name, value in self.memory.arrays().items()},
            "state": {name: value.copy() for name, value in self.state.arrays().items()},
            "generators": [rng.bit_generator.state for rng in self.rngs],
            "ended": self._ended.copy(),
            "divergences": self.divergences,
        }

    def set_state(self, saved: Mapping[str, Any]) -> None:
        """Continue from `get_state`, bit for bit."""
        if len(saved["ended"]) != self.n:
            raise ValueError(f"the saved state is of {len(saved['ended'])} sub-environments, this has {self.n}")
        # Fields that were added to the memory later are blank in older states.
        blank = self.task.blank_memory(self.n).arrays()
        later = {field.name: blank[field.name] for field in self.task.fields if field.later}
        saved = {**saved, "memory": later | renamed(saved["memory"]), "state": renamed(saved["state"])}
        known = {"memory": set(self.memory.arrays()), "state": set(self.state.arrays())}
        for part, names in known.items():
            if set(saved[part]) != names:
                different = ", ".join(sorted(names ^ set(saved[part])))
                raise ValueError(f"the saved {part} is of another version or task; they differ in {different}")
        self.physics.set_state(saved["physics"])
        self.memory = Memory({k: np.array(v) for k, v in saved["memory"].items()})
        self.state = State.of({k: np.array(v) for k, v in saved["state"].items()})
        self.rngs = [np.random.default_rng(0) for _ in saved["generators"]]
        for rng, state in zip(self.rngs, saved["generators"], strict=True):
            rng.bit_generator.state = state
        self._ended = np.array(saved["ended"], dtype=bool)
        self.divergences = int(saved["divergences"])


def _dimensions(key: str, value: Any) -> int:
    try:
        return np.ndim(value)
    except ValueError:  # rows of different lengths
        raise ValueError(f"options[{key!r}] is {value!r}: neither one value nor a row for each") from None
