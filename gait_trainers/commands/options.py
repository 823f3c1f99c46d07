"""Options that several commands of `gait-train` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gait_envs.constants import MOST_SEED, MOST_THREADS

MOST_SECONDS = 86_400.0  # of a walk: a day

PolicyArgument = Annotated[
    Path,
    typer.Argument(
        help="A bundle folder, a run folder, a checkpoint file, a bundled name (gait-train list), or a name of a "
        "service's registry: registry:NAME@champion."
    ),
]
ResumeOption = Annotated[Path | None, typer.Option("--resume", help="Run folder or checkpoint to resume, bit for bit.")]
EnvOption = Annotated[str | None, typer.Option("--env", help="Act in this environment instead of the policy's own.")]
ReferenceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        help="The clips to follow: a file, folder, packed set, embedded set or part of a split (split.json#train); "
        "may be repeated.",
    ),
]
StochasticOption = Annotated[
    bool, typer.Option("--stochastic", help="Sample the actions instead of taking their mean.")
]
PhysicsThreads = Annotated[
    int,
    typer.Option("--threads", min=0, max=MOST_THREADS, help="Number of physics threads; 0 means one for each core."),
]
ClipsOption = Annotated[
    list[str] | None, typer.Option("--clip", help="Follow only this clip of the reference; may be repeated.")
]
CommandsOption = Annotated[
    list[str] | None,
    typer.Option("--command", help="Command to walk to, VX or VX,VY,YAW_RATE in m/s and rad/s; may be repeated."),
]
SeedOption = Annotated[
    int,
    typer.Option(
        "--seed", min=0, max=MOST_SEED, help="Seed of the first episode; the following ones count up from it."
    ),
]
EnvSetOption = Annotated[
    list[str] | None,
    typer.Option("--env-set", help="Set an option of the environment, as key=value; may be repeated."),
]
