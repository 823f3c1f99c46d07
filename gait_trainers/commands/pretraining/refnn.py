"""`gait-train refnn`: the network that makes reference motion from parameters and phase."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gait_trainers.config.layers import parse_assignment
from gait_trainers.config.section import ConfigError
from gait_trainers.pretrain.refnn.config import load_refnn_config


def command(
    data: Annotated[list[str], typer.Argument(help="Files or folders of sequences, as gait-data augment writes them.")],
    out: Annotated[Path, typer.Option(help="The run folder to write; the model is in its folder model.")],
    preset: Annotated[str, typer.Option(help="Start from the preset laptop or paper.")] = "laptop",
    config: Annotated[Path | None, typer.Option(help="YAML file of settings, over the preset.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="Set one setting, as key=value; may be repeated.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the newest checkpoint of the run folder, with its settings.")
    ] = False,
    torch_threads: Annotated[int, typer.Option(min=1, help="Number of threads of torch.")] = 1,
) -> None:
    """Train a RefNN: from stride, cadence, other parameters and phase to the humanoid's pose."""
    if resume and (config is not None or set_):
        raise ConfigError("--resume takes the settings of the run; neither --config nor --set can be given")
    file = out / "config.yaml" if resume else config
    settings = load_refnn_config(file, preset, dict(parse_assignment(text) for text in set_ or ()))

    import torch  # seconds; --help and wrong options should not wait for it

    from gait_trainers.pretrain.refnn.run import train_refnn

    torch.set_num_threads(torch_threads)
    train_refnn(data, out, settings, resume=resume, say=typer.echo)
    typer.echo(f"{out / 'model'}")
