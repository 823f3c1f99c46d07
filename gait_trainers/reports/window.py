"""A policy in MuJoCo's viewer, in real time."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

from gait_trainers.evaluation.tracking import open_reference, plan_whole, shortened
from gait_trainers.policies.base import Policy
from gait_trainers.reports.video import PlayError


def has_display() -> bool:
    """Whether a window can be expected to open."""
    return not sys.platform.startswith("linux") or any(os.environ.get(k) for k in ("DISPLAY", "WAYLAND_DISPLAY"))


def watch(
    policy: Policy,
    options: Mapping[str, Any],
    *,
    seconds: float = 60.0,
    seed: int = 0,
    stochastic: bool = False,
    env_kwargs: Mapping[str, Any] | None = None,
) -> None:
    """Show a policy in MuJoCo's viewer, in real time; episodes begin with these reset options, one after another."""
    if not has_display():
        raise PlayError(
            "there is no display to open a window on; film it instead with --video walk.mp4, "
            "or serve it to a browser with --viewer web"
        )
    env = gym.make(policy.env_id, render_mode="human", **({**policy.env_kwargs, **(env_kwargs or {})}))
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed, options=dict(options))
    state, starts = policy.initial_state(1), np.ones(1, dtype=bool)
    try:
        for _ in range(round(seconds / env.unwrapped.core.robot.dt)):  # type: ignore[attr-defined]
            action, state = policy.act(obs[None], state, starts, deterministic=not stochastic, rng=rng)
            obs, _, terminated, truncated, _ = env.step(action[0])
            starts[:] = terminated or truncated
            if starts[0]:
                obs, _ = env.reset(options=dict(options))
    except KeyboardInterrupt:
        pass
    finally:
        env.close()


class ClipEpisode(NamedTuple):
    """One clip from its first frame to its end, as an episode."""

    options: dict[str, Any]  # of reset
    env_kwargs: dict[str, Any]
    seconds: float


def clip_episode(
    policy: Policy, clip: str | None, reference: Sequence[str] | None, seconds: float | None
) -> ClipEpisode:
    """The episode that follows a clip (None: the first of the reference), cut to `seconds`."""
    opened = shortened(open_reference(policy, reference), seconds)
    library = opened.task.library
    assert library is not None
    number = 0 if clip is None else library.index(clip)
    steps = int(plan_whole(opened, np.array([number]), 0).steps[0])
    kwargs = {"reference": opened.task.config.reference, "whole_clips": True, "max_episode_steps": steps}
    return ClipEpisode({"clip": number, "frame": 0}, kwargs, steps * opened.task.robot.dt)


def watch_clip(
    policy: Policy, clip: str | None, reference: Sequence[str] | None, seconds: float | None, **common: Any
) -> None:
    """A window on one clip, from its first frame to its end."""
    episode = clip_episode(policy, clip, reference, seconds)
    watch(policy, episode.options, seconds=episode.seconds, env_kwargs=episode.env_kwargs, **common)
