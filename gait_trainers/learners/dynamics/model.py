"""A model of what the policy meets: the next observation and the reward, from an observation and an action.

Changes of observations are predicted in units of their standard deviation, and integrated (L. Fussell, K. Bergamin and
D. Holden 2021, SuperTrack, for a body's state; here whatever the policy observes, so that the model is of any task).
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class Segments(NamedTuple):
    """Stretches within an episode: how episodes end the model never sees, only the value network knows."""

    obs: Tensor  # (H + 1, m, d) as the policy sees them
    actions: Tensor  # (H, m, k)
    rewards: Tensor  # (H, m)


class DynamicsModel(nn.Module):
    """An ELU network on observation and action, (m, d) and (m, k)."""

    spread: Tensor
    reward_scale: Tensor

    def __init__(self, obs_size: int, action_size: int, hidden: list[int], generator: torch.Generator) -> None:
        super().__init__()
        sizes = [obs_size + action_size, *hidden]
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ELU()]
        self.net = nn.Sequential(*layers, nn.Linear(sizes[-1], obs_size + 1))
        for layer in self.net:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight, generator=generator)
                nn.init.zeros_(layer.bias)
        self.register_buffer("spread", torch.ones(obs_size))  # of an observation's changes in a step
        self.register_buffer("reward_scale", torch.tensor([0.0, 1.0]))  # mean and standard deviation

    def forward(self, obs: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """The next observation (m, d) and the reward (m,)."""
        out = self.net(torch.cat([obs, action], dim=1))
        return obs + self.spread * out[:, :-1], self.reward_scale[0] + self.reward_scale[1] * out[:, -1]

    def set_scales(self, obs: np.ndarray, following: np.ndarray, rewards: np.ndarray) -> None:
        """Units of the outputs: deviations of changes (m, d) and of rewards (m,), at least 1e-3."""
        change = (following - obs).std(axis=0)
        self.spread.copy_(torch.from_numpy(np.maximum(change, 1e-3)))
        self.reward_scale.copy_(torch.tensor([rewards.mean(), max(float(rewards.std()), 1e-3)]))

    def errors(self, segments: Segments) -> tuple[Tensor, Tensor]:
        """Squared errors of observations and rewards, (H,) each, in units of the variance of a step's change.

        The model runs freely from the first observation, by the actions that were taken.
        """
        obs, found, rewards = segments.obs[0], [], []
        for k, action in enumerate(segments.actions):
            obs, reward = self(obs, action)
            found.append(((obs - segments.obs[k + 1]) / self.spread).square().mean())
            rewards.append(((reward - segments.rewards[k]) / self.reward_scale[1]).square().mean())
        return torch.stack(found), torch.stack(rewards)


class Memory:
    """The latest rollouts, from which segments are drawn."""

    def __init__(self, rollouts: int) -> None:
        self.most, self.rollouts = rollouts, list[dict[str, np.ndarray]]()

    def add(self, obs: np.ndarray, actions: np.ndarray, rewards: np.ndarray, starts: np.ndarray) -> None:
        """One rollout: observations (T + 1, n, d), actions (T, n, k), rewards (T, n), whether one begins an episode
        (T + 1, n)."""
        arrays = {"obs": obs, "actions": actions, "rewards": rewards, "starts": starts}
        kept = {name: array.astype(np.float32 if name != "starts" else bool) for name, array in arrays.items()}
        self.rollouts = [*self.rollouts, kept][-self.most :]

    def latest(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Observations, those after them and rewards of the newest rollout, (m, …), without steps that end episodes."""
        rollout = self.rollouts[-1]
        goes_on = ~rollout["starts"][1:]
        return rollout["obs"][:-1][goes_on], rollout["obs"][1:][goes_on], rollout["rewards"][goes_on]

    def draw(self, count: int, horizon: int, rng: np.random.Generator, *, newest: bool = False) -> Segments | None:
        """`count` segments with replacement, from the newest rollout alone or from all; None where no episode lasts
        as long."""
        rollouts = self.rollouts[-1:] if newest else self.rollouts
        places = [np.argwhere(unbroken(rollout["starts"], horizon)) for rollout in rollouts]
        sizes = np.array([len(place) for place in places])
        if sizes.sum() == 0:
            return None
        which = rng.choice(len(rollouts), size=count, p=sizes / sizes.sum())
        parts = []
        for number in np.unique(which):
            chosen = places[number][rng.integers(sizes[number], size=int((which == number).sum()))]
            parts.append(_cut(rollouts[number], chosen, horizon))
        return Segments(*(torch.from_numpy(np.concatenate(part, axis=1)) for part in zip(*parts, strict=True)))

    def get_state(self) -> list[dict[str, np.ndarray]]:
        """The rollouts."""
        return [dict(rollout) for rollout in self.rollouts]

    def set_state(self, state: list[dict[str, np.ndarray]]) -> None:
        """Restore what `get_state` returned."""
        self.rollouts = [{name: np.asarray(array) for name, array in rollout.items()} for rollout in state]


def unbroken(starts: np.ndarray, horizon: int) -> np.ndarray:
    """Where `horizon` steps belong to one episode, (T + 1 − horizon, n); `starts` (T + 1, n)."""
    ended = np.concatenate([np.zeros((1, starts.shape[1]), dtype=int), np.cumsum(starts[1:], axis=0)])
    return ended[horizon:] == ended[:-horizon]


def _cut(rollout: dict[str, np.ndarray], places: np.ndarray, horizon: int) -> list[np.ndarray]:
    steps = places[:, 0] + np.arange(horizon + 1)[:, None]  # (H + 1, m)
    envs = places[:, 1]
    return [rollout["obs"][steps, envs], rollout["actions"][steps[:-1], envs], rollout["rewards"][steps[:-1], envs]]
