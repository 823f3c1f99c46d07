"""`gait-data import`: captures of any format, cleaned, in metres and z up, in one format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from gait_envs.motion.commands.common import err_console, out_console, warn
from gait_envs.motion.convert import Cleaning
from gait_envs.motion.folder import Job, find_captures
from gait_envs.motion.importers import FORMATS, known_formats
from gait_envs.motion.importing import TARGETS, Imported, Plan, import_files, licenses
from gait_envs.motion.licenses import UNKNOWN, check_licenses
from gait_envs.motion.provenance import read_table
from gait_envs.motion.repair import LONGEST
from gait_envs.motion.skeleton import MotionError


def import_command(
    captures: Annotated[
        list[Path], typer.Argument(metavar="FILE_OR_FOLDER...", help=f"captures, or folders of them: {known_formats()}")
    ],
    out: Annotated[Path, typer.Option(help="the folder to write to")],
    to: Annotated[str, typer.Option(help="npz, our own capture file, or bvh")] = "npz",
    format: Annotated[
        str | None, typer.Option(help=f"of the captures: {', '.join(FORMATS)}; default: by suffix and content")
    ] = None,
    fps: Annotated[float | None, typer.Option(help="frames a second to write; default: as captured")] = None,
    low_pass: Annotated[
        float | None, typer.Option(help="Hz; 6 to 10 are common. 4th order Butterworth, zero phase; default: none")
    ] = None,
    repair: Annotated[bool, typer.Option(help="fill short gaps, turn flipped joints back")] = True,
    longest_gap: Annotated[float, typer.Option(help="s; longer gaps are an error")] = LONGEST,
    unit: Annotated[str | None, typer.Option(help="mm, cm, inch, m, cmu, or metres a unit; default: detected")] = None,
    up: Annotated[str | None, typer.Option(help="vertical axis, such as y or -z; default: detected")] = None,
    source: Annotated[str | None, typer.Option(help="where the captures come from; kept with them")] = None,
    license: Annotated[str | None, typer.Option(help="the captures' licence; kept with them")] = None,
    subject: Annotated[str | None, typer.Option(help="who moves")] = None,
    activity: Annotated[str | None, typer.Option(help="what they do")] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV of these a capture: file, source, license, subject, activity")
    ] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="let several licences lie together in one folder")
    ] = False,
) -> None:
    """Convert captures: gaps filled, at a constant rate, in metres, z up, with their history.

    Can be stopped and run again: what is there already, from the same options, is kept. The exit status is 1
    if a capture failed; the others are converted all the same.
    """
    plan = Plan(Cleaning(fps=fps, low_pass=low_pass, repair=repair, longest=longest_gap, unit=unit, up=up), to, format)
    if out.suffix.lower() in [f".{target}" for target in TARGETS] or out.is_file():
        raise MotionError(f"--out {out}: expected a folder")
    jobs, passed = _find(captures, out, format)
    told = {"source": source, "license": license, "subject": subject, "activity": activity}
    rows = None if table is None else read_table(table)
    jobs = [
        replace(job, origin=(rows.of(job.capture) if rows else {}) | {k: v for k, v in told.items() if v is not None})
        for job in jobs
    ]
    check_licenses(licenses(jobs, plan, out), accept_license)
    results = []
    with Progress(console=err_console, transient=True) as progress:
        for result in progress.track(import_files(jobs, plan, out), total=len(jobs), description="importing"):
            _print(result)
            results.append(replace(result, capture=None))  # its frames are written
    _print_end(results, passed)
    if any(result.path is None for result in results):
        raise typer.Exit(1)


def _find(captures: Sequence[Path], out: Path, format: str | None) -> tuple[list[Job], list[Path]]:
    """The captures to import: not what lies in the output folder, in folders only what has the wanted format's name."""
    jobs, passed = find_captures(captures)
    given = {path.resolve() for path in captures}
    suffixes = FORMATS[format].suffixes if format in FORMATS else None
    mine = [
        job for job in jobs
        if job.capture in given
        or (out.resolve() not in job.capture.parents and (suffixes is None or job.capture.suffix.lower() in suffixes))
    ]  # fmt: skip
    if not mine:
        raise MotionError(f"{', '.join(map(str, captures))}: nothing to import")
    return mine, passed


def _print(result: Imported) -> None:
    if result.kept:
        out_console.print(f"kept     {result.path}", soft_wrap=True, highlight=False)
    if result.capture is None or result.seen is None:
        return
    capture, seen = result.capture, result.seen
    stature = "not seen" if seen.stature is None else f"{seen.stature:.2f} m"
    out_console.print(
        f"written  {result.path}: {result.format}, {len(capture.skeleton.names)} joints, {capture.frames} frames at "
        f"{capture.fps:g} Hz, {(capture.frames - 1) / capture.fps:.2f} s; unit {seen.unit:.4g} m, up {seen.up}, "
        f"stature {stature}",
        soft_wrap=True, highlight=False,
    )  # fmt: skip
    for line in capture.history:
        out_console.print(f"         {line}", soft_wrap=True, highlight=False, markup=False)
    for note in capture.notes:
        warn(f"{result.job.shown}: {note}")


def _print_end(results: Sequence[Imported], passed: Sequence[Path]) -> None:
    """What all files have in common, and what failed, last, where it is seen."""
    for key in ("source", "license"):
        unknown = [r.job.shown for r in results if r.path and r.job.origin.get(key, UNKNOWN) == UNKNOWN]
        if unknown:
            warn(f"the {key} of {len(unknown)} captures is unknown; say it with --{key} or --table")
    if passed:
        warn(f"{len(passed)} files are no captures and were passed over: {', '.join(p.name for p in passed[:8])}")
    failed = [result for result in results if result.path is None]
    kept = sum(result.kept for result in results)
    out_console.print(f"{len(results)} captures: {len(results) - kept - len(failed)} written, {kept} kept, "
                      f"{len(failed)} failed", highlight=False)  # fmt: skip
    for result in failed:
        err_console.print(f"failed   {result.error}", soft_wrap=True, highlight=False, style="red", markup=False)
