"""`gait-train gait`: how a policy walks beside published curves, and what weakness changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
import yaml
from rich.console import Console

from gait_envs.biomechanics.gait_cycles import SIDES, peaks
from gait_envs.biomechanics.normative import read_normative
from gait_envs.files import check_writable, replacing
from gait_envs.loaders import loader
from gait_trainers.commands.options import EnvOption, PhysicsThreads, PolicyArgument, ReferenceOption
from gait_trainers.evaluation.clinical import SECONDS, SETTLE, Walk, ending, figures, rounded, strides, unit, walk
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.evaluation.walking import load_policy, parse_env_set, refuse_others
from gait_trainers.reports.tables import UNKNOWN, figure_cells, figure_table

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
PAGES = (".png", ".svg", ".pdf")
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
        rows.append([name.replace("_", " "), unit(name), *figure_cells(rounded(match._asdict()), COMPARED)])
    correlations = [match.correlation for match in result.matches.values()]
    mean = rounded({"correlation": float(np.mean(correlations)) if correlations else np.nan})
    rows.append(["all", "", *figure_cells(mean | unknown, COMPARED)])
    counts = " and ".join(f"{len(gait.curves['vertical'][side])} {side}" for side in SIDES)
    caption = f"{counts} cycles at {gait.speed:.2f} m/s"
    if result.fall:
        caption += f"; {ending(result.fall, result.seconds)}"
    if result.remark:
        caption += f"; {result.remark}"
    headings = ("curve", "unit", *(heading for heading, _, _ in COMPARED))
    console.print(figure_table(title, headings, rows, ("curve", "unit"), caption))
    if result.timings:
        timed = {name: found._asdict() for name, found in result.timings.items()}
        means = {key: np.mean([found[key] for found in timed.values()]) for _, key, _ in TIMED}
        cells = [[name, *figure_cells(rounded(found), TIMED)] for name, found in (timed | {"all": means}).items()]
        console.print(figure_table("activation", ("muscle", *(heading for heading, _, _ in TIMED)), cells, ("muscle",)))


def print_figures(conditions: Sequence[tuple[str, Walk]], console: Console) -> None:
    """What a clinic reads off the curves, a column a condition; of two, also how the second differs."""
    read = [strides(result.gait) | peaks(result.gait) for _, result in conditions]
    rows = []
    for key, (words, form) in READ.items():
        values = [found[key] for found in read]
        change = [_change(*values, angle=words.endswith("°"))] if len(values) == 2 else []
        rows.append([words, *(form.format(value) if np.isfinite(value) else UNKNOWN for value in values), *change])
    fallen = [result.fall or "no" for _, result in conditions]
    rows.append(["fell or strayed", *fallen, *([""] if len(read) == 2 else [])])
    headings = ("figure", *(label for label, _ in conditions), *(["change"] if len(read) == 2 else []))
    console.print(figure_table(conditions[0][1].name, headings, rows, ("figure",)))


def _change(first: float, second: float, *, angle: bool) -> str:
    """In degrees of an angle, whose zero means nothing; else as a share of the first."""
    if not np.isfinite([first, second]).all():
        return UNKNOWN
    if angle:
        return f"{second - first:+.1f}°"
    return f"{second / first - 1:+.0%}" if first else UNKNOWN


# -- command line --------------------------------------------------------------------------------------


@loader("body parameters", ".yaml", ".yml", ".json")
def parse_params(text: str | None, option: str) -> dict[str, Any]:
    """'{"force": {"left_soleus": 0.5}}', or the name of a YAML or JSON file that holds it, -> that mapping."""
    if text is None:
        return {}
    source = text
    if Path(text).suffix in (".yaml", ".yml", ".json"):
        try:
            source = Path(text).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise EvaluationError(f"{option}: {text}: not UTF-8 text: {error}") from error
    try:
        params = yaml.safe_load(source)
    except yaml.YAMLError:
        params = None
    if not isinstance(params, dict):
        raise EvaluationError(
            f'{option} {text!r}: expected a mapping of parameters, such as {{"force": {{"left_soleus": 0.5}}}}, '
            "or a .yaml or .json file of one"
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
        str | None, typer.Option(help='Of the walker, such as {"force": {"left_soleus": 0.5}}, or a YAML file of them.')
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
    if out is not None and out.suffix not in PAGES:
        raise EvaluationError(f"{out}: pages end in {' or '.join(PAGES)}")
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
    if as_json is not None:
        content = {
            "policy": loaded.name,
            "environment": loaded.env_id,
            "walks": [figures(result) for together in zip(*made, strict=True) for result in together],
        }
        with replacing(as_json) as temporary:
            temporary.write_text(json.dumps(content, allow_nan=False, indent=1) + "\n", encoding="utf-8")
    console = Console(width=None if Console().is_terminal else 110)
    for together in zip(*made, strict=True):
        labelled = [(label, result) for (label, _), result in zip(conditions, together, strict=True)]
        for label, result in labelled:
            which = f", {label}" if len(labelled) > 1 else ""
            print_walk(result, f"{loaded.name} along {result.name}{which}, against people", console)
        print_figures(labelled, console)
        if out is not None:
            from gait_trainers.reports.gait_page import draw_page  # matplotlib takes a second

            draw_page(labelled, loaded.name, page_path(out, together[0].name, len(made[0])))
