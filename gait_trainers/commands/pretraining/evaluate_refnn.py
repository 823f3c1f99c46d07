"""`gait-train evaluate-refnn`: errors of a RefNN on held-out walkers, and what its walks do on the floor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console

from gait_envs.reference.refnn.generator import generated_clips
from gait_envs.reference.refnn.network import ReferenceNetwork, load_network
from gait_envs.reference.refnn.walks import WalkError, load_sequences
from gait_trainers.pretrain.refnn.data import aligned
from gait_trainers.pretrain.refnn.figures import group_errors, summary, walk_figures

MARGIN = 0.05  # of a parameter's range, by which sequences that are compared may lie beyond it
FACTORS = (0.95, 1.0, 1.05)  # on stride and cadence of the natural walks


def command(
    model: Annotated[str, typer.Argument(help="The folder of a RefNN, or the name of a bundled one, such as refnn.")],
    data: Annotated[
        list[str] | None, typer.Option("--data", help="A file of sequences to compare with; may be repeated.")
    ] = None,
    walks: Annotated[int, typer.Option(min=1, help="Number of walks of 10 s to generate at most.")] = 40,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the choice among the sequences' parameters.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as one JSON object on one line.")] = False,
) -> None:
    """Evaluate a RefNN: error by group of joints, stride and cadence asked against produced, slip of standing feet."""
    network = load_network(model)
    rng = np.random.default_rng(seed)
    result: dict[str, Any] = {"model": network.name, "parameters": list(network.facts.names), "data": {}}
    every = []
    for file in data or ():
        sequences = load_sequences(file)
        params = aligned(sequences, network.facts.names)
        inside = within(network, params)
        if not inside.any():
            raise WalkError(f"{file}: every sequence is beyond what the network was trained for")
        params = np.clip(params[inside], network.facts.low, network.facts.high)
        result["data"][Path(file).name] = {
            "sequences": len(params),
            "beyond": int((~inside).sum()),
            **group_errors(network, params, sequences.motions[inside]),
        }
        every.append(params)
    asked = np.concatenate(every) if every else natural(network)
    chosen = asked[np.sort(rng.permutation(len(asked))[:walks])]
    result["generated"] = summary(walk_figures(network, chosen))
    if as_json:
        print(json.dumps(result, allow_nan=False))
        return
    console = Console()
    for title, figures in {**result["data"], f"{len(chosen)} generated walks": result["generated"]}.items():
        console.print(f"\n{title}", markup=False)
        for key, value in figures.items():
            console.print(f"  {key:<28} {value:.3g}" if isinstance(value, float) else f"  {key:<28} {value}")


def within(network: ReferenceNetwork, params: np.ndarray) -> np.ndarray:
    """Which of the parameters (n, P) lie in the range that the network was trained for, or next to it: (n,) bool."""
    span = network.facts.high - network.facts.low
    low, high = network.facts.low - MARGIN * span, network.facts.high + MARGIN * span
    return np.asarray(((params >= low) & (params <= high)).all(axis=1))


def natural(network: ReferenceNetwork) -> np.ndarray:
    """Parameters (n, P) of the network's own walks, and of such with somewhat other stride and cadence."""
    rows = []
    for clip in generated_clips(network):
        for stride in FACTORS:
            for cadence in FACTORS:
                values = {"stride": stride * clip.meta["stride"], "cadence": cadence * clip.meta["cadence"]}
                try:
                    rows.append(network.params(values, 1))
                except ValueError:  # beyond the range
                    continue
    return np.concatenate(rows)
