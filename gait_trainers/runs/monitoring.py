"""Training metrics: averages over a rollout, figures of recent episodes, and health warnings."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gait_trainers.learners.base import Check

# Per-step columns of `info` that are averaged over a rollout, and the names they are reported under.
STEP_METRICS = {
    "x_velocity": "forward_velocity",
    "speed_error": "speed_error",
    "lateral_error": "lateral_error",
    "yaw_rate_error": "yaw_rate_error",
    "mpjpe_global": "mpjpe_global",
    "mpjpe_root": "mpjpe_root",
}


LEAST = 1.0  # s of a clip that an episode must have had to follow, for its end to count as success or failure


class Episode(NamedTuple):
    """A finished episode."""

    reward: float  # sum of the rewards that PPO saw
    length: int  # control steps
    survived: bool | None  # `success`; None: it does not count
    followed: bool | None  # `is_success`; None: it does not count, or the environment does not say


def fair_episodes(info: Mapping[str, Any], steps: np.ndarray, dt: float) -> np.ndarray:
    """Which episodes that end now, after `steps` (n,) of `dt` s, had enough to follow when they began, (n,) bool.

    Reference state initialisation begins episodes anywhere in a clip. One that begins a frame before its end reaches
    that whatever the policy does, and says nothing of it. Counted are those that began with a second or more of the
    clip ahead of them, or in its first half. Without a clip that ends, all are.
    """
    if "time_left" not in info:
        return np.ones(len(steps), dtype=bool)
    ahead, behind = info["time_left"] + steps * dt, (info["frame"] - steps) * dt  # s, at their beginning
    return (ahead >= LEAST) | (ahead >= behind)


class RolloutMetrics:
    """Accumulates the metrics of n environments step by step; `summary` closes an iteration."""

    def __init__(self, num_envs: int, recent: int = 256, dt: float = 0.02):
        """dt: s per control step."""
        self.dt = dt
        self.returns = np.zeros(num_envs)  # total reward so far in the running episodes
        self.lengths = np.zeros(num_envs, dtype=np.int64)
        # Of the latest episodes; None: it does not count, or the environment does not say.
        self.episodes: deque[Episode] = deque(maxlen=recent)
        self._sums: dict[str, float] = defaultdict(float)
        self._counts: dict[str, int] = defaultdict(int)

    def add_step(self, reward: np.ndarray, done: np.ndarray, timed_out: np.ndarray, info: Mapping[str, Any]) -> None:
        """All (n,). `info` describes the step itself, also where an episode ended."""
        self.returns += reward
        self.lengths += 1
        for key, value in info.items():
            if key.startswith("reward_") or key in STEP_METRICS:
                self.add_mean(STEP_METRICS.get(key, key), value)
        if "command" in info:
            self.add_mean("command", info["command"][:, 0])
        if done.any():
            fair, followed = fair_episodes(info, self.lengths, self.dt), info.get("is_success")
            for i in np.flatnonzero(done):
                judged = (bool(timed_out[i]), None if followed is None else bool(followed[i]))
                self.episodes.append(
                    Episode(float(self.returns[i]), int(self.lengths[i]), *(judged if fair[i] else (None, None)))
                )
        self.returns[done] = 0.0
        self.lengths[done] = 0

    def begin_episodes(self) -> None:
        """All running episodes have been given up, and others begin."""
        self.returns[:] = 0.0
        self.lengths[:] = 0

    def add_mean(self, name: str, values: np.ndarray) -> None:
        """Let `values` count towards the mean of `name` in this iteration."""
        self._sums[name] += float(np.sum(values))
        self._counts[name] += len(values)

    def summary(self) -> dict[str, float]:
        """The iteration's means; resets the sums. Episode figures are over the most recent episodes."""
        means = {name: self._sums[name] / self._counts[name] for name in self._sums if self._counts[name]}
        self._sums.clear()
        self._counts.clear()
        if self.episodes:
            returns, lengths, survived, followed = zip(*self.episodes, strict=True)
            means["episode_reward"] = float(np.mean(returns))
            means["episode_length"] = float(np.mean(lengths))
            for name, judged in (("success_rate", survived), ("is_success_rate", followed)):
                counted = [yes for yes in judged if yes is not None]
                if counted:
                    means[name] = float(np.mean(counted))
        return means

    def get_state(self) -> dict[str, Any]:
        """State between two iterations."""
        return {
            "returns": self.returns.copy(),
            "lengths": self.lengths.copy(),
            "episodes": [tuple(episode) for episode in self.episodes],
        }

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned for the same number of environments."""
        self.returns[:] = state["returns"]
        self.lengths[:] = state["lengths"]
        self.episodes.clear()
        self.episodes.extend(Episode(*episode) for episode in state["episodes"])


def _standing_still(row: Mapping[str, float]) -> bool:
    needed = ("forward_velocity", "command", "episode_length")
    if any(key not in row for key in needed):
        return False
    upright = row["episode_length"] > 150
    return upright and row["command"] > 0.1 and row["forward_velocity"] < 0.25 * row["command"]


CHECKS = (
    Check(
        "standing still",
        _standing_still,
        "the robot survives without following the command; raise the weight of tracking_lin_vel or "
        "env.kwargs.rsi_probability, or lower networks.log_std_init",
    ),
)


class HealthMonitor:
    """Warns once when a check has held for `patience` iterations in a row."""

    def __init__(self, checks: Sequence[Check] = (), patience: int = 30):
        """checks: those of learners, in addition to `CHECKS`."""
        self.patience = patience
        self.checks = (*checks, *CHECKS)
        self.counts = {check.name: 0 for check in self.checks}

    def check(self, row: Mapping[str, float]) -> list[str]:
        """Warnings that are due after an iteration with these metrics."""
        warnings = []
        for check in self.checks:
            self.counts[check.name] = self.counts[check.name] + 1 if check.holds(row) else 0
            if self.counts[check.name] == self.patience:
                warnings.append(f"{check.name} for {self.patience} iterations: {check.advice}")
        return warnings

    def get_state(self) -> dict[str, int]:
        """Name of each check -> iterations in a row in which it held."""
        return dict(self.counts)

    def set_state(self, state: Mapping[str, int]) -> None:
        """Continue counting; checks that are not known here, of another version, are forgotten."""
        self.counts.update({name: count for name, count in state.items() if name in self.counts})
