"""Options that several commands of `gait-train` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PolicyArgument = Annotated[Path, typer.Argument(help="Policy to load: a bundle, a run folder or a checkpoint file.")]
EnvOption = Annotated[str | None, typer.Option("--env", help="Environment to act in, in place of the policy's own.")]
ReferenceOption = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        help="Reference clips: a file, folder, packed set, embedded set or part of a split (split.json#train); "
        "may be repeated.",
    ),
]
StochasticOption = Annotated[bool, typer.Option("--stochastic", help="Sample actions instead of taking their mean.")]
PhysicsThreads = Annotated[
    int, typer.Option("--threads", min=0, help="Number of physics threads; 0 uses one per core.")
]
