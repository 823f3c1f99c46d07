"""What a discriminator's scores are worth: of motions that are no walk, and against the true distance to the reference.

A style reward should rank motions by their nearness to the reference. Two things tell whether it does: the scores of
standing still and of flailing, which no reference shows, and the rank correlation of the scores of windows from the
whole training with their distance to the nearest reference window. Neither has a part in training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from torch import Tensor

from gait_trainers.learners.amp.windows import WindowStack
from gait_trainers.models.discriminator import Discriminator

PROBES = ("standing", "flailing")
PROBE_ENVS, PROBE_SECONDS = 16, 1.5
KEPT, EACH, NEIGHBOURS = 512, 32, 1024  # windows of the run, of them from a rollout, and of the reference


def probe_windows(env: VectorEnv, frames: int, dilation: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Windows (m, frames * d) of an environment's bodies that stand (zero actions) and that flail (uniform actions).

    The environment starts its episodes in the home pose, a zero action holds it, and it never resets by itself.
    """
    assert env.metadata["autoreset_mode"] is AutoresetMode.DISABLED
    out = {}
    shape = (env.num_envs, *env.single_action_space.shape)  # type: ignore[misc]  # of a box
    for name in PROBES:
        rng = np.random.default_rng(seed)
        _, info = env.reset(seed=seed)
        stack = WindowStack(env.num_envs, frames, info["amp_obs"].shape[1], dilation)
        running = np.ones(env.num_envs, dtype=bool)
        stack.reset(running, info["amp_obs"])
        found = []
        for _ in range(round(PROBE_SECONDS * env.unwrapped.metadata["render_fps"])):
            action = np.zeros(shape) if name == "standing" else rng.uniform(-1, 1, shape)
            *_, terminated, truncated, info = env.step(action.astype(np.float32))
            windows, complete = stack.push(info["amp_obs"])
            found.append(windows[complete & running])
            running &= ~(terminated | truncated)
            if not running.any():
                break
        out[name] = np.concatenate(found)
    return {name: windows for name, windows in out.items() if len(windows)}  # none as long as the motion itself


class Reservoir:
    """A uniform sample of all windows ever offered, `EACH` of every rollout (algorithm R of Vitter, 1985)."""

    def __init__(self, dim: int, seed: int, capacity: int = KEPT) -> None:
        self.data = np.zeros((capacity, dim), dtype=np.float32)
        self.offered = 0
        self.rng = np.random.default_rng(seed)

    def add(self, windows: np.ndarray) -> None:
        """Offer some of a rollout's windows (m, dim)."""
        for at in self.rng.integers(len(windows), size=EACH):
            slot = self.offered if self.offered < len(self.data) else int(self.rng.integers(self.offered + 1))
            if slot < len(self.data):
                self.data[slot] = windows[at]
            self.offered += 1

    def windows(self) -> np.ndarray:
        """(k, dim) the sample."""
        return self.data[: self.offered]

    def get_state(self) -> dict[str, Any]:
        """The sample, how many windows were offered, and the generator."""
        return {"data": self.windows().copy(), "offered": self.offered, "rng": self.rng.bit_generator.state}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Restore what `get_state` returned for a reservoir of the same capacity."""
        self.offered = int(state["offered"])
        self.data[: len(state["data"])] = state["data"]
        self.rng.bit_generator.state = state["rng"]


def ranking(discriminator: Discriminator, windows: np.ndarray, reference: np.ndarray) -> float:
    """Rank correlation, -1 to 1, of the windows' scores with their nearness to the reference.

    Nearness is minus the distance to the nearest reference window, both normalised as the discriminator does:
    windows (m, frames * d), reference (r, frames * d). 1: the score ranks them as the distance does; 0: it does not.
    """
    device = discriminator.mean.device
    with torch.no_grad():
        here, there = (
            discriminator.normalize(torch.from_numpy(kind).to(device))
            for kind in (windows, reference[:: max(1, len(reference) // NEIGHBOURS)])
        )
        nearest = torch.cdist(here, there).min(dim=1).values
        return rank_correlation(discriminator.score(here), -nearest)


def rank_correlation(a: Tensor, b: Tensor) -> float:
    """Spearman's rank correlation of two vectors (m,) without ties; NaN where m is less than 2."""
    if len(a) < 2:
        return float("nan")
    ranks = torch.stack([each.argsort().argsort() for each in (a, b)]).double()
    return float(torch.corrcoef(ranks)[0, 1])
