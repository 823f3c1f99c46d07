"""Options that several commands of `gait-train` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PolicyArgument = Annotated[Path, typer.Argument(help="Bundle folder, run folder or checkpoint file.")]
EnvOption = Annotated[str | None, typer.Option("--env", help="Act in this environment instead of the policy's own.")]
ReferenceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        help="Clips to follow: a file, folder, packed set, embedded set or part of a split (split.json#train); "
        "may be repeated.",
    ),
]
StochasticOption = Annotated[bool, typer.Option("--stochastic", help="Sample actions instead of taking their mean.")]
PhysicsThreads = Annotated[int, typer.Option("--threads", min=0, help="Physics threads; 0 = one a core.")]
