"""Options and messages shared by the commands that read captures, `import` and `retarget`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from gait_envs.errors import MotionError, one_line
from gait_envs.mocap.commands.printing import warn
from gait_envs.mocap.formats import all_formats, known_formats
from gait_envs.mocap.jobs import Job, find_captures, with_origins
from gait_envs.mocap.provenance import read_table
from gait_envs.mocap.retarget.joint_names import ROLES
from gait_envs.mocap.retarget.retarget_config import read_yaml
from gait_envs.reading.loaders import loader
from gait_envs.reference.licenses import UNKNOWN
from gait_envs.reference.packed import some
from gait_envs.wording import counted

Captures = Annotated[
    list[Path],
    typer.Argument(metavar="FILE_OR_FOLDER...", help=f"Captures, or folders of captures: {known_formats()}."),
]
Format = Annotated[
    str | None, typer.Option(help=f"Format of the captures: {', '.join(all_formats())}; detected by default.")
]
CapturedFps = Annotated[
    float | None, typer.Option(help="Captured frames per second; by default the file's, or 120 for .amc.")
]
Asf = Annotated[Path | None, typer.Option(help="Skeleton of the .amc files; by default the .asf beside each.")]
Unit = Annotated[
    str | None, typer.Option(help="Unit of length: mm, cm, inch, m, cmu or metres per unit; detected by default.")
]
Up = Annotated[str | None, typer.Option(help="Vertical axis, such as y or -z; detected by default.")]
JointMap = Annotated[
    Path | None,
    typer.Option("--map", help=f"YAML file of role: joint pairs, for unusual joint names. Roles: {', '.join(ROLES)}."),
]
LowPass = Annotated[
    float | None, typer.Option(help="Cutoff of a zero-phase 4th-order Butterworth low-pass, in Hz (often 6 to 10).")
]
Repair = Annotated[bool, typer.Option(help="Fill short gaps, correct flipped joints and keep repeated poses once.")]
LongestGap = Annotated[float, typer.Option(help="Longest gap that is filled, in seconds; a longer one is an error.")]
Treadmill = Annotated[
    str | None,
    typer.Option(
        "--treadmill-speed",
        help="Speed of the treadmill, in m/s, for captures whose root stays in place: ahead, or ahead,left; "
        "negative for walking backwards.",
    ),
]
Source = Annotated[str | None, typer.Option(help="Origin of the captures, stored in what is made from them.")]
License = Annotated[str | None, typer.Option(help="Licence of the captures, stored likewise.")]
Subject = Annotated[str | None, typer.Option(help="Subject who moves, stored likewise.")]
Activity = Annotated[str | None, typer.Option(help="Activity that is performed, stored likewise.")]
Table = Annotated[
    Path | None, typer.Option(help="CSV table with the columns file, source, license, subject, activity.")
]
AcceptLicense = Annotated[bool, typer.Option("--accept-license", help="Allow several licences in one folder.")]


@loader("joint map", ".yaml")
def read_map(path: Path | None) -> Mapping[str, str] | None:
    """A joint map, role to joint; None where there is no path."""
    if path is None:
        return None
    names = read_yaml(path)
    odd = next((role for role, joint in names.items() if not isinstance(joint, str)), None)
    if odd is not None:
        raise MotionError(f"{path}: {one_line(odd)} is {one_line(repr(names[odd]))}, expected the name of a joint")
    return names


def read_speed(text: str | None) -> tuple[float, float] | None:
    """The speed of a treadmill ahead and to the left, m/s, from "0.8" or "0.8,-0.1"."""
    if text is None:
        return None
    try:
        ahead, left = map(float, text.split(",") if "," in text else [text, "0"])
    except ValueError:
        raise MotionError(f"--treadmill-speed {text}: expected m/s ahead, such as 0.8, or ahead,left") from None
    return ahead, left


def find_jobs(
    captures: Sequence[Path], out: Path | None, told: Mapping[str, str | None], table: Path | None
) -> tuple[list[Job], list[Path]]:
    """The captures with all that is known of them, and the files passed over outside the output folder.

    Says which rows of the table are of none of the captures.
    """
    rows = None if table is None else read_table(table)
    jobs, passed = find_captures(captures)
    unused = rows.unused(job.capture for job in jobs) if rows else []
    if unused:
        warn(f"{table}: no capture here for {counted(len(unused), 'row')}: {some(unused, 8)}")
    if out is not None:
        passed = [path for path in passed if out.resolve() not in path.resolve().parents and path != table]
    return with_origins(jobs, told, rows), passed


def warn_passed(passed: Sequence[Path]) -> None:
    """Say which files were passed over."""
    if passed:
        names = some([path.name for path in passed], 8)
        warn(f"passed over, as nothing in them is a capture: {names}")


def warn_unknown(origins: Sequence[Mapping[str, str]]) -> None:
    """Say once for source and for licence of how many captures they are unknown."""
    for key in ("source", "license"):
        unknown = sum(origin.get(key, UNKNOWN) == UNKNOWN for origin in origins)
        if unknown:
            warn(f"the {key} of {counted(unknown, 'capture')} is unknown; say it with --{key} or --table")


def warn_notes(notes: Mapping[str, Sequence[str]]) -> None:
    """Notes of many captures, each once with the first capture that it is of: name -> its notes."""
    of: dict[str, list[str]] = {}
    for name, texts in notes.items():
        for text in texts:
            of.setdefault(text, []).append(name)
    for text, names in of.items():
        warn(f"{some(names, 1)}: {text}")
