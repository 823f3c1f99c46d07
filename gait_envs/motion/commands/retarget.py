"""`gait-data retarget`: a captured motion on one of our bodies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gait_envs.motion.body import load_body, read_yaml
from gait_envs.motion.clip import save_clip
from gait_envs.motion.commands.common import out_console, print_summary, warn
from gait_envs.motion.importers.bvh import read_bvh
from gait_envs.motion.landmarks import ROLES
from gait_envs.motion.report import write_page
from gait_envs.motion.retarget import UNKNOWN, retarget
from gait_envs.motion.skeleton import MotionError


def retarget_command(
    capture: Annotated[Path, typer.Argument(help="a BVH file")],
    robot: Annotated[str, typer.Option(help="a robot's name, or a retarget YAML of your own")] = "wildrobot",
    out: Annotated[Path | None, typer.Option(help="the clip to write; default: the capture's name .npz, here")] = None,
    source: Annotated[str, typer.Option(help="where the capture comes from; kept in the clip")] = UNKNOWN,
    license: Annotated[str, typer.Option(help="the capture's licence; kept in the clip")] = UNKNOWN,
    unit: Annotated[str | None, typer.Option(help="mm, cm, inch, m, cmu, or metres a unit; default: detected")] = None,
    up: Annotated[str | None, typer.Option(help="vertical axis, such as y or -z; default: detected")] = None,
    joint_map: Annotated[
        Path | None, typer.Option("--map", help=f"YAML of role: joint, for unusual names; roles: {', '.join(ROLES)}")
    ] = None,
    time: Annotated[
        str, typer.Option(help="keep, froude (quicker by the root of the scale), or seconds a captured second")
    ] = "keep",
    speed: Annotated[float | None, typer.Option(help="mean speed to pace the clip to, m/s; instead of --time")] = None,
    start: Annotated[float, typer.Option(help="second of the capture to begin at")] = 0.0,
    end: Annotated[float | None, typer.Option(help="second of the capture to end at")] = None,
    picture: Annotated[bool, typer.Option(help="also draw a page, beside the clip")] = True,
) -> None:
    """Put a captured motion on a robot: scaled, within its joint limits, feet still where they stand."""
    out = out or Path(f"{capture.stem}.npz")
    if out.suffix != ".npz":
        raise MotionError(f"--out {out}: a clip's name ends in .npz")
    body = load_body(robot)
    overrides = None if joint_map is None else {str(k): str(v) for k, v in read_yaml(joint_map).items()}
    result = retarget(
        read_bvh(capture), body, joint_map=overrides, unit=unit, up=up, start=start, end=end, time=time, speed=speed,
        source=source, license=license,
    )  # fmt: skip
    for key, value in (("source", source), ("license", license)):
        if value == UNKNOWN:
            warn(f"the clip's {key} is unknown; say it with --{key}")
    for note in result.clip.meta["notes"]:
        warn(note)
    for fault in result.faults:
        warn(f"unfit: {fault}")
    print_summary(result.clip, result.quality)
    out_console.print(f"clip     {save_clip(out, result.clip)}", soft_wrap=True)
    if picture:
        page = out.with_suffix(".png")
        out_console.print(
            f"picture  {write_page(page, result.clip, body, result.quality, result.faults, result.landmarks)}",
            soft_wrap=True,
        )
