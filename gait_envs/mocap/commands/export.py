"""`gait-data export`: clips and captures as BVH; our own BVH, and clips of another rate, as clips."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.markup import escape
from rich.progress import Progress

from gait_envs.errors import MotionError
from gait_envs.mocap.axes import UNITS, in_axes
from gait_envs.mocap.capture import Capture
from gait_envs.mocap.cleaning.convert import Cleaning, look
from gait_envs.mocap.commands.clip_options import find_set, named_body
from gait_envs.mocap.commands.printing import end, err_console, fail, plain, say, warn
from gait_envs.mocap.contact_estimate import with_contacts
from gait_envs.mocap.export import clip_from_bvh, looped, motion_from_clip, resampled, seam
from gait_envs.mocap.formats import all_formats, find_format, known_formats, open_capture
from gait_envs.mocap.formats.bvh_verify import verify_bvh
from gait_envs.mocap.formats.bvh_writer import ORDER, as_capture, check_bvh, write_bvh
from gait_envs.mocap.jobs import check_targets
from gait_envs.mocap.provenance import read_sidecar
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.reading.outputs import CLIP, check_same_kind, something_else
from gait_envs.reference.clip import Clip, ClipError, load_clip, save_clip
from gait_envs.reference.licenses import UNKNOWN

_SUFFIXES = {"bvh": ".bvh", "clip": ".npz"}


@dataclass(frozen=True)
class _Job:
    """One motion to read and the file to write."""

    path: Path
    target: Path
    clip: Callable[[], Clip] | None = None  # reads it where it is a clip


def export_command(
    sources: Annotated[
        list[str],
        typer.Argument(help=f"Clips, folders, packed sets, split.json#train, or captures: {known_formats()}."),
    ],
    to: Annotated[
        str, typer.Option(help="Format to write: bvh, or clip from an exported BVH or another clip.")
    ] = "bvh",
    out: Annotated[
        Path | None, typer.Option(help="File to write, or a folder for several files; by default here.")
    ] = None,
    robot: Annotated[
        str | None, typer.Option(help="Name or retarget YAML of a robot; by default the clip's robot.")
    ] = None,
    decimals: Annotated[
        int | None, typer.Option(help="Decimals of the motion rows; by default all, without loss.")
    ] = None,
    order: Annotated[str | None, typer.Option(help=f"Euler order of the BVH; {ORDER} by default.")] = None,
    up: Annotated[str | None, typer.Option(help="Vertical axis of the BVH; by default y for clips, else kept.")] = None,
    unit: Annotated[
        str | None, typer.Option(help=f"Unit of the BVH: {', '.join(UNITS)}; by default m for clips, else kept.")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate of the clip, in Hz; by default the robot's.")] = None,
    source: Annotated[str | None, typer.Option(help="Origin of the motion, stored in the clip.")] = None,
    license: Annotated[str | None, typer.Option(help="Licence of the motion, stored in the clip.")] = None,
    subject: Annotated[str | None, typer.Option(help="Subject who moves, stored in the clip.")] = None,
    activity: Annotated[str | None, typer.Option(help="Activity that is performed, stored in the clip.")] = None,
    loop: Annotated[bool, typer.Option("--loop", help="Mark the clip as a loop: its end leads to its start.")] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read the hierarchy of each BVH back with bvhio, and fail if it differs.")
    ] = False,
) -> None:
    """Write motions as BVH for animation tools, or convert an edited BVH back to a clip.

    A clip's joints keep the robot's names. Its BVH is y up, in metres, facing +z: upright and life-size in
    Blender with the importer's default settings. With --to clip, a clip is resampled to the robot's rate, or
    to --fps. The exit status is 1 if some files could not be converted, 2 if none could.
    """
    if to not in _SUFFIXES:
        raise MotionError(f"--to {to}: expected one of {', '.join(_SUFFIXES)}")
    of_bvh = {"decimals": decimals, "order": order, "up": up, "unit": unit, "verify": verify or None}
    facts = {"source": source, "license": license, "subject": subject, "activity": activity, "loop": loop or None}
    for name, value in (of_bvh if to == "clip" else facts | {"fps": fps}).items():
        if value is not None:
            raise MotionError(f"--{name} does not go with --to {to}: there is no place for it in such a file")
    write: Callable[[_Job, Progress], tuple[str, ...]]  # returns notes
    if to == "bvh":
        write = partial(_to_bvh, robot=robot, decimals=decimals, order=order or ORDER, up=up, unit=unit)
    else:
        write = partial(_to_clip, robot=robot, fps=fps, facts={k: v for k, v in facts.items() if v is not None})
    jobs = _jobs(sources, out, _SUFFIXES[to])
    failed = 0
    notes: dict[str, list[Path]] = {}
    with Progress(console=err_console, transient=True, disable=not err_console.is_terminal) as progress:
        for job in progress.track(jobs, description=f"to {to}"):
            try:
                for note in write(job, progress):
                    notes.setdefault(note, []).append(job.target)
                if verify:
                    verify_bvh(job.target)
            except (MotionError, ClipError) as error:
                if len(jobs) == 1:
                    raise
                warn(str(error))
                failed += 1
            else:
                say(f"written  {job.target}")
    for note, targets in notes.items():
        warn(f"{targets[0]}{f' and {len(targets) - 1} more' if len(targets) > 1 else ''}: {note}")
    if failed:
        fail(f"{failed} of {len(jobs)} files could not be converted")
    end(failed, len(jobs))


def _jobs(sources: list[str], out: Path | None, suffix: str) -> list[_Job]:
    """What to read, and where each is written to; folders keep their inner order."""
    found = [job for source in sources for job in _of_source(source, suffix)]
    alone = len(found) == 1 and Path(sources[0]).is_file()
    if alone and out is not None and not out.is_dir():
        if out.suffix.lower() != suffix:
            raise MotionError(f"--out {out}: the file's name must end in {suffix}")
        jobs = [replace(found[0], target=out)]
    else:
        if out is not None and out.is_file():
            raise MotionError(f"--out {out}: several files need a folder, this is a file")
        jobs = [replace(job, target=(out or Path()) / job.target) for job in found]
    taken: dict[Path, Path] = {}
    for job in jobs:
        if job.target in taken:
            raise MotionError(f"{taken[job.target]} and {job.path} would both be written to {job.target}")
        taken[job.target] = job.path
    check_targets((job.path, job.target) for job in jobs)
    for job in jobs:
        if suffix == ".bvh":
            check_bvh(job.target)
            if read_sidecar(job.target):  # of an imported capture, whose facts would be of what replaces it
                raise something_else(job.target)
        else:
            check_same_kind(job.target, *CLIP)
    return jobs


def _of_source(source: str, suffix: str) -> list[_Job]:
    """The motions of a file, folder or set; each target is still a place below the output folder."""
    members = find_set(source)
    if members is not None:
        folder, clips = members
        return [
            _Job(folder / f"{name}.npz", Path(f"{name}{suffix}"), partial(clips.__getitem__, i))
            for i, name in enumerate(clips.names)
        ]
    path = Path(source)
    if not path.is_dir():
        return [_job(path, Path(path.name).with_suffix(suffix))]
    known = {".npz", *(known for format in all_formats().values() for known in format.suffixes)} - {suffix}
    if suffix == ".npz":
        known = {".npz", ".bvh"}
    files = [file for file in sorted(path.rglob("*")) if file.suffix.lower() in known and file.is_file()]
    inside = [file for file in files if _is_motion(file, suffix)]
    if not inside:
        raise MotionError(f"{path}: holds no file to convert ({', '.join(sorted(known))})")
    return [_job(file, file.relative_to(path).with_suffix(suffix)) for file in inside]


def _job(path: Path, target: Path) -> _Job:
    return _Job(path, target, partial(load_clip, path) if _is_clip(path) else None)


def _to_clip(
    job: _Job, progress: Progress, robot: str | None, fps: float | None, facts: dict[str, Any]
) -> tuple[str, ...]:
    if job.clip is not None:
        clip = job.clip()
        body = named_body(clip, robot)
    elif job.path.suffix.lower() != ".bvh":
        raise MotionError(f"{job.path}: only a BVH, or a clip, becomes a clip; other captures need gait-data retarget")
    elif robot is None:
        raise MotionError("--to clip: say which robot the BVH is of, with --robot")
    else:
        body = load_body(robot)
        clip = clip_from_bvh(job.path, body)
    if facts.get("loop") and not clip.loop:  # before it is resampled
        clip = looped(clip)
    clip = with_contacts(resampled(clip, body.fps if fps is None else fps), body)
    told = {key: facts[key] for key in ("subject", "activity") if key in facts}
    fields = {key: value for key, value in facts.items() if key not in told}
    clip = replace(clip, **fields, meta=clip.meta | told)
    save_clip(job.target, clip)
    notes = []
    if clip.loop and (leap := seam(clip)) > 0:
        notes.append(f"it is no loop: from end to start a joint leaps {leap:.2f} rad farther than within it")
    if UNKNOWN in (clip.source, clip.license):
        notes.append("source or licence is unknown; say them with --source and --license")
    return tuple(notes)


def _to_bvh(
    job: _Job, progress: Progress, robot: str | None, up: str | None, unit: str | None, **form
) -> tuple[str, ...]:
    if job.clip is not None:
        clip = job.clip()
        motion = as_capture(motion_from_clip(clip, named_body(clip, robot)))
        capture = in_axes(motion, up or "y", unit or "m")
    else:
        capture = open_capture(job.path)
        if up is not None or unit is not None:
            capture = in_axes(_measured(capture), up, unit)
    # The writer looks first, then writes.
    task = progress.add_task(escape(plain(job.path.name).plain), total=2 * capture.frames)
    try:
        write_bvh(job.target, _watched(capture, lambda frames: progress.advance(task, frames)), **form)
    finally:
        progress.remove_task(task)
    return capture.notes


def _is_clip(path: Path) -> bool:
    """Does this archive hold a clip's arrays? A broken one may have; the reader of clips says what is wrong with it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {"qpos.npy", "joint_names.npy"} <= set(archive.namelist())
    except OSError:
        return False
    except zipfile.BadZipFile:
        return path.suffix.lower() == ".npz"


def _is_motion(path: Path, suffix: str) -> bool:
    """Is it worth reading? Folders hold other .json and .txt files too; a broken capture is, to say so."""
    if _is_clip(path):
        return True
    if suffix == ".npz":
        return path.suffix.lower() == ".bvh"
    try:
        find_format(path)
    except MotionError:
        return False
    return True


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
