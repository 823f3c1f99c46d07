"""Walks of a policy, recorded and analysed as in a gait laboratory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gait_envs.biomechanics.gait_cycles import (
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
from gait_envs.biomechanics.normative import Band, Tables, bands_at
from gait_envs.biomechanics.published_gait import SpeedError
from gait_envs.core import Core
from gait_envs.simulation.instruments import Instruments
from gait_trainers.evaluation.rollout import EvaluationError, json_options, record_episodes
from gait_trainers.evaluation.tracking import open_reference
from gait_trainers.evaluation.walking import Command, parse_command, show_command
from gait_trainers.policies.base import Policy
from gait_trainers.policies.environment import deployment_kwargs, follows_clips, make_env

SECONDS, SETTLE = 20.0, 3.0  # s of a walk, and of its start that is left out
UNITS = {"moment": "N·m/kg", "power": "W/kg", "vertical": "weights", "aft": "weights"}  # by the end of a curve's name


@dataclass(frozen=True)
class Walk:
    """One policy's walk along one clip, or to one command, with the parameters of one walker."""

    name: str
    params: Mapping[str, Any]
    seconds: float  # until the fall, if it fell
    fall: str  # its cause, one of `rollout.CAUSES`; "" without one
    gait: Gait
    bands: dict[str, Band]  # normative curves at this walk's speed
    on_times: dict[str, np.ndarray]  # (51,) bool, when the muscles are normally on
    remark: str = ""  # why there are no bands

    @property
    def matches(self) -> dict[str, Match]:
        """Every curve with published data, compared with it."""
        known = [name for name in self.gait.curves if name in self.bands]
        return {name: compare(self.gait.mean(name), *self.bands[name]) for name in known}

    @property
    def timings(self) -> dict[str, Timing]:
        """Muscle group -> its activity over the gait cycle, compared with the published on-times."""
        return activation_timing(self.gait, self.on_times)


def ending(fall: str, seconds: float) -> str:
    """How a walk ended, in words."""
    how = {"": "walked for", "strayed": "strayed from its clip after"}.get(fall, f"fell ({fall}) after")
    return f"{how} {seconds:.1f} s"


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
    begin: Callable[[Sequence[str]], None] = lambda names: None,
) -> list[Walk]:
    """Walks along clips of the reference (None: all of them), or to commands such as "1.2".

    A walk lasts for `seconds`, or as long as its clip where that does not loop; its first `settle` seconds are left
    out. An `EvaluationError` says which walk has no whole gait cycle. `begin` is called with the names of the walks
    before they are simulated.
    """
    for key, value in (("seconds", seconds), ("settle", settle)):
        if not np.isfinite(value):
            raise EvaluationError(f"{key} is {value}, expected a finite number")
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
    begin(names)
    robot, instruments = core.robot, Instruments(core.physics)
    limits = np.full(len(names), round(seconds / robot.dt))
    found = record_episodes(policy, core, range(seed, seed + len(names)), options, limits=limits)
    samples, masses, leg = instruments.samples(), core.physics.masses(), _leg(core, options)
    skipped = round(settle * instruments.rate)
    walks = []
    for i, name in enumerate(names):
        steps = int(found.ends["steps"][i])
        own = samples.walker(i, skipped, steps * robot.substeps)
        muscles = robot.muscles.names if robot.muscles else ()
        fall = str(found.ends["cause"][i])
        try:
            gait = analyse(own, robot.joint_names, float(masses[i]), instruments.rate, muscles)
        except GaitError as error:
            how = ending(fall, steps * robot.dt)
            raise EvaluationError(f"{policy.name} at {name} {how}: {error}, the first {settle:g} s left out") from error
        on = {}
        if tables is not None:
            emg = tables.emg
            on = {group: on_times(times, emg.stance, gait.foot_off) for group, times in emg.intervals.items()}
        bands, remark = _bands(gait.speed, leg, tables)
        walks.append(Walk(name, params, steps * robot.dt, fall, gait, bands, on, remark))
    return walks


def _bands(speed: float, leg: float, tables: Tables | None) -> tuple[dict[str, Band], str]:
    """Normative curves at a speed, or none and why."""
    try:
        return bands_at(speed, leg, tables), ""
    except SpeedError as error:
        return {}, f"no published curves: {error}"


def _leg(core: Core, options: Mapping[str, Any]) -> float:
    """How long the walkers' legs are from hip to floor, m; all walk with the same parameters."""
    same = {key: values[0] for key, values in options.items() if key == "params"}
    scale = core.task.param_space.of("scale", core.task.param_values(same)[None])
    return float(core.robot.home_qpos[2] * core.robot.segments.leg_ratio(scale)[0])


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
    """All figures of a walk, JSON-able; None where a figure is undefined."""
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
            **({} if name not in matches else rounded(matches[name]._asdict())),
        }
    return {
        "walk": result.name,
        "params": json_options(dict(result.params)),
        "seconds": round(result.seconds, 3),
        "fall": result.fall or None,
        "remark": result.remark or None,
        "cycles": {side: len(gait.curves["vertical"][side]) for side in SIDES},
        **rounded(strides(gait) | peaks(gait)),
        "curves": curves,
        "activation_timing": {name: rounded(found._asdict()) for name, found in result.timings.items()},
    }


def strides(gait: Gait) -> dict[str, float]:
    """Stride figures: speed (m/s), step length (m), cadence (steps/min) and foot-off (% of the cycle)."""
    return {
        "speed": gait.speed,
        "step_length": gait.step_length,
        "cadence": gait.cadence,
        "foot_off": 100 * gait.foot_off,
    }


def _rounded(values: np.ndarray) -> list[float]:
    return [round(float(value), 5) for value in values]


def rounded(values: Mapping[str, float]) -> dict[str, float | None]:
    """The values to five decimals; None, which JSON can hold, where one is not finite."""
    return {name: round(float(value), 5) if np.isfinite(value) else None for name, value in values.items()}
