"""`gait-train backward`: Backward GaitNet, which reads a walker's parameters from seen motion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from gait_envs.files import check_writable
from gait_envs.reference.refnn.walks import WalkError, Walks, load_walks
from gait_trainers.config.checking import layered, overriding
from gait_trainers.config.kinds import check_kind
from gait_trainers.config.layers import parse_assignment


def command(
    model: Annotated[str, typer.Argument(help="The folder of a RefNN, or the name of a bundled one, such as refnn.")],
    data: Annotated[
        list[str], typer.Argument(help="Files of walks to learn from, of gait-train rollout or gait-data augment.")
    ],
    out: Annotated[Path, typer.Option(help="The .pt file to write the network to.")],
    test: Annotated[
        list[str] | None,
        typer.Option("--test", help="A file of walks that are only evaluated, such as captures; may be repeated."),
    ] = None,
    holdout: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Share of the walkers in the data that are only evaluated.")
    ] = 0.15,
    refine: Annotated[
        int, typer.Option(min=0, help="Gradient steps on what the RefNN makes of each inferred set of parameters.")
    ] = 60,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Set one setting, as key=value; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on one line.")] = False,
) -> None:
    """Train a Backward GaitNet through a frozen RefNN, and print what it recovers from walkers it never saw."""
    from gait_trainers.models.ref_nn import load_refnn
    from gait_trainers.pretrain.refnn import backward as training
    from gait_trainers.pretrain.refnn.windows import Windows, windows_of

    training.check_backward(out)
    check_kind(Path(model) / "config.yaml", "refnn")
    check_writable(out)
    settings = overriding(dict(parse_assignment(text) for text in set_ or ()))
    config = layered(training.BackwardConfig, settings, "--set")
    import torch

    torch.set_num_threads(1)
    network = load_refnn(model)
    names = network.facts.names
    rng = np.random.default_rng(config.seed)
    recordings = [load_walks(file) for file in data]
    walkers = np.unique([walker for walks in recordings for walker in walks.walkers])
    held = set(rng.permutation(walkers)[: round(holdout * len(walkers))].tolist())
    learned = windows_of(recordings, names, stretch=(0.85, 0.93, 1.0, 1.08, 1.16))
    seen = np.array([walker not in held for walker in learned.walkers])
    if not seen.any():
        raise WalkError("no walk of two seconds is left to learn from; lower --holdout or give more data")
    train = learned.take(seen)
    parts = [train]
    if config.generated:
        parts.append(training.generated_windows(network, train.params, config.generated, rng))
    found = training.train_backward(
        network, training.joined(parts), config, (lambda _: None) if as_json else typer.echo
    )
    training.save_backward(out, found)
    tests: dict[str, Windows] = {"generated": training.generated_windows(network, train.params, 100, rng)}
    if held:
        whole = windows_of([only(walks, held) for walks in recordings if set(walks.walkers) & held], names)
        tests["held-out walkers"] = whole
    for file in test or ():
        tests[Path(file).stem] = windows_of([load_walks(file)], names)
    result: dict[str, Any] = {"model": model, "parameters": list(names), "windows": int(seen.sum())}
    for title, windows in tests.items():
        result[title] = training.recovery(names, training.inferred(found, windows), windows.params)
        if refine:
            better = training.refined(found, windows, refine)
            result[f"{title}, refined"] = training.recovery(names, better, windows.params)
    if as_json:
        print(json.dumps(result))
        return
    for title, figures in result.items():
        if isinstance(figures, dict):
            typer.echo(f"{title}: {json.dumps(figures)}")


def only(walks: Walks, walkers: set[str]) -> Walks:
    """The walks of these walkers alone."""
    rows = [i for i, walker in enumerate(walks.walkers) if walker in walkers]
    ends = np.cumsum(walks.lengths)
    frames = np.concatenate([np.arange(ends[i] - walks.lengths[i], ends[i]) for i in rows])
    return Walks(
        walks.params[rows], walks.names, walks.motions[frames], walks.lengths[rows],
        tuple(walks.walkers[i] for i in rows), walks.fps, walks.source, walks.license,
    )  # fmt: skip
