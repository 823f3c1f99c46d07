"""`gait-data export`: clips and captures as BVH, and our own BVH as clips again."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.markup import escape
from rich.progress import Progress

from gait_envs.motion.axes import UNITS, in_axes
from gait_envs.motion.body import load_body
from gait_envs.motion.clip import ClipError, load_clip, save_clip
from gait_envs.motion.commands.common import err_console, plain, say, warn
from gait_envs.motion.convert import Cleaning, look
from gait_envs.motion.export import clip_from_bvh, motion_from_clip
from gait_envs.motion.importers import FORMATS, find_format, known_formats, open_capture
from gait_envs.motion.licenses import UNKNOWN
from gait_envs.motion.skeleton import Capture, MotionError
from gait_envs.motion.write_bvh import ORDER, as_capture, write_bvh

_SUFFIXES = {"bvh": ".bvh", "clip": ".npz"}


def export_command(
    sources: Annotated[list[Path], typer.Argument(help=f"clips, folders, or captures: {known_formats()}")],
    to: Annotated[str, typer.Option(help="bvh, or clip: from a BVH that came from a clip")] = "bvh",
    out: Annotated[Path | None, typer.Option(help="file to write, or folder for several; default: here")] = None,
    robot: Annotated[str | None, typer.Option(help="a robot's name or YAML; default: the clip's robot")] = None,
    decimals: Annotated[int | None, typer.Option(help="of the motion rows; default: all, nothing is lost")] = None,
    order: Annotated[str | None, typer.Option(help=f"Euler order of the BVH; default: {ORDER}")] = None,
    up: Annotated[str | None, typer.Option(help="vertical axis of the BVH; default: y for clips, else kept")] = None,
    unit: Annotated[
        str | None, typer.Option(help=f"of the BVH, {', '.join(UNITS)}; default: m for clips, else kept")
    ] = None,
    source: Annotated[str | None, typer.Option(help="where the motion comes from; kept in the clip")] = None,
    license: Annotated[str | None, typer.Option(help="the motion's licence; kept in the clip")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="the clip's end leads to its start")] = False,
) -> None:
    """Write motions as BVH for animation tools, or a clip's BVH, edited there, as a clip again.

    A clip's joints keep the robot's names. Its BVH is y up, in metres, facing +z: what Blender's importer
    takes for upright and life-size with its own settings.
    """
    if to not in _SUFFIXES:
        raise MotionError(f"--to {to}: expected one of {', '.join(_SUFFIXES)}")
    of_bvh = {"decimals": decimals, "order": order, "up": up, "unit": unit}
    of_clip = {"source": source, "license": license, "loop": loop or None}
    for name, value in (of_bvh if to == "clip" else of_clip).items():
        if value is not None:
            raise MotionError(f"--{name} does not go with --to {to}: there is no place for it in such a file")
    write: Callable[[Path, Path, Progress], tuple[str, ...]]  # returns notes
    if to == "bvh":
        write = partial(_to_bvh, robot=robot, decimals=decimals, order=order or ORDER, up=up, unit=unit)
    elif robot is None:
        raise MotionError("--to clip: say which robot the BVH is of, with --robot")
    else:
        write = partial(_to_clip, robot=robot, source=source or UNKNOWN, license=license or UNKNOWN, loop=loop)
    jobs = _jobs(sources, out, _SUFFIXES[to])
    failed = 0
    notes: dict[str, list[Path]] = {}
    with Progress(console=err_console, transient=True, disable=not err_console.is_terminal) as progress:
        for path, target in progress.track(jobs, description=f"to {to}"):
            try:
                for note in write(path, target, progress):
                    notes.setdefault(note, []).append(target)
            except (MotionError, ClipError) as error:
                if len(jobs) == 1:
                    raise
                warn(str(error))
                failed += 1
            else:
                say(f"written  {target}")
    for note, targets in notes.items():
        warn(f"{targets[0]}{f' and {len(targets) - 1} more' if len(targets) > 1 else ''}: {note}")
    if failed:
        raise MotionError(f"{failed} of {len(jobs)} files could not be converted")


def _jobs(sources: list[Path], out: Path | None, suffix: str) -> list[tuple[Path, Path]]:
    """Files to read, and where each is written to; folders keep their inner order."""
    known = {".npz", *(known for format in FORMATS.values() for known in format.suffixes)} - {suffix}
    if suffix == ".npz":
        known = {".bvh"}
    files: list[tuple[Path, Path]] = []  # and the place below the folder to write to
    for source in sources:
        if source.is_dir():
            inside = [path for path in sorted(source.rglob("*")) if path.suffix.lower() in known and _is_motion(path)]
            files += [(path, path.relative_to(source).with_suffix(suffix)) for path in inside]
            if not inside:
                raise MotionError(f"{source}: holds no file to convert ({', '.join(sorted(known))})")
        else:
            files.append((source, Path(source.name).with_suffix(suffix)))
    alone = len(files) == 1 and not sources[0].is_dir()
    if alone and out is not None and not out.is_dir():
        if out.suffix.lower() != suffix:
            raise MotionError(f"--out {out}: the file's name must end in {suffix}")
        return [(files[0][0], out)]
    if out is not None and out.is_file():
        raise MotionError(f"--out {out}: several files need a folder, this is a file")
    jobs = [(path, (out or Path()) / place) for path, place in files]
    taken: dict[Path, Path] = {}
    for path, target in jobs:
        if target in taken:
            raise MotionError(f"{taken[target]} and {path} would both be written to {target}")
        if target.exists() and target.samefile(path):
            raise MotionError(f"{path}: would be overwritten; give --out")
        taken[target] = path
    return jobs


def _to_clip(path: Path, target: Path, progress: Progress, robot: str, **facts) -> tuple[str, ...]:
    if path.suffix.lower() != ".bvh":
        raise MotionError(f"{path}: only a BVH becomes a clip again; other captures need gait-data retarget")
    clip = clip_from_bvh(path, load_body(robot), **facts)
    save_clip(target, clip)
    unknown = UNKNOWN in (clip.source, clip.license)
    return ("source or licence is unknown; say them with --source and --license",) if unknown else ()


def _to_bvh(
    path: Path, target: Path, progress: Progress, robot: str | None, up: str | None, unit: str | None, **form
) -> tuple[str, ...]:
    if _is_clip(path):
        clip = load_clip(path)
        motion = as_capture(motion_from_clip(clip, load_body(robot or clip.model)))
        capture = in_axes(motion, up or "y", unit or "m")
    else:
        capture = open_capture(path)
        if up is not None or unit is not None:
            capture = in_axes(_measured(capture), up, unit)
    task = progress.add_task(escape(plain(path.name).plain), total=2 * capture.frames)  # the writer looks first, then writes
    try:
        write_bvh(target, _watched(capture, lambda frames: progress.advance(task, frames)), **form)
    finally:
        progress.remove_task(task)
    return capture.notes


def _is_clip(path: Path) -> bool:
    """Does this archive hold a clip's arrays? A missing or broken file does not; its reader says why."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"qpos.npy", "joint_names.npy"} <= set(archive.namelist())
    except (OSError, zipfile.BadZipFile):
        return False


def _is_motion(path: Path) -> bool:
    """Is it worth reading? Folders hold other .json and .txt files too; a broken capture is, to say so."""
    try:
        return path.is_file() and (_is_clip(path) or find_format(path) is not None)
    except MotionError:
        return False


def _measured(capture: Capture) -> Capture:
    """With unit and vertical axis, as the file says or else as its first frames look."""
    if capture.unit is not None and capture.up is not None:
        return capture
    seen = look(capture, Cleaning(repair=False))
    return replace(capture, unit=seen.unit, up=seen.up)


def _watched(capture: Capture, advance: Callable[[int], None]) -> Capture:
    """The same capture; `advance` hears of the frames as they are read."""

    def blocks(size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for block in capture.blocks(size):
            yield block
            advance(len(block[0]))

    return replace(capture, blocks=blocks)
