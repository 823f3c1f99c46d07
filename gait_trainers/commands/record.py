"""`gait-train record`: what a policy makes of clips, as new clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from gait_envs.wording import counted
from gait_trainers.commands.options import PhysicsThreads, PolicyArgument, ReferenceOption, SeedOption, StochasticOption
from gait_trainers.evaluation.record import NOISE, RecordError, check_out, record_clips, write_recordings
from gait_trainers.policies.loading import load_policy
from gait_trainers.reports.evaluation_tables import print_recorded, show_reference


def command(
    policy: PolicyArgument,
    out: Annotated[Path, typer.Option(help="The folder to write the clips to.")],
    reference: ReferenceOption = None,
    stochastic: StochasticOption = False,
    noise: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Noise of sampled actions, in multiples of the policy's own; needs --stochastic.",
            show_default=f"{NOISE:g}",
        ),
    ] = None,
    tries: Annotated[
        int,
        typer.Option(
            min=1, help="Episodes for each clip; without --stochastic, those of a clip that does not loop are alike."
        ),
    ] = 1,
    keep: Annotated[int, typer.Option(min=1, help="Number of recordings to keep of each clip, the closest first.")] = 1,
    seed: SeedOption = 0,
    threads: PhysicsThreads = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace recordings that already exist.")] = False,
) -> None:
    """Record a policy that tracks clips, and save its motion as new, physically feasible clips."""
    if noise is not None and not stochastic:
        raise RecordError("--noise is of sampled actions; give --stochastic too")
    loaded = load_policy(policy)
    followed = reference or loaded.reference or ()
    check_out(out, [followed] if isinstance(followed, str) else followed, force)
    noise = NOISE if noise is None else noise
    recorded = record_clips(
        loaded, reference, tries=tries, keep=keep, stochastic=stochastic, noise=noise, seed=seed, threads=threads
    )
    title = f"{loaded.name} along {show_reference(recorded.reference)}, " + (
        f"{noise:g} times its noise" if stochastic else "deterministic"
    )
    print_recorded(recorded, title, Console())
    if not recorded.clips:
        raise RecordError("no clip was tracked to its end; nothing was written")
    write_recordings(out, recorded.clips, recorded.figures)
    typer.echo(f"{counted(len(recorded.clips), 'clip')} in {out}")
