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


def augment_command(
    source: Annotated[
        str, typer.Argument(help="A file or folder of recorded walks, or of clips retargeted to the humanoid.")
    ],
    out: Annotated[Path, typer.Option(help="The .npz file of sequences to write.")],
    activity: Annotated[
        str, typer.Option(help="Take only clips whose activity matches this regular expression.")
    ] = "^walk$",
    subjects: Annotated[
        list[str] | None, typer.Option("--subject", help="Take only clips of this subject; may be repeated.")
    ] = None,
    without: Annotated[
        list[str] | None, typer.Option("--without", help="Leave out the clips of this subject; may be repeated.")
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
        walks = [load_walks(file) for file in files]
        sources, licenses = {walk.source for walk in walks}, {walk.license for walk in walks}
        every = [walk for one in walks for walk in recorded(one)]
    else:
        clips = of_activity(load_clips(source), activity)
        clips = [clip for clip in clips if clip.meta.get("subject") not in (without or ())]
        clips = [clip for clip in clips if not subjects or clip.meta.get("subject") in subjects]
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
    say(f"{out}: {len(stride)} sequences of {len(set(found.sequences.walkers))} walkers")
    say(f"stride {stride.min():.2f} to {stride.max():.2f} m")
    say(f"cadence {cadence.min():.0f} to {cadence.max():.0f} steps/min")
    for why, count in sorted((left_out + Counter(found.dropped)).items()):
        warn(f"left out: {count}, {why}")
