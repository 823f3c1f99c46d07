"""`gait-train motionnn`: train a model of motion on clips."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gait_envs.constants import MOST_SEED
from gait_trainers.commands.options import ResumeOption
from gait_trainers.config.layers import parse_assignment
from gait_trainers.config.section import ConfigError
from gait_trainers.pretrain.motionnn.config import DEFAULT_PRESET, RESUMABLE, load_motion_config, preset_names
from gait_trainers.runs.resumption import check_given


def command(
    clips: Annotated[
        str | None, typer.Argument(help="Folder of clips, packed set, or part of a split (split.json#train).")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Run folder to create.")] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            help=f"Preset that comes with the package: {', '.join(preset_names())}.", show_default=DEFAULT_PRESET
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(help="YAML file of settings, applied over the preset.", exists=True, dir_okay=False),
    ] = None,
    network: Annotated[
        str | None, typer.Option(help="Kind of network: mlp, gru, lstm, transformer, transformer_reg or mixture.")
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="How a state is seen: qpos, sixdof, heading or observable.")
    ] = None,
    hold_out: Annotated[
        list[str] | None, typer.Option(help="Subject (or group of data.by) kept for the test; may be repeated.")
    ] = None,
    updates: Annotated[int | None, typer.Option(min=1, help="Number of updates.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=MOST_SEED, help="Seed of every random number generator.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Any setting, as dotted.key=value; may be repeated.")
    ] = None,
    resume: ResumeOption = None,
) -> None:
    """Train a model of motion on clips: from the state of a body to its next one."""
    named = {
        "model.network": network,
        "model.encoding": encoding,
        "data.held_out": hold_out,
        "optim.updates": updates,
        "run.seed": seed,
    }
    overrides = {key: value for key, value in named.items() if value is not None}
    overrides |= dict(parse_assignment(text) for text in set_ or ())
    if resume is not None:
        given = {"CLIPS": clips, "--out": out, "--config": config, "--preset": preset}
        check_given(given | overrides, RESUMABLE)
        from gait_trainers.pretrain.motionnn import train as trainer

        typer.echo(f"model    {trainer.resume(resume, overrides, by_command=True)}")
        return
    if clips is None or out is None:
        raise ConfigError("name the clips and the run folder: gait-train motionnn CLIPS --out RUN")
    settings = load_motion_config(config, preset or DEFAULT_PRESET, overrides)
    from gait_trainers.pretrain.motionnn import train as trainer  # torch takes seconds to import

    typer.echo(f"model    {trainer.train(settings, clips, out)}")
