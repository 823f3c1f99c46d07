"""Records a policy that follows clips in simulation, and saves the simulated motion as new clips.

A captured motion that was only fitted to the robot's joints is not quite possible: feet slip a little, weight is
not quite carried. Its recording is, and it knows the forces under the feet.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gait_envs.constants import GRAVITY
from gait_envs.errors import GaitNetError
from gait_envs.files import replacing_folder, temporary_beside
from gait_envs.models.robot import Robot
from gait_envs.reference.clip import Clip, save_clip
from gait_trainers.evaluation.gait_metrics import Rollout, episode_metrics, masked_mean
from gait_trainers.evaluation.tracking import (
    ERRORS,
    Plan,
    Reference,
    follow,
    open_reference,
    plan_whole,
    tracked,
)
from gait_trainers.policies.base import GaussianPolicy, Policy

METRICS = "metrics.json"
SETTLE, KEPT = 100, 300  # frames of an episode along a looping clip: left out at its start, kept after that
# Learners explore; a reference without noise would give itself away by that alone. One and a half
# times the tracker's own noise moves the servos about as much as an untrained policy's does.
NOISE = 1.5
OLD_NEWS = ("quality", "faults", "notes", "contacts")  # of a clip's metadata: what was said of it before
GAIT = ("forward_velocity", "foot_slip", "step_symmetry", "single_support", "cadence", "rebounds")


class RecordError(GaitNetError, RuntimeError):
    """Recordings that cannot be made or written as asked; nothing has been written."""


class Recorded(NamedTuple):
    """The result of following the clips of a reference."""

    clips: list[Clip]
    figures: list[dict[str, Any]]  # of each of them: where it is from, its errors and its own quality
    success: dict[str, float]  # share of the episodes that were tracked to their end, by the name of the clip
    reference: str | Sequence[str]  # where those clips are from


def record_clips(
    policy: Policy,
    reference: str | Sequence[str] | None = None,
    *,
    tries: int = 1,
    keep: int = 1,
    stochastic: bool = False,
    noise: float = NOISE,
    seed: int = 0,
    threads: int = 0,
) -> Recorded:
    """Follow every clip of the reference `tries` times and keep the `keep` closest that reached its end.

    A recording has the name of its clip, numbered from the closest (`_0`, `_1`, …) where `keep` is more than 1.
    A finite clip is followed, and kept, from its first frame to its last. A looping one is followed for the time
    limit from a frame drawn at random, and kept once it has settled. With `stochastic`, actions are sampled with
    `noise` times the policy's own deviation.
    """
    opened = open_reference(policy, reference)
    task, library, source = opened.task, opened.task.library, opened.task.config.reference
    assert library is not None
    assert source is not None
    twice = [name for name, count in Counter(library.names).items() if count > 1]
    if twice:
        raise RecordError(f"the reference has several clips named {', '.join(twice)}; record them one after the other")
    plan = plan_tries(opened, tries if stochastic else 1, tries, seed)
    acting = louder(policy, noise) if stochastic else policy
    by = policy.name + (f" with {noise:g} times its noise" if stochastic else "")
    best: dict[int, list[tuple[float, Clip, dict[str, Any]]]] = {clip: [] for clip in range(len(library.clips))}
    success = np.zeros(len(plan.clip))
    for rows in plan.batches():
        found = follow(acting, task, plan, rows, stochastic=stochastic, threads=threads)
        success[rows] = found.ends["success"]
        errors = {name: masked_mean(found.columns[name], tracked(found)) for name in ERRORS}
        gait = episode_metrics(found.rollout)
        for i in np.flatnonzero(found.ends["success"]).tolist():
            number = int(plan.clip[rows[i]])
            frames = slice(SETTLE, SETTLE + KEPT) if library.loops[number] else slice(0, int(plan.steps[rows[i]]) + 1)
            clip = recorded_clip(found.rollout, i, frames, library.clips[number], task.robot, by)
            measured = {name: values[i] for name, values in errors.items()} | {name: gait[name][i] for name in GAIT}
            figures = {"from": library.names[number], "speed": library.speeds[number], **measured}
            figures |= effort(found.rollout, i, frames, task.robot)
            best[number].append((errors["mpjpe_global"][i], clip, _plain(figures)))
            best[number] = sorted(best[number], key=lambda found: found[0])[:keep]
    shares = {library.names[n]: float(success[plan.clip == n].mean()) for n in best}
    recorded = Recorded([], [], shares, source)
    for number, candidates in best.items():
        for rank, (_, clip, figures) in enumerate(candidates):
            name = library.names[number] + (f"_{rank}" if keep > 1 else "")
            recorded.clips.append(dataclasses.replace(clip, name=name))
            recorded.figures.append({"name": name, **figures})
    return recorded


def chosen(recorded: Recorded, fits: Callable[[Mapping[str, Any]], bool], most: int, kind: str) -> Recorded:
    """The closest `most` recordings of each clip whose figures `fits` accepts, named after the clip, the kind and the
    number from the closest: walk_040_calm_0."""
    count: Counter[str] = Counter()
    clips, figures = [], []
    for clip, row in zip(recorded.clips, recorded.figures, strict=True):
        source = row["from"]
        if count[source] < most and fits(row):
            name = f"{source}_{kind}_{count[source]}"
            count[source] += 1
            clips.append(dataclasses.replace(clip, name=name))
            figures.append(row | {"name": name})
    return recorded._replace(clips=clips, figures=figures)


def plan_tries(reference: Reference, finite: int, looping: int, seed: int) -> Plan:
    """The same number of episodes per clip; those along looping clips begin anywhere in them."""
    library = reference.task.library
    assert library is not None
    clips = np.repeat(np.arange(len(library.clips)), np.where(library.loops, looping, finite))
    plan = plan_whole(reference, clips, seed)
    lasts = library.lengths[clips] - 1
    draws = [np.random.default_rng(number).integers(last) for number, last in zip(plan.seed, lasts, strict=True)]
    return plan._replace(frame=np.where(library.loops[clips], draws, plan.frame))


def louder(policy: Policy, noise: float) -> Policy:
    """A policy whose draws deviate `noise` times as much as its own."""
    if noise == 1.0:
        return policy
    if not isinstance(policy, GaussianPolicy):
        raise RecordError(f"{policy.name}: its noise is not known to be normal, and cannot be {noise:g} times as much")
    return dataclasses.replace(policy, noise=noise * policy.noise)


def recorded_clip(rollout: Rollout, i: int, frames: slice, source: Clip, robot: Robot, by: str) -> Clip:
    """These frames of episode i as a clip of their own, starting over the origin: how the policy (and its noise) that
    `by` names followed `source`."""
    qpos = rollout.qpos[frames, i].copy()
    qpos[:, :2] -= qpos[0, :2]
    told = {key: value for key, value in source.meta.items() if key not in OLD_NEWS}
    return Clip(
        qpos=qpos,
        qvel=rollout.qvel[frames, i].copy(),
        fps=robot.control_rate,
        joint_names=robot.joint_names,
        loop=False,
        model=robot.name,
        source=f"{source.source}, tracked in simulation",
        license=source.license,
        name=source.name,
        contacts=rollout.foot_force[frames, i].copy(),
        meta=told
        | {
            "history": [*told.get("history", []), f"tracked in simulation by {by}"],
            "contacts": "measured in simulation",
        },
    )


def effort(rollout: Rollout, i: int, frames: slice, robot: Robot) -> dict[str, float]:
    """Loads on floor and servos in these frames of episode i."""
    limit = robot.model.actuator_forcerange[:, 1]
    torque = rollout.torque[frames, i]
    return {
        "penetration": -rollout.foot_pos[frames, i, :, 2].min(),  # m
        "load_carried": rollout.foot_force[frames, i].sum(1).mean() / (rollout.mass[i] * GRAVITY),
        "torque_rms": np.sqrt((torque**2).mean()),  # N·m
        "torque_saturated": (np.abs(torque) >= 0.999 * limit).mean(),
    }


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    """The values for JSON: None where one could not be measured."""
    return {
        key: value if isinstance(value, str) else round(float(value), 6) if np.isfinite(value) else None
        for key, value in figures.items()
    }


# -- files ---------------------------------------------------------------------------------------------


def check_out(out: Path, reference: Sequence[str | Path], force: bool) -> None:
    """RecordError unless recordings may and can be written there: a new or empty folder, or with `force` older
    recordings. Changes nothing."""
    if any(out.resolve() == Path(source).resolve() for source in reference):
        raise RecordError(f"--out {out} is the reference itself; choose another folder")
    try:
        if out.exists() and not (out.is_dir() and not any(out.iterdir())):
            if not (out / METRICS).is_file():
                raise RecordError(
                    f"--out {out} is there already and holds no recordings (no {METRICS}); choose another"
                )
            if not force:
                raise RecordError(f"--out {out} holds recordings already; choose another, or replace them with --force")
        _try_folder(temporary_beside(out.resolve()))  # as `replacing_folder` will
    except OSError as error:
        raise RecordError(f"--out {out} cannot be written: {error.strerror}") from error


def _try_folder(path: Path) -> None:
    """Make a folder and those above it that are missing, and take them away again; OSError where that fails."""
    made: list[Path] = []
    try:
        for folder in reversed([folder for folder in (path, *path.parents) if not folder.exists()]):
            folder.mkdir()
            made.append(folder)
    finally:
        for folder in reversed(made):
            folder.rmdir()


def write_recordings(out: Path, clips: Sequence[Clip], figures: Sequence[Mapping[str, Any]]) -> None:
    """The clips and `metrics.json` as the folder `out`, whole or not at all; existing content is replaced."""
    with replacing_folder(out.resolve()) as temporary:
        for clip in clips:
            save_clip(temporary / f"{clip.name}.npz", clip)
        (temporary / METRICS).write_text(json.dumps(list(figures), indent=1) + "\n", encoding="utf-8")
