"""`gait-data import`: captures of any format, cleaned, in metres and z up, in one format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from gait_envs.errors import MotionError
from gait_envs.mocap.cleaning.convert import Cleaning
from gait_envs.mocap.cleaning.repair import LONGEST
from gait_envs.mocap.commands import capture_options as options
from gait_envs.mocap.commands.printing import end, err_console, say
from gait_envs.mocap.formats import all_formats
from gait_envs.mocap.importing import TARGETS, Imported, ImportSettings, check_folder, import_files
from gait_envs.mocap.jobs import Job, Reading
from gait_envs.wording import counted


def import_command(
    captures: options.Captures,
    out: Annotated[
        Path, typer.Option(help="Folder to write the converted captures to, or for one capture the .npz or .bvh file.")
    ],
    to: Annotated[
        str | None,
        typer.Option(
            help="Format to write: npz (the capture format of this package) or bvh.",
            show_default="npz, or by the ending of --out",
        ),
    ] = None,
    format: options.Format = None,
    captured_fps: options.CapturedFps = None,
    asf: options.Asf = None,
    joint_map: options.JointMap = None,
    fps: Annotated[float | None, typer.Option(help="Frame rate to write, in Hz; by default as captured.")] = None,
    low_pass: options.LowPass = None,
    repair: options.Repair = True,
    longest_gap: options.LongestGap = LONGEST,
    unit: options.Unit = None,
    up: options.Up = None,
    treadmill_speed: options.Treadmill = None,
    source: options.Source = None,
    license: options.License = None,
    subject: options.Subject = None,
    activity: options.Activity = None,
    table: options.Table = None,
    accept_license: options.AcceptLicense = False,
) -> None:
    """Convert captures: gaps filled, at a constant rate, in metres, z up, with a history of the changes.

    An interrupted import can be run again: files already made with the same options are kept. The exit status
    is 1 if some captures failed, the others being converted all the same, and 2 if all did.
    """
    cleaning = Cleaning(
        fps, low_pass, repair, longest_gap, unit, up, options.read_map(joint_map), options.read_speed(treadmill_speed)
    )
    file, to = _file_or_folder(out, to)
    settings = ImportSettings(cleaning, to, Reading(format, captured_fps, None if asf is None else str(asf)))
    told = {"source": source, "license": license, "subject": subject, "activity": activity}
    jobs, passed = options.find_jobs(captures, None if file else out, told, table)
    if file:
        if len(jobs) != 1:
            raise MotionError(f"--out {file}: expected a folder, as there are {len(jobs)} captures")
        jobs, out = [replace(jobs[0], name=file.stem)], file.parent
    else:
        jobs = _wanted(jobs, captures, out, format)
    check_folder(jobs, settings, out, accept_license or file is not None)  # what else lies there is not ours
    results = []
    with Progress(console=err_console, transient=True) as progress:
        for result in progress.track(import_files(jobs, settings, out), total=len(jobs), description="importing"):
            _print(result)
            notes = result.capture.notes if result.capture else ()
            results.append((replace(result, capture=None), notes))  # its frames are written
    options.warn_notes({result.job.shown: notes for result, notes in results})
    options.warn_unknown([result.job.origin for result, _ in results if result.path])
    options.warn_passed(passed)
    _print_end([result for result, _ in results])
    end(sum(result.path is None for result, _ in results), len(results))


def _file_or_folder(out: Path, to: str | None) -> tuple[Path | None, str]:
    """The file to write, None for a folder; and the format, by `to` or the file's ending."""
    ending = out.suffix.lower().removeprefix(".")
    if out.is_dir() or (ending not in TARGETS and not out.exists()):
        return None, to or TARGETS[0]
    if ending not in TARGETS or to not in (None, ending):
        raise MotionError(f"--out {out}: expected a folder, or a file that ends in .{to or ' or .'.join(TARGETS)}")
    return out, ending


def _wanted(jobs: Sequence[Job], captures: Sequence[Path], out: Path, format: str | None) -> list[Job]:
    """The captures to import: not what lies in the output folder, in folders only what has the wanted format's name."""
    given = {path.resolve() for path in captures}
    suffixes = all_formats()[format].suffixes if format is not None and format in all_formats() else None
    mine = [
        job for job in jobs
        if job.capture in given
        or (out.resolve() not in job.capture.parents and (suffixes is None or job.capture.suffix.lower() in suffixes))
    ]  # fmt: skip
    if not mine:
        raise MotionError(f"{', '.join(map(str, captures))}: nothing to import")
    return mine


def _print(result: Imported) -> None:
    if result.kept:
        say(f"kept     {result.path}")
    if result.capture is None or result.seen is None:
        return
    capture, seen = result.capture, result.seen
    stature = "not seen" if seen.stature is None else f"{seen.stature:.2f} m"
    say(
        f"written  {result.path}: {result.format}, {counted(len(capture.skeleton.names), 'joint')}, "
        f"{counted(capture.frames, 'frame')} at "
        f"{capture.fps:g} Hz, {(capture.frames - 1) / capture.fps:.2f} s; unit {seen.unit:.4g} m, up {seen.up}, "
        f"stature {stature}"
    )
    for line in capture.history:
        say(f"         {line}")


def _print_end(results: Sequence[Imported]) -> None:
    """How many there were, and what failed, last, where it is seen."""
    failed = [result for result in results if result.path is None]
    kept = sum(result.kept for result in results)
    written = len(results) - kept - len(failed)
    say(f"{counted(len(results), 'capture')}: {written} written, {kept} kept, {len(failed)} failed")
    for result in failed:
        say(f"failed   {result.error}", err_console, "red")
