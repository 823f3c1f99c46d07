"""The contract of a policy: observations in, actions out, with a recurrent state in between.

A caller keeps the policy's state for it and says where episodes begin:

    state, starts = policy.initial_state(n), np.ones(n, dtype=bool)
    while True:
        action, state = policy.act(obs, state, starts)
        obs, reward, terminated, truncated, info = env.step(action)
        starts = ...  # (n,) rows of `obs` that are the first of an episode

Nothing else may carry over from one call to the next, so that a policy can serve many callers at once and an episode
depends on its own observations alone. A policy without memory has the empty state `()`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from gait_envs.errors import GaitNetError

Array = NDArray[np.floating]
Mask = NDArray[np.bool_]
State = tuple[np.ndarray, ...]  # (n, …) each, one row per environment; () without memory


class PolicyError(GaitNetError, ValueError):
    """Not a policy, or not one for this environment; the message says what was found and what is expected."""


class BundleError(PolicyError):
    """A bundle that cannot be used; the message names file, key and what was expected."""


@dataclass(frozen=True)
class Style:
    """A discriminator: scores windows of consecutive style features, oldest frame first."""

    frames: int
    score: Callable[[np.ndarray], np.ndarray]  # (m, frames · d) float32 -> (m,)
    dilation: int = 1  # control steps between the frames


class Policy(Protocol):
    """The interface of every policy, be it a bundle, a run, a live training or your own code."""

    @property
    def name(self) -> str:
        """Its name in tables and plots."""

    @property
    def env_id(self) -> str:
        """The environment it acts in."""

    @property
    def env_kwargs(self) -> Mapping[str, Any]:
        """The environment options that it needs wherever it acts, without those of its training."""

    @property
    def style(self) -> Style | None:
        """The discriminator it was trained with."""

    @property
    def reference(self) -> str | Sequence[str] | None:
        """The clips it was trained to follow; None: the environment's default."""

    @property
    def layout(self) -> Sequence[Mapping[str, Any]] | None:
        """The rows of its observation as `Layout.table()` gives them; None: those of its environment."""

    @property
    def details(self) -> Mapping[str, Any]:
        """Its metadata: `policy.json` of a bundle."""

    def initial_state(self, n: int) -> State:
        """The recurrent state before the first observation of `n` episodes."""

    def act(
        self, obs: Array, state: State, starts: Mask, *, deterministic: bool = True, rng: Generator | None = None
    ) -> tuple[Array, State]:
        """Actions (n, nu) float32 in [-1, 1] and the state to pass with the next observations.

        obs (n, d) are raw observations. `starts` (n,) marks the rows that begin an episode: these are answered from
        the initial state, whatever `state` holds. `state` itself is not changed. `rng` draws when not deterministic.
        """


def check_observations(obs: Array, size: int) -> None:
    """PolicyError unless these are observations (n, size)."""
    if obs.ndim != 2 or obs.shape[1] != size:
        raise PolicyError(f"observations are {obs.shape}, the policy takes (n, {size})")


class Network(Protocol):
    """What a `GaussianPolicy` computes with: the distribution of its actions."""

    def initial_state(self, n: int) -> State:
        """See `Policy.initial_state`."""

    def __call__(self, obs: Array, state: State, starts: Mask) -> tuple[Array, Array, State]:
        """Mean and standard deviation (n, nu) float32 of the actions before clipping, and the next state."""


@dataclass(frozen=True)
class Feedforward:
    """A network without memory."""

    forward: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]  # (n, d) float32 -> mean, std (n, nu)

    def initial_state(self, n: int) -> State:
        """The empty state."""
        return ()

    def __call__(self, obs: Array, state: State, starts: Mask) -> tuple[Array, Array, State]:
        return *self.forward(obs), state


@dataclass(frozen=True)
class GaussianPolicy:
    """Acts with the mean of a normal distribution, or a draw from it, clipped to [-1, 1]."""

    name: str
    network: Network
    env_id: str
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    style: Style | None = None
    reference: str | Sequence[str] | None = None
    layout: Sequence[Mapping[str, Any]] | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    noise: float = 1.0  # times the network's own deviation, in draws

    def initial_state(self, n: int) -> State:
        """The recurrent state before the first observation of `n` episodes."""
        return self.network.initial_state(n)

    def act(
        self, obs: Array, state: State, starts: Mask, *, deterministic: bool = True, rng: Generator | None = None
    ) -> tuple[Array, State]:
        """Actions (n, nu) float32 in [-1, 1] and the next state, as `Policy.act` says."""
        mean, std, state = self.network(np.asarray(obs, dtype=np.float32), state, np.asarray(starts, dtype=bool))
        if not deterministic:
            rng = np.random.default_rng() if rng is None else rng
            mean = mean + self.noise * std * rng.standard_normal(mean.shape, dtype=np.float32)
        return np.clip(mean, -1.0, 1.0), state

    def first(self, obs: Array) -> tuple[Array, Array]:
        """Mean and deviation (n, nu) before clipping, for observations (n, d) that begin episodes."""
        n = len(obs)
        mean, std, _ = self.network(np.asarray(obs, np.float32), self.initial_state(n), np.ones(n, dtype=bool))
        return mean, std
