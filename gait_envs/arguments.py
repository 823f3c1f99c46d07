"""Arguments of environments that are not options of their task, checked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from gait_envs.tasks.checks import check_count, is_whole, plain

MOST_ENVS, MOST_THREADS, MOST_STEPS = 2**20, 1024, 2**40


def autoreset_mode(given: AutoresetMode | str) -> AutoresetMode:
    """Gymnasium's mode, given as itself, by its value ("NextStep") or its name ("NEXT_STEP")."""
    for mode in AutoresetMode:
        if given in (mode, mode.value, mode.name):
            return mode
    allowed = ", ".join(repr(mode.value) for mode in AutoresetMode)
    raise ValueError(f"autoreset_mode is {given!r}, allowed are {allowed}")


def time_limit(given: int | None, usual: int) -> int | None:
    """Control steps: what is given, else the usual limit; None for no limit, which is given as -1."""
    if given is None:
        return usual
    return None if is_whole(given) and given == -1 else check_count(given, "max_episode_steps", 1, MOST_STEPS)


def seeds_of(given: Any, n: int) -> list[int | None]:
    """A seed, or None, for each of n sub-environments; sub-environment i of one seed s has s + i.

    Sequences and arrays of n whole numbers of 0 or more are taken as they are. Raises ValueError for anything else.
    """
    given = plain(given)
    if given is None:
        return [None] * n
    if is_whole(given):
        given = [int(given) + i for i in range(n)]
    each = given.tolist() if isinstance(given, np.ndarray) else given
    if not isinstance(each, Sequence) or isinstance(each, str | bytes):
        raise ValueError(f"seed is {given!r}, expected a whole number of 0 or more, or {n} of them")
    if len(each) != n:
        raise ValueError(f"{len(each)} seeds for {n} sub-environments")
    for seed in each:
        if seed is not None and not (is_whole(seed) and seed >= 0):
            raise ValueError(f"seed is {seed!r}, expected a whole number of 0 or more")
    return [None if seed is None else int(seed) for seed in each]
