"""`gait-train refnn`: the network that makes reference motion from parameters and phase."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gait_envs.constants import MOST_THREADS
from gait_trainers.commands.options import ResumeOption
from gait_trainers.config.layers import parse_assignment
from gait_trainers.config.section import ConfigError
from gait_trainers.pretrain.refnn.config import DEFAULT_PRESET, RESUMABLE, load_refnn_config
from gait_trainers.runs.resumption import check_given


def command(
    data: Annotated[
        list[str] | None, typer.Argument(help="Files or folders of sequences, as gait-data augment writes them.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The run folder to write; the model is in its folder model.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Start from the preset laptop or paper.", show_default=DEFAULT_PRESET)
    ] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of settings, over the preset.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Set one setting, as key=value; may be repeated.")
    ] = None,
    resume: ResumeOption = None,
    torch_threads: Annotated[
        int | None, typer.Option(min=1, max=MOST_THREADS, help="Threads of torch.", show_default="1")
    ] = None,
) -> None:
    """Train a RefNN: from stride, cadence, other parameters and phase to the humanoid's pose."""
    overrides = dict(parse_assignment(text) for text in set_ or ())
    overrides |= {} if torch_threads is None else {"torch_threads": torch_threads}
    if resume is not None:
        given = {"DATA": data or None, "--out": out, "--config": config, "--preset": preset}
        check_given(given | overrides, RESUMABLE)
        from gait_trainers.pretrain.refnn.run import resume_refnn  # torch takes seconds to import

        _, out = resume_refnn(resume, overrides, typer.echo)
    elif data and out is not None:
        settings = load_refnn_config(config, preset or DEFAULT_PRESET, overrides)
        from gait_trainers.pretrain.refnn.run import train_refnn

        train_refnn(data, out, settings, typer.echo)
    else:
        raise ConfigError("name the data and the run folder: gait-train refnn DATA --out RUN")
    typer.echo(f"{out / 'model'}")
