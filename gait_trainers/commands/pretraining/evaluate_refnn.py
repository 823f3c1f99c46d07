"""`gait-train evaluate-refnn`: errors of a RefNN on held-out walkers, and what its walks do on the floor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gait_envs.constants import MOST_SEED
from gait_envs.reference.refnn.network import load_network
from gait_trainers.config.kinds import check_kind
from gait_trainers.pretrain.refnn.evaluate import WALKS, evaluate_refnn


def command(
    model: Annotated[str, typer.Argument(help="The folder of a RefNN, or the name of a bundled one, such as refnn.")],
    data: Annotated[
        list[str] | None, typer.Option("--data", help="A file of sequences to compare with; may be repeated.")
    ] = None,
    walks: Annotated[int, typer.Option(min=1, help="Number of walks of 10 s to generate at most.")] = WALKS,
    seed: Annotated[
        int, typer.Option(min=0, max=MOST_SEED, help="Seed of the choice among the sequences' parameters.")
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on one line.")] = False,
) -> None:
    """Evaluate a RefNN: error by group of joints, stride and cadence asked against produced, slip of standing feet."""
    check_kind(Path(model) / "config.yaml", "refnn")
    result = evaluate_refnn(load_network(model), data or (), walks, seed)
    if as_json:
        print(json.dumps(result, allow_nan=False))
        return
    console = Console()
    titled = {**result["data"], f"{result['generated']['walks']} generated walks": result["generated"]}
    for title, figures in titled.items():
        console.print(f"\n{title}", markup=False)
        for key, value in figures.items():
            console.print(f"  {key:<28} {value:.3g}" if isinstance(value, float) else f"  {key:<28} {value}")
