"""`gait-data augment`: two-cycle sequences by phase, from recorded walks and clips."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from gait_envs.mocap.commands.printing import say, warn
from gait_envs.mocap.gait_sequences import as_walks, augment, captured, of_activity, recorded
from gait_envs.models.mirror import mirror_of
from gait_envs.models.robot import humanoid
from gait_envs.reading.outputs import check_output
from gait_envs.reference.clip import check_fits
from gait_envs.reference.refnn.walks import WalkError, is_walks, load_walks, save_sequences, save_walks
from gait_envs.reference.sources import load_clips
from gait_envs.wording import counted


def augment_command(
    source: Annotated[
        str, typer.Argument(help="A file or folder of recorded walks, or of clips retargeted to the humanoid.")
    ],
    out: Annotated[Path, typer.Option(help="The .npz file of sequences to write.")],
    activity: Annotated[
        str | None,
        typer.Option(help="Take only clips whose activity matches this regular expression; by default ^walk$."),
    ] = None,
    subjects: Annotated[
        list[str] | None,
        typer.Option("--subject", help="Take only clips or recorded walks of this subject; may be repeated."),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option("--without", help="Leave out the clips or recorded walks of this subject; may be repeated."),
    ] = None,
    walks_out: Annotated[
        Path | None,
        typer.Option("--walks", help="Write the clips as walks with their phase, as recorded ones are, to this .npz."),
    ] = None,
    mirror: Annotated[bool, typer.Option(help="Add the mirror image of every sequence.")] = True,
) -> None:
    """Cut walks into sequences of two gait cycles, resampled by phase, and label them with stride and cadence."""
    check_output(out, ".npz", "format", format="gaitnet sequences")
    if walks_out is not None:
        check_output(walks_out, ".npz", "format", format="gaitnet walks")
    robot = humanoid()
    tables = mirror_of(robot) if mirror else None
    files = sorted(Path(source).glob("*.npz")) if Path(source).is_dir() else [Path(source)]
    left_out: Counter[str] = Counter()
    if files and is_walks(files[0]):
        if activity is not None:
            raise WalkError(f"--activity {activity}: recorded walks have no activities")
        walks = [load_walks(file) for file in files]
        walks = [walk for walk in walks if any(_wanted(walker, subjects, without) for walker in walk.walkers)]
        sources, licenses = {walk.source for walk in walks}, {walk.license for walk in walks}
        every = [walk for one in walks for walk in recorded(one) if _wanted(walk.walker, subjects, without)]
        if not every:
            raise WalkError(f"{source}: no walk of such a subject")
    else:
        clips = of_activity(load_clips(source), "^walk$" if activity is None else activity)
        clips = [clip for clip in clips if _wanted(clip.meta.get("subject"), subjects, without)]
        if not clips:
            raise WalkError(f"{source}: no clip of such an activity and subject")
        for clip in clips:
            check_fits(clip, robot.joint_names)
        sources, licenses = {clip.source for clip in clips}, {clip.license for clip in clips}
        every = list(captured(clips, lambda why: left_out.update([why])))
    if walks_out is not None:
        save_walks(walks_out, as_walks(every, "; ".join(sorted(sources)), "; ".join(sorted(licenses))))
    found = augment(every, "; ".join(sorted(sources)), "; ".join(sorted(licenses)), tables)
    save_sequences(out, found.sequences)
    stride, cadence = (found.sequences.params[:, found.sequences.names.index(key)] for key in ("stride", "cadence"))
    walkers = len(set(found.sequences.walkers))
    say(f"{out}: {counted(len(stride), 'sequence')} of {counted(walkers, 'walker')}")
    say(f"stride {stride.min():.2f} to {stride.max():.2f} m")
    say(f"cadence {cadence.min():.0f} to {cadence.max():.0f} steps/min")
    for why, count in sorted((left_out + Counter(found.dropped)).items()):
        warn(f"left out: {count}, {why}")


def _wanted(subject: str | None, subjects: list[str] | None, without: list[str] | None) -> bool:
    """Whether what this subject did is to be taken."""
    return subject not in (without or ()) and (not subjects or subject in subjects)
