"""`gait-data pack`: many clips as one set that is mapped rather than read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track

from gait_envs.mocap.commands.printing import err_console, say
from gait_envs.reference.packing import pack
from gait_envs.reference.sources import open_clips
from gait_envs.wording import counted


def pack_command(
    sources: Annotated[list[str], typer.Argument(help="Clips, folders of clips, or parts such as split.json#train.")],
    out: Annotated[Path, typer.Option(help="Folder to write, which must not exist.")],
    accept_license: Annotated[bool, typer.Option(help="Allow several licences in one set.")] = False,
) -> None:
    """Pack clips of one robot and frame rate into a memory-mapped set of any size."""
    clips = open_clips(sources)
    packed = pack(
        track(clips, "packing", console=err_console, transient=True, disable=not err_console.is_terminal),
        out,
        accept_license,
    )
    frames = int(packed.lengths.sum())
    say(f"packed   {counted(len(packed), 'clip')}, {frames} frames, {frames / packed.fps / 60:.1f} min: {out}")
