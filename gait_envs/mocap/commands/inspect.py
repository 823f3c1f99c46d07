"""`gait-data inspect`: the contents of a clip or of a set of clips."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from gait_envs.errors import MotionError
from gait_envs.mocap.cleaning.convert import Cleaning, look
from gait_envs.mocap.commands.clip_options import SOURCES, body_of, choose_clip
from gait_envs.mocap.commands.printing import end, out_console, plain, print_set, print_summary, say
from gait_envs.mocap.contact_estimate import with_contacts
from gait_envs.mocap.formats import all_formats, open_with_gaps
from gait_envs.mocap.pages.clip_page import check_picture, write_page
from gait_envs.mocap.pages.set_page import draw_set
from gait_envs.mocap.quality import carry, faults, measure
from gait_envs.mocap.retarget.target_body import Body
from gait_envs.reference.catalogue import Entry, entry_of, failures, read_entries
from gait_envs.reference.clip import Clip, ClipError, load_clip
from gait_envs.reference.packed import HEADER
from gait_envs.reference.sources import open_clips


def inspect_command(
    source: Annotated[str, typer.Argument(metavar="CLIP_OR_SET", help=SOURCES)],
    clip: Annotated[str | None, typer.Option(help="Clip of a set to inspect, by name.")] = None,
    robot: Annotated[
        str | None, typer.Option(help="Name or retarget YAML of a robot; by default the clip's robot.")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="Picture to write: a page of plots.")] = None,
) -> None:
    """Print what a clip holds, measured on its robot, the figures of every clip of a set, or what a capture holds.

    The exit status is 1 if some files of a folder cannot be read, 2 if none can.
    """
    if plot is not None:
        check_picture(plot)
    if Path(source).suffix.lower() in capture_suffixes() and Path(source).is_file():
        if clip or robot or plot:
            raise MotionError(f"{source}: a capture; --clip, --robot and --plot are of clips, which retarget makes")
        _inspect_capture(Path(source))
    elif clip is None and not Path(source).is_file():
        _inspect_set(source, robot, plot)
    else:
        _inspect_clip(*choose_clip(source, clip, robot), plot)


def _inspect_set(source: str, robot: str | None, plot: Path | None) -> None:
    """The table of a set; files that cannot be read are listed, and make the exit status 1."""
    entries, refused = list(_entries(source, robot)), failures(Path(source))
    if not entries and not refused:
        raise MotionError(f"{source}: holds no .npz clip")
    print_set([*entries, *refused], source)
    if plot is not None:
        say(f"picture  {draw_set(plot, [*entries, *refused], Path(source).name)}")
    end(sum(entry.verdict == "failed" for entry in entries), len(entries))


def capture_suffixes() -> set[str]:
    """Endings that only captures have; an .npz is a clip here."""
    return {suffix for format in all_formats().values() for suffix in format.suffixes} - {".npz", ".json"}


def _inspect_capture(path: Path) -> None:
    """The skeleton and the frames of a capture as it is in its file, before anything is converted."""
    capture = open_with_gaps(path)
    skeleton = capture.skeleton
    table = Table(show_header=False, title=plain(path.name), min_width=48)
    for key, value in {
        "frames": f"{capture.frames} at {capture.fps:g} Hz, {(capture.frames - 1) / capture.fps:.2f} s",
        "joints": f"{len(skeleton.names)}: {', '.join(skeleton.names)}",
        "unit": "not said by the file" if capture.unit is None else f"{capture.unit:g} m",
        "up": capture.up or "not said by the file",
        **capture.origin,
    }.items():
        table.add_row(key, plain(str(value)))
    out_console.print(table)
    retarget, seen = f"gait-data retarget {path} --robot wildrobot --out {path.stem}.npz", None
    try:
        seen = look(capture, Cleaning())
        notes = (*capture.notes, *(note for note in seen.notes if note not in capture.notes))
    except MotionError as error:
        notes = (*capture.notes, str(error))
    for note in notes:
        say(f"note     {note}")
    if seen is not None and seen.leg is not None:
        say(f"next     {retarget}")


def _inspect_clip(clip: Clip, body: Body, plot: Path | None) -> None:
    clip = with_contacts(clip, body)
    quality = _measure(clip, body)
    print_summary(clip, quality)
    table = Table("joint", "least", "most", "lower limit", "upper limit", title="joints (rad)")
    for i, name in enumerate(clip.joint_names):
        angle = clip.qpos[:, 7 + i]
        table.add_row(plain(name), *(f"{x:.3f}" for x in (angle.min(), angle.max(), body.lower[i], body.upper[i])))
    out_console.print(table)
    if plot is not None:
        say(f"picture  {write_page(plot, clip, body, quality, faults(quality, body))}")


def _entries(source: str, robot: str | None) -> Iterator[Entry]:
    """The clips of a set with their figures: those they tell, or else measured now, but not judged."""
    folder = Path(source)
    if not folder.is_dir() or (folder / HEADER).is_file():
        yield from (_measured(entry_of(clip), clip, robot) for clip in open_clips(source))
        return
    for entry in read_entries(folder):
        yield _measured(entry, folder / entry.file, robot) if entry.file else entry


def _measured(entry: Entry, clip: Clip | Path, robot: str | None) -> Entry:
    if entry.quality is not None:
        return entry
    try:
        clip = load_clip(clip) if isinstance(clip, Path) else clip
        body = body_of(clip, robot)
        return replace(entry, quality=_measure(with_contacts(clip, body), body))
    except (ClipError, MotionError) as error:  # a clip that cannot be measured stops no other
        return replace(entry, verdict="failed", faults=(str(error),), file="")


def _measure(clip: Clip, body: Body) -> dict[str, float]:
    """Figures of a clip as it is, beside those of its making that need its targets."""
    assert clip.contacts is not None
    contact = clip.contacts > 0
    load = carry(clip.qpos, clip.fps, contact, body)
    return clip.meta.get("quality", {}) | measure(clip.qpos, clip.fps, contact, load, body)
