"""`gait-data inspect`: what a clip holds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gait_envs.motion.body import load_body
from gait_envs.motion.clip import load_clip
from gait_envs.motion.commands.common import out_console, print_summary
from gait_envs.motion.quality import carry, faults, measure
from gait_envs.motion.report import write_page
from gait_envs.motion.skeleton import MotionError


def inspect_command(
    clip_path: Annotated[Path, typer.Argument(metavar="CLIP", help="an .npz clip")],
    robot: Annotated[str | None, typer.Option(help="a retarget YAML of your own; default: the clip's robot")] = None,
    plot: Annotated[Path | None, typer.Option(help="also draw the page, to this file")] = None,
) -> None:
    """Print what a clip holds, and measure it on its robot."""
    clip = load_clip(clip_path)
    body = load_body(robot or clip.model)
    if clip.joint_names != body.joint_names:
        raise MotionError(f"{clip_path}: its joints {list(clip.joint_names)} are not {body.name}'s")
    quality: dict[str, float] = {}
    if clip.contacts is not None:
        contact = clip.contacts > 0
        quality = measure(clip.qpos, clip.fps, contact, carry(clip.qpos, clip.fps, contact, body), body)
    print_summary(clip, quality)
    table = Table("joint", "least", "most", "lower limit", "upper limit", title="joints (rad)")
    for i, name in enumerate(clip.joint_names):
        angle = clip.qpos[:, 7 + i]
        table.add_row(name, *(f"{x:.3f}" for x in (angle.min(), angle.max(), body.lower[i], body.upper[i])))
    out_console.print(table)
    if plot is not None:
        if not quality:
            raise MotionError(f"{clip_path}: a clip without contacts cannot be drawn")
        out_console.print(f"picture  {write_page(plot, clip, body, quality, faults(quality))}", soft_wrap=True)
