"""`gait-data split`: which clips to train on, and which to keep from training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import track
from rich.table import Table

from gait_envs.mocap.commands.printing import err_console, out_console, plain, say, warn
from gait_envs.reading.outputs import check_output
from gait_envs.reference.clip import ClipError
from gait_envs.reference.licenses import UNKNOWN
from gait_envs.reference.sources import open_clips
from gait_envs.reference.split import BY, group_of, hold_out, save_split, split

PARTS = "train=0.8,validation=0.1,test=0.1"


def split_command(
    folder: Annotated[Path, typer.Argument(help="Folder of clips, or a packed set.")],
    by: Annotated[str, typer.Option(help=f"Grouping that is never shared between parts: {', '.join(BY)}.")] = "subject",
    parts: Annotated[
        str | None, typer.Option(help="Parts as name=fraction, separated by commas.", show_default=PARTS)
    ] = None,
    held: Annotated[
        list[str] | None,
        typer.Option("--hold-out", help="Group for the part test; the others are the part train; may be repeated."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random split.")] = 0,
    out: Annotated[Path, typer.Option(help="Split file to write.")] = Path("split.json"),
) -> None:
    """Split clips into parts, each of which is a source of clips, such as split.json#train."""
    check_output(out, ".json", "clips", "parts")
    if not folder.exists():
        raise ClipError(f"{folder}: no such folder")
    if parts is not None and held:
        raise ClipError("--hold-out makes the parts train and test itself; leave --parts out")
    fractions = _fractions(parts or PARTS)
    clips = open_clips(folder)
    groups = {
        name: group_of(name, clips.meta(i), by)
        for i, name in enumerate(
            track(clips.names, "reading", console=err_console, transient=True, disable=not err_console.is_terminal)
        )
    }
    untold = [] if by == "clip" else [name for name, group in groups.items() if group == UNKNOWN]
    if len(untold) == len(groups):
        raise ClipError(f"{folder}: no clip says its {by}; split by clip, or write {by} into the clips' meta")
    if untold:
        warn(f"{len(untold)} of {len(groups)} clips do not say their {by}; they stay together as one group")
    found = hold_out(groups, by, held) if held else split(groups, fractions, seed)
    table = Table("part", "clips", "of all", "groups")
    for part, names in found.items():
        share = f"{len(names) / len(groups):.0%}"
        table.add_row(plain(part), str(len(names)), share, str(len({groups[name] for name in names})))
    out_console.print(table)
    say(f"split    {save_split(out, folder, by, seed, found)}")


def _fractions(text: str) -> dict[str, float]:
    """`train=0.8,test=0.2` as a table."""
    fractions: dict[str, float] = {}
    for item in text.split(","):
        name, _, fraction = (word.strip() for word in item.partition("="))
        try:
            value = float(fraction)
        except ValueError:
            raise ClipError(f"--parts {text}: {item.strip()!r} is not of the form name=fraction") from None
        if not name or name in fractions:
            raise ClipError(f"--parts {text}: part names must be unique")
        fractions[name] = value
    return fractions
