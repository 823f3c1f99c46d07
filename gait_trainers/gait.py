"""Analyses how a policy walks as a gait laboratory would, against published curves, and what weakness does to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from rich.console import Console

from gait_envs.core import Core
from gait_envs.files import check_writable, replacing
from gait_envs.instruments import Instruments
from gait_envs.motion.gait_analysis import (
    SIDES,
    Gait,
    GaitError,
    Match,
    Timing,
    activation_timing,
    analyse,
    compare,
    on_times,
    peaks,
)
from gait_envs.motion.normative import Band, Tables, bands_at, read_normative
from gait_trainers.bundle import Policy, deployment_kwargs, make_env
from gait_trainers.evaluate import (
    Command,
    load_policy,
    parse_command,
    parse_env_set,
    refuse_others,
    show_command,
)
from gait_trainers.options import EnvOption, PhysicsThreads, PolicyArgument, ReferenceOption
from gait_trainers.recording import EvaluationError, json_options, record_episodes
from gait_trainers.tables import figure_cells, figure_table
from gait_trainers.tracking import follows_clips, open_reference

SECONDS, SETTLE = 20.0, 3.0  # s of a walk, and of its beginning that is left out
UNITS = {"moment": "N·m/kg", "power": "W/kg", "vertical": "weights", "aft": "weights"}  # by the end of a curve's name


@dataclass(frozen=True)
class Walk:
    """One policy's walk along one clip, or to one command, with the parameters of one walker."""

    name: str
    params: Mapping[str, Any]
    seconds: float  # until the fall, if it fell
    fall: str  # its cause; "" without one
    gait: Gait
    bands: dict[str, Band]  # people's curves at this walk's speed
    on_times: dict[str, np.ndarray]  # (51,) bool, when people's muscles are on

    @property
    def matches(self) -> dict[str, Match]:
        """Each curve that is published, compared."""
        known = [name for name in self.gait.curves if name in self.bands]
        return {name: compare(self.gait.mean(name), *self.bands[name]) for name in known}

    @property
    def timings(self) -> dict[str, Timing]:
        return activation_timing(self.gait, self.on_times)


def unit(curve: str, muscles: Sequence[str] = ()) -> str:
    """Of a curve's values."""
    return "activation" if curve in muscles else UNITS.get(curve.split("_")[-1], "°")


# -- walks ---------------------------------------------------------------------------------------------


def walk(
    policy: Policy,
    places: Sequence[str] | None = None,
    reference: Sequence[str] | None = None,
    *,
    params: Mapping[str, Any] | None = None,
    tables: Tables | None = None,
    seconds: float = SECONDS,
    settle: float = SETTLE,
    env_kwargs: Mapping[str, Any] | None = None,
    seed: int = 0,
    threads: int = 0,
) -> list[Walk]:
    """Walks along clips of the reference (None: all of them), or to commands such as "1.2".

    A walk lasts for `seconds`, or as long as its clip where that does not loop; its first `settle` seconds are left
    out. An `EvaluationError` says which walk has no whole gait cycle.
    """
    params = params or {}
    core, names, options = _prepare(policy, places, reference, seconds, env_kwargs or {}, threads)
    if core.robot.name != "humanoid":
        raise EvaluationError(f"{policy.env_id}: gait analysis is of the human body, its robot is {core.robot.name}")
    if params:
        if "params" not in core.task.option_keys:
            raise EvaluationError(f"{policy.env_id}: its walkers have no parameters")
        try:
            core.parameters.space.values(params)
        except ValueError as error:
            raise EvaluationError(f"params: {error}") from error
        options |= {"params": np.array([dict(params)] * len(names), dtype=object)}
    robot, instruments = core.robot, Instruments(core.physics)
    limits = np.full(len(names), round(seconds / robot.dt))
    found = record_episodes(policy, core, range(seed, seed + len(names)), options, limits=limits)
    samples, leg = instruments.samples(), float(robot.home_qpos[2])
    skipped = round(settle * instruments.rate)
    walks = []
    for i, name in enumerate(names):
        steps = int(found.ends["steps"][i])
        own = samples.walker(i, skipped, steps * robot.substeps)
        muscles = robot.muscles.names if robot.muscles else ()
        fall = str(found.ends["cause"][i])
        try:
            gait = analyse(own, robot.joint_names, robot.mass, instruments.rate, muscles)
        except GaitError as error:
            how = f"fell ({fall}) after" if fall else "walked for"
            raise EvaluationError(
                f"{policy.name} at {name} {how} {steps * robot.dt:.1f} s: {error}, the first {settle:g} s left out"
            ) from error
        on = {}
        if tables is not None:
            emg = tables.emg
            on = {group: on_times(times, emg.stance, gait.foot_off) for group, times in emg.intervals.items()}
        walks.append(Walk(name, params, steps * robot.dt, fall, gait, bands_at(gait.speed, leg, tables), on))
    return walks


def _prepare(
    policy: Policy,
    places: Sequence[str] | None,
    reference: Sequence[str] | None,
    seconds: float,
    env_kwargs: Mapping[str, Any],
    threads: int,
) -> tuple[Core, list[str], dict[str, Any]]:
    """Walkers, what each is called, and the reset options that they begin with."""
    if follows_clips(policy.env_id):
        opened = open_reference(policy, list(reference) if reference else None, env_kwargs)
        library = opened.task.library
        assert library is not None
        clips = np.array([library.index(name) for name in places] if places else range(len(library.clips)))
        core = Core(opened.task, len(clips), threads=threads)
        return core, [library.names[clip] for clip in clips], {"clip": clips, "frame": np.zeros_like(clips)}
    commands: list[Command] = [parse_command(text) for text in places or ("1.2",)]
    kwargs = deployment_kwargs(policy.env_kwargs) | dict(env_kwargs)
    core = make_env(policy.env_id, num_envs=len(commands), threads=threads, **kwargs).core
    core.max_episode_steps = round(seconds / core.robot.dt)
    return core, [f"{show_command(command)} m/s" for command in commands], {"command": np.array(commands)}


# -- figures -------------------------------------------------------------------------------------------


def figures(result: Walk) -> dict[str, Any]:
    """Everything about a walk, JSON-able: what cannot be told is None."""
    gait, matches = result.gait, result.matches
    curves = {}
    for name in gait.curves:
        band = result.bands.get(name)
        curves[name] = {
            "unit": unit(name, tuple(result.on_times)),
            "mean": _rounded(gait.mean(name)),
            "sd": _rounded(gait.sd(name)),
            **{side: _rounded(gait.curves[name][side].mean(axis=0)) for side in SIDES},
            "published": None if band is None else {"mean": _rounded(band.mean), "sd": _rounded(band.sd)},
            **({} if name not in matches else _rounded_map(matches[name]._asdict())),
        }
    return {
        "walk": result.name,
        "params": json_options(dict(result.params)),
        "seconds": round(result.seconds, 3),
        "fall": result.fall or None,
        "cycles": {side: len(gait.curves["vertical"][side]) for side in SIDES},
        **_rounded_map(strides(gait) | peaks(gait)),
        "curves": curves,
        "activation_timing": {name: _rounded_map(found._asdict()) for name, found in result.timings.items()},
    }


def strides(gait: Gait) -> dict[str, float]:
    return {
        "speed": gait.speed,
        "step_length": gait.step_length,
        "cadence": gait.cadence,
        "foot_off": 100 * gait.foot_off,
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in values]


def _rounded_map(values: Mapping[str, float]) -> dict[str, float | None]:
    return {name: round(float(value), 5) if np.isfinite(value) else None for name, value in values.items()}


# -- tables --------------------------------------------------------------------------------------------

COMPARED = (  # heading, key, format
    ("correlation", "correlation", "{:.2f}"),
    ("difference\nRMS", "rms", "{:.2f}"),
    ("in people's\nSD", "rms_sd", "{:.2f}"),
)
TIMED = (
    ("while\npeople's is on", "share", "{:.0%}"),
    ("without\ntiming", "expected", "{:.0%}"),
    ("overlap", "overlap", "{:.2f}"),
)
READ = {  # figure -> words and format
    "speed": ("speed, m/s", "{:.2f}"),
    "step_length": ("step length, m", "{:.2f}"),
    "cadence": ("steps a minute", "{:.0f}"),
    "foot_off": ("foot off, % of the cycle", "{:.0f}"),
    "ankle_power_peak": ("push-off power A2, W/kg", "{:.2f}"),
    "push_off_work": ("push-off work, J/kg", "{:.3f}"),
    "plantarflexion_moment_peak": ("plantarflexion moment, N·m/kg", "{:.2f}"),
    "hip_pull_off_power_peak": ("hip pull-off power H3, W/kg", "{:.2f}"),
    "hip_extension_peak": ("least hip flexion, °", "{:.1f}"),
    "knee_flexion_peak": ("knee flexion in swing, °", "{:.1f}"),
    "dorsiflexion_peak": ("dorsiflexion in stance, °", "{:.1f}"),
    "vertical_peak": ("greatest push of the ground, weights", "{:.2f}"),
}


def print_walk(result: Walk, title: str, console: Console) -> None:
    """Each curve against people's, and the muscles' timing where there is any."""
    gait, unknown = result.gait, {"rms": None, "rms_sd": None}
    rows = []
    for name, match in result.matches.items():
        rows.append([name.replace("_", " "), unit(name), *figure_cells(_rounded_map(match._asdict()), COMPARED)])
    mean = np.mean([match.correlation for match in result.matches.values()])
    rows.append(["all", "", *figure_cells({"correlation": mean, **unknown}, COMPARED)])
    counts = " and ".join(f"{len(gait.curves['vertical'][side])} {side}" for side in SIDES)
    caption = f"{counts} cycles at {gait.speed:.2f} m/s" + (f"; fell ({result.fall})" if result.fall else "")
    headings = ("curve", "unit", *(heading for heading, _, _ in COMPARED))
    console.print(figure_table(title, headings, rows, ("curve", "unit"), caption))
    if result.timings:
        timed = {name: found._asdict() for name, found in result.timings.items()}
        means = {key: np.mean([found[key] for found in timed.values()]) for _, key, _ in TIMED}
        cells = [[name, *figure_cells(_rounded_map(found), TIMED)] for name, found in (timed | {"all": means}).items()]
        console.print(figure_table("activation", ("muscle", *(heading for heading, _, _ in TIMED)), cells, ("muscle",)))


def print_figures(conditions: Sequence[tuple[str, Walk]], console: Console) -> None:
    """What a clinic reads off the curves, a column a condition; of two, also how the second differs."""
    read = [strides(result.gait) | peaks(result.gait) for _, result in conditions]
    rows = []
    for key, (words, form) in READ.items():
        values = [found[key] for found in read]
        change = [f"{values[1] / values[0] - 1:+.0%}" if values[0] else ""] if len(values) == 2 else []
        rows.append([words, *(form.format(value) for value in values), *change])
    fallen = [result.fall or "no" for _, result in conditions]
    rows.append(["fell", *fallen, *([""] if len(read) == 2 else [])])
    headings = ("figure", *(label for label, _ in conditions), *(["change"] if len(read) == 2 else []))
    console.print(figure_table(conditions[0][1].name, headings, rows, ("figure",)))


# -- command line --------------------------------------------------------------------------------------


def parse_params(text: str | None, option: str) -> dict[str, Any]:
    """'{"force": {"left_soleus": 0.5}}' -> that mapping."""
    if text is None:
        return {}
    try:
        params = yaml.safe_load(text)
    except yaml.YAMLError:
        params = None
    if not isinstance(params, dict):
        raise EvaluationError(
            f'{option} {text!r}: expected a mapping of parameters, such as {{"force": {{"left_soleus": 0.5}}}}'
        )
    return params


def page_path(out: Path, name: str, count: int) -> Path:
    """Where the page of a walk goes; of several, its name is part of the file's."""
    part = "".join(c if c.isalnum() else "_" for c in name).strip("_")
    return out if count == 1 else out.with_name(f"{out.stem}_{part}{out.suffix}")


def command(
    policy: PolicyArgument,
    reference: ReferenceOption = None,
    clip: Annotated[list[str] | None, typer.Option(help="Only this clip of the reference; may be repeated.")] = None,
    command: Annotated[
        list[str] | None, typer.Option(help="VX or VX,VY,YAW_RATE in m/s and rad/s; may be repeated.")
    ] = None,
    normative: Annotated[
        Path | None, typer.Option(help="Folder of published curves, as docs/gait_analysis.md describes it.")
    ] = None,
    params: Annotated[
        str | None, typer.Option(help='Of the walker: {"force": {"left_soleus": 0.5}}; see the environment.')
    ] = None,
    compare_params: Annotated[str | None, typer.Option(help="Of a second walker, to compare with the first.")] = None,
    seconds: Annotated[float, typer.Option(min=1.0, help="Of each walk.")] = SECONDS,
    settle: Annotated[float, typer.Option(min=0.0, help="Seconds of each walk that are left out first.")] = SETTLE,
    env: EnvOption = None,
    env_set: Annotated[list[str] | None, typer.Option(help="Environment option key=value; may be repeated.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the first walk; the others count on.")] = 0,
    threads: PhysicsThreads = 0,
    out: Annotated[Path | None, typer.Option(help="Picture of each walk's curves: .png, .svg or .pdf.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="File for every figure and curve.")] = None,
) -> None:
    """Analyse a human body's gait: joint angles, moments, ground reaction and muscles against published curves."""
    conditions = [("--params" if params else "healthy", parse_params(params, "--params"))]
    if compare_params is not None:
        conditions.append(("--compare-params", parse_params(compare_params, "--compare-params")))
    tables = read_normative(normative) if normative else None
    for path in (out, as_json):
        if path is not None:
            check_writable(path)
    loaded = load_policy(policy, env)
    refuse_others(loaded, command=command, reference=reference, clip=clip)
    made = [
        walk(
            loaded, clip or command, reference, params=values, tables=tables,
            seconds=seconds, settle=settle, env_kwargs=parse_env_set(env_set or ()), seed=seed, threads=threads,
        )
        for _, values in conditions
    ]  # fmt: skip
    console = Console(width=None if Console().is_terminal else 110)
    for together in zip(*made, strict=True):
        labelled = [(label, result) for (label, _), result in zip(conditions, together, strict=True)]
        for label, result in labelled:
            which = f", {label}" if len(labelled) > 1 else ""
            print_walk(result, f"{loaded.name} along {result.name}{which}, against people", console)
        print_figures(labelled, console)
        if out is not None:
            from gait_trainers.gait_page import draw_page  # matplotlib takes a second

            draw_page(labelled, loaded.name, page_path(out, together[0].name, len(made[0])))
    if as_json is not None:
        content = {
            "policy": loaded.name,
            "environment": loaded.env_id,
            "walks": [figures(result) for together in zip(*made, strict=True) for result in together],
        }
        with replacing(as_json) as temporary:
            temporary.write_text(json.dumps(content, allow_nan=False, indent=1) + "\n", encoding="utf-8")
