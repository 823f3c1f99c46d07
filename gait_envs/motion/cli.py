"""`gait-data`: captured motion in, clips for our bodies out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

try:
    import typer
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from gait_envs.motion.body import load_body, read_yaml
    from gait_envs.motion.clip import Clip, ClipError, load_clip, save_clip
    from gait_envs.motion.importers.bvh import read_bvh
    from gait_envs.motion.landmarks import ROLES
    from gait_envs.motion.quality import carry, faults, measure
    from gait_envs.motion.report import write_page
    from gait_envs.motion.retarget import UNKNOWN, retarget
    from gait_envs.motion.skeleton import MotionError
except ModuleNotFoundError as error:
    sys.exit(f"gait-data needs {error.name}; install it with: pip install 'gaitnet[data]'")

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
_out, _err = Console(), Console(stderr=True)


def main() -> None:
    """Console entry point: a fault in the data is one line on stderr and exit status 2."""
    try:
        app()
    except (MotionError, ClipError) as error:
        _err.print(f"[red]error:[/] {escape(str(error))}", highlight=False, soft_wrap=True)
        sys.exit(2)


@app.command("retarget")
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
            _warn(f"the clip's {key} is unknown; say it with --{key}")
    for note in result.clip.meta["notes"]:
        _warn(note)
    for fault in result.faults:
        _warn(f"unfit: {fault}")
    _print_summary(result.clip, result.quality)
    _out.print(f"clip     {save_clip(out, result.clip)}", soft_wrap=True)
    if picture:
        page = out.with_suffix(".png")
        _out.print(
            f"picture  {write_page(page, result.clip, body, result.quality, result.faults, result.landmarks)}",
            soft_wrap=True,
        )


@app.command()
def inspect(
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
    _print_summary(clip, quality)
    table = Table("joint", "least", "most", "lower limit", "upper limit", title="joints (rad)")
    for i, name in enumerate(clip.joint_names):
        angle = clip.qpos[:, 7 + i]
        table.add_row(name, *(f"{x:.3f}" for x in (angle.min(), angle.max(), body.lower[i], body.upper[i])))
    _out.print(table)
    if plot is not None:
        if not quality:
            raise MotionError(f"{clip_path}: a clip without contacts cannot be drawn")
        _out.print(f"picture  {write_page(plot, clip, body, quality, faults(quality))}", soft_wrap=True)


def _print_summary(clip: Clip, quality: dict[str, float]) -> None:
    table = Table(show_header=False, title=escape(clip.name), min_width=48)
    meta = {k: v for k, v in clip.meta.items() if k not in ("quality", "notes", "faults", "body")}
    facts = {
        "model": clip.model,
        "frames": f"{clip.frames} at {clip.fps:g} Hz, {clip.duration:.2f} s",
        "loop": clip.loop,
        "source": clip.source,
        "license": clip.license,
    }
    for key, value in (facts | meta).items():
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else escape(str(value)))
    table.add_section()
    for key, value in quality.items():
        table.add_row(key, f"{value:.4g}")
    _out.print(table)


def _warn(text: str) -> None:
    _err.print(f"[yellow]warning:[/] {escape(text)}", highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
