"""`gait-train rollout`: a policy's walks under sampled parameters of the walker."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gait_envs.reading.outputs import check_output
from gait_envs.reference.refnn.walks import save_walks
from gait_trainers.commands.options import MOST_SECONDS, PhysicsThreads, PolicyArgument, ReferenceOption, SeedOption
from gait_trainers.evaluation.rollout import EvaluationError
from gait_trainers.policies.loading import load_policy
from gait_trainers.pretrain.rollouts import RANGES, record_walks


def command(
    policy: PolicyArgument,
    out: Annotated[Path, typer.Option(help="The folder to write the walks to, as one .npz file for each seed.")],
    walkers: Annotated[int, typer.Option(min=1, help="Number of walkers, each with parameters drawn at random.")] = 256,
    range_: Annotated[
        list[str] | None,
        typer.Option(
            "--range",
            help="Bounds of a parameter, as NAME=LOW,HIGH in factors; scale stands for every segment's, force and "
            "length for every muscle's; may be repeated.",
            show_default="stride=0.85,1.15 and cadence=0.85,1.15",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=4.0, max=MOST_SECONDS, help="Length of each walk, in seconds.")] = 10.0,
    reference: ReferenceOption = None,
    seed: SeedOption = 0,
    threads: PhysicsThreads = 0,
) -> None:
    """Record a policy that follows looping clips under sampled stride, cadence and body parameters."""
    loaded = load_policy(policy)
    file = out / f"walks_{seed:03d}.npz"
    check_output(file, ".npz", "format", format="gaitnet walks")
    ranges = RANGES if range_ is None else dict(parse_range(text) for text in range_)
    found = record_walks(
        loaded, walkers, reference=reference, ranges=ranges, seconds=seconds, seed=seed, threads=threads
    )
    save_walks(file, found.walks)
    left_out = ", ".join(f"{count} {why}" for why, count in sorted(found.dropped.items())) or "none"
    typer.echo(f"{file}: {len(found.walks.lengths)} of {walkers} walkers; left out: {left_out}")


def parse_range(text: str) -> tuple[str, tuple[float, float]]:
    """ "stride=0.9,1.1" -> ("stride", (0.9, 1.1))."""
    name, _, bounds = text.partition("=")
    try:
        low, high = (float(part) for part in bounds.split(","))
    except ValueError:
        raise EvaluationError(f"--range {text!r}: expected NAME=LOW,HIGH, such as stride=0.9,1.1") from None
    return name.strip(), (low, high)
