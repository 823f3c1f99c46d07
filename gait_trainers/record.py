"""Has a policy follow clips in simulation, and keeps what physics made of them as new clips.

A captured motion that was only fitted to the robot's joints is not quite possible: feet slip a little, weight is
not quite carried. Its recording is, and it knows the forces under the feet.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from gait_envs.models.robot import Robot
from gait_envs.motion.clip import Clip, save_clip
from gait_trainers.bundle import Policy, replace_folder
from gait_trainers.evaluate import load_policy
from gait_trainers.gait_metrics import GRAVITY, Rollout, episode_metrics, masked_mean
from gait_trainers.options import PhysicsThreads, PolicyArgument, ReferenceOption, StochasticOption
from gait_trainers.tracking import SHOWN, Plan, Reference, follow, open_reference, plan_whole, tracked

METRICS = "metrics.json"
SETTLE, KEPT = 100, 300  # frames of an episode along a looping clip: left out at its start, kept after that
# Learners explore; a reference without noise would give itself away by that alone. One and a half
# times the tracker's own noise moves the servos about as much as an untrained policy's does.
NOISE = 1.5
OLD_NEWS = ("quality", "faults", "notes", "contacts")  # of a clip's metadata: what was said of it before
GAIT = ("forward_velocity", "foot_slip", "step_symmetry", "single_support", "cadence")


class RecordError(RuntimeError):
    """Recordings that cannot be made or written as asked; nothing has been written."""


class Recorded(NamedTuple):
    """What came of following the clips of a reference."""

    clips: list[Clip]
    figures: list[dict[str, Any]]  # of each of them: where it is from, its errors and its own quality
    success: dict[str, float]  # share of the episodes that were tracked to their end, by the name of the clip


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

    A finite clip is followed, and kept, from its first frame to its last. A looping one is followed for the time
    limit from a frame drawn at random, and kept once it has settled. With `stochastic`, actions are sampled with
    `noise` times the policy's own deviation.
    """
    opened = open_reference(policy, reference)
    task, library = opened.task, opened.task.library
    assert library is not None
    twice = [name for name, count in Counter(library.names).items() if count > 1]
    if twice:
        raise RecordError(f"the reference has several clips named {', '.join(twice)}; record them one after the other")
    plan = plan_tries(opened, tries if stochastic else 1, tries, seed)
    louder = dataclasses.replace(policy, forward=lambda obs: _louder(*policy.forward(obs), noise))
    kind = "noisy" if stochastic else "calm"
    best: dict[int, list[tuple[float, Clip, dict[str, Any]]]] = {clip: [] for clip in range(len(library.clips))}
    success = np.zeros(len(plan.clip))
    for rows in plan.batches():
        found = follow(louder, task, plan, rows, stochastic=stochastic, threads=threads)
        success[rows] = found.ends["success"]
        errors = {name: masked_mean(values, tracked(found)) for name, values in found.columns.items()}
        gait = episode_metrics(found.rollout)
        for i in np.flatnonzero(found.ends["success"]).tolist():
            number = int(plan.clip[rows[i]])
            frames = slice(SETTLE, SETTLE + KEPT) if library.loops[number] else slice(0, int(plan.steps[rows[i]]) + 1)
            clip = recorded_clip(found.rollout, i, frames, library.clips[number], task.robot, policy.name)
            measured = {name: values[i] for name, values in errors.items()} | {name: gait[name][i] for name in GAIT}
            figures = {"from": library.names[number], "speed": library.speeds[number], **measured}
            figures |= effort(found.rollout, i, frames, task.robot)
            best[number].append((errors["mpjpe_global"][i], clip, _plain(figures)))
            best[number] = sorted(best[number], key=lambda found: found[0])[:keep]
    recorded = Recorded([], [], {library.names[n]: float(success[plan.clip == n].mean()) for n in best})
    for number, candidates in best.items():
        for rank, (_, clip, figures) in enumerate(candidates):
            name = f"{library.names[number]}_{kind}" + (f"_{rank}" if keep > 1 else "")
            recorded.clips.append(dataclasses.replace(clip, name=name))
            recorded.figures.append({"name": name, **figures})
    return recorded


def plan_tries(reference: Reference, finite: int, looping: int, seed: int) -> Plan:
    """As many episodes a clip; those along looping clips begin anywhere in them."""
    library = reference.task.library
    assert library is not None
    clips = np.repeat(np.arange(len(library.clips)), np.where(library.loops, looping, finite))
    plan = plan_whole(reference, clips, seed)
    lasts = library.lengths[clips] - 1
    draws = [np.random.default_rng(number).integers(last) for number, last in zip(plan.seed, lasts, strict=True)]
    return plan._replace(frame=np.where(library.loops[clips], draws, plan.frame))


def _louder(mean: np.ndarray, std: np.ndarray, noise: float) -> tuple[np.ndarray, np.ndarray]:
    return mean, noise * std


def recorded_clip(rollout: Rollout, i: int, frames: slice, source: Clip, robot: Robot, policy: str) -> Clip:
    """These frames of episode i as a clip of their own, starting over the origin; `source` is what was followed."""
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
            "history": [*told.get("history", []), f"tracked in simulation by {policy}"],
            "contacts": "measured in simulation",
        },
    )


def effort(rollout: Rollout, i: int, frames: slice, robot: Robot) -> dict[str, float]:
    """What the motion in these frames of episode i asks of the floor and the servos."""
    limit = robot.model.actuator_forcerange[:, 1]
    torque = rollout.torque[frames, i]
    return {
        "penetration": -rollout.foot_pos[frames, i, :, 2].min(),  # m
        "load_carried": rollout.foot_force[frames, i].sum(1).mean() / (rollout.mass * GRAVITY),
        "torque_rms": np.sqrt((torque**2).mean()),  # N·m
        "torque_saturated": (np.abs(torque) >= 0.999 * limit).mean(),
    }


def _plain(figures: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON knows them: what could not be measured is None."""
    return {
        key: value if isinstance(value, str) else round(float(value), 6) if np.isfinite(value) else None
        for key, value in figures.items()
    }


# -- files ---------------------------------------------------------------------------------------------


def check_out(out: Path, reference: Sequence[str | Path], force: bool) -> None:
    """RecordError unless recordings may be written there: a new or empty folder, or with `force` older recordings."""
    if any(out.resolve() == Path(source).resolve() for source in reference):
        raise RecordError(f"--out {out} is the reference itself; choose another folder")
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / METRICS).is_file():
        raise RecordError(f"--out {out} is there already and holds no recordings (no {METRICS}); choose another")
    if not force:
        raise RecordError(f"--out {out} holds recordings already; choose another, or replace them with --force")


def write_recordings(out: Path, clips: Sequence[Clip], figures: Sequence[Mapping[str, Any]]) -> None:
    """The clips and `metrics.json` as the folder `out`, whole or not at all; what was there before goes."""
    temporary = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        for clip in clips:
            save_clip(temporary / f"{clip.name}.npz", clip)
        (temporary / METRICS).write_text(json.dumps(list(figures), indent=1) + "\n", encoding="utf-8")
        replace_folder(temporary, out)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


# -- command line --------------------------------------------------------------------------------------

COLUMNS = (  # heading, key, format
    ("off\nmm", "mpjpe_global", "{:.0f}"),
    ("speed\nm/s", "forward_velocity", "{:.2f}"),
    ("slip\nm/s", "foot_slip", "{:.3f}"),
    ("load\ncarried", "load_carried", "{:.0%}"),
    ("torque\nN·m", "torque_rms", "{:.2f}"),
    ("at its\nlimit", "torque_saturated", "{:.1%}"),
)


def print_recorded(recorded: Recorded, title: str, console: Console) -> None:
    """A row a clip that was followed, the hardest ones where they are many, and one for all."""
    table = Table(title=title, title_justify="left", header_style="bold", show_edge=False, pad_edge=False)
    names = list(recorded.success)
    if len(names) > SHOWN:
        names = sorted(names, key=recorded.success.__getitem__)[:SHOWN]
        table.caption = f"the {SHOWN} hardest of {len(recorded.success)} clips; {METRICS} has all that were kept"
        table.caption_justify = "left"
    for heading in ("clip", "tracked", "kept", *(heading for heading, _, _ in COLUMNS)):
        table.add_column(heading, justify="left" if heading == "clip" else "right")
    for name in names:
        table.add_row(name, *_cells([recorded.success[name]], [f for f in recorded.figures if f["from"] == name]))
    table.add_section()
    table.add_row("all", *_cells(list(recorded.success.values()), recorded.figures))
    console.print(table)


def _cells(success: Sequence[float], figures: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [f"{np.mean(success):.0%}", str(len(figures))]
    for _, key, form in COLUMNS:
        known = [row[key] for row in figures if row[key] is not None]
        cells.append(form.format(np.mean(known)) if known else "–")
    return cells


def command(
    policy: PolicyArgument,
    out: Annotated[Path, typer.Option(help="Folder to write the clips to.")],
    reference: ReferenceOption = None,
    stochastic: StochasticOption = False,
    noise: Annotated[
        float | None,
        typer.Option(min=0.0, help="Times the policy's own, with --stochastic.", show_default=f"{NOISE:g}"),
    ] = None,
    tries: Annotated[
        int, typer.Option(min=1, help="Episodes a clip; without --stochastic, those of a finite one are all alike.")
    ] = 1,
    keep: Annotated[int, typer.Option(min=1, help="Recordings to keep of a clip, the closest to it.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Of the first episode; the others count on.")] = 0,
    threads: PhysicsThreads = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace recordings that are there already.")] = False,
) -> None:
    """Have a policy follow clips, and keep what it did as new clips that physics can follow."""
    if noise is not None and not stochastic:
        raise RecordError("--noise is of sampled actions; give --stochastic too")
    loaded = load_policy(policy)
    check_out(out, reference or (), force)
    noise = NOISE if noise is None else noise
    recorded = record_clips(
        loaded, reference, tries=tries, keep=keep, stochastic=stochastic, noise=noise, seed=seed, threads=threads
    )
    title = f"{loaded.name}, " + (f"{noise:g} times its noise" if stochastic else "deterministic")
    print_recorded(recorded, title, Console())
    if not recorded.clips:
        raise RecordError("no clip was tracked to its end; nothing was written")
    write_recordings(out, recorded.clips, recorded.figures)
    typer.echo(f"{len(recorded.clips)} clips in {out}")
