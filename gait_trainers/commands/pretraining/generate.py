"""`gait-train generate`: motion out of a model, as a clip."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def command(
    model: Annotated[str, typer.Argument(help="Motion model: a file, a run folder or the name of a bundled model.")],
    speed: Annotated[
        float,
        typer.Option(
            help="Walking speed, in m/s; a model that is not conditioned on it only begins in the cycle of this speed."
        ),
    ] = 1.2,
    seconds: Annotated[float, typer.Option(help="Length of the motion, in seconds.")] = 10.0,
    cadence: Annotated[
        float | None, typer.Option(help="Cadence, in steps/min; by default that of the training clips at this speed.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Clip to write.")] = Path("generated.npz"),
) -> None:
    """Generate a walk along x with a model of motion; the clip plays with gait-data view and serves as a reference."""
    from gait_envs.reading.outputs import CLIP, check_output
    from gait_envs.reference.clip import save_clip
    from gait_trainers.models.motion import read_motion_model
    from gait_trainers.pretrain.motionnn.generate import doubts, generate

    check_output(out, ".npz", *CLIP)
    loaded, extras = read_motion_model(model)
    clip = generate(loaded, extras, speed, seconds, cadence, out.stem)
    typer.echo(f"clip     {save_clip(out, clip)}: {clip.duration:.1f} s at {clip.mean_speed:.2f} m/s")
    for text in doubts(loaded, extras, speed, clip.mean_speed):
        typer.echo(f"warning: {text}", err=True)
