"""Where clips come from: a file, a folder, a packed set, an embedded set, a part of a split, or several of these."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from gait_envs.assets import asset_path
from gait_envs.errors import one_line
from gait_envs.reading.foreign import refuse_pickles
from gait_envs.reference.clip import Clip, ClipError, load_clip
from gait_envs.reference.packed import HEADER, PackedClips, load_packed, positions
from gait_envs.reference.refnn.generator import generated_clips, named_model
from gait_envs.reference.refnn.network import load_network
from gait_envs.reference.split import read_part

ClipSource = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


class LazyClips(Sequence[Clip]):
    """Clips that are read each time they are asked for, so that a set may be larger than memory."""

    def __init__(self, names: Sequence[str], readers: Sequence[Callable[[], Clip]], where: str) -> None:
        """readers: one for each name; where: what a message calls the set."""
        self.names, self._readers, self._where = tuple(names), tuple(readers), where

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, at: Any) -> Any:
        """The clip at a number, or the clips of a slice."""
        if isinstance(at, slice):
            return LazyClips(self.names[at], self._readers[at], self._where)
        return self._readers[at]()

    def meta(self, at: int) -> dict[str, Any]:
        """Metadata of clip `at`; reads the whole clip, and raises ClipError if its file is damaged."""
        return self[at].meta

    def select(self, names: Sequence[str]) -> LazyClips:
        """The clips of these names, in this order."""
        at = positions(self.names, names, self._where)
        return LazyClips(names, [self._readers[i] for i in at], self._where)


def open_clips(source: ClipSource) -> PackedClips | LazyClips:
    """Clips of a `.npz` file, a folder of them (sorted by name), a packed set, an embedded set's name, a part of a
    split (`split.json#train`, or `wildrobot_walk/parts.json#walking` of an embedded set), the walks of a RefNN
    (`refnn:NAME`), or a list of these; read only when they are asked for."""
    if not isinstance(source, str | os.PathLike):
        return _chain([open_clips(item) for item in source])
    if (model := named_model(source)) is not None:
        clips = generated_clips(load_network(model))
        return LazyClips([clip.name for clip in clips], [partial(_itself, clip) for clip in clips], str(source))
    if (of_split := find_part(source)) is not None:
        folder, names = read_part(*of_split)
        if find_part(folder) is not None:
            raise ClipError(f"{source}: its clips are {one_line(folder)}, a part of a split; expected a set")
        return open_clips(folder).select(names)
    path = Path(source)
    if not path.exists():
        try:
            path = asset_path(f"motions/{source}")
        except FileNotFoundError as error:
            raise ClipError(
                f"{source}: neither a clip, nor a folder of clips, nor an embedded set, "
                f"nor a part of a split such as split.json#train ({error})"
            ) from None
    if (path / HEADER).exists():
        return load_packed(path)
    refuse_pickles(path, ClipError)
    files = sorted(path.glob("*.npz")) if path.is_dir() else [path]
    if not files:
        raise ClipError(f"{path}: holds no .npz clip")
    return LazyClips([file.stem for file in files], [partial(load_clip, file) for file in files], str(source))


def _itself(clip: Clip) -> Clip:
    return clip


def find_part(source: str | os.PathLike[str]) -> tuple[Path, str] | None:
    """The file of a split and the name of its part (empty where none is named) in `split.json#train`; else None."""
    of_split = re.fullmatch(r"(.+\.json)(?:#(.*))?", str(source))
    split = _split_file(of_split[1]) if of_split else None
    return (split, of_split[2] or "") if of_split and split is not None else None


def _split_file(name: str) -> Path | None:
    """A split by its path, or by its place among the embedded sets; None: there is no such file."""
    path = Path(name)
    if not path.is_file():
        try:
            path = asset_path(f"motions/{name}")
        except FileNotFoundError:
            return None
    return path


def _chain(sets: Sequence[PackedClips | LazyClips]) -> PackedClips | LazyClips:
    if len(sets) == 1:
        return sets[0]
    names = [name for clips in sets for name in clips.names]
    return LazyClips(names, [partial(clips.__getitem__, i) for clips in sets for i in range(len(clips))], "the clips")


def load_clips(source: ClipSource) -> Sequence[Clip]:
    """Clips of any source that `open_clips` takes, in memory; those of one packed set stay views of its map."""
    clips = open_clips(source)
    return clips if isinstance(clips, PackedClips) else list(clips)
