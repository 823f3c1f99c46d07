"""Environments that step and draw for a long time: every number stays finite, and nothing piles up."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from helpers.soak import held, say, sizes

from gait_envs.registry import IDS

BATCH = 8  # sub-environments


@pytest.mark.parametrize("env_id", sorted(IDS))
@sizes(often=8 * 4, full=1_000_000 // len(IDS))
def test_random_steps_are_finite_and_take_no_memory(env_id: str, size: int) -> None:
    """A million steps together; memory is compared with that after the first quarter."""
    config = {"muscle_controller": "nn"} if "Muscle" in env_id else {}  # static optimisation would take an hour more
    env = gymnasium.make_vec(env_id, BATCH, vectorization_mode="vector_entry_point", threads=1, **config)
    env.reset(seed=0)
    low, high = env.single_observation_space.low, env.single_observation_space.high
    rng, steps = np.random.default_rng(0), size // BATCH
    falls = before = 0
    for step in range(steps):
        if step == steps // 4:
            _, _, before = held()
        obs, reward, terminated, truncated, info = env.step(env.action_space.sample())
        assert np.isfinite(obs).all()
        assert ((obs >= low) & (obs <= high)).all()
        assert np.isfinite(reward).all()
        assert not (terminated & truncated).any()
        falls += int(terminated.sum())
        if step % 100 == 0:
            env.action_space.seed(int(rng.integers(2**31)))
    endless = {"time_left"}  # of a clip that loops
    numbers = {key: value for key, value in info.items() if value.dtype.kind == "f" and key not in endless}
    assert [key for key, value in numbers.items() if not np.isfinite(value).all()] == []
    core, grown = env.unwrapped.core, held()[2] - before
    say(f"{env_id}: {steps * BATCH} steps, {falls} falls, {core.divergences} divergences, {grown:+.1f} MB")
    assert falls > 0 or steps < 40
    assert grown < 16
    env.close()


@pytest.fixture(scope="module")
def graphics() -> None:
    """Skips where nothing can be drawn."""
    from gait_envs.models.robot import wildrobot
    from gait_envs.render import Offscreen

    try:
        Offscreen(wildrobot().model, 16, 16).close()
    except RuntimeError as error:
        pytest.skip(str(error))


@sizes(often=3, full=500)
def test_environments_that_draw_and_close_leave_nothing_open(graphics: None, size: int) -> None:
    before, warm = (0, 0, 0.0), max(1, size // 10)  # the driver keeps some of the first
    for i in range(size):
        if i == warm:
            before = held()
        env = gymnasium.make("GaitNet/WildRobot-v0", render_mode="rgb_array", width=64, height=48)
        env.reset(seed=i)
        picture = env.render()
        assert picture.shape == (48, 64, 3)
        assert picture.std() > 1
        env.close()
    files, threads, memory = (after - first for after, first in zip(held(), before, strict=True))
    say(f"{size} environments made, drawn and closed: {files:+} files, {threads:+} threads, {memory:+.1f} MB")
    assert files <= 0
    assert threads <= 0
    assert memory < 30 or size < 100
