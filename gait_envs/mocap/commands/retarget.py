"""`gait-data retarget`: captured motion on one of our bodies, a file or folders of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from gait_envs.constants import MOST_THREADS
from gait_envs.errors import MotionError
from gait_envs.mocap.cleaning.convert import Cleaning
from gait_envs.mocap.cleaning.repair import LONGEST
from gait_envs.mocap.commands import capture_options as options
from gait_envs.mocap.commands.printing import end, err_console, print_set, print_summary, say, warn
from gait_envs.mocap.jobs import Job, Reading, check_targets
from gait_envs.mocap.pages.clip_page import write_page
from gait_envs.mocap.pages.set_page import write_set
from gait_envs.mocap.retarget.folder import Outcome, Recipe, check_folder, retarget_file, retarget_folder
from gait_envs.mocap.retarget.target_body import load_body
from gait_envs.reading.outputs import CLIP, check_drawing, check_output
from gait_envs.reference.catalogue import VERDICTS, Entry, read_entries
from gait_envs.reference.clip import save_clip
from gait_envs.wording import counted


def retarget_command(
    captures: options.Captures,
    robot: Annotated[str, typer.Option(help="Name or retarget YAML of the robot.")] = "wildrobot",
    out: Annotated[
        Path | None, typer.Option(help="Clip to write (by default NAME.npz, here), or a folder for several captures.")
    ] = None,
    format: options.Format = None,
    captured_fps: options.CapturedFps = None,
    asf: options.Asf = None,
    joint_map: options.JointMap = None,
    unit: options.Unit = None,
    up: options.Up = None,
    treadmill_speed: options.Treadmill = None,
    source: options.Source = None,
    license: options.License = None,
    subject: options.Subject = None,
    activity: options.Activity = None,
    table: options.Table = None,
    accept_license: options.AcceptLicense = False,
    time: Annotated[
        str, typer.Option(help="Pace: keep, froude (dynamic similarity), or seconds per captured second.")
    ] = "keep",
    speed: Annotated[float | None, typer.Option(help="Mean speed of the clip, in m/s, in place of --time.")] = None,
    stride: Annotated[
        float, typer.Option(help="Length of the strides, as a share of the captured ones at the robot's size.")
    ] = 1.0,
    swing_clearance: Annotated[
        float | None,
        typer.Option(help="Height of the foot at mid-swing, in metres.", show_default="that of the robot's file"),
    ] = None,
    start: Annotated[float, typer.Option(help="Start of the excerpt, in seconds.")] = 0.0,
    end: Annotated[float | None, typer.Option(help="End of the excerpt, in seconds.")] = None,
    low_pass: options.LowPass = None,
    repair: options.Repair = True,
    longest_gap: options.LongestGap = LONGEST,
    jobs: Annotated[int, typer.Option(min=1, max=MOST_THREADS, help="Number of processes that work on a set.")] = 1,
    picture: Annotated[
        bool | None, typer.Option(help="Draw a page for each clip; by default only for a single capture.")
    ] = None,
) -> None:
    """Retarget captured motion to a robot: scaled, within its joint limits, without foot sliding.

    An interrupted set can be run again: clips already made are kept. Unfit clips are set aside in OUT/unfit;
    OUT/set.json and OUT/set.png summarise the set. The exit status is 1 if some captures failed or no clip is fit,
    2 if all failed. The clip of a single capture is written in any case, with a warning that says why it is unfit.
    """
    cleaning = Cleaning(
        None, low_pass, repair, longest_gap, unit, up, options.read_map(joint_map), options.read_speed(treadmill_speed)
    )
    reading = Reading(format, captured_fps, None if asf is None else str(asf))
    recipe = Recipe(cleaning, reading, start, end, time, speed, stride, swing_clearance)
    told = {"source": source, "license": license, "subject": subject, "activity": activity}
    single = len(captures) == 1 and captures[0].is_file() and (out is None or not out.is_dir())
    single = single and (out is None or bool(out.suffix))
    work, passed = options.find_jobs(captures, out, told, table)
    if single:
        _retarget_one(work[0], recipe, robot, out or Path(f"{captures[0].stem}.npz"), picture is not False)
    else:
        _retarget_set(work, passed, recipe, robot, out, accept_license, jobs, bool(picture))


def _retarget_one(job: Job, recipe: Recipe, robot: str, out: Path, picture: bool) -> None:
    """A single capture: its clip is written even if it is unfit, and said to be so."""
    check_targets((job.capture, target) for target in (out, out.with_suffix(".png")))
    check_output(out, ".npz", *CLIP)
    if picture:
        check_drawing(out.with_suffix(".png"))
    body = load_body(robot)
    result = retarget_file(job, recipe, body)
    options.warn_unknown([job.origin])
    for note in result.clip.meta["notes"]:
        warn(note)
    for fault in result.faults:
        warn(f"unfit: {fault}")
    print_summary(result.clip, result.quality)
    say(f"clip     {save_clip(out, result.clip)}")
    if picture:
        page = write_page(out.with_suffix(".png"), result.clip, body, result.quality, result.faults, result.landmarks)
        say(f"picture  {page}")


def _retarget_set(
    work: Sequence[Job],
    passed: Sequence[Path],
    recipe: Recipe,
    robot: str,
    out: Path | None,
    accepted: bool,
    jobs: int,
    pictures: bool,
) -> None:
    """A set: every capture by itself into a folder, then the report of the folder."""
    if out is None:
        raise MotionError("say with --out in which folder the clips shall be")
    if out.suffix == ".npz" or out.is_file():
        raise MotionError(f"--out {out}: several captures need a folder")
    check_folder(work, out, load_body(robot).name, accepted)
    out.mkdir(parents=True, exist_ok=True)
    outcomes = _with_progress(retarget_folder(work, recipe, robot, out, jobs, pictures), len(work))
    refused = [Entry(o.job.name, "failed", o.faults, capture=o.job.shown) for o in outcomes if o.clip is None]
    clips = read_entries(out)
    options.warn_notes({outcome.job.shown: outcome.notes for outcome in outcomes})
    options.warn_unknown([outcome.job.origin for outcome in outcomes if outcome.clip])
    options.warn_passed(passed)
    print_set([*clips, *refused], str(out))
    for path in write_set(out, [*clips, *refused]):
        say(f"report   {path}")
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    kept = sum(outcome.kept for outcome in outcomes)
    say(
        f"{counted(len(work), 'capture')}: "
        f"{', '.join(f'{verdicts[verdict]} {verdict}' for verdict in VERDICTS)}; {kept} kept from an earlier run"
    )
    end(verdicts["failed"], len(work))
    if not verdicts["fit"]:
        raise typer.Exit(1)


def _with_progress(outcomes: Iterator[Outcome], total: int) -> list[Outcome]:
    """All outcomes, with a bar on stderr that counts them."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    found: list[Outcome] = []
    with Progress(*columns, console=err_console, transient=True) as progress:
        task = progress.add_task("retarget", total=total)
        for outcome in outcomes:
            found.append(outcome)
            progress.update(task, advance=1, description=outcome.job.shown)
    return found
