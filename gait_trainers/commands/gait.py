"""`gait-train gait`: how a policy walks beside published curves, and what weakness changes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gait_envs.biomechanics.normative import read_normative
from gait_envs.errors import one_line
from gait_envs.files import check_writable, replacing
from gait_envs.reading.loaders import loader
from gait_envs.reading.outputs import check_drawing, check_output
from gait_envs.reading.yaml_text import parse_yaml, read_yaml
from gait_trainers.commands.checks import beyond_training, parse_env_set, refuse_others, warn
from gait_trainers.commands.options import (
    MOST_SECONDS,
    ClipsOption,
    CommandsOption,
    EnvOption,
    EnvSetOption,
    PhysicsThreads,
    PolicyArgument,
    ReferenceOption,
    SeedOption,
)
from gait_trainers.evaluation.clinical import SECONDS, SETTLE, Walk, figures, walk
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.evaluation.walking import parse_command
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.gait_tables import print_figures, print_walk
from gait_trainers.runs.resumption import flat

PAGES = (".png", ".svg", ".pdf")
FILES = (".yaml", ".yml", ".json")  # of parameters
LONGEST_NAME = 40  # characters of a walker's


@loader("body parameters", ".yaml", ".yml", ".json")
def parse_params(text: str | None, option: str) -> dict[str, Any]:
    """'{"force": {"left_soleus": 0.5}}', or the name of a YAML or JSON file that holds it, -> that mapping."""
    if text is None:
        return {}
    is_file = Path(text).suffix in FILES
    try:
        params = read_yaml(text, EvaluationError) if is_file else parse_yaml(text, option, EvaluationError)
    except EvaluationError as error:
        if is_file:
            raise EvaluationError(f"{option}: {error}") from None
        params = None
    if not isinstance(params, dict):
        raise EvaluationError(
            f"{option} {one_line(repr(text))}: expected a mapping of parameters, such as "
            '{"force": {"left_soleus": 0.5}}, or a .yaml or .json file of one'
        )
    return params


def walker_name(given: str | None, place: str) -> str:
    """What a walker is called in tables and messages: by its file, or by its parameters where they are few words."""
    if given is None:
        return "healthy"
    if Path(given).suffix in FILES:
        return one_line(Path(given).stem, LONGEST_NAME)
    values = flat(parse_params(given, "parameters"))
    name = ", ".join(f"{key} {value}" for key, value in values.items())
    return name if 0 < len(name) <= LONGEST_NAME else f"{place} walker"


def page_paths(out: Path | None, names: Sequence[str]) -> list[Path]:
    """Where the page of each walk goes, if anywhere; of several, its name is part of the file's."""
    if out is None or len(names) == 1:
        return [] if out is None else [out]
    parts = ["".join(c if c.isalnum() else "_" for c in name).strip("_") for name in names]
    return [out.with_name(f"{out.stem}_{part}{out.suffix}") for part in parts]


def command(
    policy: PolicyArgument,
    reference: ReferenceOption = None,
    clip: ClipsOption = None,
    command: CommandsOption = None,
    normative: Annotated[
        Path | None, typer.Option(help="Folder of normative data, as docs/gait_analysis.md describes it.")
    ] = None,
    params: Annotated[
        str | None,
        typer.Option(help='Parameters of the walker, such as {"force": {"left_soleus": 0.5}}, or a YAML file of them.'),
    ] = None,
    compare_params: Annotated[
        str | None, typer.Option(help="Parameters of a second walker, to compare with the first.")
    ] = None,
    seconds: Annotated[
        float, typer.Option(min=1.0, max=MOST_SECONDS, help="Length of each walk, in seconds.")
    ] = SECONDS,
    settle: Annotated[
        float, typer.Option(min=0.0, help="Leave out this many seconds at the start of each walk.")
    ] = SETTLE,
    env: EnvOption = None,
    env_set: EnvSetOption = None,
    seed: SeedOption = 0,
    threads: PhysicsThreads = 0,
    out: Annotated[Path | None, typer.Option(help="Draw each walk's curves to this .png, .svg or .pdf.")] = None,
    as_json: Annotated[Path | None, typer.Option("--json", help="Write every figure and curve to this file.")] = None,
) -> None:
    """Analyse gait: joint angles, moments, ground reaction forces and muscle timing against normative curves."""
    if out is not None and out.suffix not in PAGES:
        raise EvaluationError(f"{out}: pages end in {' or '.join(PAGES)}")
    conditions = [(walker_name(params, "first"), parse_params(params, "--params"))]
    if compare_params is not None:
        second = walker_name(compare_params, "second")
        second = f"{second} (second)" if second == conditions[0][0] else second
        conditions.append((second, parse_params(compare_params, "--compare-params")))
    tables = read_normative(normative) if normative else None
    if out is not None:
        check_drawing(out)
        check_writable(out)
    if as_json is not None:
        check_output(as_json, ".json", "policy", "walks")
    loaded = load_policy(policy, env)
    refuse_others(loaded, command=command, reference=reference, clip=clip)
    warn(beyond_training(loaded, [parse_command(text) for text in command or ()]))

    def check_pages(names: Sequence[str]) -> None:
        for page in page_paths(out, names):
            check_drawing(page)

    made: list[list[Walk]] = []
    failed: EvaluationError | None = None
    for label, values in conditions:
        try:
            made.append(walk(
                loaded, clip or command, reference, params=values, tables=tables,
                seconds=seconds, settle=settle, env_kwargs=parse_env_set(env_set or ()), seed=seed, threads=threads,
                begin=check_pages,
            ))  # fmt: skip
        except EvaluationError as error:
            failed = error if len(conditions) == 1 else EvaluationError(f"{label}: {error}")
            break
    if failed is not None:
        out = as_json = None  # nothing is written of half a comparison; what is known of the first walker is printed
    pages = page_paths(out, [result.name for result in made[0]] if made else [])
    if as_json is not None:
        content = {
            "policy": loaded.name,
            "environment": loaded.env_id,
            "walks": [figures(result) for together in zip(*made, strict=True) for result in together],
        }
        with replacing(as_json) as temporary:
            temporary.write_text(json.dumps(content, allow_nan=False, indent=1) + "\n", encoding="utf-8")
        typer.echo(f"figures  {as_json}")
    console = Console(width=None if Console().is_terminal else 110)
    for i, together in enumerate(zip(*made, strict=True)):
        labelled = [(label, result) for (label, _), result in zip(conditions, together, strict=False)]
        for label, result in labelled:
            which = f", {label}" if len(labelled) > 1 else ""
            print_walk(result, f"{loaded.name} along {result.name}{which}, against normative data", console)
        print_figures(labelled, console)
        if pages:
            from gait_trainers.reports.gait_page import draw_page  # matplotlib takes a second

            draw_page(labelled, loaded.name, pages[i])
            typer.echo(f"page     {pages[i]}")
    if failed is not None:
        raise failed
