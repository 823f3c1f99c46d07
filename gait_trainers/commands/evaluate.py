"""`gait-train evaluate`: how well a policy walks, or follows clips, in a table or as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from gait_trainers.commands.checks import beyond_training, parse_env_set, refuse_others, stands_still, warn
from gait_trainers.commands.options import (
    ClipsOption,
    CommandsOption,
    EnvOption,
    EnvSetOption,
    PhysicsThreads,
    PolicyArgument,
    SeedOption,
    StochasticOption,
)
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.evaluation.tracking import evaluate_tracking
from gait_trainers.evaluation.walking import GRID, evaluate, parse_command
from gait_trainers.policies.environment import follows_clips
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.evaluation_tables import WIDE, print_table, print_tracking
from gait_trainers.reports.worst_clips import check_page, draw_worst


def command(
    policy: PolicyArgument,
    episodes: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Number of episodes, shared out evenly over the commands or clips.",
            show_default="100, or each clip once",
        ),
    ] = None,
    command: CommandsOption = None,
    sweep: Annotated[
        bool, typer.Option(help="Walk forward at 0.1, 0.2 … 1.0 m/s, whether trained for or not.")
    ] = False,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            help="The clips to follow, or those whose gait a walker's is compared with: a file, folder, packed set, "
            "embedded set or part of a split (split.json#train); may be repeated.",
            show_default="those it was trained on; of a walker the embedded ones",
        ),
    ] = None,
    clip: ClipsOption = None,
    stochastic: StochasticOption = False,
    both: Annotated[bool, typer.Option(help="Evaluate deterministically, then stochastically.")] = False,
    seed: SeedOption = 0,
    env: EnvOption = None,
    env_set: EnvSetOption = None,
    threads: PhysicsThreads = 0,
    worst: Annotated[
        Path | None, typer.Option(help="Draw the ten clips that are followed worst into this .png, as film strips.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on one line.")] = False,
) -> None:
    """Evaluate how well a policy walks at commanded velocities, or how closely it tracks clips."""
    loaded = load_policy(policy, env)
    common: dict[str, Any] = {"seed": seed, "env_kwargs": parse_env_set(env_set or ()), "threads": threads}
    run: Callable[..., dict[str, Any]]
    refuse_others(loaded, command=command, sweep=sweep, clip=clip)
    if stands_still(loaded, common["env_kwargs"]):
        warn(
            [
                f"warning: {loaded.name} is mirror-symmetric: with reset_noise=0 it begins in a pose that is its own "
                "mirror image, out of which it may never take a first step"
            ]
        )
    if worst is not None:
        if stochastic and not both:
            raise EvaluationError("--worst draws deterministic episodes; leave --stochastic out, or give --both")
        check_page(worst, loaded)
    if follows_clips(loaded.env_id):
        run = partial(evaluate_tracking, loaded, episodes, clip, reference, **common)
    else:
        asked = [parse_command(text) for text in command or ()]
        warn(beyond_training(loaded, asked))
        commands = [*(GRID if sweep else ()), *asked] or None
        run = partial(evaluate, loaded, episodes or 100, commands, reference=reference, **common)
    results = [run(stochastic=mode) for mode in ((False, True) if both else (stochastic,))]
    if worst is not None:
        draw_worst(loaded, results[0], worst, reference=reference, env_kwargs=common["env_kwargs"])
    if as_json:
        # With --both the deterministic figures lead and carry the others along.
        print(json.dumps(results[0] | ({"stochastic": results[1]} if both else {}), allow_nan=False))
        return
    console = Console(width=None if Console().is_terminal else WIDE)
    for result in results:
        (print_tracking if "per_clip" in result else print_table)(result, console)
