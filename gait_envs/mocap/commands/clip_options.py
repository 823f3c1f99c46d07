"""Clip arguments of the commands: whatever a training accepts as its reference."""

from __future__ import annotations

from pathlib import Path

from gait_envs.errors import one_line
from gait_envs.mocap.retarget.retarget_config import body_names
from gait_envs.mocap.retarget.target_body import Body, load_body
from gait_envs.reference.clip import Clip, ClipError, check_fits
from gait_envs.reference.packed import HEADER, PackedClips
from gait_envs.reference.sources import LazyClips, find_part, open_clips
from gait_envs.reference.split import read_part

SOURCES = "A clip, a folder of clips, a packed set, an embedded set or a part such as split.json#train."


def find_set(source: str) -> tuple[Path, PackedClips | LazyClips] | None:
    """The folder and the clips of a packed set, a part of a split or an embedded set; None: a path of another kind."""
    path, of_split = Path(source), find_part(source) if "#" in source else None
    if of_split is not None:
        folder = read_part(*of_split)[0]
    elif (path / HEADER).is_file() or not (path.exists() or path.suffix):
        folder = path
    else:
        return None
    return folder, open_clips(source)


def choose_clip(source: str, name: str | None, robot: str | None) -> tuple[Clip, Body]:
    """A clip of any source, by default its first, and the robot that it is for, by default the one it names."""
    clips = open_clips(source)
    clip = clips[0] if name is None else clips.select([name])[0]
    return clip, body_of(clip, robot)


def body_of(clip: Clip, robot: str | None) -> Body:
    """The robot that a clip is for, by default the one it names; a `ClipError` if their joints differ."""
    body = named_body(clip, robot)
    check_fits(clip, body.joint_names)
    return body


def named_body(clip: Clip, robot: str | None) -> Body:
    """`robot`, or the one that the clip names: a bundled one, as a file does not choose what is opened."""
    if robot is None and clip.model not in body_names():
        raise ClipError(
            f"unknown robot {one_line(repr(clip.model))} of clip {clip.name!r}; bundled are {', '.join(body_names())}, "
            "others are given with --robot"
        )
    return load_body(robot or clip.model)
