"""Records what a policy does, episode by episode, for figures, pictures and videos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gait_envs.layout import Layout
from gait_trainers.amp.windows import WindowStack
from gait_trainers.bundle import Policy, PolicyError, deployment_kwargs, make_env
from gait_trainers.gait_metrics import FALL_CAUSES, Rollout, fall_cause


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
    """One episode for each command (n, 3), all at once; episode i is seeded `seed + i`.

    Returns what happened and how each episode ended: `success` (n,), `cause` of the fall (n,) or "",
    `steps` (n,) and `style_score` (n,), the mean score of its windows (NaN without a discriminator).
    """
    n = len(commands)
    kwargs = deployment_kwargs(policy.env_kwargs) | dict(env_kwargs or {})
    env = make_env(policy.env_id, num_envs=n, threads=threads, **kwargs)
    core, rng = env.core, np.random.default_rng(seed)
    if seconds is not None:
        core.max_episode_steps = max(1, round(seconds / core.robot.dt))
    _check_observation(policy, core.task.layout)
    style = _StyleMeter(policy, n)
    obs, info = env.reset(seed=seed, options={"command": commands})
    style.begin(info["amp_obs"])
    states, valid, alive = [core.state], [np.ones(n, bool)], np.ones(n, bool)
    success, cause = np.zeros(n, bool), np.full(n, "", dtype=f"<U{max(map(len, FALL_CAUSES))}")
    while alive.any():
        obs, _, terminated, truncated, info = env.step(policy.act(obs, deterministic=not stochastic, rng=rng))
        states.append(core.state)
        valid.append(alive.copy())
        style.add(info["amp_obs"], alive)
        fell = alive & terminated
        cause[fell] = np.where(core.physics.diverged, "diverged", fall_cause(core.state.qpos))[fell]
        success |= alive & truncated & ~terminated
        alive &= ~(terminated | truncated)
    arrays = {
        name: np.stack([getattr(state, name) for state in states])
        for name in ("qpos", "qvel", "foot_force", "foot_pos", "foot_vel", "torque")
    }
    robot = core.robot
    rollout = Rollout(**arrays, command=commands, valid=np.stack(valid), dt=robot.dt, mass=robot.mass)
    env.close()
    return rollout, {
        "success": success,
        "cause": cause,
        "steps": rollout.valid.sum(0) - 1,
        "style_score": style.mean(),
    }


class _StyleMeter:
    """Mean score of the discriminator over each episode's windows."""

    def __init__(self, policy: Policy, n: int) -> None:
        self.style = policy.style
        self.stack: WindowStack | None = None
        self.total, self.count = np.zeros(n), np.zeros(n)

    def begin(self, features: np.ndarray) -> None:
        if self.style is not None:
            n, size = features.shape
            self.stack = WindowStack(n, self.style.frames, size)
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


def _check_observation(policy: Policy, layout: Layout) -> None:
    try:
        policy.forward(np.zeros((1, layout.size), np.float32))
    except Exception as error:  # onnxruntime and torch raise their own kinds
        rows = ", ".join(f"{row.name} {row.size}" for row in layout)
        raise PolicyError(
            f"{policy.name}: cannot act on the environment's {layout.size} observations ({rows}): {error}"
        ) from error
