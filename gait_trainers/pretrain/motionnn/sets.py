"""What a training reads of a set of clips before it begins: groups, kinds of activity, training and test part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gait_envs.reference.clip import ClipError
from gait_envs.reference.licenses import check_robots
from gait_envs.reference.packed import PackedClips
from gait_envs.reference.sources import LazyClips, open_clips
from gait_envs.reference.split import group_of, hold_out, save_split, split
from gait_trainers.config.section import ConfigError
from gait_trainers.data.activities import activity_kind
from gait_trainers.pretrain.motionnn.config import DataConfig

TRAIN, TEST = "train", "test"


@dataclass(frozen=True)
class Parts:
    """Names of the clips of each part of a set, which share no group."""

    train: list[str]
    test: list[str]


def divide(groups: Mapping[str, str], config: DataConfig, seed: int) -> Parts:
    """Training and test part of clips (name to group); ClipError where a held-out group has no clip."""
    if config.held_out:
        parts = hold_out(groups, config.by, config.held_out, "data.held_out")
    elif config.test_share:
        try:
            parts = split(groups, {TRAIN: 1 - config.test_share, TEST: config.test_share}, seed)
        except ClipError as error:
            other = "" if config.by == "clip" else "; data.by=clip holds out single clips"
            raise ClipError(f"data.by is {config.by}: {error}{other}, and data.test_share=0 none") from None
    else:
        parts = {TRAIN: list(groups), TEST: []}
    return Parts(sorted(parts[TRAIN]), sorted(parts[TEST]))


@dataclass(frozen=True)
class TrainingSet:
    """Clips to train on, not yet read, and what each of them shows."""

    clips: PackedClips | LazyClips
    kinds: list[str]  # of activity
    parts: Parts
    divided: tuple[str, str, int] | None = None  # source, grouping and seed of a division that was made here

    def of_kinds(self, kinds: Sequence[str]) -> list[int]:
        """Numbers of the clips of these kinds of activity."""
        return [i for i, kind in enumerate(self.kinds) if kind in kinds]

    def save_split(self, path: Path) -> None:
        """Write the division of the clips; nothing where they were not divided here."""
        if self.divided is not None:
            source, by, seed = self.divided
            parts = {TRAIN: self.parts.train} | ({TEST: self.parts.test} if self.parts.test else {})
            save_split(path, source, by, seed, parts)


def open_training_set(source: str, config: DataConfig, seed: int) -> TrainingSet:
    """Divide the clips of a folder or packed set; any other source (a part of a split) is trained on as a whole.

    MotionError where they are of several robots.
    """
    clips = open_clips(source)
    metas = _metas(clips)
    divided = None
    if Path(source).is_dir():
        parts = divide({name: group_of(name, meta, config.by) for name, meta in metas.items()}, config, seed)
        clips, divided = clips.select(parts.train), (source, config.by, seed)
    else:
        if config.held_out:
            raise ConfigError(
                f"data.held_out: {source} is trained on as a whole; only a folder of clips or a packed set is divided"
            )
        parts = Parts(list(clips.names), [])
    return TrainingSet(clips, [activity_kind(metas[name]) for name in clips.names], parts, divided)


def _metas(clips: PackedClips | LazyClips) -> dict[str, Mapping[str, Any]]:
    """Metadata of every clip, by its name; MotionError for several robots, of which a packed set holds one."""
    if isinstance(clips, PackedClips):
        return {name: clips.meta(i) for i, name in enumerate(clips.names)}
    metas: dict[str, Mapping[str, Any]] = {}
    robots: dict[str, str] = {}
    for name, clip in zip(clips.names, clips, strict=True):  # each is read, and let go
        metas[name], robots[name] = clip.meta, clip.model
    check_robots(robots)
    return metas
