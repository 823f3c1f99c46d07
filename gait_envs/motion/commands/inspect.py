"""`gait-data inspect`: what a clip, or a folder of clips, holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gait_envs.motion.body import Body, load_with_body
from gait_envs.motion.catalogue import Entry, failures, read_entries
from gait_envs.motion.clip import Clip
from gait_envs.motion.commands.common import out_console, plain, print_set, print_summary, say
from gait_envs.motion.quality import carry, faults, measure
from gait_envs.motion.report import write_page
from gait_envs.motion.set_report import draw_set
from gait_envs.motion.skeleton import MotionError


def inspect_command(
    clip_path: Annotated[Path, typer.Argument(metavar="CLIP_OR_FOLDER", help="an .npz clip, or a folder of them")],
    robot: Annotated[str | None, typer.Option(help="a retarget YAML of your own; default: the clip's robot")] = None,
    plot: Annotated[Path | None, typer.Option(help="also draw the page, to this file")] = None,
) -> None:
    """Print what a clip holds, measured on its robot; of a folder, the figures of its clips."""
    if clip_path.is_dir():
        entries = [_measured(entry, clip_path, robot) for entry in read_entries(clip_path)]
        entries += failures(clip_path)
        if not entries:
            raise MotionError(f"{clip_path}: holds no .npz clip")
        print_set(entries, str(clip_path))
        if plot is not None:
            say(f"picture  {draw_set(plot, entries, clip_path.name)}")
        return
    clip, body = load_with_body(clip_path, robot)
    quality = _measure(clip, body)
    print_summary(clip, quality)
    table = Table("joint", "least", "most", "lower limit", "upper limit", title="joints (rad)")
    for i, name in enumerate(clip.joint_names):
        angle = clip.qpos[:, 7 + i]
        table.add_row(plain(name), *(f"{x:.3f}" for x in (angle.min(), angle.max(), body.lower[i], body.upper[i])))
    out_console.print(table)
    if plot is not None:
        if not quality:
            raise MotionError(f"{clip_path}: a clip without contacts cannot be drawn")
        say(f"picture  {write_page(plot, clip, body, quality, faults(quality, body))}")


def _measure(clip: Clip, body: Body) -> dict[str, float]:
    """Figures of a clip as it is, beside those of its making that need its targets; empty without contacts."""
    if clip.contacts is None:
        return {}
    contact = clip.contacts > 0
    return clip.meta.get("quality", {}) | measure(
        clip.qpos, clip.fps, contact, carry(clip.qpos, clip.fps, contact, body), body
    )


def _measured(entry: Entry, folder: Path, robot: str | None) -> Entry:
    """The entry with its figures: those it tells, or else, for clips from elsewhere, measured now but not judged."""
    if entry.quality is not None:
        return entry
    return replace(entry, quality=_measure(*load_with_body(folder / entry.file, robot)))
