"""Rollouts: records episodes of a policy for figures, plots, videos and new clips."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gait_envs.core import Core
from gait_envs.errors import GaitNetError
from gait_envs.simulation.base import State
from gait_envs.tasks.base import Task
from gait_trainers.evaluation.gait_metrics import FALL_CAUSES, Rollout, fall_cause
from gait_trainers.learners.amp.windows import WindowStack
from gait_trainers.policies.base import Policy, PolicyError
from gait_trainers.policies.environment import deployment_kwargs, make_env

STATE_FIELDS = ("qpos", "qvel", "foot_force", "foot_pos", "foot_vel", "torque")  # what is recorded of each state
CAUSES = (*FALL_CAUSES, "strayed")  # strayed: upright, but too far from where the clip is
BATCH = 512  # episodes simulated together; bounds the memory of a recording


class EvaluationError(GaitNetError, ValueError):
    """An evaluation that is impossible as requested."""


class Recording(NamedTuple):
    """n episodes, from the reset of each to its end."""

    rollout: Rollout
    ends: dict[str, np.ndarray]  # success, cause of CAUSES or "", steps, style_score (NaN without a discriminator)
    columns: dict[str, np.ndarray]  # (T, n, …) what was asked for of each frame's info and of the task's memory
    model: Any  # the first episode's body


def record(
    policy: Policy,
    commands: np.ndarray,
    *,
    stochastic: bool = False,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    threads: int = 0,
) -> tuple[Rollout, dict[str, np.ndarray]]:
    """One episode per command (n, 3), simulated together; episode i is seeded with `seed + i`.

    Returns what happened and how each episode ended: `success` (n,), `cause` of the fall (n,) or "",
    `steps` (n,) and `style_score` (n,), the mean score of its windows (NaN without a discriminator).
    """
    n = len(commands)
    kwargs = deployment_kwargs(policy.env_kwargs) | dict(env_kwargs or {})
    if kwargs.get("command_interval"):
        raise EvaluationError(
            f"command_interval is {kwargs['command_interval']}: an evaluation gives one command for a whole episode"
        )
    env = make_env(policy.env_id, num_envs=n, threads=threads, **kwargs)
    core = env.core
    if seconds is not None:
        core.max_episode_steps = max(1, round(seconds / core.robot.dt))
    found = record_episodes(policy, core, range(seed, seed + n), {"command": commands}, stochastic=stochastic)
    env.close()
    return found.rollout, found.ends


def record_episodes(
    policy: Policy,
    core: Core,
    seeds: Sequence[int],
    options: Mapping[str, Any],
    *,
    stochastic: bool = False,
    limits: np.ndarray | None = None,
    columns: Sequence[str] = (),
    remembered: Sequence[str] = (),
) -> Recording:
    """One episode in each of the core's n sub-environments, begun with these reset options.

    An episode ends by itself, or with success after `limits` (n,) steps; what its sub-environment does then is
    not part of it. `columns` are the keys of `info` to keep, `remembered` the fields of the task's memory.
    """
    if limits is None:
        check_limit(core.max_episode_steps)
    n, rng = core.n, np.random.default_rng(seeds[0])
    _check_fit(policy, core.task)
    style = _StyleMeter(policy, n)
    core.seed(list(seeds))
    obs, info = core.reset(options=options)
    style.begin(info["amp_obs"])
    keep = lambda info: {k: info[k] for k in columns} | {k: getattr(core.memory, k) for k in remembered}  # noqa: E731
    states, kept, valid, alive = [core.state], [keep(info)], [np.ones(n, bool)], np.ones(n, bool)
    command = core.memory.command.copy()
    state, starts = policy.initial_state(n), np.ones(n, bool)
    success, cause = np.zeros(n, bool), np.full(n, "", dtype=f"<U{max(map(len, CAUSES))}")
    while alive.any():
        action, state = policy.act(obs, state, starts, deterministic=not stochastic, rng=rng)
        obs, _, fell, over, info = core.step(action)
        starts = fell | over
        states.append(core.state)
        kept.append(keep(info))
        valid.append(alive)
        style.add(info["amp_obs"], alive)
        if limits is not None:
            over = (over | (core.memory.steps >= limits)) & ~fell
        cause = np.where(alive & fell, _why(core), cause)
        success = success | (alive & over)
        alive = alive & ~(fell | over)
    rollout = Rollout(
        **{name: np.stack([getattr(state, name) for state in states]) for name in STATE_FIELDS},
        command=command,
        valid=np.stack(valid),
        dt=core.robot.dt,
        mass=core.physics.masses().copy(),
        activation=_activations(states),
    )
    ends = {"success": success, "cause": cause, "steps": rollout.valid.sum(0) - 1, "style_score": style.mean()}
    table = {key: np.stack([row[key] for row in kept]) for key in kept[0]}
    return Recording(rollout, ends, table, core.physics.own_model(0))


def check_limit(most: int | None) -> None:
    """EvaluationError where episodes may last for ever."""
    if most is None:
        raise EvaluationError("max_episode_steps is -1, no limit; an evaluation needs one")


def _why(core: Core) -> np.ndarray:
    """(n,) one of CAUSES, for episodes that have ended by a failure."""
    cause = np.where(core.physics.diverged, "diverged", fall_cause(core.state.qpos))
    if not core.task.follows:
        return cause
    lift = core.memory.reference_qpos[:, 2] - core.robot.home_qpos[2]  # of a clip that crouches
    held_up = core.state.qpos[:, 2] >= core.task.config.min_height + np.minimum(lift, 0.0)
    return np.where(held_up & (cause == "low"), "strayed", cause)


def _activations(states: Sequence[State]) -> np.ndarray | None:
    """Muscle activations (T, n, m); None without muscles."""
    found = [state.muscles.activation for state in states if state.muscles is not None]
    return np.stack(found) if found else None


def summary(table: Mapping[str, np.ndarray], rows: np.ndarray, causes: Sequence[str] = FALL_CAUSES) -> dict[str, Any]:
    """Figures of the episodes in `rows` (n,) mask: means of what could be measured, counts of falls.

    `success_rate` is the share that survived, `is_success_rate` of those that also followed their command or clip.
    """
    cause = table["cause"][rows]
    other = ("success", "is_success", "cause", "steps")
    means = {name: _mean(values[rows]) for name, values in table.items() if name not in other}
    return {
        "episodes": int(rows.sum()),
        "success_rate": float(table["success"][rows].mean()),
        "is_success_rate": float(table["is_success"][rows].mean()),
        **means,
        "falls": {name: int((cause == name).sum()) for name in causes},
    }


def json_options(options: Any) -> Any:
    """Options as JSON can hold them: what is not finite as YAML writes it (".inf"), so that it can be given again."""
    if isinstance(options, Mapping):
        return {key: json_options(value) for key, value in options.items()}
    if isinstance(options, list | tuple):
        return [json_options(value) for value in options]
    if isinstance(options, float) and not math.isfinite(options):
        return ".nan" if math.isnan(options) else ".inf" if options > 0 else "-.inf"
    return options


def _mean(values: np.ndarray) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None


class _StyleMeter:
    """Mean score of the discriminator over each episode's windows."""

    def __init__(self, policy: Policy, n: int) -> None:
        self.style = policy.style
        self.stack: WindowStack | None = None
        self.total, self.count = np.zeros(n), np.zeros(n)

    def begin(self, features: np.ndarray) -> None:
        if self.style is not None:
            n, size = features.shape
            self.stack = WindowStack(n, self.style.frames, size, self.style.dilation)
            self.stack.reset(np.ones(n, bool), features)

    def add(self, features: np.ndarray, alive: np.ndarray) -> None:
        if self.style is None or self.stack is None:
            return
        windows, whole = self.stack.push(features)
        rows = np.flatnonzero(whole & alive)
        if len(rows):
            self.total[rows] += self.style.score(windows[rows])
            self.count[rows] += 1

    def mean(self) -> np.ndarray:
        return np.where(self.count > 0, self.total / np.maximum(self.count, 1), np.nan)


def _check_fit(policy: Policy, task: Task) -> None:
    layout, moved = task.layout, len(task.action_names)
    try:
        action, _ = policy.act(np.zeros((1, layout.size), np.float32), policy.initial_state(1), np.ones(1, bool))
    except Exception as error:  # onnxruntime and torch raise different errors
        rows = ", ".join(f"{row.name} {row.size}" for row in layout)
        raise PolicyError(
            f"{policy.name}: cannot act on the environment's {layout.size} observations ({rows}): {error}"
        ) from error
    if action.shape != (1, moved):
        raise PolicyError(f"{policy.name}: gives {action.shape[1:]} actions, the environment takes {moved}")
