"""Demonstrations from an expert: one that acts in the target environment, or a tracker of clips beside it.

How the latter goes is in `gait_trainers.imitation.shared`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gait_envs.core import Core
from gait_envs.reference.licenses import origins
from gait_trainers.evaluation.rollout import check_limit
from gait_trainers.imitation.demonstrations import DemonstrationError, Demonstrations, Episode
from gait_trainers.imitation.shared import Choose, Collected, Shared
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, follows_clips, make_env
from gait_trainers.runs.provenance import licenses_of

BATCH = 64  # episodes simulated together


def demonstrate(
    expert: Policy,
    env_id: str | None = None,
    *,
    episodes: int = 50,
    reference: str | Sequence[str] | None = None,
    env_kwargs: Mapping[str, Any] | None = None,
    seed: int = 0,
    threads: int = 0,
    choose: Choose | None = None,
    keep_failed: bool = False,
) -> Demonstrations:
    """Episodes of an expert in `env_id` (None: its own environment), the first of them seeded `seed`.

    `reference`: the clips that a tracker follows, None for its own; `choose`: who acts, None for the expert. Where
    another acts (DAgger), the expert's actions are still what is kept, and the clip that a tracker follows is moved
    along with the body. Episodes that fail are left out, unless `keep_failed`. DemonstrationError where the two
    environments do not go together, or every episode failed.
    """
    target_id = env_id or expert.env_id
    own = deployment_kwargs(expert.env_kwargs) if target_id == expert.env_id else {}
    kwargs = own | dict(env_kwargs or {})
    if reference is not None and not follows_clips(expert.env_id):
        raise DemonstrationError(f"{expert.name} obeys commands, in {expert.env_id}; it follows no reference")
    if target_id != expert.env_id and not follows_clips(expert.env_id):
        raise DemonstrationError(
            f"{expert.name} acts in {expert.env_id}; only a policy that tracks clips can demonstrate for {target_id}"
        )
    shown = reference or kwargs.get("reference") or expert.reference
    along = {"reference": shown} if shown is not None and follows_clips(target_id) else {}
    env = make_env(target_id, num_envs=1, threads=1, **(kwargs | along))
    task, limit = env.core.task, env.core.max_episode_steps
    check_limit(limit)
    kept: list[Episode] = []
    library, followed = task.library, len(task.library.clips) if task.library is not None else 0
    for start in range(0, episodes, BATCH):
        rows = range(start, min(start + BATCH, episodes))
        core = Core(task, len(rows), threads=threads, max_episode_steps=limit, masks=False)
        seeds = [seed + i for i in rows]
        if target_id == expert.env_id:
            made = _in_its_own(expert, core, seeds, choose)
        else:
            shared = Shared(expert, reference, core)
            made = shared.run(seeds, np.array(rows), choose)
            library = shared.library
            followed = min(episodes, len(library.clips))  # in turn
        kept += made if keep_failed else [e for e in made if not e.terminated]
    if not kept:
        raise DemonstrationError(f"{expert.name}: none of {episodes} episodes in {target_id} ended without a failure")
    source = {
        "expert": expert.name,
        "expert_env_id": expert.env_id,
        "expert_license": str(expert.details.get("license", "")),
        "expert_licenses": licenses_of(expert.details.get("training")),
        "reference": shown,
        "clips": [] if library is None else origins(library.clips[i] for i in range(followed)),
        "seed": seed,
        "episodes": episodes,
    }
    return Demonstrations(kept, target_id, kwargs, task.layout.table(), source)


def _in_its_own(expert: Policy, core: Core, seeds: Sequence[int], choose: Choose | None) -> list[Episode]:
    """An expert in its own environment."""
    core.seed(list(seeds))
    obs, _ = core.reset()
    state, starts = expert.initial_state(core.n), np.ones(core.n, dtype=bool)
    collected, more = Collected(obs), True
    while more:
        label, state = expert.act(obs, state, starts)
        result = core.step(label if choose is None else choose(obs, label))
        starts = result.terminated | result.truncated
        more = collected.add(label, result, result.obs, np.zeros(core.n, dtype=bool))
        obs = result.obs
    return collected.episodes()
