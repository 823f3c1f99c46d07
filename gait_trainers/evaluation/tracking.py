"""Evaluates how closely a policy follows reference clips, clip by clip."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from gait_envs.core import Core
from gait_envs.reference.library import MotionLibrary, load_clips
from gait_envs.tasks.base import Task
from gait_trainers.evaluation.gait_metrics import Rollout, masked_mean
from gait_trainers.evaluation.rollout import (
    BATCH,
    CAUSES,
    EvaluationError,
    Recording,
    check_limit,
    json_options,
    record_episodes,
    summary,
)
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import EnvironmentOptionError, deployment_kwargs, follows_clips, make_env

ERRORS = ("mpjpe_global", "mpjpe_root", "mpjpe_aligned", "velocity_error")  # mm, mm, mm, m/s, of a frame's info
FRAMES = 250_000  # of all episodes simulated together; like BATCH, bounds the memory


class Reference(NamedTuple):
    """The clips that a policy is to follow, within the task that compares it with them."""

    task: Task
    time_limit: int | None  # steps of a looping clip; None: no limit
    longest: int  # steps of any episode


def open_reference(
    policy: Policy, reference: str | Sequence[str] | None = None, env_kwargs: Mapping[str, Any] | None = None
) -> Reference:
    """The task of the policy's environment on these clips (None: those a run was trained on; the embedded set for
    a bundle, which does not say).

    A clip of `n` frames is followed for its n - 1 steps and a looping one for the environment's time limit; where
    `env_kwargs` holds `max_episode_steps`, no clip for longer than that.
    """
    if not follows_clips(policy.env_id):
        raise EvaluationError(
            f"{policy.name} obeys commands, in {policy.env_id}; this needs a policy that follows clips"
        )
    own = {} if policy.reference is None else {"reference": policy.reference}
    given = {"whole_clips": True} | dict(env_kwargs or {}) | ({} if reference is None else {"reference": reference})
    try:
        env = make_env(policy.env_id, threads=1, **(deployment_kwargs(policy.env_kwargs) | own | given))
    except EnvironmentOptionError:
        if own and "reference" not in given:
            _check_own(policy.name, own["reference"])
        raise
    task, limit = env.core.task, env.core.max_episode_steps
    env.close()
    longest = limit if "max_episode_steps" in given and limit is not None else np.iinfo(np.int64).max
    return Reference(task, limit, longest)


def _check_own(name: str, reference: str | Sequence[str]) -> None:
    """EvaluationError where the clips that a policy was trained on are no longer there."""
    try:
        load_clips(reference)
    except (ValueError, OSError) as error:
        raise EvaluationError(f"{name}: its training clips cannot be read; give --reference: {error}") from error


def shortened(reference: Reference, seconds: float | None) -> Reference:
    """The reference with episodes of at most this long, looping clips exactly so; None leaves it."""
    if seconds is None:
        return reference
    steps = max(1, round(seconds / reference.task.robot.dt))
    return reference._replace(time_limit=steps, longest=steps)


class Plan(NamedTuple):
    """n episodes: which clip each follows, from which frame, for how many steps, and its seed; (n,) each."""

    clip: np.ndarray
    frame: np.ndarray
    steps: np.ndarray
    seed: np.ndarray

    def batches(self) -> Iterator[np.ndarray]:
        """Numbers of the episodes to simulate together: alike in length, as many as memory is meant for."""
        order, start = np.argsort(-self.steps, kind="stable"), 0
        while start < len(order):
            count = max(1, min(BATCH, FRAMES // int(self.steps[order[start]] + 1)))
            yield order[start : start + count]
            start += count


def plan_whole(reference: Reference, clips: np.ndarray, seed: int) -> Plan:
    """Each of `clips` (n,) from its first frame to its end; a looping one until the time limit."""
    library = reference.task.library
    assert library is not None
    if library.loops[clips].any():
        check_limit(reference.time_limit)
    steps = np.where(library.loops[clips], reference.time_limit or 0, library.lengths[clips] - 1)
    return Plan(clips, np.zeros_like(clips), np.minimum(steps, reference.longest), seed + np.arange(len(clips)))


def plan_evaluation(reference: Reference, clips: np.ndarray, episodes: int, seed: int) -> Plan:
    """Episodes shared out evenly over the clips (k,), those along loops from phases spread over the cycle."""
    assert reference.task.library is not None
    of_clip = np.arange(episodes) % len(clips)
    return spread_phases(plan_whole(reference, clips[of_clip], seed), reference.task.library)


def worst_of(table: Mapping[str, np.ndarray], episodes: np.ndarray) -> int:
    """Which of these episodes failed, and failed first; without a failure, the one farthest from its clip."""
    order = np.lexsort((-table["mpjpe_global"][episodes], table["progress"][episodes], table["is_success"][episodes]))
    return int(episodes[order[0]])


def spread_phases(plan: Plan, library: MotionLibrary) -> Plan:
    """Episodes along the same looping clip begin at phases spread evenly over its cycle, one of them at its start."""
    frame = plan.frame.copy()
    for clip in np.unique(plan.clip[library.loops[plan.clip]]):
        rows = np.flatnonzero(plan.clip == clip)
        frame[rows] = np.arange(len(rows)) * (library.lengths[clip] - 1) // len(rows)
    return plan._replace(frame=frame)


def follow(
    policy: Policy, task: Task, plan: Plan, rows: np.ndarray, *, stochastic: bool = False, threads: int = 0
) -> Recording:
    """The episodes `rows` of a plan, recorded, with each frame's ERRORS and `reference_qpos` as columns.

    The rollout's command is the mean of the clip's own over the frames that were reached, and `acceleration_error`
    (n,) rad/s² among the ends is the mean over joints and frames of the joints' accelerations' distance.
    """
    core = Core(task, len(rows), threads=threads)
    options = {"clip": plan.clip[rows], "frame": plan.frame[rows]}
    seeds = plan.seed[rows].tolist()
    found = record_episodes(
        policy, core, seeds, options, stochastic=stochastic, limits=plan.steps[rows],
        columns=(*ERRORS, "command"), remembered=("reference_qpos", "reference_qvel"),
    )  # fmt: skip
    command = masked_mean(found.columns.pop("command"), tracked(found))
    wanted = found.columns.pop("reference_qvel")
    return found._replace(
        rollout=dataclasses.replace(found.rollout, command=command),
        ends=found.ends | {"acceleration_error": _acceleration_error(found.rollout, wanted)},
    )


def tracked(recording: Recording) -> np.ndarray:
    """(T, n) the frames to compare with the clip: all that were reached but the first, which was put there."""
    mask = recording.rollout.valid.copy()
    mask[0] = False
    return mask


def _acceleration_error(rollout: Rollout, wanted: np.ndarray) -> np.ndarray:
    """(n,) rad/s², from one frame's joint rates to the next's; `wanted` (T, n, nv) are the reference's."""
    change = np.diff(rollout.qvel[..., 6:] - wanted[..., 6:], axis=0) / rollout.dt
    return masked_mean(np.abs(change).mean(-1), rollout.valid[1:])


# -- evaluation ----------------------------------------------------------------------------------------


def evaluate_tracking(
    policy: Policy,
    episodes: int | None = None,
    clips: Sequence[str] | None = None,
    reference: str | Sequence[str] | None = None,
    stochastic: bool = False,
    seed: int = 0,
    env_kwargs: Mapping[str, Any] | None = None,
    threads: int = 0,
    opened: Reference | None = None,
) -> dict[str, Any]:
    """Every clip of the reference (or those named) once, or `episodes` shared out over them; JSON-able figures.

    An episode begins on the clip's first frame, or, where several follow a looping clip, at phases spread evenly over
    its cycle; it succeeds where it reaches its end without a fall and without straying beyond `max_distance`, the
    bodies' mean distance, so that `is_success_rate` equals `success_rate`. Errors are means over the frames of an
    episode, then over episodes; `progress` is the share of the clip's frames that were reached. Episode i is seeded
    `seed + i`. `opened`: what `open_reference` gave for the same arguments, where it is used again and again.
    """
    opened = opened or open_reference(policy, reference, env_kwargs)
    task, library = opened.task, opened.task.library
    assert library is not None
    chosen = np.array([library.index(name) for name in clips] if clips else range(len(library.clips)))
    count = len(chosen) if episodes is None else episodes
    if count < len(chosen):
        raise EvaluationError(f"{count} episodes are too few for {len(chosen)} clips; give at least one each")
    of_clip = np.arange(count) % len(chosen)  # episode -> clip, shared out evenly
    plan = plan_evaluation(opened, chosen, count, seed)
    batches = list(plan.batches())
    parts = []
    for rows in batches:
        found = follow(policy, task, plan, rows, stochastic=stochastic, threads=threads)
        ends, mask = found.ends, tracked(found)
        errors = {name: masked_mean(found.columns[name], mask) for name in ERRORS}
        progress = ends["steps"] / plan.steps[rows]
        parts.append(ends | errors | {"is_success": ends["success"], "progress": progress})
    back = np.argsort(np.concatenate(batches))  # from the order of simulation to the plan's
    table = {name: np.concatenate([part[name] for part in parts])[back] for name in parts[0]}
    per_clip = [
        {
            "clip": library.names[clip],
            "seconds": float(library.durations[clip]),
            "speed": float(library.speeds[clip]),
            **summary(table, of_clip == i, CAUSES),
            "worst_episode": worst_of(table, np.flatnonzero(of_clip == i)),
        }
        for i, clip in enumerate(chosen)
    ]
    return {
        "policy": policy.name,
        "environment": policy.env_id,
        "env_kwargs": json_options(env_kwargs or {}),
        "reference": task.config.reference,
        "mode": "stochastic" if stochastic else "deterministic",
        "seed": seed,
        "max_distance": None if task.settings.free else task.settings.max_distance,
        "clips": len(chosen),
        **summary(table, np.ones(count, bool), CAUSES),
        "per_clip": per_clip,
    }


def worst_first(per_clip: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Clips of an evaluation: those that failed, the earliest first, then those that were followed least closely."""
    return sorted(per_clip, key=lambda row: (row["success_rate"], row["progress"], -(row["mpjpe_global"] or 0.0)))
