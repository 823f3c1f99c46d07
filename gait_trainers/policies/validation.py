"""What a bundle is worth before it drives anything: parity, ranges, latency on this machine, size.

The command `gait-train validate` and the training service show the same figures, from here.
"""

from __future__ import annotations

import platform
import time
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from gait_trainers.policies.base import GaussianPolicy
from gait_trainers.policies.bundle import load_bundle
from gait_trainers.policies.environment import make_env

CALLS, WARM_UP = 2000, 100  # of the network, with one observation each
STEPS, WALKERS = 200, 5  # control steps, and robots that make them
SLOWEST_SHARE = 0.5  # of a control step, that acting may take


def validate_bundle(folder: str | Path, *, calls: int = CALLS, seed: int = 0) -> dict[str, Any]:
    """Figures of a bundle, JSON; BundleError where it is damaged.

    `parity`: largest difference from torch at export. `observations` and `actions`: smallest and largest value of
    each quantity over robots that walk by it. `latency_ms`: of one observation on one thread. `passed`: parity within
    its tolerance, everything finite, and the 99th percentile of the latency below half a control step.
    """
    folder = Path(folder)
    policy = load_bundle(folder)
    obs, actions, dt = act(policy, seed)
    latency = measure_latency(policy, obs[0, :1], calls)
    parity = policy.details["parity"]
    finite = bool(np.isfinite(obs).all() and np.isfinite(actions).all())
    quick = latency["p99"] < 1000 * dt * SLOWEST_SHARE
    sizes = {file.name: file.stat().st_size for file in sorted(folder.iterdir()) if file.is_file()}
    return {
        "passed": bool(parity["largest_difference"] <= parity["tolerance"] and finite and quick),
        "environment": policy.env_id,
        "parity": parity,
        "observations": _ranges(obs, _names(policy)),
        "actions": _ranges(actions, list(policy.details["action"]["joints"])),
        "finite": finite,
        "latency_ms": latency,
        "control_step_ms": 1000 * dt,
        "size_bytes": sum(sizes.values()),
        "files": sizes,
        "machine": f"{platform.machine()}, {platform.system()}",
    }


def act(policy: GaussianPolicy, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Observations (T, n, d) and actions (T, n, a) of robots that act by the policy's mean; s of a control step."""
    env = make_env(
        policy.env_id, num_envs=WALKERS, threads=1, autoreset_mode=AutoresetMode.NEXT_STEP, **policy.env_kwargs
    )
    obs, _ = env.reset(seed=seed)
    state, start, ended = policy.initial_state(WALKERS), np.ones(WALKERS, dtype=bool), np.zeros(WALKERS, dtype=bool)
    seen, done = [], []
    for _ in range(STEPS):
        action, state = policy.act(obs, state, start)
        seen.append(obs)
        done.append(action)
        obs, _, fell, over, _ = env.step(action)
        start, ended = ended, fell | over  # the step after an end is the reset
    dt = 1.0 / env.metadata["render_fps"]
    env.close()
    return np.stack(seen), np.stack(done), dt


def measure_latency(policy: GaussianPolicy, obs: np.ndarray, calls: int) -> dict[str, float]:
    """Milliseconds that acting on one observation (1, d) takes: median and 99th percentile."""
    state, start = policy.initial_state(1), np.zeros(1, dtype=bool)
    taken = np.empty(calls)
    for i in range(-WARM_UP, calls):
        before = time.perf_counter()
        _, state = policy.act(obs, state, start)
        if i >= 0:
            taken[i] = time.perf_counter() - before
    p50, p99 = np.percentile(1000 * taken, [50, 99])
    return {"p50": float(p50), "p99": float(p99), "calls": calls}


def _ranges(values: np.ndarray, names: list[str]) -> dict[str, list[float]]:
    """Smallest and largest value by name; values (T, n, k)."""
    flat = values.reshape(-1, values.shape[-1])
    low, high = flat.min(axis=0), flat.max(axis=0)
    return {name: [float(a), float(b)] for name, a, b in zip(names, low, high, strict=True)}


def _names(policy: GaussianPolicy) -> list[str]:
    """One name a number of the observation."""
    names = []
    for row in policy.details["observation"]["layout"]:
        size = int(row["size"])
        names += [row["name"]] if size == 1 else [f"{row['name']}[{i}]" for i in range(size)]
    return names
