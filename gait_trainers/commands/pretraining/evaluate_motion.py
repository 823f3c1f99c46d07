"""`gait-train evaluate-motion`: how well a model of motion predicts clips, beside baselines."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console


def command(
    model: Annotated[str, typer.Argument(help="Motion model: a file, a run folder or the name of a bundled model.")],
    data: Annotated[
        list[str] | None,
        typer.Option(
            help="Clips to predict: a file, folder, packed set or part of a split (split.json#test); may be repeated. "
            "By default the test part of the run."
        ),
    ] = None,
    activity: Annotated[
        list[str] | None,
        typer.Option(help="Only clips of this kind of activity: walk, run, jump or other; may be repeated."),
    ] = None,
    training: Annotated[
        str | None,
        typer.Option(help="Clips in which the nearest window is looked for; by default the run's training part."),
    ] = None,
    long: Annotated[int, typer.Option(min=0, help="Frames of the free-running check; 0 leaves it out.")] = 300,
    page: Annotated[Path | None, typer.Option(help="PNG with trajectories of root, knees and feet to write.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on one line.")] = False,
) -> None:
    """Evaluate a model of motion: errors of one step and of rollouts, growth and stability, beside baselines."""
    import torch

    from gait_envs.reading.outputs import check_drawing
    from gait_envs.reference.clip import ClipError
    from gait_trainers.models.motion import read_motion_model
    from gait_trainers.models.motion.storage import find_model
    from gait_trainers.pretrain.motionnn.evaluate import evaluate_motion
    from gait_trainers.reports.motion_tables import print_motion

    if page is not None:
        check_drawing(page)
    torch.set_num_threads(1)
    loaded, extras = read_motion_model(model)
    split = find_model(model).parent / "split.json"
    if not data and not split.is_file():
        raise ClipError(f"{model}: no split.json beside the model; name the clips with --data")
    if training is None and split.is_file() and (split.parent / "config.yaml").is_file():
        training = f"{split}#train"
    figures, judged = evaluate_motion(loaded, extras, data or f"{split}#test", activity or (), training, long)
    if page is not None:
        from gait_trainers.reports.motion_page import write_motion_page

        write_motion_page(page, loaded, judged, figures)
        if not as_json:
            typer.echo(f"page     {page}")
    if as_json:
        print(json.dumps(figures, allow_nan=False))
    else:
        print_motion(figures, Console(width=None if Console().is_terminal else 140))
