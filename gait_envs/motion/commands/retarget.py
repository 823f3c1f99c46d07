"""`gait-data retarget`: captured motion on one of our bodies, a file or folders of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gait_envs.motion.body import load_body
from gait_envs.motion.catalogue import VERDICTS, Entry, read_entries
from gait_envs.motion.clip import save_clip
from gait_envs.motion.commands.common import err_console, out_console, print_set, print_summary, warn
from gait_envs.motion.description import read_yaml
from gait_envs.motion.folder import Job, Outcome, Recipe, find_captures, retarget_file, retarget_folder
from gait_envs.motion.importers import known_formats
from gait_envs.motion.joints import ROLES
from gait_envs.motion.licenses import UNKNOWN, check_licenses
from gait_envs.motion.provenance import read_table
from gait_envs.motion.report import write_page
from gait_envs.motion.set_report import write_set
from gait_envs.motion.skeleton import MotionError


def retarget_command(
    captures: Annotated[
        list[Path], typer.Argument(metavar="FILE_OR_FOLDER...", help=f"captures, or folders of them: {known_formats()}")
    ],
    robot: Annotated[str, typer.Option(help="a robot's name, or a retarget YAML of your own")] = "wildrobot",
    out: Annotated[
        Path | None, typer.Option(help="of one capture: the clip, by default its name .npz, here; else a folder")
    ] = None,
    source: Annotated[str | None, typer.Option(help="where the captures come from; kept in the clips")] = None,
    license: Annotated[str | None, typer.Option(help="the captures' licence; kept in the clips")] = None,
    subject: Annotated[str | None, typer.Option(help="who moves; kept in the clips")] = None,
    activity: Annotated[str | None, typer.Option(help="what they do; kept in the clips")] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV of these a capture: file, source, license, subject, activity")
    ] = None,
    accept_license: Annotated[
        bool, typer.Option("--accept-license", help="let several licences lie together in one set")
    ] = False,
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
    low_pass: Annotated[
        float | None, typer.Option(help="Hz; 4th order Butterworth, zero phase, before all else; default: none")
    ] = None,
    repair: Annotated[bool, typer.Option(help="fill short gaps, turn flipped joints back")] = True,
    jobs: Annotated[int, typer.Option(help="processes that work on a set")] = 1,
    picture: Annotated[
        bool | None, typer.Option(help="draw a page beside every clip; default: only of a single capture")
    ] = None,
) -> None:
    """Put captured motion on a robot: scaled, within its joint limits, feet still where they stand.

    A set can be stopped and run again: what it holds already is kept. Clips that are unfit are set aside in
    OUT/unfit; OUT/set.json and OUT/set.png say what the set holds. The exit status is 1 if no clip is fit.
    """
    recipe = Recipe(_read_map(joint_map), unit, up, start, end, time, speed, repair, low_pass)
    told = {"source": source, "license": license, "subject": subject, "activity": activity}
    rows = None if table is None else read_table(table)
    found, passed = find_captures(captures)
    work = [
        replace(job, origin=(rows.of(job.capture) if rows else {}) | {k: v for k, v in told.items() if v is not None})
        for job in found
    ]
    single = len(captures) == 1 and captures[0].is_file() and (out is None or not out.is_dir())
    if single and (out is None or out.suffix):
        _retarget_one(work[0], recipe, robot, out or Path(f"{captures[0].stem}.npz"), picture is not False)
    else:
        _retarget_set(work, recipe, robot, out, accept_license, jobs, bool(picture))
        if passed:
            names = ", ".join(path.name for path in passed[:8])
            warn(f"passed over, as nothing in them is a capture: {names}{', ...' if len(passed) > 8 else ''}")


def _read_map(path: Path | None) -> Mapping[str, str] | None:
    return None if path is None else {str(k): str(v) for k, v in read_yaml(path).items()}


def _retarget_one(job: Job, recipe: Recipe, robot: str, out: Path, picture: bool) -> None:
    """A single capture: its clip is written even if it is unfit, and said to be so."""
    if out.suffix != ".npz":
        raise MotionError(f"--out {out}: a clip's name ends in .npz")
    body = load_body(robot)
    result = retarget_file(job, recipe, body)
    _warn_unknown([(result.clip.source, result.clip.license)])
    for note in result.clip.meta["notes"]:
        warn(note)
    for fault in result.faults:
        warn(f"unfit: {fault}")
    print_summary(result.clip, result.quality)
    out_console.print(f"clip     {save_clip(out, result.clip)}", soft_wrap=True)
    if picture:
        page = write_page(out.with_suffix(".png"), result.clip, body, result.quality, result.faults, result.landmarks)
        out_console.print(f"picture  {page}", soft_wrap=True)


def _retarget_set(
    work: Sequence[Job], recipe: Recipe, robot: str, out: Path | None, accepted: bool, jobs: int, pictures: bool
) -> None:
    """A set: every capture by itself into a folder, then the report of the folder."""
    if out is None:
        raise MotionError("say with --out in which folder the clips shall be")
    if out.suffix == ".npz" or out.is_file():
        raise MotionError(f"--out {out}: several captures need a folder")
    check_licenses({job.shown: job.origin.get("license", UNKNOWN) for job in work}, accepted)
    out.mkdir(parents=True, exist_ok=True)
    outcomes = _with_progress(retarget_folder(work, recipe, robot, out, jobs, pictures), len(work))
    refused = [Entry(o.job.name, "failed", o.faults, capture=o.job.shown) for o in outcomes if o.clip is None]
    clips = read_entries(out)
    check_licenses({clip.file: clip.license for clip in clips}, accepted)
    _warn_unknown([(clip.source, clip.license) for clip in clips])
    print_set([*clips, *refused], str(out))
    for path in write_set(out, [*clips, *refused]):
        out_console.print(f"report   {path}", soft_wrap=True)
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    kept = sum(outcome.kept for outcome in outcomes)
    out_console.print(
        f"{len(work)} captures: {', '.join(f'{verdicts[verdict]} {verdict}' for verdict in VERDICTS)}; "
        f"{kept} kept from an earlier run",
        soft_wrap=True,
    )
    if not verdicts["fit"]:
        raise typer.Exit(1)


def _with_progress(outcomes: Iterator[Outcome], total: int) -> list[Outcome]:
    """All outcomes, with a bar on stderr that counts them."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    found: list[Outcome] = []
    with Progress(*columns, console=err_console, transient=True) as progress:
        task = progress.add_task("retarget", total=total)
        for outcome in outcomes:
            found.append(outcome)
            progress.update(task, advance=1, description=outcome.job.shown)
    return found


def _warn_unknown(origins: Sequence[tuple[str, str]]) -> None:
    """Say once for source and for licence of how many clips they are unknown."""
    for key, values in zip(("source", "license"), zip(*origins, strict=True), strict=False):
        unknown = sum(value == UNKNOWN for value in values)
        if unknown:
            whose = "the clip's" if len(values) == 1 else f"of {unknown} of {len(values)} clips the"
            warn(f"{whose} {key} is unknown; say it with --{key} or --table")
